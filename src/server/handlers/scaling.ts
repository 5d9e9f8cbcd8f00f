/** What autoscalers and monitors read: how many workers a group of queues wants, and metrics. */
import { limits } from '../../core/limits.js';
import { desiredWorkers, queuesServed, type ScaleBounds } from '../../core/scale.js';
import type { QueueView, ScaleView } from '../../protocol/http.js';
import { json, type Answer } from '../answer.js';
import { invalid, type ApiRequest } from '../api-request.js';
import { backlogOf, fleetMetrics } from '../fleet-metrics.js';
import { prometheusText, prometheusType } from '../prometheus-text.js';
import type { HandlerContext, Handlers } from './context.js';

export function scalingHandlers(context: HandlerContext): Handlers<'readScale' | 'metrics'> {
  return {
    readScale: (request) => readScale(context, request),
    metrics: (request) => metrics(context, request),
  };
}

/** The queues that are counted together. */
interface Group {
  /** null = all. */
  readonly names: ReadonlySet<string> | null;
  /** False where an app was named that the engine does not know. */
  readonly known: boolean;
}

async function readScale({ engine }: HandlerContext, request: ApiRequest): Promise<Answer> {
  const bounds = boundsOf(request);
  const group = groupOf(request, engine.definitions());
  const [queues, workers] = await Promise.all([engine.queues(), engine.workers()]);
  const counted = queues.filter(({ queue }) => group.names === null || group.names.has(queue));
  const names = group.names === null ? counted.map(({ queue }) => queue) : [...group.names].sort();
  const serving = workers.filter((worker) => worker.connected && worker.queues.some((queue) => names.includes(queue)));
  const sum = (value: (queue: QueueView) => number): number =>
    counted.reduce((total, queue) => total + value(queue), 0);
  const value = sum(backlogOf);
  // An app that nobody has brought yet gets no runs, so that no backlog would ever ask for its first worker.
  const desired = Math.min(bounds.max, Math.max(desiredWorkers(value, bounds), group.known ? 0 : 1));
  const view: ScaleView = {
    value,
    desired,
    active: desired > 0,
    ready: sum((queue) => queue.ready),
    leased: sum((queue) => queue.leased),
    delayed: sum((queue) => queue.delayed),
    held: sum((queue) => queue.held),
    lagMs: counted.reduce((highest, queue) => Math.max(highest, queue.lagMs), 0),
    workers: serving.length,
    slots: serving.reduce((total, worker) => total + worker.slots, 0),
    target: bounds.targetPerWorker,
    min: bounds.min,
    max: bounds.max,
    activation: bounds.activation,
    known: group.known,
    queues: names,
  };
  return json(200, view);
}

async function metrics({ engine, streams, webhooks }: HandlerContext, request: ApiRequest): Promise<Answer> {
  const bounds = boundsOf(request);
  const [health, queues, workers, tally, subscriptions] = await Promise.all([
    engine.health(),
    engine.queues(),
    engine.workers(),
    engine.tally(),
    engine.subscriptionFacts(),
  ]);
  const families = fleetMetrics({
    health,
    queues,
    workers,
    tally,
    inferences: engine.inferences(),
    predictions: engine.predictions(),
    remedies: engine.remedies(),
    bounds,
    streams: streams.size,
    limits: engine.limitFacts(),
    topics: engine.topicFacts(),
    endpoints: engine.endpointFacts(),
    subscriptions,
    bridges: engine.bridgeFacts(),
    webhooks: webhooks.counts,
  });
  return {
    kind: 'whole',
    status: 200,
    headers: { 'content-type': prometheusType },
    body: prometheusText(families),
  };
}

/** @throws REQUEST_INVALID */
function boundsOf({ query }: ApiRequest): ScaleBounds {
  const workers = { min: 0, max: limits.scaleWorkersMax };
  const min = query.integer('min', workers) ?? 0;
  const max = query.integer('max', workers) ?? Math.max(min, limits.scaleWorkersDefault);
  if (min > max) throw invalid('min is above max');
  return {
    targetPerWorker: query.integer('target', { min: 1, max: limits.scaleTargetMax }) ?? limits.workerSlotsDefault,
    min,
    max,
    activation: query.integer('activation', { min: 0, max: limits.scaleTargetMax }) ?? 0,
  };
}

/** @throws REQUEST_INVALID */
function groupOf({ query }: ApiRequest, definitions: ReturnType<HandlerContext['engine']['definitions']>): Group {
  const apps = query.texts('app');
  const queues = query.texts('queue');
  if (apps.length + queues.length === 0) return { names: null, known: true };
  if (apps.length + queues.length > limits.scaleQueuesMax) {
    throw invalid(`there are more than ${limits.scaleQueuesMax} queues and apps`);
  }
  const found = definitions.filter(({ app }) => apps.includes(app));
  return {
    names: new Set([...queues, ...found.flatMap((manifest) => queuesServed(manifest))]),
    known: apps.every((app) => found.some((manifest) => manifest.app === app)),
  };
}
