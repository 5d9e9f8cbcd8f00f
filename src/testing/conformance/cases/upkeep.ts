/** Retention and the invariants that a store checks itself. */
import assert from 'node:assert/strict';
import type { RunStatus } from '../../../core/run/state.js';
import {
  applyAll,
  claimSome,
  deadLetter,
  dedupe,
  event,
  finish,
  leaseOf,
  move,
  newTask,
  runRow,
  start,
  tenant,
} from '../builders.js';
import type { StoreCase } from '../store-case.js';

const concern = 'upkeep';
const ended: readonly RunStatus[] = ['succeeded', 'failed', 'cancelled', 'refused', 'continued'];

export const upkeepCases: readonly StoreCase[] = [
  ...ended.map(
    (status): StoreCase => ({
      concern,
      name: `deletes a run that ${status === 'succeeded' || status === 'failed' ? status : `was ${status}`} when its time has come, with all that is its own`,
      run: async ({ store, clock }) => {
        await applyAll(
          store,
          {
            ...start({ row: { status, expiresAt: clock.now() + 10 } }),
            timers: [{ op: 'set', run: 'run_1', name: 't', fireAt: 1 }],
            deadLetters: [{ op: 'add', row: deadLetter() }],
          },
          start({ run: 'run_2' }),
          { tenant, deadLetters: [{ op: 'add', row: deadLetter({ id: 'dlq_2', run: 'run_2' }) }] },
        );
        clock.advance(9);
        assert.equal((await store.expire(9)).runs, 0);
        clock.advance(1);
        assert.equal((await store.expire(9)).runs, 1);
        assert.equal(await store.readRun(tenant, 'run_1'), null);
        assert.deepEqual(await store.readEvents({ tenant, stream: 'run_1', after: 0, limit: 9 }), []);
        assert.deepEqual(await store.readTasks(tenant, 'run_1'), []);
        assert.deepEqual(await store.readTimers(tenant, 'run_1'), []);
        assert.equal(await store.nextDueAt(), null);
        assert.equal(await store.readDeadLetter(tenant, 'dlq_1'), null);
        assert.notEqual(await store.readDeadLetter(tenant, 'dlq_2'), null);
        assert.notEqual(await store.readRun(tenant, 'run_2'), null);
        assert.deepEqual((await store.listRuns({ tenant, limit: 9 })).items.length, 1);
        assert.deepEqual(await store.check(9), []);
      },
    }),
  ),
  {
    concern,
    name: 'keeps unfinished runs and runs without an end of retention',
    run: async ({ store, clock }) => {
      await applyAll(
        store,
        start({ run: 'run_1', row: { expiresAt: clock.now() } }),
        start({ run: 'run_2', row: { status: 'waiting', expiresAt: clock.now() } }),
        start({ run: 'run_3', row: { status: 'succeeded', expiresAt: null } }),
      );
      clock.advance(1e12);
      assert.equal((await store.expire(9)).runs, 0);
    },
  },
  {
    concern,
    name: 'keeps a run that was redriven before its time came',
    run: async ({ store, clock }) => {
      await applyAll(store, start({ row: { status: 'failed', expiresAt: clock.now() + 5 } }));
      await applyAll(store, move({ head: 1, row: { status: 'active', expiresAt: null } }));
      clock.advance(100);
      assert.equal((await store.expire(9)).runs, 0);
    },
  },
  {
    concern,
    name: 'deletes at most the limit of each kind, oldest first',
    run: async ({ store, clock }) => {
      const now = clock.now();
      for (const i of [3, 1, 2]) {
        await applyAll(
          store,
          start({
            run: `run_${i}`,
            row: { status: 'succeeded', expiresAt: now + i },
            dedupe: [dedupe({ key: `k${i}`, expiresAt: now + i })],
          }),
        );
      }
      clock.advance(10);
      assert.deepEqual(await store.expire(2), { runs: 2, dedupe: 2, blobs: 0 });
      assert.notEqual(await store.readRun(tenant, 'run_3'), null);
      assert.deepEqual(await store.expire(2), { runs: 1, dedupe: 1, blobs: 0 });
      assert.deepEqual(await store.expire(2), { runs: 0, dedupe: 0, blobs: 0 });
    },
  },
  {
    concern,
    name: 'never gives a position of a deleted event to another',
    run: async ({ store, clock }) => {
      await applyAll(store, start(), start({ run: 'run_2', row: { status: 'succeeded', expiresAt: clock.now() } }));
      await store.expire(9);
      assert.equal(await store.feedHead(), 2);
      const [outcome] = await store.apply([start({ run: 'run_3' })]);
      assert.deepEqual(outcome?.tag === 'applied' && outcome.positions, [3]);
      assert.deepEqual(
        (await store.readFeed({ after: 0, limit: 9 })).map(({ position }) => position),
        [1, 3],
      );
    },
  },
  {
    concern,
    name: 'never gives a position of a deleted event to another, also when it is opened again',
    reopens: true,
    run: async ({ store, clock, reopen }) => {
      await applyAll(store, start(), start({ run: 'run_2', row: { status: 'succeeded', expiresAt: clock.now() } }));
      await store.expire(9);
      const again = await reopen();
      assert.equal(await again.feedHead(), 2);
      const [outcome] = await again.apply([start({ run: 'run_3' })]);
      assert.deepEqual(outcome?.tag === 'applied' && outcome.positions, [3]);
      assert.deepEqual(
        (await again.readFeed({ after: 0, limit: 9 })).map(({ position }) => position),
        [1, 3],
      );
    },
  },
  {
    concern,
    name: "lets a deleted run's id be used anew",
    run: async ({ store, clock }) => {
      await applyAll(store, start({ row: { status: 'succeeded', expiresAt: clock.now() } }));
      await store.expire(9);
      await applyAll(store, start());
      assert.equal((await store.readEvents({ tenant, stream: 'run_1', after: 0, limit: 9 })).length, 1);
    },
  },
  {
    concern,
    name: 'has nothing to report on a healthy store',
    run: async ({ store }) => {
      await applyAll(
        store,
        start(),
        start({ run: 'run_2' }),
        {
          ...start({ run: 'run_3', row: { status: 'waiting' } }),
          tasks: [],
          timers: [{ op: 'set', run: 'run_3', name: 't', fireAt: 1 }],
        },
        {
          ...start({ run: 'run_4', row: { status: 'waiting' } }),
          tasks: [{ op: 'open', run: 'run_4', task: newTask({ task: 'c1', kind: 'call', queue: 'q' }) }],
        },
      );
      const [task] = await claimSome(store, 1);
      assert.ok(task);
      await applyAll(store, finish(leaseOf(task), 1));
      await store.closeSession('ses_1');
      assert.deepEqual(await store.check(99), []);
    },
  },
  ...[
    { what: 'an active run without an activation', broken: { ...start(), tasks: [] } },
    { what: 'a waiting run without timer or call', broken: { ...start({ row: { status: 'waiting' } }), tasks: [] } },
    { what: 'an ended run with a task', broken: start({ row: { status: 'succeeded' } }) },
    {
      what: 'an ended run with a timer',
      broken: {
        ...start({ row: { status: 'failed' } }),
        tasks: [],
        timers: [{ op: 'set' as const, run: 'run_1', name: 't', fireAt: 1 }],
      },
    },
    {
      what: 'a task of a run that does not exist',
      broken: { tenant, tasks: [{ op: 'open' as const, run: 'run_1', task: newTask() }] },
    },
  ].map(
    ({ what, broken }): StoreCase => ({
      concern,
      name: `reports ${what} as P3`,
      run: async ({ store }) => {
        await applyAll(store, broken);
        const found = await store.check(9);
        assert.ok(found.length > 0);
        assert.ok(
          found.every(({ property, tenant: of, subject }) => property === 'P3' && of === tenant && subject === 'run_1'),
        );
      },
    }),
  ),
  {
    concern,
    name: 'reports two activations of one run as P7',
    run: async ({ store }) => {
      await applyAll(store, start());
      await applyAll(store, {
        ...move({ head: 1 }),
        tasks: [{ op: 'open', run: 'run_1', task: newTask({ task: 'a2' }) }],
      });
      assert.deepEqual(
        (await store.check(9)).map(({ property, subject }) => [property, subject]),
        [['P7', 'run_1']],
      );
    },
  },
  {
    concern,
    name: 'reports no more than the limit',
    run: async ({ store }) => {
      const broken = Array.from({ length: 20 }, (_, i) => ({ ...start({ run: `run_${i}` }), tasks: [] }));
      await applyAll(store, ...broken);
      assert.equal((await store.check(7)).length, 7);
      assert.equal((await store.check(0)).length, 0);
    },
  },
  {
    concern,
    name: 'counts exactly after a long mixed life',
    run: async ({ store, clock }) => {
      for (let round = 0; round < 6; round++) {
        const runs = Array.from({ length: 20 }, (_, i) => `run_${round}_${i}`);
        await applyAll(store, ...runs.map((run) => start({ run })));
        for (const [i, task] of (await claimSome(store, 15)).entries()) {
          if (i % 3 === 0) await store.release([leaseOf(task)]);
          else if (i % 3 === 1) await applyAll(store, finish(leaseOf(task), 1, { expiresAt: clock.now() + 5 }));
          else
            await applyAll(store, {
              ...move({ run: task.run, head: 1 }),
              lease: leaseOf(task),
              tasks: [
                { op: 'close', run: task.run, task: 'a1' },
                { op: 'open', run: task.run, task: newTask({ task: 'a2' }) },
              ],
            });
        }
        // A run that moved on holds its second activation at head 2; ending it needs that head, so the next round leaves it.
        clock.advance(10);
        await store.expire(4);
        for (const lease of await store.listLeases({ limit: 99 })) await store.release([leaseOf(lease)]);
        for (const task of await claimSome(store, 99))
          if (task.task === 'a2') await applyAll(store, finish(leaseOf(task), 2));
          else await store.release([leaseOf(task)]);
        assert.deepEqual(await store.check(9), []);
      }
    },
  },
  {
    concern,
    name: 'holds the events of every run without gap',
    run: async ({ store }) => {
      const events = Array.from({ length: 40 }, (_, i) => event('run_1', i + 1));
      await applyAll(store, { ...start(), runs: [{ expected: 0, row: runRow({ head: 40 }) }], events });
      assert.deepEqual(await store.check(9), []);
    },
  },
];
