/**
 * What histories say of limits: how much was let in of each counter and when, and how many were under way at one time. Pure,
 * so that a ledger can be tampered with to show that each check notices.
 */
import { limitOfKey } from '../../../src/core/admission/limit.js';
import { readLimit } from '../../../src/core/admission/limit-options.js';
import type { LimitRule } from '../../../src/core/admission/limit.js';
import type { RunEventData } from '../../../src/core/run/events.js';
import type { LimitView, RunEventView } from '../../../src/protocol/http.js';
import type { Violation } from './evidence.js';

/** Something that was let in: how much of a counter, and since when. */
export interface Taken {
  readonly key: string;
  readonly at: number;
  /** Requests or tokens. */
  readonly amount: number;
}

/** A slot that was held. `until`: null = to the end of the history. */
interface Held {
  readonly key: string;
  readonly from: number;
  readonly until: number | null;
}

/** What one history says. */
export interface Admissions {
  readonly taken: readonly Taken[];
  readonly held: readonly Held[];
  /** What was begun although nobody had let it in. */
  readonly past: readonly string[];
}

/** Servers date events by clocks that differ a little. */
const slackMs = 5;

/** The rules of limits as they were declared. */
export function rulesOf(options: Readonly<Record<string, unknown>>): ReadonlyMap<string, LimitRule> {
  return new Map(
    Object.entries(options).map(([name, one]) => [
      name,
      readLimit(name, one, (fault) => {
        throw new Error(`${name}: ${fault}`);
      }).rule,
    ]),
  );
}

/** An admission that has not come to its end. */
interface Open {
  readonly keys: readonly string[];
  readonly at: number;
  /** What was set aside. Null = a call, which takes one request. */
  readonly tokens: number | null;
  begun: boolean;
}

/** Reads a history of runs of which each call and each inference is under limits. */
export function admissionsOf(history: readonly RunEventView[], rules: ReadonlyMap<string, LimitRule>): Admissions {
  const taken: Taken[] = [];
  const held: Held[] = [];
  const past: string[] = [];
  const open = new Map<string, Open>();
  const amountOf = (key: string, requests: number, tokens: number): number => {
    const rule = rules.get(limitOfKey(key));
    return rule?.kind === 'rate' && rule.of === 'tokens' ? tokens : requests;
  };
  const close = (path: string, until: number | null, used: number | null): void => {
    const one = open.get(path);
    if (one === undefined) return;
    open.delete(path);
    for (const key of one.keys) {
      // What is lost counts as if it had used what was set aside; what was given back before it began does not count.
      const amount = one.begun ? amountOf(key, 1, used ?? one.tokens ?? 0) : 0;
      taken.push({ key, at: one.at, amount });
      held.push({ key, from: one.at, until });
    }
  };
  for (const { type, at: isoAt, data, seq } of history) {
    const at = Date.parse(isoAt);
    const of = <T extends keyof RunEventData>(wanted: T): RunEventData[T] => {
      if (wanted !== type) throw new Error(`${type} was taken for ${wanted}`);
      return data as RunEventData[T];
    };
    switch (type) {
      case 'call.scheduled':
        if (of(type).limits === undefined) past.push(`${of(type).path} at ${seq}`);
        break;
      case 'inference.requested':
        if (of(type).grant !== null) past.push(`${of(type).path} at ${seq}`);
        break;
      case 'call.admitted': {
        const { path, limits, reservedAt } = of(type);
        open.set(path, { keys: limits, at: reservedAt, tokens: null, begun: true });
        break;
      }
      case 'inference.admitted': {
        const { path, grant, reservedAt = at } = of(type);
        open.set(path, { keys: grant.limits, at: reservedAt, tokens: grant.reserved.tokens, begun: false });
        break;
      }
      case 'inference.begun': {
        const one = open.get(of(type).path);
        if (one === undefined) past.push(`${of(type).path} at ${seq}`);
        else one.begun = true;
        break;
      }
      case 'inference.completed': {
        const { path, usage } = of(type);
        close(path, at, usage.inputTokens + usage.outputTokens);
        break;
      }
      case 'call.completed':
      case 'call.retrying':
      case 'call.failed':
      case 'inference.ambiguous':
      case 'inference.retrying':
      case 'inference.failed':
        close((data as { readonly path: string }).path, at, null);
        break;
      case 'activation.retrying':
        for (const [path, one] of open) if (one.tokens !== null && one.begun) close(path, at, null);
        break;
      case 'run.succeeded':
      case 'run.failed':
      case 'run.cancelled':
        for (const path of open.keys()) close(path, at, null);
        break;
      default:
    }
  }
  for (const path of open.keys()) close(path, null, null);
  return { taken, held, past };
}

