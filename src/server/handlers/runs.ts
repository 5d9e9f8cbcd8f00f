/** Reading runs and acting on them. */
import { errorCatalogue, SpineError } from '../../core/errors.js';
import { limits } from '../../core/limits.js';
import { isBlobPayload, type Payload } from '../../core/payload.js';
import { jsonOf } from '../../core/codec.js';
import type { RunFilter, RunMoment, RunResult } from '../../engine/api.js';
import {
  runViewStates,
  type BulkAnswer,
  type DecisionView,
  type PageView,
  type RunEventView,
  type RunView,
  type RunViewState,
} from '../../protocol/http.js';
import { decodeUtf8 } from '../../protocol/json-body.js';
import { isErrorCode } from '../../protocol/problem.js';
import { headerNames } from '../../protocol/routes.js';
import { empty, json, problemAnswerOf, type Answer, type WholeAnswer } from '../answer.js';
import { invalid, type ApiRequest } from '../api-request.js';
import { eventStream } from '../streams/event-sink.js';
import { cursorOf, seqOfCursor } from '../streams/cursor.js';
import { plainJsonOf } from '../plain-json.js';
import { sightOf } from '../access/grant.js';
import { pageEventView, pageRunView } from '../page-view.js';
import { readPreferWait } from '../transports/request-headers.js';
import {
  commandAnswer,
  heldBlob,
  labelOf,
  linksOf,
  membersOf,
  runOf,
  shownOf,
  type HandlerContext,
  type Handlers,
} from './context.js';

type RunRoutes =
  | 'listRuns'
  | 'readRun'
  | 'readHistory'
  | 'readDecisions'
  | 'exportRun'
  | 'readResult'
  | 'streamRun'
  | 'cancelRun'
  | 'retryRun'
  | 'cancelRuns'
  | 'retryRuns'
  | 'migrateRun'
  | 'migrateRuns';

export function runHandlers(context: HandlerContext): Handlers<RunRoutes> {
  const { engine } = context;
  return {
    listRuns: async (request) => {
      const page = await engine.listRuns(request.tenant, filterOf(request));
      return json(
        200,
        shownOf(request, page, 'read', 'workflow', ({ workflow }) => workflow),
      );
    },
    readRun: (request) => readRun(context, request),
    readHistory: (request) => readHistory(context, request),
    readDecisions: (request) => readDecisions(context, request),
    exportRun: (request) => exportRun(context, request),
    readResult: (request) => readResult(context, request),
    streamRun: (request) => streamRun(context, request),
    cancelRun: async (request) => {
      const options = cancelOptionsOf(request.json() ?? {}, ['reason']);
      return answerTo(runOf(request), (run) => engine.cancel(request.origin(), run, options));
    },
    retryRun: (request) => answerTo(runOf(request), (run) => engine.redrive(request.origin(), run)),
    cancelRuns: (request) => {
      const options = cancelOptionsOf(request.json(), ['ids', 'reason']);
      return answerToMany(context, request, ['ids', 'reason'], (run) => engine.cancel(request.origin(), run, options));
    },
    retryRuns: (request) => answerToMany(context, request, ['ids'], (run) => engine.redrive(request.origin(), run)),
    migrateRun: async (request) => {
      const to = targetOf(request.json(), ['to']);
      return answerTo(runOf(request), (run) => engine.migrate(request.origin(), run, to));
    },
    migrateRuns: async (request) => {
      const to = targetOf(request.json(), ['ids', 'to']);
      return answerToMany(context, request, ['ids', 'to'], (run) => engine.migrate(request.origin(), run, to));
    },
  };
}

function filterOf(request: ApiRequest): RunFilter {
  const { query } = request;
  const states = query.texts('state').flatMap((text) => text.split(','));
  const unknown = states.find((state) => !runViewStates.some((known) => known === state));
  if (unknown !== undefined) throw invalid(`state is none of ${runViewStates.join(', ')}`);
  const filter: { -readonly [K in keyof RunFilter]: RunFilter[K] } = { limit: query.limit() };
  const [workflow, failureClass, label, cursor] = ['workflow', 'failureClass', 'label', 'cursor'].map((name) =>
    query.text(name),
  );
  const startedFrom = query.instant('startedFrom');
  const startedBefore = query.instant('startedBefore');
  const order = query.choice('order', ['newest', 'oldest']);
  if (states.length > 0) filter.states = runViewStates.filter((state) => states.includes(state));
  if (workflow !== undefined) filter.workflow = workflow;
  const version = query.text('version');
  if (version !== undefined) filter.version = version === '' ? null : version;
  if (failureClass !== undefined) filter.failureClass = failureClass;
  if (label !== undefined) filter.label = labelOf(label);
  if (startedFrom !== undefined) filter.startedFrom = startedFrom;
  if (startedBefore !== undefined) filter.startedBefore = startedBefore;
  if (order !== undefined) filter.order = order;
  if (cursor !== undefined) filter.cursor = cursor;
  return filter;
}

