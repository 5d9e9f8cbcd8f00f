/**
 * The counters of all limits, and the one check over them: a piece of work gets a share of every counter that concerns it,
 * or of none. What it was given is a reservation, which is settled once, with what was really used.
 *
 * The ledger is a plain value holder: who keeps it durable, and lets nobody else write, is its owner (`engine/admission`).
 * Invariant: `changes` since the last time and the states known before together are the states now.
 */
import { budgetRoomAt, budgetSettled, newBudget, rolled, spent, type Budget } from './budget.js';
import { filled, lowered, newBucket, roomAt, settled, taken, type Bucket } from './bucket.js';
import { toldPauseMs, type Feedback } from './feedback.js';
import {
  amountOf,
  concerns,
  isOfPlace,
  keyOfLimit,
  limitOfKey,
  placeOf,
  type LimitRule,
  type LimitSpec,
  type Work,
} from './limit.js';
import { ceilingOf, newSlots, slotFreed, slotTaken, type Slots } from './slots.js';

/** An endpoint has said that it wants nothing before `until`. */
export interface Pause {
  readonly k: 'pause';
  readonly until: number;
}

/** What is counted of one key. */
export type Counter = Bucket | Slots | Budget | Pause;

/** What a piece of work wants of one counter. */
export interface Demand {
  readonly key: string;
  readonly amount: number;
}

/** What it was given of it. `mark`: number of the reservation, or for money the end of the window (null = none). */
export interface Share extends Demand {
  readonly mark: number | null;
}

/** A counter without room, and when it may have some: null = not by itself. */
export interface Shortage {
  readonly key: string;
  readonly at: number | null;
}

export type Verdict =
  | { readonly tag: 'reserved'; readonly shares: readonly Share[] }
  | { readonly tag: 'short'; readonly short: readonly Shortage[] };

/** What has come of admitted work, as far as limits are concerned. */
export interface Settlement {
  /** False = the work was given up before it began, and no request was made. */
  readonly begun: boolean;
  /** Null = nobody knows: what was reserved is taken for used. */
  readonly tokens: number | null;
  readonly costMicros: number | null;
  /** Refused, or failed for want of capacity on the other side. */
  readonly overloaded: boolean;
  readonly firstPartMs: number | null;
  readonly heldMs: number;
  readonly feedback: Feedback | null;
}

/** Nothing was begun: everything is given back, and nothing is learnt. */
export const nothingUsed: Settlement = {
  begun: false,
  tokens: 0,
  costMicros: 0,
  overloaded: false,
  firstPartMs: null,
  heldMs: 0,
  feedback: null,
};

/** A limit as it is, for those who look at it. */
export interface CounterView {
  readonly key: string;
  /** Slots, requests, tokens or millionths in use: of a bucket what is missing to full. */
  readonly used: number;
  readonly limit: number;
  /** When all of it is there again, without anything more being used; null = now, or not by itself. */
  readonly resetAt: number | null;
}

const pauseName = ':pause';

/** The key of the pause of a place: the endpoint of a model, or a capability. */
export function pauseKey(place: string): string {
  return keyOfLimit({ name: pauseName, by: ['endpoint'] }, { ...noWork, endpoint: place });
}

/** The place of which the key is the pause; null = it is of a limit. */
export function placeOfPause(key: string): string | null {
  return limitOfKey(key) === pauseName ? decodeURIComponent(key.slice(key.indexOf('=') + 1, -1)) : null;
}

const noWork = { tenant: '', workflow: '', run: '', model: '', endpoint: '', capability: '' } as const;

export class Ledger {
  readonly #rules: (key: string) => LimitRule | null;
  readonly #told: (place: string) => number | null;
  readonly #counters = new Map<string, Counter>();
  readonly #changed = new Set<string>();

  /**
   * `rules`: the rule in force for a key; null = its limit is no longer there. `told`: until when a place wants nothing, as far
   * as is known from elsewhere; null = nothing is known.
   */
  constructor(rules: (key: string) => LimitRule | null, told: (place: string) => number | null = nobodyTold) {
    this.#rules = rules;
    this.#told = told;
  }

  get size(): number {
    return this.#counters.size;
  }

  /** A counter as it was stored. */
  restore(key: string, counter: Counter): void {
    this.#counters.set(key, counter);
  }