/** Everything that is wrong with what was let in. */
export function limitViolations(all: readonly Admissions[], rules: ReadonlyMap<string, LimitRule>): Violation[] {
  const violations: Violation[] = all.flatMap(({ past }) =>
    past.map((what) => ({ property: 'P15-past', detail: `${what} was not let in by any limit` })),
  );
  const taken = groupedByKey(all.flatMap((one) => one.taken));
  const held = groupedByKey(all.flatMap((one) => one.held));
  for (const [key, of] of taken) {
    const rule = rules.get(limitOfKey(key));
    const over = rule?.kind === 'rate' ? worstWindow(of, rule) : null;
    if (over !== null && over.amount > 1e-3)
      violations.push({ property: 'P15', detail: `${key}: ${over.amount.toFixed(2)} too much up to ${iso(over.at)}` });
  }
  for (const [key, of] of held) {
    const rule = rules.get(limitOfKey(key));
    const over = rule?.kind === 'concurrency' ? mostAtOnce(of) : null;
    if (over !== null && rule?.kind === 'concurrency' && over.count > rule.max)
      violations.push({ property: 'P16', detail: `${key}: ${over.count} at one time, at ${iso(over.at)}` });
  }
  return violations;
}

/** Slots that are in use when nothing is under way. */
export function leakedSlots(views: readonly LimitView[]): string[] {
  return views
    .filter(({ kind }) => kind === 'concurrency')
    .flatMap(({ counters }) => counters.filter(({ used }) => used > 0).map(({ key, used }) => `${key}: ${used}`));
}

/** By how much the worst of all windows is above `burst + rate * its length`; windows begin and end with what was let in. */
function worstWindow(
  taken: readonly Taken[],
  { amount, perMs, burst }: Extract<LimitRule, { readonly kind: 'rate' }>,
): { readonly amount: number; readonly at: number } {
  // A sum over a window is above its bound where this rises by more than the burst from just before some instant on.
  let sum = 0;
  let least = Number.POSITIVE_INFINITY;
  let worst = { amount: Number.NEGATIVE_INFINITY, at: 0 };
  for (const one of taken.toSorted((a, b) => a.at - b.at)) {
    const gained = (amount * one.at) / perMs;
    least = Math.min(least, sum - gained);
    sum += one.amount;
    const over = sum - gained - least - burst;
    if (over > worst.amount) worst = { amount: over, at: one.at };
  }
  return worst;
}

function mostAtOnce(held: readonly Held[]): { readonly count: number; readonly at: number } {
  const moves = held.flatMap(({ from, until }) => [
    { at: from + slackMs, by: 1 },
    ...(until === null ? [] : [{ at: Math.max(from + slackMs, until - slackMs), by: -1 }]),
  ]);
  let count = 0;
  let most = { count: 0, at: 0 };
  for (const { at, by } of moves.sort((a, b) => a.at - b.at || a.by - b.by)) {
    count += by;
    if (count > most.count) most = { count, at };
  }
  return most;
}

function groupedByKey<T extends { readonly key: string }>(items: readonly T[]): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(item.key);
    if (group === undefined) groups.set(item.key, [item]);
    else group.push(item);
  }
  return groups;
}

function iso(at: number): string {
  return new Date(at).toISOString();
}
