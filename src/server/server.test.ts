import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { payloadOfJson } from '../core/codec.js';
import { SpineError } from '../core/errors.js';
import { limits } from '../core/limits.js';
import type { Engine, PublishRequest, StartRequest } from '../engine/api.js';
import type { Problem, RunFold, RunView } from '../protocol/http.js';
import { fakeEngine } from './engine.test.fake.js';
import { createServer } from './index.js';
import type { ServerLogEntry, ServerOptions } from './options.js';

const run = 'run_01jd00000000000000000000aa';
const base = 'http://localhost';

/** A server over the given methods, with what it logged. */
function serve(methods: Partial<Engine> = {}, options: Partial<ServerOptions> = {}) {
  const logged: ServerLogEntry[] = [];
  const server = createServer({ engine: fakeEngine(methods), log: (entry) => logged.push(entry), ...options });
  const ask = (method: string, path: string, init: RequestInit = {}): Promise<Response> =>
    server.fetch(new Request(base + path, { method, ...init }));
  const post = (path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> =>
    ask('POST', path, { body: JSON.stringify(body), headers: { 'content-type': 'application/json', ...headers } });
  return { server, logged, ask, post };
}

async function problemIn(response: Response): Promise<Problem> {
  expect(response.headers.get('content-type')).toBe('application/problem+json');
  const problem = (await response.json()) as Problem;
  expect(problem.status).toBe(response.status);
  return problem;
}

/** Starts that succeed, and what was asked for, without its origin. */
function starting() {
  const asked: (Omit<StartRequest, 'origin'> & { readonly origin: undefined })[] = [];
  const startRuns: Engine['startRuns'] = (_, requests) => {
    asked.push(...requests.map((request) => ({ ...request, origin: undefined })));
    return Promise.resolve(requests.map(() => ({ tag: 'started', run })));
  };
  return { asked, startRuns };
}

describe('starting a run', () => {
  it('answers 202 with the id, its address and when to look', async () => {
    const { asked, startRuns } = starting();
    const response = await serve({ startRuns }, { basePath: '/spine' }).post('/spine/v1/workflows/a%20b/runs', {
      q: 1,
    });
    expect(response.status).toBe(202);
    expect(response.headers.get('location')).toBe(`/spine/v1/runs/${run}`);
    expect(response.headers.get('retry-after')).toBe('1');
    const self = `/spine/v1/runs/${run}`;
    expect(await response.json()).toEqual({
      id: run,
      state: 'queued',
      repeated: false,
      links: { self, history: `${self}/history`, result: `${self}/result`, stream: `${self}/stream` },
    });
    expect(asked).toEqual([{ workflow: 'a b', input: payloadOfJson({ q: 1 }) }]);
  });

  it('passes on key, labels, priority, trace and request id', async () => {
    let origin: unknown;
    const { asked, startRuns } = starting();
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const { post } = serve({
      startRuns: (from, requests) => {
        origin = requests[0]?.origin;
        return startRuns(from, requests);
      },
    });
    const response = await post('/v1/workflows/a/runs?label=kind:x:y&label=n:1&priority=3', null, {
      'idempotency-key': '"a \\"b\\" \\\\"',
      traceparent,
      'x-request-id': 'req-7',
    });
    expect(response.headers.get('x-request-id')).toBe('req-7');
    expect(asked[0]).toMatchObject({ idempotencyKey: 'a "b" \\', labels: { kind: 'x:y', n: '1' }, priority: 3 });
    expect(origin).toEqual({ tenant: 'default', actor: 'client:anonymous', traceparent, correlation: 'req-7' });
  });

  it('takes a bare idempotency key, and an empty body as null', async () => {
    const { asked, startRuns } = starting();
    await serve({ startRuns }).ask('POST', '/v1/workflows/a/runs', { headers: { 'idempotency-key': 'k-1' } });
    expect(asked[0]).toEqual({ workflow: 'a', input: payloadOfJson(null), idempotencyKey: 'k-1' });
  });

  it.each(['""', '"open', 'a,b', `"${'x'.repeat(limits.keyLengthMax + 1)}"`, '"\\n"'])(
    'refuses the idempotency key %s',
    async (key) => {
      const response = await serve().post('/v1/workflows/a/runs', 1, { 'idempotency-key': key });
      expect((await problemIn(response)).code).toBe('REQUEST_INVALID');
    },
  );

  it('says the present state of a run that was started before', async () => {
    const response = await serve({
      startRuns: () => Promise.resolve([{ tag: 'repeated', run }]),
      waitForEnd: () => Promise.resolve('running'),
    }).post('/v1/workflows/a/runs', 1);
    expect(response.status).toBe(202);
    expect(await response.json()).toMatchObject({ repeated: true, state: 'running' });
  });

  it('answers with the result when the run ends within the wait that was preferred', async () => {
    let waited = 0;
    const { startRuns } = starting();
    const { post } = serve({
      startRuns,
      waitForEnd: (_tenant, _run, ms) => {
        waited = ms;
        return Promise.resolve('succeeded');
      },
      readResult: () => Promise.resolve({ state: 'succeeded', output: payloadOfJson({ a: [1] }) }),
    });
    const response = await post('/v1/workflows/a/runs', 1, { prefer: 'respond-async, wait=9999' });
    expect(response.status).toBe(200);
    expect(waited).toBe(limits.preferWaitMsMax);
    expect(response.headers.get('preference-applied')).toBe('wait=30');
    expect(response.headers.get('location')).toBe(`/v1/runs/${run}`);
    expect(await response.json()).toEqual({ a: [1] });
  });

  it('answers 202 when it does not', async () => {
    const { startRuns } = starting();
    const response = await serve({
      startRuns,
      waitForEnd: () => Promise.resolve('running'),
      readResult: () => Promise.resolve({ state: 'pending', now: 'running' }),
    }).post('/v1/workflows/a/runs', 1, { prefer: 'wait=1' });
    expect(response.status).toBe(202);
    expect(response.headers.get('preference-applied')).toBe('wait=1');
  });

  it('hands on what the engine refuses, with code and mend', async () => {
    const error = new SpineError('IDEMPOTENCY_KEY_REUSED', { key: 'k' });
    const { logged, post } = serve({ startRuns: () => Promise.resolve([{ tag: 'error', error }]) });
    const problem = await problemIn(await post('/v1/workflows/a/runs', 1));
    expect(problem).toMatchObject({ status: 422, code: 'IDEMPOTENCY_KEY_REUSED', retryable: false, mend: error.mend });
    expect(logged).toEqual([]);
  });

  it('asks to come back where the store is busy', async () => {
    const error = new SpineError('STORE_BUSY', {});
    const response = await serve({ startRuns: () => Promise.resolve([{ tag: 'error', error }]) }).post(
      '/v1/workflows/a/runs',
      1,
    );
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).toBe('1');
    expect((await problemIn(response)).retryable).toBe(true);
  });
});

