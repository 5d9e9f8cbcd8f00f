/** `eventspine dead-letters list | show | redrive | edit | correct | corrections | discard`, and `eventspine redrives list | show | cancel`. */
import { correctionTopic } from '../../core/manifest.js';
import { SpineError } from '../../core/errors.js';
import { durationMs, type Duration } from '../../core/duration.js';
import type {
  DeadLetterDetail,
  DeadLetterFilter,
  RedriveRequest,
  RedriveView,
  TrailItem,
} from '../../protocol/http.js';
import type { CommandRun, Flags, Invocation } from '../command.js';
import { exitCodes } from '../exit-codes.js';
import { jsonArgument } from '../json-argument.js';
import { printList, printValue } from '../report.js';
import { clientFor } from '../server-client.js';
import { renderPairs, renderTable } from '../table.js';
import { ago } from '../words.js';
import { take } from './runs.js';

/** Lists what ran out of attempts, newest first. */
export const listDeadLetters: CommandRun = async (invocation) => {
  const { flags } = invocation;
  const now = Date.now();
  const list = clientFor(invocation).deadLetters.list(filterOf(flags, now));
  printList(invocation, await take(list, flags.number('limit') ?? 50), {
    header: ['DEAD LETTER', 'RUN', 'WORKFLOW', 'STEP', 'CLASS', 'AGE', 'MESSAGE'],
    row: (letter) => [
      letter.id,
      letter.run,
      letter.workflow,
      letter.path ?? '(body)',
      letter.class,
      ago(letter.at, now),
      letter.message,
    ],
    empty: 'No dead letters.',
  });
  return exitCodes.ok.code;
};

/** Shows one: why it died, what to do about it, and the trail of what was tried. */
export const showDeadLetter: CommandRun = async (invocation) => {
  const letter = await clientFor(invocation).deadLetters.get(invocation.words.one('dead-letter'));
  printValue(invocation, letter, () => [
    ...renderPairs([
      ['dead letter', letter.id],
      ['run', letter.run],
      ['workflow', letter.workflow],
      ['step', letter.path ?? '(the body)'],
      ['failure', `${letter.class} (${letter.code}): ${letter.message}`],
      ['attempts', String(letter.attempts)],
      ['since', letter.at],
      ...triageLines(letter),
      ['what to do', letter.remedy.text],
      ['redrive may help', letter.remedy.redriveMayHelp ? 'yes' : 'not by itself'],
      ['input can be edited', letter.notEditable === null ? 'yes' : `no: ${letter.notEditable}`],
    ]),
    '',
    ...renderTable(['WHEN', 'WHAT', 'ATTEMPT', 'DETAIL'], letter.trail.map(trailRow)),
  ]);
  return exitCodes.ok.code;
};

function triageLines({ confidence, reason, remedy }: DeadLetterDetail): [string, string][] {
  const sure = confidence === null ? [] : [['confidence', confidence.toFixed(2)] as [string, string]];
  return [...sure, ...(reason === null ? [] : [['reason', reason] as [string, string]]), ['remedy', remedy.name]];
}

function trailRow({ at, what, attempt, failure, remedy, retryAt, by, reason }: TrailItem): string[] {
  const failed = failure === null ? '' : `${failure.class} (${failure.code}): ${failure.message}`;
  const person = by === null ? '' : `by ${by}${reason === null ? '' : `: ${reason}`}`;
  const done = remedy === null ? '' : `; ${remedy.text}`;
  const later = retryAt === null ? '' : `; again at ${retryAt}`;
  return [at, what.replace('_', ' '), attempt === null ? '' : String(attempt), `${failed}${done}${later}${person}`];
}

/** Sends runs back to work: those of the letters given, or all that the flags mean. Stops at the first that is refused. */
export const redriveDeadLetters: CommandRun = async (invocation) => {
  const client = clientFor(invocation);
  const ids = invocation.words.all('dead-letter');
  const reason = invocation.flags.text('reason');
  if (ids.length === 0) return redriveMany(invocation);
  const options = reason === undefined ? {} : { reason };
  for (const id of ids) {
    const answer = await client.deadLetters.redrive(id, options);
    printValue(invocation, answer, () => [`${id}  redriven`]);
  }
  return exitCodes.ok.code;
};

async function redriveMany(invocation: Invocation): ReturnType<CommandRun> {
  const { flags } = invocation;
  const client = clientFor(invocation);
  const filter = filterOf(flags, Date.now());
  // All of them is meant only where that is said.
  if (Object.keys(filter).length === 0 && !flags.truth('all'))
    throw new SpineError('COMMAND_INVALID', {
      reason: 'Give ids of dead letters, or say which by --class, --workflow, --step, --since or --text, or --all.',
    });
  if (flags.truth('dry-run')) {
    const found = await client.deadLetters.count(filter);
    printValue(invocation, found, () => [`${found.more ? 'more than ' : ''}${found.count} would be redriven`]);
    return exitCodes.ok.code;
  }
  const rate = flags.text('rate');
  const reason = flags.text('reason');
  const request: RedriveRequest = {
    filter,
    ...(rate === undefined ? {} : { ratePerSecond: rateOf(rate) }),
    ...(reason === undefined ? {} : { reason }),
  };
  printRedrive(invocation, await client.redrives.begin(request));
  return exitCodes.ok.code;
}

