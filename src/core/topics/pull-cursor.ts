/**
 * The cursor of a partition that consumers pull: what was handed out and to whom, what waits to come again, and how the next
 * state follows from this one. Pure; whoever writes it does so from the value that was read.
 *
 * Invariants: of the events below `read` exactly those in `open` are not settled; an event is out in one delivery at most,
 * and only the token of that delivery settles it; of one key, nothing is handed out while an earlier event of it was handed
 * out before or waits.
 */
import type { ArrivedEvent } from './delivery.js';
import type { Cursor, DeliveryOrder } from './subscription.js';

/** An event that was read and is not settled. */
export interface OpenEvent {
  readonly offset: number;
  /** Fingerprint of what it is kept in order by. */
  readonly key: string;
  /** How often it was handed out, the delivery that it is out in included. */
  readonly deliveries: number;
  /** Not before this instant, epoch ms; 0 = at once. */
  readonly at: number;
  /** The pause that ends then. */
  readonly delayMs?: number;
  /** The delivery that it is out in; absent = it waits. */
  readonly out?: Delivery;
  /** Why it was given back last, in a few words. */
  readonly why?: string;
}

export interface Delivery {
  /** Names what was handed out together, and is never used again. */
  readonly token: string;
  /** When it counts as lost, epoch ms. */
  readonly until: number;
}

/** Who alone is handed events of a partition. */
export interface PartitionLease {
  readonly consumer: string;
  readonly until: number;
  readonly ms: number;
  /** Deliveries under it of which nothing was lost, the newest last: what they have settled may be settled again. */
  readonly tokens: readonly string[];
}

/** As it is stored. */
export interface PullCursor extends Cursor {
  /** Offset up to which events were read. Absent = `next`. */
  readonly read?: number;
  readonly open?: readonly OpenEvent[];
  readonly lease?: PartitionLease;
  /** How often it was set by hand. */
  readonly seeks?: number;
}

/** The same with everything there. */
export interface PullState {
  readonly read: number;
  /** In the order of their offsets. */
  readonly open: readonly OpenEvent[];
  readonly lease: PartitionLease | null;
  readonly seeks: number;
}

/** Where somebody says that an event was settled. */
export interface SettledPosition {
  readonly offset: number;
  readonly token: string;
}

export function stateOf({ next, read = next, open = [], lease, seeks = 0 }: PullCursor): PullState {
  return { read: Math.max(read, next), open: open.filter(({ offset }) => offset >= next), lease: lease ?? null, seeks };
}

export function cursorOf({ read, open, lease, seeks }: PullState): PullCursor {
  const next = open[0]?.offset ?? read;
  return {
    next,
    ...(read === next ? {} : { read }),
    ...(open.length === 0 ? {} : { open }),
    ...(lease === null ? {} : { lease }),
    ...(seeks === 0 ? {} : { seeks }),
  };
}

/** Deliveries that are over without a word: what was in them waits again, and their tokens are good for nothing. */
export function withoutLost(state: PullState, now: number): PullState {
  const { lease } = state;
  const isLost = ({ out }: OpenEvent): boolean => out !== undefined && isOver(out.until, now, lease?.ms ?? 0);
  const lost = new Set(state.open.flatMap((one) => (one.out !== undefined && isLost(one) ? [one.out.token] : [])));
  if (lost.size === 0) return state;
  return {
    ...state,
    open: state.open.map((one) => (one.out !== undefined && lost.has(one.out.token) ? waiting(one) : one)),
    lease: lease === null ? null : { ...lease, tokens: lease.tokens.filter((token) => !lost.has(token)) },
  };
}

/** Whether the consumer may have the partition: it is its own, or nobody has anything of it in hand. */
export function isFreeFor({ lease, open }: PullState, consumer: string, now: number): boolean {
  if (lease === null || lease.consumer === consumer || isOver(lease.until, now, lease.ms)) return true;
  return !open.some(({ out }) => out !== undefined);
}

/** The consumer has the partition until `now + ms`. What another had is lost to it. */
export function leasedTo(state: PullState, consumer: string, now: number, ms: number): PullState {
  const { lease } = state;
  if (lease?.consumer === consumer)
    return { ...state, lease: { ...lease, until: Math.max(lease.until, now + ms), ms } };
  return { ...state, open: state.open.map(waiting), lease: { consumer, until: now + ms, ms, tokens: [] } };
}

/** The consumer gives the partition up. What it has in hand waits again and does not count as delivered. */
export function released(state: PullState): PullState {
  return { ...state, open: state.open.map(uncounted), lease: null };
}

