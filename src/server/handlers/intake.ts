/**
 * Starting runs. This is the hot path: bytes in, one call of the engine, a small answer out. An answer of 202 is sent
 * only when the engine says that the run is durable.
 */
import { payloadOfJson } from '../../core/codec.js';
import { durationMs } from '../../core/duration.js';
import { SpineError } from '../../core/errors.js';
import { limits } from '../../core/limits.js';
import type { StartOutcome, StartRequest } from '../../engine/api.js';
import { mediaType } from '../../protocol/cloudevents.js';
import type { BatchStartAnswer, ReadTokenView, RunViewState, StartAnswer } from '../../protocol/http.js';
import { parseJson } from '../../protocol/json-body.js';
import { headerNames } from '../../protocol/routes.js';
import { nodePorts } from '../../runtime/index.js';
import { json, jsonText, type Answer, type WholeAnswer } from '../answer.js';
import { instantOf, invalid, type ApiRequest } from '../api-request.js';
import { readIdempotencyKey, readPreferToken, readPreferWait } from '../transports/request-headers.js';
import type { WebhookHost } from '../webhooks/webhook-host.js';
import { StartBatch, type OwnStart } from '../start-batch.js';
import { checkedLabels, labelOf, linksOf, membersOf, type HandlerContext, type Handlers } from './context.js';
import { checkedExpiry, readTokenFor } from './read-tokens.js';
import { resultAnswer } from './runs.js';

export function intakeHandlers(context: HandlerContext, webhooks: WebhookHost): Handlers<'startRun' | 'startRuns'> {
  const batch = new StartBatch(context.engine, nodePorts.timers);
  return {
    startRun: (request) => startRun(context, batch, webhooks, request),
    startRuns: (request) => startRuns(context, webhooks, request),
  };
}

/** Not an async function, like what it calls on the plain path: each layer of promises is paid for by every start. */
function startRun(
  context: HandlerContext,
  batch: StartBatch,
  webhooks: WebhookHost,
  request: ApiRequest,
): Promise<Answer> {
  const prefer = request.header(headerNames.prefer);
  const waitMs = readPreferWait(prefer, context.settings.limits.preferWaitMsMax);
  const tokenMs = readPreferToken(prefer);
  if (typeof tokenMs === 'number') checkedExpiry(tokenMs);
  const asked = startRequestOf(request);
  const url = request.header(headerNames.notify);
  const started =
    url === undefined
      ? batch.start(asked)
      : notifyOf(context, webhooks, request, url).then((notify) => batch.start({ ...asked, notify }));
  return started.then((outcome) => {
    if (outcome.tag === 'error') throw outcome.error;
    if (prefer === undefined && outcome.tag === 'started') return acceptedAnswer(context, outcome, 'queued', null);
    return lateAnswer(context, request, outcome, waitMs, tokenMs);
  });
}

/** The answer that takes a look at the run: where the caller would wait for its end, or has started it before. */
async function lateAnswer(
  context: HandlerContext,
  request: ApiRequest,
  outcome: Started,
  waitMs: number | null,
  tokenMs: number | null | undefined,
): Promise<Answer> {
  if (waitMs !== null) {
    const result = await resultInTime(context, request, outcome.run, waitMs);
    if (result !== null) return result;
  }
  const state = outcome.tag === 'repeated' ? await stateOf(context, request.tenant, outcome.run) : 'queued';
  const token = tokenMs === null ? null : await readTokenFor(context, request, outcome.run, { expiresMs: tokenMs });
  const answer = acceptedAnswer(context, outcome, state, token);
  const applied = [...(waitMs === null ? [] : [`wait=${waitMs / 1_000}`]), ...(token === null ? [] : ['read-token'])];
  if (applied.length > 0) answer.headers[headerNames.preferenceApplied] = applied.join(', ');
  return answer;
}

/** Ids and the base path need no escaping in JSON; put together by hand because every start pays for it. */
function acceptedAnswer(
  context: HandlerContext,
  outcome: Started,
  state: RunViewState,
  token: ReadTokenView | null,
): WholeAnswer {
  const self = `${context.settings.basePath}/v1/runs/${outcome.run}`;
  const text = `{"id":"${outcome.run}","state":"${state}","repeated":${outcome.tag === 'repeated'},"links":{"self":"${self}","history":"${self}/history","result":"${self}/result","stream":"${self}/stream"}${token === null ? '' : `,"readToken":${JSON.stringify(token)}`}}`;
  return jsonText(202, text, { location: self, 'retry-after': '1' });
}

