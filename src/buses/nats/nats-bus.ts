/**
 * NATS JetStream as a bus: a topic is a stream of one subject, a group is a durable consumer that its members share. The server
 * drops repeats of an id for a while, counts deliveries, and puts back what is not acknowledged in time.
 *
 * Invariant: it promises no order. Members of a group share a consumer message by message, and what is put back comes after
 * what followed it: `caps.order` says so, whatever a stream of one reader would keep.
 */
import type {
  Bus,
  BusCaps,
  BusHandler,
  BusLag,
  BusMessage,
  BusPublished,
  BusSubscribeOptions,
  BusSubscription,
  BusTopic,
} from '../../bus/port.js';
import {
  natsClient,
  type Connection,
  type JetStream,
  type JetStreamManager,
  type NatsClient,
} from './client-module.js';
import { headersOf, messageIdOf, safeName } from './names.js';
import { settingsOf, type NatsOptions, type NatsSettings } from './options.js';
import { StreamReader } from './subscription.js';

/**
 * A bus over the NATS that `options.servers` belong to; it needs JetStream, and the packages `@nats-io/transport-node` and
 * `@nats-io/jetstream` beside this one.
 *
 *     const bus = await nats({ servers: ['127.0.0.1:4222'] });
 *
 * Rejects with BUS_OPTIONS_INVALID, NATS_CLIENT_MISSING, and what the client says where no server answers.
 */
export async function nats(options: NatsOptions): Promise<Bus> {
  const settings = settingsOf(options);
  const client = await natsClient(options.client);
  const connection = await client.connect(settings);
  try {
    return new NatsBus(client, connection, await client.manager(connection), settings);
  } catch (error) {
    await connection.close();
    throw error;
  }
}

class NatsBus implements Bus {
  readonly name = 'nats';
  readonly caps: BusCaps;
  readonly #client: NatsClient;
  readonly #connection: Connection;
  readonly #manager: JetStreamManager;
  readonly #js: JetStream;
  readonly #settings: NatsSettings;
  readonly #subscriptions = new Set<BusSubscription>();
  #closed: Promise<void> | null = null;

  constructor(client: NatsClient, connection: Connection, manager: JetStreamManager, settings: NatsSettings) {
    this.#client = client;
    this.#connection = connection;
    this.#manager = manager;
    this.#js = client.jetstream(connection);
    this.#settings = settings;
    this.caps = {
      order: 'none',
      replay: true,
      offsets: false,
      settle: 'each',
      dedupeMs: settings.dedupeMs,
      lag: 'exact',
      bytesMax: (connection.info?.max_payload ?? payloadDefault) - headersBytes,
      batchMax: 500,
    };
  }

