/**
 * What a schedule is, as data: read out of what people write (in code, over HTTP), with all faults at once. The same
 * reader for both, so that neither can say what the other cannot.
 */
import { encodeValue } from '../codec.js';
import { durationMs, type Duration } from '../duration.js';
import { isSpineError } from '../errors.js';
import { limits } from '../limits.js';
import { exceedsUtf8 } from '../utf8.js';
import { cronFault, isTimeZone, ticksOf, type Cadence } from './ticks.js';
import { catchUps, overlaps, type CatchUp, type Overlap } from './words.js';

/** How a schedule is described, whoever describes it. `start` names the workflow. */
export interface ScheduleOptions<Input = unknown> {
  /**
   * When: five fields (minute, hour, day of the month, month, weekday), or six with the seconds first; or `@hourly`,
   * `@daily`, `@weekly`, `@monthly`, `@yearly`. Either this or `every`.
   */
  readonly cron?: string;
  /** IANA name of the time zone of `cron`, e.g. `Europe/Berlin`. Default `UTC`. */
  readonly timeZone?: string;
  /** Every so often, counted from 1970-01-01T00:00Z: `15m` ticks on the quarter hours. At least a second. */
  readonly every?: Duration;
  /** Input of each run. Default: null. At most 16 KiB, encoded. */
  readonly input?: Input;
  /** Ticks missed while no server could see to them. Default `one`: the latest is made up for, the others are not. */
  readonly catchUp?: CatchUp;
  /** With `catchUp: "all"`: at most so many, the latest. 1 to 1000, default 100. */
  readonly catchUpMax?: number;
  /** Starts each run up to so much later, by a delay that the tick alone decides; never as late as the next tick. Default 0. */
  readonly jitter?: Duration;
  /**
   * A tick while an earlier run of the schedule goes on. Default `skip`: it starts nothing. `allow`: another run;
   * `queue`: one when the earlier has ended; `cancel`: the same, and the earlier is cancelled.
   */
  readonly overlap?: Overlap;
  /** With `overlap: "queue"`: ticks that may wait; further ones are skipped. 1 to 100, default 1. */
  readonly queueMax?: number;
  /** Labels of each run, beside `schedule` and `tick`. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Priority of each run. Default: that of the workflow. */
  readonly priority?: number;
}

/** A schedule as manifests and stores keep it. */
export interface ScheduleSpec {
  readonly workflow: string;
  readonly cadence: Cadence;
  /** Encoded input, `json/1`. */
  readonly input: string;
  readonly catchUp: CatchUp;
  readonly catchUpMax: number;
  readonly jitterMs: number;
  readonly overlap: Overlap;
  readonly queueMax: number;
  readonly labels: Readonly<Record<string, string>> | null;
  readonly priority: number | null;
}

/** Names of the options beside those that name the workflow. */
export const scheduleOptionNames = [
  'cron',
  'timeZone',
  'every',
  'input',
  'catchUp',
  'catchUpMax',
  'jitter',
  'overlap',
  'queueMax',
  'labels',
  'priority',
] as const;

/** Labels that each run of a schedule has: its schedule, and the instant of its tick (ISO 8601). */
export const scheduleLabels = { schedule: 'schedule', tick: 'tick' } as const;

/** Reads options that may be anything, and hands each fault to `add`; with faults, the result is of no use. */
export function readSchedule(
  workflow: string,
  given: { readonly [K in keyof ScheduleOptions]?: unknown },
  add: (fault: string) => void,
): ScheduleSpec {
  return {
    workflow,
    cadence: readCadence(given, add),
    input: readInput(given.input, add),
    catchUp: oneOf('catchUp', given.catchUp, catchUps, 'one', add),
    catchUpMax: whole('catchUpMax', given.catchUpMax, [1, limits.scheduleCatchUpMax], catchUpDefault, add),
    jitterMs: readJitter(given.jitter, add),
    overlap: oneOf('overlap', given.overlap, overlaps, 'skip', add),
    queueMax: whole('queueMax', given.queueMax, [1, limits.scheduleQueueMax], 1, add),
    labels: readLabels(given.labels, add),
    priority: given.priority === undefined ? null : whole('priority', given.priority, [0, limits.priorityMax], 0, add),
  };
}

