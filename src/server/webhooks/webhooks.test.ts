/** Webhook endpoints over a real engine and real HTTP: what receivers get, and what becomes of it when they misbehave. */
import { createServer as createNodeServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Webhook } from 'standardwebhooks';
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { payloadOfJson } from '../../core/codec.js';
import type { Engine, Origin } from '../../engine/api.js';
import { createEngine } from '../../engine/index.js';
import type { PageView, RunView } from '../../protocol/http.js';
import type { WebhookDelivery, WebhookPing, WebhookSecrets, WebhookView } from '../../protocol/webhook-views.js';
import { nodePorts } from '../../runtime/index.js';
import { createMemoryStore } from '../../store/memory.js';
import { createInProcessTransport, createWorker } from '../../worker/index.js';
import { defineApp, tagged, topic, workflow } from '../../workflow/index.js';
import { verify } from '../../webhooks/index.js';
import { createServer, type ServerOptions, type SpineServer } from '../index.js';

const origin: Origin = { tenant: 'default', actor: 'test', traceparent: null, correlation: null };
const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of cleanUps.splice(0).reverse()) await end();
});

interface Got {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A receiver; `answer` says what it answers to its nth message, counted from 1. */
async function receiver(
  answer: (got: Got, n: number, response: ServerResponse) => void = (_, __, response) => response.end(),
) {
  const got: Got[] = [];
  const heard: (() => void)[] = [];
  const server = createNodeServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const one = { path: request.url ?? '', headers: request.headers, body: Buffer.concat(chunks).toString() };
      got.push(one);
      answer(one, got.length, response);
      for (const hear of heard.splice(0)) hear();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanUps.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hooks?key=hidden`;
  const until = async (holds: () => boolean): Promise<void> => {
    while (!holds()) await new Promise<void>((resolve) => heard.push(resolve));
  };
  return { url, got, until };
}

const orders = topic('orders', { key: 'id', partitions: 2 });
const echo = workflow('echo', {}, async (_, input: unknown) => input);
const broken = workflow('broken', { retry: { attempts: 1 } }, async () => {
  throw new Error('a secret that nobody outside is to read');
});
/** One field of it is for those only who are cleared for it. */
const people = topic('people', { key: 'id', schema: z.object({ id: z.string(), mail: tagged(z.string(), 'pii') }) });
const app = defineApp({ name: 'shop', topics: [orders], workflows: [echo, broken] });
const crm = defineApp({ name: 'crm', topics: [people] });

async function spine(options: Partial<ServerOptions> = {}) {
  const store = createMemoryStore({ clock: nodePorts.clock });
  const engine = createEngine({ store, ports: nodePorts });
  await engine.start();
  cleanUps.push(() => engine.stop());
  const worker = createWorker({ app, connect: createInProcessTransport(engine) });
  await worker.start();
  cleanUps.push(() => worker.stop());
  const server = createServer({ engine, port: 0, webhooks: { allowLoopback: true }, ...options });
  cleanUps.push(() => server.close());
  const call = caller(server);
  return { engine, server, call };
}

function caller(server: SpineServer) {
  return async <T>(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<T> => {
    const response = await server.fetch(
      new Request(`http://localhost${path}`, {
        method,
        headers: { 'content-type': 'application/json', ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    );
    const text = await response.text();
    return (text === '' ? null : JSON.parse(text)) as T;
  };
}

async function publish(engine: Engine, ...data: readonly { readonly id: string }[]): Promise<void> {
  const outcomes = await engine.publish(
    origin,
    data.map((one, i) => ({
      topic: 'orders',
      id: `${one.id}-${i}-${String(Math.random())}`,
      source: 'test',
      type: 'order.placed',
      data: payloadOfJson(one),
    })),
  );
  for (const outcome of outcomes) expect(outcome.tag).toBe('published');
}

const quick = { retry: { attempts: 5, min: '5ms', max: '20ms' } };
const list = async (call: ReturnType<typeof caller>, query = ''): Promise<readonly WebhookDelivery[]> =>
  (await call<PageView<WebhookDelivery>>('GET', `/v1/webhook-endpoints/shop/deliveries${query}`)).items;
