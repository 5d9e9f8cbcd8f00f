/**
 * The way out: one idempotent producer with one send in flight, and a queue that makes the next batch of what waits. The order
 * of one partition is therefore the order in which messages were handed over.
 *
 * Invariants: a message is told to be published only where a broker has answered so for its partition; of one call, nothing
 * overtakes an earlier message of its key that may be sent again; no batch of a partition is larger than brokers take, as far
 * as that can be known before.
 */
import type { BusMessage, BusPublished } from '../../bus/index.js';
import { SpineError } from '../../core/errors.js';
import type {
  ClientMessage,
  ClientProduced,
  ClientProducer,
  ClientTopicMetadata,
  KafkaClientModule,
} from './client-module.js';
import { carriedBy, errorOf, isRefused, isTopicMissing, reasonOf } from './failures.js';
import { connectionOf, type KafkaSettings } from './options.js';
import { idHeader } from './records.js';

/** Messages of one send. */
export const batchMax = 500;
/** What may wait before `publish` answers that it is too much. */
const waitingMax = 20_000;
/** What a record costs beside its own bytes, at most. */
const recordBytes = 100;

/** Keys of one call of `publish` of which a message was not taken and may come again, each with its topic. */
type HeldKeys = Set<string>;

interface Waiting {
  readonly message: BusMessage;
  readonly bytes: number;
  readonly held: HeldKeys;
  readonly settle: (outcome: BusPublished) => void;
}

/** A message whose partition is known. */
interface Placed {
  readonly waiting: Waiting;
  readonly topicId: string;
  readonly message: ClientMessage;
}

export class Publisher {
  readonly #module: KafkaClientModule;
  readonly #settings: KafkaSettings;
  readonly #waiting: Waiting[] = [];
  #producer: ClientProducer | null = null;
  #sending: Promise<void> | null = null;
  #closed = false;
  /** Where the next message without a key goes. */
  #keyless = 0;

  constructor(module: KafkaClientModule, settings: KafkaSettings) {
    this.#module = module;
    this.#settings = settings;
  }

  publish(messages: readonly BusMessage[]): Promise<readonly BusPublished[]> {
    const held: HeldKeys = new Set();
    return Promise.all(messages.map((message) => this.#enqueue(message, held)));
  }

  /** Sends what was handed over, then lets go. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#sending;
    await this.#producer?.close(true);
    this.#producer = null;
  }

  #enqueue(message: BusMessage, held: HeldKeys): Promise<BusPublished> {
    const bytes = bytesOf(message);
    const bytesMax = this.#settings.messageBytesMax;
    if (this.#closed) return failed(true, new SpineError('BUS_CLOSED', { bus: 'kafka' }));
    if (message.body.byteLength > bytesMax)
      return failed(
        false,
        new SpineError('BUS_MESSAGE_TOO_LARGE', { bus: 'kafka', bytes: message.body.byteLength, bytesMax }),
      );
    if (this.#waiting.length >= waitingMax)
      return failed(true, new SpineError('BUS_QUEUE_FULL', { bus: 'kafka', messagesMax: waitingMax }));
    return new Promise((settle) => {
      this.#waiting.push({ message, bytes, held, settle });
      this.#sending ??= this.#drain();
    });
  }

  async #drain(): Promise<void> {
    // What is handed over in the same turn goes in the same batch.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, batchMax);
      try {
        await this.#sendAll(batch);
      } catch (error) {
        for (const waiting of batch) settleFailed(waiting, true, errorOf(error));
      }
    }
    this.#sending = null;
  }

  async #sendAll(batch: readonly Waiting[]): Promise<void> {
    this.#producer ??= this.#open();
    const topics = new Map<string, ClientTopicMetadata | Error>();
    for (const { message } of batch) {
      if (!topics.has(message.topic)) topics.set(message.topic, await topicOf(this.#producer, message.topic));
    }
    const placed: Placed[] = [];
    for (const waiting of batch) {
      const topic = topics.get(waiting.message.topic);
      if (topic === undefined || topic instanceof Error)
        settleFailed(waiting, !isRefused(topic), topic ?? new Error('no topic'));
      else placed.push(this.#place(waiting, topic));
    }
    for (const part of partsOf(placed, this.#settings.messageBytesMax)) await this.#sendPart(part);
  }

  /**
   * One send. Where a part of it was refused for good, its messages go again one by one, in order: one that brokers will never
   * take says nothing of the others.
   */
  async #sendPart(all: readonly Placed[]): Promise<void> {
    const part = withoutHeld(all);
    if (part.length === 0) return;
    const outcome = await this.#attempt(part);
    const open = settlePublished(part, outcome.produced);
    if (open.length === 0) return;
    const error = outcome.error ?? new Error('The broker did not answer for the partition.');
    const refused = isRefused(error);
    if (refused && part.length > 1) {
      for (const one of open) await this.#sendPart([one]);
      return;
    }
    for (const { waiting } of open) settleFailed(waiting, !refused, new Error(reasonOf(error), { cause: error }));
  }

  async #attempt(part: readonly Placed[]): Promise<{ produced: readonly ClientProduced[]; error: Error | null }> {
    this.#producer ??= this.#open();
    try {
      const { offsets } = await this.#producer.send({ messages: part.map(({ message }) => message) });
      return { produced: offsets ?? [], error: null };
    } catch (error) {
      return { produced: producedIn(error), error: errorOf(error) };
    }
  }

