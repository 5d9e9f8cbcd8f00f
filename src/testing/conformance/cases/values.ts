/** Values that stores are known to change in silence: they come back exactly, or are refused. */
import assert from 'node:assert/strict';
import type { Outcome, Store } from '../../../store/index.js';
import { applyOne, dedupe, inline, move, newTask, runRow, start, tenant } from '../builders.js';
import type { StoreCase } from '../store-case.js';

const concern = 'values';

const exact: readonly (readonly [string, string])[] = [
  ['an empty text', ''],
  ['blanks', '  \t\r\n '],
  ['quotes and backslashes', `'"\`\\''--;/*`],
  ['SQL', "x'; DROP TABLE run; --"],
  ['percent and underscore', '%_?*[a]'],
  ['JSON', '{"a":[1,null]}'],
  ['the text null', 'null'],
  ['digits', '007'],
  ['a number too large', '1e400'],
  ['accents, composed', '\u00e9'],
  ['accents, decomposed', 'e\u0301'],
  ['right-to-left text', '\u202eשלום'],
  ['emoji with joiners', '👩‍👩‍👧‍👦🏽'],
  ['the last code points', '\u{10ffff}\ufffe\uffff'],
  ['a replacement character', '\ufffd'],
  ['a byte order mark', '\ufeffx'],
  ['control characters', '\u0001\u001f\u007f\u0085\u2028'],
  ['a prototype name', '__proto__'],
  ['a long text', 'ä'.repeat(10_000)],
];

const refusedInColumns: readonly (readonly [string, string])[] = [
  ['NUL inside', 'a\0b'],
  ['NUL at the end', 'a\0'],
  ['a lone high surrogate', 'a\ud800b'],
  ['a lone low surrogate', '\udc00'],
  ['surrogates the wrong way round', '\udc00\ud800'],
];

/** Places for a text: how it is written there, and what is read back. */
const places: readonly {
  readonly place: string;
  readonly write: (store: Store, text: string) => Promise<Outcome>;
  readonly read: (store: Store, text: string) => Promise<unknown>;
}[] = [
  {
    place: 'the columns and labels of a run',
    write: (store, text) =>
      applyOne(
        store,
        start({
          row: {
            workflow: text,
            version: text,
            failureClass: text,
            failureCode: text,
            failureMessage: text,
            labels: { [text]: text, b: text },
          },
        }),
      ),
    read: async (store, text) => {
      const row = await store.readRun(tenant, 'run_1');
      assert.deepEqual(
        new Map(Object.entries(row?.labels ?? {})),
        new Map([
          [text, text],
          ['b', text],
        ]),
      );
      const values = [row?.workflow, row?.version, row?.failureClass, row?.failureCode, row?.failureMessage];
      assert.deepEqual(values, [text, text, text, text, text]);
      return row?.workflow;
    },
  },
  {
    place: 'a queue and a task',
    write: (store, text) => applyOne(store, start({ task: { task: text, queue: text } })),
    read: async (store, text) => {
      assert.equal((await store.queueStats())[0]?.queue, text);
      const [task] = await store.readTasks(tenant, 'run_1');
      assert.equal(task?.task, text);
      return task?.queue;
    },
  },
  {
    place: 'a dedupe key',
    write: (store, text) =>
      applyOne(store, start({ dedupe: [dedupe({ scope: text, key: text, hash: text, reference: text })] })),
    read: async (store, text) => (await store.readDedupe(tenant, text, text))?.reference,
  },
  {
    place: 'a tenant',
    write: (store, text) => applyOne(store, start({ tenant: text })),
    read: async (store, text) => (await store.readRun(text, 'run_1'))?.tenant,
  },
];

const texts: readonly StoreCase[] = places.flatMap(({ place, write, read }) => [
  ...exact.map(
    ([what, text]): StoreCase => ({
      concern,
      name: `round-trips ${what} in ${place}`,
      run: async ({ store }) => {
        const outcome = await write(store, text);
        assert.equal(outcome.tag, 'applied', JSON.stringify(outcome));
        assert.equal(await read(store, text), text);
      },
    }),
  ),
  ...refusedInColumns.map(
    ([what, text]): StoreCase => ({
      concern,
      name: `refuses ${what} in ${place}`,
      run: async ({ store }) => {
        assert.equal((await write(store, text)).tag, 'unstorable');
        assert.equal(await store.feedHead(), 0);
        assert.deepEqual(await store.readTally(), []);
      },
    }),
  ),
]);

const bodies: readonly StoreCase[] = [...exact, ...refusedInColumns.slice(0, 2)].map(
  ([what, text]): StoreCase => ({
    concern,
    name: `round-trips ${what} in an envelope and a payload`,
    run: async ({ store }) => {
      const transition = start({ payload: inline(text) });
      const [first] = transition.events ?? [];
      assert.ok(first);
      assert.equal((await applyOne(store, { ...transition, events: [{ ...first, envelope: text }] })).tag, 'applied');
      const [read] = await store.readEvents({ tenant, stream: 'run_1', after: 0, limit: 1 });
      assert.equal(read?.envelope, text);
      assert.deepEqual(read?.payload, inline(text));
    },
  }),
);

const brokenBodies: readonly StoreCase[] = refusedInColumns.slice(2).flatMap(([what, text]) =>
  (['envelope', 'payload'] as const).map(
    (part): StoreCase => ({
      concern,
      name: `refuses ${what} in ${part === 'envelope' ? 'an envelope' : 'a payload'}`,
      run: async ({ store }) => {
        const transition = start({ payload: inline(part === 'payload' ? text : 'x') });
        const [first] = transition.events ?? [];
        assert.ok(first);
        const events = [part === 'envelope' ? { ...first, envelope: text } : first];
        assert.equal((await applyOne(store, { ...transition, events })).tag, 'unstorable');
      },
    }),
  ),
);

