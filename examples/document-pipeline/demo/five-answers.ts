/** The five questions that anybody may ask of a run at any moment, answered from the API alone. */
import type { DeadLetterView, RunView } from './api-types.ts';

/** A question and its answer. */
export interface FiveAnswers {
  readonly state: string;
  readonly succeeded: string;
  readonly retry: string;
  readonly person: string;
  readonly show: string;
}

/** The five answers of a run as it stands. */
export function fiveAnswers(view: RunView, deadLetter: DeadLetterView | null): FiveAnswers {
  const waits = view.waitingFor.map(({ text }) => text).slice(0, 2);
  return {
    state: [view.state, ...waits].join('; '),
    succeeded: succeeded(view),
    retry: retryable(view),
    person: deadLetter === null ? 'nothing' : `dead letter (${deadLetter.class}): ${deadLetter.remedy.text}`,
    show: shown(view.progress),
  };
}

function succeeded(view: RunView): string {
  const done = view.steps.filter(({ status }) => status === 'completed').map(({ path }) => path);
  if (done.length === 0) return 'no step yet';
  // Items of a fan-out are one thing for a reader.
  const groups = new Map<string, number>();
  for (const path of done) {
    const group = path.split('/')[0]?.replace(/[#:].*$/, '') ?? path;
    groups.set(group, (groups.get(group) ?? 0) + 1);
  }
  const listed = [...groups].map(([group, count]) => (count === 1 ? group : `${group} ×${count}`)).join(', ');
  return `${done.length} of ${view.steps.length} steps: ${listed}`;
}

function retryable(view: RunView): string {
  if (view.retry.possible) return `yes, from ${view.retry.from.join(', ') || 'where it stopped'}; finished steps stay`;
  if (view.state === 'succeeded') return 'nothing to retry';
  return 'the engine retries by itself; every unfinished step may safely run again';
}

function shown(progress: unknown): string {
  return progress === null || progress === undefined
    ? 'nothing was reported yet'
    : JSON.stringify(progress).slice(0, 160);
}
