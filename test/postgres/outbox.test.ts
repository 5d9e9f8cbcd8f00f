/** Entries of the outbox, settled by several nodes at the same time: each once, in their order, gone with their commit. */
import pg from 'pg';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { OutboxEntry, Store, Transition } from '../../src/store/index.js';
import { start, tenant, topicEvent } from '../../src/testing/conformance/builders.js';
import { describeUnless } from '../skip.js';
import { noPostgres, ownSchema, serverUrl, sql } from './places.js';

describeUnless(noPostgres, 'the outbox', () => {
  let place: Awaited<ReturnType<typeof ownSchema>>;
  let nodes: Store[];
  let client: pg.Client;

  beforeEach(async () => {
    place = await ownSchema();
    nodes = [await place.open(), await place.open()];
    client = new pg.Client({ connectionString: serverUrl() });
    await client.connect();
  });

  afterEach(async () => {
    await client.end();
    await Promise.all(nodes.map((node) => node.close()));
    await place.dispose();
  });

  const outbox = (i: number) => {
    const found = nodes[i]?.outbox;
    if (found === undefined) throw new Error('The store has no outbox');
    return found;
  };
  const leave = async (...transitions: Transition[]): Promise<void> => {
    await client.query('BEGIN');
    for (const transition of transitions) expect(await outbox(0).leave(client, transition)).toEqual({ tag: 'left' });
    await client.query('COMMIT');
  };
  // Nothing but the entry itself would keep such an event from being written twice.
  const event = (n: number): Transition => ({ tenant, publishes: [topicEvent({ envelope: `{"n":${n}}` })] });
  const events = async (): Promise<string[]> => {
    const topic = topicEvent({});
    const rows = await nodes[0]?.readEvents({
      tenant,
      stream: `${topic.topic}/${topic.partition}`,
      after: -1,
      limit: 1_000,
    });
    return (rows ?? []).map(({ envelope }) => envelope);
  };

  it('gives each entry to one of those who settle it at the same time', async () => {
    const all = Array.from({ length: 60 }, (_, n) => event(n));
    await leave(...all);
    const entries = await outbox(1).read(100);
    expect(entries.map(({ transition }) => transition)).toEqual(all);
    // Parts that overlap, and one that begins behind the others.
    const parts: (readonly [number, readonly OutboxEntry[]])[] = [
      [0, entries.slice(0, 40)],
      [1, entries],
      [0, entries],
      [1, entries.slice(0, 50)],
    ];
    const outcomes = (await Promise.all(parts.map(([i, part]) => outbox(i).settle(part)))).flat();
    expect(outcomes.filter(({ tag }) => tag === 'applied')).toHaveLength(60);
    expect(outcomes.filter(({ tag }) => tag === 'fenced')).toHaveLength(outcomes.length - 60);
    expect(await events()).toEqual(all.map(({ publishes }) => publishes?.[0]?.envelope));
    expect(await outbox(0).read(100)).toEqual([]);
  });

  it('keeps an entry that is refused, and its neighbours do not care', async () => {
    await nodes[0]?.apply([start({ run: 'run_1' })]);
    await leave(event(1), start({ run: 'run_1' }), event(2));
    const entries = await outbox(0).read(100);
    expect((await outbox(0).settle(entries)).map(({ tag }) => tag)).toEqual(['applied', 'conflict', 'applied']);
    const left = await outbox(0).read(100);
    expect(left.map(({ id }) => id)).toEqual([entries[1]?.id]);
    await outbox(0).refuse(left[0]?.id ?? 0, 'because');
    expect(await outbox(0).read(100)).toEqual([]);
    expect((await outbox(1).settle(left)).map(({ tag }) => tag)).toEqual(['fenced']);
    expect(await nodes[1]?.check(10)).toEqual([expect.objectContaining({ property: 'P3', tenant })]);
  });

  it('drops what is not to be carried out', async () => {
    await leave(event(1), event(2));
    const [first, second] = await outbox(0).read(100);
    await outbox(0).drop(first?.id ?? 0);
    expect((await outbox(0).read(100)).map(({ id }) => id)).toEqual([second?.id]);
  });

  it('reads no more at once than it may hold, and at least one', async () => {
    const large = { ...event(0), blobs: [{ hash: 'h', bytes: new Uint8Array(9_000_000) }] };
    await leave(large, event(1), large, event(2));
    expect(await outbox(0).read(100)).toHaveLength(3);
    expect(await outbox(0).read(1)).toHaveLength(1);
  });

  it('leaves entries of a format that it does not know to those who do', async () => {
    await leave(event(1));
    await sql(`UPDATE ${place.schema}.outbox SET format = 2`);
    expect(await outbox(0).read(100)).toEqual([]);
  });

  it('finds the oldest entries by an index, however many were set aside', async () => {
    const s = place.schema;
    await sql(`INSERT INTO ${s}.outbox (tenant, format, transition, refused)
      SELECT 't', 1, '{}', 'r' FROM generate_series(1, 20000)`);
    await sql(`ANALYZE ${s}.outbox`);
    const plan = await sql(
      `EXPLAIN SELECT id FROM ${s}.outbox WHERE refused IS NULL AND format <= 1 ORDER BY id LIMIT 256`,
    );
    expect(plan.map((row) => row['QUERY PLAN']).join('\n')).toContain('outbox_open');
  });
});
