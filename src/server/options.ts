/**
 * Options of the server and their check at construction: all faults at once, before anything is opened. Nothing in
 * this package reads the environment.
 */
import { parseDuration, type Duration } from '../core/duration.js';
import { SpineError } from '../core/errors.js';
import { limits } from '../core/limits.js';
import { everyTag, isTag } from '../core/redaction/tags.js';
import type { Engine } from '../engine/api.js';
import { readTokenSights, type ReadTokenSight } from '../protocol/http.js';
import { isSecret } from '../webhooks/index.js';
import type { PageScope } from './access/grant.js';

/** Who asks: decided by `authorize`, believed by everything behind it. */
export interface Principal {
  /** Everything the caller sees and does is within this tenant. */
  readonly tenant: string;
  /** Goes into the events that the caller causes. */
  readonly user: string;
  /**
   * `operator`: sees queues, workers and checks of all tenants, and may be at work in any of them. `worker`: may connect as a
   * worker and read its blobs. `admin`: says who may do what in the tenant, and reads its record of access. `viewer`: reads
   * and changes nothing, whatever else it is. Others mean something to approvals only.
   */
  readonly roles: readonly string[];
  /** What the caller may do within the tenant, as `action:kind/pattern` (`core/access`). Absent = everything. */
  readonly permissions?: readonly string[];
  /** Tags of fields that the caller is shown in clear (`core/redaction`). Absent = what its roles are shown. */
  readonly clearances?: readonly string[];
  /** When the session or token is over, epoch ms: what is open then, such as a stream, is ended. Absent = it is not looked at. */
  readonly until?: number;
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

/** Webhooks that go out. */
export interface WebhooksOptions {
  /** Whether receivers on this machine are fine, also by http; others may then reach what listens here. Default false. */
  readonly allowLoopback?: boolean;
  /** Whether this server delivers. False where other servers of the store are to. Default true. */
  readonly deliver?: boolean;
}

/** What users may do from their pages. */
export interface PageOptions {
  /** Names of the workflows that a page may start. Default: none; pages are then given tokens of runs started elsewhere. */
  readonly start?: readonly string[];
  /**
   * What a page is shown of its run: `progress` = state, paths of steps, progress and outcome, but no inputs and results of
   * steps and no failures of theirs; `everything` = the whole history. Default `progress`.
   */
  readonly sees?: ReadTokenSight;
  /**
   * Whether users see from their pages the approvals that are put to them or to one of their roles, and decide them. What
   * `authorize` says counts at each word; the role `operator` is a role like others there. Default false.
   */
  readonly approvals?: boolean;
}

/** How read tokens are made. */
export interface ReadTokenOptions {
  /**
   * What they are signed with, at least 32 characters; of several the first signs and all are accepted, so that one can be
   * replaced by another. Default: a secret of the store, which all its servers share and its backups hold.
   */
  readonly secret?: string | readonly string[];
  /** How long one is good for where the caller does not say. Longer keeps pages open without a session. Default 24 h, at most 30 d. */
  readonly expires?: Duration;
}

/** Who is shown fields that apps have tagged. */
export interface RedactOptions {
  /**
   * Tags that roles are shown in clear, `*` for all: `{ operator: ['pii'] }`. They hold for principals without `clearances` of
   * their own. Default: no role is shown any.
   */
  readonly roles?: Readonly<Record<string, readonly string[]>>;
}

/** Bounds that an installation may move. */
export interface ServerLimits {
  /** Largest JSON body. Higher costs memory per request. Default 4 MiB. */
  readonly bodyBytesMax: number;
  /** Bytes waiting for one slow stream reader before it is fed from the log again at its own pace. Default 1 MiB. */
  readonly streamBufferBytesMax: number;
  /** A reader of a stream, or of any answer, that takes nothing for so long is cut off. Default 30 s. */
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
  /**
   * How often at most whoever has a stream or a socket open is looked up again (`authorize`), so that a key that is revoked or a
   * session that has ended also ends what it has opened. Shorter asks more of `authorize`. Default 15 s.
   */
  readonly recheckMs: number;
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
  /**
   * Says who asks: looks up the session or the credentials of the host application. Of several the first that knows the
   * caller decides. Headers that name a tenant or a user mean nothing unless this function reads them. Default: tenant
   * `default`, user `anonymous`, every role, and only for requests to a loopback name.
   */
  readonly authorize?: Authorize | readonly Authorize[];
  /** Serves pages of users instead of programs: they start the workflows named, and read runs by their read tokens. */
  readonly page?: PageOptions;
  readonly readTokens?: ReadTokenOptions;
  /** Who is shown fields that apps have tagged (docs/guides/redaction.md). Default: whom `authorize` gives clearances. */
  readonly redact?: RedactOptions;
  readonly limits?: Partial<ServerLimits>;
  readonly cors?: CorsOptions;
  /** Endpoints of functions that tasks are sent to (docs/guides/serverless.md). Default: none are. */
  readonly push?: PushOptions;
  /** Webhook endpoints and addresses that starts are given (docs/guides/webhooks-out.md). Default: public ones only. */
  readonly webhooks?: WebhooksOptions;
  /**
   * Whether refusals and what operators and admins do are recorded, as events of the topic `eventspine.access`. Default: yes
   * where there is an `authorize`, since nobody is known without.
   */
  readonly audit?: boolean;
  /** Default: one line on the standard error output. */
  readonly log?: (entry: ServerLogEntry) => void;
}

/** Options with defaults filled in. */
export interface ServerSettings {
  readonly engine: Engine;
  readonly host: string;
  readonly port: number;
  readonly basePath: string;
  /** Empty = the default, which answers loopback names only. */
  readonly authorize: readonly Authorize[];
  /** null = callers may do everything in their tenant. */
  readonly page: PageScope | null;
  readonly readTokens: { readonly secrets: readonly string[]; readonly expiresMs: number };
  readonly redact: { readonly roles: Readonly<Record<string, readonly string[]>> };
  readonly limits: ServerLimits;
  readonly cors: CorsOptions | null;
  readonly push: { readonly secrets: readonly string[]; readonly allowLoopback: boolean };
  readonly webhooks: { readonly allowLoopback: boolean; readonly deliver: boolean };
  readonly audit: boolean;
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
  recheckMs: 15_000,
  closeMs: 10_000,
};

const optionNames = [
  'engine',
  'host',
  'port',
  'basePath',
  'authorize',
  'page',
  'readTokens',
  'redact',
  'limits',
  'cors',
  'push',
  'webhooks',
  'audit',
  'log',
];
const secretLengthMin = 32;
const basePathPattern = /^(?:\/[A-Za-z0-9._~-]+)*$/;

/** @throws OPTIONS_INVALID */
export function settingsOf(options: ServerOptions): ServerSettings {
  const settings: ServerSettings = {
    engine: options.engine,
    host: options.host ?? '127.0.0.1',
    port: options.port ?? 8787,
    basePath: options.basePath ?? '',
    authorize: listOf(options.authorize),
    page:
      options.page === undefined
        ? null
        : {
            start: options.page.start ?? [],
            sees: options.page.sees ?? 'progress',
            approvals: options.page.approvals ?? false,
          },
    readTokens: {
      secrets: listOf(options.readTokens?.secret),
      expiresMs: expiresMsOf(options.readTokens?.expires),
    },
    redact: { roles: options.redact?.roles ?? {} },
    limits: { ...defaultLimits, ...options.limits },
    cors: options.cors ?? null,
    push: { secrets: [options.push?.secret ?? []].flat(), allowLoopback: options.push?.allowLoopback ?? false },
    webhooks: {
      allowLoopback: options.webhooks?.allowLoopback ?? false,
      deliver: options.webhooks?.deliver ?? true,
    },
    audit: options.audit ?? listOf(options.authorize).length > 0,
    log: options.log ?? logToStandardError,
  };
  const faults = [
    ...unknownNames(options, optionNames, ''),
    ...unknownNames(options.limits ?? {}, Object.keys(defaultLimits), 'limits.'),
    ...emptyLists({ authorize: options.authorize, 'readTokens.secret': options.readTokens?.secret }),
    ...unknownNames(options.webhooks ?? {}, ['allowLoopback', 'deliver'], 'webhooks.'),
    ...unknownNames(options.page ?? {}, ['start', 'sees', 'approvals'], 'page.'),
    ...unknownNames(options.readTokens ?? {}, ['secret', 'expires'], 'readTokens.'),
    ...unknownNames(options.redact ?? {}, ['roles'], 'redact.'),
    ...faultsOf(settings),
  ];
  if (faults.length > 0) throw new SpineError('OPTIONS_INVALID', { what: 'createServer', faults });
  return settings;
}

function listOf<T>(given: T | readonly T[] | undefined): readonly T[] {
  if (given === undefined) return [];
  return Array.isArray(given) ? (given as readonly T[]) : [given as T];
}

/** An empty list would stand for the default, which is never what whoever wrote it meant. */
function emptyLists(given: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(given).flatMap(([name, value]) =>
    Array.isArray(value) && value.length === 0 ? [`${name} is an empty list`] : [],
  );
}

/** NaN where it is no duration; `faultsOf` tells. */
function expiresMsOf(given: Duration | undefined): number {
  if (given === undefined) return limits.readTokenMsDefault;
  try {
    return parseDuration(given);
  } catch {
    return Number.NaN;
  }
}

function unknownNames(given: object, known: readonly string[], prefix: string): string[] {
  return Object.keys(given)
    .filter((name) => !known.includes(name))
    .map((name) => `${prefix}${name} is not an option; there are ${known.join(', ')}`);
}

function faultsOf(settings: ServerSettings): string[] {
  const faults: string[] = [];
  const { port, basePath, host, authorize, cors, page, readTokens } = settings;
  if (!Number.isInteger(port) || port < 0 || port > 65_535) faults.push('port is not between 0 and 65535');
  if (!basePathPattern.test(basePath)) faults.push('basePath is not a path like "/spine", without a slash at its end');
  if (authorize.length === 0 && !isLoopback(host)) {
    faults.push(`host ${host} can be reached from other machines; that needs \`authorize\`, or use 127.0.0.1`);
  }
  if (!authorize.every((one) => typeof one === 'function'))
    faults.push('authorize is neither a function nor a list of them');
  if (page !== null && !readTokenSights.includes(page.sees))
    faults.push(`page.sees is none of ${readTokenSights.join(', ')}`);
  if (page !== null && typeof page.approvals !== 'boolean') faults.push('page.approvals is neither true nor false');
  if (page !== null && !(Array.isArray(page.start) && page.start.every((name) => typeof name === 'string'))) {
    faults.push('page.start is not a list of names of workflows');
  }
  if (!readTokens.secrets.every((secret) => typeof secret === 'string' && secret.length >= secretLengthMin)) {
    faults.push(`readTokens.secret has not at least ${secretLengthMin} characters`);
  }
  if (!(readTokens.expiresMs >= 1_000 && readTokens.expiresMs <= limits.readTokenMsMax)) {
    faults.push('readTokens.expires is not between "1s" and "30d"');
  }
  for (const [role, tags] of Object.entries(settings.redact.roles)) {
    if (!Array.isArray(tags) || !tags.every((tag) => tag === everyTag || isTag(tag)))
      faults.push(`redact.roles.${role} is not a list of tags such as "pii", or "*" for all`);
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
