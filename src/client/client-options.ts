/** How a client reaches its server, and how patient it is: the options, their check, and what is made of them. */
import { clientError } from '../core/client-errors.js';
import { type Backoff, type Pace, systemPace } from './pace.js';
import type { StreamSettings } from './run-stream.js';
import { createTransport, type Transport } from './transport.js';

/** How to reach a server. */
export interface ClientOptions {
  /** Address of the server, with its base path if it has one: `https://host/spine`. */
  readonly url: string;
  /** Bearer token, or a function that gives a fresh one for each request. Default: none. */
  readonly token?: string | (() => string | Promise<string>);
  /** Sent as `Eventspine-Tenant`, for servers whose `authorize` reads it. Default: not sent. */
  readonly tenant?: string;
  /** Default: the global `fetch`. */
  readonly fetch?: typeof globalThis.fetch;
  /** Longest wait for one answer, ms. Default 30,000. Shorter fails sooner under load; longer holds callers longer. */
  readonly timeoutMs?: number;
  /** Tries of a request that may be repeated. Default 4 tries with pauses of up to 200 ms, doubling, at most 5 s. */
  readonly retry?: Partial<Backoff>;
  /** Reconnects of a stream that bring nothing, in a row. Default 10 with pauses of up to 500 ms, doubling, at most 15 s. */
  readonly reconnect?: Partial<Backoff>;
  /** A stream that is silent for so long is taken for dead, ms. Default 45,000; servers send a sign of life every 15 s. */
  readonly streamIdleMs?: number;
  /** Timers and chance; for tests. */
  readonly pace?: Pace;
}

/** The way to the server. Opens nothing. Fails with OPTIONS_INVALID. */
export function transportOf(options: ClientOptions): Transport {
  checkOptions(options);
  return createTransport({
    url: options.url,
    ...(options.token === undefined ? {} : { token: options.token }),
    ...(options.tenant === undefined ? {} : { tenant: options.tenant }),
    // Called as a plain function: browsers refuse a `fetch` whose `this` is another object.
    fetch: options.fetch ?? ((input, init) => globalThis.fetch(input, init)),
    timeoutMs: options.timeoutMs ?? 30_000,
    retry: { attempts: 4, minMs: 200, maxMs: 5_000, ...options.retry },
    pace: options.pace ?? systemPace,
  });
}

/** How streams behave under the given options. */
export function streamSettings(options: Pick<ClientOptions, 'reconnect' | 'streamIdleMs'>): StreamSettings {
  return {
    reconnect: { attempts: 10, minMs: 500, maxMs: 15_000, ...options.reconnect },
    idleMs: options.streamIdleMs ?? 45_000,
  };
}

/** Options as they were given; all faults are reported at once. */
function checkOptions(options: ClientOptions): void {
  const faults: string[] = [];
  if (!URL.canParse(options.url)) faults.push(`url must be an absolute URL, not "${String(options.url)}"`);
  for (const name of ['timeoutMs', 'streamIdleMs'] as const) {
    const value = options[name];
    if (value !== undefined && !(value > 0)) faults.push(`${name} must be a number of ms above 0`);
  }
  for (const name of ['retry', 'reconnect'] as const) {
    const attempts = options[name]?.attempts;
    if (attempts !== undefined && !(Number.isInteger(attempts) && attempts >= 1)) {
      faults.push(`${name}.attempts must be a whole number of at least 1`);
    }
  }
  if (faults.length > 0) throw clientError('OPTIONS_INVALID', { what: 'createClient', faults });
}
