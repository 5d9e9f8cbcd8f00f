/** Lists of runs and dead letters: filters, order, cursors. */
import assert from 'node:assert/strict';
import type { RunRow, RunStatus } from '../../../core/run/state.js';
import type { DeadLetterQuery, RunQuery, Store } from '../../../store/index.js';
import { applyAll, deadLetter, move, someTime, start, tenant } from '../builders.js';
import type { StoreCase } from '../store-case.js';

const concern = 'lists';

const statuses: readonly RunStatus[] = [
  'active',
  'waiting',
  'succeeded',
  'failed',
  'cancelled',
  'refused',
  'continued',
];

/** 24 runs, one per second, of two workflows, each status four times. */
async function populate(store: Store): Promise<void> {
  await applyAll(
    store,
    ...Array.from({ length: 24 }, (_, i) => {
      const status = statuses[i % 6] ?? 'active';
      const row: Partial<RunRow> = {
        status,
        workflow: i % 2 === 0 ? 'even' : 'odd',
        version: i % 4 === 3 ? '2' : null,
        startedAt: someTime + i * 1_000,
        failureClass: status === 'failed' ? (i < 12 ? 'timeout' : 'network') : null,
        labels: i % 3 === 0 ? { third: String(i), 'we.ird "key\'': 'x' } : null,
      };
      return start({ run: name(i), row });
    }),
    start({ tenant: 'other', run: 'run_foreign', row: { startedAt: someTime } }),
  );
}

const name = (i: number): string => `run_${String(i).padStart(2, '0')}`;
const all = Array.from({ length: 24 }, (_, i) => i);

async function pages(store: Store, query: Omit<RunQuery, 'tenant'>): Promise<string[]> {
  const found: string[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < 100; page++) {
    const { items, next } = await store.listRuns({ tenant, ...query, ...(cursor === undefined ? {} : { cursor }) });
    assert.ok(items.length <= query.limit);
    found.push(...items.map(({ run }) => run));
    if (next === null) return found;
    cursor = next;
  }
  throw new Error('the list does not end');
}

const filters: readonly {
  readonly what: string;
  readonly query: Partial<RunQuery>;
  readonly keeps: (i: number) => boolean;
}[] = [
  { what: 'nothing', query: {}, keeps: () => true },
  ...statuses.map((status, at) => ({
    what: `status ${status}`,
    query: { statuses: [status] },
    keeps: (i: number) => i % 6 === at,
  })),
  { what: 'two statuses', query: { statuses: ['failed', 'active'] }, keeps: (i) => i % 6 === 3 || i % 6 === 0 },
  { what: 'no status at all', query: { statuses: [] }, keeps: () => false },
  { what: 'a workflow', query: { workflow: 'odd' }, keeps: (i) => i % 2 === 1 },
  { what: 'a workflow that has no runs', query: { workflow: 'none' }, keeps: () => false },
  { what: 'a version', query: { workflow: 'odd', version: '2' }, keeps: (i) => i % 4 === 3 },
  { what: 'no version', query: { version: null }, keeps: (i) => i % 4 !== 3 },
  { what: 'a failure class', query: { failureClass: 'timeout' }, keeps: (i) => i % 6 === 3 && i < 12 },
  { what: 'a label', query: { label: { name: 'third', value: '9' } }, keeps: (i) => i === 9 },
  {
    what: 'a label with odd characters',
    query: { label: { name: 'we.ird "key\'', value: 'x' } },
    keeps: (i) => i % 3 === 0,
  },
  {
    what: 'a label by a name that every object has',
    query: { label: { name: 'toString', value: 'x' } },
    keeps: () => false,
  },
  { what: 'the beginning of a period', query: { startedFrom: someTime + 20_000 }, keeps: (i) => i >= 20 },
  { what: 'the end of a period', query: { startedBefore: someTime + 3_000 }, keeps: (i) => i < 3 },
  {
    what: 'a period',
    query: { startedFrom: someTime + 5_000, startedBefore: someTime + 9_000 },
    keeps: (i) => i >= 5 && i < 9,
  },
  {
    what: 'everything together',
    query: {
      statuses: ['failed'],
      workflow: 'odd',
      failureClass: 'network',
      label: { name: 'third', value: '15' },
      startedFrom: someTime,
      startedBefore: someTime + 99_000,
    },
    keeps: (i) => i === 15,
  },
];

