/**
 * What the coordinator of admission knows and decides: who waits, who holds shares of which counters, what has come of whom.
 * All of it is in memory and can be rebuilt from the store; `plan` says what is to be written, and what follows from it is
 * done after the commit.
 *
 * Invariant: after a plan was committed, memory and store say the same. After one that was not, memory is thrown away.
 */
import { demandsOf, Ledger, pauseKey, type Share } from '../../core/admission/ledger.js';
import { FairQueue } from '../../core/admission/queue.js';
import type { Hash } from '../../core/ports.js';
import type { LimitFacts } from '../api.js';
import type { EntryWrite } from '../../store/contract.js';
import {
  counterWrite,
  holderDrop,
  holderPut,
  type CounterOwner,
  type Holder,
  type StoredCounter,
} from './counter-rows.js';
import { callerOf } from '../models/model-door.js';
import type { LimitRules } from './limit-rules.js';
import {
  runOf,
  ticketId,
  waitingTicket,
  type ResolveTicket,
  type SettledTicket,
  type TicketKey,
  type WaitingTicket,
} from './ticket-rows.js';
import { limitOfKey, placeOf } from '../../core/admission/limit.js';
import { runOfTicket, type TicketValue } from '../../core/run/tickets.js';

/** What one round has decided. */
export interface Plan {
  readonly entries: readonly EntryWrite[];
  readonly granted: readonly Granted[];
  readonly settled: readonly SettledTicket[];
  /** When there may be room for somebody who waits, on the store's clock; null = not before something happens. */
  readonly nextAt: number | null;
  /** There may be more to do at once. */
  readonly isFull: boolean;
}

/** What keeps work from where it is done, beside limits. */
export interface Doors {
  /** Until when a place has asked for a pause, as far as this server knows; null = it has not. */
  readonly told: (place: string) => number | null;
  /** When this work may ask again whether it may call the endpoint; null = it may now, and is counted upon to do so. */
  shutUntil(endpoint: string, caller: string, now: number): number | null;
  /** The name of the probe that this work makes of the endpoint; null = it makes none. */
  probeOf(endpoint: string, caller: string): string | null;
}

export interface Granted {
  readonly ticket: WaitingTicket;
  readonly shares: readonly Share[];
}

export class Desk {
  readonly #rules: LimitRules;
  readonly #hash: Hash;
  readonly #resolve: ResolveTicket;
  readonly #doors: Doors;
  #specs: LimitRules['inForce'];
  #ledger: Ledger;
  readonly #queue = new FairQueue<WaitingTicket>();
  /** Tickets that are not wanted yet. */
  readonly #later = new Map<string, WaitingTicket>();
  /** Ids of the tickets that wait, by run. */
  readonly #byRun = new Map<string, Set<string>>();
  readonly #waiting = new Map<string, WaitingTicket>();
  readonly #holders = new Map<string, Holder>();
  readonly #settled = new Map<string, SettledTicket>();
  /** How many shares there are of a counter. */
  readonly #reserved = new Map<string, number>();
  readonly #owners = new Map<string, CounterOwner>();
  /** Grants so far, by limit. Not cleared: it only counts. */
  readonly #granted = new Map<string, number>();

  constructor(rules: LimitRules, hash: Hash, resolve: ResolveTicket, doors: Doors) {
    this.#rules = rules;
    this.#hash = hash;
    this.#resolve = resolve;
    this.#doors = doors;
    this.#specs = rules.inForce;
    this.#ledger = new Ledger((key) => rules.ruleOf(key), doors.told);
  }