describe('starting many runs', () => {
  const items = [{ input: 1 }, { input: 2, wrong: 3 }, { idempotencyKey: '' }, { input: 4, labels: { a: 'b' } }];

  it.each([
    ['a JSON array', 'application/json', JSON.stringify(items)],
    ['NDJSON', 'application/x-ndjson', `${items.map((item) => JSON.stringify(item)).join('\r\n')}\n\n`],
  ])('accepts or refuses each item of %s by itself', async (_, contentType, body) => {
    const { asked, startRuns } = starting();
    const response = await serve({ startRuns }).ask('POST', '/v1/workflows/a/runs:batch', {
      body,
      headers: { 'content-type': contentType },
    });
    expect(response.status).toBe(207);
    const answer = (await response.json()) as { items: { id?: string; error?: Problem }[] };
    expect(answer.items.map((item) => item.error?.code ?? item.id)).toEqual([
      run,
      'REQUEST_INVALID',
      'REQUEST_INVALID',
      run,
    ]);
    expect(asked.map((request) => request.labels)).toEqual([undefined, { a: 'b' }]);
  });

  it('takes a broken line for a broken item', async () => {
    const { startRuns } = starting();
    const response = await serve({ startRuns }).ask('POST', '/v1/workflows/a/runs:batch', {
      body: '{"input":1}\n{"input":',
      headers: { 'content-type': 'application/x-ndjson' },
    });
    const answer = (await response.json()) as { items: { error?: Problem }[] };
    expect(answer.items.map((item) => item.error?.code)).toEqual([undefined, 'BODY_NOT_JSON']);
  });

  it('refuses batches that are empty or too long', async () => {
    const { post } = serve();
    for (const batch of [[], new Array(limits.batchItemsMax + 1).fill({}), {}]) {
      expect((await problemIn(await post('/v1/workflows/a/runs:batch', batch))).code).toBe('REQUEST_INVALID');
    }
  });
});