const letters: readonly {
  readonly what: string;
  readonly query: Partial<DeadLetterQuery>;
  readonly keeps: (i: number) => boolean;
}[] = [
  { what: 'nothing', query: {}, keeps: () => true },
  { what: 'a class', query: { class: 'network' }, keeps: (i) => i % 2 === 1 },
  { what: 'a workflow', query: { workflow: 'w2' }, keeps: (i) => i % 3 === 2 },
  { what: 'class and workflow', query: { class: 'network', workflow: 'w2' }, keeps: (i) => i % 6 === 5 },
  { what: 'a class that has none', query: { class: 'poison' }, keeps: () => false },
];

async function letterPages(store: Store, query: Omit<DeadLetterQuery, 'tenant'>): Promise<string[]> {
  const found: string[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < 100; page++) {
    const { items, next } = await store.listDeadLetters({
      tenant,
      ...query,
      ...(cursor === undefined ? {} : { cursor }),
    });
    found.push(...items.map(({ id }) => id));
    if (next === null) return found;
    cursor = next;
  }
  throw new Error('the list does not end');
}

export const listCases: readonly StoreCase[] = [
  ...filters.map(
    ({ what, query, keeps }): StoreCase => ({
      concern,
      name: `lists runs filtered by ${what}, in any order and page size`,
      run: async ({ store }) => {
        await populate(store);
        const expected = all.filter(keeps).map(name);
        for (const limit of [1, 2, 3, 7, 100]) {
          assert.deepEqual(await pages(store, { ...query, order: 'oldest', limit }), expected, `oldest, ${limit}`);
          assert.deepEqual(await pages(store, { ...query, limit }), expected.toReversed(), `newest, ${limit}`);
        }
      },
    }),
  ),
  {
    concern,
    name: 'orders runs of one instant by id',
    run: async ({ store }) => {
      await applyAll(store, ...['run_b', 'run_a', 'run_c'].map((run) => start({ run })));
      assert.deepEqual(await pages(store, { order: 'oldest', limit: 1 }), ['run_a', 'run_b', 'run_c']);
      assert.deepEqual(await pages(store, { limit: 2 }), ['run_c', 'run_b', 'run_a']);
    },
  },
  {
    concern,
    name: 'neither repeats nor skips when runs are added between pages',
    run: async ({ store }) => {
      await populate(store);
      const first = await store.listRuns({ tenant, limit: 10 });
      await applyAll(
        store,
        start({ run: 'run_newer', row: { startedAt: someTime + 99_000 } }),
        start({ run: 'run_older', row: { startedAt: someTime - 1 } }),
        start({ run: 'run_13x', row: { startedAt: someTime + 13_000 } }),
      );
      assert.ok(first.next !== null);
      const rest = await store.listRuns({ tenant, limit: 99, cursor: first.next });
      const seen = [...first.items, ...rest.items].map(({ run }) => run);
      assert.deepEqual(seen, [
        ...all.map(name).toReversed().slice(0, 10),
        'run_13x',
        ...all.slice(0, 14).map(name).toReversed(),
        'run_older',
      ]);
    },
  },
  {
    concern,
    name: 'continues after a run that has moved on since',
    run: async ({ store }) => {
      await populate(store);
      const first = await store.listRuns({ tenant, limit: 5, statuses: ['active'] });
      const last = first.items.at(-1);
      assert.ok(last);
      await applyAll(store, move({ run: last.run, head: 1, row: { ...last, status: 'succeeded' } }));
      const rest = await pages(store, { limit: 5, ...(first.next === null ? {} : { cursor: first.next }) });
      assert.ok(!rest.includes('run_23') || first.next === null);
    },
  },
  {
    concern,
    name: 'has no next page when the list is exactly one page long',
    run: async ({ store }) => {
      await applyAll(store, ...[1, 2, 3].map((i) => start({ run: `run_${i}` })));
      const page = await store.listRuns({ tenant, limit: 3 });
      assert.equal(page.items.length, 3);
      assert.equal(page.next, null);
    },
  },
  {
    concern,
    name: 'lists no runs of a tenant that has none',
    run: async ({ store }) => assert.deepEqual(await store.listRuns({ tenant, limit: 9 }), { items: [], next: null }),
  },
  {
    concern,
    name: 'finds one run among thousands by paging on',
    run: async ({ store }) => {
      const runs = Array.from({ length: 6_000 }, (_, i) =>
        start({ run: `run_${i}`, row: { startedAt: someTime + i, workflow: i === 0 ? 'rare' : 'common' } }),
      );
      for (let i = 0; i < runs.length; i += 1_000) await applyAll(store, ...runs.slice(i, i + 1_000));
      assert.deepEqual(await pages(store, { workflow: 'rare', limit: 10 }), ['run_0']);
    },
  },
  ...['', 'nonsense', 'runs.', 'runs.zz', 'dead-letters.1.dlq_1', 'runs.\0.x'].map(
    (cursor): StoreCase => ({
      concern,
      name: `refuses ${JSON.stringify(cursor)} as cursor of runs`,
      run: async ({ store }) => {
        await assert.rejects(store.listRuns({ tenant, limit: 1, cursor }), { code: 'CURSOR_INVALID' });
      },
    }),
  ),
  {
    concern,
    name: 'refuses a cursor of runs in the list of dead letters',
    run: async ({ store }) => {
      await populate(store);
      const { next } = await store.listRuns({ tenant, limit: 1 });
      assert.ok(next !== null);
      await assert.rejects(store.listDeadLetters({ tenant, limit: 1, cursor: next }), { code: 'CURSOR_INVALID' });
    },
  },
  ...letters.map(
    ({ what, query, keeps }): StoreCase => ({
      concern,
      name: `lists dead letters filtered by ${what}, newest first`,
      run: async ({ store }) => {
        const rows = Array.from({ length: 12 }, (_, i) =>
          deadLetter({
            id: `dlq_${String(i).padStart(2, '0')}`,
            class: i % 2 === 1 ? 'network' : 'timeout',
            workflow: `w${i % 3}`,
            at: someTime + Math.floor(i / 2),
          }),
        );
        await applyAll(store, { tenant, deadLetters: rows.map((row) => ({ op: 'add', row })) });
        await applyAll(store, {
          tenant: 'other',
          deadLetters: [{ op: 'add', row: deadLetter({ tenant: 'other' }) }],
        });
        const expected = rows
          .filter((_, i) => keeps(i))
          .map(({ id }) => id)
          .toReversed();
        for (const limit of [1, 2, 5, 99]) assert.deepEqual(await letterPages(store, { ...query, limit }), expected);
      },
    }),
  ),
  {
    concern,
    name: 'reads a dead letter back as it was added',
    run: async ({ store }) => {
      const row = deadLetter({ path: 'check/[1]', message: 'it\'s "bad"\nreally' });
      await applyAll(store, { ...start(), deadLetters: [{ op: 'add', row }] });
      assert.deepEqual(await store.readDeadLetter(tenant, 'dlq_1'), row);
      assert.equal(await store.readDeadLetter('other', 'dlq_1'), null);
      assert.equal(await store.readDeadLetter(tenant, 'dlq_2'), null);
    },
  },
  {
    concern,
    name: 'removes a dead letter, and one that is not there without complaint',
    run: async ({ store }) => {
      await applyAll(store, { tenant, deadLetters: [{ op: 'add', row: deadLetter() }] });
      const remove = (id: string) => ({ tenant, deadLetters: [{ op: 'remove' as const, id }] });
      await applyAll(store, remove('dlq_1'), remove('dlq_1'), remove('none'));
      assert.equal(await store.readDeadLetter(tenant, 'dlq_1'), null);
      assert.deepEqual(await store.listDeadLetters({ tenant, limit: 9 }), { items: [], next: null });
    },
  },
];
