/** The page: one button, and what becomes of the letter. Rendered on the server and taken over in the browser. */
import { createElement as h, type ReactElement } from 'react';
import { useEvents, useProgress, useRun, useStart } from './hooks.js';

interface Done {
  readonly done: number;
  readonly total: number;
}

export function LetterPage(): ReactElement {
  const { start, run, starting, error, clear } = useStart('letter', { remember: 'letter' });
  const write = (to: string) => (): void => {
    void start({ to, parts: 6, pauseMs: 700 }).catch(() => undefined);
  };
  return h(
    'main',
    null,
    h('h1', null, 'A letter'),
    h('button', { id: 'start', onClick: write('Ada'), disabled: starting }, 'Write to Ada'),
    h('button', { id: 'refuse', onClick: write('nobody'), disabled: starting }, 'Write to nobody'),
    h('button', { id: 'clear', onClick: clear }, 'Clear'),
    error === null ? null : h('p', { id: 'error' }, error.message),
    h(Letter, { run: run?.run ?? null, token: run?.token }),
  );
}

function Letter({ run, token }: { readonly run: string | null; readonly token: string | undefined }): ReactElement {
  const ref = run === null || token === undefined ? run : { run, token };
  const letter = useRun('letter', ref);
  const progress = useProgress('letter', ref, (value) => value as Done);
  const { events } = useEvents('letter', ref);
  return h(
    'section',
    null,
    h('p', null, 'Run: ', h('output', { id: 'run' }, letter.run ?? 'none')),
    h('p', null, 'State: ', h('output', { id: 'state' }, letter.state ?? 'unknown')),
    h('p', null, 'Line: ', h('output', { id: 'link' }, letter.link)),
    h('p', null, 'Phase: ', h('output', { id: 'phase' }, letter.phase)),
    h('progress', { id: 'bar', value: progress?.done ?? 0, max: progress?.total ?? 1 }),
    h('output', { id: 'progress' }, progress === undefined ? '' : ` ${progress.done} of ${progress.total}`),
    h('ul', { id: 'steps' }, ...letter.steps.map(({ path, status }) => h('li', { key: path }, `${path} ${status}`))),
    h('p', { id: 'seqs' }, events.map(({ seq }) => seq).join(' ')),
    h('p', { id: 'values' }, JSON.stringify(events)),
    letter.phase === 'succeeded'
      ? h('h2', { id: 'result' }, `${letter.result.text} (${letter.result.parts} parts)`)
      : null,
    letter.phase === 'failed' || letter.phase === 'unavailable'
      ? h('p', { id: 'failure' }, letter.error.message)
      : null,
  );
}
