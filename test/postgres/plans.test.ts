/**
 * The plans of the hot statements at a backlog: they go by the index that was made for them and touch no more rows than
 * they need. A plan that degenerates passes every other test and shows a month later.
 */
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Store } from '../../src/store/index.js';
import { bools, int2s, int4s, int8s, texts } from '../../src/stores/postgres/arrays.js';
import { Database } from '../../src/stores/postgres/database.js';
import { eraOf } from '../../src/stores/postgres/eras.js';
import { makePool } from '../../src/stores/postgres/driver.js';
import type { Value } from '../../src/stores/postgres/pipeline.js';
import { writeSql } from '../../src/stores/postgres/sql.js';
import { leaseOf, queue, session, start, tenant } from '../../src/testing/conformance/builders.js';
import { describeUnless } from '../skip.js';
import { noPostgres, ownSchema, serverUrl, sql } from './places.js';

const backlog = 100_000;
const batch = 1_000;

interface Node {
  readonly 'Node Type': string;
  readonly 'Index Name'?: string;
  readonly 'Relation Name'?: string;
  readonly 'Actual Rows'?: number;
  readonly 'Actual Loops'?: number;
  readonly Plans?: readonly Node[];
}

describeUnless(noPostgres, `plans at a backlog of ${backlog}`, () => {
  let place: Awaited<ReturnType<typeof ownSchema>>;
  let store: Store;
  let database: Database;
  let statements: ReturnType<typeof writeSql>;

  beforeAll(async () => {
    place = await ownSchema();
    store = await place.open();
    for (let i = 0; i < backlog; i += batch)
      await store.apply(Array.from({ length: batch }, (_, j) => start({ run: `run_${i + j}`, task: { rank: i + j } })));
    await store.openSession(session());
    const pool = await makePool({ url: serverUrl(), name: 'test', connectMs: 5_000, size: 1 });
    database = new Database(pool, true, { statementMs: 60_000, lockMs: 5_000, queryMs: 65_000 });
    statements = writeSql(`"${place.schema}"`);
  }, 120_000);

  afterAll(async () => {
    await database.close();
    await store.close();
    await place.dispose();
  });

  /** The nodes of the plan as it was carried out, in a transaction that is rolled back. */
  const planOf = async (text: string, values: readonly Value[]): Promise<Node[]> => {
    const connection = await database.session();
    const results = await connection.run([
      { text: 'BEGIN', values: [] },
      database.settings,
      { text: `EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) ${text}`, values },
      { text: 'ROLLBACK', values: [] },
    ]);
    connection.release();
    const [{ Plan }] = JSON.parse(results[2]?.[0]?.[0] ?? '[]') as [{ Plan: Node }];
    return flatten(Plan);
  };

  const scansOf = (nodes: readonly Node[], table: string): Node[] =>
    nodes.filter((node) => node['Relation Name'] === table && node['Node Type'].includes('Scan'));

  const claimValues = (most: number): Value[] => {
    return ['ses_1', store.epoch, texts([queue]), int8s([most]), most, 1, 1, 0];
  };

  for (const analyzed of [false, true]) {
    it(`claims by the ready index, one row a task, ${analyzed ? 'with' : 'without'} statistics`, async () => {
      if (analyzed) await sql(`ANALYZE ${place.schema}.task, ${place.schema}.run, ${place.schema}.event`);
      const nodes = await planOf(statements.claim, claimValues(100));
      const [ready] = scansOf(nodes, 'task').filter((node) => node['Index Name'] === 'task_ready');
      expect(ready?.['Node Type']).toMatch(/^Index/);
      expect((ready?.['Actual Rows'] ?? Infinity) * (ready?.['Actual Loops'] ?? 1)).toBeLessThanOrEqual(101);
      expect(nodes.filter((node) => node['Node Type'] === 'Seq Scan')).toEqual([]);
    });

    it(`looks runs and tasks up by their keys, ${analyzed ? 'with' : 'without'} statistics`, async () => {
      const keys = Array.from({ length: 256 }, (_, i) => `run_${i * 300 + 7}`);
      const tenants = texts(keys.map(() => tenant));
      const tasks = texts(keys.map(() => 'a1'));
      const [zeros, ones, none] = [keys.map(() => 0), keys.map(() => 1), texts(keys.map(() => null))];
      const moved = [
        ...[tenants, texts(keys), tenants, none, int2s(zeros), int8s(ones), int8s(zeros), int8s(zeros), int8s(zeros)],
        ...[int8s(keys.map(() => null)), bools(keys.map(() => false)), none, none, none, none],
        ...[int4s(keys.map(() => eraOf(store.now()))), int8s(ones), keys.length],
      ];
      for (const [text, table, values] of [
        [statements.lockRuns, 'run', [tenants, texts(keys)]],
        [statements.lockTasks, 'task', [tenants, texts(keys), tasks]],
        [statements.moveRuns.many, 'run', moved],
        [statements.dropTasks.many, 'task', [tenants, texts(keys), tasks, int2s(zeros), int8s(zeros), keys.length]],
      ] as const) {
        const scans = scansOf(await planOf(text, values), table);
        const looks = scans.filter((node) => node['Node Type'] !== 'Tid Scan');
        expect(looks.map((node) => node['Index Name'])).toEqual([`${table}_pkey`]);
        // One look a key; a walk through the index is one look for all, and meets every row.
        for (const scan of scans) expect(scan['Actual Loops']).toBe(keys.length);
      }
    });

    it(`compares what is believed key by key, ${analyzed ? 'with' : 'without'} statistics`, async () => {
      const keys = Array.from({ length: 256 }, (_, i) => `run_${i * 300}`);
      const of = [texts(keys.map(() => tenant)), texts(keys)];
      await store.claim({ session: 'ses_1', queues: [{ queue, limit: 1 }], limit: 1, assignmentFrom: 900_000 });
      const [lease] = await store.listLeases({ limit: 1 });
      if (lease === undefined) throw new Error('no lease');
      const leased = [texts([tenant]), texts([lease.run]), texts([lease.task]), int8s([lease.token]), 1];
      const era = int4s(keys.map(() => eraOf(store.now())));
      for (const [text, table, count, values] of [
        [statements.trustRuns.many, 'run', keys.length, [...of, int8s(keys.map(() => 1)), era, keys.length]],
        [statements.trustLeases.many, 'task', 1, leased],
      ] as const) {
        const [scan] = scansOf(await planOf(text, values), table);
        expect(scan?.['Index Name']).toBe(`${table}_pkey`);
        expect(scan?.['Actual Loops']).toBe(count);
      }
      await store.release([leaseOf(lease)]);
    });
  }

  it('looks a single row up by its key', async () => {
    const run = [tenant, 'run_7', tenant, null, 0, 1, 0, 0, 0, null, 'false', null, null, null, null];
    const era = eraOf(store.now());
    for (const [text, table, values] of [
      [statements.trustRuns.one, 'run', [tenant, 'run_7', 1, era, 1]],
      [statements.moveRuns.one, 'run', [...run, era, 1, 1]],
      [statements.trustLeases.one, 'task', [tenant, 'run_7', 'a1', 1, 0]],
      [statements.dropTasks.one, 'task', [tenant, 'run_7', 'a1', 0, 0, 1]],
    ] as const) {
      const scans = scansOf(await planOf(text, values), table);
      expect(scans.map((node) => [node['Index Name'], node['Actual Loops']])).toEqual([[`${table}_pkey`, 1]]);
    }
  });

  /** The least time of some goes of `act`, and of as many walks through the backlog, in turn; ms. */
  const leastTimes = async (act: (go: number) => Promise<void>): Promise<readonly [ms: number, walkMs: number]> => {
    const timed = async (work: () => Promise<unknown>): Promise<number> => {
      const begun = performance.now();
      await work();
      return performance.now() - begun;
    };
    const connection = await database.session();
    const walk = { text: `SELECT count(*) FROM "${place.schema}".task WHERE rank > -1`, values: [] };
    const [times, walks]: [number[], number[]] = [[], []];
    for (let go = 0; go < 15; go++) {
      times.push(await timed(() => act(go)));
      walks.push(await timed(() => connection.run([walk])));
    }
    connection.release();
    return [Math.min(...times), Math.min(...walks)];
  };

  it('claims more quickly than anything could that walks through the backlog', async () => {
    const [ms, walkMs] = await leastTimes(async (go) => {
      const claim = { session: 'ses_1', queues: [{ queue, limit: 10 }], limit: 10, assignmentFrom: 1 + go * 10 };
      expect((await store.claim(claim)).length).toBe(10);
    });
    expect(ms).toBeLessThan(walkMs);
  });

  it('reads a page of the feed by position, and no more of it', async () => {
    await store.feedHead();
    const [ms, walkMs] = await leastTimes(async (go) => {
      const after = backlog / 2 + go * 50;
      const page = await store.readFeed({ after, limit: 50 });
      expect(page.map(({ position }) => position)).toEqual(Array.from({ length: 50 }, (_, i) => after + 1 + i));
    });
    expect(ms).toBeLessThan(walkMs);
  });
});

