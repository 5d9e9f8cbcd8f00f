/** `eventspine schedules list | show | put | pause | resume | trigger | delete`. */
import type { PageList } from '../../client/index.js';
import type { ScheduleView, TickView } from '../../protocol/http.js';
import type { CommandRun, Flags, Invocation } from '../command.js';
import { exitCodes } from '../exit-codes.js';
import { jsonArgument } from '../json-argument.js';
import { printList, printValue } from '../report.js';
import { clientFor } from '../server-client.js';
import { renderPairs, renderTable } from '../table.js';
import { ago, span } from '../words.js';
import { labelsOf } from './intake.js';
import { printAnswer, take } from './runs.js';

/** Lists schedules with what comes next and what came last. */
export const listSchedules: CommandRun = async (invocation) => {
  const list: PageList<ScheduleView> = clientFor(invocation).schedules.list();
  const now = Date.now();
  printList(invocation, await take(list, invocation.flags.number('limit') ?? 50), {
    header: ['SCHEDULE', 'STARTS', 'WHEN', 'NEXT', 'LAST', 'STARTED'],
    row: (schedule) => [
      schedule.name,
      schedule.start,
      whenText(schedule),
      schedule.pausedAt === null ? (schedule.next[0] ?? 'never') : 'paused',
      lastText(schedule.recent[0], now),
      String(schedule.counts.started),
    ],
    empty: 'No schedules. An app brings its own along; `eventspine schedules put` makes one here.',
  });
  return exitCodes.ok.code;
};

/** Shows a schedule. */
export const showSchedule: CommandRun = async (invocation) => {
  const schedule = await clientFor(invocation).schedules.get(invocation.words.one('schedule'));
  printSchedule(invocation, schedule);
  return exitCodes.ok.code;
};

/** Adds a schedule or replaces its definition. */
export const putSchedule: CommandRun = async (invocation) => {
  const { flags, io, words } = invocation;
  const given = words.maybe('input');
  const input = given === undefined ? {} : { input: await jsonArgument(given, 'input', io) };
  const request = { start: words.one('workflow'), ...input, ...optionsOf(flags) };
  printSchedule(invocation, await clientFor(invocation).schedules.put(words.one('schedule'), request));
  return exitCodes.ok.code;
};

/** Pauses a schedule. */
export const pauseSchedule: CommandRun = async (invocation) => {
  const reason = invocation.flags.text('reason');
  const options = reason === undefined ? {} : { reason };
  return printAnswer(
    invocation,
    await clientFor(invocation).schedules.pause(invocation.words.one('schedule'), options),
  );
};

/** Lets a paused schedule tick again. */
export const resumeSchedule: CommandRun = async (invocation) =>
  printAnswer(invocation, await clientFor(invocation).schedules.resume(invocation.words.one('schedule')));

/** Starts a run of a schedule now. */
export const triggerSchedule: CommandRun = async (invocation) => {
  const key = invocation.flags.text('key');
  const options = key === undefined ? {} : { idempotencyKey: key };
  const run = await clientFor(invocation).schedules.trigger(invocation.words.one('schedule'), options);
  printValue(invocation, { id: run.id, repeated: run.repeated }, () => [run.id]);
  return exitCodes.ok.code;
};

/** Removes a schedule. */
export const deleteSchedule: CommandRun = async (invocation) => {
  const name = invocation.words.one('schedule');
  await clientFor(invocation).schedules.delete(name);
  printValue(invocation, { name, deleted: true }, () => [`${name}  deleted`]);
  return exitCodes.ok.code;
};

function optionsOf(flags: Flags): Record<string, unknown> {
  const options: Record<string, unknown> = {};
  const texts = {
    cron: 'cron',
    zone: 'timeZone',
    every: 'every',
    'catch-up': 'catchUp',
    jitter: 'jitter',
    overlap: 'overlap',
  };
  for (const [flag, option] of Object.entries(texts)) {
    const value = flags.text(flag);
    if (value !== undefined) options[option] = value;
  }
  const numbers = { 'catch-up-max': 'catchUpMax', 'queue-max': 'queueMax', priority: 'priority' };
  for (const [flag, option] of Object.entries(numbers)) {
    const value = flags.number(flag);
    if (value !== undefined) options[option] = value;
  }
  return { ...options, ...labelsOf(flags) };
}

function printSchedule(invocation: Invocation, schedule: ScheduleView): void {
  printValue(invocation, schedule, () => {
    const { counts, recent } = schedule;
    const lines = renderPairs([
      ['schedule', schedule.name],
      ['starts', schedule.start],
      ['when', whenText(schedule)],
      ...(schedule.jitterMs === 0 ? [] : [['jitter', `up to ${span(schedule.jitterMs)} later`] as const]),
      ['missed ticks', schedule.catchUp === 'all' ? `all, at most ${schedule.catchUpMax}` : schedule.catchUp],
      ['overlap', schedule.overlap === 'queue' ? `queue, at most ${schedule.queueMax}` : schedule.overlap],
      ['input', JSON.stringify(schedule.input)],
      ['defined by', schedule.app === null ? 'a request' : `app ${schedule.app}`],
      ...(schedule.pausedAt === null
        ? schedule.next.map((at, i) => [i === 0 ? 'next' : '', at] as const)
        : [['paused', [schedule.pausedAt, schedule.pauseReason ?? ''].join('  ')] as const]),
      ...schedule.waiting.map((at) => ['waiting', at] as const),
      ...schedule.running.map((run) => ['running', run] as const),
      ['so far', `${counts.started} started, ${counts.skipped} skipped, ${counts.missed} times missed`],
    ]);
    if (recent.length === 0) return lines;
    const rows = recent.map((tick) => [
      tick.to === undefined ? tick.tick : `${tick.tick} to ${tick.to}`,
      tick.outcome,
      tick.run ?? '',
      tick.reason ?? '',
    ]);
    return [...lines, '', ...renderTable(['TICK', 'OUTCOME', 'RUN', 'WHY'], rows)];
  });
}

function whenText({ cron, timeZone, everyMs }: ScheduleView): string {
  return everyMs === null ? `${cron ?? ''} (${timeZone ?? 'UTC'})` : `every ${span(everyMs)}`;
}

function lastText(tick: TickView | undefined, now: number): string {
  return tick === undefined ? '' : `${tick.outcome} ${ago(tick.at, now)} ago`;
}