describe('what may not be in a body', () => {
  const bodies: [string, string | Uint8Array, string][] = [
    ['broken JSON', '{"a":', 'BODY_NOT_JSON'],
    ['invalid UTF-8', new Uint8Array([0x22, 0xff, 0x22]), 'BODY_NOT_JSON'],
    ['a byte order mark', '\ufeff1', 'BODY_NOT_JSON'],
    ['a million levels', '['.repeat(1_000_000), 'VALUE_UNSTORABLE'],
    ['a million keys', `[${'{},'.repeat(1_000_000)}{}]`, 'VALUE_UNSTORABLE'],
    ['65 levels', `${'['.repeat(65)}${']'.repeat(65)}`, 'VALUE_UNSTORABLE'],
    ['NUL', '"a\\u0000"', 'VALUE_UNSTORABLE'],
    ['half of a surrogate pair', '"\\ud800"', 'VALUE_UNSTORABLE'],
    ['__proto__', '{"__proto__":{"x":1}}', 'VALUE_UNSTORABLE'],
  ];
  it.each(bodies)('refuses %s', async (_, body, code) => {
    const before = performance.now();
    const response = await serve().ask('POST', '/v1/workflows/a/runs', {
      body: body as string,
      headers: { 'content-type': 'application/json' },
    });
    const problem = await problemIn(response);
    expect(problem.code).toBe(code);
    expect(response.status).toBe(400);
    // Far below what the parser would take for the worst of them.
    expect(performance.now() - before).toBeLessThan(2_000);
  });

  it('does not send back what it could not parse', async () => {
    const response = await serve().ask('POST', '/v1/workflows/a/runs', {
      body: '{"secret-canary',
      headers: { 'content-type': 'application/json' },
    });
    expect(await response.text()).not.toContain('canary');
  });

  it('refuses bodies that are too large, whether they say so or not', async () => {
    const { ask } = serve({}, { limits: { bodyBytesMax: 10 } });
    const headers = { 'content-type': 'application/json' };
    const long = await ask('POST', '/v1/workflows/a/runs', { body: '"0123456789"', headers });
    expect((await problemIn(long)).code).toBe('BODY_TOO_LARGE');
    const stream = new Blob(['"0123', '456789"']).stream();
    const unsaid = await ask('POST', '/v1/workflows/a/runs', { body: stream, headers, duplex: 'half' } as RequestInit);
    expect(unsaid.status).toBe(413);
  });

  it('refuses other content types, and none', async () => {
    const { ask } = serve();
    for (const contentType of ['text/plain', 'application/x-www-form-urlencoded']) {
      const response = await ask('POST', '/v1/workflows/a/runs', {
        body: '1',
        headers: { 'content-type': contentType },
      });
      expect((await problemIn(response)).code).toBe('CONTENT_TYPE_UNSUPPORTED');
    }
    const none = await ask('POST', '/v1/workflows/a/runs', { body: new Blob(['1']) });
    expect(none.status).toBe(415);
  });
});

