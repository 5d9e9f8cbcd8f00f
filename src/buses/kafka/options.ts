/**
 * How a Kafka is reached. Checked when the bus is made, all faults at once, so that nothing fails later in a server that runs.
 */
import { SpineError } from '../../core/errors.js';

/** TLS as `node:tls` takes it; `{}` trusts the authorities that Node trusts. */
export interface KafkaTls {
  /** Certificates of authorities, PEM. */
  readonly ca?: string | readonly string[];
  /** Certificate and key of the client, PEM, where brokers want them. */
  readonly cert?: string;
  readonly key?: string;
  readonly passphrase?: string;
  /** False trusts anybody: for a trial, never beyond. Default true. */
  readonly rejectUnauthorized?: boolean;
}

/** Who we are to the brokers. Without TLS, PLAIN sends the password for all to read. */
export interface KafkaSasl {
  readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512' | 'OAUTHBEARER';
  readonly username?: string;
  readonly password?: string | (() => string | Promise<string>);
  /** For OAUTHBEARER; asked again whenever brokers ask again. */
  readonly token?: string | (() => string | Promise<string>);
}

/** How a Kafka is reached, and how much of the memory it may have. */
export interface KafkaOptions {
  /** `host:port` of some brokers; the others are found. */
  readonly brokers: readonly string[];
  /** Name in the brokers' logs and quotas. Default `eventspine`. */
  readonly clientId?: string;
  readonly tls?: KafkaTls;
  readonly sasl?: KafkaSasl;
  /**
   * `classic`: members agree among themselves, cooperatively (any broker). `consumer`: brokers share out (KIP-848, Kafka 4.0 and
   * later; rebalances are shorter). All members of a group want the same. Default `classic`.
   */
  readonly groupProtocol?: 'classic' | 'consumer';
  /** After how long without a sign of life a member's partitions go to others. Short: freezes cost a rebalance. Default 30,000. */
  readonly sessionMs?: number;
  /** Bytes of one message and of one batch: at most `max.message.bytes` of the topics, less some for names. Default 1,000,000. */
  readonly messageBytesMax?: number;
  /** What may wait in memory to be handled, over all partitions of a subscription. Default 32 MiB. */
  readonly bufferedBytesMax?: number;
  /** Copies of topics that `ensure` makes. Default: what the brokers have set. */
  readonly replicas?: number;
  /** Loads the client where `import('@platformatic/kafka')` would not find it from here. */
  readonly client?: () => Promise<unknown>;
}

/** With every default in its place. */
export interface KafkaSettings {
  readonly brokers: readonly string[];
  readonly clientId: string;
  readonly tls: KafkaTls | null;
  readonly sasl: KafkaSasl | null;
  readonly groupProtocol: 'classic' | 'consumer';
  readonly sessionMs: number;
  readonly messageBytesMax: number;
  readonly bufferedBytesMax: number;
  readonly replicas: number | null;
}

const known: ReadonlySet<string> = new Set([
  'brokers',
  'clientId',
  'tls',
  'sasl',
  'groupProtocol',
  'sessionMs',
  'messageBytesMax',
  'bufferedBytesMax',
  'replicas',
  'client',
]);

const mechanisms: ReadonlySet<string> = new Set(['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER']);

/** Throws BUS_OPTIONS_INVALID with all faults. */
export function settingsOf(options: KafkaOptions): KafkaSettings {
  const faults = [
    ...Object.keys(options)
      .filter((name) => !known.has(name))
      .map((name) => `${name} is not an option`),
    ...brokerFaults(options.brokers),
    ...saslFaults(options.sasl),
    ...numberFaults('sessionMs', options.sessionMs, 1000, 30 * 60_000),
    ...numberFaults('messageBytesMax', options.messageBytesMax, 1024, 100 * 1024 * 1024),
    ...numberFaults('bufferedBytesMax', options.bufferedBytesMax, 64 * 1024, 4 * 1024 ** 3),
    ...numberFaults('replicas', options.replicas, 1, 100),
  ];
  if (options.groupProtocol !== undefined && !['classic', 'consumer'].includes(options.groupProtocol))
    faults.push('groupProtocol is neither "classic" nor "consumer"');
  if (options.clientId !== undefined && !/^\S+$/.test(options.clientId)) faults.push('clientId is empty or has blanks');
  if (faults.length > 0) throw new SpineError('BUS_OPTIONS_INVALID', { bus: 'kafka', faults });
  return {
    brokers: options.brokers,
    clientId: options.clientId ?? 'eventspine',
    tls: options.tls ?? null,
    sasl: options.sasl ?? null,
    groupProtocol: options.groupProtocol ?? 'classic',
    sessionMs: options.sessionMs ?? 30_000,
    messageBytesMax: options.messageBytesMax ?? 1_000_000,
    bufferedBytesMax: options.bufferedBytesMax ?? 32 * 1024 * 1024,
    replicas: options.replicas ?? null,
  };
}

/** What every client of the brokers is told. `retries` is how often the client itself asks again. */
export function connectionOf(settings: KafkaSettings, retries: number): Record<string, unknown> {
  return {
    clientId: settings.clientId,
    bootstrapBrokers: [...settings.brokers],
    retries,
    retryDelay: 250,
    connectTimeout: 5000,
    timeout: 10_000,
    requestTimeout: 30_000,
    metadataMaxAge: 5000,
    autocreateTopics: false,
    ...(settings.tls === null ? {} : { tls: { ...settings.tls } }),
    ...(settings.sasl === null ? {} : { sasl: { ...settings.sasl } }),
  };
}

function brokerFaults(brokers: unknown): string[] {
  if (!Array.isArray(brokers) || brokers.length === 0) return ['brokers is not a list of host:port'];
  return brokers
    .filter((broker) => typeof broker !== 'string' || !/^(\[[0-9a-fA-F:.]+\]|[^\s:/]+):\d{1,5}$/.test(broker))
    .map((broker) => `brokers: ${JSON.stringify(broker)} is not host:port`);
}

function saslFaults(sasl: KafkaSasl | undefined): string[] {
  if (sasl === undefined) return [];
  if (!mechanisms.has(sasl.mechanism)) return [`sasl.mechanism is not one of ${[...mechanisms].join(', ')}`];
  const wanted = sasl.mechanism === 'OAUTHBEARER' ? (['token'] as const) : (['username', 'password'] as const);
  return wanted.filter((name) => sasl[name] === undefined).map((name) => `sasl.${name} is missing`);
}

function numberFaults(name: string, value: number | undefined, min: number, max: number): string[] {
  if (value === undefined || (Number.isSafeInteger(value) && value >= min && value <= max)) return [];
  return [`${name} is not a whole number between ${min} and ${max}`];
}
