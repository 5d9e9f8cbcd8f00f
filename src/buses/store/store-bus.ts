/**
 * A bus over the topics of an engine, for whatever speaks the port of buses: topics are topics, a group is a subscription of
 * each topic, and its members are consumers that pull. What the port asks of a bus the store does by itself; this file only
 * translates.
 *
 * Invariant: nothing is settled here but what the handler has settled, and one batch is with it at a time.
 */
import type {
  Bus,
  BusCaps,
  BusDelivery,
  BusHandler,
  BusLag,
  BusMessage,
  BusPublished,
  BusSubscribeOptions,
  BusSubscription,
  BusTopic,
  Settlement,
} from '../../bus/port.js';
import { fromBase64 } from '../../core/base64.js';
import { encodeValue } from '../../core/codec.js';
import { hasCode, isSpineError } from '../../core/errors.js';
import { limits } from '../../core/limits.js';
import type { Manifest } from '../../core/manifest.js';
import type { Ports } from '../../core/ports.js';
import type { PulledEvent } from '../../core/topics/consume.js';
import type { Engine, Origin, PublishRequest } from '../../engine/api.js';
import { encodeUtf8 } from '../../protocol/json-body.js';

/** What of an engine a bus needs. */
export type StoreBusEngine = Pick<
  Engine,
  | 'currentDefinitions'
  | 'register'
  | 'publish'
  | 'putSubscription'
  | 'readSubscription'
  | 'pullEvents'
  | 'ackEvents'
  | 'nackEvents'
  | 'renewEvents'
  | 'leaveSubscription'
>;

export interface StoreBusOptions {
  readonly engine: StoreBusEngine;
  readonly ports: Pick<Ports, 'timers' | 'random'>;
  /** Default `default`. */
  readonly tenant?: string;
  /** How long what a member has is its own without another word of it. Default 30 s. */
  readonly leaseMs?: number;
}

/** What a store can do as a bus. */
export const storeBusCaps: BusCaps = {
  order: 'key',
  replay: true,
  // Members go on where the store says: it has the cursors.
  offsets: false,
  settle: 'prefix',
  dedupeMs: limits.dedupeTtlMs,
  lag: 'exact',
  // A message travels as base64 within a value.
  bytesMax: 4 * 1024 * 1024,
  batchMax: 1_000,
};

/** Makes a client. The engine stays its owner's. */
export function storeBus(options: StoreBusOptions): Bus {
  return new StoreBus(options);
}

class StoreBus implements Bus {
  readonly name = 'store';
  readonly caps = storeBusCaps;
  readonly #options: StoreBusOptions;
  readonly #origin: Origin;
  readonly #members = new Set<Member>();
  #isClosed = false;

