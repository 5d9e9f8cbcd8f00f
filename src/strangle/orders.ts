/**
 * What a route is told while it runs: which shares of what is declared hold now. The newest word counts, whether it was said in this
 * process or came by the topic of orders.
 *
 * Invariant: an order only ever narrows what is declared, and where it may be that there is one and nobody could read it yet, the old
 * handler answers.
 */
import type { Client, CallOptions } from '../client/index.js';
import type { Ports } from '../core/ports.js';
import { strangleOrders, type StrangleOrdered } from './topics.js';

/** What to do from now on: `old` = only the old handler, `declared` = as the options say, or shares of what they say. */
export type StrangleOrder = 'old' | 'declared' | { readonly async?: number; readonly mirror?: number };

/** Shares of what is declared. */
export interface Shares {
  readonly async: number;
  readonly mirror: number;
}

const none: Shares = { async: 0, mirror: 0 };
const all: Shares = { async: 1, mirror: 1 };

/** The shares that an order means; what it does not name stays as it is. Null = it is no order. */
export function sharesOf(order: StrangleOrder, now: Shares = all): Shares | null {
  if (order === 'old') return none;
  if (order === 'declared') return all;
  const { async = now.async, mirror = now.mirror } = order;
  return isShare(async) && isShare(mirror) ? { async, mirror } : null;
}

function isShare(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= 1;
}

/** Longest wait for the orders of others before what is declared holds. */
const readMsMax = 2_000;
/** Pause before a stream that has ended for good is opened again. */
const againMs = 5_000;

/** The orders of one route. */
export class Orders {
  readonly #name: string;
  readonly #ports: Ports;
  readonly #topics: Pick<Client['topics'], 'events' | 'follow'> | null;
  readonly #stop = new AbortController();
  readonly #tell: (message: string, error: unknown) => void;
  #shares: Shares = all;
  #offset = -1;
  #isRead: boolean;
  #isFollowing = false;

  /** `topics`: where orders of others are; null = there are none. */
  constructor(
    name: string,
    topics: Pick<Client['topics'], 'events' | 'follow'> | null,
    ports: Ports,
    tell: (message: string, error: unknown) => void,
  ) {
    this.#name = name;
    this.#topics = topics;
    this.#ports = ports;
    this.#tell = tell;
    this.#isRead = topics === null;
  }

  /** What holds now. The first call begins to read what others have said. */
  get shares(): Shares {
    if (!this.#isFollowing && this.#topics !== null) {
      this.#isFollowing = true;
      this.#ports.timers.after(readMsMax, () => (this.#isRead = true));
      void this.#follow(this.#topics);
    }
    return this.#isRead ? this.#shares : none;
  }

  /** Holds at once, in this process. */
  turn(shares: Shares): void {
    this.#shares = shares;
    this.#isRead = true;
  }

  close(): void {
    this.#stop.abort();
  }

  async #follow(topics: Pick<Client['topics'], 'events' | 'follow'>): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        await this.#readKept(topics, { signal });
        this.#isRead = true;
        // From the oldest on: what comes between the two is in both, and the offset tells what is news.
        for await (const item of topics.follow(strangleOrders.name, { from: 'oldest', signal }))
          if (item.event === 'event') this.#take(item.data.offset, item.data.event.data);
      } catch (error) {
        if (signal.aborted) return;
        this.#tell('the orders of strangled routes cannot be read', error);
      }
      await new Promise<void>((resolve) => {
        const cancel = this.#ports.timers.after(againMs, resolve);
        signal.addEventListener('abort', () => (cancel(), resolve()), { once: true });
      });
    }
  }

  async #readKept(topics: Pick<Client['topics'], 'events'>, options: CallOptions): Promise<void> {
    for await (const { offset, event } of topics.events(strangleOrders.name, options)) this.#take(offset, event.data);
  }

  #take(offset: number, data: unknown): void {
    const { name, async, mirror } = (data ?? {}) as Partial<StrangleOrdered>;
    if (name !== this.#name || offset <= this.#offset) return;
    this.#offset = offset;
    this.#shares = sharesOf({ async: async ?? 0, mirror: mirror ?? 0 }) ?? none;
  }
}

/** Whoever gives orders: a spine or a client, whatever its app. */
export interface OrderClient {
  publish(topic: typeof strangleOrders.name, data: never, options?: CallOptions): Promise<unknown>;
  readonly topics: Pick<Client['topics'], 'events'>;
}

/**
 * Tells all processes that have a route what to do from now on; they hear of it within milliseconds. What the order does not name
 * stays as it was last ordered. TOPIC_UNKNOWN where no app declares `strangleTopics`.
 */
export async function orderStrangled(
  client: OrderClient,
  name: string,
  order: StrangleOrder,
  { reason, ...options }: CallOptions & { readonly reason?: string } = {},
): Promise<StrangleOrdered> {
  const now = (await readOrders(client, options)).find((known) => known.name === name);
  const shares = sharesOf(order, now);
  if (shares === null) throw new RangeError('shares of an order are numbers from 0 to 1');
  const ordered: StrangleOrdered = { name, ...shares, ...(reason === undefined ? {} : { reason }) };
  await client.publish(strangleOrders.name, ordered as never, options);
  return ordered;
}

/** The orders that hold, by the names of routes. A route without one does as it declares. */
export async function readOrders(
  client: Pick<OrderClient, 'topics'>,
  options: CallOptions = {},
): Promise<readonly StrangleOrdered[]> {
  const newest = new Map<string, StrangleOrdered>();
  for await (const { event } of client.topics.events(strangleOrders.name, options)) {
    const ordered = event.data as StrangleOrdered | null;
    if (ordered !== null) newest.set(ordered.name, ordered);
  }
  return [...newest.values()];
}