  /** Shares of all that is demanded, or word of what is short. Changes nothing in the latter case. */
  reserve(demands: readonly Demand[], now: number): Verdict {
    const short = this.short(demands, now);
    if (short.length > 0) return { tag: 'short', short };
    return { tag: 'reserved', shares: demands.flatMap((demand) => this.#take(demand, now) ?? []) };
  }

  /** What is short now. Empty = it would be reserved. */
  short(demands: readonly Demand[], now: number): Shortage[] {
    const short: Shortage[] = [];
    for (const { key, amount } of demands) {
      const at = this.#roomAt(key, amount, now);
      if (at === null || at > now) short.push({ key, at });
    }
    return short;
  }

  /** When a counter has room for so much: `now` or before = at once; null = not by itself. */
  #roomAt(key: string, amount: number, now: number): number | null {
    const known = this.#counters.get(key);
    const place = placeOfPause(key);
    if (place !== null) return Math.max(known?.k === 'pause' ? known.until : now, this.#told(place) ?? now);
    const rule = this.#rules(key);
    if (rule === null) return now;
    const counter = currentOf(known, rule, now);
    // A window that was opened by a clock far ahead is closed for good, or its end would go on before the clock.
    if (counter.k === 'budget' && known?.k === 'budget' && counter.until !== known.until) this.#set(key, counter);
    switch (counter.k) {
      case 'slots':
        return rule.kind !== 'concurrency' || counter.used + amount <= ceilingOf(counter, rule) ? now : null;
      case 'bucket': {
        // A clock that is read a little behind another's does not make the bucket fuller, nor the wait longer.
        const at = rule.kind === 'rate' ? roomAt(counter, rule, amount) : now;
        return at <= counter.at ? now : at;
      }
      case 'budget':
        return rule.kind === 'budget' ? budgetRoomAt(counter, rule, amount, now) : now;
      case 'pause':
        return now;
    }
  }

  #take({ key, amount }: Demand, now: number): Share | null {
    const rule = this.#rules(key);
    if (rule === null) return null;
    const counter = currentOf(this.#counters.get(key), rule, now);
    const share = (next: Counter, mark: number | null): Share => {
      this.#set(key, next);
      return { key, amount, mark };
    };
    if (counter.k === 'slots') {
      const next = slotTaken(counter);
      return share(next, next.n);
    }
    if (counter.k === 'bucket' && rule.kind === 'rate') {
      const next = taken(counter, rule, amount);
      return share(next, next.n);
    }
    if (counter.k === 'budget') return share(spent(counter, amount), counter.until);
    return null;
  }

  /** Settles every share of one reservation, and learns from what the place of the work has said. */
  settle(shares: readonly Share[], settlement: Settlement, place: string, now: number): void {
    for (const share of shares) this.#settle(share, settlement, now);
    if (place !== '' && settlement.feedback !== null) this.#heed(place, settlement, shares, now);
  }

  #settle({ key, amount, mark }: Share, settlement: Settlement, now: number): void {
    const known = this.#counters.get(key);
    const rule = this.#rules(key);
    if (known === undefined) return;
    // A limit that is not in force now may be again, and must not find slots taken by nobody.
    const counter = rule === null ? known : currentOf(known, rule, now);
    switch (counter.k) {
      case 'slots': {
        if (rule?.kind !== 'concurrency') return this.#set(key, { ...counter, used: Math.max(0, counter.used - 1) });
        const { overloaded, firstPartMs, heldMs } = settlement;
        this.#set(key, slotFreed(counter, rule, { mark: mark ?? 0, overloaded, firstPartMs, heldMs }));
        return;
      }
      case 'bucket': {
        if (rule?.kind !== 'rate') return;
        // A request that was made was made: only tokens turn out to be others than reserved.
        const requests = settlement.begun ? amount : 0;
        const used = rule.of === 'requests' ? requests : (settlement.tokens ?? amount);
        this.#set(key, settled(counter, rule, { mark: mark ?? 0, reserved: amount, used }));
        return;
      }
      case 'budget':
        this.#set(
          key,
          budgetSettled(counter, { until: mark, reserved: amount, used: settlement.costMicros ?? amount }),
        );
        return;
      case 'pause':
        return;
    }
  }

