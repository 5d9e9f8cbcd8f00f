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
    retry: retryable(view, deadLetter),
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
  // A step that is under way for the first time has left no event: "4 of 4" would look like the end.
  const share = view.endedAt === null ? `${done.length}` : `${done.length} of ${view.steps.length}`;
  return `${share} steps: ${listed}`;
}

function retryable(view: RunView, deadLetter: DeadLetterView | null): string {
  const from = view.retry.from.join(', ') || 'where it stopped';
  const hope = deadLetter?.remedy.redriveMayHelp === false ? ', but a retry alone will not help' : '';
  if (view.retry.possible) return `yes, from ${from}; finished steps stay${hope}`;
  if (view.state === 'succeeded') return 'nothing to retry';
  return 'the engine retries by itself; every unfinished step may safely run again';
}

function shown(progress: unknown): string {
  if (typeof progress !== 'object' || progress === null) return 'nothing was reported yet';
  return Object.entries(progress)
    .map(([name, value]) => (typeof value === 'string' ? value : `${name} ${JSON.stringify(value)}`))
    .join(': ')
    .slice(0, 160);
}