async function readRun(context: HandlerContext, request: ApiRequest): Promise<Answer> {
  const run = runOf(request);
  const view = await context.engine.readRun(request.tenant, run, momentOf(request));
  if (view === null) throw new SpineError('RUN_NOT_FOUND', { run });
  // The engine does not know under which path the API is mounted.
  const answer: RunView = {
    ...view,
    cursor: cursorOf(request.tenant, run, view.events),
    links: linksOf(context.settings.basePath, run),
  };
  return json(200, seesAll(request) ? answer : pageRunView(answer));
}

/** Null = now. */
function momentOf({ query }: ApiRequest): RunMoment | null {
  const at = query.moment('at', limits.historyEventsMax);
  if (at === undefined) return null;
  return 'number' in at ? { seq: at.number } : at;
}

/** False for those who are shown what users are. */
function seesAll({ grant }: ApiRequest): boolean {
  return sightOf(grant) === 'everything';
}

async function readHistory(context: HandlerContext, request: ApiRequest): Promise<Answer> {
  const run = runOf(request);
  const limit = request.query.limit();
  const cursor = request.query.text('cursor');
  const after = cursor === undefined ? 0 : seqOfCursor(request.tenant, run, cursor);
  const items = await context.engine.readHistory(request.tenant, run, { after, limit });
  if (items === null) throw new SpineError('RUN_NOT_FOUND', { run });
  const last = items.at(-1);
  const next = last === undefined || items.length < limit ? null : cursorOf(request.tenant, run, last.seq);
  const page: PageView<RunEventView> = { items, next };
  return json(200, page);
}

async function readDecisions(context: HandlerContext, request: ApiRequest): Promise<Answer> {
  const run = runOf(request);
  const limit = request.query.limit();
  const cursor = request.query.text('cursor');
  const after = cursor === undefined ? 0 : seqOfCursor(request.tenant, run, cursor);
  const all = await context.engine.readDecisions(request.tenant, run, momentOf(request));
  if (all === null) throw new SpineError('RUN_NOT_FOUND', { run });
  const items = all.slice(after, after + limit);
  const next = after + limit < all.length ? cursorOf(request.tenant, run, after + limit) : null;
  const page: PageView<DecisionView> = { items, next };
  return json(200, page);
}

async function exportRun(context: HandlerContext, request: ApiRequest): Promise<Answer> {
  const run = runOf(request);
  const history = await context.engine.exportHistory(request.tenant, run);
  if (history === null) throw new SpineError('RUN_NOT_FOUND', { run });
  return json(200, history);
}

// Result

async function readResult(context: HandlerContext, request: ApiRequest): Promise<Answer> {
  const { engine, settings } = context;
  const run = runOf(request);
  const waitMs = readPreferWait(request.header(headerNames.prefer), settings.limits.preferWaitMsMax);
  if (waitMs !== null) await engine.waitForEnd(request.tenant, run, waitMs);
  const result = await engine.readResult(request.tenant, run);
  if (result === null) throw new SpineError('RUN_NOT_FOUND', { run });
  const answer = await resultAnswer(context, request, run, result);
  if (waitMs !== null) answer.headers[headerNames.preferenceApplied] = `wait=${waitMs / 1_000}`;
  return answer;
}

/** A result as an answer: the output itself, or the problem that stands in its place. */
export async function resultAnswer(
  context: HandlerContext,
  request: ApiRequest,
  run: string,
  result: RunResult,
): Promise<WholeAnswer> {
  switch (result.state) {
    case 'succeeded':
      return outputAnswer(context, request.tenant, result.output);
    case 'pending':
      throw new SpineError('RUN_NOT_ENDED', { run, state: result.now });
    case 'failed': {
      const { class: failureClass, code, message } = result.failure;
      const error = new SpineError('RUN_FAILED', { run, class: failureClass, code, reason: message });
      const problem = context.problemOf(error, request.requestId);
      // What Eventspine itself has refused the body says how to mend the cause; what user code threw does not.
      const mend = isErrorCode(code)
        ? `${errorCatalogue[code].mend} Then retry the run: it keeps what it has.`
        : problem.mend;
      return problemAnswerOf({ ...problem, mend, failure: result.failure });
    }
    case 'refused': {
      const error = new SpineError('RUN_REFUSED', { run, code: result.code });
      const data = result.data === null ? undefined : await valueOf(context, request.tenant, result.data);
      return problemAnswerOf({
        ...context.problemOf(error, request.requestId),
        ...(data === undefined ? {} : { data }),
      });
    }
    case 'cancelled': {
      const error = new SpineError('RUN_CANCELLED', { reason: result.reason });
      return problemAnswerOf({ ...context.problemOf(error, request.requestId), run });
    }
  }
}

