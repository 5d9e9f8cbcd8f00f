/** Tokens and keys at the door of a server: what is answered, what is recorded, and what is written nowhere. */
import { generateKeyPairSync } from 'node:crypto';
import { exportJWK, SignJWT } from 'jose';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createEngine } from '../engine/index.js';
import { limits } from '../core/limits.js';
import type { MadeKeyView, Problem } from '../protocol/http.js';
import { nodePorts } from '../runtime/index.js';
import { createServer, type Principal, type ServerLogEntry } from '../server/index.js';
import { createMemoryStore } from '../store/memory.js';
import { apiKeysOnly, jwt } from './index.js';

const issuer = 'https://login.example.com';
const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const root = 'the root token of this test, which is long';
const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  vi.restoreAllMocks();
  for (const close of closing.splice(0)) await close();
});

async function installation() {
  const logged: ServerLogEntry[] = [];
  const store = createMemoryStore({ clock: nodePorts.clock });
  const engine = createEngine({ store, ports: nodePorts });
  const byRoot = ({ headers }: { headers: { get(name: string): string | null } }): Principal | null =>
    headers.get('authorization') === `Bearer ${root}`
      ? { tenant: 'default', user: 'root', roles: ['operator', 'worker', 'admin'] }
      : null;
  const byToken = jwt({
    issuer,
    audience: 'eventspine',
    tenant: { claim: 'org' },
    permissions: { claim: 'scope' },
    keys: { keys: [await exportJWK(pair.publicKey)] },
  });
  const server = createServer({
    engine,
    authorize: [byRoot, byToken, apiKeysOnly],
    log: (entry) => logged.push(entry),
  });
  closing.push(() => server.close());
  const ask = (
    path: string,
    headers: Record<string, string> = {},
    init: { readonly method?: string; readonly headers?: Record<string, string>; readonly body?: string } = {},
  ) => server.fetch(new Request(`http://localhost${path}`, { ...init, headers: { ...headers, ...init.headers } }));
  return { engine, store, server, logged, ask };
}

const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });
const tokenOf = (claims: object, expires: number | string = '5m') =>
  new SignJWT({ org: 'acme', sub: 'ada', scope: 'read:workflow/**', ...claims })
    .setProtectedHeader({ alg: 'ES256' })
    .setIssuer(issuer)
    .setAudience('eventspine')
    .setExpirationTime(expires)
    .sign(pair.privateKey);

describe('a server that asks who comes', () => {
  it('lets in tokens of the issuer and API keys, each with what it may do, and nobody else', async () => {
    const { ask } = await installation();
    const made = await ask('/v1/keys', bearer(root), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'web', permissions: ['read:workflow/**'] }),
    });
    const { key } = (await made.json()) as MadeKeyView;
    for (const credential of [key, await tokenOf({})]) {
      expect((await ask('/v1/runs', bearer(credential))).status).toBe(200);
      const start = await ask('/v1/workflows/wipe/runs', bearer(credential), { method: 'POST' });
      expect(((await start.json()) as Problem).code).toBe('PERMISSION_MISSING');
    }
    const nobody = await ask('/v1/runs');
    expect([nobody.status, nobody.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
    expect((await ask('/v1/runs', bearer('something else'))).status).toBe(401);
    expect((await ask('/v1/runs', { authorization: `Basic ${btoa(`root:${root}`)}` })).status).toBe(401);
    // A token that says nothing of what it may do may do nothing.
    expect((await ask('/v1/runs', bearer(await tokenOf({ scope: undefined })))).status).toBe(403);
  });

  it('keeps credentials out of answers, logs and the record of access, whatever is done with them', async () => {
    const { ask, server, store, engine, logged } = await installation();
    const written = [vi.spyOn(console, 'error'), vi.spyOn(console, 'log'), vi.spyOn(process.stderr, 'write')];
    const made = await ask('/v1/keys', bearer(root), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'web' }),
    });
    const { key } = (await made.json()) as MadeKeyView;
    const expired = await tokenOf({}, 1);
    const credentials = [
      root,
      key,
      `${key.slice(0, -1)}x`,
      await tokenOf({}),
      expired,
      await tokenOf({ aud: 'other' }),
    ];
    const answers: string[] = [];
    for (const credential of credentials) {
      for (const response of [
        await ask('/v1/runs', bearer(credential)),
        await ask('/v1/queues', bearer(credential)),
        await ask(`/v1/runs?token=${credential}`, bearer(credential)),
        await ask(`/v1/runs?access_token=${credential}`),
        await ask('/v1/runs/none/cancel', bearer(credential), { method: 'POST' }),
        await ask('/v1/runs', { 'x-api-key': credential, cookie: `token=${credential}` }),
      ])
        answers.push(JSON.stringify([...response.headers]), await response.text());
    }
    vi.spyOn(engine, 'listRuns').mockRejectedValue(new Error('broken'));
    answers.push(await (await ask('/v1/runs', bearer(root))).text());
    expect(answers.join()).toContain('INTERNAL');
    await server.close();
    const recorded = await store.readFeed({ after: 0, limit: 1_000 });
    expect(recorded.length).toBeGreaterThan(0);
    const everything = [
      answers.join(),
      JSON.stringify(recorded),
      JSON.stringify(logged.map(({ error, ...entry }) => [entry, String(error), (error as Error | undefined)?.stack])),
      JSON.stringify(written.map(({ mock }) => mock.calls)),
    ].join();
    for (const credential of credentials) {
      expect(everything).not.toContain(credential);
      // Nor the part of it that is secret.
      expect(everything).not.toContain(credential.slice(-30));
    }
  });

  it('takes no token that is longer than a token may be, and no header that is', async () => {
    const { ask } = await installation();
    const long = await tokenOf({ filler: 'x'.repeat(limits.jwtLengthMax) });
    expect((await ask('/v1/runs', bearer(long))).status).toBe(401);
  });
});
