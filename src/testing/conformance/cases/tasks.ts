/** Opening, requeueing, closing, delaying and holding tasks. */
import assert from 'node:assert/strict';
import type { TaskWrite } from '../../../store/index.js';
import { applyAll, applyOne, claimOne, claimSome, leaseOf, move, newTask, start, tenant } from '../builders.js';
import type { StoreCase } from '../store-case.js';

const concern = 'tasks';

const open = (given: Parameters<typeof newTask>[0] = {}): TaskWrite => ({
  op: 'open',
  run: 'run_1',
  task: newTask({ task: 'c1', kind: 'call', ...given }),
});

export const taskCases: readonly StoreCase[] = [
  {
    concern,
    name: 'opens a task as ready',
    run: async ({ store, clock }) => {
      await applyAll(store, start());
      clock.advance(5);
      await applyAll(store, {
        ...move({ head: 1 }),
        tasks: [open({ rank: -2.5, attempt: 3, deadlineMs: 9, inputSeq: 2 })],
      });
      const [, task] = await store.readTasks(tenant, 'run_1');
      assert.deepEqual(task, {
        ...newTask({ task: 'c1', kind: 'call', rank: -2.5, attempt: 3, deadlineMs: 9, inputSeq: 2 }),
        tenant,
        run: 'run_1',
        state: 'ready',
        token: 0,
        session: null,
        assignment: null,
        leasedAt: null,
        readyAt: clock.now(),
      });
    },
  },
  {
    concern,
    name: 'opens a task as delayed and gives it out only when promoted',
    run: async ({ store, clock }) => {
      await applyAll(store, start({ task: { dueAt: clock.now() + 100 } }));
      assert.equal((await store.readTasks(tenant, 'run_1'))[0]?.state, 'delayed');
      assert.deepEqual(await claimSome(store), []);
      clock.advance(99);
      assert.equal(await store.promoteDue(10), 0);
      clock.advance(1);
      assert.deepEqual(await claimSome(store), []);
      assert.equal(await store.promoteDue(10), 1);
      const [task] = await store.readTasks(tenant, 'run_1');
      assert.deepEqual([task?.state, task?.dueAt, task?.readyAt], ['ready', null, clock.now()]);
      assert.equal((await claimSome(store)).length, 1);
    },
  },
  {
    concern,
    name: 'opens a task as held and never gives it out',
    run: async ({ store }) => {
      await applyAll(store, start({ task: { limitKey: 'tenant:acme' } }));
      const [task] = await store.readTasks(tenant, 'run_1');
      assert.deepEqual([task?.state, task?.limitKey], ['held', 'tenant:acme']);
      assert.deepEqual(await claimSome(store), []);
      assert.equal(await store.promoteDue(10), 0);
    },
  },
  {
    concern,
    name: 'promotes the oldest first, up to the limit',
    run: async ({ store, clock }) => {
      const dues = [30, 10, 20, 500];
      await applyAll(store, ...dues.map((ms, i) => start({ run: `run_${i}`, task: { dueAt: clock.now() + ms } })));
      clock.advance(100);
      assert.equal(await store.promoteDue(2), 2);
      const ready = (await claimSome(store)).map(({ run }) => run).sort();
      assert.deepEqual(ready, ['run_1', 'run_2']);
      assert.equal(await store.promoteDue(10), 1);
      assert.equal(await store.promoteDue(10), 0);
    },
  },
  {
    concern,
    name: 'requeues a leased task with its token and a new attempt',
    run: async ({ store, clock }) => {
      await applyAll(store, start());
      const task = await claimOne(store);
      clock.advance(7);
      const again = newTask({ attempt: 2, rank: 9, queue: 'elsewhere' });
      await applyAll(store, {
        ...move({ head: 1 }),
        lease: leaseOf(task),
        tasks: [{ op: 'requeue', run: 'run_1', task: again }],
      });
      assert.deepEqual(await store.readTasks(tenant, 'run_1'), [
        {
          ...again,
          tenant,
          run: 'run_1',
          state: 'ready',
          token: 1,
          session: null,
          assignment: null,
          leasedAt: null,
          readyAt: clock.now(),
        },
      ]);
      assert.equal((await claimSome(store, 1, 'elsewhere'))[0]?.token, 2);
    },
  },
  {
    concern,
    name: 'admits a held task, which nobody could claim before, with its token',
    run: async ({ store, clock }) => {
      await applyAll(store, start());
      const lease = leaseOf(await claimOne(store));
      const again = newTask({ attempt: 2, limitKey: 'a limit' });
      await applyAll(store, { ...move({ head: 1 }), lease, tasks: [{ op: 'requeue', run: 'run_1', task: again }] });
      assert.deepEqual(await claimSome(store, 1), []);
      assert.equal((await store.queueStats())[0]?.held, 1);
      clock.advance(5);
      const admit: TaskWrite = { op: 'admit', run: 'run_1', task: { ...again, limitKey: null } };
      await applyAll(store, { ...move({ head: 2 }), tasks: [admit] });
      assert.deepEqual(
        (await store.readTally()).filter(({ kind }) => kind === 'task').map(({ state, count }) => [state, count]),
        [['ready', 1]],
      );
      assert.equal((await store.readTasks(tenant, 'run_1'))[0]?.readyAt, clock.now());
      assert.equal((await claimOne(store)).token, 2);
      assert.deepEqual(await applyOne(store, { ...move({ head: 3 }), tasks: [admit] }), { tag: 'fenced' });
      assert.deepEqual(await store.check(9), []);
    },
  },
  {
    concern,
    name: 'requeues a leased task as delayed',
    run: async ({ store, clock }) => {
      await applyAll(store, start());
      const lease = leaseOf(await claimOne(store));
      const again = newTask({ attempt: 2, dueAt: clock.now() + 50 });
      await applyAll(store, { ...move({ head: 1 }), lease, tasks: [{ op: 'requeue', run: 'run_1', task: again }] });
      assert.equal(await store.nextDueAt(), clock.now() + 50);
      clock.advance(50);
      assert.equal(await store.promoteDue(1), 1);
      assert.equal((await claimOne(store)).token, 2);
    },
  },
  {
    concern,
    name: 'counts exactly when a task is requeued twice in one transition',
    run: async ({ store }) => {
      await applyAll(store, start());
      const lease = leaseOf(await claimOne(store));
      const again = (queue: string): TaskWrite => ({ op: 'requeue', run: 'run_1', task: newTask({ queue }) });
      await applyAll(store, { ...move({ head: 1 }), lease, tasks: [again('x'), again('y')] });
      assert.deepEqual(
        (await store.readTally()).filter(({ kind }) => kind === 'task'),
        [{ tenant, kind: 'task', name: 'y', state: 'ready', count: 1 }],
      );
      assert.deepEqual(await store.check(9), []);
    },
  },
  {
    concern,
    name: 'refuses to requeue what the same transition has closed',
    run: async ({ store }) => {
      await applyAll(store, start());
      const lease = leaseOf(await claimOne(store));
      const outcome = await applyOne(store, {
        ...move({ head: 1 }),
        lease,
        tasks: [
          { op: 'close', run: 'run_1', task: 'a1' },
          { op: 'requeue', run: 'run_1', task: newTask() },
        ],
      });
      assert.equal(outcome.tag, 'unstorable');
      assert.equal((await store.readTasks(tenant, 'run_1'))[0]?.state, 'leased');
      assert.equal((await store.listLeases({ limit: 9 })).length, 1);
    },
  },
  ...(['ready', 'delayed', 'held', 'leased'] as const).map(
    (state): StoreCase => ({
      concern,
      name: `closes a task that is ${state}`,
      run: async ({ store, clock }) => {
        const task = {
          ready: {},
          delayed: { dueAt: clock.now() + 1 },
          held: { limitKey: 'l' },
          leased: {},
        }[state];
        await applyAll(store, start({ task }));
        if (state === 'leased') await claimOne(store);
        assert.equal((await store.readTasks(tenant, 'run_1'))[0]?.state, state);
        await applyAll(store, { ...move({ head: 1 }), tasks: [{ op: 'close', run: 'run_1', task: 'a1' }] });
        assert.deepEqual(await store.readTasks(tenant, 'run_1'), []);
        clock.advance(10);
        assert.equal(await store.promoteDue(9), 0);
        assert.deepEqual(await claimSome(store), []);
        assert.equal(await store.nextDueAt(), null);
        assert.deepEqual(await store.listLeases({ limit: 9 }), []);
        assert.equal((await store.readTally()).filter(({ kind }) => kind === 'task').length, 0);
      },
    }),
  ),
  {
    concern,
    name: 'does nothing when a task to close is not there',
    run: async ({ store }) => {
      await applyAll(store, start());
      await applyAll(store, { ...move({ head: 1 }), tasks: [{ op: 'close', run: 'run_1', task: 'c9' }] });
    },
  },
  {
    concern,
    name: 'applies the tasks of a transition in their order',
    run: async ({ store }) => {
      await applyAll(store, start());
      await applyAll(store, {
        ...move({ head: 1 }),
        tasks: [
          { op: 'close', run: 'run_1', task: 'a1' },
          { op: 'open', run: 'run_1', task: newTask({ rank: 5 }) },
          open(),
          { op: 'close', run: 'run_1', task: 'c1' },
        ],
      });
      const tasks = await store.readTasks(tenant, 'run_1');
      assert.deepEqual(
        tasks.map(({ task, rank }) => [task, rank]),
        [['a1', 5]],
      );
    },
  },
  {
    concern,
    name: 'opens several tasks of one run in one transition',
    run: async ({ store }) => {
      await applyAll(store, start());
      const names = Array.from({ length: 50 }, (_, i) => `c${i}`);
      await applyAll(store, {
        ...move({ head: 1 }),
        tasks: names.map((task) => open({ task, queue: 'capability:x' })),
      });
      assert.equal((await claimSome(store, 100, 'capability:x')).length, 50);
    },
  },
  {
    concern,
    name: 'reads the tasks of a run in the order of their keys',
    run: async ({ store }) => {
      await applyAll(store, start());
      await applyAll(store, { ...move({ head: 1 }), tasks: ['c2', 'C1', 'c10'].map((task) => open({ task })) });
      assert.deepEqual(
        (await store.readTasks(tenant, 'run_1')).map(({ task }) => task),
        ['C1', 'a1', 'c10', 'c2'],
      );
    },
  },
  {
    concern,
    name: 'reads no tasks of a run that does not exist',
    run: async ({ store }) => assert.deepEqual(await store.readTasks(tenant, 'none'), []),
  },
];