/** An output as plain JSON. A large one that is plain JSON already goes out as it lies in the store. */
async function outputAnswer(context: HandlerContext, tenant: string, output: Payload): Promise<WholeAnswer> {
  if (!isBlobPayload(output) || output.size < limits.largeBodyBytesMin)
    return json(200, (await valueOf(context, tenant, output)) ?? null);
  const { bytes, onSent } = await heldBlob(context, tenant, output.blob);
  const body = plainJsonOf(bytes);
  if (body !== null)
    return { kind: 'whole', status: 200, headers: { 'content-type': 'application/json' }, body, onSent };
  onSent();
  return json(200, (await valueOf(context, tenant, output)) ?? null);
}

/** The value of a payload as plain JSON, fetched from its blob where it is one. */
async function valueOf(context: HandlerContext, tenant: string, payload: Payload): Promise<unknown> {
  if (!isBlobPayload(payload)) return jsonOf(payload);
  const bytes = await context.engine.readBlob(tenant, payload.blob);
  const text = bytes === null ? null : decodeUtf8(bytes);
  if (text === null) throw new SpineError('BLOB_NOT_FOUND', { blob: payload.blob });
  return jsonOf({ codec: payload.codec, text });
}

// Stream

const endStates: ReadonlySet<RunViewState> = new Set([
  'succeeded',
  'failed',
  'cancelled',
  'refused',
  'continued',
] as const);

async function streamRun(context: HandlerContext, request: ApiRequest): Promise<Answer> {
  const { engine, streams } = context;
  const run = runOf(request);
  const { tenant } = request;
  const cursor = request.header(headerNames.lastEventId) || request.query.text('cursor');
  const after = cursor === undefined || cursor === '' ? 0 : seqOfCursor(tenant, run, cursor);
  const state = await engine.waitForEnd(tenant, run, 0);
  if (state === null) throw new SpineError('RUN_NOT_FOUND', { run });
  const ended = endStates.has(state);
  // 204 is what makes an EventSource stop: without it a finished stream is reconnected for ever.
  if (ended && after > 0 && (await engine.readHistory(tenant, run, { after, limit: 1 }))?.length === 0)
    return empty(204);
  return eventStream((sink) =>
    streams.open({
      tenant,
      run,
      after,
      state,
      sink,
      reference: request.requestId,
      show: seesAll(request) ? null : pageEventView,
      forMs: request.grant.tag === 'readToken' ? request.grant.expiresAt - engine.now() : null,
    }),
  );
}

// Commands

async function answerTo(
  run: string,
  command: (run: string) => ReturnType<HandlerContext['engine']['redrive']>,
): Promise<Answer> {
  const answer = commandAnswer(run, await command(run));
  return json(answer.outcome === 'done' ? 202 : 200, answer);
}

async function answerToMany(
  context: HandlerContext,
  request: ApiRequest,
  members: readonly string[],
  command: (run: string) => ReturnType<HandlerContext['engine']['redrive']>,
): Promise<Answer> {
  const ids = idsOf(request.json(), members);
  const items = await Promise.all(
    ids.map(async (id): Promise<BulkAnswer['items'][number]> => {
      try {
        await checkMayCancel(context, request, id);
        return commandAnswer(id, await command(id));
      } catch (error) {
        return { id, error: context.problemOf(error, request.requestId) };
      }
    }),
  );
  const answer: BulkAnswer = { items };
  return json(items.some((item) => 'error' in item) ? 207 : 200, answer);
}

/** A run that the caller may not cancel is none to it. @throws RUN_NOT_FOUND */
async function checkMayCancel({ engine }: HandlerContext, { tenant, permit }: ApiRequest, run: string): Promise<void> {
  if (permit.allowsAll('cancel', 'workflow')) return;
  const workflow = await engine.workflowOf(tenant, run);
  if (workflow === null || !permit.allows('cancel', 'workflow', workflow))
    throw new SpineError('RUN_NOT_FOUND', { run });
}

function idsOf(body: unknown, members: readonly string[]): string[] {
  const { ids } = membersOf(body, 'the body', members);
  const isList = Array.isArray(ids) && ids.every((id) => typeof id === 'string' && id.length <= limits.keyLengthMax);
  if (!isList) throw invalid('ids is not a list of run ids');
  if (ids.length === 0 || ids.length > limits.batchItemsMax)
    throw invalid(`ids has not 1 to ${limits.batchItemsMax} entries`);
  return [...new Set<string>(ids)];
}

/** The version to migrate to. */
function targetOf(body: unknown, members: readonly string[]): string | null {
  const { to } = membersOf(body, 'the body', members);
  if (to === null || (typeof to === 'string' && to !== '' && to.length <= limits.nameLengthMax)) return to;
  throw invalid(`to is neither null nor a text of 1 to ${limits.nameLengthMax} characters`);
}

function cancelOptionsOf(body: unknown, members: readonly string[]): { readonly reason?: string } {
  const { reason } = membersOf(body, 'the body', members);
  if (reason === undefined || reason === null) return {};
  if (typeof reason !== 'string' || reason.length > limits.errorMessageLengthMax) {
    throw invalid(`reason is not a text of at most ${limits.errorMessageLengthMax} characters`);
  }
  return { reason };
}
