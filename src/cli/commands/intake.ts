/** `eventspine run` and `eventspine publish`: starting work from the command line. */
import type { CloudEvent, StartOptions } from '../../client/index.js';
import type { Duration } from '../../core/duration.js';
import { SpineError } from '../../core/errors.js';
import type { CommandRun, Flags } from '../command.js';
import { exitCodes } from '../exit-codes.js';
import { jsonArgument } from '../json-argument.js';
import { prettyJson, printValue } from '../report.js';
import { clientFor } from '../server-client.js';

/** Starts a run; with `--wait` waits for its result and prints that. */
export const startRun: CommandRun = async (invocation) => {
  const { flags, io, words } = invocation;
  const input = await jsonArgument(words.maybe('input') ?? 'null', 'input', io);
  const client = clientFor(invocation);
  const run = await client.start(words.one('workflow'), input, startOptions(flags));
  if (!flags.truth('wait')) {
    printValue(invocation, { id: run.id, repeated: run.repeated }, () => [
      run.id,
      ...(run.repeated ? ['This idempotency key was known; nothing new was started.'] : []),
    ]);
    return exitCodes.ok.code;
  }
  // With `--json` the standard error output is for errors, and for programs.
  if (!flags.truth('json')) io.err(`${run.id}  waiting; Ctrl-C stops the waiting, not the run`);
  try {
    const output = await run.result({ signal: io.signal });
    printValue(invocation, output, () => prettyJson(output));
    return exitCodes.ok.code;
  } catch (error) {
    if (io.signal.aborted) return exitCodes.interrupted.code;
    throw error;
  }
};

/** Publishes one event. */
export const publishEvent: CommandRun = async (invocation) => {
  const { flags, io, words } = invocation;
  const data = await jsonArgument(words.one('data'), 'data', io);
  const option = (name: string): Record<string, string> => {
    const value = flags.text(name);
    return value === undefined ? {} : { [name]: value };
  };
  const published = await clientFor(invocation).publish(words.one('topic'), data as CloudEvent, {
    ...option('id'),
    ...option('key'),
    ...option('type'),
    ...option('subject'),
    ...option('source'),
  });
  printValue(invocation, published, () => [
    `${published.id}  ${published.duplicate ? 'was there already; nothing was recorded' : 'published'}`,
    ...published.runs.map((run) => `started ${run}`),
  ]);
  return exitCodes.ok.code;
};

function startOptions(flags: Flags): StartOptions {
  const key = flags.text('key');
  const delay = flags.text('delay');
  const startAt = flags.text('at');
  const notify = flags.text('notify');
  return {
    ...(key === undefined ? {} : { idempotencyKey: key }),
    ...labelsOf(flags),
    // Whatever it is, the client refuses what is no duration.
    ...(delay === undefined ? {} : { delay: delay as Duration }),
    ...(startAt === undefined ? {} : { startAt }),
    ...(notify === undefined ? {} : { notify }),
  };
}

/** The labels given by `--label`, if any. */
export function labelsOf(flags: Flags): { readonly labels?: Readonly<Record<string, string>> } {
  const labels = flags.list('label').map((label) => {
    const colon = label.indexOf(':');
    if (colon < 1)
      throw new SpineError('COMMAND_INVALID', { reason: `A label is written name:value, not "${label}".` });
    return [label.slice(0, colon), label.slice(colon + 1)] as const;
  });
  return labels.length === 0 ? {} : { labels: Object.fromEntries(labels) };
}
