/**
 * Two tenants on one installation, and a canary in every text of the one. Whatever route the other asks, with ids of the one or
 * with ids that nobody has, it gets the same answer, and no canary in it. New routes are asked without being named here: a
 * segment of a path, or a body, that this file has no words for is a failure.
 */
import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { routes, type Route, type RouteId } from '../../src/protocol/routes.js';
import {
  agent,
  createSpine,
  defineApp,
  message,
  signal,
  topic,
  workflow,
  type Spine,
  type SpineOptions,
} from '../../src/spine/index.js';

const go = signal('go');
const noted = topic('noted');
const single = topic('single', { writer: 'single' });
const say = message('say', { reply: { '~standard': anything() } });
const helper = agent('helper', { messages: [say], initial: null, on: { say: (_, { data }) => data } });
const work = workflow('work', {}, async (ctx, input) => ctx.step('echo', () => input));
const fail = workflow('fail', {}, async (ctx, input) =>
  ctx.step('break', () => {
    throw Object.assign(new Error(`cannot do ${JSON.stringify(input)}`), { retryable: false });
  }),
);
const wait = workflow('wait', {}, (ctx) => ctx.waitFor(go));
const ask = workflow('ask', {}, (ctx, input) =>
  ctx.approve('review', { to: 'role:editor', title: `Publish ${String(input)}?`, show: { draft: input } }),
);
const app = defineApp({ topics: [noted, single], workflows: [work, fail, wait, ask], agents: [helper] });

/** A schema that takes what comes. */
function anything() {
  return {
    version: 1 as const,
    vendor: 'test',
    validate: (value: unknown) => ({ value }),
    jsonSchema: { input: () => ({}), output: () => ({}) },
  };
}

type Call = (
  method: string,
  path: string,
  body?: unknown,
  headers?: Readonly<Record<string, string>>,
) => Promise<{ readonly status: number; readonly text: string; readonly value: unknown }>;

/** What a tenant has, by what paths call it. */
interface Belongings {
  readonly runs: readonly string[];
  readonly approval: string;
  readonly deadLetter: string;
  readonly redrive: string;
  readonly deadEvent: string;
  readonly subscription: string;
  readonly schedule: string;
  readonly agentKey: string;
  readonly message: string;
  readonly hash: string;
  readonly hook: string;
  readonly hookSecret: string;
  readonly endpoint: string;
}

const [a, b, limited, operator] = ['a', 'b', 'limited', 'operator'];

/** Tests of a store that `options` opens. */
export function itKeepsTenantsApart(options: () => Pick<SpineOptions, 'store'>, after?: () => Promise<void>): void {
  it('tells one tenant nothing of another, and a caller with permissions nothing of what it may not have', async () => {
    const canary = `canary${Math.random().toString(36).slice(2)}`;
    const spine = createSpine(app, {
      ...options(),
      log: () => undefined,
      // What waits is written down at once, so that nothing of it moves later by itself.
      worker: { parkAfterMs: 0 },
      server: {
        authorize: ({ headers }) => {
          switch (headers.get('x-caller')) {
            case a:
              return { tenant: `a-${canary}`, user: canary, roles: ['editor', 'admin'] };
            case b:
              return { tenant: 'b', user: 'bob', roles: ['editor', 'admin'] };
            case limited:
              return {
                tenant: `a-${canary}`,
                user: 'lim',
                roles: [],
                permissions: [
                  '*:workflow/none',
                  '*:topic/none',
                  '*:agent/none',
                  '*:approval/none',
                  '*:schedule/none',
                  '*:webhook/none',
                ],
              };
            case operator:
              return { tenant: 'ops', user: 'root', roles: ['operator', 'admin'] };
            default:
              return null;
          }
        },
      },
    });
    try {
      await spine.open();
      const own = await seed(callerOf(spine, a), canary);
      const before = await looks(callerOf(spine, a), own);
      expect(JSON.stringify(before)).toContain(canary);
      for (const caller of [b, limited]) {
        const faults = await probe(callerOf(spine, caller), own, canary, caller === b);
        expect(faults, `as ${caller}`).toEqual([]);
      }
      expect(await looks(callerOf(spine, a), own)).toEqual(before);
      expect(await operatorSees(callerOf(spine, operator), own, canary)).toEqual([]);
      await keysAreOfTheirTenant(callerOf(spine, b), canary);
      await after?.();
    } finally {
      await spine.close();
    }
  }, 60_000);
}

