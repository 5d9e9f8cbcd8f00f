/**
 * Redaction as a caller meets it: an app with tagged fields whose values go everywhere that values can go, and every route
 * that reads, asked with and without the clearance. Nothing without it shows the canary; something of each kind does with it.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import { z } from 'zod';
import { routes, type Route, type RouteId } from '../protocol/routes.js';
import { fakeModel } from '../testing/kit/fake-model.js';
import {
  agent,
  capability,
  createSpine,
  defineApp,
  memory,
  message,
  model,
  schedule,
  signal,
  subscription,
  tagged,
  topic,
  workflow,
  type AnyApp,
  type Spine,
} from './index.js';

const canary = 'canary-7f3a';
const email = (n: number): string => `${canary}-${n}@example.com`;
const large = `${canary} ${'x'.repeat(200_000)}`;

const pii = tagged(z.string(), 'pii');
const Customer = z.object({ id: z.string(), email: pii, note: z.string().optional() });

const Order = z.object({ orderId: z.string(), email: pii });
const ordered = topic('ordered', { schema: Order, key: 'orderId' });
const mailed = topic('mailed', { schema: z.object({ email: pii, size: z.number() }), key: 'email', index: ['email'] });
const loose = topic('loose');
const graveyard = topic('graveyard');
const done = topic('done', { schema: z.object({ id: z.string(), email: pii }) });
const nudge = signal('nudge', { schema: z.object({ why: z.string(), email: pii }) });
const lookUp = capability('look-up', { input: Customer, output: z.object({ name: pii, tier: z.string() }) });
const writer = model('writer', {
  versions: { v1: { use: fakeModel({ text: `Dear ${canary}` }), price: { input: 1, output: 1 } } },
});

/** Sends what it is given everywhere. */
const everything = workflow(
  'everything',
  { input: Customer, signals: [nudge], completes: done },
  async (ctx, input) => {
    await ctx.step('read', () => ({ mail: input.email }));
    await ctx.step('given', input, (given) => given.email.length);
    await ctx.call(lookUp, input);
    await ctx.infer('letter', { model: 'writer', prompt: `Write to ${input.email}` });
    ctx.progress({ at: input.email });
    await ctx.step('wordy', async (step) => {
      await step.stream().write(input.email);
    });
    await ctx.emit(loose, { about: input.email });
    await ctx.waitFor(nudge);
    await ctx.approve('check', { to: 'role:boss', title: `Mail ${input.email}?`, show: input });
    return { id: input.id, email: input.email };
  },
);
const waiting = workflow('waiting', { input: Customer }, async (ctx, input) => {
  await ctx.waitFor(mailed, { match: { email: input.email } });
  return null;
});
const asked = workflow('asked', { input: Customer }, async (ctx, input) => {
  await ctx.approve('check', { to: 'role:boss', title: `Mail ${input.email}?`, show: input });
  return null;
});
const failing = workflow('failing', { input: Customer }, async (ctx, input) => {
  await ctx.step('send', () => {
    throw Object.assign(new Error(`No mailbox ${input.email}`), { retryable: false });
  });
});
const shipping = workflow('shipping', { input: Order }, async (ctx, { email: to }) => {
  await ctx.step('label', () => {
    throw Object.assign(new Error(`No address for ${to}`), { retryable: false });
  });
});
const bulky = workflow('bulky', { input: Customer }, async (ctx) => ctx.step('grow', () => large));
const open = workflow(
  'open',
  { input: Customer, shows: { output: true, progress: true, steps: ['count'] } },
  async (ctx, input) => {
    ctx.progress('half way');
    await ctx.step('hidden', () => input.email);
    return ctx.step('count', () => 3);
  },
);
const clerk = agent('clerk', {
  messages: [message('write', { schema: z.object({ to: pii }), reply: z.string() })],
  initial: { last: '' },
  on: {
    write: (self, { data }) => {
      self.state = { last: data.to };
      return `wrote to ${data.to}`;
    },
  },
});

