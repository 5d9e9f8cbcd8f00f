/** Agents over PostgreSQL, with two servers: a key is one run, whichever server brings its messages and runs it. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { agent, createSpine, defineApp, message, topic, type Spine } from '../../src/spine/index.js';
import { postgres } from '../../src/stores/postgres/index.js';
import { describeUnless } from '../skip.js';
import { newSchema, noPostgres, serverUrl } from './places.js';

const noted = topic('noted', { schema: z.object({ key: z.string(), i: z.number() }), key: 'key', partitions: 4 });
const sum = message('sum', { reply: z.number() });
const tally = agent('tally', {
  messages: [noted, sum],
  state: z.object({ seen: z.array(z.number()) }),
  initial: { seen: [] },
  continueAfter: 4,
  on: {
    noted: (self, { data }) => {
      self.state.seen.push(data.i);
    },
    sum: async (self) => {
      const own = self.state.seen.length;
      return self.key.endsWith('+') ? own : own + (await self.ask('tally', `${self.key}+`, sum, null));
    },
  },
});
const app = defineApp({ topics: [noted], agents: [tally] });
type App = typeof app;

describeUnless(noPostgres, 'agents over PostgreSQL', () => {
  const schema = newSchema();
  const open: Spine<App>[] = [];
  const nodeOf = (i: number): Spine<App> => {
    const found = open[i % 2];
    if (found === undefined) throw new Error('no such node');
    return found;
  };

  beforeAll(async () => {
    for (let i = 0; i < 2; i++) {
      // Without its location, or both would be views of one server in this process.
      const { name, open: openStore } = postgres({ url: serverUrl(), schema });
      const spine = createSpine(app, {
        store: { name, open: openStore },
        worker: { parkAfterMs: i === 0 ? 0 : 5_000 },
      });
      open.push(spine);
      await spine.open();
    }
  });

  afterAll(async () => {
    for (const spine of open) await spine.close();
  });

  it('handles each message once and in order, over many runs of a key', async () => {
    const keys = Array.from({ length: 12 }, (_, n) => `k${n}`);
    for (let i = 0; i < 10; i++)
      await Promise.all(keys.map((key, n) => nodeOf(n + i).publish('noted', { key, i }, { id: `${key}-${i}` })));
    const first = await nodeOf(0).agent('tally', 'k0').tell('sum', null, { id: 'same' });
    const again = await nodeOf(1).agent('tally', 'k0').tell('sum', null, { id: 'same' });
    expect([first.outcome, again.outcome]).toEqual(['accepted', 'already']);
    await Promise.all(
      keys.map((key, n) =>
        expect
          .poll(
            async () => {
              const { state } = await nodeOf(n).agent('tally', key).status();
              return (state as { readonly seen: readonly number[] } | null)?.seen ?? [];
            },
            { timeout: 20_000 },
          )
          .toEqual(Array.from({ length: 10 }, (_, i) => i)),
      ),
    );
    const sums = await Promise.all(
      keys.map((key, n) =>
        nodeOf(n + 1)
          .agent('tally', key)
          .ask('sum', null),
      ),
    );
    expect(sums).toEqual(keys.map(() => 10));
    const checks = async (): Promise<unknown> => (await nodeOf(0).doctor()).checks.filter(({ ok }) => !ok);
    await expect.poll(checks, { timeout: 10_000 }).toEqual([]);
  }, 60_000);
});
