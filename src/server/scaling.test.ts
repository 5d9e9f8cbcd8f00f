import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Manifest } from '../core/manifest.js';
import { limits } from '../core/limits.js';
import type { InferenceCount, PredictionCounts, RemedyCount } from '../engine/api.js';
import type { HealthView, Problem, QueueView, ScaleView, WorkerView } from '../protocol/http.js';
import type { TallyRow } from '../store/contract.js';
import { fakeEngine } from './engine.test.fake.js';
import { fleetMetrics, othersLabel } from './fleet-metrics.js';
import { parsePrometheus } from './prometheus-parser.test.fake.js';
import { createServer } from './server.js';

const noTopicFacts = {
  trimmed: { retention: 0, compaction: 0 },
  late: { accepted: 0, dropped: 0, dead: 0 },
  gaps: 0,
  fenced: 0,
};

const health: HealthView = {
  status: 'ok',
  accepts: true,
  reasons: [],
  version: '1.2.3',
  store: 'memory',
  uptimeMs: 1_500,
};

function queue(name: string, numbers: Partial<QueueView> = {}): QueueView {
  return { queue: name, ready: 0, delayed: 0, held: 0, leased: 0, lagMs: 0, workers: 0, slots: 0, ...numbers };
}

function worker(connected: boolean, queues: readonly string[]): WorkerView {
  const at = '2026-01-01T00:00:00.000Z';
  return {
    session: 's',
    worker: 'w',
    app: 'a',
    manifest: null,
    connected,
    openedAt: at,
    slots: 4,
    leased: 0,
    queues,
    host: null,
    pid: null,
  };
}

const queues = [
  queue('capability:embed', { ready: 30, leased: 5, delayed: 7, lagMs: 2_500, workers: 1, slots: 4 }),
  queue('workflow:answer', { ready: 10, leased: 1, held: 2, lagMs: 9_000 }),
  queue('workflow:other', { ready: 1_000 }),
];
const workers = [worker(true, ['capability:embed']), worker(false, ['workflow:answer'])];
const manifest = {
  topics: [],
  app: 'qa',
  workflows: [{ name: 'answer', version: null, previous: [] }],
  capabilities: [{ name: 'embed', implemented: true }],
} as unknown as Manifest;
const tally: TallyRow[] = [
  { tenant: 'a', kind: 'run', name: 'answer', state: 'active', count: 3 },
  { tenant: 'b', kind: 'run', name: 'answer', state: 'active', count: 4 },
  { tenant: 'b', kind: 'task', name: 'workflow:answer', state: 'ready', count: 9 },
];
const predictions: PredictionCounts = {
  models: [{ model: 'writer', hits: 3, misses: 1, stored: 1, savedMicros: 600 }],
  expired: 2,
  evicted: 0,
};
const inferences: InferenceCount[] = [
  {
    model: 'writer',
    version: 'v1',
    calls: 5,
    completed: 3,
    failed: 1,
    retried: 0,
    ambiguous: 1,
    inputTokens: 300,
    cachedInputTokens: 20,
    outputTokens: 40,
    costMicros: 77,
    durationMs: 1_500,
  },
];

const endpoints = [
  {
    endpoint: 'openai/gpt',
    breaker: 'open' as const,
    moves: { closed: 1, open: 2, 'half-open': 1 },
    probes: 1,
    refused: 7,
    refusedPaused: 3,
    isPaused: true,
  },
];
const remedies: RemedyCount[] = [{ class: 'overloaded', remedy: 'fallback', count: 2 }];

function server(given: readonly QueueView[] = queues, authorized: readonly string[] | null = null) {
  return createServer({
    engine: fakeEngine({
      health: () => Promise.resolve(health),
      queues: () => Promise.resolve([...given]),
      workers: () => Promise.resolve(workers),
      tally: () => Promise.resolve(tally),
      predictions: () => predictions,
      subscriptionFacts: () => Promise.resolve([{ subscription: 'audit', lag: 7, ageMs: 1_500, refused: 2 }]),
      inferences: () => inferences,
      remedies: () => remedies,
      limitFacts: () => [],
      topicFacts: () => noTopicFacts,
      endpointFacts: () => endpoints,
      bridgeFacts: () => [],
      definitions: () => [manifest],
    }),
    ...(authorized === null ? {} : { authorize: () => ({ tenant: 't', user: 'u', roles: authorized }) }),
  });
}