const app = defineApp({
  name: 'shop',
  workflows: [everything, waiting, asked, failing, shipping, bulky, open],
  agents: [clerk],
  topics: [ordered, mailed, loose, graveyard, done],
  capabilities: [lookUp],
  models: [writer],
  handlers: [lookUp.implement(({ email: of }) => ({ name: `Jane ${of}`, tier: 'gold' }))],
  schedules: [schedule('nightly', { start: open, cron: '0 3 * * *', input: { id: 's', email: email(9) } })],
  subscriptions: [
    subscription('ship', { topic: ordered, start: shipping, from: 'oldest', dead: graveyard }),
    subscription('audit', { topic: mailed, from: 'oldest', dead: graveyard }),
  ],
});

let spine: Spine<AnyApp>;
/** What engine, worker and server have logged. */
const logged: string[] = [];
const note = (entry: object): void =>
  void logged.push(
    JSON.stringify(entry, (_, value: unknown) => (value instanceof Error ? String(value.stack) : value)),
  );
/** A receiver of webhooks, which repeats in its refusals what it was sent. */
let receiver: Server;
const received: { readonly path: string; readonly body: string }[] = [];
/** Whoever has no clearance, and an operator who has. */
const callers: Readonly<
  Record<string, { readonly clearances?: readonly string[]; readonly roles: readonly string[] }>
> = {
  none: { roles: ['operator', 'admin', 'boss'] },
  other: { roles: ['operator', 'admin'], clearances: ['health'] },
  cleared: { roles: ['operator', 'admin'], clearances: ['pii'] },
  byRole: { roles: ['operator', 'admin', 'privacy'] },
};
const runs: Record<string, string> = {};

