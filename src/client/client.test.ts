import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { hasCode, isSpineError } from '../core/errors.js';
import type { Problem, RunEventView, StartAnswer } from '../protocol/http.js';
import { createClient } from './client.js';
import type { ClientOptions } from './client-options.js';
import type { Pace } from './pace.js';
import type { RunStreamItem } from './run-stream.js';

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}
type Reply = (response: ServerResponse, request: Seen) => void;

let server: Server | null = null;

afterEach(() => {
  server?.closeAllConnections();
  server?.close();
  server = null;
});

/** A server that gives the replies one after the other (the last for ever) and remembers what it was asked. */
async function serve(...replies: Reply[]): Promise<{ url: string; seen: Seen[] }> {
  const seen: Seen[] = [];
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      const one: Seen = { method, url, headers, body: Buffer.concat(chunks).toString() };
      seen.push(one);
      (replies[seen.length - 1] ?? replies.at(-1))?.(response, one);
    });
  });
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

/** Waits no time at all and writes down how long it would have waited. */
function quickPace(): Pace & { readonly slept: number[] } {
  const slept: number[] = [];
  return {
    slept,
    sleep: (ms, signal) => {
      slept.push(ms);
      signal?.throwIfAborted();
      return Promise.resolve();
    },
    after: () => () => undefined,
    random: () => 0.5,
  };
}

function connect(url: string, options: Partial<ClientOptions> = {}): ReturnType<typeof createClient> {
  return createClient({ url, pace: quickPace(), ...options });
}

const json =
  (status: number, value: unknown, headers: Record<string, string> = {}): Reply =>
  (response) =>
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));

const cut: Reply = (response) => response.destroy();

function problem(code: string, status: number, more: Partial<Problem> = {}): Problem {
  const base = { type: 'about:blank', title: code, detail: `It is ${code}.`, mend: 'Mend it.', retryable: false };
  const kind = code === 'STORE_BUSY' ? ('transient' as const) : undefined;
  return { ...base, code, status, ...(kind === undefined ? {} : { kind }), ...more };
}

const started: StartAnswer = {
  id: 'run_1',
  state: 'queued',
  repeated: false,
  links: { self: '', history: '', result: '', stream: '' },
};

function event(seq: number): RunEventView {
  return { seq, id: `evt_${seq}`, type: 'step.completed', at: '2026-01-01T00:00:00.000Z', actor: 'engine', data: {} };
}

