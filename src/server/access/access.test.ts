import { describe, expect, it } from 'vitest';
import { limits } from '../../core/limits.js';
import type { Engine } from '../../engine/api.js';
import { routes, type Route, type RouteId } from '../../protocol/routes.js';
import { fakeEngine } from '../engine.test.fake.js';
import type { Principal } from '../options.js';
import { createServer } from '../server.js';
import { topicCursorOf } from '../streams/topic-cursor.js';

const table = Object.entries(routes) as [RouteId, Route][];

/** Asks a server as a principal with these permissions; every method of the engine that a test does not give refuses. */
function asking(principal: Partial<Principal>, methods: Partial<Engine> = {}) {
  const server = createServer({
    engine: fakeEngine(methods),
    authorize: () => ({ tenant: 'acme', user: 'ada', roles: [], ...principal }),
    log: () => undefined,
  });
  return async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) => {
    const response = await server.fetch(
      new Request(`http://localhost${path}`, {
        method,
        headers: { 'content-type': 'application/json', ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    );
    const text = await response.text();
    return { status: response.status, problem: (text === '' ? {} : JSON.parse(text)) as Record<string, unknown> };
  };
}

const values: Readonly<Record<string, string>> = { tenant: 'acme', hash: 'a'.repeat(64) };
const addressOf = (route: Route): string => route.path.replace(/\{(\w+)\}/g, (_, name: string) => values[name] ?? 'x');

const nothing: Partial<Engine> = {
  workflowOf: () => Promise.resolve('secret'),
  topicOfSubscription: () => Promise.resolve('secret'),
  readDeadLetter: () => Promise.resolve({ workflow: 'secret' } as never),
  readRedrive: () => Promise.resolve({ filter: { workflow: 'secret' } } as never),
  readDeadEvent: () => Promise.resolve({ topic: 'secret' } as never),
};

describe('a principal with permissions', () => {
  it.each(table.filter(([, { access }]) => access === 'tenant'))(
    'that has none is refused %s before its handler runs',
    async (_, route) => {
      const { status, problem } = await asking({ permissions: [] }, nothing)(
        route.method,
        addressOf(route),
        route.method === 'GET' ? undefined : {},
      );
      expect([403, 404]).toContain(status);
      expect(problem['code']).toMatch(/^PERMISSION_MISSING$|_NOT_FOUND$/);
    },
  );

  it.each(table.filter(([, { needs }]) => needs?.of !== undefined))(
    'is answered %s of a thing that it may not have as of one that is not there',
    async (_, route) => {
      const absent: Partial<Engine> = {
        workflowOf: () => Promise.resolve(null),
        topicOfSubscription: () => Promise.resolve(null),
        readDeadLetter: () => Promise.resolve(null),
        readRedrive: () => Promise.resolve(null),
        readDeadEvent: () => Promise.resolve(null),
      };
      const permissions = ['*:workflow/mine', '*:topic/mine', '*:approval/mine'];
      const ask = (methods: Partial<Engine>) =>
        asking({ permissions }, methods)(
          route.method,
          addressOf(route),
          route.method === 'GET' ? undefined : { bad: 1 },
          {
            'x-request-id': 'one',
          },
        );
      const [forbidden, missing] = [await ask(nothing), await ask(absent)];
      expect(forbidden).toEqual(missing);
      expect(forbidden.status).toBe(404);
    },
  );

  it('is told the permission that it lacks', async () => {
    const { status, problem } = await asking({ permissions: ['publish:topic/orders.*'] })(
      'POST',
      '/v1/topics/orders/events',
      {},
    );
    expect([status, problem['code'], problem['detail']]).toEqual([
      403,
      'PERMISSION_MISSING',
      'This needs the permission "publish:topic/orders".',
    ]);
  });

  it('starts what it may, however it is spelled, and nothing else', async () => {
    const started: string[] = [];
    const ask = asking(
      { permissions: ['start:workflow/order.*'] },
      {
        startRuns: (_, requests) => {
          started.push(...requests.map(({ workflow }) => workflow));
          return Promise.resolve(requests.map(() => ({ tag: 'started' as const, run: 'run_1' })));
        },
      },
    );
    expect((await ask('POST', '/v1/workflows/order.eu/runs', {})).status).toBe(202);
    expect((await ask('POST', '/v1/workflows/%6Frder.eu/runs', {})).status).toBe(202);
    expect((await ask('POST', '/v1/workflows/order%2Eeu%2Enorth/runs', {})).status).toBe(403);
    expect((await ask('POST', '/v1/workflows/refund/runs', {})).status).toBe(403);
    expect(started).toEqual(['order.eu', 'order.eu']);
  });

  it('sees in lists what it may see', async () => {
    const runs = ['mine', 'secret', 'mine'].map((workflow, i) => ({ id: `run_${i}`, workflow }));
    const ask = asking(
      { permissions: ['read:workflow/mine', 'cancel:workflow/mine'] },
      {
        listRuns: () => Promise.resolve({ items: runs as never, next: 'more' }),
        workflowOf: (_, run) => Promise.resolve(runs.find(({ id }) => id === run)?.workflow ?? null),
        cancel: () => Promise.resolve({ tag: 'done' }),
      },
    );
    const { problem: page } = await ask('GET', '/v1/runs');
    expect(page).toEqual({ items: [runs[0], runs[2]], next: 'more' });
    const { problem: bulk } = await ask('POST', '/v1/runs:cancel', { ids: ['run_0', 'run_1', 'run_9'] });
    expect(bulk['items']).toMatchObject([
      { id: 'run_0', outcome: 'done' },
      { id: 'run_1', error: { code: 'RUN_NOT_FOUND' } },
      { id: 'run_9', error: { code: 'RUN_NOT_FOUND' } },
    ]);
  });

  it('makes no schedule, replay or token that does what it may not do itself', async () => {
    const ask = asking(
      { permissions: ['manage:schedule/**', 'manage:topic/**', '*:topic/mine', 'read:workflow/**'] },
      { workflowOf: () => Promise.resolve('order'), topicOfSubscription: () => Promise.resolve('mine') },
    );
    const codeOf = async (...of: Parameters<typeof ask>) => (await ask(...of)).problem;
    const texts = JSON.stringify([
      await codeOf('PUT', '/v1/schedules/nightly', { start: 'order', every: '1h' }),
      await codeOf('POST', '/v1/subscriptions/audit/replay', { from: 'oldest', workflow: 'order' }),
      await codeOf('POST', '/v1/runs/run_1/tokens', { decides: true }),
      await codeOf('PUT', '/v1/subscriptions/all', { topic: 'other', from: 'oldest' }),
    ]);
    for (const permission of ['start:workflow/order', 'decide:approval/order', 'replay:topic/other'])
      expect(texts).toContain(permission);
  });

  it('gives away nothing of the past of a topic that it may only follow', async () => {
    const ask = asking({ permissions: ['subscribe:topic/mine'] });
    const { status, problem } = await ask('POST', '/v1/topics/mine/tokens', { past: true });
    expect([status, problem['detail']]).toEqual([403, 'This needs the permission "replay:topic/mine".']);
  });

  it('resumes a topic that it may only follow from a while back, and from no further', async () => {
    const now = 1_800_000_000_000;
    const heads = [{ partition: 0, head: 100, low: 0 }];
    const methods: Partial<Engine> = {
      now: () => now,
      listTopics: () => Promise.resolve([{ topic: 'mine', partitions: heads }] as never),
      offsetAt: (_, _topic, _partition, at) => Promise.resolve(at === now - limits.subscribeBackMs ? 90 : 0),
      followTopic: () => () => undefined,
    };
    const server = createServer({
      engine: fakeEngine(methods),
      authorize: () => ({ tenant: 'acme', user: 'ada', roles: [], permissions: ['subscribe:topic/mine'] }),
      log: () => undefined,
    });
    const from = async (query: string): Promise<number> => {
      const response = await server.fetch(new Request(`http://localhost/v1/topics/mine/stream${query}`));
      await response.body?.cancel();
      return response.status;
    };
    const cursorAt = (offset: number): string => `?cursor=${topicCursorOf('acme', 'mine', [0], [offset])}`;
    expect([await from(''), await from(cursorAt(90)), await from(cursorAt(89)), await from('?from=oldest')]).toEqual([
      200, 200, 403, 403,
    ]);
  });

  it('counts and redrives only the dead letters of workflows that it names', async () => {
    const ask = asking(
      { permissions: ['read:workflow/mine'] },
      { countDeadLetters: () => Promise.resolve({ count: 1 } as never) },
    );
    expect((await ask('POST', '/v1/dead-letters:count', {})).status).toBe(403);
    expect((await ask('POST', '/v1/dead-letters:count', { workflow: 'secret' })).status).toBe(403);
    expect((await ask('POST', '/v1/dead-letters:count', { workflow: 'mine' })).status).toBe(200);
  });

  it('whose permissions are none is an error of the server, and nobody is let in', async () => {
    const { status } = await asking({ permissions: ['everything'] })('GET', '/v1/runs');
    expect(status).toBe(500);
  });
});

describe('definitions', () => {
  it('leave out schedules of other tenants', async () => {
    const schedules = ['acme', 'rival'].map((tenant) => ({ name: `of-${tenant}`, tenant, spec: { input: tenant } }));
    const definitions = (): never => [{ app: 'a', workflows: [], topics: [], capabilities: [], schedules }] as never;
    const { problem: page } = await asking({}, { definitions })('GET', '/v1/definitions');
    expect(page['items']).toMatchObject([{ schedules: [{ name: 'of-acme' }] }]);
    expect(JSON.stringify(page)).not.toContain('rival');
  });
});

describe('roles', () => {
  it.each(table.filter(([, { access }]) => access !== 'public'))(
    'let a viewer read, and change nothing: %s',
    async (id, route) => {
      const ask = asking({ roles: ['viewer', 'operator', 'worker', 'admin'] });
      const { status, problem } = await ask(route.method, addressOf(route), route.method === 'GET' ? undefined : {});
      const reads = (route.method === 'GET' && route.access !== 'worker') || id === 'countDeadLetters';
      expect([id, problem['code'] === 'OUT_OF_SCOPE' && status === 403]).toEqual([id, !reads]);
    },
  );

  it.each(table.filter(([, { access }]) => ['operator', 'worker', 'admin'].includes(access)))(
    'are asked for by %s',
    async (_, route) => {
      const roles = ['operator', 'worker', 'admin'].filter((role) => role !== route.access);
      const { status, problem } = await asking({ roles })(route.method, addressOf(route));
      expect([status, problem['code']]).toEqual([403, 'FORBIDDEN']);
    },
  );

  it('let operators be at work in another tenant, and nobody else', async () => {
    const asked: string[] = [];
    const listRuns: Engine['listRuns'] = (tenant) => {
      asked.push(tenant);
      return Promise.resolve({ items: [], next: null });
    };
    const elsewhere = { 'eventspine-tenant': 'rival' };
    await asking({ roles: ['operator'] }, { listRuns })('GET', '/v1/runs', undefined, elsewhere);
    await asking({ roles: ['admin'] }, { listRuns })('GET', '/v1/runs', undefined, elsewhere);
    expect(asked).toEqual(['rival', 'acme']);
    const tooLong = await asking({ roles: ['operator'] }, { listRuns })('GET', '/v1/runs', undefined, {
      'eventspine-tenant': 'x'.repeat(65),
    });
    expect(tooLong.status).toBe(400);
  });

  it('keep the record of access from those who are not answerable for it', async () => {
    const methods: Partial<Engine> = { readTopic: () => Promise.resolve({ items: [], gap: null }) };
    const read = (roles: string[]) => asking({ roles }, methods)('GET', '/v1/topics/eventspine.access/events');
    expect((await read([])).status).toBe(403);
    expect((await read(['admin'])).status).toBe(200);
    expect((await read(['operator'])).status).toBe(200);
  });
});
