import { createHmac, hkdfSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { limits } from '../../core/limits.js';
import { payloadOfJson } from '../../core/codec.js';
import type { Engine } from '../../engine/api.js';
import type { Problem, ReadTokenView, RunEventView, StartAnswer } from '../../protocol/http.js';
import { routes, type Route, type RouteId } from '../../protocol/routes.js';
import { fakeEngine } from '../engine.test.fake.js';
import { createServer } from '../index.js';
import type { Principal, ServerOptions } from '../options.js';

const run = 'run_01jd00000000000000000000aa';
const other = 'run_01jd00000000000000000000bb';
const secret = new Uint8Array(32).fill(7);

/** A server for programs and one for pages over one engine, which knows two runs of each tenant. */
function installation(options: Partial<ServerOptions> = {}, methods: Partial<Engine> = {}) {
  const clock = { now: 1_800_000_000_000 };
  const reads: string[] = [];
  const engine = fakeEngine({
    now: () => clock.now,
    secret: () => Promise.resolve(secret),
    startRuns: (_origin, requests) => Promise.resolve(requests.map(() => ({ tag: 'started' as const, run }))),
    readResult: (tenant, id) => {
      reads.push(`${tenant} ${id}`);
      return Promise.resolve({ state: 'succeeded', output: payloadOfJson({ ok: true }) });
    },
    readHistory: (tenant, id) =>
      Promise.resolve(id === run || id === other ? [startedBy(`client:${tenant}-ada`)] : null),
    waitForEnd: () => Promise.resolve('running'),
    ...methods,
  });
  const authorize = (request: { headers: { get(name: string): string | null } }): Principal | null => {
    const who = request.headers.get('x-session');
    return who === null ? null : { tenant: who.split('-')[0] ?? '', user: who, roles: ['operator', 'worker'] };
  };
  const programs = createServer({ engine, authorize, ...options });
  const pages = createServer({ engine, authorize, page: { start: ['letter'] }, ...options });
  const ask = (
    server: typeof pages,
    method: string,
    path: string,
    headers: Record<string, string> = {},
    body?: unknown,
  ) =>
    server.fetch(
      new Request(`http://localhost${path}`, {
        method,
        headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    );
  return { clock, reads, engine, programs, pages, ask };
}

function startedBy(actor: string): RunEventView {
  return {
    seq: 1,
    id: `${run}/1`,
    type: 'run.started',
    at: '2027-01-15T08:00:00.000Z',
    actor,
    data: {},
    payload: 'the input',
  };
}

async function codeOf(response: Response): Promise<string> {
  return ((await response.json()) as Problem).code;
}

const session = { 'x-session': 'acme-ada' };
const result = (id = run): string => `/v1/runs/${id}/result`;
const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });

async function tokenOf(site: ReturnType<typeof installation>, body: unknown = {}): Promise<ReadTokenView> {
  const response = await site.ask(site.programs, 'POST', `/v1/runs/${run}/tokens`, session, body);
  expect(response.status).toBe(201);
  return (await response.json()) as ReadTokenView;
}

describe('a read token', () => {
  it('reads its run, without a session, on every server with the secret', async () => {
    const site = installation();
    const { token } = await tokenOf(site);
    for (const server of [site.programs, site.pages]) {
      const response = await site.ask(server, 'GET', result(), bearer(token));
      expect(response.status).toBe(200);
    }
    expect(site.reads).toEqual([`acme ${run}`, `acme ${run}`]);
  });

  it('comes with the start that prefers it', async () => {
    const site = installation();
    const prefer = { ...session, prefer: 'read-token=60' };
    const response = await site.ask(site.pages, 'POST', '/v1/workflows/letter/runs', prefer, {});
    expect(response.headers.get('preference-applied')).toBe('read-token');
    const { id, readToken } = (await response.json()) as StartAnswer;
    expect(id).toBe(run);
    expect(readToken?.expiresAt).toBe(new Date(site.clock.now + 60_000).toISOString());
    expect((await site.ask(site.pages, 'GET', result(), bearer(readToken?.token ?? ''))).status).toBe(200);
  });

  it('says nothing of another run, nor of the same one in another tenant', async () => {
    const site = installation();
    const { token } = await tokenOf(site);
    const answer = await site.ask(site.pages, 'GET', result(other), { ...bearer(token), ...session });
    expect([answer.status, await codeOf(answer)]).toEqual([403, 'OUT_OF_SCOPE']);
    // The tenant is that of the token, whatever the session beside it says.
    await site.ask(site.pages, 'GET', result(), { ...bearer(token), 'x-session': 'rival-eve' });
    expect(site.reads).toEqual([`acme ${run}`]);
  });

  it('ends by its expiry, on the clock of the store', async () => {
    const site = installation();
    const { token, expiresAt } = await tokenOf(site, { expiresMs: 5_000 });
    site.clock.now = Date.parse(expiresAt) - 1;
    expect((await site.ask(site.pages, 'GET', result(), bearer(token))).status).toBe(200);
    site.clock.now += 1;
    const answer = await site.ask(site.pages, 'GET', result(), bearer(token));
    expect([answer.status, await codeOf(answer)]).toEqual([401, 'READ_TOKEN_EXPIRED']);
  });

  it('is refused when any character of it was changed, cut off or added', async () => {
    const site = installation();
    const { token } = await tokenOf(site);
    const forged = token
      .split('')
      .map((character, i) => token.slice(0, i) + (character === 'A' ? 'B' : 'A') + token.slice(i + 1));
    const texts = [
      ...forged,
      token.slice(0, -1),
      `${token}A`,
      `${token}=`,
      token.replace('.', '..'),
      token.slice(0, 5),
    ];
    for (const text of texts) {
      const answer = await site.ask(site.pages, 'GET', result(), bearer(text));
      // Without its mark it is no read token, and `authorize` does not know it.
      expect([answer.status, await codeOf(answer)], text).toEqual([
        401,
        text.startsWith('esr1.') ? 'READ_TOKEN_INVALID' : 'UNAUTHENTICATED',
      ]);
    }
    expect(site.reads).toEqual([]);
  });

  it('is refused with claims of ones own, under a key of ones own, or none', async () => {
    const site = installation();
    const claims = Buffer.from(JSON.stringify(['acme', 'eve', run, 'everything', 9_999_999_999])).toString('base64url');
    const signed = (key: Uint8Array): string =>
      `esr1.${claims}.${createHmac('sha256', key).update(`esr1.${claims}`).digest('base64url')}`;
    const keys = [new Uint8Array(0), new Uint8Array(32), secret];
    for (const token of [...keys.map(signed), `esr1.${claims}.${'A'.repeat(43)}`, `esr1.${claims}.`]) {
      expect((await site.ask(site.pages, 'GET', result(), bearer(token))).status, token).toBe(401);
    }
    // The same claims under the right key: what the test would do if it knew the secret.
    const key = new Uint8Array(hkdfSync('sha256', secret, new Uint8Array(0), 'eventspine read token 1', 32));
    expect((await site.ask(site.pages, 'GET', result(), bearer(signed(key)))).status).toBe(200);
  });

  it('of a form that is not known is refused, though it is signed', async () => {
    const site = installation();
    const key = new Uint8Array(hkdfSync('sha256', secret, new Uint8Array(0), 'eventspine read token 1', 32));
    for (const claims of [
      {},
      [],
      ['acme', 'ada', run, 'all', 9e9],
      ['acme', 'ada', run, 'progress', '9e9'],
      [1, 2, 3, 4, 5],
      null,
    ]) {
      const text = Buffer.from(JSON.stringify(claims)).toString('base64url');
      const token = `esr1.${text}.${createHmac('sha256', key).update(`esr1.${text}`).digest('base64url')}`;
      expect((await site.ask(site.pages, 'GET', result(), bearer(token))).status).toBe(401);
    }
  });

  it('is not taken from the address, which is logged', async () => {
    const site = installation();
    const { token } = await tokenOf(site);
    for (const name of ['token', 'access_token', 'readToken', 'authorization']) {
      expect((await site.ask(site.pages, 'GET', `${result()}?${name}=${token}`)).status).toBe(401);
    }
  });

  it('opens no route that does not name it', async () => {
    const site = installation();
    const { token } = await tokenOf(site, { sees: 'everything' });
    for (const [id, route] of Object.entries(routes) as [RouteId, Route][]) {
      if (route.access === 'public' || route.takes?.includes('readToken') === true || id === 'workerSocket') continue;
      const path = route.path
        .replace('{id}', run)
        .replace('{name}', 'letter')
        .replace(/\{\w+\}/g, 'x');
      for (const server of [site.programs, site.pages]) {
        const answer = await site.ask(
          server,
          route.method,
          path,
          bearer(token),
          route.method === 'POST' ? {} : undefined,
        );
        expect([id, answer.status]).toEqual([id, 403]);
      }
    }
  });

  it('holds no longer than is allowed, and no shorter', async () => {
    const site = installation();
    for (const expiresMs of [0, 999, limits.readTokenMsMax + 1, 1.5, '1h', -1]) {
      const answer = await site.ask(site.programs, 'POST', `/v1/runs/${run}/tokens`, session, { expiresMs });
      expect(await codeOf(answer)).toBe('REQUEST_INVALID');
    }
    const late = await site.ask(
      site.pages,
      'POST',
      '/v1/workflows/letter/runs',
      { ...session, prefer: 'read-token=99999999' },
      {},
    );
    expect(await codeOf(late)).toBe('REQUEST_INVALID');
  });
});

describe('the secret of read tokens', () => {
  const old = 'an old secret of the installation';
  const fresh = 'the secret that replaces the old one';

  it('given by the operator, is not that of the store, and can be replaced', async () => {
    const before = installation({ readTokens: { secret: old } });
    const { token } = await tokenOf(before);
    const between = installation({ readTokens: { secret: [fresh, old] } });
    expect((await between.ask(between.pages, 'GET', result(), bearer(token))).status).toBe(200);
    const { token: next } = await tokenOf(between);
    const after = installation({ readTokens: { secret: fresh } });
    expect((await after.ask(after.pages, 'GET', result(), bearer(token))).status).toBe(401);
    expect((await after.ask(after.pages, 'GET', result(), bearer(next))).status).toBe(200);
    const stored = installation();
    expect((await stored.ask(stored.pages, 'GET', result(), bearer(next))).status).toBe(401);
  });

  it('must be long, and times and lists sensible', () => {
    const faultsOf = (options: object): readonly string[] => {
      try {
        createServer({ engine: fakeEngine(), ...options });
        return [];
      } catch (error) {
        return (error as { detail: { faults: string[] } }).detail.faults;
      }
    };
    expect(faultsOf({ readTokens: { secret: 'short', expires: '31d' } })).toEqual([
      expect.stringContaining('readTokens.secret'),
      expect.stringContaining('readTokens.expires'),
    ]);
    expect(faultsOf({ page: { start: 'letter', sees: 'all', strat: [] } })).toHaveLength(3);
    expect(faultsOf({ authorize: ['me'] })).toHaveLength(1);
    expect(faultsOf({ authorize: [], readTokens: { secret: [] } })).toEqual([
      'authorize is an empty list',
      'readTokens.secret is an empty list',
    ]);
    expect(faultsOf({ authorize: () => null, page: {}, readTokens: { secret: [fresh, old], expires: '5m' } })).toEqual(
      [],
    );
  });

  it('is asked for again where the store did not answer', async () => {
    let asked = 0;
    const site = installation(
      {},
      { secret: () => (asked++ === 0 ? Promise.reject(new Error('the store is busy')) : Promise.resolve(secret)) },
    );
    expect((await site.ask(site.programs, 'POST', `/v1/runs/${run}/tokens`, session, {})).status).toBe(500);
    await tokenOf(site);
    await tokenOf(site);
    expect(asked).toBe(2);
  });
});

describe('a server for pages', () => {
  it('starts the workflows that it names, and no others however they are spelled', async () => {
    const site = installation();
    expect((await site.ask(site.pages, 'POST', '/v1/workflows/letter/runs', session, {})).status).toBe(202);
    expect((await site.ask(site.pages, 'POST', '/v1/workflows/%6cetter/runs', session, {})).status).toBe(202);
    for (const name of ['internal', 'letter%2F', 'Letter', '%FF', 'letter%00']) {
      const answer = await site.ask(site.pages, 'POST', `/v1/workflows/${name}/runs`, session, {});
      expect([name, answer.status]).toEqual([name, 403]);
    }
  });

  it('takes a session for nothing but that and for tokens of its own runs, whatever its roles', async () => {
    const site = installation();
    for (const [id, route] of Object.entries(routes) as [RouteId, Route][]) {
      if (route.takes?.includes('page') === true || id === 'workerSocket') continue;
      const path = route.path
        .replace('{id}', run)
        .replace('{name}', 'letter')
        .replace(/\{\w+\}/g, 'x');
      const answer = await site.ask(site.pages, route.method, path, session, route.method === 'POST' ? {} : undefined);
      expect([id, answer.status]).toEqual([id, 403]);
    }
  });

  it('gives a token of a run to its starter, and to others as if there were no such run', async () => {
    const site = installation();
    const path = `/v1/runs/${run}/tokens`;
    expect((await site.ask(site.pages, 'POST', path, session)).status).toBe(201);
    for (const [address, who] of [
      [path, 'acme-eve'],
      [path, 'rival-ada2'],
      ['/v1/runs/run_none/tokens', 'acme-ada'],
    ] as const) {
      const answer = await site.ask(site.pages, 'POST', address, { 'x-session': who });
      expect([answer.status, await codeOf(answer)]).toEqual([404, 'RUN_NOT_FOUND']);
    }
    expect((await site.ask(site.pages, 'POST', path)).status).toBe(401);
  });

  it('gives no token that shows more than it may', async () => {
    const site = installation();
    const answer = await site.ask(site.pages, 'POST', `/v1/runs/${run}/tokens`, session, { sees: 'everything' });
    expect(await codeOf(answer)).toBe('OUT_OF_SCOPE');
  });

  it('believes no header that names a tenant or a user', async () => {
    let origin: unknown;
    const site = installation(
      {},
      {
        startRuns: (from, requests) => {
          origin = requests[0]?.origin ?? from;
          return Promise.resolve(requests.map(() => ({ tag: 'started' as const, run })));
        },
      },
    );
    const claimed = {
      ...session,
      'eventspine-tenant': 'rival',
      'eventspine-user': 'root',
      'x-tenant': 'rival',
      'x-user': 'root',
    };
    await site.ask(site.pages, 'POST', '/v1/workflows/letter/runs', claimed, {});
    expect(origin).toMatchObject({ tenant: 'acme', actor: 'client:acme-ada' });
  });
});

describe('what a token shows', () => {
  const events: RunEventView[] = [
    startedBy('client:acme-ada'),
    {
      seq: 2,
      id: `${run}/2`,
      type: 'step.completed',
      at: '2027-01-15T08:00:01.000Z',
      actor: 'worker:w',
      data: { path: 'draft', attempt: 1, durationMs: 5 },
      payload: 'the draft',
    },
    {
      seq: 3,
      id: `${run}/3`,
      type: 'step.retrying',
      at: '2027-01-15T08:00:01.000Z',
      actor: 'worker:w',
      data: {
        path: 'send',
        attempt: 1,
        retryAt: 5,
        failure: { class: 'internal', code: 'E', message: 'the password is 1234', retryable: true },
      },
    },
    {
      seq: 4,
      id: `${run}/4`,
      type: 'progress.reported',
      at: '2027-01-15T08:00:01.000Z',
      actor: 'worker:w',
      data: { index: 0 },
      payload: { done: 1 },
    },
    {
      seq: 5,
      id: `${run}/5`,
      type: 'run.failed',
      at: '2027-01-15T08:00:01.000Z',
      actor: 'engine',
      data: {
        failure: { class: 'internal', code: 'E', message: 'no luck', retryable: false, stack: 'at home' },
        path: 'send',
        deadLetter: 'dl_1',
      },
    },
  ];
  const follow: Engine['follow'] = (_tenant, _run, _after, handlers) => {
    handlers.onEvents(events, 'failed');
    handlers.onEnd('failed');
    return Promise.resolve(() => undefined);
  };

  async function streamOf(sees: 'progress' | 'everything'): Promise<string> {
    const site = installation({}, { follow });
    const { token } = await tokenOf(site, { sees });
    const answer = await site.ask(site.pages, 'GET', `/v1/runs/${run}/stream`, bearer(token));
    return await answer.text();
  }

  it('is progress and outcome, without values, workers and reasons of steps', async () => {
    const text = await streamOf('progress');
    for (const hidden of [
      'the input',
      'the draft',
      'password',
      'at home',
      'dl_1',
      'worker:w',
      'acme-ada',
      'durationMs',
    ]) {
      expect(text).not.toContain(hidden);
    }
    for (const shown of ['"path":"draft"', '"done":1', 'no luck', '"seq":5']) expect(text).toContain(shown);
  });

  it('is everything where it was made so', async () => {
    const text = await streamOf('everything');
    for (const shown of ['the input', 'the draft', 'password', 'worker:w']) expect(text).toContain(shown);
  });

  it('ends a stream that is open when it expires', async () => {
    const site = installation({}, { follow: () => Promise.resolve(() => undefined) });
    const { token, expiresAt } = await tokenOf(site, { expiresMs: 2_000 });
    site.clock.now = Date.parse(expiresAt) - 50;
    const answer = await site.ask(site.pages, 'GET', `/v1/runs/${run}/stream`, bearer(token));
    expect(await answer.text()).toContain('the read token has expired');
  });
});

describe('several authorize functions', () => {
  it('are asked in order, and the first that knows the caller decides', async () => {
    const asked: string[] = [];
    const one = (name: string, user: string | null) => (): Promise<Principal | null> => {
      asked.push(name);
      return Promise.resolve(user === null ? null : { tenant: 't', user, roles: [] });
    };
    let actor = '';
    const engine = fakeEngine({
      startRuns: (_origin, requests) => {
        actor = requests[0]?.origin?.actor ?? '';
        return Promise.resolve([{ tag: 'started', run }]);
      },
    });
    const server = createServer({
      engine,
      authorize: [one('keys', null), () => null, one('session', 'ada'), one('never', 'eve')],
    });
    const answer = await server.fetch(
      new Request('http://app.example.com/v1/workflows/a/runs', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '1',
      }),
    );
    expect(answer.status).toBe(202);
    expect([asked, actor]).toEqual([['keys', 'session'], 'client:ada']);
  });
});
