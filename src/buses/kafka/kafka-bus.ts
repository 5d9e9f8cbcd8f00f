/**
 * Kafka behind the port of buses. Transport and nothing else: no transactions of Kafka are used, because what makes an effect
 * happen once is the store, which keeps positions and ids in the transition of the effect.
 *
 * Invariant: everything that was opened is closed by `close`, whatever the brokers do.
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
} from '../../bus/index.js';
import { SpineError } from '../../core/errors.js';
import { loadClient, type ClientAdmin, type ClientConsumer, type KafkaClientModule } from './client-module.js';
import { isDenied, isTopicMissing, isTopicThere, reasonOf } from './failures.js';
import { lagOf } from './lag.js';
import { within } from './membership.js';
import { connectionOf, settingsOf, type KafkaOptions, type KafkaSettings } from './options.js';
import { batchMax, Publisher } from './publisher.js';
import { KafkaSubscription } from './subscription.js';

const topicReadyMsMax = 10_000;
const topicPauseMs = 100;
const closeMs = 5000;

/**
 * A bus over the Kafka that `options.brokers` belong to. Needs the package `@platformatic/kafka` (2.3 or later) beside this one,
 * and Node 22.22 or later. Connects when it is first used.
 *
 *     const bus = await kafka({ brokers: ['127.0.0.1:9092'] });
 *
 * Rejects with BUS_OPTIONS_INVALID and KAFKA_CLIENT_UNUSABLE.
 */
export async function kafka(options: KafkaOptions): Promise<Bus> {
  const settings = settingsOf(options);
  return new KafkaBus(await loadClient(options.client), settings);
}

class KafkaBus implements Bus {
  readonly name = 'kafka';
  readonly caps: BusCaps;
  readonly #module: KafkaClientModule;
  readonly #settings: KafkaSettings;
  readonly #publisher: Publisher;
  readonly #subscriptions = new Set<KafkaSubscription>();
  #admin: ClientAdmin | null = null;
  /** For questions about groups, by name of the group. */
  readonly #sources = new Map<string, ClientConsumer>();
  #closed: Promise<void> | null = null;

  constructor(module: KafkaClientModule, settings: KafkaSettings) {
    this.#module = module;
    this.#settings = settings;
    this.#publisher = new Publisher(module, settings);
    this.caps = {
      order: 'key',
      replay: true,
      offsets: true,
      settle: 'prefix',
      dedupeMs: 0,
      lag: 'exact',
      bytesMax: settings.messageBytesMax,
      batchMax,
    };
  }

  async ensure(topics: readonly BusTopic[]): Promise<void> {
    const admin = this.#adminClient();
    for (const topic of topics) await this.#ensureOne(admin, topic);
  }

  publish(messages: readonly BusMessage[]): Promise<readonly BusPublished[]> {
    return this.#publisher.publish(messages);
  }

  async subscribe(options: BusSubscribeOptions, handler: BusHandler): Promise<BusSubscription> {
    if (this.#closed !== null) throw new SpineError('BUS_CLOSED', { bus: this.name });
    const subscription = new KafkaSubscription(this.#module, this.#settings, options, handler, () =>
      this.#subscriptions.delete(subscription),
    );
    this.#subscriptions.add(subscription);
    await subscription.open();
    return subscription;
  }

  async lag(group: string, topics: readonly string[]): Promise<readonly BusLag[]> {
    const admin = this.#adminClient();
    let source = this.#sources.get(group);
    if (source === undefined) {
      source = new this.#module.Consumer({ ...connectionOf(this.#settings, 3), groupId: group, autocommit: false });
      source.on('error', () => undefined);
      this.#sources.set(group, source);
    }
    for (const topic of topics) source.topics.track(topic);
    return lagOf(admin, source, group, topics, Date.now());
  }

  close(): Promise<void> {
    this.#closed ??= this.#end();
    return this.#closed;
  }

  async #end(): Promise<void> {
    await Promise.all([...this.#subscriptions].map((subscription) => subscription.close()));
    await this.#publisher.close();
    const clients = [...this.#sources.values()].map((source) => source.close(true));
    if (this.#admin !== null) clients.push(this.#admin.close());
    await within(closeMs, Promise.allSettled(clients));
  }

  #adminClient(): ClientAdmin {
    if (this.#closed !== null) throw new SpineError('BUS_CLOSED', { bus: this.name });
    this.#admin ??= new this.#module.Admin({
      ...connectionOf(this.#settings, 4),
      ...(this.#settings.replicas === null ? {} : { replicas: this.#settings.replicas }),
    });
    return this.#admin;
  }

  async #ensureOne(admin: ClientAdmin, { name, partitions, retentionMs }: BusTopic): Promise<void> {
    const { replicas } = this.#settings;
    const topic = {
      topic: name,
      ...(partitions === undefined ? {} : { partitions }),
      ...(replicas === null ? {} : { replicas }),
    };
    const configs = retentionMs === undefined ? [] : [{ name: 'retention.ms', value: String(retentionMs) }];
    try {
      await admin.createTopics({ topics: [topic], configs });
    } catch (error) {
      if (isDenied(error))
        throw new SpineError('BUS_REFUSED', { bus: this.name, reason: reasonOf(error) }, { cause: error });
      if (!isTopicThere(error)) throw error;
    }
    await isKnown(admin, name);
  }
}

/** Brokers learn of a new topic one after the other. */
async function isKnown(admin: ClientAdmin, topic: string): Promise<void> {
  const until = performance.now() + topicReadyMsMax;
  for (;;) {
    try {
      const { topics } = await admin.metadata({ topics: [topic], forceUpdate: true });
      if (topics.get(topic)?.partitions.every(({ leader }) => leader >= 0) === true) return;
    } catch (error) {
      if (!isTopicMissing(error)) throw error;
    }
    if (performance.now() > until) throw new SpineError('BUS_TOPIC_MISSING', { bus: 'kafka', topic });
    await new Promise((resolve) => setTimeout(resolve, topicPauseMs));
  }
}