async function ask(who: string, method: string, path: string, body?: unknown): Promise<Response> {
  return await spine.fetch(
    new Request(`http://localhost${path}`, {
      method,
      headers: { authorization: who, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }),
  );
}

async function read(who: string, path: string): Promise<unknown> {
  return await (await ask(who, 'GET', path)).json();
}

/** The beginning of a stream, as far as it comes at once. */
async function head(response: Response): Promise<string> {
  const reader = response.body?.getReader();
  if (reader === undefined) return '';
  let text = '';
  for (;;) {
    const next = await Promise.race([
      reader.read(),
      new Promise<null>((resolve) => setTimeout(() => resolve(null), 60)),
    ]);
    if (next === null || next.done) break;
    text += new TextDecoder().decode(next.value);
  }
  await reader.cancel();
  return text;
}

beforeAll(async () => {
  receiver = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      received.push({ path: request.url ?? '', body });
      response.statusCode = request.url === '/broken' ? 500 : 200;
      response.end(body);
    });
  });
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  const hooks = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`;
  spine = createSpine(app as AnyApp, {
    store: memory(),
    worker: { parkAfterMs: 0, log: note },
    engine: { lookEveryMs: 20 },
    log: note,
    server: {
      log: note,
      webhooks: { allowLoopback: true },
      redact: { roles: { privacy: ['pii'] } },
      authorize: ({ headers }) => {
        const known = callers[headers.get('authorization') ?? ''];
        return known === undefined ? null : { tenant: 'default', user: 'u', ...known };
      },
    },
  });
  const endpoint = { topics: ['mailed'], events: ['run.succeeded'], order: 'none' };
  for (const [name, more, who] of [
    ['plain', {}, 'none'],
    ['broken', { retry: { attempts: 1 } }, 'none'],
    ['partner', { clearances: ['pii'] }, 'cleared'],
  ] as const) {
    const put = await ask(who, 'PUT', `/v1/webhook-endpoints/${name}`, {
      ...endpoint,
      url: `${hooks}/${name}`,
      ...more,
    });
    expect(await put.json()).toMatchObject({ name });
  }
  const input = { id: 'c1', email: email(1), note: 'plain' };
  for (const name of ['everything', 'waiting', 'asked', 'failing', 'bulky', 'open'])
    runs[name] = (await spine.start(name, input)).id;
  await spine.run(runs['everything'] ?? '').signal('nudge', { why: 'now', email: email(2) });
  await spine.publish('ordered', { orderId: 'o1', email: email(3) }, { id: 'ordered-1' });
  await spine.publish('mailed', { email: email(4), size: 1 }, { id: 'mailed-1' });
  await spine.publish('mailed', { email: email(4), size: 2 }, { id: 'mailed-2' });
  expect(await spine.agent('clerk', 'k').ask('write', { to: email(5) })).toContain(canary);
  const items = async (page: {
    readonly page: () => Promise<{ readonly items: readonly unknown[] }>;
  }): Promise<number> => (await page.page()).items.length;
  await vi.waitFor(async () => expect(await items(spine.approvals.list({ to: '*' }))).toBe(2), { timeout: 10_000 });
  const mine = (await spine.approvals.list({ to: '*' }).page()).items.find(({ run }) => run === runs['everything']);
  await spine.approvals.comment(mine?.id ?? '', `ask ${email(6)}`);
  await spine.approvals.approve(mine?.id ?? '', { comment: `fine, ${email(6)}` });
  for (const name of ['everything', 'failing', 'bulky', 'open'])
    await spine
      .run(runs[name] ?? '')
      .result()
      .catch(() => undefined);
  const isIn = (path: string, text: string): boolean =>
    received.some((one) => one.path === path && one.body.includes(text));
  await vi.waitFor(
    () => {
      for (const path of ['/plain', '/broken', '/partner'])
        for (const text of ['"size":2', runs['everything'] ?? ''])
          expect(isIn(path, text), `${path} ${text}`).toBe(true);
    },
    { timeout: 10_000 },
  );
  await vi.waitFor(async () => expect(await items(spine.deadLetters.list())).toBeGreaterThan(4), { timeout: 10_000 });
  const all = await spine.runs.list({ workflow: 'eventspine.webhook' }).page();
  all.items.forEach(({ id }, i) => (runs[`delivery ${i}`] = id));
  const shipped = await spine.deadLetters.list().page();
  runs['shipping'] = shipped.items.find(({ workflow: of }) => of === 'shipping')?.run ?? '';
  const { events } = await spine.subscriptions.pull('audit', 'me', { max: 1 });
  const [first] = events;
  if (first === undefined) throw new Error('nothing was pulled');
  const { partition, offset, token } = first;
  await spine.subscriptions.nack('audit', 'me', [{ partition, offset, token }], {
    dead: true,
    reason: `bad ${email(7)}`,
  });
}, 30_000);

afterAll(async () => {
  await spine.close();
  receiver.closeAllConnections();
  await new Promise((resolve) => receiver.close(resolve));
});

/** Addresses of a route with everything there is to ask for. */
async function pathsOf(id: RouteId, { path }: Route): Promise<string[]> {
  const ids = Object.values(runs);
  if (path.includes('/approvals/{id}'))
    return [...(await approvals()), `${runs['everything']}.1`].map((one) => path.replace('{id}', one));
  if (path.includes('/dead-letters/{id}'))
    return (await listed('/v1/dead-letters')).map((one) => path.replace('{id}', one));
  if (path.includes('/dead-events/{id}'))
    return (await listed('/v1/dead-events')).map((one) => path.replace('{id}', one));
  if (path.includes('/runs/{id}')) return ids.map((one) => path.replace('{id}', one).replace('{name}', 'nudge'));
  if (path.includes('{agent}')) {
    return [path.replace('{agent}', 'clerk').replace('{key}', 'k').replace('{id}', 'm').replace('{type}', 'write')];
  }
  if (path.includes('{topic}')) {
    const known = (await spine.topics.list()).map(({ topic: name }) => name);
    const query = id === 'streamTopic' ? '?from=oldest' : '';
    return known.map((name) => path.replace('{topic}', encodeURIComponent(name)) + query);
  }
  const named: Readonly<Record<string, readonly string[]>> = {
    schedules: ['nightly'],
    subscriptions: ['audit', 'ship'],
    workflows: ['everything'],
    models: ['writer'],
    limits: ['none'],
    endpoints: ['shop'],
    'webhook-endpoints': ['plain', 'broken', 'partner'],
    redrives: ['none'],
    blobs: ['none'],
  };
  const kind = path.split('/')[2] ?? '';
  return path.includes('{')
    ? (named[kind] ?? ['none']).map((name) => path.replace(/\{\w+\}/g, name))
    : [id === 'listApprovals' ? `${path}?to=*` : path];
}

async function listed(path: string): Promise<string[]> {
  const { items } = (await read('cleared', path)) as { readonly items: readonly { readonly id: string }[] };
  return items.map(({ id }) => id);
}
const approvals = (): Promise<string[]> => listed('/v1/approvals?to=*');

const reading = (Object.entries(routes) as [RouteId, Route][]).filter(
  ([id, { method, access }]) => method === 'GET' && access !== 'worker' && id !== 'liveSocket',
);

/** Routes that show something tagged to those who are cleared for it. */
const telling: readonly RouteId[] = [
  'readTopic',
  'streamTopic',
  'listRuns',
  'readRun',
  'readHistory',
  'exportRun',
  'readResult',
  'streamRun',
  'listApprovals',
  'readApproval',
  'readAgent',
  'listDeadLetters',
  'readDeadLetter',
  'listDeadEvents',
  'readDeadEvent',
  'readSchedule',
  'listSchedules',
  'listDefinitions',
];

describe('a caller without the clearance', () => {
  it.each(reading)('is shown nothing tagged by %s', async (id, route) => {
    for (const path of await pathsOf(id, route)) {
      for (const who of ['none', 'other']) {
        const response = await ask(who, 'GET', path);
        const shown = route.answers[0]?.type === 'text/event-stream' ? await head(response) : await response.text();
        expect(shown, `${who} ${path}`).not.toContain(canary);
      }
    }
  });

  it.each(telling)('is told apart from one who has it by %s', async (id) => {
    const route = routes[id];
    for (const who of ['cleared', 'byRole']) {
      let shown = '';
      for (const path of await pathsOf(id, route)) {
        const response = await ask(who, 'GET', path);
        shown += route.answers[0]?.type === 'text/event-stream' ? await head(response) : await response.text();
      }
      expect(shown, who).toContain(canary);
    }
  });

  it('is shown the rest of a value, with the tags in the place of what is hidden', async () => {
    const { items } = (await read('none', `/v1/runs/${runs['everything']}/history`)) as {
      readonly items: readonly { readonly type: string; readonly payload?: unknown }[];
    };
    const payloadOf = (type: string): unknown => items.find((event) => event.type === type)?.payload;
    expect(payloadOf('run.started')).toEqual({ id: 'c1', email: { redacted: ['pii'] }, note: 'plain' });
    expect(payloadOf('call.completed')).toEqual({ name: { redacted: ['pii'] }, tier: 'gold' });
    expect(payloadOf('signal.received')).toEqual({ why: 'now', email: { redacted: ['pii'] } });
    expect(payloadOf('step.completed')).toEqual({ redacted: ['pii'] });
    expect(payloadOf('run.succeeded')).toEqual({ id: 'c1', email: { redacted: ['pii'] } });
    expect(await read('none', `/v1/runs/${runs['everything']}/result`)).toEqual({
      id: 'c1',
      email: { redacted: ['pii'] },
    });
  });

  it('is shown what a workflow says that everybody may see', async () => {
    expect(await read('none', `/v1/runs/${runs['open']}/result`)).toBe(3);
    expect(await read('none', `/v1/runs/${runs['open']}`)).toMatchObject({ progress: 'half way' });
    const { items } = (await read('none', `/v1/runs/${runs['open']}/history`)) as {
      readonly items: readonly { readonly data: { readonly path?: string }; readonly payload?: unknown }[];
    };
    expect(items.find(({ data, payload }) => data.path === 'count' && payload !== undefined)?.payload).toBe(3);
    expect(items.find(({ data, payload }) => data.path === 'hidden' && payload !== undefined)?.payload).toEqual({
      redacted: ['pii'],
    });
  });

  it('reads class and code of a failure, but not its words', async () => {
    const problem = (await read('none', `/v1/runs/${runs['failing']}/result`)) as Record<string, unknown>;
    expect(problem).toMatchObject({ code: 'RUN_FAILED', failure: { message: '[redacted: pii]' } });
    expect(JSON.stringify(problem)).not.toContain(canary);
  });

  it('pulls events without what is tagged, the key among it', async () => {
    const body = { consumer: 'other-one', max: 10 };
    const pulled = await (await ask('none', 'POST', '/v1/subscriptions/audit/pull', body)).text();
    expect(pulled).toContain('mailed-2');
    expect(pulled).not.toContain(canary);
    expect(JSON.parse(pulled)).toMatchObject({
      events: [{ key: '[redacted: pii]', event: { data: { email: { redacted: ['pii'] }, size: 2 } } }],
    });
  });

  it('cannot find out by asking whether a text is in what is hidden', async () => {
    const refused = { code: 'CLEARANCE_NEEDED' };
    const search = `/v1/dead-letters?text=${canary}`;
    expect(await read('none', search)).toMatchObject(refused);
    expect(await (await ask('cleared', 'GET', search)).text()).toContain(canary);
    expect(await (await ask('none', 'POST', '/v1/dead-letters:count', { text: canary })).json()).toMatchObject(refused);
    const redrive = { filter: { text: canary } };
    expect(await (await ask('none', 'POST', '/v1/redrives', redrive)).json()).toMatchObject(refused);
    const filtered = { topic: 'mailed', filter: { prefix: { 'data.email': canary } } };
    expect(await (await ask('none', 'PUT', '/v1/subscriptions/spy', filtered)).json()).toMatchObject(refused);
    const sent = { url: 'https://a.example/', topics: ['mailed'], filter: filtered.filter };
    expect(await (await ask('none', 'PUT', '/v1/webhook-endpoints/spy', sent)).json()).toMatchObject(refused);
    const plain = { topic: 'mailed', filter: { exact: { 'data.size': '1' } } };
    expect((await ask('none', 'PUT', '/v1/subscriptions/fair', plain)).status).toBe(200);
  });

  it('gets no export, which would be worth nothing without its values, and no bytes of large ones', async () => {
    expect(await read('none', `/v1/runs/${runs['bulky']}/export`)).toMatchObject({ code: 'CLEARANCE_NEEDED' });
    const { items } = (await read('cleared', `/v1/runs/${runs['bulky']}/history`)) as {
      readonly items: readonly { readonly blob?: { readonly hash: string } }[];
    };
    const hash = items.find(({ blob }) => blob !== undefined)?.blob?.hash ?? '';
    expect(await read('none', `/v1/blobs/default/${hash}`)).toMatchObject({ code: 'CLEARANCE_NEEDED' });
    expect(await (await ask('cleared', 'GET', `/v1/blobs/default/${hash}`)).text()).toContain(canary);
    const shown = await (await ask('none', 'GET', `/v1/runs/${runs['bulky']}/history`)).text();
    expect(shown).not.toContain(hash);
    expect(await read('none', `/v1/runs/${runs['bulky']}/result`)).toEqual({ redacted: ['pii'] });
  });

  it('is sent by webhooks what it may have, and cannot have more sent than that', async () => {
    for (const { path, body } of received) {
      if (path === '/partner') continue;
      expect(body, path).not.toContain(canary);
    }
    const partner = received.filter(({ path }) => path === '/partner').map(({ body }) => body);
    expect(partner.join('\n')).toContain(email(4));
    expect(received.find(({ path, body }) => path === '/plain' && body.includes('"size":2'))?.body).toContain(
      '"data":{"email":{"redacted":["pii"]},"size":2}',
    );
    const asked = { url: 'https://a.example/', topics: ['mailed'], clearances: ['pii'] };
    expect(await (await ask('none', 'PUT', '/v1/webhook-endpoints/more', asked)).json()).toMatchObject({
      code: 'OUT_OF_SCOPE',
    });
  });

  it('makes no key that is shown more, by its clearances or by its roles', async () => {
    const create = async (who: string, body: object): Promise<unknown> =>
      (await ask(who, 'POST', '/v1/keys', { name: 'reader', ...body })).json();
    for (const more of [{ clearances: ['pii'] }, { clearances: ['*'] }, { roles: ['privacy'] }])
      expect(await create('none', more)).toMatchObject({ code: 'KEY_REFUSED' });
    expect(await create('cleared', { clearances: ['pii'] })).toMatchObject({ name: 'reader' });
    const rotated = await ask('none', 'POST', '/v1/keys/reader/rotate', {});
    expect(await rotated.json()).toMatchObject({ code: 'KEY_REFUSED' });
  });

  it('is given no token that shows more, and one that shows as much only when asking for it', async () => {
    const tokenOf = async (who: string, body: unknown): Promise<Response> =>
      ask(who, 'POST', `/v1/runs/${runs['everything']}/tokens`, body);
    const result = async (token: string): Promise<string> =>
      await (await ask(`Bearer ${token}`, 'GET', `/v1/runs/${runs['everything']}/result`)).text();
    const made = async (body: unknown): Promise<string> =>
      ((await (await tokenOf('cleared', body)).json()) as { readonly token: string }).token;
    expect(await result(await made({}))).not.toContain(canary);
    expect(await result(await made({ clearances: ['pii'] }))).toContain(canary);
    for (const clearances of [['pii'], ['*']])
      expect(await (await tokenOf('none', { clearances })).json()).toMatchObject({ code: 'OUT_OF_SCOPE' });
    expect(await (await tokenOf('cleared', { clearances: ['*'] })).json()).toMatchObject({ code: 'OUT_OF_SCOPE' });
    const topic = { path: '/v1/topics/mailed/tokens', body: { past: true } };
    for (const [body, isShown] of [
      [topic.body, false],
      [{ ...topic.body, clearances: ['pii'] }, true],
    ] as const) {
      const { token } = (await (await ask('cleared', 'POST', topic.path, body)).json()) as { readonly token: string };
      const stream = await ask(`Bearer ${token}`, 'GET', '/v1/topics/mailed/stream?from=oldest');
      const text = await head(stream);
      expect(text).toContain('mailed-1');
      expect(text.includes(canary)).toBe(isShown);
    }
  });

  it('finds nothing tagged in the logs of server, engine and worker', () => {
    for (const line of logged) expect(line).not.toContain(canary);
  });

  it('is shown the same over a live socket', async () => {
    const node: Server = createServer((request, response) => spine.handle(request, response));
    node.on('upgrade', spine.upgrade);
    await new Promise<void>((resolve) => node.listen(0, '127.0.0.1', resolve));
    const { port } = node.address() as AddressInfo;
    const told = async (who: string): Promise<string> => {
      const socket = new WebSocket(`ws://127.0.0.1:${port}/v1/live`, { headers: { authorization: who } });
      let text = '';
      socket.on('message', (data: Buffer) => (text += data.toString()));
      await new Promise((resolve) => socket.once('open', resolve));
      socket.send(JSON.stringify({ t: 'subscribe', sub: 'r', run: runs['everything'] }));
      socket.send(JSON.stringify({ t: 'subscribe', sub: 't', topic: 'mailed', from: 'oldest' }));
      await expect
        .poll(() => text.includes('run.succeeded') && text.includes('mailed-2'), { timeout: 5_000 })
        .toBe(true);
      socket.terminate();
      return text;
    };
    expect(await told('cleared')).toContain(canary);
    expect(await told('none')).not.toContain(canary);
    node.closeAllConnections();
    await new Promise((resolve) => node.close(resolve));
  });
});