describeUnless(noPostgres, 'plans that are kept since their tables were empty', () => {
  let client: pg.Client;
  let place: Awaited<ReturnType<typeof ownSchema>>;
  let database: Database;

  beforeAll(async () => {
    place = await ownSchema();
    await (await place.open()).close();
    client = new pg.Client({ connectionString: serverUrl() });
    await client.connect();
    const pool = await makePool({ url: serverUrl(), name: 'test', connectMs: 5_000, size: 1 });
    database = new Database(pool, true, { statementMs: 60_000, lockMs: 5_000, queryMs: 65_000 });
  }, 120_000);

  afterAll(async () => {
    await client.end();
    await database.close();
    await place.dispose();
  });

  it('look by the keys of runs and tasks', async (test) => {
    const statements = writeSql(`"${place.schema}"`);
    const { trustRuns, moveRuns, trustLeases, dropTasks } = statements;
    const texts = [
      ...[trustRuns, moveRuns, trustLeases, dropTasks].flatMap(({ many, lean, one }) => [many, lean, one]),
      ...[statements.lockRuns, statements.lockTasks, statements.claim, statements.claimed],
    ];
    const { rows } = await client.query<{ version: number }>(
      "SELECT current_setting('server_version_num')::int AS version",
    );
    test.skip((rows[0]?.version ?? 0) < 160_000, 'older servers do not show such plans');
    await client.query('BEGIN');
    await client.query(database.settings.text, [...database.settings.values]);
    for (const text of texts) {
      const explained = await client.query<{ 'QUERY PLAN': readonly [{ Plan: Node }] }>(
        `EXPLAIN (GENERIC_PLAN, FORMAT JSON) ${text}`,
      );
      const nodes = flatten(explained.rows[0]?.['QUERY PLAN'][0].Plan ?? { 'Node Type': 'Seq Scan' });
      expect(nodes.filter((node) => node['Node Type'] === 'Seq Scan')).toEqual([]);
      const looks = nodes.filter((node) => node['Relation Name'] === 'run' && node['Index Name'] !== undefined);
      for (const look of looks) expect(look['Index Name']).toBe('run_pkey');
    }
    await client.query('ROLLBACK');
  });
});

function flatten(node: Node): Node[] {
  return [node, ...(node.Plans ?? []).flatMap(flatten)];
}