  constructor(options: StoreBusOptions) {
    this.#options = options;
    this.#origin = {
      tenant: options.tenant ?? 'default',
      actor: 'bus:store',
      traceparent: null,
      correlation: null,
    };
  }

  async ensure(topics: readonly BusTopic[]): Promise<void> {
    const { engine } = this.#options;
    const known = new Set(
      (await engine.currentDefinitions()).flatMap((manifest) => manifest.topics.map(({ name }) => name)),
    );
    for (const { name, partitions = 1 } of topics) {
      if (known.has(name)) continue;
      const manifest: Manifest = {
        format: 1,
        app: `bus:${name}`.slice(0, limits.nameLengthMax),
        topics: [{ name, schema: null, key: null, partitions }],
        workflows: [],
        capabilities: [],
      };
      await engine.register(manifest);
    }
  }

  async publish(messages: readonly BusMessage[]): Promise<readonly BusPublished[]> {
    if (this.#isClosed) return messages.map(() => failed(new Error('The client is closed.'), true));
    const answers = messages.map((message): BusPublished | null =>
      message.body.byteLength > this.caps.bytesMax ? failed(new Error('The message is too large.'), false) : null,
    );
    const refused = new Set<string>();
    let left = [...messages.keys()].filter((i) => answers[i] === null);
    // Of a key one at a time: what follows one that was refused must not be there before it.
    while (left.length > 0) {
      const now = new Map<number, string | null>();
      const later: number[] = [];
      const taken = new Set<string>();
      for (const i of left) {
        const key = keyOf(messages[i]);
        if (key !== null && refused.has(key)) answers[i] = failed(new Error('One before it was refused.'), true);
        else if (key !== null && taken.has(key)) later.push(i);
        else {
          now.set(i, key);
          if (key !== null) taken.add(key);
        }
      }
      const outcomes = await this.#send([...now.keys()].flatMap((i) => requestOf(messages[i])));
      [...now].forEach(([i, key], at) => {
        const outcome = outcomes[at] ?? failed(new Error('No answer came.'), true);
        answers[i] = outcome;
        if (key !== null && outcome.tag === 'failed' && outcome.retryable) refused.add(key);
      });
      left = later;
    }
    return answers.map((answer) => answer ?? failed(new Error('No answer came.'), true));
  }

  async #send(requests: readonly PublishRequest[]): Promise<readonly BusPublished[]> {
    if (requests.length === 0) return [];
    try {
      const outcomes = await this.#options.engine.publish(this.#origin, requests);
      return outcomes.map((outcome) => {
        if (outcome.tag !== 'error') return { tag: 'published', position: null };
        return failed(outcome.error, !isSpineError(outcome.error) || outcome.error.kind === 'transient');
      });
    } catch (error) {
      return requests.map(() => failed(error instanceof Error ? error : new Error(String(error)), true));
    }
  }

  async subscribe(options: BusSubscribeOptions, handler: BusHandler): Promise<BusSubscription> {
    if (this.#isClosed) throw new Error('The client is closed.');
    const { engine } = this.#options;
    for (const topic of options.topics) {
      const name = subscriptionName(options.group, topic);
      if ((await engine.readSubscription(this.#origin.tenant, name)) !== null) continue;
      await engine.putSubscription(this.#origin, name, {
        topic,
        from: options.from,
        order: 'partition',
        window: limits.subscriptionWindowMax,
        deliveries: limits.subscriptionDeliveriesMax,
      });
    }
    const member = new Member(this.#options, this.#origin, options, handler);
    this.#members.add(member);
    member.start();
    return member;
  }

  async lag(group: string, topics: readonly string[]): Promise<readonly BusLag[]> {
    const lags: BusLag[] = [];
    for (const topic of topics) {
      const view = await this.#options.engine.readSubscription(this.#origin.tenant, subscriptionName(group, topic));
      for (const { partition, lag, ageMs } of view?.partitions ?? [])
        lags.push({ topic, partition, count: BigInt(lag), ageMs });
    }
    return lags;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#members].map((member) => member.close()));
  }
}

/** A member of a group: one consumer of each of its topics. */
class Member implements BusSubscription {
  readonly #engine: StoreBusEngine;
  readonly #ports: StoreBusOptions['ports'];
  readonly #origin: Origin;
  readonly #options: BusSubscribeOptions;
  readonly #handler: BusHandler;
  readonly #consumer: string;
  readonly #leaseMs: number;
  readonly #loops = new Set<Promise<void>>();
  /** Batches that are with the handler or being settled. */
  readonly #batches = new Set<Promise<void>>();
  readonly #sleepers = new Set<() => void>();
  /** The batch that is with the handler, and those behind it. */
  #line: Promise<void> = Promise.resolve();
  #state: 'running' | 'paused' | 'closing' | 'failed' = 'running';
  #closed: Promise<void> | null = null;

  constructor(
    { engine, ports, leaseMs }: StoreBusOptions,
    origin: Origin,
    options: BusSubscribeOptions,
    handler: BusHandler,
  ) {
    this.#engine = engine;
    this.#ports = ports;
    this.#origin = origin;
    this.#options = options;
    this.#handler = handler;
    this.#leaseMs = leaseMs ?? limits.consumerLeaseMsDefault;
    const name = [...ports.random.bytes(10)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    this.#consumer = `bus-${name}`;
  }

  start(): void {
    for (const topic of this.#options.topics) {
      const loop = this.#consume(subscriptionName(this.#options.group, topic)).finally(() => this.#loops.delete(loop));
      this.#loops.add(loop);
    }
  }

  pause(): void {
    if (this.#state !== 'running') return;
    this.#state = 'paused';
    // What was not begun goes back, and pulls that wait are answered.
    void this.#leave();
  }

  resume(): void {
    if (this.#state !== 'paused') return;
    this.#state = 'running';
    this.#wake();
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    if (this.#state !== 'failed') this.#state = 'closing';
    this.#wake();
    while (this.#batches.size > 0) await Promise.all(this.#batches);
    await this.#leave();
    await Promise.all(this.#loops);
    // A pull that was on its way may have been handed something.
    await this.#leave();
  }

  async #leave(): Promise<void> {
    for (const topic of this.#options.topics)
      await this.#engine
        .leaveSubscription(this.#origin, subscriptionName(this.#options.group, topic), { consumer: this.#consumer })
        .catch(() => undefined);
  }

  async #consume(name: string): Promise<void> {
    while (this.#state === 'running' || this.#state === 'paused') {
      if (this.#state === 'paused') {
        await this.#sleep(null);
        continue;
      }
      try {
        const { events } = await this.#engine.pullEvents(this.#origin, name, {
          consumer: this.#consumer,
          max: Math.min(this.#options.batchMax, limits.pullEventsMax),
          waitMs: pullWaitMs,
          leaseMs: this.#leaseMs,
        });
        // What is paused or closed meanwhile goes back by its goodbye.
        if (this.#isRunning()) for (const batch of batchesOf(events)) this.#begin(name, batch);
      } catch (error) {
        if (isSpineError(error) && error.kind !== 'transient') return this.#fail(error);
        await this.#sleep(againMs);
      }
    }
  }

  #isRunning(): boolean {
    return this.#state === 'running';
  }

  #begin(name: string, batch: readonly PulledEvent[]): void {
    const work = this.#serve(name, batch).finally(() => this.#batches.delete(work));
    this.#batches.add(work);
  }

  async #serve(name: string, batch: readonly PulledEvent[]): Promise<void> {
    const isOver = { value: false };
    const renewing = this.#renew(name, batch, isOver);
    // Without positions a handler cannot tell partitions apart: it gets one batch after the other.
    const turn = this.#line.then(async () => {
      const settlements = await this.#handle(batch);
      await this.#settle(name, batch, settlements);
    });
    this.#line = turn.catch(() => undefined);
    try {
      await turn;
    } finally {
      isOver.value = true;
      this.#wake();
      await renewing;
    }
  }

  async #handle(batch: readonly PulledEvent[]): Promise<readonly Settlement[]> {
    try {
      const settlements = await this.#handler(batch.map(deliveryOf));
      return settlements.length === batch.length ? settlements : batch.map(() => putBack);
    } catch {
      return batch.map(() => putBack);
    }
  }

  /** Everything up to what is put back is settled; that comes again, and what follows it behind it. */
  async #settle(name: string, batch: readonly PulledEvent[], settlements: readonly Settlement[]): Promise<void> {
    const first = settlements.findIndex(({ tag }) => tag === 'retry');
    const done = first < 0 ? batch : batch.slice(0, first);
    const again = batch[first];
    const settlement = settlements[first];
    const consumer = this.#consumer;
    if (done.length > 0)
      await this.#say(() => this.#engine.ackEvents(this.#origin, name, { consumer, positions: done }));
    if (again !== undefined && settlement?.tag === 'retry') {
      const delayMs = Math.min(Math.max(0, Math.ceil(settlement.afterMs)), limits.nackDelayMsMax);
      await this.#say(() => this.#engine.nackEvents(this.#origin, name, { consumer, positions: [again], delayMs }));
    }
  }

  /** What cannot be said now is said again; what is not ours any more is somebody else's. */
  async #say(say: () => Promise<unknown>): Promise<void> {
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      try {
        await say();
        return;
      } catch (error) {
        if (hasCode(error, 'CONSUMER_FENCED')) return;
        if (isSpineError(error) && error.kind !== 'transient') return this.#fail(error);
        await new Promise<void>((resolve) => this.#ports.timers.after(againMs, resolve));
      }
    }
    // Its lease runs out, and it comes again.
  }

  async #renew(name: string, batch: readonly PulledEvent[], isOver: { readonly value: boolean }): Promise<void> {
    const [first] = batch;
    if (first === undefined) return;
    const deliveries = [{ partition: first.partition, token: first.token }];
    for (;;) {
      await this.#sleep(this.#leaseMs / 3, isOver);
      if (isOver.value) return;
      const request = { consumer: this.#consumer, deliveries, leaseMs: this.#leaseMs };
      await this.#engine.renewEvents(this.#origin, name, request).catch(() => undefined);
    }
  }

  #fail(error: Error): void {
    if (this.#state === 'failed') return;
    this.#state = 'failed';
    this.#wake();
    this.#options.onFailed(error);
  }

  /** Until something has changed, or `ms` are over. */
  #sleep(ms: number | null, isOver: { readonly value: boolean } = { value: false }): Promise<void> {
    if (isOver.value) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = ms === null ? null : this.#ports.timers.after(ms, () => done());
      const done = (): void => {
        cancel?.();
        this.#sleepers.delete(done);
        resolve();
      };
      this.#sleepers.add(done);
    });
  }

  #wake(): void {
    for (const sleeper of [...this.#sleepers]) sleeper();
  }
}

