/**
 * What the engine knows of queues, runs and workers, as metrics. Names, units and labels are public API
 * (docs/reference/metrics.md; a test compares). Invariant: no label holds a tenant, an id or anything a caller made up,
 * and at most `metricNamesMax` queues and workflows have samples of their own.
 */
import { limits } from '../core/limits.js';
import { desiredWorkers, type ScaleBounds } from '../core/scale.js';
import type {
  BridgeFacts,
  EndpointFacts,
  InferenceCount,
  LimitFacts,
  PredictionCount,
  PredictionCounts,
  RemedyCount,
  TopicFacts,
  SubscriptionFacts,
} from '../engine/api.js';
import type { HealthView, QueueView, WorkerView } from '../protocol/http.js';
import type { TallyRow } from '../store/contract.js';
import type { WebhookCounts } from './webhooks/webhook-tally.js';
import type { MetricFamily, MetricSample } from './prometheus-text.js';

/** What metrics are made of. */
export interface FleetFacts {
  readonly health: HealthView;
  readonly queues: readonly QueueView[];
  readonly workers: readonly WorkerView[];
  readonly tally: readonly TallyRow[];
  readonly inferences: readonly InferenceCount[];
  readonly predictions: PredictionCounts;
  readonly remedies: readonly RemedyCount[];
  readonly bounds: ScaleBounds;
  /** Limits, as the server knows them that grants; empty on the others. */
  readonly limits: readonly LimitFacts[];
  /** Endpoints of models of whose breakers and pauses there is something to say. */
  readonly endpoints: readonly EndpointFacts[];
  /** How far subscriptions are behind. */
  readonly subscriptions: readonly SubscriptionFacts[];
  /** Bridges that this server runs. */
  readonly bridges: readonly BridgeFacts[];
  readonly topics: TopicFacts;
  /** Webhooks that this server has received. */
  readonly webhooks: WebhookCounts;
  /** Open event streams of this server. */
  readonly streams: number;
}

/** The label of what is beyond the bound; no queue and no workflow can be called so. */
export const othersLabel = '(others)';

