/**
 * What a message bus outside (Kafka, NATS JetStream, ...) has to do for us: transport, and nothing else. A delivery is
 * acknowledged when it is safe in a store of ours; retries, pauses, dead letters and budgets live there and are the same on
 * every bus, so that no adapter has to imitate what its bus has not got.
 *
 * Invariant: an adapter never acknowledges what its handler has not settled, and never loses what it said was published.
 */

/** A message as it is sent. */
export interface BusMessage {
  /** Id of the event; the same whenever it is sent again. */
  readonly id: string;
  readonly topic: string;
  /** What is kept in order by it; null = nothing. */
  readonly key: string | null;
  /** Names in lower case, texts as values: attributes of the CloudEvent as its binding wants them. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** Where a message is, on a bus that keeps positions. */
export interface BusPosition {
  readonly topic: string;
  /** Changes when a topic of the same name is made anew, whose offsets then begin again; empty = the bus has no such id. */
  readonly topicId: string;
  readonly partition: number;
  /** Rises; may have holes. */
  readonly offset: bigint;
}

/** A part of a topic that is assigned to a consumer. */
export type BusPartition = Omit<BusPosition, 'offset'>;

/** A message as it arrives. */
export interface BusDelivery extends Omit<BusMessage, 'id'> {
  /** The id that its sender has given it; null = none that could be found. */
  readonly id: string | null;
  /** null where `caps.offsets` is false. */
  readonly position: BusPosition | null;
  /** Which delivery of this message it is, from 1; null = the bus does not count. */
  readonly attempt: number | null;
  /** When the bus took it, epoch ms; null = it does not say. */
  readonly at: number | null;
}

/** What becomes of a delivery. */
export type Settlement =
  /** It is in the store. */
  | { readonly tag: 'ack' }
  /** Nothing is stored: it is to come again, not before `afterMs`. On a bus that settles prefixes all that follow it do too. */
  | { readonly tag: 'retry'; readonly afterMs: number }
  /** It is in the store as something that nobody can read; for the bus an end like `ack`. */
  | { readonly tag: 'dead'; readonly reason: string };

/** What a bus can do. The rest of the house asks for these and never for names of buses. */
export interface BusCaps {
  /** What keeps its order. */
  readonly order: 'key' | 'topic' | 'none';
  /** Whether what was acknowledged can be read again. */
  readonly replay: boolean;
  /** Whether deliveries have positions, and subscribers may say where they go on. */
  readonly offsets: boolean;
  /** Whether deliveries are settled one by one, or always a prefix of what came. */
  readonly settle: 'prefix' | 'each';
  /** How long the bus itself drops repeats of an id, ms; 0 = it does not. */
  readonly dedupeMs: number;
  readonly lag: 'exact' | 'approximate' | 'none';
  /** Bytes of the body of one message. */
  readonly bytesMax: number;
  /** Messages of one `publish`. */
  readonly batchMax: number;
}

/** What became of one message of `publish`. */
export type BusPublished =
  | { readonly tag: 'published'; readonly position: BusPosition | null }
  /** `retryable`: sent again it may be taken. Whether it was taken after all is not known. */
  | { readonly tag: 'failed'; readonly retryable: boolean; readonly error: Error };

export interface BusTopic {
  readonly name: string;
  /** Default: what the bus does by default. */
  readonly partitions?: number;
  readonly retentionMs?: number;
}

export interface BusSubscribeOptions {
  readonly topics: readonly string[];
  /** Those of one group share the messages. */
  readonly group: string;
  /** Where a group begins that has no position. */
  readonly from: 'oldest' | 'newest';
  readonly batchMax: number;
  /** How long a batch that is not full may wait. */
  readonly waitMs: number;
  /**
   * Partitions that this consumer has now: the answer is the offset of the next message wanted of each, null = the bus
   * decides. Called before anything of them is delivered, and only where `caps.offsets`.
   */
  readonly onAssign?: (partitions: readonly BusPartition[]) => Promise<readonly (bigint | null)[]>;
  /** Partitions that it has no more. What is still under way of them may be refused by the store. */
  readonly onRevoke?: (partitions: readonly BusPartition[]) => Promise<void>;
  /** What ends the subscription: the bus has lost what was to be read, or will not let us. Called once, at most. */
  readonly onFailed: (error: Error) => void;
}

/**
 * Gets deliveries in the order of the bus, never two batches of one partition at a time, and answers for each in turn. What
 * it throws counts as `retry` for all.
 */
export type BusHandler = (batch: readonly BusDelivery[]) => Promise<readonly Settlement[]>;

export interface BusSubscription {
  /** No further batches until `resume`. What the bus sends meanwhile has a bound. */
  pause(): void;
  resume(): void;
  /** Resolves when the handler is not running and nothing will come. Idempotent. */
  close(): Promise<void>;
}

export interface BusLag {
  readonly topic: string;
  /** null = of all partitions together. */
  readonly partition: number | null;
  /** Messages that the group has not acknowledged. */
  readonly count: bigint;
  /** Age of the oldest of them; null = not known. */
  readonly ageMs: number | null;
}

export interface Bus {
  /** `kafka`, `nats`, ...: for people. */
  readonly name: string;
  readonly caps: BusCaps;
  /** Makes topics that are not there. Those that are stay as they are. */
  ensure(topics: readonly BusTopic[]): Promise<void>;
  /**
   * Sends in order; answers for each, in the same order. Never rejects for what befell single messages. Where one fails that
   * may be sent again, so do those after it that are kept in order with it: what is sent again must not come behind them.
   */
  publish(messages: readonly BusMessage[]): Promise<readonly BusPublished[]>;
  subscribe(options: BusSubscribeOptions, handler: BusHandler): Promise<BusSubscription>;
  lag(group: string, topics: readonly string[]): Promise<readonly BusLag[]>;
  /** Ends subscriptions, sends what was handed over, and lets go of the bus. Idempotent. */
  close(): Promise<void>;
}
