/** Subscriptions over PostgreSQL, with two servers: one run for each event, in the order of its key, whoever delivers it. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createSpine, defineApp, subscription, topic, workflow, type Spine } from '../../src/spine/index.js';
import { postgres } from '../../src/stores/postgres/index.js';
import { describeUnless } from '../skip.js';
import { newSchema, noPostgres, serverUrl, sql } from './places.js';

interface Noted {
  readonly key: string;
  readonly n: number;
}

const noted = topic('noted', { key: 'key', partitions: 4 });
/** What was handled of each key, in the order in which it was begun, and how many of it were under way at one time. */
const handled = new Map<string, number[]>();
const underWay = new Map<string, number>();
let most = 0;

const handle = workflow('handle', {}, async (ctx, input) => {
  const { key, n } = input as Noted;
  await ctx.step('handle', async () => {
    const now = (underWay.get(key) ?? 0) + 1;
    underWay.set(key, now);
    most = Math.max(most, now);
    handled.set(key, [...(handled.get(key) ?? []), n]);
    await new Promise((resolve) => setTimeout(resolve, 5));
    underWay.set(key, now - 1);
  });
});
const app = defineApp({
  topics: [noted],
  workflows: [handle],
  subscriptions: [subscription('all', { topic: noted, start: handle })],
});
type App = typeof app;

describeUnless(noPostgres, 'subscriptions over PostgreSQL', () => {
  const schema = newSchema();
  const open: Spine<App>[] = [];
  const nodeOf = (i: number): Spine<App> => {
    const found = open[i % open.length];
    if (found === undefined) throw new Error('no such node');
    return found;
  };

  beforeAll(async () => {
    for (let i = 0; i < 2; i++) {
      // Without its location, or both would be views of one server in this process.
      const { name, open: openStore } = postgres({ url: serverUrl(), schema });
      const spine = createSpine(app, { store: { name, open: openStore } });
      open.push(spine);
      await spine.open();
    }
  });

  afterAll(async () => {
    for (const spine of open) await spine.close();
    if (noPostgres === null) await sql(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  });

  it('handles each event once, and those of one key one after the other', async () => {
    const keys = Array.from({ length: 8 }, (_, i) => `key-${i}`);
    for (let n = 0; n < 6; n++)
      await Promise.all(keys.map((key, i) => nodeOf(n + i).publish('noted', { key, n }, { id: `${key}/${n}` })));
    const count = (): number => [...handled.values()].reduce((sum, list) => sum + list.length, 0);
    await expect.poll(count, { timeout: 20_000 }).toBe(48);
    expect([...handled.values()]).toEqual(keys.map(() => [0, 1, 2, 3, 4, 5]));
    expect(most).toBe(1);
    expect((await nodeOf(0).doctor()).checks.filter(({ ok }) => !ok)).toEqual([]);
  });
});