/** Every family, also those without samples, in a fixed order. */
export function fleetMetrics(facts: FleetFacts): MetricFamily[] {
  const { health, bounds, streams, workers } = facts;
  const queues = boundedQueues(facts.queues);
  const ofQueues = (value: (queue: QueueView) => number): MetricSample[] =>
    queues.map((queue) => ({ labels: { queue: queue.queue }, value: value(queue) }));
  const ofLimits = (value: (limit: LimitFacts) => number): MetricSample[] =>
    facts.limits
      .slice(0, limits.metricNamesMax)
      .map((limit) => ({ labels: { limit: limit.limit }, value: value(limit) }));
  return [
    gauge('eventspine_build_info', 'Always 1; the labels name version and store.', [
      { labels: { version: health.version, store: health.store }, value: 1 },
    ]),
    gauge('eventspine_ready', '1 while this server accepts work and work is done, else 0.', [
      one(health.status === 'ok' ? 1 : 0),
    ]),
    gauge('eventspine_uptime_seconds', 'For how long the engine of this server has run.', [
      one(health.uptimeMs / 1_000),
    ]),
    gauge(
      'eventspine_queue_tasks',
      'Tasks of a queue by state. All servers of a store tell the same.',
      queues.flatMap((queue) =>
        (['ready', 'delayed', 'held', 'leased'] as const).map((state) => ({
          labels: { queue: queue.queue, state },
          value: queue[state],
        })),
      ),
    ),
    gauge(
      'eventspine_queue_backlog_tasks',
      'Tasks of a queue that are ready or under way: what workers are wanted for.',
      ofQueues(backlogOf),
    ),
    gauge(
      'eventspine_queue_lag_seconds',
      'Age of the oldest ready task of a queue; 0 where none waits.',
      ofQueues((queue) => queue.lagMs / 1_000),
    ),
    gauge(
      'eventspine_queue_desired_workers',
      'Workers that a queue wants by itself, within the bounds given with the scrape.',
      ofQueues((queue) => desiredWorkers(backlogOf(queue), bounds)),
    ),
    gauge(
      'eventspine_queue_connected_workers',
      'Workers connected to this server that serve a queue.',
      ofQueues((queue) => queue.workers),
    ),
    gauge(
      'eventspine_queue_connected_slots',
      'Slots of the workers connected to this server that serve a queue.',
      ofQueues((queue) => queue.slots),
    ),
    gauge(
      'eventspine_worker_sessions',
      'Worker sessions of the store, by whether they are connected to this server.',
      [true, false].map((connected) => ({
        labels: { connected: String(connected) },
        value: workers.filter((worker) => worker.connected === connected).length,
      })),
    ),
    gauge('eventspine_runs', 'Runs kept by the store, by workflow and status.', runSamples(facts.tally)),
    ...inferenceMetrics(facts.inferences),
    ...predictionMetrics(facts.predictions),
    counter(
      'eventspine_remedies_total',
      'What was done about failures, by their class, through this server.',
      facts.remedies.map(({ class: kind, remedy, count }) => ({ labels: { class: kind, remedy }, value: count })),
    ),
    gauge(
      'eventspine_limit_waiting',
      'Calls and inferences that wait to be admitted and want some of a limit. Told by the server that grants.',
      ofLimits((limit) => limit.waiting),
    ),
    gauge(
      'eventspine_limit_fullest_ratio',
      'How full the fullest counter of a limit is, from 0 to 1. Told by the server that grants.',
      ofLimits((limit) => limit.fullest),
    ),
    gauge(
      'eventspine_limit_counters',
      'Counters of a limit that are in use. Told by the server that grants.',
      ofLimits((limit) => limit.counters),
    ),
    {
      name: 'eventspine_limit_granted_total',
      type: 'counter',
      help: 'Grants that took some of a limit, since this server grants.',
      samples: ofLimits((limit) => limit.granted),
    },
    ...endpointMetrics(facts.endpoints.slice(0, limits.metricNamesMax)),
    ...subscriptionMetrics(facts.subscriptions.slice(0, limits.metricNamesMax)),
    ...bridgeMetrics(facts.bridges),
    counter(
      'eventspine_webhooks_total',
      'Webhooks that this server has received, by what became of them.',
      (['accepted', 'duplicate', 'refused'] as const).map((outcome) => ({
        labels: { outcome },
        value: facts.webhooks[outcome],
      })),
    ),
    ...topicMetrics(facts.topics),
    gauge('eventspine_event_streams', 'Event streams open on this server.', [one(streams)]),
    gauge(
      'eventspine_queues_beyond_bound',
      `Queues without samples of their own; they are added up under "${othersLabel}".`,
      [one(Math.max(0, facts.queues.length - limits.metricNamesMax))],
    ),
  ];
}

function topicMetrics({ trimmed, late, gaps, fenced }: TopicFacts): MetricFamily[] {
  return [
    counter(
      'eventspine_topic_events_trimmed_total',
      'Events of topics that this server has deleted, by why.',
      Object.entries(trimmed).map(([why, value]) => ({ labels: { why }, value })),
    ),
    counter(
      'eventspine_topic_events_late_total',
      'Events that came to this server after their source had gone past them, by what became of them.',
      Object.entries(late).map(([became, value]) => ({ labels: { became }, value })),
    ),
    counter('eventspine_topic_source_gaps_total', 'Gaps in what sources number, as this server found them.', [
      one(gaps),
    ]),
    counter('eventspine_topic_events_fenced_total', 'Events that this server refused because another writes now.', [
      one(fenced),
    ]),
  ];
}

function subscriptionMetrics(subscriptions: readonly SubscriptionFacts[]): MetricFamily[] {
  const by = (value: (facts: SubscriptionFacts) => number): MetricSample[] =>
    subscriptions.map((facts) => ({ labels: { subscription: facts.subscription }, value: value(facts) }));
  return [
    gauge(
      'eventspine_subscription_lag',
      'Events of a subscription that are not settled, over all tenants. All servers of a store tell the same.',
      by(({ lag }) => lag),
    ),
    gauge(
      'eventspine_subscription_lag_age_seconds',
      'Age of the oldest event of a subscription that is not settled; 0 where there is none.',
      by(({ ageMs }) => ageMs / 1_000),
    ),
    counter(
      'eventspine_subscription_refused_total',
      'Events that this server has refused since a subscription of their topic was further behind than it may be.',
      by(({ refused }) => refused),
    ),
  ];
}

