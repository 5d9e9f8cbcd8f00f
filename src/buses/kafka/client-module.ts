/**
 * The part of the package `@platformatic/kafka` that is used here, as types of our own: the package is an optional peer, and
 * nothing of it may be loaded by those who have no Kafka. Loading checks what runs it, because old versions of the client lose
 * records without a word and old versions of Node fail in the middle of a send.
 *
 * Invariant: what `loadClient` gives is a client of version 2.3 or later, under a Node that can run it.
 */
import { SpineError } from '../../core/errors.js';

/** What runs the client; `Promise.withResolvers` and zstd among others are missing before. */
const nodeMin = [22, 22] as const;
/** Before it, sends that overlap lose records: sequence numbers move only when an answer is there. */
const clientMin = [2, 3] as const;

const peer = '@platformatic/kafka';

export interface ClientPartitionMetadata {
  readonly leader: number;
  readonly leaderEpoch: number;
}

export interface ClientTopicMetadata {
  /** A UUID, that of all zeros where the broker is older than topic ids. */
  readonly id: string;
  readonly partitions: readonly ClientPartitionMetadata[];
  readonly partitionsCount: number;
}

export interface ClientMetadata {
  readonly brokers: ReadonlyMap<number, { readonly host: string; readonly port: number }>;
  readonly topics: ReadonlyMap<string, ClientTopicMetadata>;
}

interface Client {
  metadata(options: { topics?: string[]; forceUpdate?: boolean }): Promise<ClientMetadata>;
  clearMetadata(): void;
}

export interface ClientMessage {
  readonly topic: string;
  readonly partition: number;
  readonly key?: Buffer;
  readonly value: Buffer;
  readonly headers: Map<Buffer, Buffer>;
}

/** Where the first of the records of a partition went. */
export interface ClientProduced {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
}

export interface ClientProducer extends Client {
  send(options: { messages: ClientMessage[] }): Promise<{ readonly offsets?: readonly ClientProduced[] }>;
  close(force?: boolean): Promise<void>;
}

export interface ClientAssignment {
  readonly topic: string;
  readonly partitions: readonly number[];
}

export interface ClientRecord {
  readonly timestampDelta: bigint;
  readonly offsetDelta: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly (readonly [Buffer | null, Buffer | null])[];
}

export interface ClientBatch {
  readonly firstOffset: bigint;
  readonly attributes: number;
  readonly lastOffsetDelta: number;
  readonly firstTimestamp: bigint;
  readonly maxTimestamp: bigint;
  readonly producerId: bigint;
  readonly records: readonly ClientRecord[];
}

export interface ClientFetchedPartition {
  readonly partitionIndex: number;
  readonly errorCode: number;
  readonly abortedTransactions: readonly { readonly producerId: bigint; readonly firstOffset: bigint }[] | null;
  readonly records?: readonly ClientBatch[] | null;
}

export interface ClientFetched {
  readonly errorCode: number;
  readonly responses: readonly { readonly topicId: string; readonly partitions: readonly ClientFetchedPartition[] }[];
}

export interface ClientFetchOptions {
  readonly node: number;
  readonly maxWaitTime: number;
  readonly minBytes: number;
  readonly maxBytes: number;
  readonly topics: {
    topicId: string;
    partitions: {
      partition: number;
      fetchOffset: bigint;
      currentLeaderEpoch: number;
      lastFetchedEpoch: number;
      partitionMaxBytes: number;
    }[];
  }[];
}

/** Offsets by topic, then by partition; what was not asked for is a hole. */
export type ClientOffsets = ReadonlyMap<string, readonly (bigint | undefined)[]>;

