/**
 * The one core behind both transports: a head goes in and is routed, a body is added and an answer comes out. What a
 * request may do is decided here and nowhere else: host, origin, route, method, size, identity, role. Every error
 * leaves as a problem; what is not of our catalogue is logged and shown as INTERNAL.
 */
import { TrieRouter } from 'hono/router/trie-router';
import { hasCode, isSpineError, SpineError } from '../core/errors.js';
import { limits } from '../core/limits.js';
import type { Engine } from '../engine/api.js';
import type { Problem } from '../protocol/http.js';
import { problemOf } from '../protocol/problem.js';
import { headerNames, routes, type Route, type RouteId } from '../protocol/routes.js';
import { ApiKeys } from './access/api-keys.js';
import { ApiRequest, type HttpHead } from './api-request.js';
import { empty, problemAnswerOf, type Answer } from './answer.js';
import { accessHandlers } from './handlers/access.js';
import { askAgain } from './access/ask-again.js';
import { agentHandlers } from './handlers/agents.js';
import { blobHandlers } from './handlers/blobs.js';
import type { Handler, HandlerContext } from './handlers/context.js';
import { endpointHandlers } from './handlers/endpoints.js';
import { eventHandlers } from './handlers/events.js';
import { consumerHandlers } from './handlers/consumers.js';
import { topicHandlers } from './handlers/topics.js';
import { bridgeHandlers } from './handlers/bridges.js';
import { deadEventHandlers } from './handlers/dead-events.js';
import { deadLetterHandlers } from './handlers/dead-letters.js';
import { fleetHandlers } from './handlers/fleet.js';
import { intakeHandlers } from './handlers/intake.js';
import { readTokenHandlers } from './handlers/read-tokens.js';
import { runHandlers } from './handlers/runs.js';
import { waitHandlers } from './handlers/waits.js';
import { modelHandlers } from './handlers/models.js';
import { cacheHandlers } from './handlers/cache.js';
import { triageHandlers } from './handlers/triage.js';
import { keyHandlers } from './handlers/keys.js';
import { limitHandlers } from './handlers/limits.js';
import { toolHandlers } from './handlers/tools.js';
import { scheduleHandlers } from './handlers/schedules.js';
import { subscriptionOrderHandlers } from './handlers/subscription-orders.js';
import { scalingHandlers } from './handlers/scaling.js';
import { webhookEndpointHandlers } from './handlers/webhook-endpoints.js';
import { webhookHandlers } from './handlers/webhook-sources.js';
import { workerHandlers } from './handlers/worker.js';
import { PlainWorkers } from './plain-workers.js';
import type { PushHost } from './push/push-host.js';
import type { WebhookHost } from './webhooks/webhook-host.js';
import { checkGrant } from './access/grant.js';
import { LargeBodies } from './transports/large-bodies.js';
import { AccessGate, checkRole, refusalCode } from './access/gate.js';
import { AccessLog, type LoggedCaller, type RefusedRequest } from './access/access-log.js';
import { Identity, type Caller } from './access/identity.js';
import { nodePorts } from '../runtime/index.js';
import { isLoopback, type Principal, type ServerSettings } from './options.js';
import { ReadTokens } from './access/read-tokens.js';
import { Redaction } from './redaction/redaction.js';
import { readRequestId } from './transports/request-headers.js';
import { eventStream } from './streams/event-sink.js';
import { StreamHub } from './streams/run-stream.js';
import { Standing, standingOver } from './access/standing.js';
import { WebhookTally } from './webhooks/webhook-tally.js';

/** A request that was routed and may send its body. */
export interface Routed {
  readonly tag: 'routed';
  readonly id: RouteId;
  readonly route: Route;
  readonly segments: Readonly<Record<string, string>>;
  readonly head: HttpHead;
  readonly requestId: string;
  /** The body is refused above this size, at best before it is sent. */
  readonly bodyBytesMax: number;
}

/** A request that is answered without looking at its body. */
export interface Answered {
  readonly tag: 'answered';
  readonly answer: Answer;
}

type ApiHandlers = Readonly<Record<RouteId, Handler>>;

interface Target {
  readonly id: RouteId;
  readonly route: Route;
}

interface Found {
  readonly target: Target;
  readonly segments: Readonly<Record<string, string>>;
}

/** Paths of intake whose routing is remembered: an installation posts to few, and routing is a tenth of the work. */
const rememberedPathsMax = 256;

/** Routes whose answers stay open. */
const eventStreams: ReadonlySet<RouteId> = new Set(
  (Object.entries(routes) as [RouteId, Route][])
    .filter(([, { answers }]) => answers.some(({ type }) => type === 'text/event-stream'))
    .map(([id]) => id),
);