function bridgeMetrics(bridges: readonly BridgeFacts[]): MetricFamily[] {
  const by = (value: (facts: BridgeFacts) => number): MetricSample[] =>
    bridges.map((facts) => ({ labels: { bridge: facts.bridge }, value: value(facts) }));
  return [
    gauge(
      'eventspine_bridge_up',
      '0 while a bridge of this server fails, else 1.',
      by(({ state }) => (state === 'failed' ? 0 : 1)),
    ),
    counter(
      'eventspine_bridge_messages_total',
      'Messages of a bridge by what this server has made of them.',
      bridges.flatMap((facts) =>
        (['moved', 'duplicates', 'dead', 'missed'] as const).map((outcome) => ({
          labels: { bridge: facts.bridge, direction: facts.direction, outcome },
          value: facts[outcome],
        })),
      ),
    ),
    gauge(
      'eventspine_bridge_lag',
      'Messages that a bridge is behind, as this server knows.',
      by(({ lag }) => lag),
    ),
    gauge(
      'eventspine_bridge_lag_age_seconds',
      'Age of the oldest message that a bridge is behind; 0 where none is, or it is not known.',
      by(({ lagAgeMs }) => lagAgeMs / 1_000),
    ),
  ];
}

const breakerStates = ['closed', 'open', 'half-open'] as const;

function endpointMetrics(endpoints: readonly EndpointFacts[]): MetricFamily[] {
  const by = (value: (facts: EndpointFacts) => number): MetricSample[] =>
    endpoints.map((facts) => ({ labels: { endpoint: facts.endpoint }, value: value(facts) }));
  const byState = (value: (facts: EndpointFacts, state: (typeof breakerStates)[number]) => number): MetricSample[] =>
    endpoints.flatMap((facts) =>
      breakerStates.map((state) => ({ labels: { endpoint: facts.endpoint, state }, value: value(facts, state) })),
    );
  return [
    gauge(
      'eventspine_breaker_state',
      '1 for the state that the breaker of an endpoint is in, as this server knows it, 0 for the others.',
      byState(({ breaker }, state) => (breaker === state ? 1 : 0)),
    ),
    counter(
      'eventspine_breaker_moves_total',
      'Moves of the breaker of an endpoint that this server has made, by the state that it moved to.',
      byState(({ moves }, state) => moves[state]),
    ),
    counter(
      'eventspine_breaker_probes_total',
      'Probes of an endpoint that this server has let through.',
      by(({ probes }) => probes),
    ),
    gauge(
      'eventspine_endpoint_paused',
      '1 while an endpoint has asked for a pause, as this server knows it, else 0.',
      by(({ isPaused }) => (isPaused ? 1 : 0)),
    ),
    counter(
      'eventspine_endpoint_refused_total',
      'How often this server held an inference back, or sent it on to a fallback, by why.',
      endpoints.flatMap(({ endpoint, refused, refusedPaused }) => [
        { labels: { endpoint, why: 'breaker' }, value: refused },
        { labels: { endpoint, why: 'pause' }, value: refusedPaused },
      ]),
    ),
  ];
}

function inferenceMetrics(counts: readonly InferenceCount[]): MetricFamily[] {
  const by = (value: (count: InferenceCount) => number): MetricSample[] =>
    counts.map((count) => ({ labels: { model: count.model, version: count.version }, value: value(count) }));
  const split = (name: string, of: Readonly<Record<string, (count: InferenceCount) => number>>): MetricSample[] =>
    counts.flatMap((count) =>
      Object.entries(of).map(([label, value]) => ({
        labels: { model: count.model, version: count.version, [name]: label },
        value: value(count),
      })),
    );
  return [
    counter(
      'eventspine_inference_calls_total',
      'Calls of providers that were begun through this server.',
      by((count) => count.calls),
    ),
    counter(
      'eventspine_inference_outcomes_total',
      'What came of them: `ambiguous` where nobody knew, since the worker had died.',
      split('outcome', {
        completed: (count) => count.completed,
        retried: (count) => count.retried,
        failed: (count) => count.failed,
        ambiguous: (count) => count.ambiguous,
      }),
    ),
    counter(
      'eventspine_inference_tokens_total',
      'Tokens that they took, as the providers say.',
      split('kind', {
        input: (count) => count.inputTokens,
        cached: (count) => count.cachedInputTokens,
        output: (count) => count.outputTokens,
      }),
    ),
    counter(
      'eventspine_inference_cost_micros_total',
      'What they cost by the price lists of the models, millionths of a unit of the currency.',
      by((count) => count.costMicros),
    ),
    counter(
      'eventspine_inference_seconds_total',
      'Time that completed calls took.',
      by((count) => count.durationMs / 1_000),
    ),
  ];
}

