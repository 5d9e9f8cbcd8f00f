/** Timers. */
import assert from 'node:assert/strict';
import type { TimerWrite } from '../../../store/index.js';
import { applyAll, move, start, tenant } from '../builders.js';
import type { StoreCase } from '../store-case.js';

const concern = 'timers';

const set = (name: string, fireAt: number): TimerWrite => ({ op: 'set', run: 'run_1', name, fireAt });

export const timerCases: readonly StoreCase[] = [
  {
    concern,
    name: 'lists timers from their instant on, oldest first, until they are cleared',
    run: async ({ store, clock }) => {
      const now = clock.now();
      await applyAll(store, {
        ...start(),
        timers: [set('late', now + 20), set('soon', now + 10), set('far', now + 500)],
      });
      assert.deepEqual(await store.dueTimers(9), []);
      clock.advance(9);
      assert.deepEqual(await store.dueTimers(9), []);
      clock.advance(1);
      assert.deepEqual(await store.dueTimers(9), [{ tenant, run: 'run_1', name: 'soon', fireAt: now + 10 }]);
      clock.advance(100);
      const names = async (limit: number): Promise<string[]> => (await store.dueTimers(limit)).map(({ name }) => name);
      assert.deepEqual(await names(9), ['soon', 'late']);
      assert.deepEqual(await names(1), ['soon']);
      await applyAll(store, { ...move({ head: 1 }), timers: [{ op: 'clear', run: 'run_1', name: 'soon' }] });
      assert.deepEqual(await names(9), ['late']);
    },
  },
  {
    concern,
    name: 'moves a timer that is set again',
    run: async ({ store, clock }) => {
      const now = clock.now();
      await applyAll(store, { ...start(), timers: [set('t', now + 10)] });
      await applyAll(store, { ...move({ head: 1 }), timers: [set('t', now + 50)] });
      clock.advance(20);
      assert.deepEqual(await store.dueTimers(9), []);
      assert.deepEqual(await store.readTimers(tenant, 'run_1'), [
        { tenant, run: 'run_1', name: 't', fireAt: now + 50 },
      ]);
    },
  },
  {
    concern,
    name: 'clears what is not there without complaint',
    run: async ({ store }) => {
      await applyAll(store, { ...start(), timers: [{ op: 'clear', run: 'run_1', name: 'none' }] });
    },
  },
  {
    concern,
    name: 'applies the timers of a transition in their order',
    run: async ({ store }) => {
      await applyAll(store, {
        ...start(),
        timers: [set('a', 1), { op: 'clear', run: 'run_1', name: 'a' }, set('b', 1), set('b', 2)],
      });
      assert.deepEqual(await store.readTimers(tenant, 'run_1'), [{ tenant, run: 'run_1', name: 'b', fireAt: 2 }]);
    },
  },
  {
    concern,
    name: 'reads the timers of a run in the order of their names',
    run: async ({ store }) => {
      await applyAll(store, { ...start(), timers: [set('b', 1), set(':timeout', 3), set('a', 2)] });
      assert.deepEqual(
        (await store.readTimers(tenant, 'run_1')).map(({ name }) => name),
        [':timeout', 'a', 'b'],
      );
    },
  },
  {
    concern,
    name: 'breaks ties by tenant, run and name',
    run: async ({ store, clock }) => {
      const at = clock.now();
      for (const [of, run] of [
        ['b', 'run_1'],
        ['a', 'run_2'],
        ['a', 'run_1'],
      ] as const)
        await applyAll(store, {
          ...start({ tenant: of, run }),
          timers: ['y', 'x'].map((name) => ({ op: 'set', run, name, fireAt: at })),
        });
      assert.deepEqual(
        (await store.dueTimers(99)).map((timer) => `${timer.tenant} ${timer.run} ${timer.name}`),
        ['a run_1 x', 'a run_1 y', 'a run_2 x', 'a run_2 y', 'b run_1 x', 'b run_1 y'],
      );
    },
  },
  {
    concern,
    name: 'tells when the next timer or delayed task is due',
    run: async ({ store, clock }) => {
      const now = clock.now();
      assert.equal(await store.nextDueAt(), null);
      await applyAll(store, { ...start({ task: { dueAt: now + 70 } }), timers: [set('t', now + 90)] });
      assert.equal(await store.nextDueAt(), now + 70);
      await applyAll(store, { ...move({ head: 1 }), timers: [set('u', now + 30)] });
      assert.equal(await store.nextDueAt(), now + 30);
      await applyAll(store, {
        ...move({ head: 2 }),
        timers: ['t', 'u'].map((name) => ({ op: 'clear', run: 'run_1', name })),
      });
      assert.equal(await store.nextDueAt(), now + 70);
      clock.advance(70);
      await store.promoteDue(1);
      assert.equal(await store.nextDueAt(), null);
    },
  },
  {
    concern,
    name: 'fires many timers in bounded portions',
    run: async ({ store, clock }) => {
      const timers = Array.from({ length: 1_000 }, (_, i) => set(`t${i}`, clock.now() + (i % 7)));
      await applyAll(store, { ...start(), timers });
      clock.advance(10);
      const due = await store.dueTimers(300);
      assert.equal(due.length, 300);
      assert.ok(due.every(({ fireAt }, i) => i === 0 || fireAt >= (due[i - 1]?.fireAt ?? 0)));
    },
  },
];
