/**
 * The client of NATS, as much of it as the adapter uses. It is not a dependency: users who bridge to NATS install it.
 *
 * Invariant: what is not here is not called.
 */
import { SpineError } from '../../core/errors.js';
import type { NatsOptions, NatsSettings } from './options.js';

export interface MessageHeaders {
  get(name: string): string;
  set(name: string, value: string): void;
  keys(): string[];
}

export interface JetStreamMessage {
  readonly data: Uint8Array;
  readonly headers?: MessageHeaders;
  readonly info: { readonly deliveryCount: number; readonly timestampNanos: number };
  ack(): void;
  nak(ms?: number): void;
  term(reason?: string): void;
  working(): void;
}

export interface Consumption {
  close(): Promise<unknown>;
  closed(): Promise<unknown>;
}

export interface StreamInfo {
  readonly state: { readonly messages: number };
}

export interface ConsumerInfo {
  readonly num_pending: number;
  readonly num_ack_pending: number;
  readonly ack_floor: { readonly stream_seq: number };
}

export interface JetStreamManager {
  readonly streams: {
    add(config: Readonly<Record<string, unknown>>): Promise<unknown>;
    info(stream: string): Promise<StreamInfo>;
    getMessage(stream: string, query: { readonly seq: number }): Promise<{ readonly timestamp: string } | null>;
  };
  readonly consumers: {
    add(stream: string, config: Readonly<Record<string, unknown>>): Promise<unknown>;
    info(stream: string, consumer: string): Promise<ConsumerInfo>;
  };
}

export interface JetStream {
  publish(
    subject: string,
    body: Uint8Array,
    options: { readonly msgID: string; readonly headers: MessageHeaders; readonly timeout: number },
  ): Promise<{ readonly seq: number; readonly duplicate?: boolean }>;
  readonly consumers: {
    get(
      stream: string,
      consumer: string,
    ): Promise<{
      consume(options: {
        readonly max_messages: number;
        readonly expires: number;
        readonly abort_on_missing_resource: boolean;
        readonly callback: (message: JetStreamMessage) => void;
      }): Promise<Consumption>;
    }>;
  };
}

export interface Connection {
  readonly info?: { readonly max_payload: number };
  closed(): Promise<unknown>;
  flush(): Promise<void>;
  close(): Promise<void>;
}

export interface NatsClient {
  connect(settings: NatsSettings): Promise<Connection>;
  headers(): MessageHeaders;
  jetstream(connection: Connection): JetStream;
  manager(connection: Connection): Promise<JetStreamManager>;
}

interface Transport {
  connect(options: Readonly<Record<string, unknown>>): Promise<Connection>;
  headers(): MessageHeaders;
}

interface Jets {
  jetstream(connection: Connection): JetStream;
  jetstreamManager(connection: Connection): Promise<JetStreamManager>;
}

/** Loads the client. NATS_CLIENT_MISSING where it is not installed. */
export async function natsClient(load: NatsOptions['client'] = installed): Promise<NatsClient> {
  const modules = await load();
  const transport = named(modules.transport, 'connect') as Transport;
  const jets = named(modules.jetstream, 'jetstream') as Jets;
  return {
    connect: ({ servers, name, user, pass, token, tls }) =>
      transport.connect({
        servers: [...servers],
        name,
        // A bridge waits for its bus as long as it takes; what fails meanwhile is told by those who asked.
        maxReconnectAttempts: -1,
        reconnectTimeWait: 250,
        ...(user === undefined ? {} : { user }),
        ...(pass === undefined ? {} : { pass }),
        ...(token === undefined ? {} : { token }),
        ...(tls === undefined ? {} : { tls }),
      }),
    headers: () => transport.headers(),
    jetstream: (connection) => jets.jetstream(connection),
    manager: (connection) => jets.jetstreamManager(connection),
  };
}

async function installed(): Promise<{ readonly transport: unknown; readonly jetstream: unknown }> {
  // Names that the compiler does not follow: the packages need not be there.
  const names: readonly [string, string] = ['@nats-io/transport-node', '@nats-io/jetstream'];
  try {
    return { transport: await import(names[0]), jetstream: await import(names[1]) };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new SpineError('NATS_CLIENT_MISSING', { packages: names }, { cause: error });
  }
}

/** Modules of the older kind have their names on the default export. */
function named(module: unknown, name: string): unknown {
  const own = module as Readonly<Record<string, unknown>>;
  return name in own ? own : own['default'];
}
