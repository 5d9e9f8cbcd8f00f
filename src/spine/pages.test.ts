/** Pages of users on a real spine: who sees what, over restarts and with several sessions. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createClient } from '../client/index.js';
import { sqlite } from '../stores/sqlite/index.js';
import { capability, defineApp, workflow } from '../workflow/index.js';
import { createSpine, type Mountable, type Spine, type SpineOptions } from './create-spine.js';
import { memory } from './memory.js';

const slow = capability('slow', {});
const letter = workflow('letter', {}, async (ctx, to) => {
  ctx.progress({ to });
  const draft = await ctx.call(slow, to);
  return { draft };
});
const internal = workflow('internal', {}, () => 'not for pages');

/** Handlers wait until somebody lets them go on, whichever comes first. */
interface Gate {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
}

function newGate(): Gate {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((open) => (resolve = open));
  return { promise, resolve };
}

let gate = newGate();
const goOn = (): void => gate.resolve();
const app = defineApp({
  workflows: [letter, internal],
  handlers: [slow.implement((to) => gate.promise.then(() => `Dear ${String(to)}`))],
});

const open: Spine<typeof app>[] = [];
const folders: string[] = [];

afterEach(async () => {
  goOn();
  for (const spine of open.splice(0)) await spine.close();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
  gate = newGate();
});

function site(options: Partial<SpineOptions> = {}): { readonly spine: Spine<typeof app>; readonly pages: Mountable } {
  const spine = createSpine(app, { store: memory(), server: { basePath: '/spine' }, ...options });
  open.push(spine);
  const pages = spine.pages({
    start: ['letter'],
    authorize: (request) => {
      const [tenant, user] = (request.headers.get('x-session') ?? '').split('/');
      return tenant === undefined || user === undefined ? null : { tenant, user, roles: [] };
    },
  });
  return { spine, pages };
}

/** The client of a page; `who` = `tenant/user`, or a read token. */
function pageOf(pages: Mountable, who: string): ReturnType<typeof createClient<typeof app>> {
  return createClient<typeof app>({
    url: 'http://app.example.com/spine',
    retry: { attempts: 1 },
    reconnect: { attempts: 1 },
    ...(who.startsWith('esr1.') ? { token: who } : {}),
    fetch: (input, init) => {
      const request = new Request(input, init);
      if (!who.startsWith('esr1.')) request.headers.set('x-session', who);
      return pages.fetch(request);
    },
  });
}

describe('pages of a spine', () => {
  it('start work in the name of the session, and read it by a token alone', async () => {
    const { spine, pages } = site();
    const run = await pageOf(pages, 'acme/ada').start('letter', 'Bob', { readToken: '1m' });
    const { token } = await run.readToken();
    const reader = pageOf(pages, token).run<'letter'>(run.id);
    for await (const item of reader.stream()) {
      if (item.event === 'event' && item.data.type === 'call.scheduled') break;
    }
    expect((await reader.status()).progress).toEqual({ to: 'Bob' });
    goOn();
    expect(await reader.result()).toEqual({ draft: 'Dear Bob' });
    const [first] = (await spine.as({ tenant: 'acme', user: 'support' }).run(run.id).history().page()).items;
    expect(first?.actor).toBe('client:ada');
    await expect(spine.runs.get(run.id)).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
  });

  it('do nothing else for a session', async () => {
    const { pages } = site();
    const ada = pageOf(pages, 'acme/ada');
    const run = await ada.start('letter', 'Bob');
    await expect(ada.start('internal', null)).rejects.toMatchObject({ code: 'OUT_OF_SCOPE' });
    await expect(ada.runs.list().page()).rejects.toMatchObject({ code: 'OUT_OF_SCOPE' });
    await expect(ada.runs.get(run.id)).rejects.toMatchObject({ code: 'OUT_OF_SCOPE' });
    await expect(ada.runs.cancel(run.id)).rejects.toMatchObject({ code: 'OUT_OF_SCOPE' });
    await expect(ada.doctor()).rejects.toMatchObject({ code: 'FORBIDDEN' });
    await expect(pageOf(pages, 'nobody').start('letter', 'Bob')).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    await expect(pageOf(pages, 'acme/eve').run(run.id).readToken()).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
    await expect(pageOf(pages, 'rival/ada').run(run.id).readToken()).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
    goOn();
  });

  it('give tokens of runs that the host application started in the name of their user', async () => {
    const { spine, pages } = site();
    const run = await spine.as({ tenant: 'acme', user: 'ada' }).start('letter', 'Bob');
    const given = await run.readToken({ expires: '5m' });
    expect((await pageOf(pages, given.token).run(run.id).status()).id).toBe(run.id);
    const renewed = await pageOf(pages, 'acme/ada').run(run.id).readToken();
    expect((await pageOf(pages, renewed.token).run(run.id).status()).id).toBe(run.id);
  });

  it('take tokens from before a restart', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'eventspine-pages-'));
    folders.push(folder);
    const store = sqlite({ file: join(folder, 'spine.db') });
    const before = site({ store });
    const run = await before.spine.as({ tenant: 'acme', user: 'ada' }).start('letter', 'Bob');
    const { token } = await run.readToken();
    await before.spine.close();
    const after = site({ store });
    expect((await pageOf(after.pages, token).run(run.id).status()).id).toBe(run.id);
    const elsewhere = site();
    await expect(pageOf(elsewhere.pages, token).run(run.id).status()).rejects.toMatchObject({
      code: 'READ_TOKEN_INVALID',
    });
    expect((await after.spine.doctor()).checks.filter(({ ok }) => !ok)).toEqual([]);
    goOn();
  });

  it('are refused to pages of other origins unless these are named', async () => {
    const { spine, pages } = site();
    const ask = (mounted: Mountable, origin: string): Promise<Response> =>
      mounted.fetch(
        new Request('http://app.example.com/spine/v1/workflows/internal/runs', {
          method: 'POST',
          headers: { origin, 'content-type': 'application/json', 'x-session': 'acme/ada' },
          body: '1',
        }),
      );
    expect(((await (await ask(pages, 'https://evil.example')).json()) as { code: string }).code).toBe('ORIGIN_REFUSED');
    const named = spine.pages({
      authorize: () => ({ tenant: 'acme', user: 'ada', roles: [] }),
      start: ['internal'],
      origins: ['https://app.example.com'],
    });
    const answer = await ask(named, 'https://app.example.com');
    expect([answer.status, answer.headers.get('access-control-allow-credentials')]).toEqual([202, 'true']);
  });

  it('open nothing before the first request, and nothing after the end', async () => {
    let opened = 0;
    const inner = memory();
    const { spine, pages } = site({ store: { ...inner, open: () => (opened++, inner.open()) } });
    expect(opened).toBe(0);
    await pageOf(pages, 'acme/ada').start('letter', 'Bob');
    expect(opened).toBe(1);
    await spine.close();
    await expect(pages.fetch(new Request('http://app.example.com/spine/health/live'))).rejects.toMatchObject({
      code: 'SHUTTING_DOWN',
    });
  });
});