function startRequestOf(request: ApiRequest): OwnStart {
  const input = payloadOfJson(request.json() ?? null);
  const found: Writable<OwnStart> = {
    workflow: request.segment('name'),
    input,
    origin: request.origin(),
  };
  const idempotencyKey = readIdempotencyKey(request.header(headerNames.idempotencyKey));
  if (idempotencyKey !== undefined) found.idempotencyKey = idempotencyKey;
  if (request.query.isEmpty) return found;
  const labels = request.query.texts('label').map(labelOf);
  if (labels.length > 0)
    found.labels = checkedLabels(Object.fromEntries(labels.map(({ name, value }) => [name, value])));
  const priority = request.query.integer('priority', priorityBounds);
  if (priority !== undefined) found.priority = priority;
  const delay = request.query.text('delay');
  if (delay !== undefined) found.delayMs = delayMsOf(/^\d{1,15}$/.test(delay) ? Number(delay) : delay);
  const startAt = request.query.instant('startAt');
  if (startAt !== undefined) found.startAt = startAt;
  return found;
}

/** @throws REQUEST_INVALID */
function delayMsOf(value: unknown): number {
  const ms = durationMs(value);
  if (ms === null) throw invalid('delay is not a duration such as 10m, or a number of ms');
  return ms;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

const priorityBounds = { min: 0, max: limits.priorityMax };

/** The result of a run that ends within the time asked for; null where it does not. */
async function resultInTime(
  context: HandlerContext,
  request: ApiRequest,
  run: string,
  waitMs: number,
): Promise<Answer | null> {
  await context.engine.waitForEnd(request.tenant, run, waitMs);
  const result = await context.engine.readResult(request.tenant, run);
  if (result === null || result.state === 'pending') return null;
  const answer = await resultAnswer(context, request, run, result);
  answer.headers['location'] = linksOf(context.settings.basePath, run).self;
  answer.headers[headerNames.preferenceApplied] = `wait=${waitMs / 1_000}`;
  return answer;
}

type Started = Exclude<StartOutcome, { readonly tag: 'error' }>;

/** The key outlives a run that is kept for a shorter time than the key. @throws RUN_NOT_FOUND */
async function stateOf(context: HandlerContext, tenant: string, run: string): Promise<RunViewState> {
  const state = await context.engine.waitForEnd(tenant, run, 0);
  if (state === null) throw new SpineError('RUN_NOT_FOUND', { run });
  return state;
}

// Batch

async function startRuns(context: HandlerContext, webhooks: WebhookHost, request: ApiRequest): Promise<Answer> {
  const workflow = request.segment('name');
  const read: Read[] = [];
  for (const item of batchItemsOf(request))
    read.push(
      await checkedNotify(
        context,
        webhooks,
        request,
        attempt(() => batchRequestOf(workflow, item())),
      ),
    );
  const requests = read.filter((item): item is StartRequest => !(item instanceof Refused));
  const outcomes = requests.length === 0 ? [] : await context.engine.startRuns(request.origin(), requests);
  const items: BatchStartAnswer['items'][number][] = [];
  let at = 0;
  for (const item of read) {
    const outcome = item instanceof Refused ? { tag: 'error' as const, error: item.error } : outcomes[at++];
    if (outcome === undefined) throw new Error('The engine gave fewer outcomes than it was asked for');
    items.push(await batchAnswerOf(context, request, outcome));
  }
  const answer: BatchStartAnswer = { items };
  return json(items.some((item) => 'error' in item) ? 207 : 202, answer);
}

/** An item that cannot be handed to the engine. Its neighbours can. */
class Refused {
  readonly error: unknown;
  constructor(error: unknown) {
    this.error = error;
  }
}

type Read = StartRequest | Refused;

async function checkedNotify(
  context: HandlerContext,
  webhooks: WebhookHost,
  request: ApiRequest,
  item: Read,
): Promise<Read> {
  if (item instanceof Refused || item.notify === undefined) return item;
  return notifyOf(context, webhooks, request, item.notify).then(
    () => item,
    (error: unknown) => new Refused(error),
  );
}

/** The address that is told of the end, looked at; servers deliver from now on. @throws REQUEST_INVALID, ENDPOINT_REFUSED */
async function notifyOf(
  { engine }: HandlerContext,
  webhooks: WebhookHost,
  { grant }: ApiRequest,
  url: string,
): Promise<string> {
  if (grant.tag !== 'tenant') throw invalid(`${headerNames.notify} is not for starts from pages`);
  if (url.length > limits.webhookUrlLengthMax)
    throw invalid(`notify is not a URL of at most ${limits.webhookUrlLengthMax} characters`);
  webhooks.deliverer.check(url);
  await engine.webhooks.use();
  return url;
}

function attempt<T>(fn: () => T): T | Refused {
  try {
    return fn();
  } catch (error) {
    return new Refused(error);
  }
}

/** The items of a batch, each parsed when it is asked for, so that one bad line is one bad item. */
function batchItemsOf(request: ApiRequest): (() => unknown)[] {
  const items =
    mediaType(request.header('content-type')) === 'application/x-ndjson' ? lines(request.body) : elements(request);
  if (items.length === 0) throw invalid('the batch is empty');
  if (items.length > limits.batchItemsMax) throw invalid(`the batch has more than ${limits.batchItemsMax} items`);
  return items;
}

function elements(request: ApiRequest): (() => unknown)[] {
  const value = request.json();
  if (!Array.isArray(value)) throw invalid('the body is not a JSON array');
  return value.map((element: unknown) => () => element);
}

const newline = 0x0a;

/** Lines that hold something. One more than is allowed is enough to refuse them all. */
function lines(body: Uint8Array): (() => unknown)[] {
  const found: (() => unknown)[] = [];
  let from = 0;
  while (from < body.length && found.length <= limits.batchItemsMax) {
    const next = body.indexOf(newline, from);
    const to = next === -1 ? body.length : next;
    const line = body.subarray(from, to);
    if (line.some((byte) => byte > 0x20)) found.push(() => parseJson(line));
    from = to + 1;
  }
  return found;
}

function batchRequestOf(workflow: string, item: unknown): StartRequest {
  const members = membersOf(item, 'an item', batchMembers);
  const { input = null, idempotencyKey, labels, priority, delay, startAt, notify } = members;
  if (notify !== undefined && typeof notify !== 'string') throw invalid('notify is not a URL');
  if (idempotencyKey !== undefined && !isKey(idempotencyKey)) {
    throw invalid(`idempotencyKey is not a string of 1 to ${limits.keyLengthMax} characters`);
  }
  if (priority !== undefined && !isPriority(priority)) {
    throw invalid(`priority is not a whole number between ${priorityBounds.min} and ${priorityBounds.max}`);
  }
  return {
    workflow,
    input: payloadOfJson(input),
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
    ...(labels === undefined ? {} : { labels: checkedLabels(labelMembers(labels)) }),
    ...(priority === undefined ? {} : { priority }),
    ...(delay === undefined ? {} : { delayMs: delayMsOf(delay) }),
    ...(startAt === undefined ? {} : { startAt: instantOf('startAt', startAt) }),
    ...(notify === undefined ? {} : { notify }),
  };
}

const batchMembers = ['input', 'idempotencyKey', 'labels', 'priority', 'delay', 'startAt', 'notify'];

function isKey(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= limits.keyLengthMax;
}

function isPriority(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= priorityBounds.min && Number(value) <= priorityBounds.max;
}

function labelMembers(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid('labels is not a JSON object');
  return value as Readonly<Record<string, unknown>>;
}

async function batchAnswerOf(
  context: HandlerContext,
  request: ApiRequest,
  outcome: StartOutcome | { readonly tag: 'error'; readonly error: unknown },
): Promise<BatchStartAnswer['items'][number]> {
  if (outcome.tag === 'error') return { error: context.problemOf(outcome.error, request.requestId) };
  const repeated = outcome.tag === 'repeated';
  const state = repeated ? await context.engine.waitForEnd(request.tenant, outcome.run, 0) : 'queued';
  if (state === null) {
    return { error: context.problemOf(new SpineError('RUN_NOT_FOUND', { run: outcome.run }), request.requestId) };
  }
  const answer: StartAnswer = {
    id: outcome.run,
    state,
    repeated,
    links: linksOf(context.settings.basePath, outcome.run),
  };
  return answer;
}