const methods = ['GET', 'POST', 'PUT', 'DELETE'] as const;
const corsMaxAgeSeconds = '600';
const requestHeaders = `accept, authorization, content-type, ${Object.values(headerNames).join(', ')}`;
const exposedHeaders = `location, retry-after, ${headerNames.preferenceApplied}, ${headerNames.requestId}`;

export class Api {
  readonly #settings: ServerSettings;
  readonly #router = new TrieRouter<Target>();
  readonly #remembered = new Map<string, Found>();
  /** Those of each engine that a caller may be given: one for each clearance. */
  readonly #handlers = new WeakMap<Engine, ApiHandlers>();
  readonly #makeHandlers: (engine: Engine) => ApiHandlers;
  readonly #redaction: Redaction;
  readonly #streams: StreamHub;
  readonly #plainWorkers: PlainWorkers;
  /** Ends what is open when its caller may not ask any more. */
  readonly standing: Standing;
  /** What is held of large bodies. */
  readonly large: LargeBodies;
  readonly #identity: Identity;
  readonly #gate: AccessGate;
  /** null = nothing is recorded. */
  readonly #accessLog: AccessLog | null;
  /** Makes ids of requests unique over restarts and servers; the counter makes them cheap. */
  readonly #idPrefix: string;
  #requests = 0;

  constructor(settings: ServerSettings, idPrefix: string, push: PushHost, host: WebhookHost) {
    this.#settings = settings;
    this.#idPrefix = idPrefix;
    this.#streams = new StreamHub(settings);
    this.#plainWorkers = new PlainWorkers(settings.engine);
    this.large = new LargeBodies(settings.engine.valueBytesMax);
    const tokens = new ReadTokens(settings.engine, settings.readTokens.secrets);
    const keys = new ApiKeys(settings);
    this.standing = new Standing({
      ports: nodePorts,
      holds: (principal) => keys.holds(principal),
      mayEnd: (principal) => keys.isOfKey(principal),
      log: settings.log,
    });
    this.#identity = new Identity(settings, tokens, keys);
    this.#gate = new AccessGate(settings.engine);
    const { engine, log } = settings;
    this.#accessLog = settings.audit ? new AccessLog({ engine, ...nodePorts, log }) : null;
    for (const [id, route] of Object.entries(routes) as [RouteId, Route][]) {
      this.#router.add(route.method, `${settings.basePath}${route.path.replace(/\{(\w+)\}/g, ':$1')}`, { id, route });
    }
    this.#redaction = new Redaction(settings.engine, settings.redact.roles);
    const workersAndEndpoints = { ...workerHandlers(this.#plainWorkers), ...endpointHandlers(push) };
    const webhooks = new WebhookTally();
    this.#makeHandlers = (engine) => {
      const context: HandlerContext = {
        engine,
        settings: { ...settings, engine },
        streams: this.#streams.of(engine),
        tokens,
        large: this.large,
        webhooks,
        problemOf: (error, reference) => this.problemOf(error, reference),
      };
      return {
        ...intakeHandlers(context, host),
        ...eventHandlers(context),
        ...topicHandlers(context),
        ...runHandlers(context),
        ...waitHandlers(context),
        ...agentHandlers(context),
        ...consumerHandlers(context),
        ...bridgeHandlers(context),
        ...deadEventHandlers(context),
        ...deadLetterHandlers(context),
        ...modelHandlers(context),
        ...cacheHandlers(context),
        ...triageHandlers(context),
        ...limitHandlers(context),
        ...keyHandlers(context, keys),
        ...toolHandlers(context),
        ...scheduleHandlers(context),
        ...subscriptionOrderHandlers(context),
        ...fleetHandlers(context),
        ...readTokenHandlers(context),
        ...scalingHandlers(context),
        ...blobHandlers(context),
        ...accessHandlers(context),
        ...webhookHandlers(context),
        ...webhookEndpointHandlers(context, host),
        ...workersAndEndpoints,
      };
    };
  }

  /** The engine as a caller sees it, who may not be shown everything. What is not given this one is given everything. */
  engineFor(principal: Principal): Engine {
    return this.#redaction.engineFor(principal);
  }

  #handlersFor(principal: Principal): ApiHandlers {
    const engine = this.engineFor(principal);
    let found = this.#handlers.get(engine);
    if (found === undefined) this.#handlers.set(engine, (found = this.#makeHandlers(engine)));
    return found;
  }

  /** For how long a reader may take nothing of an answer. */
  get stallMs(): number {
    return this.#settings.limits.streamStallMs;
  }

