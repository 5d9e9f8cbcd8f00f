/**
 * What a subscription is, as data: read out of what people write (in code, over HTTP), with all faults at once. The same
 * reader for both, so that neither can say what the other cannot.
 */
import { durationMs, type Duration } from '../duration.js';
import { instantOf } from '../instant.js';
import { limits } from '../limits.js';
import { filterFaults } from './filter.js';
import type { DeliveryOrder, Filter, StartPosition, Subscription } from './subscription.js';

/** Where cursors begin, as people say it. An instant is ISO 8601, epoch ms, or a `Date`. */
export type StartOption = 'newest' | 'oldest' | { readonly offset: number } | { readonly at: string | number | Date };

/** How a subscription is described, whoever describes it; beside it stand its topic and what handles its events. */
export interface SubscriptionOptions {
  /** Which events are wanted. Default: all. */
  readonly filter?: Filter;
  /**
   * Where it begins on a topic that has events already. Default `newest`: with what is published after it was declared. It is
   * asked once: a subscription that is there goes on from its cursors.
   */
  readonly from?: StartOption;
  /**
   * What must have ended before the next event is begun. Default `key`: an earlier event of its key. `partition`: every earlier
   * one of its partition; `none`: nothing.
   */
  readonly order?: DeliveryOrder;
  /** Events of one partition that are under way at one time. 1 to 512, default 64. */
  readonly window?: number;
  /** How far it may fall behind before publishers to the topic are refused (TOPIC_BEHIND). Default: they never are. */
  readonly lagMax?: { readonly count?: number; readonly age?: Duration };
  /** Deliveries to consumers that pull, after which an event is a dead event. 1 to 1,000, default 5. With `start`, the workflow has retries. */
  readonly deliveries?: number;
}

/** Names of the options beside those that name the topic, the workflow and the mirror topic. */
export const subscriptionOptionNames = ['filter', 'from', 'order', 'window', 'lagMax', 'deliveries'] as const;

/** The topic of a subscription, what handles its events, and what is told of its dead letters. */
export interface SubscriptionEnds {
  readonly topic: string;
  readonly workflow: string | null;
  readonly dead: string | null;
}

/** Reads options that may be anything, and hands each fault to `add`; with faults, the result is of no use. */
export function readSubscription(
  name: string,
  ends: SubscriptionEnds,
  given: { readonly [K in keyof SubscriptionOptions]?: unknown },
  add: (fault: string) => void,
): Subscription {
  const {
    filter,
    from = 'newest',
    order = 'key',
    window = limits.subscriptionWindowDefault,
    lagMax,
    deliveries,
  } = given;
  if (filter !== undefined) for (const fault of filterFaults(filter)) add(fault);
  if (!orders.some((one) => one === order)) add(`order must be one of ${orders.join(', ')}`);
  if (!isWhole(window, 1, limits.subscriptionWindowMax))
    add(`window must be an integer from 1 to ${limits.subscriptionWindowMax}`);
  if (deliveries !== undefined && !isWhole(deliveries, 1, limits.subscriptionDeliveriesMax))
    add(`deliveries must be an integer from 1 to ${limits.subscriptionDeliveriesMax}`);
  return {
    name,
    ...ends,
    filter: filter === undefined ? null : (filter as Filter),
    from: readStart(from, 'from', add),
    order: order as DeliveryOrder,
    windowMax: window as number,
    lagMax: lagMax === undefined ? null : readLag(lagMax, add),
    ...(deliveries === undefined ? {} : { deliveriesMax: deliveries as number }),
  };
}

/** Reads a place in a topic; with a fault, the result is of no use. */
export function readStart(given: unknown, option: string, add: (fault: string) => void): StartPosition {
  if (given === 'newest' || given === 'oldest') return given;
  if (isRecord(given) && Object.keys(given).length === 1) {
    const { offset, at } = given;
    if (isWhole(offset, 0, Number.MAX_SAFE_INTEGER)) return { offset };
    const instant = instantOf(at);
    if (instant !== null) return { at: instant };
  }
  add(`${option} must be "newest", "oldest", { "offset": 0 } or { "at": "2026-01-31T09:00:00Z" }`);
  return 'newest';
}

/** What is wrong with a subscription that came from outside as data (a manifest of any worker); empty = nothing. */
export function subscriptionFaults(given: unknown): string[] {
  if (!isRecord(given)) return ['it is not an object'];
  const faults: string[] = [];
  const add = (fault: string): unknown => faults.push(fault);
  const { topic, filter, from, order, windowMax, lagMax, dead, workflow, deliveriesMax } = given;
  if (!isName(topic)) add('topic is not a name');
  if (dead !== null && !isName(dead)) add('dead is not a name');
  if (workflow !== null && !isName(workflow)) add('workflow is not a name');
  if (filter !== null) faults.push(...filterFaults(filter));
  readStart(from, 'from', add);
  if (isRecord(from) && 'at' in from && typeof from['at'] !== 'number') add('from.at is not an instant');
  if (!orders.some((one) => one === order)) add(`order must be one of ${orders.join(', ')}`);
  if (!isWhole(windowMax, 1, limits.subscriptionWindowMax)) add('windowMax is not valid');
  if (deliveriesMax !== undefined && !isWhole(deliveriesMax, 1, limits.subscriptionDeliveriesMax))
    add('deliveriesMax is not valid');
  if (lagMax !== null) {
    const { count, ageMs } = isRecord(lagMax) ? lagMax : {};
    const isBound = (value: unknown): boolean => value === null || isWhole(value, 1, Number.MAX_SAFE_INTEGER);
    if (!isBound(count) || !isBound(ageMs)) add('lagMax is not valid');
  }
  return faults;
}

const orders: readonly DeliveryOrder[] = ['key', 'partition', 'none'];

function readLag(given: unknown, add: (fault: string) => void): NonNullable<Subscription['lagMax']> {
  const { count, age, ...others } = isRecord(given) ? given : { others: given };
  const ageMs = age === undefined ? null : durationMs(age);
  const isCount = count === undefined || isWhole(count, 1, Number.MAX_SAFE_INTEGER);
  const isAge = age === undefined || (ageMs !== null && ageMs >= 1);
  const isBound = count !== undefined || age !== undefined;
  if (!isCount || !isAge || !isBound || Object.keys(others).length > 0)
    add('lagMax must be an object with count (at least 1), age (such as "5m"), or both');
  return { count: isCount && count !== undefined ? count : null, ageMs };
}

function isWhole(value: unknown, min: number, max: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max;
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= limits.nameLengthMax && !value.includes('\0');
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
