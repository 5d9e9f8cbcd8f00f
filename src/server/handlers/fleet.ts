/** Dead letters, queues, workers, definitions, health and the description of the API. */
import { SpineError } from '../../core/errors.js';
import { edgesOf } from '../../core/graph/drawing.js';
import type { Manifest } from '../../core/manifest.js';
import type { DeadLetterView, GraphView, PageView } from '../../protocol/http.js';
import { openApiDocument } from '../../protocol/openapi.js';
import { empty, json, type Answer } from '../answer.js';
import { invalid, type ApiRequest } from '../api-request.js';
import { commandAnswer, membersOf, type HandlerContext, type Handlers } from './context.js';

export function deadLetterHandlers(
  context: HandlerContext,
): Handlers<'listDeadLetters' | 'readDeadLetter' | 'redriveDeadLetter' | 'discardDeadLetter'> {
  const { engine } = context;
  return {
    listDeadLetters: async (request) =>
      json(200, await engine.listDeadLetters(request.tenant, deadLetterQueryOf(request))),
    readDeadLetter: async (request) => json(200, await deadLetterOf(context, request)),
    redriveDeadLetter: async (request) => {
      const { id, run } = await deadLetterOf(context, request);
      const answer = commandAnswer(run, await engine.redriveDeadLetter(request.origin(), id));
      return json(answer.outcome === 'done' ? 202 : 200, answer);
    },
    discardDeadLetter: async (request) => {
      commandAnswer(request.segment('id'), await engine.discard(request.origin(), request.segment('id')));
      return empty(204);
    },
  };
}

function deadLetterQueryOf(request: ApiRequest): Parameters<HandlerContext['engine']['listDeadLetters']>[1] {
  const query: { class?: string; workflow?: string; cursor?: string; limit: number } = { limit: request.query.limit() };
  for (const name of ['class', 'workflow', 'cursor'] as const) {
    const text = request.query.text(name);
    if (text !== undefined) query[name] = text;
  }
  return query;
}

async function deadLetterOf(context: HandlerContext, request: ApiRequest): Promise<DeadLetterView> {
  const id = request.segment('id');
  const letter = await context.engine.readDeadLetter(request.tenant, id);
  if (letter === null) throw new SpineError('DEAD_LETTER_NOT_FOUND', { id });
  return letter;
}

export function fleetHandlers(
  context: HandlerContext,
): Handlers<
  | 'listQueues'
  | 'listWorkers'
  | 'listDefinitions'
  | 'readGraph'
  | 'deploy'
  | 'doctor'
  | 'live'
  | 'ready'
  | 'openApi'
  | 'workerSocket'
> {
  const { engine, settings } = context;
  return {
    listQueues: async () => whole(await engine.queues()),
    listWorkers: async () => whole(await engine.workers()),
    deploy: async (request) => {
      const { manifest, dryRun, leaveWaiting } = membersOf(request.json(), 'the body', [
        'manifest',
        'dryRun',
        'leaveWaiting',
      ]);
      // What it may lack is found by the engine, which believes no manifest.
      const options = { dryRun: flagOf('dryRun', dryRun), leaveWaiting: flagOf('leaveWaiting', leaveWaiting) };
      return json(200, await engine.deploy(manifest as Manifest, options));
    },
    // Where an app is called is the operators' business.
    listDefinitions: () => whole(engine.definitions().filter(({ endpoint }) => endpoint === undefined)),
    readGraph: (request) => json(200, graphOf(engine, request.segment('name'))),
    doctor: async () => json(200, await engine.doctor()),
    live: () => json(200, { status: 'ok' }),
    ready: async (request) => {
      const intake = request.query.choice('for', ['intake']) !== undefined;
      const health = await engine.health();
      return json((intake ? health.accepts : health.status === 'ok') ? 200 : 503, health);
    },
    openApi: async () => {
      const { version } = await engine.health();
      return json(200, openApiDocument({ version, basePath: settings.basePath }));
    },
    workerSocket: () => {
      throw new SpineError('UPGRADE_REQUIRED', {});
    },
  };
}

function flagOf(name: string, value: unknown): boolean {
  if (value === undefined || typeof value === 'boolean') return value === true;
  throw invalid(`${name} is neither true nor false`);
}

/** A name belongs to the app that registered it last. */
function graphOf(engine: HandlerContext['engine'], name: string): GraphView {
  const workflows = engine.definitions().flatMap((manifest) => manifest.workflows);
  const found = workflows.findLast((workflow) => workflow.name === name);
  if (found === undefined) throw new SpineError('WORKFLOW_UNKNOWN', { name, known: workflows.map((one) => one.name) });
  if (found.graph === undefined) throw new SpineError('GRAPH_NOT_FOUND', { name });
  return { workflow: name, version: found.version, edges: edgesOf(found.graph), graph: found.graph };
}

/** A list that is never long enough to need pages, in the shape of one that is. */
function whole<T>(items: readonly T[]): Answer {
  const page: PageView<T> = { items, next: null };
  return json(200, page);
}
