/**
 * What a subscription with a workflow begins next in one partition: decided from its cursor, the events after it, and which
 * of its runs have ended. Pure; whoever acts on it writes the new cursor together with the runs, from the cursor as it was.
 *
 * Invariant: no event is begun twice without a seek in between. With order `key` no event is begun while an earlier one of
 * its key is under way or waits itself, with order `partition` none while any earlier one is.
 */
import { limits } from '../limits.js';
import type { Cursor, Subscription } from './subscription.js';

/** A run of an event of which it is not known that it has ended. */
export interface RunUnderWay {
  readonly offset: number;
  readonly run: string;
  /** Fingerprint of the event's key. */
  readonly key: string;
}

/** The cursor of a subscription whose events start runs. */
export interface DeliveryCursor extends Cursor {
  /** Offsets from `next` on that need no more doing, in order: an earlier event waits for its key. */
  readonly ahead?: readonly number[];
  readonly runs?: readonly RunUnderWay[];
  /** How often it was set by hand. */
  readonly seeks?: number;
  /** It ends before this offset (a replay). Absent = it never does. */
  readonly end?: number;
}

/** An event after the cursor. */
export interface ArrivedEvent {
  readonly offset: number;
  /** Fingerprint of its key. */
  readonly key: string;
  /** Whether the filter lets it pass. */
  readonly isWanted: boolean;
}

export interface DeliveryPlan {
  /** The events to begin a run for, in order. */
  readonly begin: readonly ArrivedEvent[];
  /** The cursor behind these and behind what is not wanted; the new runs are not in it yet. */
  readonly cursor: DeliveryCursor;
  /** Nothing more can begin before a run ends, however many events there are. */
  readonly isFull: boolean;
}

/** What is known of the events after a cursor. */
export interface ArrivedEvents {
  /** Those from the cursor on, in order; what is not among them is no longer there. */
  readonly events: readonly ArrivedEvent[];
  /** Offset up to which they are known. */
  readonly readTo: number;
}

/** `beginMax`: runs that one transition may hold. */
export function planDelivery(
  { order, windowMax }: Pick<Subscription, 'order' | 'windowMax'>,
  cursor: DeliveryCursor,
  { events, readTo }: ArrivedEvents,
  beginMax: number,
): DeliveryPlan {
  const { runs = [], end = Number.POSITIVE_INFINITY } = cursor;
  const done = new Set(cursor.ahead);
  const busy = new Set(runs.map(({ key }) => key));
  const begin: ArrivedEvent[] = [];
  const ahead: number[] = [];
  let { next } = cursor;
  let isWaiting = false;
  let isFull = false;
  let isWhole = true;
  for (const event of events) {
    const { offset, key, isWanted } = event;
    isWhole = false;
    if (offset >= end || ahead.length >= limits.subscriptionAheadMax) break;
    if (isWanted && !done.has(offset)) {
      const underWay = runs.length + begin.length;
      isFull = order === 'partition' ? underWay > 0 : underWay >= windowMax;
      if (isFull || begin.length >= beginMax) break;
      if (order === 'key' && busy.has(key)) {
        isWaiting = true;
        isWhole = true;
        continue;
      }
      // What waits holds back later ones of its key, and so does what is begun here.
      begin.push(event);
      busy.add(key);
    }
    if (isWaiting) ahead.push(offset);
    else next = offset + 1;
    isWhole = true;
  }
  if (isWhole && !isWaiting) next = Math.max(next, Math.min(readTo, end));
  return {
    begin,
    cursor: { ...without(cursor, 'ahead'), next, ...listed('ahead', stillAhead(cursor, ahead, next)) },
    isFull,
  };
}

/** The cursor with runs that have begun. */
export function withRuns(cursor: DeliveryCursor, begun: readonly RunUnderWay[]): DeliveryCursor {
  return begun.length === 0 ? cursor : { ...cursor, runs: [...(cursor.runs ?? []), ...begun] };
}

/** The cursor without the runs that have ended; one that goes on in another run is that run. `becomes`: null = it has ended. */
export function withoutEnded(cursor: DeliveryCursor, becomes: ReadonlyMap<string, string | null>): DeliveryCursor {
  const { runs = [] } = cursor;
  const left = runs.flatMap((one) => {
    const next = becomes.get(one.run);
    return next === undefined ? [one] : next === null ? [] : [{ ...one, run: next }];
  });
  return { ...without(cursor, 'runs'), ...listed('runs', left) };
}

/** The cursor at another place. What is under way stays so: a later event of its key waits for it. */
export function soughtTo(cursor: DeliveryCursor, next: number): DeliveryCursor {
  const { runs = [], seeks = 0 } = cursor;
  return { next, ...listed('runs', runs), seeks: seeks + 1, ...(cursor.end === undefined ? {} : { end: cursor.end }) };
}

function without(cursor: DeliveryCursor, name: 'ahead' | 'runs'): DeliveryCursor {
  return Object.fromEntries(Object.entries(cursor).filter(([key]) => key !== name)) as unknown as DeliveryCursor;
}

function stillAhead({ ahead = [] }: DeliveryCursor, fresh: readonly number[], next: number): readonly number[] {
  return [...new Set([...ahead, ...fresh])].filter((offset) => offset >= next).sort((a, b) => a - b);
}

/** Lists that are empty are left out: most cursors have none. */
function listed<K extends string, T>(name: K, list: readonly T[]): { readonly [N in K]?: readonly T[] } {
  return list.length === 0 ? {} : ({ [name]: list } as { readonly [N in K]: readonly T[] });
}