export interface HandOutRules {
  readonly order: DeliveryOrder;
  readonly delivery: Delivery;
  readonly now: number;
  /** Events of this delivery. */
  readonly max: number;
  /** Events that may be open. */
  readonly windowMax: number;
  /** Deliveries that an event gets. */
  readonly deliveriesMax: number;
}

/** What is handed out, and what is given up on, with the state after it. */
export interface HandedOut {
  readonly state: PullState;
  readonly out: readonly OpenEvent[];
  readonly dead: readonly OpenEvent[];
}

/**
 * Hands out what may be: first what waits, then what is new. The last delivery of an event is made alone, so that an event
 * which kills its consumers takes no others with it.
 */
export function handOut(state: PullState, fresh: readonly ArrivedEvent[], rules: HandOutRules): HandedOut {
  const { order, delivery, now, max, windowMax, deliveriesMax } = rules;
  const open: OpenEvent[] = [];
  const out: OpenEvent[] = [];
  const dead: OpenEvent[] = [];
  const blocked = new Set<string>();
  let hasKept = false;
  // Nothing more of this partition, for the sake of an event that is to go alone.
  let isShut = false;
  const isOut = state.open.some((one) => one.out !== undefined);
  const isBlocked = (key: string): boolean =>
    (order === 'key' && blocked.has(key)) || (order === 'partition' && hasKept);
  const keep = (one: OpenEvent): void => {
    open.push(one);
    blocked.add(one.key);
    hasKept = true;
  };
  const give = (one: OpenEvent): void => {
    const { why: _why, delayMs: _delayMs, ...rest } = one;
    const given = { ...rest, deliveries: one.deliveries + 1, at: 0, out: delivery };
    open.push(given);
    out.push(given);
  };
  for (const one of state.open) {
    if (one.out !== undefined || isBlocked(one.key)) keep(one);
    else if (one.deliveries >= deliveriesMax) dead.push(one);
    else if (!isDue(one, now) || isShut || out.length >= max) keep(one);
    else if (one.deliveries === 0 || one.deliveries < deliveriesMax - 1) give(one);
    else {
      // Its last chance: as soon as nothing else is out.
      isShut = true;
      if (isOut || out.length > 0) keep(one);
      else give(one);
    }
  }
  let { read } = state;
  for (const { offset, key, isWanted } of fresh) {
    if (offset < read) continue;
    if (isWanted) {
      if (isShut || out.length >= max || open.length >= windowMax || (order === 'partition' && hasKept)) break;
      const one: OpenEvent = { offset, key, deliveries: 0, at: 0 };
      if (isBlocked(key)) keep(one);
      else give(one);
    }
    read = offset + 1;
  }
  return { state: { ...withToken({ ...state, open }, out.length > 0 ? delivery.token : null), read }, out, dead };
}

/** What became of a word of a consumer. */
export type Settled =
  | {
      readonly tag: 'settled';
      readonly state: PullState;
      /** Settled now; those that were before are not among them. */
      readonly events: readonly OpenEvent[];
      readonly dead: readonly OpenEvent[];
    }
  /** It no longer has what it speaks of. */
  | { readonly tag: 'fenced'; readonly offset: number }
  /** An earlier event of the same key was handed out with it and is not settled. */
  | { readonly tag: 'early'; readonly offset: number; readonly before: number };

/** The events are done with. All or none of them. */
export function acked(
  state: PullState,
  consumer: string,
  positions: readonly SettledPosition[],
  { order, now }: { readonly order: DeliveryOrder; readonly now: number },
): Settled {
  const events: OpenEvent[] = [];
  for (const position of positions) {
    const found = heldAt(state, consumer, position);
    if (found === 'fenced') return { tag: 'fenced', offset: position.offset };
    if (found !== 'settled' && !events.includes(found)) events.push(found);
  }
  const open = state.open.filter((one) => !events.includes(one));
  if (order !== 'none') {
    for (const one of events) {
      const before = open.find(
        ({ offset, key, out }) =>
          offset < one.offset && out?.token === one.out?.token && (order === 'partition' || key === one.key),
      );
      if (before !== undefined) return { tag: 'early', offset: one.offset, before: before.offset };
    }
  }
  return { tag: 'settled', state: held({ ...state, open }, now), events, dead: [] };
}

export interface NackRules {
  readonly order: DeliveryOrder;
  readonly now: number;
  readonly deliveriesMax: number;
  /** How long an event waits before it comes again, by how often it was delivered. */
  readonly delayMs: (deliveries: number) => number;
  /** Nobody is to try it again. */
  readonly isDead: boolean;
  readonly why: string | null;
}

/**
 * The events come again, or are given up on. What the consumer has in hand of the same key and after them waits again too,
 * uncounted: it must not be done before them.
 */