describe('publishing events', () => {
  function publishing() {
    const asked: PublishRequest[] = [];
    const publish: Engine['publish'] = (_, requests) => {
      asked.push(...requests);
      return Promise.resolve(
        requests.map(({ id }) =>
          id === 'old' ? ({ tag: 'duplicate', id } as const) : ({ tag: 'published', id, runs: [run] } as const),
        ),
      );
    };
    return { asked, publish };
  }
  const event = { specversion: '1.0', id: '1', source: '/s', type: 't', partitionkey: 'k', data: { a: 1 } };

  it('takes a structured CloudEvent', async () => {
    const { asked, publish } = publishing();
    const response = await serve({ publish }).post(
      '/v1/topics/top/events',
      { ...event, other: 5 },
      {
        'content-type': 'application/cloudevents+json',
      },
    );
    expect(response.status).toBe(202);
    expect(await response.json()).toEqual({ items: [{ id: '1', topic: 'top', duplicate: false, runs: [run] }] });
    expect(asked).toEqual([
      {
        topic: 'top',
        id: '1',
        source: '/s',
        type: 't',
        key: 'k',
        attributes: { other: 5 },
        data: payloadOfJson({ a: 1 }),
      },
    ]);
  });

  it('takes a binary CloudEvent with percent-encoded attributes', async () => {
    const { asked, publish } = publishing();
    const headers = {
      'content-type': 'application/json',
      'ce-specversion': '1.0',
      'ce-id': 'Euro%20%E2%82%AC%20%F0%9F%98%80',
      'ce-source': '/s',
      'ce-type': 't',
    };
    await serve({ publish }).post('/v1/topics/top/events', 7, headers);
    expect(asked[0]).toMatchObject({ id: 'Euro € 😀', data: payloadOfJson(7) });
  });

  it('judges each event of a batch by itself', async () => {
    const { asked, publish } = publishing();
    const batch = [event, { ...event, id: '' }, { ...event, id: 'old' }, { ...event, id: '4', data: '\u0000' }];
    const response = await serve({ publish }).post('/v1/topics/top/events', batch, {
      'content-type': 'application/cloudevents-batch+json',
    });
    expect(response.status).toBe(207);
    const { items } = (await response.json()) as { items: { id?: string; duplicate?: boolean; error?: Problem }[] };
    expect(items.map((item) => item.error?.code ?? [item.id, item.duplicate])).toEqual([
      ['1', false],
      'CLOUDEVENT_INVALID',
      ['old', true],
      'VALUE_UNSTORABLE',
    ]);
    expect(asked.map(({ id }) => id)).toEqual(['1', 'old']);
  });

  it('takes plain JSON as data and makes up an id, or takes the idempotency key for it', async () => {
    const { asked, publish } = publishing();
    const { post } = serve({ publish });
    await post('/v1/topics/top/events?key=k&type=x', [1]);
    await post('/v1/topics/top/events', 2, { 'idempotency-key': 'mine' });
    expect(asked[0]).toMatchObject({
      type: 'x',
      key: 'k',
      source: 'eventspine:client:anonymous',
      data: payloadOfJson([1]),
    });
    expect(asked[0]?.id).toMatch(/^evt_/);
    expect(asked[1]).toMatchObject({ type: 'top', id: 'mine' });
  });
});