async function ask(path: string, of = server()): Promise<Response> {
  return await of.fetch(new Request(`http://127.0.0.1${path}`));
}

async function scale(query: string, of = server()): Promise<ScaleView> {
  const response = await ask(`/v1/queues/scale${query}`, of);
  expect(response.status).toBe(200);
  return (await response.json()) as ScaleView;
}

describe('GET /v1/queues/scale', () => {
  it('adds up the queues of an app and says how many workers they want', async () => {
    expect(await scale('?app=qa&target=10&max=20')).toEqual({
      value: 46,
      desired: 5,
      active: true,
      ready: 40,
      leased: 6,
      delayed: 7,
      held: 2,
      lagMs: 9_000,
      workers: 1,
      slots: 4,
      target: 10,
      min: 0,
      max: 20,
      activation: 0,
      known: true,
      queues: ['capability:embed', 'workflow:answer'],
    });
  });

  it('counts the queues that are named, a queue that has nothing yet among them', async () => {
    expect(await scale('?queue=workflow:answer&queue=workflow:new&target=1')).toMatchObject({
      value: 11,
      desired: 11,
      queues: ['workflow:answer', 'workflow:new'],
    });
    expect(await scale('?queue=workflow:new')).toMatchObject({ value: 0, desired: 0, active: false, lagMs: 0 });
  });

  it('counts all queues where none is named', async () => {
    expect(await scale('')).toMatchObject({ value: 1_046, desired: 11, target: 100, max: 100 });
  });

  it('keeps within min and max, and sleeps up to the activation', async () => {
    expect(await scale('?app=qa&target=1&max=3')).toMatchObject({ desired: 3 });
    expect(await scale('?app=qa&min=9&target=100')).toMatchObject({ desired: 9 });
    expect(await scale('?app=qa&activation=46')).toMatchObject({ value: 46, desired: 0, active: false });
    expect(await scale('?app=qa&activation=45')).toMatchObject({ desired: 1, active: true });
    expect(await scale('?app=qa&min=200')).toMatchObject({ desired: 200, max: 200 });
  });

  it('wants one worker for an app that no worker has brought yet, unless none is allowed', async () => {
    expect(await scale('?app=fresh')).toMatchObject({ value: 0, desired: 1, active: true, known: false, queues: [] });
    expect(await scale('?app=fresh&max=0')).toMatchObject({ desired: 0, known: false });
  });

  it.each(['target=0', 'min=5&max=4', 'max=10001', 'min=-1', 'targt=3', 'activation=x'])(
    'refuses %s',
    async (query) => {
      const response = await ask(`/v1/queues/scale?${query}`);
      expect([response.status, ((await response.json()) as Problem).code]).toEqual([400, 'REQUEST_INVALID']);
    },
  );

  it('is for operators', async () => {
    expect((await ask('/v1/queues/scale', server(queues, []))).status).toBe(403);
    expect((await ask('/metrics', server(queues, ['worker']))).status).toBe(403);
    expect((await ask('/metrics', server(queues, ['operator']))).status).toBe(200);
  });
});