/** Gives what failed another input and sends its run back to work. */
export const editDeadLetter: CommandRun = async (invocation) => {
  const { flags, io, words } = invocation;
  const id = words.one('dead-letter');
  const input = await jsonArgument(words.one('input'), 'input', io);
  const reason = flags.text('reason');
  if (reason === undefined) throw new SpineError('COMMAND_INVALID', { reason: 'Say why with --reason.' });
  const answer = await clientFor(invocation).deadLetters.edit(id, { input, reason });
  printValue(invocation, answer, () => [`${id}  edited and redriven`]);
  return exitCodes.ok.code;
};

/** Says which class a failure really has. */
export const correctDeadLetter: CommandRun = async (invocation) => {
  const id = invocation.words.one('dead-letter');
  const label = invocation.flags.text('label');
  const reason = invocation.flags.text('reason');
  if (label === undefined) throw new SpineError('COMMAND_INVALID', { reason: 'Say the class with --label.' });
  const correction = { label, ...(reason === undefined ? {} : { reason }) };
  const answer = await clientFor(invocation).deadLetters.correct(id, correction);
  printValue(invocation, answer, () => [
    `${id}  ${answer.outcome === 'done' ? 'corrected' : 'was corrected so before'}`,
  ]);
  return exitCodes.ok.code;
};

/** Prints the corrections, one JSON object a line. */
export const exportCorrections: CommandRun = async (invocation) => {
  for await (const { event } of clientFor(invocation).topics.events(correctionTopic.name))
    invocation.io.out(JSON.stringify(event['data']));
  return exitCodes.ok.code;
};

/** Lists redrives of many. */
export const listRedrives: CommandRun = async (invocation) => {
  const redrives = await clientFor(invocation).redrives.list();
  const now = Date.now();
  printList(invocation, redrives, {
    header: ['REDRIVE', 'STATE', 'REDRIVEN', 'GONE', 'REFUSED', 'OF', 'AGE', 'BY'],
    row: (redrive) => [
      redrive.id,
      redrive.state,
      String(redrive.redriven),
      String(redrive.gone),
      String(redrive.refused),
      redrive.total === null ? 'many' : String(redrive.total),
      ago(redrive.createdAt, now),
      redrive.by,
    ],
    empty: 'No redrives of many. `eventspine dead-letters redrive` with a filter begins one.',
  });
  return exitCodes.ok.code;
};

/** Shows how far a redrive of many is. */
export const showRedrive: CommandRun = async (invocation) => {
  printRedrive(invocation, await clientFor(invocation).redrives.get(invocation.words.one('redrive')));
  return exitCodes.ok.code;
};

/** Lets a redrive of many take no further letters. */
export const cancelRedrive: CommandRun = async (invocation) => {
  const id = invocation.words.one('redrive');
  const answer = await clientFor(invocation).redrives.cancel(id);
  printValue(invocation, answer, () => [`${id}  ${answer.outcome === 'done' ? 'cancelled' : 'had ended'}`]);
  return exitCodes.ok.code;
};

function printRedrive(invocation: Invocation, redrive: RedriveView): void {
  printValue(invocation, redrive, () =>
    renderPairs([
      ['redrive', redrive.id],
      ['state', redrive.state],
      [
        'filter',
        Object.entries(redrive.filter)
          .map(([name, value]) => `${name} ${value}`)
          .join(', ') || 'all',
      ],
      ['rate', `${redrive.ratePerSecond}/s`],
      ['by', redrive.reason === null ? redrive.by : `${redrive.by}: ${redrive.reason}`],
      ['redriven', `${redrive.redriven} of ${redrive.total ?? 'many'}`],
      ['gone meanwhile', String(redrive.gone)],
      ['refused', String(redrive.refused)],
      ...redrive.refusals.map((refusal): [string, string] => ['', `${refusal.deadLetter}  ${refusal.message}`]),
      ['since', redrive.createdAt],
      ...(redrive.endedAt === null ? [] : [['ended', redrive.endedAt] as [string, string]]),
    ]),
  );
}

function filterOf(flags: Flags, now: number): DeadLetterFilter {
  const names = ['class', 'workflow', 'step', 'text'] as const;
  const texts = names.flatMap((name) => {
    const text = flags.text(name);
    return text === undefined ? [] : [[name, text] as const];
  });
  const since = flags.text('since');
  return { ...Object.fromEntries(texts), ...(since === undefined ? {} : { since: instantOf(since, now) }) };
}

/** `2h` is two hours ago. */
function instantOf(text: string, now: number): string {
  const ms = durationMs(text as Duration);
  return ms === null ? text : new Date(now - ms).toISOString();
}

/** `50` and `50/s` are the same. */
function rateOf(text: string): number {
  const [, number] = /^(\d+(?:\.\d+)?)(?:\/s)?$/.exec(text) ?? [];
  if (number === undefined) throw new SpineError('COMMAND_INVALID', { reason: `--rate ${text} is not like 50/s.` });
  return Number(number);
}

/** Gives up on dead letters. */
export const discardDeadLetters: CommandRun = async (invocation) => {
  const client = clientFor(invocation);
  for (const id of invocation.words.all('dead-letter')) {
    await client.deadLetters.discard(id);
    printValue(invocation, { id, outcome: 'discarded' }, () => [`${id}  discarded`]);
  }
  return exitCodes.ok.code;
};
