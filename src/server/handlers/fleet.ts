/** Queues, workers, definitions, health and the description of the API. */
import { accessActions } from '../../core/access/permission.js';
import { SpineError } from '../../core/errors.js';
import { edgesOf } from '../../core/graph/drawing.js';
import type { Manifest } from '../../core/manifest.js';
import type { GraphView, PageView } from '../../protocol/http.js';
import { asyncApiDocument } from '../../protocol/asyncapi.js';
import { openApiDocument } from '../../protocol/openapi.js';
import { json, jsonText, type Answer } from '../answer.js';
import { invalid, type ApiRequest } from '../api-request.js';
import { membersOf, type HandlerContext, type Handlers } from './context.js';

export function fleetHandlers(
  context: HandlerContext,
): Handlers<
  | 'readFleet'
  | 'listQueues'
  | 'listWorkers'
  | 'listDefinitions'
  | 'readGraph'
  | 'deploy'
  | 'doctor'
  | 'live'
  | 'ready'
  | 'openApi'
  | 'asyncApi'
  | 'workerSocket'
  | 'liveSocket'
> {
  const { engine, settings } = context;
  let openApi: string | null = null;
  return {
    readFleet: async ({ query }) => {
      const at = query.moment('at', Number.MAX_SAFE_INTEGER);
      const moment = at === undefined ? null : 'number' in at ? { position: at.number } : at;
      return json(200, await engine.fleet(moment, query.text('tenant') ?? null));
    },
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
    listDefinitions: (request) =>
      whole(
        engine
          .definitions()
          .filter(({ endpoint }) => endpoint === undefined)
          .map((manifest) => manifestFor(request, manifest)),
      ),
    readGraph: (request) => json(200, graphOf(engine, request.segment('name'))),
    doctor: async () => json(200, await engine.doctor()),
    live: () => json(200, { status: 'ok' }),
    ready: async (request) => {
      const intake = request.query.choice('for', ['intake']) !== undefined;
      const health = await engine.health();
      return json((intake ? health.accepts : health.status === 'ok') ? 200 : 503, health);
    },
    openApi: async () => {
      // Anybody may ask for it, as often as they like; it is the same for as long as the process lives.
      openApi ??= JSON.stringify(
        openApiDocument({ version: (await engine.health()).version, basePath: settings.basePath }),
      );
      return jsonText(200, openApi);
    },
    asyncApi: async (request) => {
      const { version } = await engine.health();
      const manifests = engine.definitions().map((manifest) => manifestFor(request, manifest));
      return json(200, asyncApiDocument(manifests, { version, basePath: settings.basePath }));
    },
    workerSocket: () => {
      throw new SpineError('UPGRADE_REQUIRED', {});
    },
    liveSocket: () => {
      throw new SpineError('UPGRADE_REQUIRED', {});
    },
  };
}

/**
 * Definitions as the caller may see them: without schedules of other tenants, and without the workflows, topics, subscriptions
 * and schedules that it may do nothing with. Capabilities, limits, models and prompts are of the app, which serves all.
 */
function manifestFor({ tenant, permit }: ApiRequest, manifest: Manifest): Manifest {
  const { workflows, topics, schedules, subscriptions } = manifest;
  const ofTopic = (name: string): boolean => permit.allows(accessActions.topic, 'topic', name);
  return {
    ...manifest,
    workflows: workflows.filter(({ name, agent }) =>
      permit.allows(
        agent === undefined ? accessActions.workflow : accessActions.agent,
        agent === undefined ? 'workflow' : 'agent',
        name,
      ),
    ),
    topics: topics.filter(({ name }) => ofTopic(name)),
    ...(schedules === undefined
      ? {}
      : {
          schedules: schedules.filter((one) => one.tenant === tenant && permit.allows('read', 'schedule', one.name)),
        }),
    ...(subscriptions === undefined ? {} : { subscriptions: subscriptions.filter(({ topic }) => ofTopic(topic)) }),
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
