/**
 * Limits as they are declared: how much of what is allowed, and over what it is counted apart. A limit stands for one
 * counter for each combination of the values that it counts by; the text that names such a counter is its key.
 *
 * Invariant: two pieces of work have the same key of a limit exactly where they draw on the same counter.
 */
import { isTimeZone } from '../schedule/ticks.js';

/** What a limit may be counted by. `model` and `endpoint` are empty for calls, `capability` for inferences. */
export type LimitDimension = 'tenant' | 'workflow' | 'model' | 'endpoint' | 'capability' | 'run';

export const limitDimensions: readonly LimitDimension[] = [
  'tenant',
  'workflow',
  'model',
  'endpoint',
  'capability',
  'run',
];

/** What a limit allows. */
export type LimitRule =
  /** So many at one time. `adaptive`: fewer where the other side is overloaded, but at least `min`. */
  | { readonly kind: 'concurrency'; readonly max: number; readonly adaptive: { readonly min: number } | null }
  /** So much per time: a bucket that holds `burst` and gains `amount` in each `perMs`. */
  | {
      readonly kind: 'rate';
      readonly of: 'requests' | 'tokens';
      readonly amount: number;
      readonly perMs: number;
      readonly burst: number;
    }
  /** So much money, in millionths of the currency, until the window is over: a calendar day or month of `zone`, or the run. */
  | {
      readonly kind: 'budget';
      readonly amountMicros: number;
      readonly per: 'day' | 'month' | 'run';
      /** IANA name; `UTC` by default. */
      readonly zone: string;
    };

export interface LimitSpec {
  readonly name: string;
  readonly rule: LimitRule;
  readonly by: readonly LimitDimension[];
  /** `inferences`: holds for every inference. `named`: for the models and capabilities that name it. */
  readonly scope: 'inferences' | 'named';
}

/** What asks to be admitted, as far as limits are concerned. */
export interface Work {
  readonly tenant: string;
  readonly workflow: string;
  readonly run: string;
  readonly kind: 'inference' | 'call';
  readonly model: string;
  readonly endpoint: string;
  readonly capability: string;
  /** Limits that the model or the capability names. */
  readonly limits: readonly string[];
  /** Tokens, in and out together, and money, as estimated. */
  readonly tokens: number;
  readonly costMicros: number;
}

/** Whether a limit concerns the work. */
export function concerns(spec: LimitSpec, work: Pick<Work, 'kind' | 'limits'>): boolean {
  return work.limits.includes(spec.name) || (spec.scope === 'inferences' && work.kind === 'inference');
}

/** Who does the work, as far as somebody has limits of his own: the endpoint of a model, or a capability. */
export function placeOf({ endpoint, capability }: Pick<Work, 'endpoint' | 'capability'>): string {
  return endpoint === '' && capability !== '' ? `${capabilityPlace}${capability}` : endpoint;
}

/** Whether the counter of this key is of that place alone, so that what is said there is said of it. */
export function isOfPlace(key: string, place: string): boolean {
  const isCapability = place.startsWith(capabilityPlace);
  const value = encodeURIComponent(isCapability ? place.slice(capabilityPlace.length) : place);
  const named = `${isCapability ? 'capability' : 'endpoint'}=${value}`;
  return (
    key.includes(`[${named},`) || key.includes(`[${named}]`) || key.includes(`,${named},`) || key.includes(`,${named}]`)
  );
}

const capabilityPlace = 'capability:';

/** The key of the counter that the work draws on: `tokens[tenant=acme,model=writer]`. */
export function keyOfLimit(spec: Pick<LimitSpec, 'name' | 'by'>, work: Pick<Work, LimitDimension>): string {
  if (spec.by.length === 0) return spec.name;
  return `${spec.name}[${spec.by.map((dimension) => `${dimension}=${encodeURIComponent(work[dimension])}`).join(',')}]`;
}

/** The name of the limit that a key is of. */
export function limitOfKey(key: string): string {
  const at = key.indexOf('[');
  return at < 0 ? key : key.slice(0, at);
}

/** What the work takes of a counter: slots, requests, tokens or money. */
export function amountOf(rule: LimitRule, work: Pick<Work, 'tokens' | 'costMicros'>): number {
  switch (rule.kind) {
    case 'concurrency':
      return 1;
    case 'rate':
      return rule.of === 'requests' ? 1 : work.tokens;
    case 'budget':
      return work.costMicros;
  }
}

/** Largest amount of a bucket, in the fraction of a unit in which it is counted: integers are exact up to here. */
const exactMax = Number.MAX_SAFE_INTEGER;
/** Time over which a rate may be given. */
export const ratePerMsMax = 24 * 60 * 60_000;

/** What is wrong with a limit, in words. Empty = nothing. */
export function limitFaults({ rule, by }: Pick<LimitSpec, 'rule' | 'by'>): string[] {
  const faults: string[] = [];
  for (const dimension of by)
    if (!limitDimensions.includes(dimension))
      faults.push(`"by" has no "${String(dimension)}"; there are ${limitDimensions.join(', ')}`);
  if (new Set(by).size < by.length) faults.push('"by" names something twice');
  switch (rule.kind) {
    case 'concurrency':
      if (!isCount(rule.max, 0)) faults.push('"concurrency" is a whole number from 0');
      if (rule.adaptive !== null && !(isCount(rule.adaptive.min, 1) && rule.adaptive.min <= rule.max))
        faults.push('"min" of an adaptive limit is a whole number from 1 to its maximum');
      return faults;
    case 'rate':
      if (!isCount(rule.amount, 1)) faults.push('the amount of a rate is a whole number from 1');
      if (!isCount(rule.burst, 1)) faults.push('"burst" is a whole number from 1');
      if (!isCount(rule.perMs, 1) || rule.perMs > ratePerMsMax) faults.push('"per" of a rate is 1 ms to 1 day');
      else if (faults.length === 0 && rule.burst * fractionOf(rule).unit > exactMax)
        faults.push('this rate cannot be counted exactly: round its amount');
      return faults;
    case 'budget':
      if (!isCount(rule.amountMicros, 0)) faults.push('a budget is from 0, in steps of a millionth');
      if (!['day', 'month', 'run'].includes(rule.per)) faults.push('"per" of a budget is day, month or run');
      if (!isTimeZone(rule.zone)) faults.push(`"${rule.zone}" is not a time zone`);
      if (rule.per === 'run' && !by.includes('run')) faults.push('a budget per run is counted "by" run');
      return faults;
  }
}

function isCount(value: unknown, least: number): boolean {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= least;
}

/** A rate as a fraction: `gain` units of 1/`unit` in each ms. */
export function fractionOf({ amount, perMs }: { readonly amount: number; readonly perMs: number }): {
  readonly gain: number;
  readonly unit: number;
} {
  const divisor = greatestCommonDivisor(amount, perMs);
  return { gain: amount / divisor, unit: perMs / divisor };
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
