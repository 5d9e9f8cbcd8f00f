/** `eventspine subscriptions pause | resume | seek | replay`. */
import type { StartOption } from '../../core/topics/subscription-options.js';
import type { ReplayAnswer, SeekAnswer } from '../../protocol/http.js';
import type { CommandRun } from '../command.js';
import { exitCodes } from '../exit-codes.js';
import { printValue } from '../report.js';
import { clientFor } from '../server-client.js';
import { printAnswer } from './runs.js';

/** Pauses a subscription. */
export const pauseSubscription: CommandRun = async (invocation) => {
  const reason = invocation.flags.text('reason');
  const options = reason === undefined ? {} : { reason };
  return printAnswer(
    invocation,
    await clientFor(invocation).subscriptions.pause(invocation.words.one('subscription'), options),
  );
};

/** Lets a paused subscription go on. */
export const resumeSubscription: CommandRun = async (invocation) =>
  printAnswer(invocation, await clientFor(invocation).subscriptions.resume(invocation.words.one('subscription')));

/** Sets the cursors of a subscription to another place. */
export const seekSubscription: CommandRun = async (invocation) => {
  const { words, flags } = invocation;
  const partition = flags.number('partition');
  const answer = await clientFor(invocation).subscriptions.seek(
    words.one('subscription'),
    placeOf(words.one('to')),
    partition === undefined ? {} : { partition },
  );
  printValue(invocation, answer, () => [`${answer.name}  set to another place`, ...partitionLines(answer)]);
  return exitCodes.ok.code;
};

/** Sends events that were through a group of their own. */
export const replaySubscription: CommandRun = async (invocation) => {
  const { words, flags } = invocation;
  const [workflow, into] = [flags.text('into'), flags.text('name')];
  const answer = await clientFor(invocation).subscriptions.replay(
    words.one('subscription'),
    placeOf(flags.text('from') ?? 'oldest'),
    {
      dryRun: flags.truth('dry-run'),
      ...(workflow === undefined ? {} : { workflow }),
      ...(into === undefined ? {} : { into }),
    },
  );
  printValue(invocation, answer, () => [headLine(answer), ...partitionLines(answer)]);
  return exitCodes.ok.code;
};

function headLine({ name, into, workflow, events, wanted, isWhole }: ReplayAnswer): string {
  const handled = workflow === null ? 'to be pulled' : `through ${workflow}`;
  if (into !== null) return `${into}  replays up to ${events} events ${handled}`;
  return `${name}  would replay ${wanted ?? 0} of ${events} events ${handled}${isWhole ? '' : ', and there are more'}`;
}

function partitionLines({ partitions }: SeekAnswer): string[] {
  return partitions.map(({ partition, next, head }) => `  partition ${partition}  from ${next} to ${head}`);
}

/** `newest`, `oldest`, the number of an offset, or an instant. */
function placeOf(text: string): StartOption {
  if (text === 'newest' || text === 'oldest') return text;
  return /^\d+$/.test(text) ? { offset: Number(text) } : { at: text };
}