export interface ClientConsumer extends Client {
  readonly assignments: readonly ClientAssignment[] | null;
  readonly topics: { track(topic: string): boolean };
  on(
    event:
      | 'error'
      | 'consumer:group:join'
      | 'consumer:group:rebalance'
      | 'consumer:heartbeat:end'
      | 'consumer:heartbeat:error'
      | 'consumer:heartbeat:stalled',
    listener: (payload: unknown) => void,
  ): unknown;
  joinGroup(options: object): Promise<string>;
  consume(options: object): Promise<unknown>;
  fetch(options: ClientFetchOptions): Promise<ClientFetched>;
  commit(options: {
    offsets: { topic: string; partition: number; offset: bigint; leaderEpoch: number }[];
  }): Promise<void>;
  listOffsets(options: {
    topics: string[];
    partitions?: Record<string, number[]>;
    timestamp: bigint;
    isolationLevel?: number;
  }): Promise<ClientOffsets>;
  listCommittedOffsets(options: { topics: { topic: string; partitions: number[] }[] }): Promise<ClientOffsets>;
  close(force?: boolean): Promise<void>;
}

export interface ClientAdmin extends Client {
  createTopics(options: {
    topics: { topic: string; partitions?: number }[];
    configs: { name: string; value: string }[];
  }): Promise<unknown>;
  listConsumerGroupOffsets(options: {
    groups: { groupId: string; topics: { name: string; partitionIndexes: number[] }[] }[];
  }): Promise<
    readonly {
      readonly topics: readonly {
        readonly name: string;
        readonly partitions: readonly { readonly partitionIndex: number; readonly committedOffset: bigint }[];
      }[];
    }[]
  >;
  close(): Promise<void>;
}

/** The module itself. Whoever has it elsewhere than this package would look hands it over in `KafkaOptions.client`. */
export interface KafkaClientModule {
  readonly clientSoftwareVersion?: string;
  readonly Producer: new (options: object) => ClientProducer;
  readonly Consumer: new (options: object) => ClientConsumer;
  readonly Admin: new (options: object) => ClientAdmin;
  /** Hash of a key as the client of Java computes it, not yet taken modulo the partitions. */
  readonly compatibilityPartitioner: (message: unknown, key: Buffer) => number;
}

/** Loads the client, from `given` or by its name. Rejects with KAFKA_CLIENT_UNUSABLE where it must not or cannot be used. */
export async function loadClient(
  given: (() => Promise<unknown>) | undefined,
  nodeVersion: string = process.versions.node,
): Promise<KafkaClientModule> {
  if (isBefore(nodeVersion, nodeMin))
    throw unusable(`it needs Node ${nodeMin.join('.')} or later, and this is ${nodeVersion}`);
  let loaded: unknown;
  try {
    // By a variable, since the package need not be there when this is compiled.
    loaded = await (given === undefined ? import(peer) : given());
  } catch (cause) {
    throw unusable(`the package ${peer} could not be loaded`, cause);
  }
  if (!isClient(loaded)) throw unusable(`what was loaded is not ${peer}`);
  const version = loaded.clientSoftwareVersion ?? 'one that does not tell its version';
  if (isBefore(version, clientMin))
    throw unusable(
      `${peer} ${version} loses records of sends that overlap; ${clientMin.join('.')} is the oldest that does not`,
    );
  return loaded;
}

function isClient(loaded: unknown): loaded is KafkaClientModule {
  if (typeof loaded !== 'object' || loaded === null) return false;
  const found = new Map(Object.entries(loaded));
  return ['Producer', 'Consumer', 'Admin', 'compatibilityPartitioner'].every(
    (name) => typeof found.get(name) === 'function',
  );
}

/** True too for what is no version at all. */
function isBefore(version: string, [major, minor]: readonly [number, number]): boolean {
  const [foundMajor = Number.NaN, foundMinor = Number.NaN] = version.split('.').map(Number);
  return !(foundMajor > major || (foundMajor === major && foundMinor >= minor));
}

function unusable(reason: string, cause?: unknown): SpineError {
  return new SpineError('KAFKA_CLIENT_UNUSABLE', { reason }, { cause });
}