/** Events of one partition, in order. */
function batchesOf(events: readonly PulledEvent[]): PulledEvent[][] {
  const batches = new Map<number, PulledEvent[]>();
  for (const event of events) {
    const batch = batches.get(event.partition);
    if (batch === undefined) batches.set(event.partition, [event]);
    else batch.push(event);
  }
  return [...batches.values()];
}

/** A message as the data of its event: names of headers and keys are anybody's. */
interface Wrapped {
  readonly key: string | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

function requestOf(message: BusMessage | undefined): PublishRequest[] {
  if (message === undefined) return [];
  const { id, topic, key, headers, body } = message;
  const wrapped: Wrapped = { key, headers, body };
  return [
    {
      topic,
      id,
      source: messageSource,
      type: messageType,
      ...(key === null || key === '' ? {} : { key: key.slice(0, limits.keyLengthMax) }),
      data: encodeValue(wrapped),
    },
  ];
}

/** What is kept in order: the messages of one key of one topic. null = nothing. */
function keyOf(message: BusMessage | undefined): string | null {
  return message === undefined || message.key === null ? null : `${message.topic}\0${message.key}`;
}

/** An event that came another way than over a bus is its CloudEvent. */
function deliveryOf({ topic, delivery, key, event }: PulledEvent): BusDelivery {
  const base = { topic, position: null, attempt: delivery, at: Date.parse(String(event['time'])) };
  if (event['type'] !== messageType || event['source'] !== messageSource) {
    const headers = { 'content-type': 'application/cloudevents+json' };
    return { ...base, id: String(event['id']), key, headers, body: encodeUtf8(JSON.stringify(event)) };
  }
  const wrapped = event['data'] as Wrapped;
  const body = fromBase64(String(wrapped.body)) ?? new Uint8Array(0);
  return { ...base, id: String(event['id']), key: wrapped.key, headers: wrapped.headers, body };
}

function subscriptionName(group: string, topic: string): string {
  return `bus.${group}.${topic}`;
}

function failed(error: Error, retryable: boolean): BusPublished {
  return { tag: 'failed', retryable, error };
}

const messageSource = 'eventspine/bus';
const messageType = 'eventspine.bus-message';
const putBack: Settlement = { tag: 'retry', afterMs: 0 };
const pullWaitMs = 5_000;
/** Pause before something that has failed is tried again, and how often. */
const againMs = 100;
const attemptsMax = 10;
