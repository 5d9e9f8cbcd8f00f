/**
 * The client's surface for consumers, which pull the events of subscriptions.
 * Invariant of `consume`: an event is settled only after its handler has returned, and of one key one handler runs at a time.
 */
import { clientLimits } from '../core/client-limits.js';
import { type Duration, parseDuration } from '../core/duration.js';
import type {
  AckAnswer,
  EventPosition,
  NackAnswer,
  PullAnswer,
  PulledEvent,
  PulledGap,
  RenewAnswer,
} from '../protocol/http.js';
import { pathOf } from '../protocol/route-paths.js';
import type { Pace } from './pace.js';
import { randomId } from './random-id.js';
import { isRemoteError } from './remote-error.js';
import { type CallOptions, command } from './run-handle.js';

import type { Transport } from './transport.js';

/** Options of `pull`. */
export interface PullOptions extends CallOptions {
  /** Events at most: 1 to 500, default 50. */
  readonly max?: number;
  /** How long to wait where there is none, 30 s at most. Default: not at all. */
  readonly wait?: Duration;
  /** How long the events are the consumer's alone without another word of it. Default 30 s. */
  readonly lease?: Duration;
}

/** Options of `nack`. */
export interface NackOptions extends CallOptions {
  /** When the events come again. Default: after 1 s, doubling with each delivery up to a minute. */
  readonly delay?: Duration;
  /** Why, for people. */
  readonly reason?: string;
  /** Nobody is to try them again: they become dead events. Default false. */
  readonly dead?: boolean;
}

/** Options of `consume`. */
export interface ConsumeOptions {
  /** Ends it: handlers that run are waited for, and what was not begun goes to other consumers at once. */
  readonly signal: AbortSignal;
  /** Names the consumer among those of the subscription. Default: a random name. */
  readonly consumer?: string;
  /** Handlers that run at the same time, those of different keys. Default 8. */
  readonly concurrency?: number;
  /** Events pulled at a time. Default 50. */
  readonly max?: number;
  /** How long an event is the consumer's alone without another word of it, which `consume` gives. Default 30 s. */
  readonly lease?: Duration;
  /** Hears of what goes wrong apart from handlers; it is tried again. Default: nobody does. */
  readonly onError?: (error: unknown) => void;
  /** Hears of events that were trimmed before the subscription came to them: nobody will be given them. Default: nobody does. */
  readonly onGap?: (gap: PulledGap) => void;
}

/** An event in the hand of a consumer. */
export interface ConsumedEvent extends PulledEvent {
  /** Aborted when the event is not this consumer's any more: what is done from then on counts for nothing. */
  readonly signal: AbortSignal;
}

/** Thrown by a handler: says when the event comes again, or that nobody is to try it again. */
export class Nack extends Error {
  readonly delay: Duration | undefined;
  readonly dead: boolean;

  /** `delay`: when it comes again. `dead`: it becomes a dead event at once. */
  constructor(reason: string, options: { readonly delay?: Duration; readonly dead?: boolean } = {}) {
    super(reason);
    this.name = 'Nack';
    this.delay = options.delay;
    this.dead = options.dead === true;
  }
}

/** Consumers of subscriptions. */
export interface ConsumersApi {
  /**
   * Hands events to the handler until `signal` ends it. One that it returns from is settled; one that it throws of comes
   * again, and after the deliveries of the subscription is a dead event. It may see an event twice, as after a crash.
   */
  consume(name: string, handler: (event: ConsumedEvent) => unknown, options: ConsumeOptions): Promise<void>;
  /** The same by hand. SUBSCRIPTION_NOT_FOUND, SUBSCRIPTION_HANDLED, CONSUMERS_FULL. */
  pull(name: string, consumer: string, options?: PullOptions): Promise<PullAnswer>;
  /** All of them, or none. CONSUMER_FENCED, ACK_OUT_OF_ORDER. */
  ack(name: string, consumer: string, positions: readonly EventPosition[], options?: CallOptions): Promise<AckAnswer>;
  /** All of them, or none. CONSUMER_FENCED. */
  nack(name: string, consumer: string, positions: readonly EventPosition[], options?: NackOptions): Promise<NackAnswer>;
  /** Keeps deliveries for another lease; answers the tokens of those that are lost. */
  renew(
    name: string,
    consumer: string,
    deliveries: readonly Pick<EventPosition, 'partition' | 'token'>[],
    options?: CallOptions & { readonly lease?: Duration },
  ): Promise<RenewAnswer>;
  /** The consumer goes; what it has in hand goes to others at once. */
  leave(name: string, consumer: string, options?: CallOptions): Promise<void>;
}