  #place(waiting: Waiting, topic: ClientTopicMetadata): Placed {
    const { message } = waiting;
    const key = message.key === null ? null : Buffer.from(message.key, 'utf8');
    // As the client of Java places it, or keys that others write would lie elsewhere than ours. Without a key: each in turn.
    const hash = key === null ? this.#keyless++ : this.#module.compatibilityPartitioner(message, key);
    const headers = new Map<Buffer, Buffer>();
    for (const [name, value] of Object.entries(message.headers)) headers.set(Buffer.from(name), Buffer.from(value));
    if (message.headers[idHeader] === undefined) headers.set(Buffer.from(idHeader), Buffer.from(message.id));
    return {
      waiting,
      topicId: topic.id,
      message: {
        topic: message.topic,
        partition: hash % topic.partitionsCount,
        ...(key === null ? {} : { key }),
        value: Buffer.from(message.body.buffer, message.body.byteOffset, message.body.byteLength),
        headers,
      },
    };
  }

  #open(): ClientProducer {
    // A few attempts of its own, all with the same sequence numbers: after them nobody knows, and the caller decides.
    return new this.#module.Producer({ ...connectionOf(this.#settings, 4), idempotent: true });
  }
}

function failed(retryable: boolean, error: Error): Promise<BusPublished> {
  return Promise.resolve({ tag: 'failed', retryable, error });
}

/** What may be sent again holds back whatever follows it of its key, in its call. */
function settleFailed({ message, held, settle }: Waiting, retryable: boolean, error: Error): void {
  if (retryable && message.key !== null) held.add(keyOf(message));
  settle({ tag: 'failed', retryable, error });
}

function withoutHeld(part: readonly Placed[]): readonly Placed[] {
  return part.filter(({ waiting }) => {
    if (waiting.message.key === null || !waiting.held.has(keyOf(waiting.message))) return true;
    settleFailed(waiting, true, new Error('An earlier message of its key was not taken.'));
    return false;
  });
}

function keyOf({ topic, key }: BusMessage): string {
  return `${topic} ${key ?? ''}`;
}

/** Cut, in order, where a partition would get a batch that is too large. */
function partsOf(placed: readonly Placed[], bytesMax: number): Placed[][] {
  const parts: Placed[][] = [];
  let part: Placed[] = [];
  let bytes = new Map<string, number>();
  for (const one of placed) {
    const place = placeOf(one.message);
    const sum = (bytes.get(place) ?? 0) + one.waiting.bytes;
    if (part.length > 0 && sum > bytesMax) {
      parts.push(part);
      part = [];
      bytes = new Map();
    }
    part.push(one);
    bytes.set(place, bytes.get(place) === undefined ? one.waiting.bytes : sum);
  }
  if (part.length > 0) parts.push(part);
  return parts;
}

/** Settles what was taken, and gives what is open. Records of a partition lie behind each other, in the order of the batch. */
function settlePublished(part: readonly Placed[], produced: readonly ClientProduced[]): Placed[] {
  const next = new Map(produced.map((first) => [placeOf(first), first.offset]));
  const open: Placed[] = [];
  for (const one of part) {
    const place = placeOf(one.message);
    const offset = next.get(place);
    if (offset === undefined) {
      open.push(one);
      continue;
    }
    next.set(place, offset + 1n);
    const { topic, partition } = one.message;
    // Brokers answer a repeat of what they already have with -1 where they do not know the place any more.
    const position = offset < 0n ? null : { topic, topicId: one.topicId, partition, offset };
    one.waiting.settle({ tag: 'published', position });
  }
  return open;
}

/** What was taken although the send as a whole failed: answers hang on the error, by destination or by partition. */
function producedIn(error: unknown): ClientProduced[] {
  const produced = carriedBy(error, 'produced').flatMap(
    (found) => (found as { offsets?: ClientProduced[] }).offsets ?? [],
  );
  for (const response of carriedBy(error, 'response')) {
    const { responses } = response as { responses?: { name?: string; partitionResponses?: PartitionAnswer[] }[] };
    for (const { name, partitionResponses } of responses ?? []) {
      for (const { index, errorCode, baseOffset } of partitionResponses ?? []) {
        if (name !== undefined && errorCode === 0) produced.push({ topic: name, partition: index, offset: baseOffset });
      }
    }
  }
  return produced;
}

interface PartitionAnswer {
  readonly index: number;
  readonly errorCode: number;
  readonly baseOffset: bigint;
}

async function topicOf(producer: ClientProducer, name: string): Promise<ClientTopicMetadata | Error> {
  try {
    const { topics } = await producer.metadata({ topics: [name] });
    return topics.get(name) ?? new SpineError('BUS_TOPIC_MISSING', { bus: 'kafka', topic: name });
  } catch (error) {
    if (isTopicMissing(error))
      return new SpineError('BUS_TOPIC_MISSING', { bus: 'kafka', topic: name }, { cause: error });
    return errorOf(error);
  }
}

function placeOf({ topic, partition }: { readonly topic: string; readonly partition: number }): string {
  return `${topic}/${partition}`;
}

function bytesOf(message: BusMessage): number {
  let bytes =
    message.body.byteLength + Buffer.byteLength(message.key ?? '') + Buffer.byteLength(message.id) + recordBytes;
  for (const [name, value] of Object.entries(message.headers))
    bytes += Buffer.byteLength(name) + Buffer.byteLength(value) + 4;
  return bytes;
}