  /** Nothing is known any more. */
  clear(): void {
    this.#ledger = new Ledger((key) => this.#rules.ruleOf(key), this.#doors.told);
    this.#queue.clear();
    for (const map of [this.#later, this.#byRun, this.#waiting, this.#holders, this.#settled, this.#reserved])
      map.clear();
    this.#owners.clear();
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  get isEmpty(): boolean {
    return this.#waiting.size === 0 && this.#holders.size === 0 && this.#settled.size === 0;
  }

  holders(): Iterable<Holder> {
    return this.#holders.values();
  }

  waitingOf(tenant: string): number {
    let count = 0;
    for (const ticket of this.#waiting.values()) if (ticket.tenant === tenant) count++;
    return count;
  }

  restoreCounter({ key, counter, owner }: StoredCounter): void {
    this.#ledger.restore(key, counter);
    if (owner !== null) this.#owners.set(key, owner);
  }

  restoreHolder(holder: Holder): void {
    this.#hold(holder);
  }

  isHeld(key: TicketKey): boolean {
    return this.#holders.has(ticketId(key));
  }

  /** What the ticket was given; null = nothing, or it was settled. */
  holderOf(key: TicketKey): Holder | null {
    return this.#holders.get(ticketId(key)) ?? null;
  }

  /** True for a ticket that there is nothing more to learn of by seeing it wait. */
  knows(key: TicketKey): boolean {
    const id = ticketId(key);
    return this.#waiting.has(id) || this.#holders.has(id) || this.#settled.has(id);
  }

  /** Counters of runs, some of them: whoever asks looks whether the runs are still there. */
  ownedCounters(most: number): (readonly [string, CounterOwner])[] {
    const found: (readonly [string, CounterOwner])[] = [];
    for (const [key, owner] of this.#owners) {
      if (found.length >= most) break;
      // The next ask begins with others.
      this.#owners.delete(key);
      this.#owners.set(key, owner);
      if (!this.#reserved.has(key)) found.push([key, owner]);
    }
    return found;
  }

  /** The run of the counter has gone. */
  dropCounter(key: string): void {
    if (!this.#reserved.has(key)) this.#ledger.drop(key);
  }

  /** A ticket waits. One that is known, or was granted, is left as it is. */
  add(key: TicketKey, value: TicketValue): void {
    if (this.knows(key)) return;
    const id = ticketId(key);
    const ticket = this.#ticketOf(key, value);
    this.#waiting.set(id, ticket);
    const run = runOf(key);
    const ofRun = this.#byRun.get(run);
    if (ofRun === undefined) this.#byRun.set(run, new Set([id]));
    else ofRun.add(id);
    this.#enqueue(ticket);
  }

  /** A ticket does not wait any more. */
  remove(key: TicketKey): void {
    const id = ticketId(key);
    if (!this.#waiting.delete(id)) return;
    this.#later.delete(id);
    this.#queue.remove(id);
    this.#leaveRun(key, id);
  }

  /** Tickets of the run that are known to wait. */
  ofRun(run: string): WaitingTicket[] {
    return [...(this.#byRun.get(run) ?? [])].flatMap((id) => this.#waiting.get(id) ?? []);
  }

  settle(settled: SettledTicket): void {
    this.remove(settled);
    this.#settled.set(ticketId(settled), settled);
  }

  /** Decides what can be decided at `now`, for `most` tickets that wait and as many that are settled. */
  plan(now: number, most: number): Plan {
    this.#renew();
    const entries: EntryWrite[] = [];
    const settled = this.#takeSettled(now, most, entries);
    for (const [id, ticket] of this.#later) {
      if ((ticket.value.notBefore ?? 0) > now) continue;
      this.#later.delete(id);
      this.#queue.add(ticket);
    }
    const { granted, nextAt } = this.#admit(now, most);
    for (const { ticket, shares } of granted) {
      if (shares.length === 0) continue;
      const { tenant, ref, resolved } = ticket;
      const endpoint = resolved === null ? '' : placeOf(resolved.work);
      const holder: Holder = { tenant, ref, shares, endpoint, at: now };
      this.#hold(holder);
      entries.push(holderPut(holder, now));
    }
    for (const [key, counter] of this.#ledger.changes()) {
      const owner = this.#owners.get(key) ?? null;
      if (counter === null) this.#owners.delete(key);
      entries.push(counterWrite({ key, counter, owner }, now, this.#hash));
    }
    const isFull = granted.length >= most || this.#settled.size > 0;
    return { entries, granted, settled, nextAt, isFull };
  }

  /** How each limit in force stands. */
  facts(now: number): LimitFacts[] {
    const waiting = new Map<string, number>();
    for (const { demands } of this.#waiting.values())
      for (const { key } of demands) waiting.set(limitOfKey(key), (waiting.get(limitOfKey(key)) ?? 0) + 1);
    const fullest = new Map<string, number>();
    const counters = new Map<string, number>();
    for (const key of this.#ledger.keys()) {
      const view = this.#ledger.view(key, now);
      if (view === null) continue;
      const name = limitOfKey(key);
      counters.set(name, (counters.get(name) ?? 0) + 1);
      const fullness = view.limit === 0 ? 1 : view.used / view.limit;
      fullest.set(name, Math.max(fullness, fullest.get(name) ?? 0));
    }
    return [...this.#specs.keys()].sort().map((limit) => ({
      limit,
      waiting: waiting.get(limit) ?? 0,
      counters: counters.get(limit) ?? 0,
      fullest: fullest.get(limit) ?? 0,
      granted: this.#granted.get(limit) ?? 0,
    }));
  }

  /** Forgets counters that say nothing. */
  tidy(now: number): void {
    this.#ledger.forget((key) => this.#reserved.has(key), now);
  }

  #admit(now: number, most: number): { readonly granted: readonly Granted[]; readonly nextAt: number | null } {
    let nextAt: number | null = null;
    for (const { value } of this.#later.values()) nextAt = earlier(nextAt, value.notBefore);
    const shares = new Map<string, readonly Share[]>();
    const admitted = this.#queue.admit(most, (ticket) => {
      const short = this.#ledger.short(ticket.demands, now);
      if (short.length > 0) {
        // All of it is needed at once: the latest of them is when.
        let at: number | null = 0;
        for (const shortage of short) at = at === null || shortage.at === null ? null : Math.max(at, shortage.at);
        nextAt = earlier(nextAt, at);
        return short.map(({ key }) => key);
      }
      // Asked last, since whoever is let through is to probe.
      const shut = this.#shut(ticket, now);
      if (shut !== null) {
        nextAt = earlier(nextAt, shut.until);
        return [pauseKey(shut.endpoint)];
      }
      const verdict = this.#ledger.reserve(ticket.demands, now);
      shares.set(ticket.id, verdict.tag === 'reserved' ? verdict.shares : []);
      return [];
    });
    const granted = admitted.map((ticket) => {
      this.#waiting.delete(ticket.id);
      this.#leaveRun(ticket, ticket.id);
      for (const { key } of shares.get(ticket.id) ?? []) {
        this.#own(key, ticket);
        this.#granted.set(limitOfKey(key), (this.#granted.get(limitOfKey(key)) ?? 0) + 1);
      }
      return { ticket, shares: shares.get(ticket.id) ?? [] };
    });
    return { granted, nextAt };
  }

  /** The breaker of the endpoint that the ticket would call is not closed, and somebody else probes. */
  #shut(
    { tenant, ref, value, resolved }: WaitingTicket,
    now: number,
  ): { readonly endpoint: string; readonly until: number } | null {
    const endpoint = resolved?.work.endpoint ?? '';
    if (endpoint === '') return null;
    const caller = callerOf({ tenant, run: runOfTicket(ref), path: value.path, attempt: value.attempt });
    const until = this.#doors.shutUntil(endpoint, caller, now);
    return until === null ? null : { endpoint, until };
  }

  #takeSettled(now: number, most: number, entries: EntryWrite[]): SettledTicket[] {
    const taken: SettledTicket[] = [];
    for (const [id, settled] of this.#settled) {
      if (taken.length >= most) break;
      this.#settled.delete(id);
      taken.push(settled);
      const holder = this.#holders.get(id);
      if (holder === undefined) continue;
      const heldMs = Math.max(0, now - holder.at);
      this.#ledger.settle(holder.shares, { ...settled.settlement, heldMs }, holder.endpoint, now);
      this.#holders.delete(id);
      for (const { key } of holder.shares) {
        const left = (this.#reserved.get(key) ?? 1) - 1;
        if (left === 0) this.#reserved.delete(key);
        else this.#reserved.set(key, left);
      }
      entries.push(holderDrop(holder));
    }
    return taken;
  }

  #hold(holder: Holder): void {
    this.#holders.set(ticketId(holder), holder);
    for (const { key } of holder.shares) this.#reserved.set(key, (this.#reserved.get(key) ?? 0) + 1);
  }

  #own(key: string, { tenant, ref }: WaitingTicket): void {
    if (this.#specs.get(limitOfKey(key))?.by.includes('run') === true)
      this.#owners.set(key, { tenant, run: runOfTicket(ref) });
  }

  /** Limits were changed: what the tickets draw on is worked out anew. */
  #renew(): void {
    const specs = this.#rules.inForce;
    if (specs === this.#specs) return;
    this.#specs = specs;
    this.#queue.clear();
    this.#later.clear();
    for (const [id, { tenant, ref, value }] of this.#waiting) {
      const ticket = this.#ticketOf({ tenant, ref }, value);
      this.#waiting.set(id, ticket);
      this.#enqueue(ticket);
    }
  }

  #ticketOf(key: TicketKey, value: TicketValue): WaitingTicket {
    return waitingTicket(key, value, this.#resolve(key, value), (work) => demandsOf(this.#specs.values(), work));
  }

  #enqueue(ticket: WaitingTicket): void {
    if (ticket.resolved === null) return;
    if (ticket.value.notBefore === null) this.#queue.add(ticket);
    else this.#later.set(ticket.id, ticket);
  }

  #leaveRun(key: TicketKey, id: string): void {
    const run = runOf(key);
    const ofRun = this.#byRun.get(run);
    ofRun?.delete(id);
    if (ofRun?.size === 0) this.#byRun.delete(run);
  }
}

/** The earlier of two instants of which either may be none. */
function earlier(a: number | null, b: number | null): number | null {
  if (a === null || b === null) return a ?? b;
  return Math.min(a, b);
}