function predictionMetrics({ models, expired, evicted }: PredictionCounts): MetricFamily[] {
  const by = (value: (count: PredictionCount) => number): MetricSample[] =>
    models.map((count) => ({ labels: { model: count.model }, value: value(count) }));
  return [
    counter(
      'eventspine_prediction_cache_hits_total',
      'Inferences that an answer from before has served, through this server.',
      by((count) => count.hits),
    ),
    counter(
      'eventspine_prediction_cache_misses_total',
      'Inferences that looked for an answer from before and found none.',
      by((count) => count.misses),
    ),
    counter(
      'eventspine_prediction_cache_stored_total',
      'Answers that were kept.',
      by((count) => count.stored),
    ),
    counter(
      'eventspine_prediction_cache_saved_micros_total',
      'What the calls had cost that were not made again, millionths of a unit of the currency.',
      by((count) => count.savedMicros),
    ),
    counter(
      'eventspine_prediction_cache_dropped_total',
      'Answers that were dropped: their time was over, or a tenant had too many.',
      [
        { labels: { why: 'expired' }, value: expired },
        { labels: { why: 'evicted' }, value: evicted },
      ],
    ),
  ];
}

/** Tasks that are ready or under way. */
export function backlogOf(queue: Pick<QueueView, 'ready' | 'leased'>): number {
  return queue.ready + queue.leased;
}

function gauge(name: string, help: string, samples: readonly MetricSample[]): MetricFamily {
  return { name, type: 'gauge', help, samples };
}

function counter(name: string, help: string, samples: readonly MetricSample[]): MetricFamily {
  return { name, type: 'counter', help, samples };
}

function one(value: number): MetricSample {
  return { labels: {}, value };
}

/** By name, so that which queues are told of singly does not change from scrape to scrape. */
function boundedQueues(queues: readonly QueueView[]): QueueView[] {
  const sorted = [...queues].sort((a, b) => (a.queue < b.queue ? -1 : 1));
  const beyond = sorted.slice(limits.metricNamesMax);
  if (beyond.length === 0) return sorted;
  const sum = (value: (queue: QueueView) => number): number => beyond.reduce((total, queue) => total + value(queue), 0);
  const most = (value: (queue: QueueView) => number): number =>
    beyond.reduce((highest, queue) => Math.max(highest, value(queue)), 0);
  const others: QueueView = {
    queue: othersLabel,
    ready: sum((queue) => queue.ready),
    delayed: sum((queue) => queue.delayed),
    held: sum((queue) => queue.held),
    leased: sum((queue) => queue.leased),
    lagMs: most((queue) => queue.lagMs),
    // One worker may serve many of them, so a sum would count it many times.
    workers: most((queue) => queue.workers),
    slots: most((queue) => queue.slots),
  };
  return [...sorted.slice(0, limits.metricNamesMax), others];
}

/** Runs of all tenants together: how many tenants there are is nobody's bound. */
function runSamples(tally: readonly TallyRow[]): MetricSample[] {
  const rows = tally.filter(({ kind }) => kind === 'run');
  const named = new Set([...new Set(rows.map(({ name }) => name))].sort().slice(0, limits.metricNamesMax));
  const samples = new Map<string, { labels: { workflow: string; status: string }; value: number }>();
  for (const { name, state, count } of rows) {
    const workflow = named.has(name) ? name : othersLabel;
    const key = JSON.stringify([workflow, state]);
    const sample = samples.get(key) ?? { labels: { workflow, status: state }, value: 0 };
    samples.set(key, { ...sample, value: sample.value + count });
  }
  return [...samples.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, sample]) => sample);
}
