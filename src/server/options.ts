/**
 * Options of the server and their check at construction: all faults at once, before anything is opened. Nothing in
 * this package reads the environment.
 */
import { SpineError } from '../core/errors.js';
import { limits } from '../core/limits.js';
import type { Engine } from '../engine/api.js';
import { isSecret } from '../runtime/index.js';

/** Who asks: decided by `authorize`, believed by everything behind it. */
export interface Principal {
  /** Everything the caller sees and does is within this tenant. */
  readonly tenant: string;
  /** Goes into the events that the caller causes. */
  readonly user: string;
  /** `operator`: sees queues, workers and checks of all tenants. `worker`: may connect as a worker and read its blobs. */
  readonly roles: readonly string[];
}

/** What `authorize` may look at; a `Request` is one. */
export interface AuthorizeRequest {
  readonly method: string;
  /** Absolute, or path and query. */
  readonly url: string;
  readonly headers: { get(name: string): string | null };
}

/** Says who asks; null = nobody we know (401). A rejection with a SpineError is answered as such. */
export type Authorize = (request: AuthorizeRequest) => Principal | null | Promise<Principal | null>;

/** Browser pages of other origins that may use the API. Without it none may. */
export interface CorsOptions {
  /** Exact origins (`https://app.example.com`), or "*" for every page of the world. */
  readonly origins: readonly string[] | '*';
  /** Whether pages may send cookies; not with "*". Default false. */
  readonly credentials?: boolean;
}

/** Push mode. */
export interface PushOptions {
  /**
   * The secret of the installation, `whsec_` and 24 bytes or more as base64, the same for all servers of a store; each endpoint
   * has one that is made of it. A list while it is being replaced, the newest first.
   */
  readonly secret: string | readonly string[];
  /** Whether endpoints on this machine are fine, also by http; others may then reach what listens here. Default false. */
  readonly allowLoopback?: boolean;
}

/** Bounds that an installation may move. */
export interface ServerLimits {
  /** Largest JSON body. Higher costs memory per request. Default 4 MiB. */
  readonly bodyBytesMax: number;
  /** Bytes waiting for one slow stream reader before it is fed from the log again at its own pace. Default 1 MiB. */
  readonly streamBufferBytesMax: number;
  /** A stream reader that takes nothing for so long is cut off. Default 30 s. */
  readonly streamStallMs: number;
  /** Pause between comments that keep idle streams open through proxies. Default 15 s. */
  readonly heartbeatMs: number;
  /** Cap of `prefer: wait=N`. Default 30 s. */
  readonly preferWaitMsMax: number;
  /** Time for the headers of a request to arrive. Lower is harder on slow clients, and on attackers. Default 5 s. */
  readonly headersTimeoutMs: number;
  /** Time for a whole request to arrive. Default 15 s. */
  readonly requestTimeoutMs: number;
  /** Open connections; more are refused. Default 20 000. */
  readonly connectionsMax: number;
  /** Time that `close` waits for answers under way. Default 10 s. */
  readonly closeMs: number;
}

/** What the server has to tell its operator. */
export interface ServerLogEntry {
  readonly level: 'warn' | 'error';
  readonly message: string;
  /** The `reference` of an INTERNAL problem, equal to the request id. */
  readonly reference: string;
  readonly error?: unknown;
}

/** Options of `createServer`. */
export interface ServerOptions {
  readonly engine: Engine;
  /** Default 127.0.0.1. Another than a loopback address needs `authorize`. */
  readonly host?: string;
  /** Default 8787; 0 = any free port. */
  readonly port?: number;
  /** Path under which everything is mounted, e.g. `/spine`. Default "". */
  readonly basePath?: string;
  /** Default: tenant `default`, user `anonymous`, every role, and only for requests to a loopback name. */
  readonly authorize?: Authorize;
  readonly limits?: Partial<ServerLimits>;
  readonly cors?: CorsOptions;
  /** Endpoints of functions that tasks are sent to (docs/guides/serverless.md). Default: none are. */
  readonly push?: PushOptions;
  /** Default: one line on the standard error output. */
  readonly log?: (entry: ServerLogEntry) => void;
}