/** Consumers over a transport. */
export function consumersOver(transport: Transport): ConsumersApi {
  const api: ConsumersApi = {
    consume: (name, handler, options) => new Consuming(api, transport.pace, name, handler, options).run(),
    pull: (name, consumer, { max, wait, lease, ...options } = {}) => {
      const waitMs = wait === undefined ? undefined : parseDuration(wait);
      const body = { consumer, max, waitMs, ...leaseOf(lease) };
      // What a lost answer has handed out comes again when its lease is over, so a repeat is harmless and may be early.
      return transport.json({
        ...command(pathOf('pullEvents', { name }), body, false, options),
        ...(waitMs === undefined ? {} : { timeoutMs: waitMs + waitSlackMs }),
      });
    },
    ack: (name, consumer, positions, options) =>
      transport.json(
        command(pathOf('ackEvents', { name }), { consumer, positions: positions.map(positionOf) }, true, options),
      ),
    nack: (name, consumer, positions, { delay, reason, dead, ...options } = {}) => {
      const delayMs = delay === undefined ? undefined : parseDuration(delay);
      const body = { consumer, positions: positions.map(positionOf), delayMs, reason, dead };
      return transport.json(command(pathOf('nackEvents', { name }), body, false, options));
    },
    renew: (name, consumer, deliveries, { lease, ...options } = {}) => {
      const held = deliveries.map(({ partition, token }) => ({ partition, token }));
      const body = { consumer, deliveries: held, ...leaseOf(lease) };
      return transport.json(command(pathOf('renewEvents', { name }), body, true, options));
    },
    leave: (name, consumer, options) =>
      transport.exchange(command(pathOf('leaveSubscription', { name }), { consumer }, true, options), () => undefined),
  };
  return api;
}

function leaseOf(lease: Duration | undefined): { readonly leaseMs?: number } {
  return lease === undefined ? {} : { leaseMs: parseDuration(lease) };
}

function positionOf({ partition, offset, token }: EventPosition): EventPosition {
  return { partition, offset, token };
}

/** An event that was pulled, on its way through its handler. */
interface Held {
  readonly event: PulledEvent;
  readonly lost: AbortController;
}

/** One `consume`: pulls, runs handlers, keeps what is in hand, settles. */
class Consuming {
  readonly #api: ConsumersApi;
  readonly #pace: Pace;
  readonly #name: string;
  readonly #handler: (event: ConsumedEvent) => unknown;
  readonly #options: ConsumeOptions;
  readonly #consumer: string;
  readonly #concurrency: number;
  readonly #leaseMs: number;
  /** What is in hand, by partition and offset. */
  readonly #held = new Map<string, Held>();
  /** Events that wait for a handler, by key, in order; the first of a key whose handler runs stays in its list. */
  readonly #lines = new Map<string, Held[]>();
  readonly #ready: string[] = [];
  #running = 0;
  readonly #work = new Set<Promise<void>>();
  #wake: () => void = () => undefined;

  constructor(
    api: ConsumersApi,
    pace: Pace,
    name: string,
    handler: (event: ConsumedEvent) => unknown,
    options: ConsumeOptions,
  ) {
    this.#api = api;
    this.#pace = pace;
    this.#name = name;
    this.#handler = handler;
    this.#options = options;
    this.#consumer = options.consumer ?? `consumer-${randomId()}`;
    this.#concurrency = options.concurrency ?? concurrencyDefault;
    this.#leaseMs = options.lease === undefined ? leaseMsDefault : parseDuration(options.lease);
  }