describe('reading runs', () => {
  const view: RunFold = {
    id: run,
    tenant: 'default',
    workflow: 'a',
    version: null,
    state: 'running',
    startedAt: '2026-01-01T00:00:00.000Z',
    updatedAt: '2026-01-01T00:00:00.000Z',
    endedAt: null,
    events: 3,
    labels: {},
    failure: null,
    steps: [],
    served: true,
    waitingFor: [],
    retry: { possible: false, from: [] },
    deadLetter: null,
    parent: null,
    continuedBy: null,
    spend: { calls: 0, inputTokens: 0, outputTokens: 0, costMicros: 0, ambiguous: 0 },
    context: { saved: 0, fetched: 0, bundles: [] },
    progress: null,
    links: { self: 'x', history: 'x', result: 'x', stream: 'x' },
  };

  it('puts the links of a run under the base path', async () => {
    const { ask } = serve({ readRun: () => Promise.resolve(view) }, { basePath: '/p' });
    const answer = (await (await ask('GET', `/p/v1/runs/${run}`)).json()) as RunView;
    expect(answer.links.stream).toBe(`/p/v1/runs/${run}/stream`);
    // Where the stream goes on from this view.
    expect(answer.cursor).toMatch(/^3-/);
  });

  it('answers 404 for a run that is not there, of whatever look', async () => {
    const { ask } = serve({ readRun: () => Promise.resolve(null) });
    expect((await problemIn(await ask('GET', `/v1/runs/${run}`))).run).toBe(run);
    expect((await ask('GET', '/v1/runs/..%2f')).status).toBe(404);
    expect((await ask('GET', '/v1/runs/%ff')).status).toBe(404);
  });

  it('hands on every filter', async () => {
    let filter: unknown;
    const { ask } = serve({
      listRuns: (_, given) => {
        filter = given;
        return Promise.resolve({ items: [], next: null });
      },
    });
    const query =
      'state=failed,queued&state=waiting&workflow=w&failureClass=timeout&label=a:b&startedFrom=2026-01-01&startedBefore=2026-01-02T00:00:00Z&order=oldest&cursor=c&limit=7';
    expect((await ask('GET', `/v1/runs?${query}`)).status).toBe(200);
    expect(filter).toEqual({
      states: ['queued', 'waiting', 'failed'],
      workflow: 'w',
      failureClass: 'timeout',
      label: { name: 'a', value: 'b' },
      startedFrom: Date.UTC(2026, 0, 1),
      startedBefore: Date.UTC(2026, 0, 2),
      order: 'oldest',
      cursor: 'c',
      limit: 7,
    });
  });

  it.each(['state=done', 'limit=0', 'limit=501', 'limit=x', 'startedFrom=soon', 'order=up', 'label=x', 'stat=failed'])(
    'refuses the filter %s',
    async (query) => {
      expect((await problemIn(await serve().ask('GET', `/v1/runs?${query}`))).code).toBe('REQUEST_INVALID');
    },
  );

  it('pages through a history by cursors that are bound to the run', async () => {
    const asked: number[] = [];
    const { ask } = serve({
      readHistory: (_tenant, _run, { after, limit }) => {
        asked.push(after);
        const left = Math.min(limit, 3 - after);
        return Promise.resolve(
          Array.from({ length: left }, (_, i) => ({
            seq: after + i + 1,
            id: 'e',
            type: 't',
            at: '',
            actor: 'a',
            data: {},
          })),
        );
      },
    });
    const first = (await (await ask('GET', `/v1/runs/${run}/history?limit=2`)).json()) as {
      items: unknown[];
      next: string;
    };
    const second = (await (await ask('GET', `/v1/runs/${run}/history?limit=2&cursor=${first.next}`)).json()) as {
      items: unknown[];
      next: null;
    };
    expect([first.items.length, second.items.length, second.next]).toEqual([2, 1, null]);
    expect(asked).toEqual([0, 2]);
    const foreign = await ask('GET', `/v1/runs/run_other/history?cursor=${first.next}`);
    expect((await problemIn(foreign)).code).toBe('CURSOR_INVALID');
  });

  it.each([
    [{ state: 'succeeded', output: payloadOfJson('x') }, 200, undefined],
    [{ state: 'pending', now: 'running' }, 409, 'RUN_NOT_ENDED'],
    [{ state: 'failed', failure: { class: 'timeout', code: 'C', message: 'm' } }, 422, 'RUN_FAILED'],
    [{ state: 'refused', code: 'NO', data: payloadOfJson({ why: 1 }) }, 422, 'RUN_REFUSED'],
    [{ state: 'cancelled', reason: 'r' }, 409, 'RUN_CANCELLED'],
    [null, 404, 'RUN_NOT_FOUND'],
  ] as const)('answers the result %j with %i', async (result, status, code) => {
    const response = await serve({ readResult: () => Promise.resolve(result) }).ask('GET', `/v1/runs/${run}/result`);
    expect(response.status).toBe(status);
    const body = (await response.json()) as Partial<Problem>;
    expect(typeof body === 'object' ? body.code : undefined).toBe(code);
    if (code === 'RUN_NOT_ENDED') expect(response.headers.get('retry-after')).toBe('1');
    if (code === 'RUN_FAILED') expect(body).toMatchObject({ run, failure: { class: 'timeout' } });
    if (code === 'RUN_REFUSED') expect(body).toMatchObject({ run, data: { why: 1 } });
  });

  it('fetches a large result from its blob', async () => {
    const { ask } = serve({
      readResult: () => Promise.resolve({ state: 'succeeded', output: { codec: 'json/1', blob: 'h', size: 3 } }),
      readBlob: () => Promise.resolve(new TextEncoder().encode('[1]')),
    });
    expect(await (await ask('GET', `/v1/runs/${run}/result`)).json()).toEqual([1]);
  });
});