function callerOf(spine: Spine<typeof app>, caller: string): Call {
  return async (method, path, body, headers = {}) => {
    const stop = new AbortController();
    const response = await spine.fetch(
      new Request(`http://localhost${path}`, {
        method,
        signal: stop.signal,
        headers: {
          'x-caller': caller,
          'x-request-id': 'probe',
          ...(body instanceof Uint8Array
            ? { 'content-type': 'application/octet-stream' }
            : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined
          ? {}
          : { body: body instanceof Uint8Array ? new Uint8Array(body) : JSON.stringify(body) }),
      }),
    );
    const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') === true;
    const text = isStream ? await firstOf(response, stop) : await response.text();
    return { status: response.status, text, value: parsed(text) };
  };
}

/** What a stream says at once. */
async function firstOf(response: Response, stop: AbortController): Promise<string> {
  const reader = response.body?.getReader();
  let text = '';
  const over = setTimeout(() => void reader?.cancel(), 50);
  for (;;) {
    const { done, value } = (await reader?.read()) ?? { done: true, value: undefined };
    if (done) break;
    text += new TextDecoder().decode(value);
  }
  clearTimeout(over);
  stop.abort();
  return text;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function itemsOf(value: unknown): readonly Readonly<Record<string, unknown>>[] {
  return (value as { readonly items?: readonly Readonly<Record<string, unknown>>[] } | null)?.items ?? [];
}

/** Gives a tenant something of everything, with the canary in each text. */
async function seed(call: Call, canary: string): Promise<Belongings> {
  const start = async (name: string, query = ''): Promise<string> => {
    const { value } = await call('POST', `/v1/workflows/${name}/runs${query}`, canary, {
      'idempotency-key': `key-${name}${query.includes('again') ? '-again' : ''}-${canary}`,
    });
    return (value as { readonly id: string }).id;
  };
  const [done, failed, waiting, asking] = [
    await start('work', `?label=of:${canary}`),
    await start('fail'),
    await start('wait'),
    await start('ask'),
  ];
  await start('fail', `?label=again:${canary}`);
  await call('POST', `/v1/runs/${waiting}/signals/other`, { said: canary }, { 'idempotency-key': canary });
  const agentKey = `key-${canary}`;
  const told = await call('POST', `/v1/agents/helper/${agentKey}/messages/say?reply=true`, canary, {
    'idempotency-key': `message-${canary}`,
  });
  expect(told.status).toBe(202);
  const subscription = `pull-${canary}`;
  const made = await call('PUT', `/v1/subscriptions/${subscription}`, {
    topic: 'noted',
    from: 'oldest',
    deliveries: 1,
  });
  expect(made.status, made.text).toBe(200);
  for (let i = 0; i < 2; i++)
    expect((await call('POST', `/v1/topics/noted/events?key=${canary}`, { note: canary, i })).status).toBe(202);
  const pulled = await call('POST', `/v1/subscriptions/${subscription}/pull`, {
    consumer: canary,
    max: 1,
    waitMs: 5_000,
  });
  const { events } = pulled.value as {
    readonly events: readonly { readonly partition: number; readonly offset: number; readonly token: string }[];
  };
  const nacked = await call('POST', `/v1/subscriptions/${subscription}/nack`, {
    consumer: canary,
    positions: events.map(({ partition, offset, token }) => ({ partition, offset, token })),
    reason: canary,
    dead: true,
  });
  expect(nacked.status, nacked.text).toBe(200);
  const schedule = `nightly-${canary}`;
  const set = await call('PUT', `/v1/schedules/${schedule}`, { start: 'work', every: '30d', input: { canary } });
  expect(set.status, set.text).toBe(201);
  const hook = `hook-${canary}`;
  const source = await call('PUT', `/v1/webhook-sources/${hook}`, { topic: 'noted', scheme: 'github' });
  expect(source.status, source.text).toBe(200);
  const secret = await call('POST', `/v1/webhook-sources/${hook}/secrets`, {
    secret: `secret of ${canary}, long enough`,
  });
  expect(secret.status, secret.text).toBe(201);
  expect(secret.text).not.toContain('secret of');
  const [hookSecret] = (secret.value as { readonly secrets: readonly { readonly id: string }[] }).secrets;
  const endpoint = `out-${canary}`;
  const out = await call('PUT', `/v1/webhook-endpoints/${endpoint}`, {
    url: `https://hooks.example.com/${canary}`,
    topics: ['single'],
  });
  expect(out.status, out.text).toBe(200);
  const bytes = new TextEncoder().encode(`blob ${canary}`);
  const hash = createHash('sha256').update(bytes).digest('hex');
  const put = await call('PUT', `/v1/blobs/a-${canary}/${hash}`, bytes);
  expect(put.status, put.text).toBe(204);
  await call('POST', '/v1/topics/single/writer');
  const letters = (): ReturnType<Call> => call('GET', '/v1/dead-letters');
  await expect.poll(async () => itemsOf((await letters()).value).length, { timeout: 10_000 }).toBe(2);
  const begun = await call('POST', '/v1/redrives', { filter: { text: canary, workflow: 'fail' }, reason: canary });
  expect(begun.status, begun.text).toBe(202);
  const redrive = (begun.value as { readonly id: string }).id;
  await expect
    .poll(async () => ((await call('GET', `/v1/redrives/${redrive}`)).value as { readonly state: string }).state, {
      timeout: 10_000,
    })
    .toBe('done');
  await expect.poll(async () => itemsOf((await letters()).value).length, { timeout: 10_000 }).toBe(2);
  await expect.poll(async () => (await call('GET', `/v1/runs/${done}/result`)).status, { timeout: 10_000 }).toBe(200);
  const answer = `/v1/agents/helper/${agentKey}/answers/message-${canary}`;
  await expect.poll(async () => (await call('GET', answer)).text, { timeout: 10_000 }).toContain('answered');
  const approvals = (): ReturnType<Call> => call('GET', '/v1/approvals');
  await expect.poll(async () => itemsOf((await approvals()).value).length, { timeout: 10_000 }).toBe(1);
  for (const run of [waiting, asking])
    await expect
      .poll(async () => ((await call('GET', `/v1/runs/${run}`)).value as { readonly state: string }).state, {
        timeout: 10_000,
      })
      .toBe('waiting');
  const [deadEvent] = itemsOf((await call('GET', '/v1/dead-events')).value);
  return {
    runs: [done, failed, waiting],
    approval: String(itemsOf((await approvals()).value)[0]?.['id']),
    deadLetter: String(itemsOf((await letters()).value)[0]?.['id']),
    redrive,
    deadEvent: String(deadEvent?.['id']),
    subscription,
    schedule,
    agentKey,
    message: `message-${canary}`,
    hash,
    hook,
    hookSecret: String(hookSecret?.id),
    endpoint,
  };
}

/** What the tenant sees of its own: to be the same after others have tried. */
async function looks(call: Call, own: Belongings): Promise<readonly string[]> {
  const paths = [
    ...own.runs.flatMap((run) => [`/v1/runs/${run}/history`, `/v1/runs/${run}/result`]),
    '/v1/runs',
    '/v1/dead-letters',
    '/v1/dead-events',
    `/v1/approvals/${own.approval}`,
    `/v1/redrives/${own.redrive}`,
    `/v1/schedules/${own.schedule}`,
    `/v1/webhook-sources/${own.hook}`,
    `/v1/webhook-endpoints/${own.endpoint}`,
    `/v1/agents/helper/${own.agentKey}`,
    '/v1/topics/noted/events',
    '/v1/topics/single/writer',
  ];
  const found: string[] = [];
  for (const path of paths) found.push(`${path} ${(await call('GET', path)).text}`);
  const { value } = await call('GET', `/v1/subscriptions/${own.subscription}`);
  const { paused, lag, partitions } = value as Readonly<Record<string, readonly { readonly next: number }[]>>;
  return [...found, JSON.stringify([paused, lag, partitions?.map(({ next }) => next)])];
}

/** A text of the same form that nobody has. */
function absentOf(id: string): string {
  return id.replace(/[^.]{6}(?=$|\.\d+$)/, (end) => (end === 'zzzzzz' ? 'yyyyyy' : 'zzzzzz'));
}

/** What a segment of a path may be filled with: things of the tenant, or names that all have. */
function valuesOf(route: Route, own: Belongings, canary: string): readonly Readonly<Record<string, string>>[] | string {
  const names = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
  const sets: Readonly<Record<string, readonly string[]>> = {
    topic: ['noted', 'single', 'eventspine.access'],
    agent: ['helper'],
    key: [own.agentKey],
    type: ['say'],
    tenant: [`a-${canary}`, 'b'],
    hash: [own.hash],
    app: ['app'],
    secret: [own.hookSecret],
    id: idsOf(route, own),
    name: namesOf(route, own),
  };
  const missing = names.find((name) => (sets[name]?.length ?? 0) === 0);
  if (missing !== undefined) return `{${missing}} of ${route.path}`;
  return names.reduce<readonly Readonly<Record<string, string>>[]>(
    (found, name) => found.flatMap((one) => (sets[name] ?? []).map((value) => ({ ...one, [name]: value }))),
    [{}],
  );
}

function idsOf({ path }: Route, own: Belongings): readonly string[] {
  if (path.startsWith('/v1/runs/')) return own.runs;
  if (path.startsWith('/v1/approvals/')) return [own.approval];
  if (path.startsWith('/v1/dead-letters/')) return [own.deadLetter];
  if (path.startsWith('/v1/redrives/')) return [own.redrive];
  if (path.startsWith('/v1/dead-events/')) return [own.deadEvent];
  if (path.startsWith('/v1/agents/')) return [own.message];
  return [];
}

function namesOf({ path, access }: Route, own: Belongings): readonly string[] {
  if (path.startsWith('/v1/subscriptions/')) return [own.subscription];
  if (path.startsWith('/v1/schedules/')) return [own.schedule];
  if (path.startsWith('/v1/webhook-sources/')) return [own.hook];
  if (path.startsWith('/v1/webhook-endpoints/')) return [own.endpoint];
  if (path.startsWith('/v1/workflows/')) return ['work', 'ask'];
  if (path.includes('/signals/')) return ['go'];
  // Of the installation, for operators: these callers are none.
  return access === 'tenant' ? [] : ['anything'];
}

const position = { partition: 0, offset: 0, token: 'x' };
const bodies: Readonly<Partial<Record<RouteId, (ids: readonly string[]) => unknown>>> = {
  startRuns: () => [{ input: 1 }],
  commentApproval: () => ({ text: 'x' }),
  delegateApproval: () => ({ to: 'role:editor' }),
  migrateRun: () => ({ to: null }),
  cancelRuns: (ids) => ({ ids }),
  retryRuns: (ids) => ({ ids }),
  migrateRuns: (ids) => ({ ids, to: null }),
  editDeadLetter: () => ({ input: 1, reason: 'x' }),
  correctDeadLetter: () => ({ label: 'poison' }),
  beginRedrive: () => ({ filter: {} }),
  putSubscription: () => ({ topic: 'noted' }),
  pullEvents: () => ({ consumer: 'b' }),
  ackEvents: () => ({ consumer: 'b', positions: [position] }),
  nackEvents: () => ({ consumer: 'b', positions: [position] }),
  renewEvents: () => ({ consumer: 'b', deliveries: [{ partition: 0, token: 'x' }] }),
  leaveSubscription: () => ({ consumer: 'b' }),
  seekSubscription: () => ({ to: 'oldest' }),
  replaySubscription: () => ({ from: 'oldest' }),
  putWebhookSource: () => ({ topic: 'noted', scheme: 'github' }),
  addWebhookSecret: () => ({ secret: 'a secret that is long enough' }),
  replayWebhook: () => ({ from: 'oldest' }),
  putWebhook: () => ({ url: 'https://hooks.example.com/x', topics: ['single'] }),
  putSchedule: () => ({ start: 'work', every: '30d' }),
  reportOutcome: () => ({ model: 'm', score: 1 }),
};

/** Asks every route with what is the other's and with what is nobody's, and lists where the answers differ or tell. */
async function probe(call: Call, own: Belongings, canary: string, isTenant: boolean): Promise<readonly string[]> {
  const faults: string[] = [];
  for (const [id, route] of Object.entries(routes) as [RouteId, Route][]) {
    if (route.access === 'public') continue;
    const filled = valuesOf(route, own, canary);
    if (typeof filled === 'string') {
      faults.push(`this test has no words for ${filled}`);
      continue;
    }
    for (const segments of filled) {
      const foreign = await asked(call, id, route, segments, own.runs);
      const absent = await asked(call, id, route, mapped(segments), own.runs.map(absentOf));
      const what = `${id} ${JSON.stringify(segments)}`;
      // The hash of a blob is all that it takes, within the tenant.
      if (id === 'readBlob' && !isTenant) continue;
      if (foreign.text.includes(canary)) faults.push(`${what} tells: ${foreign.text}`);
      const names = route.path.includes('{') || isBulk.has(id);
      if (names && (foreign.status !== absent.status || foreign.text !== absent.text))
        faults.push(`${what}: ${foreign.status} ${foreign.text} but of nobody's ${absent.status} ${absent.text}`);
      if (foreign.status >= 500) faults.push(`${what}: ${foreign.status}`);
      const isRefused = foreign.status === 403 || foreign.status === 404 || itemsOf(foreign.value).length === 0;
      if (!isTenant && route.access === 'tenant' && !isRefused && !canSee.has(id))
        faults.push(`${what} is not refused: ${foreign.status} ${foreign.text}`);
    }
  }
  return faults;
}

const isBulk: ReadonlySet<RouteId> = new Set(['cancelRuns', 'retryRuns', 'migrateRuns']);

/** Definitions and bulk answers have items of their own; see the permissions of each in `src/server/access/access.test.ts`. */
const canSee: ReadonlySet<RouteId> = new Set([
  'listDefinitions',
  'asyncApi',
  'cancelRuns',
  'retryRuns',
  'migrateRuns',
  'putBlob',
]);

/** The same place for things that nobody has. Names that all share stay. */
function mapped(segments: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const { id, name, key, hash, secret } = segments;
  const isOwnName = name?.includes('canary') === true;
  return {
    ...segments,
    ...(id === undefined ? {} : { id: absentOf(id) }),
    ...(isOwnName ? { name: absentOf(name) } : {}),
    ...(key === undefined ? {} : { key: absentOf(key) }),
    ...(secret === undefined ? {} : { secret: absentOf(secret) }),
    ...(hash === undefined
      ? {}
      : { hash: hash.replace(/^.{6}/, (start) => (start === '000000' ? '111111' : '000000')) }),
  };
}

/** The answer, without what was sent and what is of the moment. */
async function asked(
  call: Call,
  id: RouteId,
  route: Route,
  segments: Readonly<Record<string, string>>,
  runs: readonly string[],
): Promise<{ readonly status: number; readonly text: string; readonly value: unknown }> {
  const path = route.path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(segments[name] ?? ''));
  const body =
    id === 'putBlob' ? new TextEncoder().encode('x') : route.method === 'GET' ? undefined : (bodies[id]?.(runs) ?? {});
  const { status, text, value } = await call(route.method, path, body);
  let rest = text;
  for (const sent of [...Object.values(segments), ...runs].filter((one) => one.length > 8))
    rest = rest.replaceAll(sent, '<sent>');
  const changing =
    /"(?:id|run|token|hlc)":"[^"]*"|run_\w{26}|\d{4}-\d\d-\d\dT[\d:.]+Z|"(?:offset|ageMs|head|next|lag|epoch|position)":\d+/g;
  // The record tells a caller what itself has named.
  rest = rest.replace(/"target":"[^"]*"/g, '"target":"<sent>"');
  return { status, text: rest.replace(changing, '<now>'), value };
}

/** An operator sees sums of all; texts of tenants are in none of them. */
async function operatorSees(call: Call, own: Belongings, canary: string): Promise<readonly string[]> {
  const faults: string[] = [];
  for (const [id, route] of Object.entries(routes) as [RouteId, Route][]) {
    if (route.method !== 'GET' || route.access === 'worker' || route.path.includes('{')) continue;
    const { text } = await call('GET', route.path);
    // Names of tenants stand where something is counted by tenant, and those of subscriptions where their lag is.
    const named = text.replaceAll(`a-${canary}`, '').replaceAll(own.subscription, '').replaceAll(own.endpoint, '');
    if (named.includes(canary)) faults.push(`${id} tells: ${text}`);
  }
  return faults;
}

/** Keys of one tenant are free in another. */
async function keysAreOfTheirTenant(call: Call, canary: string): Promise<void> {
  const { value } = await call('POST', '/v1/workflows/work/runs', 'mine', { 'idempotency-key': `key-work-${canary}` });
  expect(value).toMatchObject({ repeated: false });
  expect((await call('GET', `/v1/runs?label=of:${canary}`)).value).toMatchObject({ items: [] });
  expect((await call('GET', `/v1/dead-letters?text=${canary}`)).value).toMatchObject({ items: [] });
}
