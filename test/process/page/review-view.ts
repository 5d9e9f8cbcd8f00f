/** A page with what is put to its user, one request with its form, and the run that has asked, seen in every way there is. */
import { createElement as h, type ReactElement, useState } from 'react';
import { useApproval, useApprovals, useEvents, useRun, useStart, useStream } from './hooks.js';

interface Form {
  readonly text: string;
}

export function ReviewPage(): ReactElement {
  const { start, run } = useStart('review', { remember: 'review' });
  const review = useRun('review', run);
  const { events } = useEvents('review', run);
  const { chunks, ended } = useStream<string>('review', run, 'draft');
  const inbox = useApprovals();
  const [open] = inbox.approvals;
  return h(
    'main',
    null,
    h('button', { id: 'ask', onClick: () => void start({ text: 'helo world' }).catch(() => undefined) }, 'Ask'),
    h('output', { id: 'link' }, review.link),
    h('output', { id: 'stream' }, chunks.join(' '), ended ? '.' : ''),
    h('output', { id: 'events' }, events.length),
    h('output', { id: 'inbox' }, inbox.phase === 'ready' ? `${inbox.approvals.length} open` : inbox.phase),
    open === undefined ? null : h(Request, { id: open.id, key: open.id }),
    review.phase === 'succeeded' ? h('output', { id: 'result' }, `${review.result.by}: ${review.result.text}`) : null,
  );
}

function Request({ id }: { readonly id: string }): ReactElement {
  const request = useApproval<Form, { readonly text: string }>(id);
  const [text, setText] = useState('');
  return h(
    'form',
    { id: 'request', onSubmit: (event: { preventDefault(): void }) => event.preventDefault() },
    h('p', { id: 'shown' }, request.approval?.title, ' ', request.approval?.show.text),
    h('input', {
      id: 'text',
      value: text,
      onChange: (event: { target: { value: string } }) => setText(event.target.value),
    }),
    h('button', {
      id: 'approve',
      disabled: request.deciding,
      onClick: () => void request.approve({ form: { text } }).catch(() => undefined),
    }),
    request.refusal === null ? null : h('p', { id: 'refusal' }, request.refusal.message),
  );
}
