/** Counters and queue statistics. */
import assert from 'node:assert/strict';
import type { Store } from '../../../store/index.js';
import { applyAll, applyOne, claimSome, finish, leaseOf, move, newTask, queue, start, tenant } from '../builders.js';
import type { StoreCase } from '../store-case.js';

const concern = 'tally';

async function counts(store: Store): Promise<Record<string, number>> {
  const rows = await store.readTally();
  return Object.fromEntries(
    rows.map(({ tenant: of, kind, name, state, count }) => [`${of} ${kind} ${name} ${state}`, count]),
  );
}

export const tallyCases: readonly StoreCase[] = [
  {
    concern,
    name: 'counts nothing in an empty store',
    run: async ({ store }) => {
      assert.deepEqual(await store.readTally(), []);
      assert.deepEqual(await store.queueStats(), []);
    },
  },
  {
    concern,
    name: 'follows runs and tasks through their life',
    run: async ({ store }) => {
      await applyAll(store, start(), start({ run: 'run_2' }), start({ tenant: 'other' }));
      assert.deepEqual(await counts(store), {
        'acme run answer active': 2,
        [`acme task ${queue} ready`]: 2,
        'other run answer active': 1,
        [`other task ${queue} ready`]: 1,
      });
      const [task] = await claimSome(store, 1);
      assert.ok(task);
      assert.equal((await counts(store))[`acme task ${queue} leased`], 1);
      await applyAll(store, finish(leaseOf(task), 1));
      assert.deepEqual(await counts(store), {
        'acme run answer active': 1,
        'acme run answer succeeded': 1,
        [`acme task ${queue} ready`]: 1,
        'other run answer active': 1,
        [`other task ${queue} ready`]: 1,
      });
    },
  },
  {
    concern,
    name: 'follows tasks through delay, hold, release and requeue',
    run: async ({ store, clock }) => {
      const states = async (): Promise<Record<string, number>> =>
        Object.fromEntries(
          (await store.readTally()).filter(({ kind }) => kind === 'task').map(({ state, count }) => [state, count]),
        );
      await applyAll(
        store,
        start({ run: 'run_1', task: { dueAt: clock.now() + 1 } }),
        start({ run: 'run_2', task: { limitKey: 'l' } }),
        start({ run: 'run_3' }),
      );
      assert.deepEqual(await states(), { delayed: 1, held: 1, ready: 1 });
      clock.advance(1);
      await store.promoteDue(9);
      assert.deepEqual(await states(), { held: 1, ready: 2 });
      const [task] = await claimSome(store, 1);
      assert.ok(task);
      assert.deepEqual(await states(), { held: 1, leased: 1, ready: 1 });
      await store.release([leaseOf(task)]);
      assert.deepEqual(await states(), { held: 1, ready: 2 });
      const [again] = await claimSome(store, 1);
      assert.ok(again);
      await applyAll(store, {
        ...move({ run: again.run, head: 1 }),
        lease: leaseOf(again),
        tasks: [{ op: 'requeue', run: again.run, task: newTask({ dueAt: clock.now() + 5 }) }],
      });
      assert.deepEqual(await states(), { delayed: 1, held: 1, ready: 1 });
      assert.deepEqual(
        (await store.check(9)).filter(({ property }) => property !== 'P3'),
        [],
      );
    },
  },
  {
    concern,
    name: 'counts a run that changes its workflow under the new one',
    run: async ({ store }) => {
      await applyAll(store, start());
      await applyAll(store, move({ head: 1, row: { workflow: 'renamed' } }));
      assert.deepEqual(
        (await store.readTally()).filter(({ kind }) => kind === 'run'),
        [{ tenant, kind: 'run', name: 'renamed', state: 'active', count: 1 }],
      );
    },
  },
  {
    concern,
    name: 'is not moved by refused items',
    run: async ({ store }) => {
      await applyAll(store, start());
      const before = await counts(store);
      await store.apply([start(), move({ head: 9 }), start({ run: 'x\0' })]);
      const twice = [1, 2].map(() => ({ op: 'open' as const, run: 'run_2', task: newTask() }));
      assert.equal((await applyOne(store, { ...start({ run: 'run_2' }), tasks: twice })).tag, 'unstorable');
      assert.deepEqual(await counts(store), before);
    },
  },
  {
    concern,
    name: 'lists in the order of tenant, kind, name and state',
    run: async ({ store }) => {
      await applyAll(
        store,
        start({ tenant: 'b', task: { queue: 'q2' } }),
        start({ tenant: 'a', row: { workflow: 'z' }, task: { queue: 'q1' } }),
        start({ tenant: 'a', run: 'run_2', row: { status: 'waiting', workflow: 'y' } }),
      );
      assert.deepEqual(
        (await store.readTally()).map(({ tenant: of, kind, name }) => `${of} ${kind} ${name}`),
        ['a run y', 'a run z', 'a task q1', `a task ${queue}`, 'b run answer', 'b task q2'],
      );
    },
  },
  {
    concern,
    name: 'gives depth by state and the age of the oldest ready task of each queue, over all tenants',
    run: async ({ store, clock }) => {
      const born = clock.now();
      await applyAll(store, start({ task: { queue: 'q1', rank: 9 } }));
      clock.advance(10);
      await applyAll(
        store,
        start({ tenant: 'other', task: { queue: 'q1', rank: 1 } }),
        start({ run: 'run_2', task: { queue: 'q1', dueAt: born + 99 } }),
        start({ run: 'run_3', task: { queue: 'q2', limitKey: 'l' } }),
      );
      assert.deepEqual(await store.queueStats(), [
        { queue: 'q1', ready: 2, delayed: 1, held: 0, leased: 0, oldestReadyAt: born },
        { queue: 'q2', ready: 0, delayed: 0, held: 1, leased: 0, oldestReadyAt: null },
      ]);
      await claimSome(store, 1, 'q1');
      assert.deepEqual((await store.queueStats())[0], {
        queue: 'q1',
        ready: 1,
        delayed: 1,
        held: 0,
        leased: 1,
        oldestReadyAt: born,
      });
    },
  },
];