function sse(response: ServerResponse, ...items: { event: string; id?: string; data: unknown }[]): void {
  if (!response.headersSent) response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (const { event: name, id, data } of items) {
    response.write(`${id === undefined ? '' : `id: ${id}\n`}event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
  }
}

async function collect(stream: AsyncIterable<RunStreamItem>): Promise<string[]> {
  const out: string[] = [];
  for await (const item of stream) {
    if (item.event === 'event') out.push(`event ${item.data.seq}`);
    else if (item.event === 'gap') out.push(`gap ${item.data.from}-${item.data.to}`);
    else out.push(`${item.event} ${item.data.state}`);
  }
  return out;
}

describe('start', () => {
  it('sends input, labels and key, and gives a handle', async () => {
    const { url, seen } = await serve(json(202, started));
    const run = await connect(url, { token: () => 'secret', tenant: 'acme' }).start(
      'an swer',
      { q: 1 },
      { idempotencyKey: 'a"b', labels: { order: '1:7', kind: 'x' }, priority: 3 },
    );
    expect(run.id).toBe('run_1');
    expect(seen[0]).toMatchObject({
      method: 'POST',
      url: '/v1/workflows/an%20swer/runs?label=order%3A1%3A7&label=kind%3Ax&priority=3',
      body: '{"q":1}',
    });
    expect(seen[0]?.headers).toMatchObject({
      'idempotency-key': '"a\\"b"',
      authorization: 'Bearer secret',
      'eventspine-tenant': 'acme',
    });
  });

  it('repeats a start whose answer was lost under the same key that it made itself', async () => {
    const { url, seen } = await serve(cut, json(202, { ...started, repeated: true }));
    const run = await connect(url).start('answer', {});
    expect(run.repeated).toBe(true);
    const keys = seen.map((request) => request.headers['idempotency-key']);
    expect(keys[0]).toMatch(/^"[0-9a-f]{32}"$/);
    expect(keys).toEqual([keys[0], keys[0]]);
  });

  it('carries a key that no header can carry in the body', async () => {
    const { url, seen } = await serve(json(202, { items: [started] }));
    await connect(url).start('answer', {}, { idempotencyKey: 'größe' });
    expect(seen[0]?.url).toBe('/v1/workflows/answer/runs:batch');
    expect(JSON.parse(seen[0]?.body ?? '')).toEqual([{ input: {}, idempotencyKey: 'größe' }]);
  });

  it('waits as long as the server says before it tries again', async () => {
    const pace = quickPace();
    const { url } = await serve(
      json(503, problem('STORE_BUSY', 503, { retryable: true }), { 'retry-after': '7' }),
      json(202, started),
    );
    await connect(url, { pace }).start('answer', {});
    expect(pace.slept).toEqual([7_000]);
  });

  it('gives up after the tries it was given, with the error of the server', async () => {
    const { url, seen } = await serve(json(503, problem('STORE_BUSY', 503)));
    const failed = connect(url, { retry: { attempts: 3 } }).start('answer', {});
    await expect(failed).rejects.toMatchObject({ code: 'STORE_BUSY', kind: 'transient', mend: 'Mend it.' });
    expect(seen).toHaveLength(3);
  });

  it('does not repeat what the server refused for good', async () => {
    const { url, seen } = await serve(json(422, problem('INPUT_INVALID', 422, { faults: ['q is missing'] })));
    const error: unknown = await connect(url)
      .start('answer', {})
      .catch((e: unknown) => e);
    expect(isSpineError(error) && hasCode(error, 'INPUT_INVALID') && error.detail.faults).toEqual(['q is missing']);
    expect(seen).toHaveLength(1);
  });

  it('has the result at hand when the run ended within the wait', async () => {
    const { url, seen } = await serve(json(200, { text: '42' }, { location: '/v1/runs/run_9' }));
    const run = await connect(url).start('answer', {}, { wait: '5s' });
    expect(run.id).toBe('run_9');
    expect(await run.result()).toEqual({ text: '42' });
    expect(seen.map((request) => request.headers.prefer)).toEqual(['wait=5']);
  });

  it('keeps a failure within the wait for result(), since the run was started', async () => {
    const { url } = await serve(json(422, problem('RUN_FAILED', 422, { run: 'run_9' })));
    const run = await connect(url).start('answer', {}, { wait: 1_000 });
    await expect(run.result()).rejects.toMatchObject({ code: 'RUN_FAILED' });
  });

  it('says that nothing answers, and why', async () => {
    const failed = connect('http://127.0.0.1:1', { retry: { attempts: 2 } }).start('answer', {});
    await expect(failed).rejects.toMatchObject({ code: 'SERVER_UNREACHABLE' });
  });
});

describe('startMany', () => {
  it('gives an outcome for each run, in requests that a server takes', async () => {
    const batches: number[] = [];
    const { url } = await serve((response, request) => {
      const items = JSON.parse(request.body) as unknown[];
      batches.push(items.length);
      const answers = items.map((_, i) => (i === 1 ? { error: problem('INPUT_INVALID', 422) } : started));
      json(207, { items: answers })(response, request);
    });
    const outcomes = await connect(url).startMany(
      'answer',
      Array.from({ length: 1_500 }, (_, i) => ({ input: i })),
    );
    expect(batches).toEqual([1_000, 500]);
    expect(outcomes.map((outcome) => outcome.tag).slice(0, 3)).toEqual(['started', 'error', 'started']);
    expect(outcomes).toHaveLength(1_500);
  });
});

describe('publish', () => {
  const published = { items: [{ id: 'e1', topic: 't', duplicate: false, runs: ['run_1'] }] };

  it('wraps data into a CloudEvent whose id makes a repeat harmless', async () => {
    const { url, seen } = await serve(cut, json(202, published));
    const answer = await connect(url).publish('t', { n: 1 }, { key: 'k', subject: 's' });
    expect(answer.runs).toEqual(['run_1']);
    const events = seen.map((request) => JSON.parse(request.body) as Record<string, unknown>);
    expect(events[0]).toMatchObject({ specversion: '1.0', type: 't', data: { n: 1 }, partitionkey: 'k', subject: 's' });
    expect(events[1]?.['id']).toBe(events[0]?.['id']);
  });

  it('sends a whole CloudEvent as it is', async () => {
    const given = { specversion: '1.0', id: '7', source: '/me', type: 'x', data: 1, tag: 'y' } as const;
    const { url, seen } = await serve(json(202, published));
    await connect(url).publish('t', given);
    expect(JSON.parse(seen[0]?.body ?? '')).toEqual(given);
    expect(seen[0]?.headers['content-type']).toBe('application/cloudevents+json');
  });

  it('rejects with the problem of the event', async () => {
    const { url } = await serve(json(207, { items: [{ error: problem('INPUT_INVALID', 422) }] }));
    await expect(connect(url).publish('t', {})).rejects.toMatchObject({ code: 'INPUT_INVALID' });
  });
});

describe('commands', () => {
  it('asks again for a cancellation whose answer was lost, but not for a retry', async () => {
    const { url, seen } = await serve(cut, json(202, { id: 'run_1', outcome: 'done' }), cut);
    const client = connect(url);
    await client.run('run_1').cancel({ reason: 'why not' });
    expect(seen.map((request) => [request.url, request.body])).toEqual([
      ['/v1/runs/run_1/cancel', '{"reason":"why not"}'],
      ['/v1/runs/run_1/cancel', '{"reason":"why not"}'],
    ]);
    await expect(client.run('run_1').retry()).rejects.toMatchObject({ code: 'SERVER_UNREACHABLE' });
    expect(seen).toHaveLength(3);
  });

  it('retries many runs with one request', async () => {
    const { url, seen } = await serve(json(200, { items: [{ id: 'a', outcome: 'done' }] }));
    expect((await connect(url).runs.retry(['a', 'b'])).items).toHaveLength(1);
    expect(seen[0]).toMatchObject({ url: '/v1/runs:retry', body: '{"ids":["a","b"]}' });
  });
});

describe('lists', () => {
  it('walks over the pages as the loop gets there', async () => {
    const { url, seen } = await serve(
      json(200, { items: [{ id: 'a' }, { id: 'b' }], next: 'c1' }),
      json(200, { items: [{ id: 'c' }], next: null }),
    );
    const ids: string[] = [];
    for await (const run of connect(url).runs.list({ state: ['failed', 'refused'], limit: 2 })) ids.push(run.id);
    expect(ids).toEqual(['a', 'b', 'c']);
    expect(seen.map((request) => request.url)).toEqual([
      '/v1/runs?state=failed&state=refused&limit=2',
      '/v1/runs?state=failed&state=refused&limit=2&cursor=c1',
    ]);
  });

  it('does not loop for ever over a server that repeats its cursor', async () => {
    const { url, seen } = await serve(json(200, { items: [{ id: 'a' }], next: 'same' }));
    for await (const run of connect(url).runs.list()) expect(run.id).toBe('a');
    expect(seen).toHaveLength(2);
  });
});

describe('health', () => {
  it('takes not being ready as the answer that it is', async () => {
    const view = {
      status: 'not_ready',
      accepts: false,
      reasons: ['disk full'],
      version: '1',
      store: 'sqlite',
      uptimeMs: 1,
    };
    const { url, seen } = await serve(json(503, view));
    expect(await connect(url).health()).toEqual(view);
    expect(seen).toHaveLength(1);
  });
});

describe('stream', () => {
  it('goes on after the last event when the connection is cut, and gives none twice', async () => {
    const { url, seen } = await serve(
      (response) => {
        sse(response, { event: 'event', id: 'c1', data: event(1) }, { event: 'event', id: 'c2', data: event(2) });
        setImmediate(() => response.destroy());
      },
      json(503, problem('SHUTTING_DOWN', 503)),
      (response) => {
        sse(response, { event: 'event', id: 'c2', data: event(2) }, { event: 'event', id: 'c3', data: event(3) });
        sse(response, { event: 'end', data: { state: 'succeeded' } });
        response.end();
      },
    );
    const items = await collect(
      connect(url, { retry: { attempts: 1 } })
        .run('run_1')
        .stream(),
    );
    expect(items).toEqual(['event 1', 'event 2', 'event 3', 'end succeeded']);
    expect(seen.map((request) => request.headers['last-event-id'])).toEqual([undefined, 'c2', 'c2']);
  });

  it('shows a gap and what comes after it', async () => {
    const { url } = await serve((response) => {
      sse(response, { event: 'gap', data: { from: 1, to: 4 } }, { event: 'event', id: 'c5', data: event(5) });
      sse(response, { event: 'state', data: { state: 'running' } }, { event: 'end', data: { state: 'failed' } });
      response.end();
    });
    expect(await collect(connect(url).run('run_1').stream())).toEqual([
      'gap 1-4',
      'event 5',
      'state running',
      'end failed',
    ]);
  });

  it('begins after a cursor and ends at once where nothing is left', async () => {
    const { url, seen } = await serve((response) => response.writeHead(204).end());
    expect(await collect(connect(url).run('run_1').stream({ cursor: 'c9' }))).toEqual([]);
    expect(seen[0]?.headers['last-event-id']).toBe('c9');
  });

  it('gives up when connection after connection brings nothing', async () => {
    const pace = quickPace();
    const { url, seen } = await serve((response) => response.writeHead(200).end());
    const reading = collect(
      connect(url, { pace, reconnect: { attempts: 4 } })
        .run('run_1')
        .stream(),
    );
    await expect(reading).rejects.toMatchObject({ code: 'SERVER_UNREACHABLE' });
    expect(seen).toHaveLength(4);
    expect(pace.slept).toEqual([250, 500, 1_000]);
  });

  it('does not reconnect to a run that does not exist', async () => {
    const { url, seen } = await serve(json(404, problem('RUN_NOT_FOUND', 404)));
    await expect(collect(connect(url).run('run_1').stream())).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
    expect(seen).toHaveLength(1);
  });

  it('lets go of the connection when the caller leaves the loop', async () => {
    let closed: () => void = () => undefined;
    const gone = new Promise<void>((resolve) => {
      closed = resolve;
    });
    const { url } = await serve((response) => {
      response.on('close', closed);
      sse(response, { event: 'event', id: 'c1', data: event(1) });
    });
    for await (const item of connect(url).run('run_1').stream()) {
      expect(item.event).toBe('event');
      break;
    }
    await gone;
  });

  it('takes a silent connection for dead and opens another', async () => {
    let silence: (() => void) | null = null;
    const pace: Pace = {
      ...quickPace(),
      after: (ms, fn) => {
        if (ms === 45_000) silence = fn;
        return () => undefined;
      },
    };
    const { url } = await serve(
      (response) => {
        sse(response, { event: 'event', id: 'c1', data: event(1) });
        // The reader has the event once it asks for more; only then is the silence long enough.
      },
      (response) => {
        sse(response, { event: 'end', data: { state: 'succeeded' } });
        response.end();
      },
    );
    const seen: string[] = [];
    for await (const item of connect(url, { pace }).run('run_1').stream()) {
      seen.push(item.event);
      if (item.event === 'event') setImmediate(() => silence?.());
    }
    expect(seen).toEqual(['event', 'end']);
  });

  it('rejects with the reason of the signal', async () => {
    const controller = new AbortController();
    const { url } = await serve((response) => sse(response, { event: 'event', id: 'c1', data: event(1) }));
    const reading = (async () => {
      for await (const item of connect(url).run('run_1').stream({ signal: controller.signal })) {
        expect(item.event).toBe('event');
        controller.abort(new Error('enough'));
      }
    })();
    await expect(reading).rejects.toThrow('enough');
  });
});

describe('result', () => {
  it('follows the stream until there is one', async () => {
    const { url, seen } = await serve(
      json(409, problem('RUN_NOT_ENDED', 409)),
      (response) => {
        sse(response, { event: 'end', data: { state: 'succeeded' } });
        response.end();
      },
      json(200, { text: '42' }),
    );
    expect(await connect(url).run('run_1').result()).toEqual({ text: '42' });
    expect(seen.map((request) => request.url)).toEqual([
      '/v1/runs/run_1/result',
      '/v1/runs/run_1/stream',
      '/v1/runs/run_1/result',
    ]);
  });

  it('rejects with what the run ended with', async () => {
    const failure = { class: 'poison', code: 'BAD', message: 'bad' };
    const { url } = await serve(json(422, problem('RUN_FAILED', 422, { run: 'run_1', failure })));
    await expect(connect(url).run('run_1').result()).rejects.toMatchObject({
      code: 'RUN_FAILED',
      problem: { failure: { class: 'poison' } },
    });
  });
});

describe('createClient', () => {
  it('reports every fault of its options at once', () => {
    expect(() => createClient({ url: 'nowhere', timeoutMs: -1, retry: { attempts: 0 } })).toThrow(
      /url must be .*timeoutMs must be .*retry\.attempts must be/,
    );
  });

  it('does not take a page of a proxy for a problem', async () => {
    const { url } = await serve((response) => response.writeHead(404).end('<html>nothing here</html>'));
    await expect(connect(url).runs.get('run_1')).rejects.toMatchObject({ code: 'HTTP_404', kind: 'notFound' });
  });
});
