/**
 * Who goes next: tickets that wait, in an order that is fair between tenants (start-time fair queueing: P. Goyal, H. M. Vin
 * and H. Cheng, 1996), by priority within a tenant, and first come, first served within a flow. A flow are the tickets of
 * a tenant that draw on the same counters.
 *
 * Nobody takes what somebody before him waits for: a counter that was short for one ticket is closed to those behind it. A
 * ticket that was passed too often on its other counters closes these, too, so that work that needs several is not starved
 * by work that needs one.
 */
import type { Demand } from './ledger.js';

/** Something that waits. `order` sorts within its flow: priority, time of asking, name. */
export interface Waiting {
  readonly id: string;
  readonly tenant: string;
  readonly order: string;
  readonly demands: readonly Demand[];
  /** What it weighs in sharing between tenants, above 0. */
  readonly cost: number;
}

interface Flow<T extends Waiting> {
  readonly tenant: Tenant<T>;
  readonly name: string;
  readonly tickets: T[];
  /** How often its first ticket was passed by others that took what it wants as well. */
  passed: number;
}

interface Tenant<T extends Waiting> {
  readonly name: string;
  readonly flows: Map<string, Flow<T>>;
  /** Virtual time at which its last admitted ticket is done. */
  finish: number;
}

/** Counters that are short for a ticket. Empty = it was admitted. */
export type Attempt<T> = (ticket: T) => readonly string[];

/** Tickets that may take something of what one waits for, before that one closes all its counters. */
export const passedMax = 64;

export class FairQueue<T extends Waiting> {
  readonly #tenants = new Map<string, Tenant<T>>();
  readonly #byId = new Map<string, Flow<T>>();
  #virtual = 0;

  get size(): number {
    return this.#byId.size;
  }

  has(id: string): boolean {
    return this.#byId.has(id);
  }

