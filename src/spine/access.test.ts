/** Who may do what, and the record of it, on a real engine with callers over HTTP. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createClient, type Client } from '../client/index.js';
import { accessTopic } from '../core/manifest.js';
import type { AccessEventView } from '../protocol/http.js';
import { defineApp, signal, topic, workflow } from '../workflow/index.js';
import { createSpine, type Spine } from './create-spine.js';
import { memory } from './memory.js';

const noted = topic('noted');
const ledger = topic('ledger', { writer: 'single' });
const go = signal('go');
const open = workflow('open', {}, (ctx) => ctx.waitFor(go));
const secret = workflow('secret', {}, (ctx) => ctx.waitFor(go));
const app = defineApp({ topics: [noted, ledger], workflows: [open, secret] });

const principals: Readonly<Record<string, { readonly roles: string[]; readonly permissions?: string[] }>> = {
  root: { roles: ['operator', 'admin'] },
  partner: { roles: [], permissions: ['*:workflow/open', 'publish:topic/noted', 'subscribe:topic/noted'] },
  writer: { roles: [], permissions: ['publish:topic/ledger', 'write:topic/ledger'] },
  auditor: { roles: ['viewer', 'admin'] },
};

let spine: Spine<typeof app>;

beforeEach(async () => {
  spine = createSpine(app, {
    store: memory(),
    server: {
      authorize: ({ headers }) => {
        const user = headers.get('authorization')?.replace('Bearer ', '') ?? '';
        const known = principals[user];
        return known === undefined ? null : { tenant: 'acme', user, ...known };
      },
    },
  });
  await spine.open();
});

afterEach(() => spine.close());

function as(user: string, tenant?: string): Client {
  return createClient({
    url: 'http://localhost',
    token: user,
    retry: { attempts: 1 },
    fetch: (input, init) => spine.fetch(new Request(input, init)),
    ...(tenant === undefined ? {} : { tenant }),
  });
}

async function recorded(client: Client, of: 'tenant' | 'nobody' = 'tenant'): Promise<AccessEventView[]> {
  const found: AccessEventView[] = [];
  for await (const one of client.access.log({ of, limit: 2 })) found.push(one);
  return found;
}

const refused = (code: string): object => ({ code, status: 403 });

describe('a partner with permissions', () => {
  it('does what it may, is refused the rest by its name, and finds nothing of what it may not see', async () => {
    const partner = as('partner');
    const mine = await partner.start('open', null);
    const other = await as('root').start('secret', null);
    await expect(partner.start('secret', null)).rejects.toMatchObject(refused('PERMISSION_MISSING'));
    await expect(partner.run(other.id).status()).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
    await expect(partner.run(other.id).cancel()).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
    const seen: string[] = [];
    for await (const { id } of partner.runs.list()) seen.push(id);
    expect(seen).toEqual([mine.id]);
    await partner.publish('noted', { n: 1 });
    await expect(partner.publish('ledger', {})).rejects.toMatchObject(refused('PERMISSION_MISSING'));
    await partner.signal(mine.id, go);
    expect(await mine.result()).toMatchObject({ id: expect.any(String) as unknown });
    expect((await as('root').run(other.id).status()).state).not.toBe('cancelled');
  });

  it('follows a topic, and does not read it back', async () => {
    const partner = as('partner');
    await expect(partner.topics.events('noted').page()).rejects.toMatchObject(refused('PERMISSION_MISSING'));
    expect((await as('root').topics.events('noted').page()).items).toEqual([]);
    const path = 'http://localhost/v1/topics/noted/stream';
    const headers = { authorization: 'Bearer partner' };
    const stream = await spine.fetch(new Request(path, { headers }));
    expect(stream.status).toBe(200);
    await stream.body?.cancel();
  });

  it('writes as the single writer of a topic only with the permission to take it over', async () => {
    await expect(as('partner').topics.takeOver('ledger')).rejects.toMatchObject(refused('PERMISSION_MISSING'));
    const { epoch } = await as('writer').topics.takeOver('ledger');
    await as('writer').publish('ledger', { n: 1 }, { writerEpoch: epoch });
    await as('root').topics.takeOver('ledger');
    await expect(as('writer').publish('ledger', { n: 2 }, { writerEpoch: epoch })).rejects.toMatchObject({
      code: 'WRITER_FENCED',
    });
  });
});

describe('the record of access', () => {
  it('has what was refused and what was done, newest first, for admins', async () => {
    const run = await as('root').start('open', null);
    await expect(as('partner').start('secret', null)).rejects.toThrow();
    await as('root').run(run.id).cancel({ reason: 'ticket 4711' });
    const records = await recorded(as('auditor'));
    expect(records).toMatchObject([
      { outcome: 'allowed', actor: 'client:root', route: 'cancelRun', target: `id=${run.id}`, reason: 'ticket 4711' },
      {
        outcome: 'refused',
        actor: 'client:partner',
        route: 'startRun',
        target: 'name=secret',
        code: 'PERMISSION_MISSING',
      },
    ]);
    await expect(recorded(as('partner'))).rejects.toMatchObject(refused('FORBIDDEN'));
    await expect(recorded(as('auditor'), 'nobody')).rejects.toMatchObject(refused('FORBIDDEN'));
  });

  it('keeps callers whom nobody knows apart, for operators', async () => {
    await expect(as('stranger').runs.list().page()).rejects.toMatchObject({ status: 401 });
    expect(await recorded(as('root'), 'nobody')).toMatchObject([
      { actor: null, code: 'UNAUTHENTICATED', route: 'listRuns' },
    ]);
    expect(await recorded(as('root'))).toEqual([]);
  });

  it('is of the tenant that an operator visits', async () => {
    await as('root', 'rival').runs.list().page();
    expect(await recorded(as('root'))).toEqual([]);
    const [last] = (await recorded(as('root', 'rival'))).slice(-1);
    expect(last).toMatchObject({ actor: 'client:root', route: 'listRuns', outcome: 'allowed' });
  });

  it('is written by nobody else', async () => {
    await expect(as('root').publish(accessTopic.name, { outcome: 'allowed' })).rejects.toMatchObject(
      refused('TOPIC_OWN'),
    );
    await expect(spine.publish(accessTopic.name as 'noted', {})).rejects.toMatchObject({ code: 'TOPIC_OWN' });
    const both = await as('root').publishMany(accessTopic.name, []);
    expect(both).toEqual([]);
  });
});

describe('definitions', () => {
  it('show a caller what it may do something with', async () => {
    const { items } = (await (
      await spine.fetch(
        new Request('http://localhost/v1/definitions', { headers: { authorization: 'Bearer partner' } }),
      )
    ).json()) as {
      readonly items: readonly {
        readonly workflows: readonly { readonly name: string }[];
        readonly topics: readonly { readonly name: string }[];
      }[];
    };
    expect(items.flatMap(({ workflows }) => workflows.map(({ name }) => name))).toEqual(['open']);
    expect(items.flatMap(({ topics }) => topics.map(({ name }) => name))).toEqual(['noted']);
  });
});
