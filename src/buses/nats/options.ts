/** How a NATS is reached. Checked when the bus is made, all faults at once. */
import { SpineError } from '../../core/errors.js';

/** Where a NATS is, who we are to it, and how streams are made. */
export interface NatsOptions {
  /** `host:port` of some servers; the others are found. */
  readonly servers: readonly string[];
  /** Name in the servers' logs. Default `eventspine`. */
  readonly name?: string;
  readonly user?: string;
  readonly pass?: string;
  readonly token?: string;
  /** As `node:tls` takes it; `{}` trusts the authorities that Node trusts. */
  readonly tls?: Readonly<Record<string, unknown>>;
  /** Where streams that `ensure` makes are kept. Default `file`. */
  readonly storage?: 'file' | 'memory';
  /** Copies of streams that `ensure` makes. Default 1. */
  readonly replicas?: number;
  /** How long streams that `ensure` makes know ids of messages, and drop repeats. Default 2 minutes. */
  readonly dedupeMs?: number;
  /** After how long without a word of a client its messages go to others. Short: freezes cost repeats. Default 30 s. */
  readonly ackWaitMs?: number;
  /** How long an answer to what is published may take. Default 5 s. */
  readonly publishMs?: number;
  /** Loads the client where `import('@nats-io/transport-node')` and `import('@nats-io/jetstream')` would not find it from here. */
  readonly client?: () => Promise<{ readonly transport: unknown; readonly jetstream: unknown }>;
}

/** With every default in its place. */
export type NatsSettings = Required<Omit<NatsOptions, 'user' | 'pass' | 'token' | 'tls' | 'client'>> &
  Pick<NatsOptions, 'user' | 'pass' | 'token' | 'tls'>;

const texts = ['name', 'user', 'pass', 'token'] as const;
const numbers = {
  replicas: [1, 5],
  dedupeMs: [100, 86_400_000],
  ackWaitMs: [100, 3_600_000],
  publishMs: [10, 600_000],
} as const;
const known: ReadonlySet<string> = new Set(['servers', 'tls', 'storage', 'client', ...texts, ...Object.keys(numbers)]);

/** Throws BUS_OPTIONS_INVALID with all faults. */
export function settingsOf(options: NatsOptions): NatsSettings {
  const { servers, storage = 'file', client: _, ...rest } = options;
  const faults = Object.keys(options)
    .filter((name) => !known.has(name))
    .map((name) => `${name} is not an option`);
  if (!Array.isArray(servers) || servers.length === 0 || servers.some((server) => typeof server !== 'string'))
    faults.push('servers is not a list of host:port');
  if (!['file', 'memory'].includes(storage)) faults.push('storage is neither "file" nor "memory"');
  for (const name of texts)
    if (options[name] !== undefined && typeof options[name] !== 'string') faults.push(`${name} is not a text`);
  for (const [name, [min, max]] of Object.entries(numbers)) {
    const value = options[name as keyof typeof numbers];
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= min && value <= max))
      faults.push(`${name} is not a whole number between ${min} and ${max}`);
  }
  if (faults.length > 0) throw new SpineError('BUS_OPTIONS_INVALID', { bus: 'nats', faults });
  return {
    name: 'eventspine',
    replicas: 1,
    dedupeMs: 120_000,
    ackWaitMs: 30_000,
    publishMs: 5_000,
    ...rest,
    servers,
    storage,
  };
}