describe('commands', () => {
  it('says whether there was something to do', async () => {
    const reasons: unknown[] = [];
    const { post } = serve({
      cancel: (_origin, id, options) => {
        reasons.push(options);
        return Promise.resolve({ tag: id === run ? 'done' : 'already' });
      },
    });
    const done = await post(`/v1/runs/${run}/cancel`, { reason: 'enough' });
    expect([done.status, await done.json()]).toEqual([202, { id: run, outcome: 'done' }]);
    expect((await post('/v1/runs/run_2/cancel', {})).status).toBe(200);
    expect(reasons).toEqual([{ reason: 'enough' }, {}]);
  });

  it('carries out many, each by itself', async () => {
    const error = new SpineError('RUN_NOT_FOUND', { run: 'b' });
    const { post } = serve({
      redrive: (_, id) => Promise.resolve(id === 'b' ? { tag: 'error', error } : { tag: 'done' }),
    });
    const response = await post('/v1/runs:retry', { ids: ['a', 'b', 'a'] });
    expect(response.status).toBe(207);
    expect(await response.json()).toMatchObject({
      items: [
        { id: 'a', outcome: 'done' },
        { id: 'b', error: { status: 404 } },
      ],
    });
    expect((await post('/v1/runs:retry', { ids: [] })).status).toBe(400);
    expect((await post('/v1/runs:cancel', { id: ['a'] })).status).toBe(400);
  });

  it('redrives and discards dead letters', async () => {
    const letter = { id: 'dlq_1', run } as Awaited<ReturnType<Engine['readDeadLetter']>>;
    const redriven: string[] = [];
    const { ask } = serve({
      readDeadLetter: (_, id) => Promise.resolve(id === 'dlq_1' ? letter : null),
      redriveDeadLetter: (_, id) => {
        redriven.push(id);
        return Promise.resolve({ tag: 'done' });
      },
      discard: () => Promise.resolve({ tag: 'done' }),
    });
    expect((await ask('POST', '/v1/dead-letters/dlq_1/redrive')).status).toBe(202);
    expect(redriven).toEqual(['dlq_1']);
    expect((await ask('POST', '/v1/dead-letters/dlq_2/redrive')).status).toBe(404);
    expect((await ask('DELETE', '/v1/dead-letters/dlq_1')).status).toBe(204);
  });
});