const numbers: readonly StoreCase[] = [
  ...[0, -1, 2 ** 31, 2 ** 32, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER].map(
    (value): StoreCase => ({
      concern,
      name: `round-trips the integer ${value}`,
      run: async ({ store }) => {
        const row = { priority: value, startedAt: value, updatedAt: value, expiresAt: value };
        assert.equal(
          (await applyOne(store, start({ row, task: { rank: value, attempt: value, deadlineMs: value } }))).tag,
          'applied',
        );
        assert.deepEqual(await store.readRun(tenant, 'run_1'), runRow(row));
        const [task] = await store.readTasks(tenant, 'run_1');
        assert.deepEqual([task?.rank, task?.attempt, task?.deadlineMs], [value, value, value]);
        assert.equal((await store.listRuns({ tenant, limit: 1 })).items[0]?.startedAt, value);
      },
    }),
  ),
  ...[1.5, 2 ** 53, -(2 ** 53), 1e300, Number.NaN, Number.POSITIVE_INFINITY].map(
    (value): StoreCase => ({
      concern,
      name: `refuses ${value} as an integer`,
      run: async ({ store }) => {
        const rows = (['priority', 'startedAt', 'updatedAt', 'expiresAt'] as const).map((field) => ({
          [field]: value,
        }));
        for (const row of rows) assert.equal((await applyOne(store, start({ row }))).tag, 'unstorable');
        for (const task of [{ attempt: value }, { deadlineMs: value }, { inputSeq: value }, { dueAt: value }])
          assert.equal((await applyOne(store, start({ task }))).tag, 'unstorable');
        assert.equal(await store.feedHead(), 0);
      },
    }),
  ),
  ...[0.1, -0.5, 1e300, 1e-9, 1_750_000_000_000.125].map(
    (rank): StoreCase => ({
      concern,
      name: `round-trips the rank ${rank}`,
      run: async ({ store }) => {
        await applyOne(store, start({ task: { rank } }));
        assert.equal((await store.readTasks(tenant, 'run_1'))[0]?.rank, rank);
      },
    }),
  ),
  ...[Number.NaN, Number.NEGATIVE_INFINITY, 5e-324].map(
    (rank): StoreCase => ({
      concern,
      name: `refuses the rank ${rank}`,
      run: async ({ store }) => assert.equal((await applyOne(store, start({ task: { rank } }))).tag, 'unstorable'),
    }),
  ),
];

export const valueCases: readonly StoreCase[] = [
  ...texts,
  ...bodies,
  ...brokenBodies,
  ...numbers,
  {
    concern,
    name: 'tells no labels from empty labels',
    run: async ({ store }) => {
      await applyOne(store, start({ row: { labels: {} } }));
      await applyOne(store, start({ run: 'run_2', row: { labels: null } }));
      assert.deepEqual((await store.readRun(tenant, 'run_1'))?.labels, {});
      assert.equal((await store.readRun(tenant, 'run_2'))?.labels, null);
    },
  },
  {
    concern,
    name: 'tells an empty text from none',
    run: async ({ store }) => {
      await applyOne(store, start({ row: { failureMessage: '', version: '' } }));
      const row = await store.readRun(tenant, 'run_1');
      assert.deepEqual([row?.failureMessage, row?.version, row?.failureClass], ['', '', null]);
    },
  },
  {
    concern,
    name: 'finds nothing under a key cut short at NUL',
    run: async ({ store }) => {
      await store.apply([
        { ...start({ dedupe: [dedupe()] }), timers: [{ op: 'set', run: 'run_1', name: 't', fireAt: 1 }] },
      ]);
      assert.equal(await store.readRun(tenant, 'run_1\0x'), null);
      assert.equal(await store.readRun(`${tenant}\0`, 'run_1'), null);
      assert.deepEqual(await store.readEvents({ tenant, stream: 'run_1\0', after: 0, limit: 9 }), []);
      assert.deepEqual(await store.readHistories([{ tenant, run: 'run_1\0' }]), [[]]);
      assert.deepEqual(await store.readTasks(tenant, 'run_1\0'), []);
      assert.deepEqual(await store.readTimers(tenant, 'run_1\0'), []);
      assert.equal(await store.readDedupe(tenant, 'start:answer', 'k1\0'), null);
      assert.deepEqual((await store.listRuns({ tenant: `${tenant}\0`, limit: 9 })).items, []);
      assert.deepEqual((await store.listRuns({ tenant, workflow: 'answer\0', limit: 9 })).items, []);
      assert.equal(await store.release([{ tenant, run: 'run_1\0', task: 'a1', token: 0 }]), 0);
    },
  },
  {
    concern,
    name: 'refuses a guard that names a key cut short at NUL',
    run: async ({ store }) => {
      await applyOne(store, start());
      const lease = { tenant, run: 'run_1\0', task: 'a1', token: 0 };
      const outcome = await applyOne(store, { ...move({ head: 1 }), lease });
      assert.equal(outcome.tag, 'fenced');
      const close = [{ op: 'close' as const, run: 'run_1', task: 'a1\0' }];
      assert.equal((await applyOne(store, { ...move({ head: 1 }), tasks: close })).tag, 'unstorable');
      const open = [{ op: 'open' as const, run: 'run_1', task: newTask({ task: 'c\0' }) }];
      assert.equal((await applyOne(store, { ...move({ head: 1 }), tasks: open })).tag, 'unstorable');
      assert.equal((await store.readTasks(tenant, 'run_1')).length, 1);
    },
  },
];