describe('GET /metrics', () => {
  it('is text of Prometheus with queues, runs and workers', async () => {
    const response = await ask('/metrics?target=10&max=4');
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    const families = parsePrometheus(await response.text());
    const value = (name: string, labels: Readonly<Record<string, string>>): number | undefined =>
      families.get(name)?.samples.find((sample) => JSON.stringify(sample.labels) === JSON.stringify(labels))?.value;
    expect(value('eventspine_queue_tasks', { queue: 'capability:embed', state: 'ready' })).toBe(30);
    expect(value('eventspine_queue_tasks', { queue: 'capability:embed', state: 'delayed' })).toBe(7);
    expect(value('eventspine_queue_backlog_tasks', { queue: 'capability:embed' })).toBe(35);
    expect(value('eventspine_queue_lag_seconds', { queue: 'capability:embed' })).toBe(2.5);
    expect(value('eventspine_queue_desired_workers', { queue: 'capability:embed' })).toBe(4);
    expect(value('eventspine_queue_desired_workers', { queue: 'workflow:answer' })).toBe(2);
    expect(value('eventspine_runs', { workflow: 'answer', status: 'active' })).toBe(7);
    expect(value('eventspine_worker_sessions', { connected: 'true' })).toBe(1);
    expect(value('eventspine_build_info', { version: '1.2.3', store: 'memory' })).toBe(1);
    expect(value('eventspine_ready', {})).toBe(1);
  });

  it('survives queues with any name', async () => {
    const names = ['a"b', 'a\\b', 'a\nb', 'a{}b', ''];
    const response = await ask('/metrics', server(names.map((name) => queue(name, { ready: 1 }))));
    const samples = parsePrometheus(await response.text()).get('eventspine_queue_backlog_tasks')?.samples;
    expect(samples?.map(({ labels }) => labels['queue']).sort()).toEqual([...names].sort());
  });

  it('stays small however many queues and workflows there are, and loses no task', async () => {
    const many = Array.from({ length: limits.metricNamesMax + 50 }, (_, i) =>
      queue(`workflow:${String(i).padStart(5, '0')}`, { ready: 2, lagMs: i, workers: 1 }),
    );
    const families = parsePrometheus(await (await ask('/metrics', server(many))).text());
    const backlog = families.get('eventspine_queue_backlog_tasks')?.samples ?? [];
    expect(backlog).toHaveLength(limits.metricNamesMax + 1);
    expect(backlog.reduce((sum, { value }) => sum + value, 0)).toBe(2 * many.length);
    expect(backlog.at(-1)).toMatchObject({ labels: { queue: othersLabel }, value: 100 });
    expect(families.get('eventspine_queues_beyond_bound')?.samples[0]?.value).toBe(50);
  });
});

describe('GET /health/ready?for=intake', () => {
  const status = async (view: Partial<HealthView>, query: string): Promise<number> => {
    const engine = fakeEngine({ health: () => Promise.resolve({ ...health, ...view }) });
    return (await ask(`/health/ready${query}`, createServer({ engine }))).status;
  };

  it('keeps a server in service that takes work which nobody does', async () => {
    const starved = { status: 'not_ready', accepts: true, reasons: ['no worker'] } as const;
    expect([await status(starved, ''), await status(starved, '?for=intake')]).toEqual([503, 200]);
  });

  it('takes one out of service that cannot record work', async () => {
    const full = { status: 'not_ready', accepts: false, reasons: ['disk full'] } as const;
    expect([await status(full, ''), await status(full, '?for=intake')]).toEqual([503, 503]);
    expect(await status({}, '?for=intakes')).toBe(400);
  });
});

describe('docs/reference/metrics.md', () => {
  it('lists every metric with its labels, and no others', () => {
    const page = readFileSync(new URL('../../docs/reference/metrics.md', import.meta.url), 'utf8');
    const listed = [...page.matchAll(/^\| `(eventspine_\w+)` \| (\w+) \|([^|]*)\|/gm)].map(
      ([, name, type, labels = '']) => [name, type, [...labels.matchAll(/`(\w+)`/g)].map(([, label]) => label)],
    );
    const bounds = { targetPerWorker: 1, min: 0, max: 1, activation: 0 };
    const limits = [{ limit: 'gpu', waiting: 0, counters: 1, fullest: 0, granted: 1 }];
    const families = fleetMetrics({
      health,
      queues,
      workers,
      tally,
      inferences,
      predictions,
      remedies,
      bounds,
      streams: 0,
      limits,
      endpoints,
      topics: noTopicFacts,
      webhooks: { accepted: 1, duplicate: 0, refused: 0 },
      subscriptions: [{ subscription: 's', lag: 0, ageMs: 0, refused: 0 }],
      bridges: [
        {
          bridge: 'b',
          direction: 'in',
          state: 'running',
          moved: 1,
          duplicates: 0,
          dead: 0,
          missed: 0,
          lag: 0,
          lagAgeMs: 0,
        },
      ],
    });
    expect(listed).toEqual(
      families.map(({ name, type, samples }) => [name, type, Object.keys(samples[0]?.labels ?? {})]),
    );
  });
});