describe('blobs', () => {
  const bytes = new Uint8Array([0, 255, 10]);
  const hash = createHash('sha256').update(bytes).digest('hex');
  const init = { body: bytes, headers: { 'content-type': 'application/octet-stream' } };

  it('stores what has the hash and gives it back', async () => {
    const kept = new Map<string, Uint8Array>();
    const { ask } = serve({
      putBlob: (_, key, value) => Promise.resolve(void kept.set(key, value)),
      readBlob: (_, key) => Promise.resolve(kept.get(key) ?? null),
    });
    expect((await ask('PUT', `/v1/blobs/default/${hash}`, init)).status).toBe(204);
    const response = await ask('GET', `/v1/blobs/default/${hash}`);
    expect(new Uint8Array(await response.arrayBuffer())).toEqual(bytes);
    expect(response.headers.get('cache-control')).toContain('immutable');
    const wrong = `${'0'.repeat(64)}`;
    expect((await problemIn(await ask('PUT', `/v1/blobs/default/${wrong}`, init))).code).toBe('BLOB_MISMATCH');
    expect((await ask('GET', `/v1/blobs/default/${wrong}`)).status).toBe(404);
    expect((await ask('GET', '/v1/blobs/default/..')).status).toBe(404);
    expect((await ask('GET', '/v1/blobs/default/xyz')).status).toBe(400);
  });

  it('shows those of another tenant to workers only', async () => {
    const readBlob = () => Promise.resolve(bytes);
    const as = (roles: string[]) =>
      serve({ readBlob }, { authorize: () => ({ tenant: 'mine', user: 'u', roles }) }).ask(
        'GET',
        `/v1/blobs/theirs/${hash}`,
      );
    expect((await as([])).status).toBe(404);
    expect((await as(['worker'])).status).toBe(200);
  });
});

