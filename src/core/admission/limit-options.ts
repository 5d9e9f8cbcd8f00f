/**
 * Limits as people write them, in code and over HTTP, and back: `{ rate: { tokens: 100_000, per: '1m' }, by: ['tenant'] }`.
 */
import { canonicalJson } from '../canonical-json.js';
import { durationMs, type Duration } from '../duration.js';
import { limitDimensions, limitFaults, type LimitDimension, type LimitRule, type LimitSpec } from './limit.js';

/** So many at one time. */
export interface AdaptiveConcurrency {
  readonly max: number;
  /** Fewer where the other side is overloaded, but never less than this. Default: always `max`. */
  readonly min?: number;
}

/** So many requests, or tokens in and out together, per time. */
export type RateOptions = (
  | { readonly requests: number; readonly tokens?: never }
  | { readonly tokens: number; readonly requests?: never }
) & {
  readonly per: Duration;
  /** How many may come at once after a time of rest. Default: as many as come in `per`. */
  readonly burst?: number;
};

/** So much money until the day, the month or the run is over. */
export interface BudgetOptions {
  /** In units of the currency of the prices of models (USD by default), with up to six decimals. */
  readonly amount: number;
  readonly per: 'day' | 'month' | 'run';
  /** IANA name of the zone in which days and months begin. Default `UTC`. */
  readonly timeZone?: string;
}

/** What a limit allows (exactly one of the three), and what it is counted by. */
export type LimitOptions = (
  | { readonly concurrency: number | AdaptiveConcurrency; readonly rate?: never; readonly budget?: never }
  | { readonly rate: RateOptions; readonly concurrency?: never; readonly budget?: never }
  | { readonly budget: BudgetOptions; readonly concurrency?: never; readonly rate?: never }
) & {
  /** Counted apart for each combination of these. Default: one counter for everything. */
  readonly by?: readonly LimitDimension[];
  /** `named` (the default): holds for what names it. `inferences`: holds for every inference. */
  readonly scope?: LimitSpec['scope'];
};

/** Names of the options of a limit, for hints. */
export const limitOptionNames: readonly string[] = ['concurrency', 'rate', 'budget', 'by', 'scope'];

const microsPerUnit = 1_000_000;

/** The limit that the options stand for; what is wrong with them goes to `fault`, and the result is then of no use. */
export function readLimit(name: string, options: unknown, fault: (text: string) => void): LimitSpec {
  const given = isRecord(options) ? options : {};
  if (given !== options) fault('a limit is an object with one of "concurrency", "rate" and "budget"');
  const { by: rawBy = [], scope = 'named' } = given;
  const by = Array.isArray(rawBy) ? (rawBy as readonly LimitDimension[]) : [];
  if (by !== rawBy) fault(`"by" is a list of ${limitDimensions.join(', ')}`);
  if (scope !== 'named' && scope !== 'inferences') fault('"scope" is "named" or "inferences"');
  const kinds = (['concurrency', 'rate', 'budget'] as const).filter((kind) => given[kind] !== undefined);
  const [kind] = kinds;
  if (kind === undefined || kinds.length > 1) fault('a limit has exactly one of "concurrency", "rate" and "budget"');
  const rule = kind === undefined ? unlimited : readers[kind](given[kind], fault);
  const spec: LimitSpec = { name, rule, by, scope: scope === 'inferences' ? 'inferences' : 'named' };
  for (const one of limitFaults(spec)) fault(one);
  return spec;
}

const unlimited: LimitRule = { kind: 'concurrency', max: 1, adaptive: null };

const readers: Readonly<Record<LimitRule['kind'], (value: unknown, fault: (text: string) => void) => LimitRule>> = {
  concurrency(value, fault) {
    if (typeof value === 'number') return { kind: 'concurrency', max: value, adaptive: null };
    const { max, min } = isRecord(value) ? value : {};
    if (typeof max !== 'number') fault('"concurrency" is a number, or { max, min }');
    const adaptive = min === undefined ? null : { min: Number(min) };
    return { kind: 'concurrency', max: Number(max ?? 1), adaptive };
  },
  rate(value, fault) {
    const { requests, tokens, per, burst } = isRecord(value) ? value : {};
    if ((requests === undefined) === (tokens === undefined)) fault('"rate" has either "requests" or "tokens"');
    const perMs = durationMs(per);
    if (perMs === null) fault('"per" of a rate is a duration, such as "1m"');
    const amount = Number(requests ?? tokens ?? 1);
    const of = tokens === undefined ? 'requests' : 'tokens';
    return { kind: 'rate', of, amount, perMs: perMs ?? 1, burst: Number(burst ?? amount) };
  },
  budget(value) {
    const { amount, per, timeZone = 'UTC' } = isRecord(value) ? value : {};
    const amountMicros = typeof amount === 'number' ? Math.round(amount * microsPerUnit) : Number.NaN;
    return { kind: 'budget', amountMicros, per: per as 'day', zone: typeof timeZone === 'string' ? timeZone : '' };
  },
};

/** The options that a limit was made of. */
export function optionsOf({ rule, by, scope }: LimitSpec): LimitOptions {
  const rest = { by, scope };
  switch (rule.kind) {
    case 'concurrency':
      return { concurrency: rule.adaptive === null ? rule.max : { max: rule.max, min: rule.adaptive.min }, ...rest };
    case 'rate': {
      const { amount, perMs: per, burst } = rule;
      return {
        rate: rule.of === 'tokens' ? { tokens: amount, per, burst } : { requests: amount, per, burst },
        ...rest,
      };
    }
    case 'budget':
      return {
        budget: { amount: rule.amountMicros / microsPerUnit, per: rule.per, timeZone: rule.zone },
        ...rest,
      };
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What is wrong with a limit of a manifest, which nobody has read by `readLimit`. */
export function specFaults(spec: unknown): string[] {
  if (!isRecord(spec) || !isRecord(spec['rule'])) return ['it has no rule'];
  const { kind, adaptive } = spec['rule'];
  if (kind !== 'concurrency' && kind !== 'rate' && kind !== 'budget') return ['its rule is of no known kind'];
  if (kind === 'concurrency' && adaptive !== null && !isRecord(adaptive)) return ['"adaptive" is null or has a "min"'];
  const faults: string[] = [];
  // Its fields are what they are of a spec as far as they are looked at; the reader looks at the rest.
  const claimed = spec as unknown as LimitSpec;
  const read = readLimit(claimed.name, optionsOf(claimed), (fault) => faults.push(fault));
  if (faults.length === 0 && canonicalJson(read) !== canonicalJson(spec))
    faults.push('it is not as a limit is written');
  return faults;
}
