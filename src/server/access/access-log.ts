/**
 * The record of access of one server: what operators and admins do, before it is done, and what was refused to whom. It knows
 * requests by the data of their routes, so that no handler has to think of it.
 *
 * Invariant: what one caller can make it write in a minute is bounded, whatever the caller sends: the first refusal of a kind
 * is written at once, its repeats are counted and written as one, and of more kinds than can be told apart only the number.
 */
import type { AccessOutcome, AccessRecord } from '../../core/access/record.js';
import type { AccessAction } from '../../core/access/permission.js';
import { isSpineError } from '../../core/errors.js';
import { isoOf } from '../../core/instant.js';
import { limits } from '../../core/limits.js';
import type { Clock, Timers } from '../../core/ports.js';
import type { Engine } from '../../engine/api.js';
import { mediaType } from '../../protocol/cloudevents.js';
import { headerNames, type Route, type RouteId } from '../../protocol/routes.js';
import type { HttpHead } from '../api-request.js';
import type { ServerLogEntry } from '../options.js';
import { decodeSegment } from '../transports/path-segment.js';

/** A request that is refused; `*` = it was refused before anybody looked what it is for. */
export interface RefusedRequest {
  readonly id: RouteId | '*';
  readonly segments: Readonly<Record<string, string>>;
  readonly requestId: string;
}

/** A request, as far as the record tells of it. */
export interface LoggedRequest extends RefusedRequest {
  readonly route: Route;
  readonly head: HttpHead;
}

/** Who has sent it; null = nobody that is known. `visits`: an operator at work in a tenant that is not its own. */
export interface LoggedCaller {
  readonly tenant: string;
  readonly user: string;
  readonly visits: boolean;
}

export interface AccessLogOptions {
  readonly engine: Pick<Engine, 'recordAccess'>;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly log: (entry: ServerLogEntry) => void;
}

/** Actions that are recorded whoever does them, where they change something. */
const recordedActions: ReadonlySet<AccessAction> = new Set(['manage', 'replay', 'write', 'cancel']);

/** Something that repeats, and how often it did since it was written last. */
interface Repeated {
  readonly tenant: string | null;
  record: AccessRecord;
  count: number;
}

export class AccessLog {
  readonly #options: AccessLogOptions;
  readonly #repeated = new Map<string, Repeated>();
  /** Refusals of more kinds than there is room for. */
  #more: Repeated | null = null;
  #timing = false;

  constructor(options: AccessLogOptions) {
    this.#options = options;
  }

  /** Whether a request is written down before it is served. */
  records({ route }: LoggedRequest): boolean {
    if (route.method === 'GET' || route.needs?.reads === true) return false;
    if (route.access === 'operator' || route.access === 'admin') return true;
    return route.needs !== null && [route.needs.action].flat().every((action) => recordedActions.has(action));
  }

  /** Writes down that a request may be served; it is served once this has resolved. STORE_*. */
  async allowed(request: LoggedRequest, caller: LoggedCaller, body: Uint8Array): Promise<void> {
    const record = this.#recordOf('allowed', request, caller, null, reasonOf(request, body));
    await this.#options.engine.recordAccess([{ tenant: caller.tenant, record }]);
  }

  /** An operator reads in a tenant that is not its own: told once a minute for each route. */
  visited(request: LoggedRequest, caller: LoggedCaller): void {
    this.#repeat(caller.tenant, this.#recordOf('allowed', request, caller, null, null));
  }

  /** What was allowed has come to nothing. */
  failed(request: LoggedRequest, caller: LoggedCaller, error: unknown): void {
    const code = isSpineError(error) ? error.code : 'INTERNAL';
    this.#repeat(caller.tenant, this.#recordOf('failed', request, caller, code, null));
  }

  /** A request is refused; `caller` null = it is not known who has sent it. */
  refused(request: RefusedRequest, caller: LoggedCaller | null, code: string): void {
    this.#repeat(caller?.tenant ?? null, this.#recordOf('refused', request, caller, code, null));
  }

  /** Writes what is counted and not written yet. Resolves whether or not it could be. */
  async flush(): Promise<void> {
    const counted = [...this.#repeated.values(), ...(this.#more === null ? [] : [this.#more])].filter(
      ({ count }) => count > 0,
    );
    this.#repeated.clear();
    this.#more = null;
    if (counted.length === 0) return;
    await this.#write(counted.map(({ tenant, record, count }) => ({ tenant, record: { ...record, count } })));
  }

  /** A refusal stays one, whether or not it can be written down. */
  async #write(records: Parameters<Engine['recordAccess']>[0]): Promise<void> {
    try {
      await this.#options.engine.recordAccess(records);
    } catch (error) {
      const message = `${records.length} records of access could not be written.`;
      this.#options.log({ level: 'error', message, reference: 'access', error });
    }
  }

  #repeat(tenant: string | null, record: AccessRecord): void {
    this.#time();
    const key = [tenant, record.actor, record.route, record.code, record.outcome].join('\n');
    const known = this.#repeated.get(key);
    if (known !== undefined) {
      // The first of those that are not written yet says since when.
      if (known.count === 0) known.record = record;
      known.count += 1;
      return;
    }
    if (this.#repeated.size >= limits.accessRefusalsMax) {
      this.#more ??= { tenant: null, record: { ...record, actor: null, route: '*', target: '', code: null }, count: 0 };
      this.#more.count += 1;
      return;
    }
    const first: Repeated = { tenant, record, count: 0 };
    this.#repeated.set(key, first);
    void this.#write([{ tenant, record }]);
  }

  #time(): void {
    if (this.#timing) return;
    this.#timing = true;
    this.#options.timers.after(limits.accessWindowMs, () => {
      this.#timing = false;
      void this.flush();
    });
  }

  #recordOf(
    outcome: AccessOutcome,
    { id, segments, requestId }: RefusedRequest,
    caller: LoggedCaller | null,
    code: string | null,
    reason: string | null,
  ): AccessRecord {
    const named = Object.entries(segments).map(([name, text]) => `${name}=${decodeSegment(text) ?? text}`);
    return {
      outcome,
      actor: caller === null ? null : `client:${caller.user}`,
      route: id,
      target: named.join(' ').slice(0, targetLengthMax),
      code,
      reason,
      count: 1,
      request: requestId,
      since: isoOf(this.#options.clock.now()),
    };
  }
}

const targetLengthMax = 500;
/** A body in which a reason is looked for. */
const readBytesMax = 64 * 1024;

/** What the caller has said why: the header `eventspine-reason`, `reason` of the query or of the body. */
function reasonOf({ head }: LoggedRequest, body: Uint8Array): string | null {
  const given =
    head.header(headerNames.reason) ?? new URLSearchParams(head.query).get('reason') ?? reasonIn(head, body);
  if (typeof given !== 'string' || given.trim() === '') return null;
  return given.slice(0, limits.errorMessageLengthMax).replaceAll('\0', '');
}

/** What is no JSON is the business of the handler. */
function reasonIn(head: HttpHead, body: Uint8Array): unknown {
  if (body.length === 0 || body.length > readBytesMax) return null;
  if (mediaType(head.header('content-type')) !== 'application/json') return null;
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(body));
    return typeof value === 'object' && value !== null && 'reason' in value ? value.reason : null;
  } catch {
    return null;
  }
}
