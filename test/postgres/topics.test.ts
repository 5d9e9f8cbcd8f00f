/** Topics that do not keep or take everything, over PostgreSQL, with two servers that know of each other by the database alone. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createSpine, defineApp, topic, type Spine } from '../../src/spine/index.js';
import { postgres } from '../../src/stores/postgres/index.js';
import { describeUnless } from '../skip.js';
import { newSchema, noPostgres, serverUrl, sql } from './places.js';

const app = defineApp({
  workflows: [],
  topics: [
    topic('led', { writer: 'single' }),
    topic('metered', { sources: { late: 'drop' } }),
    topic('recent', { partitions: 2, retention: { events: 3 } }),
    topic('table', { compact: true }),
  ],
});
type App = typeof app;

const numbered = (n: number) => ({
  specversion: '1.0' as const,
  id: `m${n}`,
  source: 'meter',
  type: 'metered',
  sequence: String(n),
  data: n,
});

describeUnless(noPostgres, 'topics over PostgreSQL', () => {
  const schema = newSchema();
  const open: Spine<App>[] = [];
  const at = (i: number): Spine<App> => open[i % 2] as Spine<App>;

  beforeAll(async () => {
    for (let i = 0; i < 2; i++) {
      // Without its location, or both would be views of one server in this process.
      const { name, open: openStore } = postgres({ url: serverUrl(), schema });
      const spine = createSpine(app, { store: { name, open: openStore }, engine: { upkeepEveryMs: 200 } });
      open.push(spine);
      await spine.open();
    }
  });

  afterAll(async () => {
    for (const spine of open) await spine.close();
    if (noPostgres === null) await sql(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  });

  it('take events of the newest epoch only, whichever server they come to (P22)', async () => {
    const write = async (i: number): Promise<void> => {
      for (let round = 0; round < 4; round++) {
        const { epoch } = await at(i).topics.takeOver('led');
        for (let n = 0; n < 5; n++)
          await at(i + n)
            .publish('led', { i, n }, { writerEpoch: epoch })
            .catch((error: unknown) => expect(error).toMatchObject({ code: 'WRITER_FENCED' }));
      }
    };
    await Promise.all([write(0), write(1)]);
    const epochs: unknown[] = [];
    for await (const { event } of at(0).topics.events('led')) epochs.push(event['writerepoch']);
    expect(epochs.length).toBeGreaterThan(5);
    expect(epochs).toEqual([...epochs].sort((a, b) => Number(a) - Number(b)));
    expect(await at(1).topics.writer('led')).toMatchObject({ epoch: 8 });
  });

  it('follow a source over both servers, and drop what is late', async () => {
    const numbers = Array.from({ length: 60 }, (_, n) => n + 1);
    await at(0).publishMany('metered', numbers.slice(0, 30).map(numbered));
    await at(1).publishMany('metered', numbers.slice(30).map(numbered));
    expect(await at(0).publishMany('metered', [numbered(64), numbered(62)])).toMatchObject([
      { gap: { from: 61, to: 63 } },
      { late: 'dropped' },
    ]);
    const data: unknown[] = [];
    for await (const { event } of at(1).topics.events('metered')) data.push(event['data']);
    expect(data).toEqual([...numbers, 64]);
    const [source] = (await at(1).topics.sources('metered').page()).items;
    expect(source).toMatchObject({ sequence: 64, missing: [{ from: 61, to: 63 }], late: 1 });
  });

  it('keep what they say, and tell a reader at the other server what it has missed (P19)', async () => {
    const told: string[] = [];
    const left = new AbortController();
    const reading = (async () => {
      const options = { from: 'oldest', partition: 0, signal: left.signal } as const;
      for await (const item of at(1).topics.follow('recent', options))
        told.push(item.event === 'event' ? String(item.data.offset) : `gap ${item.data.from}-${item.data.to}`);
    })().catch(() => undefined);
    for (let n = 0; n < 40; n++) await at(0).publish('recent', n);
    for (let n = 0; n < 12; n++) await at(n).publish('table', n % 5 === 4 ? null : n, { key: `k${n % 3}` });
    const partitions = async () => (await at(0).topics.list()).find((one) => one.topic === 'recent')?.partitions ?? [];
    await expect
      .poll(async () => (await partitions()).every(({ head, low }) => head - low === 3), { timeout: 10_000 })
      .toBe(true);
    const [first] = await partitions();
    const lost = await at(1).topics.events('recent', { partition: 0, after: 0 }).page();
    expect(lost).toMatchObject({ gap: { from: 1, to: (first?.low ?? 0) - 1 } });
    expect(lost.items.map(({ offset }) => offset)).toEqual([3, 2, 1].map((back) => (first?.head ?? 0) - back));
    const table = async () => (await at(0).topics.events('table').page()).items.map(({ event }) => event['data']);
    await expect.poll(table, { timeout: 10_000 }).toEqual([undefined, 10, 11]);
    await expect.poll(() => told.at(-1), { timeout: 10_000 }).toBe(String((first?.head ?? 0) - 1));
    left.abort();
    await reading;
    // A slice of the log: what was not handed over was told.
    let next = 0;
    for (const item of told) {
      const [from = 0, to = from] = item.replace('gap ', '').split('-').map(Number);
      expect(from).toBe(next);
      next = to + 1;
    }
  });
});