  /** What the other side says of its limits holds beside ours. It never gives more than we allow. */
  #heed(place: string, { feedback, overloaded }: Settlement, shares: readonly Share[], now: number): void {
    if (feedback === null) return;
    const { requests, tokens } = feedback;
    const pauseMs = toldPauseMs(feedback, overloaded);
    if (pauseMs > 0) {
      const key = pauseKey(place);
      const known = this.#counters.get(key);
      const until = Math.max(now + pauseMs, known?.k === 'pause' ? known.until : 0);
      this.#set(key, { k: 'pause', until });
    }
    for (const { key } of shares) {
      const rule = this.#rules(key);
      const counter = this.#counters.get(key);
      // Only a bucket of this place alone is the one of which it speaks.
      if (counter?.k !== 'bucket' || rule?.kind !== 'rate' || !isOfPlace(key, place)) continue;
      const left = rule.of === 'requests' ? requests?.remaining : tokens?.remaining;
      if (left !== undefined && left !== null) this.#set(key, lowered(counter, left));
    }
  }

  /** Forgets counters that say nothing which a new one would not say. `isReserved`: something reserved draws on the key. */
  forget(isReserved: (key: string) => boolean, now: number): void {
    for (const [key, counter] of this.#counters) {
      const rule = this.#rules(key);
      const isOver =
        rule === null ? limitOfKey(key) !== pauseName || isPast(counter, now) : isAtRest(counter, rule, now);
      if (isOver && !isReserved(key)) this.drop(key);
    }
  }

  drop(key: string): void {
    if (this.#counters.delete(key)) this.#changed.add(key);
  }

  keys(): Iterable<string> {
    return this.#counters.keys();
  }

  /** Counters that have changed since this was last asked; null = it is gone. */
  changes(): (readonly [string, Counter | null])[] {
    const changes = [...this.#changed].map((key) => [key, this.#counters.get(key) ?? null] as const);
    this.#changed.clear();
    return changes;
  }

  view(key: string, now: number): CounterView | null {
    const place = placeOfPause(key);
    const until = place === null ? null : this.#roomAt(key, 0, now);
    const counter = until === null ? this.#counters.get(key) : ({ k: 'pause', until } as const);
    return counterView(key, counter, this.#rules(key), now);
  }

  #set(key: string, counter: Counter): void {
    this.#counters.set(key, counter);
    this.#changed.add(key);
  }
}

function nobodyTold(): null {
  return null;
}

/** How a counter stands; null = there is no such limit. `counter`: undefined = nothing was ever counted. */
export function counterView(
  key: string,
  stored: Counter | undefined,
  rule: LimitRule | null,
  now: number,
): CounterView | null {
  if (stored?.k === 'pause') return { key, used: stored.until > now ? 1 : 0, limit: 0, resetAt: stored.until };
  if (rule === null) return null;
  const counter = currentOf(stored, rule, now);
  if (counter.k === 'slots' && rule.kind === 'concurrency')
    return { key, used: counter.used, limit: ceilingOf(counter, rule), resetAt: null };
  if (counter.k === 'bucket' && rule.kind === 'rate') {
    const used = Math.ceil(rule.burst - counter.level / counter.unit);
    const at = roomAt(counter, rule, rule.burst);
    return { key, used, limit: rule.burst, resetAt: at > now ? at : null };
  }
  if (counter.k === 'budget' && rule.kind === 'budget')
    return { key, used: counter.spent, limit: rule.amountMicros, resetAt: counter.until };
  return null;
}

/** What a piece of work demands under the limits that there are. */
export function demandsOf(specs: Iterable<LimitSpec>, work: Work): Demand[] {
  const demands: Demand[] = [];
  for (const spec of specs)
    if (concerns(spec, work)) demands.push({ key: keyOfLimit(spec, work), amount: amountOf(spec.rule, work) });
  const place = placeOf(work);
  if (demands.length > 0 && place !== '') demands.push({ key: pauseKey(place), amount: 0 });
  return demands;
}

/** The counter at `now`; a new one where there is none, or one of another kind from before the limit was changed. */
function currentOf(counter: Counter | undefined, rule: LimitRule, now: number): Counter {
  switch (rule.kind) {
    case 'concurrency':
      return counter?.k === 'slots' ? counter : newSlots(rule);
    case 'rate':
      return filled(counter?.k === 'bucket' ? counter : newBucket(rule, now), rule, now);
    case 'budget':
      return rolled(counter?.k === 'budget' ? counter : newBudget(rule, now), rule, now);
  }
}

function isAtRest(counter: Counter, rule: LimitRule, now: number): boolean {
  const current = currentOf(counter, rule, now);
  switch (current.k) {
    case 'slots':
      return current.used === 0 && (rule.kind !== 'concurrency' || ceilingOf(current, rule) === rule.max);
    case 'bucket':
      return rule.kind === 'rate' && current.level >= rule.burst * current.unit;
    case 'budget':
      return current.spent === 0;
    case 'pause':
      return isPast(current, now);
  }
}

function isPast(counter: Counter, now: number): boolean {
  return counter.k !== 'pause' || counter.until <= now;
}
