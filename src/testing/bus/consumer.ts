/** Consumers and stores of the cases: what was delivered, in which order, and which effects that would have had. */
import assert from 'node:assert/strict';
import type {
  Bus,
  BusDelivery,
  BusMessage,
  BusPublished,
  BusSubscribeOptions,
  BusSubscription,
  Settlement,
} from '../../bus/port.js';
import type { BusWorld } from './bus-case.js';

export const ack: Settlement = { tag: 'ack' };

/** Says what becomes of one delivery. What it throws, the handler throws. */
export type Settle = (delivery: BusDelivery, consumer: Consumer) => Settlement | Promise<Settlement>;

/** A subscription that remembers what came. */
export class Consumer {
  /** Deliveries in the order in which they came, repeats included. */
  readonly deliveries: BusDelivery[] = [];
  readonly batchSizes: number[] = [];
  readonly failures: Error[] = [];
  /** Batches whose handler runs now. */
  running = 0;
  /** Called with each batch before it is settled. */
  readonly #settle: Settle;
  readonly #patienceMs: number;
  readonly #waiters = new Set<() => void>();
  #subscription: BusSubscription | null = null;

  private constructor(patienceMs: number, settle: Settle) {
    this.#patienceMs = patienceMs;
    this.#settle = settle;
  }

  static async open(
    world: BusWorld,
    bus: Bus,
    options: Partial<BusSubscribeOptions> & Pick<BusSubscribeOptions, 'topics'>,
    settle: Settle = () => ack,
  ): Promise<Consumer> {
    const consumer = new Consumer(world.patienceMs, settle);
    consumer.#subscription = await bus.subscribe(
      {
        group: `${world.topics.one}-group`,
        from: 'oldest',
        batchMax: 10,
        waitMs: 5,
        onFailed: (error) => {
          consumer.failures.push(error);
          consumer.#wake();
        },
        ...options,
      },
      (batch) => consumer.#handle(batch),
    );
    return consumer;
  }

  get ids(): readonly (string | null)[] {
    return this.deliveries.map(({ id }) => id);
  }

  get subscription(): BusSubscription {
    assert(this.#subscription !== null);
    return this.#subscription;
  }

  /** Resolves when it holds; asks after every batch and failure. */
  async until(what: string, holds: () => boolean): Promise<void> {
    let wake = (): void => undefined;
    let timer: NodeJS.Timeout | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        wake = () => {
          if (holds()) resolve();
        };
        timer = setTimeout(
          () => reject(new Error(`${what} did not come about. Delivered: ${this.ids.join(' ')}`)),
          this.#patienceMs,
        );
        this.#waiters.add(wake);
        wake();
      });
    } finally {
      clearTimeout(timer);
      this.#waiters.delete(wake);
    }
  }

  /** Resolves when each of the ids was delivered at least once. */
  async has(ids: readonly string[]): Promise<void> {
    await this.until(`Delivery of ${ids.length} messages`, () => {
      const seen = new Set(this.ids);
      return ids.every((id) => seen.has(id));
    });
  }

  close(): Promise<void> {
    return this.subscription.close();
  }

  async #handle(batch: readonly BusDelivery[]): Promise<readonly Settlement[]> {
    this.running += 1;
    this.batchSizes.push(batch.length);
    this.deliveries.push(...batch);
    this.#wake();
    try {
      const settlements: Settlement[] = [];
      for (const delivery of batch) settlements.push(await this.#settle(delivery, this));
      return settlements;
    } finally {
      this.running -= 1;
      this.#wake();
    }
  }

  #wake(): void {
    for (const wake of this.#waiters) wake();
  }
}

/** What a store does with deliveries: each position once and each id once, whoever brings them. */
export class Ledger {
  /** How often each id had its effect. */
  readonly effects = new Map<string, number>();
  /** Keys of positions and of ids that were told. */
  readonly #positions = new Map<string, string>();

  /** The effect of a delivery, unless it had it. Fails where a position is told to be two messages. */
  take(delivery: BusDelivery): void {
    assert(delivery.id !== null);
    if (delivery.position !== null) {
      const { topic, topicId, partition, offset } = delivery.position;
      const place = `${topic} ${topicId} ${partition} ${offset}`;
      assert.equal(this.#positions.get(place) ?? delivery.id, delivery.id, `two messages at ${place}`);
      this.#positions.set(place, delivery.id);
    }
    if (!this.effects.has(delivery.id)) this.effects.set(delivery.id, 1);
  }
}

/** A gate that is shut until it is opened. */
export function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}

/** Messages `a-0`, `a-1`, ... of one topic; `keyOf` gives each its key. */
export function messages(
  topic: string,
  count: number,
  keyOf: (i: number) => string | null = () => null,
  prefix = 'a',
): BusMessage[] {
  return Array.from({ length: count }, (_, i) => ({
    id: `${prefix}-${i}`,
    topic,
    key: keyOf(i),
    headers: { 'content-type': 'text/plain' },
    body: new TextEncoder().encode(`${prefix} ${i}`),
  }));
}

/** Publishes, and fails where one of them is not taken. */
export async function publishAll(bus: Bus, all: readonly BusMessage[]): Promise<void> {
  for (let i = 0; i < all.length; i += bus.caps.batchMax)
    assert.deepEqual(tagsOf(await bus.publish(all.slice(i, i + bus.caps.batchMax))), new Set(['published']));
}

export function tagsOf(answers: readonly BusPublished[]): ReadonlySet<string> {
  return new Set(answers.map((answer) => (answer.tag === 'failed' ? String(answer.error) : answer.tag)));
}

/** Asks again and again until the answer is as wanted. For what a bus tells nobody of. */
export async function eventually<T>(
  world: BusWorld,
  ask: () => Promise<T>,
  wanted: (answer: T) => boolean,
): Promise<T> {
  const until = performance.now() + world.patienceMs;
  for (;;) {
    const answer = await ask();
    if (wanted(answer)) return answer;
    if (performance.now() > until) assert.fail(`Still not as wanted: ${JSON.stringify(answer, bigintAsText)}`);
    await new Promise((resolve) => setTimeout(resolve, askAgainMs));
  }
}

function bigintAsText(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}

const askAgainMs = 20;