/** Options with defaults filled in. */
export interface ServerSettings {
  readonly engine: Engine;
  readonly host: string;
  readonly port: number;
  readonly basePath: string;
  /** null = the default, which answers loopback names only. */
  readonly authorize: Authorize | null;
  readonly limits: ServerLimits;
  readonly cors: CorsOptions | null;
  readonly push: { readonly secrets: readonly string[]; readonly allowLoopback: boolean };
  readonly log: (entry: ServerLogEntry) => void;
}

const defaultLimits: ServerLimits = {
  bodyBytesMax: limits.bodyBytesMax,
  streamBufferBytesMax: limits.streamBufferBytesMax,
  streamStallMs: 30_000,
  heartbeatMs: 15_000,
  preferWaitMsMax: limits.preferWaitMsMax,
  headersTimeoutMs: 5_000,
  requestTimeoutMs: 15_000,
  connectionsMax: 20_000,
  closeMs: 10_000,
};

const optionNames = ['engine', 'host', 'port', 'basePath', 'authorize', 'limits', 'cors', 'push', 'log'];
const basePathPattern = /^(?:\/[A-Za-z0-9._~-]+)*$/;

/** @throws OPTIONS_INVALID */
export function settingsOf(options: ServerOptions): ServerSettings {
  const settings: ServerSettings = {
    engine: options.engine,
    host: options.host ?? '127.0.0.1',
    port: options.port ?? 8787,
    basePath: options.basePath ?? '',
    authorize: options.authorize ?? null,
    limits: { ...defaultLimits, ...options.limits },
    cors: options.cors ?? null,
    push: { secrets: [options.push?.secret ?? []].flat(), allowLoopback: options.push?.allowLoopback ?? false },
    log: options.log ?? logToStandardError,
  };
  const faults = [
    ...unknownNames(options, optionNames, ''),
    ...unknownNames(options.limits ?? {}, Object.keys(defaultLimits), 'limits.'),
    ...faultsOf(settings),
  ];
  if (faults.length > 0) throw new SpineError('OPTIONS_INVALID', { what: 'createServer', faults });
  return settings;
}

function unknownNames(given: object, known: readonly string[], prefix: string): string[] {
  return Object.keys(given)
    .filter((name) => !known.includes(name))
    .map((name) => `${prefix}${name} is not an option; there are ${known.join(', ')}`);
}

function faultsOf(settings: ServerSettings): string[] {
  const faults: string[] = [];
  const { port, basePath, host, authorize, cors } = settings;
  if (!Number.isInteger(port) || port < 0 || port > 65_535) faults.push('port is not between 0 and 65535');
  if (!basePathPattern.test(basePath)) faults.push('basePath is not a path like "/spine", without a slash at its end');
  if (authorize === null && !isLoopback(host)) {
    faults.push(`host ${host} can be reached from other machines; that needs \`authorize\`, or use 127.0.0.1`);
  }
  if (cors?.origins === '*' && cors.credentials === true)
    faults.push('cors.credentials needs origins by name, not "*"');
  if (!settings.push.secrets.every(isSecret)) faults.push('push.secret is not "whsec_" and 24 bytes or more as base64');
  for (const [name, value] of Object.entries(settings.limits) as [string, number][]) {
    if (!Number.isFinite(value) || value <= 0) faults.push(`limits.${name} is not a number above 0`);
  }
  return faults;
}

/** True for names and addresses that only this machine can reach: `localhost`, 127.0.0.0/8, ::1. */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase();
  return name === 'localhost' || name === '::1' || name === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(name);
}

function logToStandardError(entry: ServerLogEntry): void {
  console.error(`eventspine server ${entry.level} [${entry.reference}] ${entry.message}`, entry.error ?? '');
}
