/**
 * When a schedule ticks: the instants of a cron expression in a time zone, or of an interval. Pure: the same rule gives
 * the same instants on every server, whatever was asked before.
 *
 * Cron expressions are read by `croner` (docs/adr/0019), which knows daylight-saving time: a time of day that a day does
 * not have ticks when the clock has jumped over it, and one that a day has twice ticks the first time; an expression
 * with `*` or steps in seconds, minutes or hours is taken for an interval and ticks by the clock on the wall as it goes.
 */
import { Cron } from 'croner';
import { isoOf } from '../instant.js';

/** The rule: a cron expression in a time zone, or every so many ms counted from 1970-01-01T00:00Z. */
export type Cadence = { readonly cron: string; readonly timeZone: string } | { readonly everyMs: number };

/** The instants of a rule, epoch ms. */
export interface Ticks {
  /** The first after an instant; null = there is none. */
  next(after: number): number | null;
  /** The last `count` of those after `after` and not after `to`, oldest first. Costs as many looks as it gives instants. */
  latest(count: number, after: number, to: number): number[];
}

/** The instants of a rule that has no faults. */
export function ticksOf(cadence: Cadence): Ticks {
  return 'everyMs' in cadence ? intervalTicks(cadence.everyMs) : cronTicks(cadence.cron, cadence.timeZone);
}

/** What is wrong with a cron expression, in words; null = nothing. */
export function cronFault(cron: string): string | null {
  const parts = cron.trim().split(/\s+/).length;
  // The parser also takes single instants, which are not a rule.
  if (!(cron.startsWith('@') || parts === 5 || parts === 6))
    return 'it has not five fields (minute, hour, day, month, weekday), or six with the seconds first';
  try {
    return new Cron(cron, options('UTC')).nextRun('1970-01-01T00:00:00.000Z') === null ? 'it never ticks' : null;
  } catch (error) {
    return error instanceof Error ? error.message.replace(/^CronPattern: /, '') : String(error);
  }
}

/** Whether the runtime knows the time zone, by its name in the IANA database. */
export function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}

function intervalTicks(everyMs: number): Ticks {
  const floor = (at: number): number => Math.floor(at / everyMs) * everyMs;
  return {
    next: (after) => floor(after) + everyMs,
    latest: (count, after, to) => {
      const found: number[] = [];
      for (let at = floor(to); at > after && found.length < count; at -= everyMs) found.unshift(at);
      return found;
    },
  };
}

function cronTicks(cron: string, timeZone: string): Ticks {
  const rule = compiled(cron, timeZone);
  const next = (after: number): number | null => {
    const at = rule.nextRun(isoOf(after))?.getTime() ?? null;
    if (at !== null && at <= after) throw new Error(`Invariant broken: "${cron}" does not go on after ${isoOf(after)}`);
    return at;
  };
  return {
    next,
    latest: (count, after, to) => {
      // Nearly always there is one, and then going on is cheaper than going back as far as is asked for.
      const few: number[] = [];
      for (let at = next(after); few.length <= fewMax; at = next(at)) {
        if (at === null || at > to) return few.slice(-count);
        few.push(at);
      }
      // What is asked of the parser is exclusive, and it counts in seconds.
      const end = Math.floor(to / 1_000) * 1_000 + 1_000;
      const found = rule.previousRuns(count, isoOf(end)).map((at) => at.getTime());
      return found.filter((at) => at > after && at <= to).reverse();
    },
  };
}

/** Instants looked at one by one before the parser is asked to go back from the end. */
const fewMax = 8;

/** Compiled rules; all go when there are too many, and those in use are soon there again. */
const rules = new Map<string, Cron>();
const rulesMax = 1_000;

function compiled(cron: string, timeZone: string): Cron {
  const key = `${timeZone} ${cron}`;
  const found = rules.get(key);
  if (found !== undefined) return found;
  if (rules.size >= rulesMax) rules.clear();
  const made = new Cron(cron, options(timeZone));
  rules.set(key, made);
  return made;
}

/** Nothing is started by the parser: it is given no function and no clock of its own is asked. */
function options(timezone: string) {
  return { timezone, paused: true, mode: '5-or-6-parts', fixedTimeRule: 'no-wildcard' } as const;
}