  /** Requests of workers that wait for tasks. */
  get plainWorkers(): PlainWorkers {
    return this.#plainWorkers;
  }

  /** Open event streams. */
  get streams(): StreamHub {
    return this.#streams;
  }

  /** Routes a request. Nothing is awaited, so that a transport can begin to read the body in the same turn. */
  route(head: HttpHead): Routed | Answered {
    const requestId = readRequestId(head.header(headerNames.requestId)) ?? this.#nextId();
    try {
      this.checkSource(head);
      const found = this.#find(head);
      if (found === null) return { tag: 'answered', answer: this.#finish(this.#optionsAnswer(head), head, requestId) };
      const { id, route } = found.target;
      const bodyBytesMax =
        id === 'putBlob'
          ? this.#settings.engine.valueBytesMax
          : id === 'completeTasks'
            ? limits.payloadBytesMax
            : this.#settings.limits.bodyBytesMax;
      return { tag: 'routed', id, route, segments: found.segments, head, requestId, bodyBytesMax };
    } catch (error) {
      this.#tellRefused({ id: '*', segments: {}, requestId }, null, error);
      return { tag: 'answered', answer: this.#refuse(error, head, requestId) };
    }
  }

  /**
   * Answers a routed request: calls `reply` once, never before this returns. A callback and not an async function,
   * because intake pays for each layer of promises. `reply` must not throw.
   */
  answer(routed: Routed, body: Uint8Array, reply: (answer: Answer) => void): void {
    const { head, requestId } = routed;
    const refuse = (error: unknown): void => reply(this.#refuse(error, head, requestId));
    try {
      this.#handle(routed, body).then((answer) => reply(this.#finish(answer, head, requestId)), refuse);
    } catch (error) {
      queueMicrotask(() => refuse(error));
    }
  }

  /** Throws, or rejects, with what the request is refused for. */
  #handle(routed: Routed, body: Uint8Array): Promise<Answer> {
    const handle = (caller: Caller): Answer | Promise<Answer> => this.#serve(routed, caller, body);
    const refuse = (error: unknown): never => {
      this.#tellRefused(routed, null, error);
      throw error;
    };
    let known: Caller | Promise<Caller>;
    try {
      known = this.#identity.callerOf(routed.route, routed.head);
    } catch (error) {
      return refuse(error);
    }
    return known instanceof Promise ? known.then(handle, refuse) : Promise.resolve(handle(known));
  }

  /** Asks whether the caller may, writes down what has to be, and calls the handler. */
  #serve(routed: Routed, caller: Caller, body: Uint8Array): Answer | Promise<Answer> {
    const { id, route, segments, head, requestId } = routed;
    const { principal, grant } = caller;
    const refuse = (error: unknown): never => {
      // Of what is public nobody is asked who it is.
      this.#tellRefused(routed, route.access === 'public' ? null : loggedOf(caller), error);
      throw error;
    };
    try {
      checkRole(grant, principal, route);
      checkGrant(grant, route, segments);
      const permit = this.#gate.permitOf(principal);
      const checked = this.#gate.check(permit, principal, route, segments);
      const call = (): Answer | Promise<Answer> => {
        const request = { id, route, segments, head, principal, grant, permit, requestId, body };
        return this.#recorded(routed, caller, body, () => this.#handlersFor(principal)[id](new ApiRequest(request)));
      };
      const served = checked === null ? call() : checked.then(call);
      const answer = eventStreams.has(id) ? this.#ending(routed, caller, served) : served;
      // What a handler refuses is told as well; the plain way of a start costs no further promise.
      return answer instanceof Promise && this.#accessLog !== null ? answer.catch(refuse) : answer;
    } catch (error) {
      return refuse(error);
    }
  }

  /** A stream of events that ends when its reader may not ask any more. */
  async #ending({ id, head }: Routed, caller: Caller, served: Answer | Promise<Answer>): Promise<Answer> {
    const answer = await served;
    const open = answer.kind === 'stream' ? answer.openEvents : undefined;
    if (open === undefined) return answer;
    return eventStream((sink) => {
      sink.onClose(this.watch(id, head, caller, () => sink.end(standingOver)));
      open(sink);
    });
  }