  async run(): Promise<void> {
    const { signal } = this.#options;
    const over = new AbortController();
    const wakeAll = (): void => this.#wake();
    signal.addEventListener('abort', wakeAll);
    const renewing = this.#renew(over.signal);
    try {
      await this.#pull();
    } finally {
      // What was not begun goes back with the rest; what runs is waited for, and kept meanwhile.
      for (const line of this.#lines.values()) line.splice(1);
      this.#ready.length = 0;
      await Promise.all(this.#work);
      over.abort();
      signal.removeEventListener('abort', wakeAll);
      await renewing;
      await this.#api.leave(this.#name, this.#consumer).catch((error: unknown) => this.#options.onError?.(error));
    }
  }

  async #pull(): Promise<void> {
    const { signal, max = pullMaxDefault } = this.#options;
    const ended = new Promise<null>((resolve) => signal.addEventListener('abort', () => resolve(null), { once: true }));
    let failures = 0;
    while (!signal.aborted) {
      // As much in hand as keeps all handlers busy, and no more: it would only wait here.
      if (this.#held.size >= this.#concurrency) {
        await new Promise<void>((resolve) => (this.#wake = resolve));
        continue;
      }
      try {
        // The goodbye ends a pull that is still on its way.
        const pulled = await Promise.race([
          this.#api.pull(this.#name, this.#consumer, { max, wait: pullWaitMs, lease: this.#leaseMs, signal }),
          ended,
        ]);
        if (pulled === null) return;
        const { events, gaps } = pulled;
        for (const gap of gaps) this.#options.onGap?.(gap);
        failures = 0;
        for (const event of events) this.#take(event);
      } catch (error) {
        if (signal.aborted) return;
        if (isRemoteError(error) && error.kind !== 'transient') throw error;
        this.#options.onError?.(error);
        failures += 1;
        await this.#pause(Math.min(pauseMsMax, pauseMsMin * 2 ** failures));
      }
    }
  }

  #take(event: PulledEvent): void {
    const held: Held = { event, lost: new AbortController() };
    this.#held.set(placeOf(event), held);
    const key = `${event.partition} ${event.key}`;
    const line = this.#lines.get(key);
    if (line !== undefined) {
      line.push(held);
      return;
    }
    this.#lines.set(key, [held]);
    this.#ready.push(key);
    this.#begin();
  }

  #begin(): void {
    while (this.#running < this.#concurrency) {
      const key = this.#ready.shift();
      if (key === undefined) return;
      this.#running += 1;
      const work = this.#workThrough(key).finally(() => {
        this.#work.delete(work);
        this.#running -= 1;
        this.#begin();
        this.#wake();
      });
      this.#work.add(work);
    }
  }

  /** Handles the events of one key, one after the other. */
  async #workThrough(key: string): Promise<void> {
    const line = this.#lines.get(key) ?? [];
    for (let held = line[0]; held !== undefined; held = line[0]) {
      const isDone = await this.#handle(held).catch((error: unknown) => {
        this.#options.onError?.(error);
        return false;
      });
      this.#held.delete(placeOf(held.event));
      line.shift();
      this.#wake();
      if (isDone && !this.#options.signal.aborted) continue;
      // What follows it under its key was given back with it, is not this consumer's any more, or is not begun at the end.
      for (const { event } of line.splice(0)) this.#held.delete(placeOf(event));
    }
    this.#lines.delete(key);
  }

  /** True = it is settled. */
  async #handle({ event, lost }: Held): Promise<boolean> {
    if (lost.signal.aborted) return false;
    try {
      await this.#handler({ ...event, signal: lost.signal });
    } catch (error) {
      if (lost.signal.aborted) return false;
      const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
      const { dead } = await this.#api.nack(this.#name, this.#consumer, [event], {
        reason: reason.slice(0, reasonLengthMax),
        ...(error instanceof Nack
          ? { dead: error.dead, ...(error.delay === undefined ? {} : { delay: error.delay }) }
          : {}),
      });
      // A dead event is out of the way of what follows it.
      return dead > 0;
    }
    if (lost.signal.aborted) return false;
    await this.#api.ack(this.#name, this.#consumer, [event]);
    return true;
  }

  /** Says again and again that what is in hand is being worked on. */
  async #renew(over: AbortSignal): Promise<void> {
    while (!over.aborted) {
      await this.#pause(this.#leaseMs / 3, over);
      if (over.aborted || this.#held.size === 0) continue;
      const deliveries = new Map([...this.#held.values()].map(({ event }) => [event.token, event]));
      try {
        const { lost } = await this.#api.renew(
          this.#name,
          this.#consumer,
          [...deliveries.values()].slice(0, clientLimits.batchItemsMax),
          {
            lease: this.#leaseMs,
          },
        );
        const gone = new Set(lost);
        for (const held of this.#held.values()) if (gone.has(held.event.token)) held.lost.abort();
      } catch (error) {
        this.#options.onError?.(error);
      }
    }
  }

  #pause(ms: number, signal: AbortSignal = this.#options.signal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const done = (): void => {
        cancel();
        signal.removeEventListener('abort', done);
        resolve();
      };
      const cancel = this.#pace.after(ms, done);
      signal.addEventListener('abort', done);
    });
  }
}

function placeOf({ partition, offset }: PulledEvent): string {
  return `${partition}/${offset}`;
}

const concurrencyDefault = 8;
const pullMaxDefault = 50;
const pullWaitMs = 20_000;
/** How long an answer may take beyond the wait that was asked for. */
const waitSlackMs = 10_000;
const leaseMsDefault = 30_000;
const reasonLengthMax = 500;
/** Pause before another pull after one that failed: doubling from min to max. */
const pauseMsMin = 100;
const pauseMsMax = 5_000;