/** What is wrong with a spec that came from outside as data (a manifest of any worker); empty = nothing. */
export function specFaults(spec: unknown): string[] {
  if (typeof spec !== 'object' || spec === null) return ['it is not an object'];
  const faults: string[] = [];
  const add = (fault: string): unknown => faults.push(fault);
  const { workflow, cadence, input, jitterMs, labels, priority, ...rest } = spec as Partial<
    Record<keyof ScheduleSpec, unknown>
  >;
  if (typeof workflow !== 'string' || workflow === '') add('workflow is not a text');
  const { everyMs, ...times } = (typeof cadence === 'object' && cadence !== null ? cadence : {}) as {
    readonly everyMs?: unknown;
  };
  const read = readSchedule(
    '',
    {
      ...rest,
      ...times,
      ...(everyMs === undefined ? {} : { every: everyMs }),
      jitter: jitterMs,
      ...(labels === null ? {} : { labels }),
      ...(priority === null ? {} : { priority }),
    },
    add,
  );
  if (typeof input !== 'string' || exceedsUtf8(input, limits.inlinePayloadBytesMax))
    add('input is not an encoded value');
  // Absent is not the default here: another server might have another one.
  for (const name of ['catchUp', 'catchUpMax', 'overlap', 'queueMax'] as const)
    if (read[name] !== rest[name]) add(`${name} is missing`);
  return faults;
}

const catchUpDefault = 100;

function readCadence(
  given: { readonly [K in keyof ScheduleOptions]?: unknown },
  add: (fault: string) => void,
): Cadence {
  const { cron, every, timeZone = 'UTC' } = given;
  if ((cron === undefined) === (every === undefined)) add('give either cron or every');
  if (cron === undefined) {
    if (given.timeZone !== undefined) add('timeZone goes with cron alone: an interval knows no time of day');
    const everyMs = every === undefined ? limits.scheduleEveryMsMin : durationMs(every);
    if (everyMs !== null && everyMs >= limits.scheduleEveryMsMin) return { everyMs };
    add('every is not a duration of at least a second, such as "15m" or "1d"');
    return { everyMs: limits.scheduleEveryMsMin };
  }
  const isZone = typeof timeZone === 'string' && timeZone !== '' && isTimeZone(timeZone);
  if (!isZone) add(`timeZone is not the name of a time zone, such as "Europe/Berlin"`);
  if (typeof cron !== 'string' || cron.length > limits.scheduleCronLengthMax) {
    add(`cron is not a text of at most ${limits.scheduleCronLengthMax} characters`);
    return { cron: '@daily', timeZone: 'UTC' };
  }
  const fault = cronFault(cron);
  if (fault !== null) add(`cron "${cron}" is not valid: ${fault}`);
  return { cron, timeZone: isZone ? timeZone : 'UTC' };
}

function readInput(given: unknown, add: (fault: string) => void): string {
  try {
    const { text } = encodeValue(given ?? null);
    if (!exceedsUtf8(text, limits.inlinePayloadBytesMax)) return text;
    add(`input is larger than ${limits.inlinePayloadBytesMax} bytes; store it elsewhere and give a reference`);
  } catch (error) {
    if (!isSpineError(error)) throw error;
    add(`input: ${error.message}`);
  }
  return 'null';
}

function readJitter(given: unknown, add: (fault: string) => void): number {
  const ms = durationMs(given ?? 0);
  if (ms !== null) return ms;
  add('jitter is not a duration, such as "30s"');
  return 0;
}

function readLabels(given: unknown, add: (fault: string) => void): Readonly<Record<string, string>> | null {
  if (given === undefined) return null;
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    add('labels is not an object of texts');
    return null;
  }
  const pairs = Object.entries(given as Readonly<Record<string, unknown>>);
  const most = limits.labelsMax - Object.keys(scheduleLabels).length;
  if (pairs.length > most) add(`there are more than ${most} labels`);
  for (const [name, value] of pairs) {
    if (name in scheduleLabels) add(`the label "${name}" is set by the schedule itself`);
    const fits = name !== '' && name.length <= limits.labelNameLengthMax;
    if (!fits || typeof value !== 'string' || value.length > limits.labelValueLengthMax)
      add(`label "${name.slice(0, 40)}" is not a text of at most ${limits.labelValueLengthMax} characters`);
  }
  return given as Readonly<Record<string, string>>;
}

function oneOf<T extends string>(
  name: string,
  given: unknown,
  known: readonly T[],
  fallback: T,
  add: (fault: string) => void,
): T {
  if (given === undefined) return fallback;
  const found = known.find((one) => one === given);
  if (found === undefined) add(`${name} must be one of ${known.join(', ')}`);
  return found ?? fallback;
}

function whole(
  name: string,
  given: unknown,
  [min, max]: readonly [number, number],
  fallback: number,
  add: (fault: string) => void,
): number {
  if (given === undefined) return fallback;
  if (Number.isInteger(given) && Number(given) >= min && Number(given) <= max) return Number(given);
  add(`${name} must be a whole number from ${min} to ${max}`);
  return fallback;
}

/** The next few instants of a spec after one, for people. */
export function upcoming(spec: ScheduleSpec, after: number, count: number): number[] {
  const ticks = ticksOf(spec.cadence);
  const found: number[] = [];
  let at: number | null = after;
  while (found.length < count && (at = ticks.next(at)) !== null) found.push(at);
  return found;
}