describe('who may ask', () => {
  const health = { status: 'ok', accepts: true, reasons: [], version: '1', store: 's', uptimeMs: 1 } as const;

  it('works within the tenant that `authorize` names, and refuses strangers', async () => {
    const tenants: string[] = [];
    const { ask } = serve(
      {
        listRuns: (tenant) => {
          tenants.push(tenant);
          return Promise.resolve({ items: [], next: null });
        },
      },
      {
        authorize: ({ headers, url }) => {
          expect(url).toBe('/v1/runs?limit=1');
          const token = headers.get('Authorization');
          return token === null ? null : { tenant: token, user: 'u', roles: [] };
        },
      },
    );
    const stranger = await ask('GET', '/v1/runs?limit=1');
    expect([stranger.status, stranger.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
    await ask('GET', '/v1/runs?limit=1', { headers: { authorization: 'acme' } });
    expect(tenants).toEqual(['acme']);
  });

  it('shows what concerns all tenants to operators only', async () => {
    const methods = { queues: () => Promise.resolve([]), health: () => Promise.resolve(health) };
    const as = (roles: string[]) =>
      serve(methods, { authorize: () => Promise.resolve({ tenant: 't', user: 'u', roles }) });
    expect((await problemIn(await as([]).ask('GET', '/v1/queues'))).code).toBe('FORBIDDEN');
    expect((await as(['operator']).ask('GET', '/v1/queues')).status).toBe(200);
    const nobody = serve(methods, { authorize: () => null });
    expect((await nobody.ask('GET', '/health/ready')).status).toBe(200);
  });

  it('answers loopback names only while there is no `authorize`', async () => {
    const { server } = serve({ health: () => Promise.resolve(health) });
    const at = async (host: string) => (await server.fetch(new Request(`http://${host}/health/live`))).status;
    expect(await at('127.0.0.1:8787')).toBe(200);
    expect(await at('[::1]:80')).toBe(200);
    expect(await at('rebound.example.com')).toBe(421);
    expect(await at('localhost.example.com')).toBe(421);
  });

  it('refuses commands of pages from other origins, unless they are declared', async () => {
    const { startRuns } = starting();
    const headers = { origin: 'https://evil.example', 'content-type': 'application/json' };
    const refused = await serve({ startRuns }).post('/v1/workflows/a/runs', 1, headers);
    expect((await problemIn(refused)).code).toBe('ORIGIN_REFUSED');
    const cors = { origins: ['https://evil.example'] };
    const allowed = await serve({ startRuns }, { cors }).post('/v1/workflows/a/runs', 1, headers);
    expect(allowed.status).toBe(202);
    expect(allowed.headers.get('access-control-allow-origin')).toBe('https://evil.example');
    expect(allowed.headers.get('access-control-expose-headers')).toContain('location');
    const same = await serve({ startRuns }).post('/v1/workflows/a/runs', 1, { origin: base });
    expect(same.status).toBe(202);
  });

  it('answers a preflight of a declared origin', async () => {
    const { ask } = serve({}, { cors: { origins: ['https://app.example'], credentials: true } });
    const preflight = (origin: string) =>
      ask('OPTIONS', '/v1/runs', { headers: { origin, 'access-control-request-method': 'GET' } });
    const response = await preflight('https://app.example');
    expect(response.status).toBe(204);
    expect(response.headers.get('access-control-allow-headers')).toContain('last-event-id');
    expect(response.headers.get('access-control-allow-credentials')).toBe('true');
    expect((await preflight('https://other.example')).headers.get('access-control-allow-origin')).toBeNull();
  });
});

describe('the shape of answers', () => {
  it('lists the methods of a path', async () => {
    const { ask } = serve();
    const response = await ask('PATCH', '/v1/dead-letters/x');
    expect((await problemIn(response)).code).toBe('METHOD_NOT_ALLOWED');
    expect(response.headers.get('allow')).toBe('GET, HEAD, DELETE, OPTIONS');
    expect((await ask('OPTIONS', '/v1/runs')).headers.get('allow')).toBe('GET, HEAD, OPTIONS');
  });

  it('answers 404 for what is not a route', async () => {
    const { ask } = serve();
    for (const path of ['/', '/v1', '/v1/runs/', '/v1/runs:other', '/v1/workflows/a/runs:foo', '/v2/runs']) {
      expect((await problemIn(await ask('GET', path))).code).toBe('ROUTE_NOT_FOUND');
    }
  });

  it('hides what went wrong inside and logs it under the reference', async () => {
    const secret = new Error('secret canary');
    const { ask, logged } = serve({ listRuns: () => Promise.reject(secret) });
    const response = await ask('GET', '/v1/runs', { headers: { 'x-request-id': 'req-1' } });
    const text = await response.text();
    expect(response.status).toBe(500);
    expect(text).not.toContain('canary');
    expect(text).toContain('reference req-1');
    expect(logged).toMatchObject([{ level: 'error', reference: 'req-1', error: secret }]);
  });

  it('is told of a store that is not ready', async () => {
    const { ask } = serve({
      health: () =>
        Promise.resolve({
          status: 'not_ready',
          accepts: false,
          reasons: ['disk full'],
          version: '1',
          store: 's',
          uptimeMs: 1,
        }),
    });
    const response = await ask('GET', '/health/ready');
    expect([response.status, ((await response.json()) as { reasons: string[] }).reasons]).toEqual([503, ['disk full']]);
    expect((await ask('GET', '/health/live')).status).toBe(200);
  });

  it('answers HEAD like GET without a body', async () => {
    const response = await serve().ask('HEAD', '/health/live');
    expect([response.status, await response.text()]).toEqual([200, '']);
  });
});

describe('options', () => {
  it('names every fault at once', () => {
    const options = {
      engine: fakeEngine(),
      port: -1,
      basePath: 'x/',
      host: '0.0.0.0',
      prot: 1,
      limits: { closeMs: 0 },
    };
    expect(() => createServer(options)).toThrow(/port is not.*basePath.*authorize.*closeMs/s);
    expect(() => createServer(options)).toThrow(/prot is not an option/);
  });

  it('takes an address that others can reach with `authorize`', () => {
    expect(() => createServer({ engine: fakeEngine(), host: '0.0.0.0', authorize: () => null })).not.toThrow();
  });
});