export function nacked(
  state: PullState,
  consumer: string,
  positions: readonly SettledPosition[],
  { order, now, deliveriesMax, delayMs, isDead, why }: NackRules,
): Settled {
  const events: OpenEvent[] = [];
  const dead: OpenEvent[] = [];
  for (const position of positions) {
    const found = heldAt(state, consumer, position);
    // One that is settled cannot come again.
    if (found === 'fenced' || found === 'settled') return { tag: 'fenced', offset: position.offset };
    if (events.includes(found) || dead.includes(found)) continue;
    (isDead || found.deliveries >= deliveriesMax ? dead : events).push(found);
  }
  const said = why === null ? {} : { why };
  const follows = (one: OpenEvent): boolean =>
    order !== 'none' &&
    events.some(({ offset, key }) => offset < one.offset && (order === 'partition' || key === one.key));
  const open = state.open
    .filter((one) => !dead.includes(one))
    .map((one) => {
      if (!events.includes(one)) return one.out !== undefined && follows(one) ? uncounted(one) : one;
      const pauseMs = delayMs(one.deliveries);
      return { ...waiting(one), at: now + pauseMs, delayMs: pauseMs, ...said };
    });
  return {
    tag: 'settled',
    state: held({ ...state, open }, now),
    events,
    dead: dead.map((one) => ({ ...one, ...said })),
  };
}

/** The consumer is still at work on these deliveries. Those that it no longer has are not among the answer. */
export function renewed(
  state: PullState,
  consumer: string,
  tokens: readonly string[],
  now: number,
  ms: number,
): { readonly state: PullState; readonly tokens: readonly string[] } {
  const { lease } = state;
  if (lease?.consumer !== consumer) return { state, tokens: [] };
  const inHand = new Set([...lease.tokens, ...state.open.flatMap(({ out }) => (out === undefined ? [] : [out.token]))]);
  const kept = tokens.filter((token) => inHand.has(token));
  const open = state.open.map((one) =>
    one.out !== undefined && kept.includes(one.out.token) ? { ...one, out: { ...one.out, until: now + ms } } : one,
  );
  return { state: { ...leasedTo(state, consumer, now, ms), open }, tokens: kept };
}

/** An event that was given up on comes again, counted anew; null = it is open. */
export function reopened(state: PullState, offset: number, key: string): PullState | null {
  if (offset >= state.read || state.open.some((one) => one.offset === offset)) return null;
  const open = [...state.open, { offset, key, deliveries: 0, at: 0 }].sort((a, b) => a.offset - b.offset);
  return { ...state, open };
}

/** Whether a time of `ms` is over. One that is longer away than it ever was began before the store's clock went back. */
export function isOver(until: number, now: number, ms: number): boolean {
  return until <= now || until - now > clockFactor * ms;
}

/** When an event that waits may be handed out; null = it may be now. */
export function dueAt(one: OpenEvent, now: number): number | null {
  return one.out !== undefined || isDue(one, now) ? null : one.at;
}

function isDue({ at, delayMs = at }: OpenEvent, now: number): boolean {
  return isOver(at, now, delayMs);
}

/** Servers that do not quite agree on the store's clock are no reason to call a lease over. */
const clockFactor = 2;

/** Events that are neither settled nor handed to nobody: what is behind `head`. */
export function pendingOf(state: PullState, head: number): number {
  return Math.max(0, head - state.read) + state.open.length;
}

/** Tokens that a lease remembers. */
export const leaseTokensMax = 32;

function withToken(state: PullState, token: string | null): PullState {
  const { lease } = state;
  if (lease === null || token === null) return state;
  return { ...state, lease: { ...lease, tokens: [...lease.tokens, token].slice(-leaseTokensMax) } };
}

/** A word of the holder shows that it lives. */
function held(state: PullState, now: number): PullState {
  const { lease } = state;
  return lease === null ? state : { ...state, lease: { ...lease, until: Math.max(lease.until, now + lease.ms) } };
}

function heldAt(
  { open, lease, read }: PullState,
  consumer: string,
  { offset, token }: SettledPosition,
): OpenEvent | 'settled' | 'fenced' {
  if (lease?.consumer !== consumer) return 'fenced';
  const one = open.find((event) => event.offset === offset);
  if (one !== undefined) return one.out?.token === token ? one : 'fenced';
  return offset < read && lease.tokens.includes(token) ? 'settled' : 'fenced';
}

function waiting(one: OpenEvent): OpenEvent {
  if (one.out === undefined) return one;
  const { out: _out, ...rest } = one;
  return rest;
}

function uncounted(one: OpenEvent): OpenEvent {
  return one.out === undefined ? one : { ...waiting(one), deliveries: one.deliveries - 1 };
}
