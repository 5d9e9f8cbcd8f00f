/** Waits over PostgreSQL, with two servers: positions come after commits, and neighbours are heard of by the feed. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createSpine, defineApp, signal, topic, workflow, type Spine } from '../../src/spine/index.js';
import { postgres } from '../../src/stores/postgres/index.js';
import { describeUnless } from '../skip.js';
import { newSchema, noPostgres, serverUrl, sql } from './places.js';

const noted = topic('noted', { key: 'n', partitions: 4 });
const go = signal('go');
const waits = workflow('waits', {}, async (ctx, input) => {
  const { n, count } = input as { readonly n: number; readonly count: number };
  await ctx.waitFor(go);
  const found: unknown[] = [];
  for (let i = 0; i < count; i++) {
    const event = await ctx.waitFor(noted, { as: ['noted', i], match: { n }, timeout: '30s' });
    found.push((event?.data as { readonly i: number } | undefined)?.i ?? null);
  }
  return found;
});
const asks = workflow('asks', {}, (ctx) => ctx.approve('ok', { to: 'role:editor', expires: '1h' }));
const app = defineApp({ topics: [noted], workflows: [waits, asks] });
type App = typeof app;

describeUnless(noPostgres, 'waits over PostgreSQL', () => {
  const schema = newSchema();
  const open: Spine<App>[] = [];
  const nodeOf = (i: number): Spine<App> => {
    const found = open[i];
    if (found === undefined) throw new Error('no such node');
    return found;
  };

  beforeAll(async () => {
    for (let i = 0; i < 2; i++) {
      // Without its location, or both would be views of one server in this process.
      const { name, open: openStore } = postgres({ url: serverUrl(), schema });
      const store = { name, open: openStore };
      const spine = createSpine(app, { store, worker: { parkAfterMs: i === 0 ? 0 : 5_000 } });
      open.push(spine);
      await spine.open();
    }
  });

  afterAll(async () => {
    for (const spine of open) await spine.close();
    if (noPostgres === null) await sql(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  });

  it('gives each event once and in order, wherever it is published and the run is at work', async () => {
    const runs = await Promise.all(Array.from({ length: 20 }, (_, n) => nodeOf(n % 2).start('waits', { n, count: 4 })));
    const publish = async (i: number): Promise<void> => {
      await Promise.all(runs.map((_, n) => nodeOf((n + i) % 2).publish('noted', { n, i })));
    };
    await publish(0);
    await publish(1);
    await Promise.all(runs.map((run, n) => nodeOf((n + 1) % 2).signal(run.id, go)));
    await publish(2);
    await publish(3);
    expect(await Promise.all(runs.map((run) => run.result()))).toEqual(runs.map(() => [0, 1, 2, 3]));
    expect((await nodeOf(0).doctor()).checks.filter(({ ok }) => !ok)).toEqual([]);
  });

  it('takes one word of two that come to two servers at once', async () => {
    const run = await nodeOf(0).start('asks', null);
    await expect.poll(async () => (await nodeOf(1).approvals.list().page()).items.length, { timeout: 10_000 }).toBe(1);
    const [item] = (await nodeOf(1).approvals.list().page()).items;
    const id = item?.id ?? '';
    const words = await Promise.allSettled([
      nodeOf(0).approvals.approve(id, { as: { user: 'ann', roles: ['editor'] } }),
      nodeOf(1).approvals.reject(id, { as: { user: 'bob', roles: ['editor'] } }),
    ]);
    expect(words.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const result = (await run.result()) as { readonly outcome: string };
    expect(result.outcome).toBe(words[0]?.status === 'fulfilled' ? 'approved' : 'rejected');
  });
});