/** Deliveries in a state, when there are so many. */
async function deliveries(call: ReturnType<typeof caller>, state: string, count: number) {
  for (;;) {
    const found = await list(call, `?state=${state}`);
    if (found.length >= count) return found;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describe('a webhook endpoint', () => {
  it('is sent events of its topics, signed so that others believe it', async () => {
    const { engine, call } = await spine();
    const { url, got, until } = await receiver();
    const view = await call<WebhookView>('PUT', '/v1/webhook-endpoints/shop', { url, topics: ['orders'] });
    expect(view).toMatchObject({ name: 'shop', disabled: null, order: 'key', url: url.replace(/\?.*/, '') });
    const { secrets } = await call<WebhookSecrets>('GET', '/v1/webhook-endpoints/shop/secrets');
    await publish(engine, { id: 'o1' }, { id: 'o2' });
    await until(() => got.length === 2);
    for (const { body, headers, path } of got) {
      const said = new Webhook(secrets[0] ?? '').verify(body, headers as Record<string, string>);
      expect(said).toMatchObject({
        type: 'order.placed',
        topic: 'orders',
        data: { id: expect.stringMatching(/^o/) as unknown },
      });
      expect(path).toBe('/hooks?key=hidden');
      expect(headers['webhook-id']).toMatch(/^msg_[0-9a-f]{32}$/);
    }
    const [one] = await deliveries(call, 'delivered', 2);
    expect(one).toMatchObject({ type: 'order.placed', attempts: 1, failure: null, event: { topic: 'orders' } });
  });

  it('is sent the same message again until it takes it, under one id and never the same timestamp for ever', async () => {
    const { engine, call } = await spine();
    const { url, got, until } = await receiver((_, n, response) => response.writeHead(n < 3 ? 500 : 204).end());
    await call('PUT', '/v1/webhook-endpoints/shop', { url, topics: ['orders'], ...quick });
    await publish(engine, { id: 'o1' });
    await until(() => got.length === 3);
    expect(new Set(got.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    expect(new Set(got.map(({ body }) => body)).size).toBe(1);
    expect(got.map(({ headers }) => headers['eventspine-attempt'])).toEqual(['1', '2', '3']);
    const [one] = await deliveries(call, 'delivered', 1);
    expect(one?.attempts).toBe(3);
  });

  it('is left alone for as long as it asks', async () => {
    const { engine, call } = await spine();
    const at: number[] = [];
    const { url, got, until } = await receiver((_, n, response) => {
      at.push(performance.now());
      if (n === 1) response.writeHead(429, { 'retry-after': '1' }).end();
      else response.end();
    });
    await call('PUT', '/v1/webhook-endpoints/shop', { url, topics: ['orders'], ...quick });
    await publish(engine, { id: 'o1' });
    await until(() => got.length === 2);
    expect((at[1] ?? 0) - (at[0] ?? 0)).toBeGreaterThanOrEqual(990);
  });

  it('that says it is gone is shut; events wait until it is opened, and what was given up is redriven', async () => {
    const { engine, call } = await spine();
    let status = 410;
    const { url, got, until } = await receiver((_, __, response) => response.writeHead(status).end());
    await call('PUT', '/v1/webhook-endpoints/shop', { url, topics: ['orders'], ...quick });
    await publish(engine, { id: 'o1' });
    const [failed] = await deliveries(call, 'failed', 1);
    expect(failed?.failure).toMatchObject({ code: 'HTTP_410' });
    const view = await call<WebhookView>('GET', '/v1/webhook-endpoints/shop');
    expect(view.disabled).toMatchObject({ by: 'webhook:shop', reason: 'the receiver answered 410' });
    await publish(engine, { id: 'o2' });
    const told = await engine.readTopic('default', 'eventspine.webhooks', { partition: 0, after: -1, limit: 10 });
    expect(told.items.map(({ event }) => (event['data'] as { change: string }).change)).toEqual(['made', 'disabled']);
    expect(got).toHaveLength(1);
    status = 200;
    await call('POST', '/v1/webhook-endpoints/shop/enable');
    await until(() => got.length === 2);
    expect(JSON.parse(got[1]?.body ?? '')).toMatchObject({ data: { id: 'o2' } });
    expect(await call('POST', '/v1/webhook-endpoints/shop/redrive')).toEqual({ redriven: 1, more: false });
    await until(() => got.length === 3);
    expect(got[2]?.headers['webhook-id']).toBe(got[0]?.headers['webhook-id']);
  });

  it('gives up at last, and visibly; a message that cannot be taken sooner', async () => {
    const { engine, call } = await spine();
    const { url, got } = await receiver((_, __, response) => response.writeHead(422).end('no such field'));
    const retry = { attempts: 50, min: '1ms', max: '2ms' };
    await call('PUT', '/v1/webhook-endpoints/shop', { url, topics: ['orders'], retry });
    await publish(engine, { id: 'o1' });
    const [failed] = await deliveries(call, 'failed', 1);
    expect(failed).toMatchObject({
      attempts: 5,
      failure: { class: 'invalid_request', code: 'HTTP_422', message: 'The receiver answered 422: no such field' },
    });
    expect(got).toHaveLength(5);
    const letters = await engine.listDeadLetters('default', { workflow: 'eventspine.webhook' });
    expect(letters.items).toHaveLength(1);
  });

  it('takes a redirect for a failure, and is not followed to another place', async () => {
    const { engine, call } = await spine();
    const inside = await receiver();
    const { url, got } = await receiver((_, __, response) => response.writeHead(307, { location: inside.url }).end());
    await call('PUT', '/v1/webhook-endpoints/shop', {
      url,
      topics: ['orders'],
      retry: { attempts: 2, min: 1, max: 1 },
    });
    await publish(engine, { id: 'o1' });
    const [failed] = await deliveries(call, 'failed', 1);
    expect(failed?.failure?.code).toBe('HTTP_307');
    expect(got).toHaveLength(2);
    expect(inside.got).toHaveLength(0);
  });

  it('keeps the order of a key, whatever happens to its first message', async () => {
    const { engine, call } = await spine();
    const seen: string[] = [];
    const { url, until } = await receiver((got, n, response) => {
      if (n === 1) return void response.writeHead(500).end();
      seen.push((JSON.parse(got.body) as { data: { id: string; n: number } }).data.n.toString());
      response.end();
    });
    await call('PUT', '/v1/webhook-endpoints/shop', { url, topics: ['orders'], ...quick });
    const data = [1, 2, 3, 4].map((n) => ({ id: 'o1', n }));
    for (const one of data) await publish(engine, one);
    await until(() => seen.length === 4);
    expect(seen).toEqual(['1', '2', '3', '4']);
  });

  it('that is slow does not hold up others', async () => {
    const { engine, call } = await spine();
    const slow = await receiver(() => {});
    const { url, got, until } = await receiver();
    await call('PUT', '/v1/webhook-endpoints/slow', { url: slow.url, topics: ['orders'], order: 'none' });
    await call('PUT', '/v1/webhook-endpoints/shop', { url, topics: ['orders'], order: 'none' });
    for (let i = 0; i < 8; i++) await publish(engine, ...Array.from({ length: 25 }, (_, n) => ({ id: `o${i}.${n}` })));
    await until(() => got.length === 200);
    expect(slow.got.length).toBeLessThanOrEqual(64);
  });

  it('is signed with the old and the new secret while it is rotated, and by a key pair where it asks for one', async () => {
    const { engine, call } = await spine();
    const { url, got, until } = await receiver();
    await call('PUT', '/v1/webhook-endpoints/shop', { url, topics: ['orders'], asymmetric: true });
    const before = await call<WebhookSecrets>('GET', '/v1/webhook-endpoints/shop/secrets');
    const after = await call<WebhookSecrets>('POST', '/v1/webhook-endpoints/shop/rotate', { overlap: '1h' });
    expect(after.secrets).toHaveLength(2);
    expect(after.secrets[1]).toBe(before.secrets[0]);
    await publish(engine, { id: 'o1' });
    await until(() => got.length === 1);
    const { body, headers } = got[0] as Got;
    for (const secret of after.secrets) new Webhook(secret).verify(body, headers as Record<string, string>);
    const signatures = String(headers['webhook-signature']).split(' ');
    expect(signatures.map((one) => one.split(',')[0])).toEqual(['v1', 'v1', 'v1a', 'v1a']);
    for (const secret of after.publicKeys)
      expect(verify.standard({ headers, body }, { secret }).id).toBe(headers['webhook-id']);
    expect(after.publicKeys).toHaveLength(2);
    // The overlap over, the old one is no longer believed.
    const over = await call<WebhookSecrets>('POST', '/v1/webhook-endpoints/shop/rotate', { overlap: 0 });
    expect(over.secrets).toHaveLength(1);
    expect(before.secrets).not.toContain(over.secrets[0]);
  });

  it('is tried out, and its past is sent once more from a place', async () => {
    const { engine, call } = await spine();
    const { url, got, until } = await receiver();
    await call('PUT', '/v1/webhook-endpoints/shop', { url, topics: ['orders'] });
    const ping = await call<WebhookPing>('POST', '/v1/webhook-endpoints/shop/ping');
    expect(ping).toMatchObject({ delivered: true, status: 200, reason: null });
    expect(JSON.parse(got[0]?.body ?? '')).toMatchObject({ type: 'webhook.ping' });
    await publish(engine, { id: 'o1' });
    await until(() => got.length === 2);
    await call('POST', '/v1/webhook-endpoints/shop/replay', { from: 'oldest' });
    await until(() => got.length === 3);
    expect(got[2]?.headers['webhook-id']).toBe(got[1]?.headers['webhook-id']);
  });

  it('is refused where it is none that a server may send to, and with all faults at once', async () => {
    const { call } = await spine();
    for (const url of ['http://example.com/', 'https://10.0.0.1/', 'https://169.254.169.254/', 'nonsense'])
      expect(await call('PUT', '/v1/webhook-endpoints/shop', { url, topics: ['orders'] })).toMatchObject({
        code: 'ENDPOINT_REFUSED',
      });
    expect(
      await call('PUT', '/v1/webhook-endpoints/shop', { url: 'https://example.com/', order: 'fast', events: ['x'] }),
    ).toMatchObject({ code: 'WEBHOOK_INVALID', detail: expect.stringMatching(/events.*order/s) as unknown });
    expect(
      await call('PUT', '/v1/webhook-endpoints/shop', { url: 'https://example.com/', topics: ['nothing'] }),
    ).toMatchObject({ code: 'TOPIC_UNKNOWN' });
    expect(await call('GET', '/v1/webhook-endpoints/shop')).toMatchObject({ code: 'WEBHOOK_NOT_FOUND' });
  });
});

describe('what goes outside', () => {
  it('has nothing of tagged fields, and neither has what is shown of its delivery', async () => {
    const { engine, call } = await spine();
    const { url, got, until } = await receiver((_, n, response) => response.writeHead(n === 1 ? 500 : 200).end('oh'));
    await engine.register(crm.manifest);
    await call('PUT', '/v1/webhook-endpoints/shop', { url, topics: ['people'], ...quick });
    const data = payloadOfJson({ id: 'p1', mail: 'canary@example.com' });
    await engine.publish(origin, [{ topic: 'people', id: 'p1', source: 'test', type: 'person.added', data }]);
    await until(() => got.length === 2);
    for (const { body } of got)
      expect(JSON.parse(body)).toMatchObject({ data: { id: 'p1', mail: { redacted: ['pii'] } } });
    const [one] = await deliveries(call, 'delivered', 1);
    for (const path of ['', '/history', '/result', '/export'])
      expect(JSON.stringify(await call('GET', `/v1/runs/${one?.run}${path}`))).not.toContain('canary');
    expect(JSON.stringify(one)).not.toContain('canary');
  });

  it('is only what whoever makes an endpoint may hear', async () => {
    let permissions: readonly string[] = [];
    const { call } = await spine({
      authorize: () => ({ tenant: 'default', user: 'ada', roles: [], permissions }),
    });
    const ask = (...given: readonly string[]) => {
      permissions = ['manage:webhook/shop', ...given];
      return (body: object) => call('PUT', '/v1/webhook-endpoints/shop', { url: 'https://example.com/', ...body });
    };
    const orders = { topics: ['orders'] };
    const failures = { events: ['run.failed'] };
    const refused = { code: 'PERMISSION_MISSING' };
    expect(await ask()(orders)).toMatchObject(refused);
    expect(await ask('subscribe:topic/people')(orders)).toMatchObject(refused);
    expect(await ask('subscribe:topic/orders')(orders)).toMatchObject({ name: 'shop' });
    expect(await ask('read:workflow/echo')(failures)).toMatchObject(refused);
    expect(await ask('read:workflow/**')(failures)).toMatchObject({ name: 'shop' });
    expect(await ask('*:*')({ topics: ['eventspine.access'] })).toMatchObject(refused);
  });

  it('is of the tenant alone: another sees no endpoint of it, and its events go nowhere else', async () => {
    let tenant = 'default';
    const { engine, call } = await spine({ authorize: () => ({ tenant, user: 'ada', roles: [] }) });
    const { url, got, until } = await receiver();
    const theirs = await receiver();
    await call('PUT', '/v1/webhook-endpoints/shop', { url, topics: ['orders'] });
    const own = await call<WebhookSecrets>('GET', '/v1/webhook-endpoints/shop/secrets');
    tenant = 'other';
    for (const [method, path] of [
      ['GET', ''],
      ['GET', '/secrets'],
      ['GET', '/deliveries'],
      ['POST', '/ping'],
      ['POST', '/rotate'],
      ['POST', '/disable'],
      ['POST', '/enable'],
      ['POST', '/redrive'],
      ['DELETE', ''],
    ] as const)
      expect(await call(method, `/v1/webhook-endpoints/shop${path}`)).toMatchObject({ code: 'WEBHOOK_NOT_FOUND' });
    expect(await call('GET', '/v1/webhook-endpoints')).toEqual({ items: [], next: null });
    await call('PUT', '/v1/webhook-endpoints/shop', { url: theirs.url, topics: ['orders'] });
    const others = await call<WebhookSecrets>('GET', '/v1/webhook-endpoints/shop/secrets');
    expect(others.secrets).not.toEqual(own.secrets);
    await publish(engine, { id: 'o1' });
    await until(() => got.length === 1);
    expect(theirs.got).toEqual([]);
  });

  it('is part of an endpoint, whose subscriptions nobody takes away by hand', async () => {
    const { call } = await spine();
    const { url } = await receiver();
    await call('PUT', '/v1/webhook-endpoints/shop', { url, topics: ['orders'] });
    expect(await call('DELETE', '/v1/subscriptions/webhook%3Ashop%3Aorders')).toMatchObject({ code: 'WEBHOOK_OWNS' });
    await call('DELETE', '/v1/webhook-endpoints/shop');
    expect(await call('GET', '/v1/subscriptions')).toMatchObject({ items: [] });
  });
});

describe('ends of runs', () => {
  it('go to endpoints that ask for them, without what was put in or came out', async () => {
    const { call } = await spine();
    const { url, got, until } = await receiver();
    await call('PUT', '/v1/webhook-endpoints/shop', { url, events: ['run.failed', 'run.succeeded'] });
    const { id } = await call<RunView>('POST', '/v1/workflows/echo/runs', { hello: 'canary' });
    await until(() => got.length === 1);
    const said = JSON.parse(got[0]?.body ?? '') as { data: unknown };
    expect(said).toMatchObject({ type: 'run.succeeded', data: { run: id, workflow: 'echo', state: 'succeeded' } });
    expect(got[0]?.body).not.toContain('canary');
    await call('POST', '/v1/workflows/broken/runs', null);
    await until(() => got.length === 2);
    expect(JSON.parse(got[1]?.body ?? '')).toMatchObject({ type: 'run.failed', data: { workflow: 'broken' } });
    expect(got[1]?.body).not.toContain('secret');
  });

  it('are told to the address that the start was given, with the output, and nobody else of that tells', async () => {
    const { engine, call } = await spine();
    const { url, got, until } = await receiver((_, n, response) => response.writeHead(n === 1 ? 503 : 200).end());
    // What is larger than an event may be goes there as well.
    const text = 'x'.repeat(100_000);
    const { id } = await call<RunView>('POST', '/v1/workflows/echo/runs', { text }, { 'eventspine-notify': url });
    const { secrets } = await call<WebhookSecrets>('GET', '/v1/notify-secret');
    await until(() => got.length === 1);
    const said = new Webhook(secrets[0] ?? '').verify(got[0]?.body ?? '', got[0]?.headers as Record<string, string>);
    expect(said).toMatchObject({ type: 'run.succeeded', data: { run: id, state: 'succeeded', output: { text } } });
    const history = await engine.readTopic('default', 'eventspine.run-events', { partition: 0, after: -1, limit: 9 });
    expect(history.items).toEqual([]);
    const refused = await call('POST', '/v1/workflows/echo/runs', 1, { 'eventspine-notify': 'https://10.0.0.1/' });
    expect(refused).toMatchObject({ code: 'ENDPOINT_REFUSED' });
  });
});
