export interface KafkaClientFound {
  /** Path of a Node that the client can run on. */
  readonly node: string;
  /** URL of the client's module. */
  readonly client: string;
  readonly source: string;
}

export interface NoKafkaClient {
  readonly node: null;
  readonly reason: string;
}

export function kafkaClient(): KafkaClientFound | NoKafkaClient;
