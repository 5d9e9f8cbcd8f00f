/** Webhooks of other systems, as their senders and operators see them: over HTTP, with a server and an engine in one process. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Client, createClient } from '../client/index.js';
import type { Clock } from '../core/ports.js';
import { MemoryData } from '../store/memory-data.js';
import { createMemoryStore } from '../store/memory.js';
import { newKeyPair, newSecret, sign } from '../webhooks/index.js';
import { defineApp, topic, webhook, workflow } from '../workflow/index.js';
import { createSpine, memory, type Spine } from './index.js';

const pushes = topic('pushes');
const paid = topic('paid', { key: 'order' });
const anything = topic('anything');
const build = workflow('build', { on: pushes }, async (ctx, push) =>
  ctx.step('build', () => `built ${JSON.stringify(push)}`),
);
const app = defineApp({
  workflows: [build],
  topics: [paid, anything],
  webhooks: [
    webhook('github', { topic: pushes, scheme: 'github' }),
    webhook('stripe', {
      topic: paid,
      scheme: 'stripe',
      map: { data: '{body.data.object}', subject: 'order {body.data.object.order}' },
    }),
  ],
});

let data: MemoryData;
let nowMs: number;
const open: Spine<typeof app>[] = [];
let spine: Spine<typeof app>;
let client: Client;

function server(): Spine<typeof app> {
  const startedMs = performance.now();
  const clock: Clock = {
    now: () => nowMs + Math.floor(performance.now() - startedMs),
    monotonicMs: () => performance.now(),
  };
  const made = createSpine(app, {
    store: { name: 'memory', open: async () => createMemoryStore({ clock, data, shared: true }) },
    engine: { lookEveryMs: 20 },
  });
  open.push(made);
  return made;
}

beforeEach(async () => {
  nowMs = Date.parse('2025-06-01T00:00:00Z');
  data = new MemoryData();
  spine = server();
  client = createClient({
    url: 'http://localhost',
    fetch: (input, init) => spine.fetch(new Request(input, init)),
    retry: { attempts: 1 },
  });
  await client.definitions();
});

afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

interface Sent {
  readonly status: number;
  readonly body: unknown;
}

async function send(
  path: string,
  body: string | Uint8Array,
  headers: Record<string, string>,
  to: Spine<typeof app> = spine,
): Promise<Sent> {
  const response = await to.fetch(
    new Request(`http://localhost/v1/webhooks/${path}`, {
      method: 'POST',
      body: typeof body === 'string' ? body : new Uint8Array(body),
      headers: { 'content-type': 'application/json', ...headers },
    }),
  );
  const text = await response.text();
  return { status: response.status, body: text === '' ? null : JSON.parse(text) };
}

const eventsOf = async (name: string): Promise<readonly Readonly<Record<string, unknown>>[]> =>
  (await client.topics.events(name).page()).items.map(({ event }) => event);

describe('a webhook of GitHub', () => {
  const body = '{"ref":"main"}';
  const push = (id: string): Record<string, string> => ({
    ...sign.github({ id, body }, 'hush'),
    'x-github-event': 'push',
  });

  it('is believed once there is a secret, recorded once, and starts what its topic starts', async () => {
    expect((await send('default/github', body, push('d1'))).status).toBe(401);
    await client.webhookSources.addSecret('github', 'hush');
    const first = await send('default/github', body, push('d1'));
    expect(first).toEqual({ status: 202, body: { id: 'd1', topic: 'pushes', duplicate: false } });
    expect(await send('default/github', body, push('d1'))).toEqual({
      status: 202,
      body: { id: 'd1', topic: 'pushes', duplicate: true },
    });
    expect(await eventsOf('pushes')).toMatchObject([
      { id: 'd1', type: 'push', source: 'eventspine:webhook:github', data: { ref: 'main' } },
    ]);
    await expect
      .poll(async () => (await client.runs.list({ workflow: 'build' }).page()).items.map(({ state }) => state))
      .toEqual(['succeeded']);
    expect(await client.webhookSources.get('github')).toMatchObject({
      path: '/v1/webhooks/default/github',
      declared: true,
      seen: { accepted: 1, duplicates: 1, refused: 0, lastRefusal: null },
    });
  });

  it('is answered and not recorded where it only asks whether somebody is there', async () => {
    await client.webhookSources.addSecret('github', 'hush');
    expect(await send('default/github', body, { ...push('d1'), 'x-github-event': 'ping' })).toEqual({
      status: 200,
      body: { ping: true },
    });
    expect(await eventsOf('pushes')).toEqual([]);
  });

  it('may come as a form', async () => {
    await client.webhookSources.addSecret('github', 'hush');
    const form = new URLSearchParams({ payload: body }).toString();
    const headers = { ...sign.github({ id: 'd2', body: form }, 'hush'), 'x-github-event': 'push' };
    const sent = await send('default/github', form, {
      ...headers,
      'content-type': 'application/x-www-form-urlencoded',
    });
    expect(sent.status).toBe(202);
    expect(await eventsOf('pushes')).toMatchObject([{ data: { ref: 'main' } }]);
  });

  it('belongs to the tenant whose secret it was made with', async () => {
    await client.webhookSources.addSecret('github', 'hush');
    expect((await send('other/github', body, push('d1'))).status).toBe(401);
  });
});

describe('requests that are not believed', () => {
  it('are answered alike, whatever there is, and read no further than their bytes', async () => {
    await client.webhookSources.addSecret('github', 'hush');
    await client.webhookSources.put('mine', { topic: 'anything', scheme: 'standard' });
    const wrong = sign.github({ id: 'd', body: '{}' }, 'other');
    const answers = [
      await send('default/github', '{}', wrong),
      await send('default/github', '{}', {}),
      await send('default/github', '{"a":'.repeat(5_000), wrong),
      await send('default/none', '{}', wrong),
      await send('nobody/github', '{}', wrong),
      await send(`${'x'.repeat(200)}/github`, '{}', wrong),
      await send('default/mine', '{}', wrong),
      await send('default/stripe', '{}', wrong),
    ];
    const shapes = answers.map(({ status, body }) => {
      const { instance: _instance, requestId: _requestId, ...rest } = body as Record<string, unknown>;
      return JSON.stringify({ status, ...rest });
    });
    expect(new Set(shapes).size).toBe(1);
    expect(answers[0]).toMatchObject({ status: 401, body: { code: 'WEBHOOK_REFUSED' } });
    const { seen } = await client.webhookSources.get('github');
    expect(seen).toMatchObject({ accepted: 0, refused: 3, lastRefusal: { fault: 'wrong' } });
  });

  it('are those of another time', async () => {
    await client.webhookSources.addSecret('stripe', 'whsec_s');
    const body = '{"id":"evt_1","type":"paid","data":{"object":{"order":7}}}';
    const headers = sign.stripe({ atMs: nowMs, body }, 'whsec_s');
    nowMs += 301_000;
    expect((await send('default/stripe', body, headers)).status).toBe(401);
    expect((await client.webhookSources.get('stripe')).seen.lastRefusal?.fault).toBe('too old');
    nowMs -= 301_000;
    expect((await send('default/stripe', body, headers)).status).toBe(202);
    expect((await send('default/stripe', body, sign.stripe({ atMs: nowMs + 1_000, body }, 'whsec_s'))).body).toEqual({
      id: 'evt_1',
      topic: 'paid',
      duplicate: true,
    });
    expect(await eventsOf('paid')).toMatchObject([
      { id: 'evt_1', type: 'paid', subject: 'order 7', data: { order: 7 } },
    ]);
  });

  it('are bodies that would harm a reader, and they are told so', async () => {
    await client.webhookSources.addSecret('github', 'hush');
    const bad = async (body: string | Uint8Array): Promise<unknown> => {
      const answer = await send('default/github', body, sign.github({ id: 'd', body }, 'hush'));
      return (answer.body as { readonly code: string }).code;
    };
    expect(await bad(`${'['.repeat(100)}${']'.repeat(100)}`)).toBe('VALUE_UNSTORABLE');
    expect(await bad(`[${'0,'.repeat(200_000)}0]`)).toBe('VALUE_UNSTORABLE');
    expect(await bad('{')).toBe('BODY_NOT_JSON');
    expect(await bad(Uint8Array.of(0x22, 0xff, 0x22))).toBe('BODY_NOT_JSON');
    expect(await eventsOf('pushes')).toEqual([]);
    expect(await bad('{"__proto__":{"admin":true}}')).toBe('VALUE_UNSTORABLE');
    expect(({} as { admin?: unknown }).admin).toBeUndefined();
    const twice = '{"a":1,"a":2}';
    expect((await send('default/github', twice, sign.github({ id: 'd', body: twice }, 'hush'))).status).toBe(202);
    expect(await eventsOf('pushes')).toMatchObject([{ data: { a: 2 } }]);
  });
});

describe('Slack', () => {
  const post = async (body: string, type = 'application/json'): Promise<Sent> =>
    send('default/slack', body, { ...sign.slack({ atMs: nowMs, body }, 'shh'), 'content-type': type });

  beforeEach(async () => {
    await client.webhookSources.put('slack', { topic: 'anything', scheme: 'slack' });
    await client.webhookSources.addSecret('slack', 'shh');
  });

  it('hears its own challenge, and only where it has signed it', async () => {
    const body = '{"type":"url_verification","challenge":"c0de"}';
    expect(await post(body)).toEqual({ status: 200, body: { challenge: 'c0de' } });
    expect((await send('default/slack', body, sign.slack({ atMs: nowMs, body }, 'x'))).status).toBe(401);
    expect(await eventsOf('anything')).toEqual([]);
  });

  it('is answered 200 without a word, and its events and commands are recorded once', async () => {
    const message = '{"type":"event_callback","event_id":"Ev1","event":{"type":"app_mention"}}';
    expect(await post(message)).toEqual({ status: 200, body: null });
    nowMs += 2_000;
    expect(await post(message)).toEqual({ status: 200, body: null });
    const command = 'command=%2Fdeploy&text=to+prod';
    expect(await post(command, 'application/x-www-form-urlencoded')).toEqual({ status: 200, body: null });
    const [mention, deploy, ...rest] = await eventsOf('anything');
    expect(rest).toEqual([]);
    expect(mention).toMatchObject({ id: 'Ev1', type: 'app_mention' });
    expect(deploy).toMatchObject({ type: 'anything', data: { command: '/deploy', text: 'to prod' } });
  });
});

describe('sources', () => {
  it('of every scheme take what their senders sign', async () => {
    const pair = newKeyPair();
    const shared = newSecret();
    const body = '{"type":"user.made","user":{"id":"u1"}}';
    const cases = {
      standard: { scheme: 'standard', secret: shared, headers: sign.standard({ id: 'm1', atMs: nowMs, body }, shared) },
      own: {
        scheme: { kind: 'standard', window: '1m' },
        secret: pair.publicKey,
        headers: sign.standard({ id: 'm2', atMs: nowMs, body }, pair.secret),
      },
      svix: { scheme: 'svix', secret: shared, headers: sign.svix({ id: 'm3', atMs: nowMs, body }, shared) },
      shop: {
        scheme: { kind: 'hmac', header: 'x-shop-hmac-sha256', encoding: 'base64', idHeader: 'x-shop-id' },
        secret: 'k',
        headers: sign.hmac({ id: 'm4', body }, 'k', {
          header: 'x-shop-hmac-sha256',
          encoding: 'base64',
          idHeader: 'x-shop-id',
        }),
      },
      rfc: {
        scheme: { kind: 'http-signature', algorithm: 'ed25519' },
        secret: pair.publicKey,
        headers: sign.httpSignature(
          { url: 'http://localhost/v1/webhooks/default/rfc', body, atMs: nowMs },
          pair.secret,
          { algorithm: 'ed25519' },
        ),
      },
    } as const;
    for (const [name, { scheme, secret, headers }] of Object.entries(cases)) {
      await client.webhookSources.put(name, {
        topic: 'anything',
        scheme,
        map: { key: '{body.user.id}', subject: '{body.user.id}' },
      });
      await client.webhookSources.addSecret(name, secret);
      expect((await send(`default/${name}`, body, headers)).status, name).toBe(202);
      expect((await send(`default/${name}`, body, headers)).body, name).toMatchObject({ duplicate: true });
      expect((await send(`default/${name}`, `${body} `, headers)).status, name).toBe(401);
    }
    const events = await eventsOf('anything');
    expect(events.map(({ type }) => type)).toEqual(['user.made', 'user.made', 'user.made', 'anything', 'anything']);
    expect(events.slice(0, 4).map(({ id }) => id)).toEqual(['m1', 'm2', 'm3', 'm4']);
    expect(events.map(({ subject }) => subject)).toEqual(['u1', 'u1', 'u1', 'u1', 'u1']);
  });

  it('count the same bytes once where that is asked for, whatever id they come under', async () => {
    await client.webhookSources.put('strict', { topic: 'anything', scheme: 'github', once: 'content' });
    await client.webhookSources.addSecret('strict', 'hush');
    const as = (id: string): Promise<Sent> => send('default/strict', '{}', sign.github({ id, body: '{}' }, 'hush'));
    expect((await as('a')).body).toMatchObject({ duplicate: false });
    expect((await as('b')).body).toMatchObject({ duplicate: true });
  });

  it('take bytes and text as they are', async () => {
    await client.webhookSources.put('raw', { topic: 'anything', scheme: 'github' });
    await client.webhookSources.addSecret('raw', 'hush');
    const bytes = Uint8Array.of(0xff, 0x00, 0x80);
    const headers = { ...sign.github({ id: 'b', body: bytes }, 'hush'), 'content-type': 'application/octet-stream' };
    expect((await send('default/raw', bytes, headers)).status).toBe(202);
    const text = { ...sign.github({ id: 't', body: 'plain' }, 'hush'), 'content-type': 'text/plain' };
    expect((await send('default/raw', 'plain', text)).status).toBe(202);
    const empty = sign.github({ id: 'e', body: '' }, 'hush');
    expect((await send('default/raw', '', empty)).status).toBe(202);
    expect((await eventsOf('anything')).map(({ id }) => id)).toEqual(['b', 't', 'e']);
  });

  it('change their secrets without a gap, and never show one', async () => {
    await client.webhookSources.addSecret('github', 'first');
    await client.webhookSources.addSecret('github', 'second', { othersExpireIn: '1h' });
    let count = 0;
    const with_ = async (secret: string): Promise<number> => {
      count += 1;
      return (
        await send('default/github', '{"ref":"x"}', sign.github({ id: `r${count}`, body: '{"ref":"x"}' }, secret))
      ).status;
    };
    expect([await with_('first'), await with_('second')]).toEqual([202, 202]);
    nowMs += 3_600_000;
    expect([await with_('first'), await with_('second')]).toEqual([401, 202]);
    const view = await client.webhookSources.get('github');
    expect(view.secrets).toMatchObject([{ until: expect.any(String) as string }, { until: null }]);
    expect(JSON.stringify([view, await client.webhookSources.list()])).not.toMatch(/first|second/);
    await client.webhookSources.removeSecret('github', view.secrets[1]?.id ?? '');
    expect(await with_('second')).toBe(401);
    // Whoever may read the rows of the tenant finds none.
    const clock: Clock = { now: () => nowMs, monotonicMs: () => 0 };
    const rows = createMemoryStore({ clock, data, shared: true });
    expect(await rows.readEntries({ tenant: 'default', space: 'webhook-secret', limit: 10 })).toEqual([]);
  });

  it('are forgotten by other servers within a second', async () => {
    const other = server();
    await client.webhookSources.addSecret('github', 'hush');
    let count = 0;
    const status = async (): Promise<number> => {
      const id = `o${++count}`;
      return (await send('default/github', '{}', sign.github({ id, body: '{}' }, 'hush'), other)).status;
    };
    await expect.poll(status).toBe(202);
    const { secrets } = await client.webhookSources.get('github');
    await client.webhookSources.removeSecret('github', secrets[0]?.id ?? '');
    await expect.poll(status, { timeout: 1_500 }).toBe(401);
  });

  it('refuse what cannot be one', async () => {
    const { webhookSources } = client;
    const put = (name: string, source: object): Promise<unknown> => webhookSources.put(name, source as never);
    await expect(put('x', { topic: 'nowhere', scheme: 'github' })).rejects.toMatchObject({ code: 'TOPIC_UNKNOWN' });
    await expect(put('x', { topic: 'eventspine.models', scheme: 'github' })).rejects.toThrow('own writer');
    await expect(put('x y', { topic: 'anything', scheme: 'md5', map: { id: '{body' }, once: 1 })).rejects.toMatchObject(
      {
        code: 'WEBHOOK_SOURCE_INVALID',
        status: 422,
      },
    );
    await expect(put('github', { topic: 'anything', scheme: 'github' })).rejects.toMatchObject({
      code: 'WEBHOOK_SOURCE_OWNED',
    });
    await expect(webhookSources.delete('github')).rejects.toMatchObject({ code: 'WEBHOOK_SOURCE_OWNED' });
    await expect(webhookSources.get('none')).rejects.toMatchObject({ code: 'WEBHOOK_SOURCE_NOT_FOUND' });
    await put('std', { topic: 'anything', scheme: 'standard' });
    const bad = webhookSources.addSecret('std', 'hunter2!');
    await expect(bad).rejects.toThrow('none of the scheme');
    await expect(bad).rejects.not.toThrow('hunter2');
    for (let i = 0; i < 8; i++) await webhookSources.addSecret('std', newSecret());
    await expect(webhookSources.addSecret('std', newSecret())).rejects.toThrow('8 secrets already');
    await webhookSources.delete('std');
    await expect(webhookSources.get('std')).rejects.toMatchObject({ code: 'WEBHOOK_SOURCE_NOT_FOUND' });
    await put('std', { topic: 'anything', scheme: 'standard' });
    expect((await webhookSources.get('std')).secrets).toEqual([]);
  });

  it('are made by those who may publish what they bring, and given secrets by admins', async () => {
    const as = (roles: readonly string[], permissions?: readonly string[]): Client => {
      const guarded = createSpine(app, {
        store: memory(),
        server: {
          authorize: () => ({
            tenant: 'default',
            user: 'x',
            roles,
            ...(permissions === undefined ? {} : { permissions }),
          }),
        },
      });
      open.push(guarded);
      const fetch: typeof globalThis.fetch = (input, init) => guarded.fetch(new Request(input, init));
      return createClient({ url: 'http://localhost', fetch, retry: { attempts: 1 } });
    };
    const source = { topic: 'anything', scheme: 'github' } as const;
    const some = as([], ['manage:webhook/mine.*', 'publish:topic/anything']).webhookSources;
    await some.put('mine.a', source);
    await expect(some.put('yours', source)).rejects.toMatchObject({ status: 403 });
    await expect(some.put('mine.b', { ...source, topic: 'paid' })).rejects.toMatchObject({ status: 403 });
    expect((await some.list()).map(({ name }) => name)).toEqual(['mine.a']);
    await expect(some.get('github')).rejects.toMatchObject({ status: 403 });
    await expect(some.addSecret('mine.a', 'hush')).rejects.toMatchObject({ code: 'FORBIDDEN' });
    await expect(as(['operator']).webhookSources.addSecret('github', 'hush')).rejects.toMatchObject({
      code: 'FORBIDDEN',
    });
    await as(['admin']).webhookSources.addSecret('github', 'hush');
  });
});