  async ensure(topics: readonly BusTopic[]): Promise<void> {
    for (const { name, retentionMs } of topics) {
      if (await this.#isThere(name)) continue;
      const { storage, replicas, dedupeMs } = this.#settings;
      try {
        await this.#manager.streams.add({
          name: safeName(name),
          subjects: [name],
          storage,
          num_replicas: replicas,
          duplicate_window: nanos(dedupeMs),
          ...(retentionMs === undefined ? {} : { max_age: nanos(Math.max(retentionMs, dedupeMs)) }),
        });
      } catch (error) {
        // Another may have been quicker.
        if (!(await this.#isThere(name))) throw error;
      }
    }
  }

  /** All of a call are under way at one time; the server takes them in their order. */
  async publish(messages: readonly BusMessage[]): Promise<readonly BusPublished[]> {
    return Promise.all(messages.map((message) => this.#publish(message)));
  }

  async subscribe(options: BusSubscribeOptions, handler: BusHandler): Promise<BusSubscription> {
    const { topics, group, from, batchMax, waitMs } = options;
    let failed = false;
    const onFailed = (error: Error): void => {
      if (failed || this.#closed !== null) return;
      failed = true;
      options.onFailed(error);
    };
    // One batch at a time, whichever stream it is of.
    let turn = Promise.resolve<unknown>(undefined);
    const oneByOne: BusHandler = (batch) => {
      const handled = turn.then(() => handler(batch));
      turn = handled.catch(() => undefined);
      return handled;
    };
    const readers: StreamReader[] = [];
    const { ackWaitMs } = this.#settings;
    for (const topic of topics) {
      const stream = safeName(topic);
      const consumer = safeName(group);
      await this.#ensureConsumer(stream, consumer, from);
      const js = this.#js;
      readers.push(
        new StreamReader({ js, topic, stream, consumer, batchMax, waitMs, ackWaitMs, handler: oneByOne, onFailed }),
      );
    }
    await Promise.all(readers.map((reader) => reader.start()));
    void this.#connection.closed().then((error) => {
      if (error !== undefined) onFailed(error instanceof Error ? error : new Error('The connection is closed.'));
    });
    let closed: Promise<void> | null = null;
    const subscription: BusSubscription = {
      pause: () => {
        for (const reader of readers) reader.pause();
      },
      resume: () => {
        for (const reader of readers) reader.resume();
      },
      close: () => {
        closed ??= Promise.all(readers.map((reader) => reader.close()))
          // What was acknowledged last is with the server.
          .then(() => this.#connection.flush().catch(() => undefined))
          .finally(() => this.#subscriptions.delete(subscription));
        return closed;
      },
    };
    this.#subscriptions.add(subscription);
    return subscription;
  }

  async lag(group: string, topics: readonly string[]): Promise<readonly BusLag[]> {
    return Promise.all(topics.map((topic) => this.#lagOf(safeName(topic), safeName(group), topic)));
  }

  close(): Promise<void> {
    this.#closed ??= (async () => {
      await Promise.all([...this.#subscriptions].map((subscription) => subscription.close()));
      await this.#connection.close();
    })();
    return this.#closed;
  }

  async #isThere(topic: string): Promise<boolean> {
    try {
      await this.#manager.streams.info(safeName(topic));
      return true;
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }

  async #publish(message: BusMessage): Promise<BusPublished> {
    if (this.#closed !== null) return { tag: 'failed', retryable: true, error: new Error('The bus is closed.') };
    if (message.body.byteLength > this.caps.bytesMax)
      return {
        tag: 'failed',
        retryable: false,
        error: new Error(`The message has ${message.body.byteLength} bytes; the server takes ${this.caps.bytesMax}.`),
      };
    try {
      const headers = this.#client.headers();
      for (const [name, value] of headersOf(message)) headers.set(name, value);
      const options = { msgID: messageIdOf(message), headers, timeout: this.#settings.publishMs };
      await this.#js.publish(message.topic, message.body, options);
      return { tag: 'published', position: null };
    } catch (error) {
      return { tag: 'failed', retryable: true, error: error instanceof Error ? error : new Error(String(error)) };
    }
  }

  async #ensureConsumer(stream: string, consumer: string, from: 'oldest' | 'newest'): Promise<void> {
    try {
      await this.#manager.consumers.info(stream, consumer);
    } catch (error) {
      if (!isNotFound(error)) throw error;
      await this.#manager.consumers.add(stream, {
        durable_name: consumer,
        ack_policy: 'explicit',
        ack_wait: nanos(this.#settings.ackWaitMs),
        deliver_policy: from === 'newest' ? 'new' : 'all',
        max_ack_pending: ackPendingMax,
      });
    }
  }

  async #lagOf(stream: string, consumer: string, topic: string): Promise<BusLag> {
    try {
      const info = await this.#manager.consumers.info(stream, consumer);
      const count = BigInt(info.num_pending + info.num_ack_pending);
      const ageMs = count === 0n ? null : await this.#ageOf(stream, info.ack_floor.stream_seq + 1);
      return { topic, partition: null, count, ageMs };
    } catch (error) {
      if (!isNotFound(error)) throw error;
      // A group that nobody has joined yet has all before it.
      const { state } = await this.#manager.streams.info(stream);
      return { topic, partition: null, count: BigInt(state.messages), ageMs: null };
    }
  }

  /** Null where the message is not kept any more. */
  async #ageOf(stream: string, seq: number): Promise<number | null> {
    const message = await this.#manager.streams.getMessage(stream, { seq }).catch(() => null);
    return message === null ? null : Math.max(0, Date.now() - Date.parse(message.timestamp));
  }
}

/** The stream or the consumer is not there. */
function isNotFound(error: unknown): boolean {
  const { code, message } = error as { readonly code?: unknown; readonly message?: unknown };
  return code === 404 || code === '404' || /not found/i.test(String(message));
}

function nanos(ms: number): number {
  return Math.round(ms * 1e6);
}

/** What headers may take of the largest payload. */
const headersBytes = 32 * 1024;
const payloadDefault = 1024 * 1024;
/** Messages of a group that are with its members at one time. */
const ackPendingMax = 10_000;