  add(ticket: T): void {
    if (this.#byId.has(ticket.id)) return;
    let tenant = this.#tenants.get(ticket.tenant);
    if (tenant === undefined) {
      tenant = { name: ticket.tenant, flows: new Map(), finish: 0 };
      this.#tenants.set(ticket.tenant, tenant);
    }
    const name = ticket.demands.map(({ key }) => key).join('\n');
    let flow = tenant.flows.get(name);
    if (flow === undefined) {
      flow = { tenant, name, tickets: [], passed: 0 };
      tenant.flows.set(name, flow);
    }
    const { tickets } = flow;
    tickets.splice(placeOf(tickets, ticket.order), 0, ticket);
    this.#byId.set(ticket.id, flow);
  }

  remove(id: string): T | null {
    const flow = this.#byId.get(id);
    if (flow === undefined) return null;
    const at = flow.tickets.findIndex((ticket) => ticket.id === id);
    const [ticket] = flow.tickets.splice(at, 1);
    if (at === 0) flow.passed = 0;
    this.#byId.delete(id);
    this.#tidy(flow);
    return ticket ?? null;
  }

  tickets(): Iterable<T> {
    return [...this.#tenants.values()].flatMap(({ flows }) => [...flows.values()].flatMap(({ tickets }) => tickets));
  }

  /** Tickets of the same flow before this one; null = it does not wait. */
  before(id: string): number | null {
    const flow = this.#byId.get(id);
    return flow === undefined ? null : flow.tickets.findIndex((ticket) => ticket.id === id);
  }

  clear(): void {
    this.#tenants.clear();
    this.#byId.clear();
    this.#virtual = 0;
  }

  /** Offers tickets in order until `most` were admitted or nothing more can be. What was admitted has left the queue. */
  admit(most: number, attempt: Attempt<T>): T[] {
    const admitted: T[] = [];
    const round = new Round<T>();
    const turns = new Turns<T>();
    for (const tenant of this.#tenants.values()) turns.add(tenant, this.#startOf(tenant));
    while (admitted.length < most) {
      const turn = turns.first();
      if (turn === null) break;
      const flow = turn.flows.at(-1);
      const ticket = flow?.tickets[0];
      if (flow === undefined || ticket === undefined) {
        turns.end();
        continue;
      }
      const short = round.isClosed(ticket) ? noKeys : attempt(ticket);
      if (short === noKeys || short.length > 0) {
        round.close(flow, ticket, short);
        turn.flows.pop();
        continue;
      }
      flow.tickets.shift();
      flow.passed = 0;
      this.#byId.delete(ticket.id);
      admitted.push(ticket);
      round.took(ticket);
      this.#virtual = Math.max(this.#virtual, turn.start);
      turn.tenant.finish = turn.start + ticket.cost;
      turns.moveOn(turn.tenant.finish);
    }
    for (const { id } of admitted) this.#byId.delete(id);
    this.#tidyAll();
    return admitted;
  }

  #startOf({ finish }: Tenant<T>): number {
    return Math.max(this.#virtual, finish);
  }

  #tidy({ tenant, name, tickets }: Flow<T>): void {
    if (tickets.length > 0) return;
    tenant.flows.delete(name);
    // Who comes back before the others have caught up goes on where he was.
    if (tenant.flows.size === 0 && tenant.finish <= this.#virtual) this.#tenants.delete(tenant.name);
  }

  #tidyAll(): void {
    for (const tenant of this.#tenants.values()) {
      for (const flow of tenant.flows.values()) if (flow.tickets.length === 0) tenant.flows.delete(flow.name);
      if (tenant.flows.size === 0 && tenant.finish <= this.#virtual) this.#tenants.delete(tenant.name);
    }
  }
}

/** Not offered, because somebody before it waits for the same. */
const noKeys: readonly string[] = Object.freeze([]);

/** What one round of admitting has found to be short, and who waits for what. */
class Round<T extends Waiting> {
  readonly #closed = new Set<string>();
  readonly #waiting = new Map<string, Set<Flow<T>>>();

  isClosed({ demands }: T): boolean {
    return demands.some(({ key }) => this.#closed.has(key));
  }

  close(flow: Flow<T>, { demands }: T, short: readonly string[]): void {
    for (const key of short) this.#closed.add(key);
    for (const { key } of demands) {
      if (flow.passed > passedMax) this.#closed.add(key);
      const flows = this.#waiting.get(key);
      if (flows === undefined) this.#waiting.set(key, new Set([flow]));
      else flows.add(flow);
    }
  }

  took({ demands }: T): void {
    const passed = new Set<Flow<T>>();
    for (const { key } of demands) for (const flow of this.#waiting.get(key) ?? []) passed.add(flow);
    for (const flow of passed) flow.passed++;
  }
}

interface Turn<T extends Waiting> {
  readonly tenant: Tenant<T>;
  /** Flows that may still have something, the best last. */
  readonly flows: Flow<T>[];
  start: number;
}

/** Tenants by virtual start, as a binary heap: there may be many, and most have nothing to be admitted. */
class Turns<T extends Waiting> {
  readonly #heap: Turn<T>[] = [];

  add(tenant: Tenant<T>, start: number): void {
    if (tenant.flows.size === 0) return;
    this.#heap.push({ tenant, flows: [...tenant.flows.values()].sort(laterFirst), start });
    this.#up(this.#heap.length - 1);
  }

  first(): Turn<T> | null {
    return this.#heap[0] ?? null;
  }

  /** The first tenant has nothing more. */
  end(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#down();
  }

  /** The first tenant has had one: its next starts then. */
  moveOn(start: number): void {
    const [turn] = this.#heap;
    if (turn === undefined) return;
    turn.start = start;
    const flow = turn.flows.pop();
    if (flow !== undefined && flow.tickets.length > 0) insert(turn.flows, flow);
    this.#down();
  }

  #up(from: number): void {
    let at = from;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!this.#isBefore(at, above)) return;
      this.#swap(at, above);
      at = above;
    }
  }

  #down(): void {
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const right = left + 1;
      let least = at;
      if (left < this.#heap.length && this.#isBefore(left, least)) least = left;
      if (right < this.#heap.length && this.#isBefore(right, least)) least = right;
      if (least === at) return;
      this.#swap(at, least);
      at = least;
    }
  }

  #isBefore(a: number, b: number): boolean {
    const one = this.#heap[a];
    const other = this.#heap[b];
    if (one === undefined || other === undefined) return false;
    return one.start === other.start ? one.tenant.name < other.tenant.name : one.start < other.start;
  }

  #swap(a: number, b: number): void {
    const one = this.#heap[a];
    const other = this.#heap[b];
    if (one === undefined || other === undefined) return;
    this.#heap[a] = other;
    this.#heap[b] = one;
  }
}

function laterFirst<T extends Waiting>(a: Flow<T>, b: Flow<T>): number {
  return (a.tickets[0]?.order ?? '') < (b.tickets[0]?.order ?? '') ? 1 : -1;
}

/** Flows are few; one whose first ticket has gone finds its place from the end. */
function insert<T extends Waiting>(flows: Flow<T>[], flow: Flow<T>): void {
  let at = flows.length;
  while (at > 0 && laterFirst(flows[at - 1] ?? flow, flow) > 0) at--;
  flows.splice(at, 0, flow);
}

function placeOf(tickets: readonly Waiting[], order: string): number {
  let low = 0;
  let high = tickets.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((tickets[middle]?.order ?? '') < order) low = middle + 1;
    else high = middle;
  }
  return low;
}
