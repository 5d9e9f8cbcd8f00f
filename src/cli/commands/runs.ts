/** `eventspine runs list | show | export | cancel | retry | migrate`. */
import type { PageList } from '../../client/index.js';
import { SpineError } from '../../core/errors.js';
import type { BulkAnswer, CommandAnswer, RunSummary, RunView } from '../../protocol/http.js';
import { type RunViewState, runViewStates } from '../../protocol/http.js';
import type { CommandRun, Invocation } from '../command.js';
import { type ExitCode, exitCodes } from '../exit-codes.js';
import { momentFlag } from '../moment.js';
import { printList, printValue } from '../report.js';
import { clientFor } from '../server-client.js';
import { didYouMean } from '../suggest.js';
import { renderPairs, renderTable } from '../table.js';
import { ago } from '../words.js';

/** Lists runs, newest first. */
export const listRuns: CommandRun = async (invocation) => {
  const { flags } = invocation;
  const text = (name: string): Record<string, string> => {
    const value = flags.text(name);
    return value === undefined ? {} : { [name === 'class' ? 'failureClass' : name]: value };
  };
  const states = flags.list('state').map(stateOf);
  const list = clientFor(invocation).runs.list({
    ...(states.length === 0 ? {} : { state: states }),
    ...text('workflow'),
    ...text('version'),
    ...text('class'),
    ...text('label'),
    ...(flags.truth('oldest') ? { order: 'oldest' as const } : {}),
  });
  const now = Date.now();
  printList(invocation, await take(list, flags.number('limit') ?? 50), {
    header: ['RUN', 'WORKFLOW', 'STATE', 'STARTED', 'EVENTS', 'FAILURE'],
    row: (run) => [
      run.id,
      run.version === null ? run.workflow : `${run.workflow}@${run.version}`,
      run.state,
      ago(run.startedAt, now),
      String(run.events),
      run.failure === null ? '' : `${run.failure.class}: ${run.failure.message}`,
    ],
    empty: 'No runs match.',
  });
  return exitCodes.ok.code;
};

/** Shows one run: the five questions, answered. */
export const showRun: CommandRun = async (invocation) => {
  const client = clientFor(invocation);
  const at = momentFlag(invocation.flags, Date.now());
  const run = await client.runs.get(invocation.words.one('run'), at === undefined ? {} : { at });
  printValue(invocation, run, () => runText(run, Date.now()));
  return exitCodes.ok.code;
};

/** Prints what is needed to replay a run; the same with and without `--json`. */
export const exportRun: CommandRun = async (invocation) => {
  const history = await clientFor(invocation).runs.export(invocation.words.one('run'));
  invocation.io.out(JSON.stringify(history));
  return exitCodes.ok.code;
};

/** Cancels runs. */
export const cancelRuns: CommandRun = async (invocation) => {
  const reason = invocation.flags.text('reason');
  const options = reason === undefined ? {} : { reason };
  const client = clientFor(invocation);
  const ids = invocation.words.all('run');
  const [only] = ids;
  if (only !== undefined && ids.length === 1) return printAnswer(invocation, await client.runs.cancel(only, options));
  return printAnswers(invocation, await client.runs.cancel(ids, options));
};

/** Retries runs from what failed. */
export const retryRuns: CommandRun = async (invocation) => {
  const client = clientFor(invocation);
  const ids = invocation.words.all('run');
  const [only] = ids;
  if (only !== undefined && ids.length === 1) return printAnswer(invocation, await client.runs.retry(only));
  return printAnswers(invocation, await client.runs.retry(ids));
};

/** Moves runs to another version of their workflow. */
export const migrateRuns: CommandRun = async (invocation) => {
  const { flags, words } = invocation;
  const version = flags.text('to');
  if ((version === undefined) !== flags.truth('unversioned'))
    throw new SpineError('COMMAND_INVALID', {
      reason: 'Say where the runs go: either --to <version> or --unversioned.',
    });
  const to = version ?? null;
  const client = clientFor(invocation);
  const ids = words.all('run');
  const [only] = ids;
  if (only !== undefined && ids.length === 1) return printAnswer(invocation, await client.runs.migrate(only, to));
  return printAnswers(invocation, await client.runs.migrate(ids, to));
};

/** The first items of a list. */
export async function take<T>(list: PageList<T>, count: number): Promise<T[]> {
  const taken: T[] = [];
  if (count === 0) return taken;
  for await (const item of list) {
    taken.push(item);
    if (taken.length >= count) break;
  }
  return taken;
}

/** Prints the answer to one command. */
export function printAnswer(invocation: Invocation, answer: CommandAnswer): ExitCode {
  printValue(invocation, answer, () => [`${answer.id}  ${answer.outcome === 'done' ? 'done' : 'nothing left to do'}`]);
  return exitCodes.ok.code;
}

function printAnswers(invocation: Invocation, answer: BulkAnswer): ExitCode {
  printList(invocation, answer.items, {
    header: ['RUN', 'OUTCOME'],
    row: (item) => [item.id, 'error' in item ? `${item.error.code}: ${item.error.detail}` : item.outcome],
    empty: 'No runs were given.',
  });
  return answer.items.some((item) => 'error' in item) ? exitCodes.failed.code : exitCodes.ok.code;
}

function stateOf(given: string): RunViewState {
  const found = runViewStates.find((state) => state === given);
  if (found !== undefined) return found;
  const reason = `There is no state "${given}"; there are ${runViewStates.join(', ')}.${didYouMean(given, runViewStates)}`;
  throw new SpineError('COMMAND_INVALID', { reason });
}

function runText(run: RunView, now: number): string[] {
  const lines = renderPairs([
    ['run', run.id],
    ['workflow', run.version === null ? run.workflow : `${run.workflow} (version ${run.version})`],
    ['state', run.state],
    ['started', `${run.startedAt} (${ago(run.startedAt, now)} ago)`],
    ...(run.endedAt === null ? [] : [['ended', run.endedAt] as const]),
    ...failureText(run),
    ...run.waitingFor.map((wait) => ['waiting for', wait.text] as const),
    ['can be retried', retryText(run)],
    ...(run.deadLetter === null ? [] : [['needs a person', `dead letter ${run.deadLetter}`] as const]),
    ...(run.progress === null || run.progress === undefined
      ? []
      : [['progress', JSON.stringify(run.progress)] as const]),
    ...Object.entries(run.labels).map(([name, value]) => [`label ${name}`, value] as const),
  ]);
  if (run.steps.length === 0) return lines;
  const rows = run.steps.map((step) => [
    step.path,
    step.kind,
    step.status,
    String(step.attempt),
    step.capability ?? '',
  ]);
  return [...lines, '', ...renderTable(['STEP', 'KIND', 'STATUS', 'ATTEMPT', 'CAPABILITY'], rows)];
}

function failureText(run: RunSummary): (readonly [string, string])[] {
  if (run.failure === null) return [];
  const { class: failureClass, code, message } = run.failure;
  return [['failure', `${failureClass} (${code}): ${message}`]];
}

function retryText(run: RunView): string {
  if (!run.retry.possible) return 'no';
  return run.retry.from.length === 0 ? 'yes' : `yes, from ${run.retry.from.join(', ')}`;
}