  /**
   * Calls `end` once when the caller of something that stays open may not ask any more, unless what is returned was called
   * before. Of a key, and of whoever has an end that is known, it is known when; whom else `authorize` has let in is asked for
   * again now and then, by the credentials of the request.
   */
  watch(id: RouteId, head: HttpHead, caller: Caller, end: () => void): () => void {
    const { presented, principal, grant } = caller;
    if (this.standing.watches(presented)) return this.standing.watch(presented, end);
    if (this.#settings.authorize.length === 0 || grant.tag.endsWith('Token')) return () => undefined;
    const before = JSON.stringify([principal, grant]);
    return askAgain(this.#settings.limits.recheckMs, () => this.#isStill(id, head, before), end);
  }

  /** Whether the same caller may what it might before. What cannot be found out takes nothing away. */
  async #isStill(id: RouteId, head: HttpHead, before: string): Promise<boolean> {
    try {
      const { principal, grant } = await this.#identity.callerOf(routes[id], head);
      return JSON.stringify([principal, grant]) === before;
    } catch (error) {
      this.#tellRefused({ id, segments: {}, requestId: this.#nextId() }, null, error);
      return refusalCode(error) === null;
    }
  }

  #recorded(
    routed: Routed,
    caller: Caller,
    body: Uint8Array,
    call: () => Answer | Promise<Answer>,
  ): Answer | Promise<Answer> {
    const accessLog = this.#accessLog;
    if (accessLog === null || routed.route.access === 'public') return call();
    const logged = loggedOf(caller);
    if (!accessLog.records(routed)) {
      if (logged.visits) accessLog.visited(routed, logged);
      return call();
    }
    return accessLog
      .allowed(routed, logged, body)
      .then(call)
      .catch((error: unknown) => {
        if (refusalCode(error) === null) accessLog.failed(routed, logged, error);
        throw error;
      });
  }

  #tellRefused(request: RefusedRequest, caller: LoggedCaller | null, error: unknown): void {
    const code = refusalCode(error);
    if (code !== null) this.#accessLog?.refused(request, caller, code);
  }

  /** The answer to a request whose body is too large. */
  tooLarge(routed: Routed): Answer {
    const error = new SpineError('BODY_TOO_LARGE', { bytesMax: routed.bodyBytesMax });
    return this.#refuse(error, routed.head, routed.requestId);
  }

  /** The answer to a request for whose body there is no room now. */
  noRoom(routed: Routed): Answer {
    return this.#refuse(new SpineError('STORE_BUSY', {}), routed.head, routed.requestId);
  }

  /** The problem of an error; logs what should not have happened. */
  problemOf(error: unknown, reference: string): Problem {
    if (!isSpineError(error) || error.kind === 'internal') {
      this.#settings.log({ level: 'error', message: 'A request failed inside the server.', reference, error });
    }
    return problemOf(error, reference);
  }

  /**
   * Identifies the caller of a route that is not answered by a handler, and checks what it may do.
   *
   * @throws UNAUTHENTICATED, FORBIDDEN, OUT_OF_SCOPE
   */
  async authorize(id: RouteId, head: HttpHead): Promise<Caller> {
    const route = routes[id];
    const request = { id, segments: {}, requestId: this.#nextId() };
    let caller: Caller | null = null;
    try {
      caller = await this.#identity.callerOf(route, head);
      checkRole(caller.grant, caller.principal, route);
      checkGrant(caller.grant, route, {});
      return caller;
    } catch (error) {
      this.#tellRefused(request, caller === null ? null : loggedOf(caller), error);
      throw error;
    }
  }

  /** Writes what is counted of refusals and not written yet. */
  async flush(): Promise<void> {
    await this.#accessLog?.flush();
  }

  /**
   * Who asks, whatever for: for connections that bring several requests.
   *
   * @throws UNAUTHENTICATED, or as `authorize` does
   */
  async identify(head: HttpHead): Promise<Caller> {
    return await this.#identity.callerOf(routes.streamRun, head);
  }

  /**
   * Whether what a browser sends along by itself (cookies, passwords that it remembers) may speak for the page. Browsers send it
   * with every WebSocket, to whatever origin: unlike `fetch` they do not ask whether credentials are declared.
   */
  trustsAmbient(head: HttpHead): boolean {
    const origin = head.header('origin');
    if (origin === undefined || isSameOrigin(origin, head.header('host') ?? '')) return true;
    return this.#settings.cors?.credentials === true && this.#allowsOrigin(origin);
  }

  /**
   * Refuses what a browser may have been tricked into sending: pages of foreign origins, and names that were bent to
   * this address (DNS rebinding) while there is no `authorize` to tell friend from foe.
   *
   * @throws HOST_REFUSED, ORIGIN_REFUSED
   */
  checkSource(head: HttpHead): void {
    const host = head.header('host') ?? '';
    if (this.#settings.authorize.length === 0 && !isLoopback(host.replace(/:\d*$/, ''))) {
      throw new SpineError('HOST_REFUSED', { host: host.slice(0, 100) });
    }
    const origin = head.header('origin');
    if (origin === undefined || isSameOrigin(origin, host) || this.#allowsOrigin(origin)) return;
    const isRead = head.method === 'GET' || head.method === 'HEAD';
    // A foreign page cannot see the answer to a plain read; a WebSocket it could, and that is a read by its method.
    if (isRead && head.header('upgrade') === undefined) return;
    throw new SpineError('ORIGIN_REFUSED', { origin: origin.slice(0, 100) });
  }

  /** What the path and method stand for; null for OPTIONS. @throws ROUTE_NOT_FOUND, METHOD_NOT_ALLOWED */
  #find(head: HttpHead): Found | null {
    const method = head.method === 'HEAD' ? 'GET' : head.method;
    const remembered = method === 'POST' ? this.#remembered.get(head.path) : undefined;
    if (remembered !== undefined) return remembered;
    const [found] = this.#router.match(method, head.path)[0];
    if (found !== undefined) {
      // The trie router gives the segments themselves; its type also allows for routers that give their places.
      const result: Found = { target: found[0], segments: found[1] as Readonly<Record<string, string>> };
      if (method === 'POST' && this.#remembered.size < rememberedPathsMax) this.#remembered.set(head.path, result);
      return result;
    }
    const allowed = this.#allowed(head.path);
    if (allowed.length === 0) throw new SpineError('ROUTE_NOT_FOUND', { path: head.path.slice(0, 200) });
    if (method === 'OPTIONS') return null;
    throw new SpineError('METHOD_NOT_ALLOWED', { method: method.slice(0, 20), allowed: allowed.join(', ') });
  }

  #allowed(path: string): string[] {
    const found = methods.filter((method) => this.#router.match(method, path)[0].length > 0);
    if (found.length === 0) return [];
    return [
      ...(found.includes('GET') ? ['GET', 'HEAD'] : []),
      ...found.filter((method) => method !== 'GET'),
      'OPTIONS',
    ];
  }

  #optionsAnswer(head: HttpHead): Answer {
    const allow = this.#allowed(head.path).join(', ');
    const headers: Record<string, string> = { allow };
    if (head.header('access-control-request-method') !== undefined && this.#settings.cors !== null) {
      headers['access-control-allow-methods'] = allow;
      headers['access-control-allow-headers'] = requestHeaders;
      headers['access-control-max-age'] = corsMaxAgeSeconds;
    }
    return empty(204, headers);
  }

  #refuse(error: unknown, head: HttpHead, requestId: string): Answer {
    const headers: Record<string, string> = {};
    if (hasCode(error, 'METHOD_NOT_ALLOWED')) headers['allow'] = error.detail.allowed;
    if (isSpineError(error) && error.status === 401) headers['www-authenticate'] = 'Bearer';
    if (hasCode(error, 'UPGRADE_REQUIRED')) headers['upgrade'] = 'websocket';
    if (hasCode(error, 'RUN_NOT_ENDED') || (isSpineError(error) && error.kind === 'transient'))
      headers['retry-after'] = '1';
    return this.#finish(problemAnswerOf(this.problemOf(error, requestId), headers), head, requestId);
  }

  /** What every answer carries. */
  #finish(answer: Answer, head: HttpHead, requestId: string): Answer {
    const { headers } = answer;
    headers[headerNames.requestId] = requestId;
    headers['x-content-type-options'] = 'nosniff';
    if (headers['cache-control'] === undefined && head.method !== 'POST') headers['cache-control'] = 'no-store';
    if (this.#settings.cors !== null) this.#addCors(headers, head);
    return answer;
  }

  #addCors(headers: Record<string, string>, head: HttpHead): void {
    const { cors } = this.#settings;
    const origin = head.header('origin');
    headers['vary'] = 'origin';
    if (cors === null || origin === undefined || !this.#allowsOrigin(origin)) return;
    headers['access-control-allow-origin'] = cors.origins === '*' ? '*' : origin;
    headers['access-control-expose-headers'] = exposedHeaders;
    if (cors.credentials === true) headers['access-control-allow-credentials'] = 'true';
  }

  #allowsOrigin(origin: string): boolean {
    const { cors } = this.#settings;
    return cors !== null && (cors.origins === '*' || cors.origins.includes(origin));
  }

  #nextId(): string {
    this.#requests += 1;
    return `${this.#idPrefix}-${this.#requests.toString(36)}`;
  }
}

function loggedOf({ principal: { tenant, user }, home }: Caller): LoggedCaller {
  return { tenant, user, visits: home !== tenant };
}

function isSameOrigin(origin: string, host: string): boolean {
  return host !== '' && (origin === `http://${host}` || origin === `https://${host}`);
}
