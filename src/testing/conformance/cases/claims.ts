/** Claiming and releasing. */
import assert from 'node:assert/strict';
import {
  applyAll,
  claimOne,
  claimSome,
  finish,
  inline,
  leaseOf,
  move,
  newTask,
  queue,
  session,
  start,
  tenant,
} from '../builders.js';
import type { StoreCase } from '../store-case.js';

const concern = 'claims';

export const claimCases: readonly StoreCase[] = [
  {
    concern,
    name: 'hands out the task with the head of its run and its input',
    run: async ({ store, clock }) => {
      await applyAll(store, start({ payload: inline('{"q":1}') }), move({ head: 1 }));
      await store.openSession(session());
      clock.advance(3);
      const request = { session: 'ses_1', queues: [{ queue, limit: 5 }], limit: 5, assignmentFrom: 41 };
      const [claimed, ...rest] = await store.claim(request);
      assert.deepEqual(rest, []);
      assert.equal(claimed?.head, 2);
      assert.deepEqual(claimed?.input, (await store.readEvents({ tenant, stream: 'run_1', after: 0, limit: 1 }))[0]);
      assert.deepEqual(claimed?.task, {
        ...newTask(),
        tenant,
        run: 'run_1',
        state: 'leased',
        token: 1,
        session: 'ses_1',
        assignment: 41,
        leasedAt: clock.now(),
        readyAt: clock.now() - 3,
      });
      assert.deepEqual(await store.readTasks(tenant, 'run_1'), [claimed?.task]);
    },
  },
  {
    concern,
    name: 'hands out the input named by the task',
    run: async ({ store }) => {
      await applyAll(store, start(), {
        ...move({ head: 1, payload: inline('"call input"') }),
        tasks: [{ op: 'open', run: 'run_1', task: newTask({ task: 'c2', kind: 'call', queue: 'q2', inputSeq: 2 }) }],
      });
      await store.openSession(session());
      const [claimed] = await store.claim({
        session: 'ses_1',
        queues: [{ queue: 'q2', limit: 1 }],
        limit: 1,
        assignmentFrom: 1,
      });
      assert.deepEqual(claimed?.input.payload, inline('"call input"'));
    },
  },
  {
    concern,
    name: 'gives nothing to a session that does not exist',
    run: async ({ store }) => {
      await applyAll(store, start());
      const request = { session: 'ses_x', queues: [{ queue, limit: 5 }], limit: 5, assignmentFrom: 1 };
      assert.deepEqual(await store.claim(request), []);
      assert.equal((await store.readTasks(tenant, 'run_1'))[0]?.token, 0);
    },
  },
  {
    concern,
    name: 'gives nothing to a session that was closed',
    run: async ({ store }) => {
      await applyAll(store, start());
      await store.openSession(session());
      await store.closeSession('ses_1');
      const request = { session: 'ses_1', queues: [{ queue, limit: 5 }], limit: 5, assignmentFrom: 1 };
      assert.deepEqual(await store.claim(request), []);
    },
  },
  {
    concern,
    name: 'hands out by rank, then by run and task',
    run: async ({ store }) => {
      await applyAll(
        store,
        start({ run: 'run_c', task: { rank: 2 } }),
        start({ run: 'run_b', task: { rank: 2 } }),
        start({ run: 'run_a', task: { rank: 3 } }),
        start({ run: 'run_d', task: { rank: -1 } }),
        start({ run: 'run_e', task: { rank: 1.5 } }),
        start({ run: 'run_f', task: { rank: 0 } }),
      );
      const order = (await claimSome(store)).map(({ run }) => run);
      assert.deepEqual(order, ['run_d', 'run_f', 'run_e', 'run_b', 'run_c', 'run_a']);
    },
  },
  {
    concern,
    name: 'orders runs of one rank by code point, not by locale or UTF-16',
    run: async ({ store }) => {
      const runs = ['run_Z', 'run_a', 'run_é', 'run_z', 'run_\uffee', 'run_\u{1f600}', 'run_10', 'run_9'];
      await applyAll(store, ...runs.map((run) => start({ run })));
      const order = (await claimSome(store)).map(({ run }) => run);
      assert.deepEqual(order, ['run_10', 'run_9', 'run_Z', 'run_a', 'run_z', 'run_é', 'run_\uffee', 'run_\u{1f600}']);
    },
  },
  {
    concern,
    name: 'numbers the assignments from the one asked for',
    run: async ({ store }) => {
      await applyAll(store, ...[1, 2, 3].map((i) => start({ run: `run_${i}` })));
      assert.deepEqual(
        (await claimSome(store, 10, queue, 100)).map(({ run, assignment }) => [run, assignment]),
        [
          ['run_1', 100],
          ['run_2', 101],
          ['run_3', 102],
        ],
      );
    },
  },
  {
    concern,
    name: 'takes from the queues in their order, each up to its limit, all up to the whole limit',
    run: async ({ store }) => {
      const queues = ['q1', 'q2', 'q3'];
      await applyAll(
        store,
        ...queues.flatMap((of) => [1, 2, 3].map((i) => start({ run: `${of}_${i}`, task: { queue: of } }))),
      );
      await store.openSession(session());
      const claimed = await store.claim({
        session: 'ses_1',
        queues: [
          { queue: 'q2', limit: 2 },
          { queue: 'q9', limit: 5 },
          { queue: 'q1', limit: 0 },
          { queue: 'q3', limit: 9 },
        ],
        limit: 4,
        assignmentFrom: 1,
      });
      assert.deepEqual(
        claimed.map(({ task }) => [task.run, task.assignment]),
        [
          ['q2_1', 1],
          ['q2_2', 2],
          ['q3_1', 3],
          ['q3_2', 4],
        ],
      );
    },
  },
  {
    concern,
    name: 'gives nothing for a limit of zero or no queues',
    run: async ({ store }) => {
      await applyAll(store, start());
      await store.openSession(session());
      const none = { session: 'ses_1', queues: [{ queue, limit: 5 }], limit: 0, assignmentFrom: 1 };
      assert.deepEqual(await store.claim(none), []);
      assert.deepEqual(await store.claim({ ...none, queues: [], limit: 5 }), []);
    },
  },
  {
    concern,
    name: 'never hands out a task twice',
    run: async ({ store }) => {
      await applyAll(store, ...Array.from({ length: 30 }, (_, i) => start({ run: `run_${i}` })));
      await store.openSession(session());
      await store.openSession(session({ session: 'ses_2' }));
      const claims = await Promise.all(
        Array.from({ length: 10 }, (_, i) =>
          store.claim({
            session: i % 2 === 0 ? 'ses_1' : 'ses_2',
            queues: [{ queue, limit: 4 }],
            limit: 4,
            assignmentFrom: i * 4,
          }),
        ),
      );
      const runs = claims.flat().map(({ task }) => task.run);
      assert.equal(runs.length, 30);
      assert.equal(new Set(runs).size, 30);
    },
  },
  {
    concern,
    name: 'raises the token with each claim of a task',
    run: async ({ store }) => {
      await applyAll(store, start());
      for (let token = 1; token <= 5; token++) {
        const task = await claimOne(store);
        assert.equal(task.token, token);
        assert.equal(await store.release([leaseOf(task)]), 1);
      }
    },
  },
  {
    concern,
    name: 'hands out a task that became ready after others were claimed',
    run: async ({ store }) => {
      await applyAll(store, start({ run: 'run_1', task: { rank: 5 } }));
      await claimOne(store);
      await applyAll(store, start({ run: 'run_0', task: { rank: 1 } }));
      assert.equal((await claimOne(store)).run, 'run_0');
    },
  },
  {
    concern,
    name: 'passes over a task whose input is not there and reports it',
    run: async ({ store }) => {
      await applyAll(
        store,
        start({ run: 'run_1', task: { rank: 1, inputSeq: 7 } }),
        start({ run: 'run_2', task: { rank: 2 } }),
      );
      assert.deepEqual(
        (await claimSome(store, 1)).map(({ run }) => run),
        ['run_2'],
      );
      assert.ok((await store.check(9)).some(({ property, subject }) => property === 'P3' && subject === 'run_1'));
    },
  },
  {
    concern,
    name: 'releases a task to the place it had, without counting an attempt',
    run: async ({ store, clock }) => {
      await applyAll(store, start({ task: { rank: 4 } }));
      const task = await claimOne(store);
      clock.advance(9);
      assert.equal(await store.release([leaseOf(task)]), 1);
      assert.deepEqual(await store.readTasks(tenant, 'run_1'), [
        {
          ...task,
          state: 'ready',
          session: null,
          assignment: null,
          leasedAt: null,
          readyAt: clock.now(),
        },
      ]);
    },
  },
  {
    concern,
    name: 'releases only what is held with exactly that token',
    run: async ({ store }) => {
      await applyAll(store, ...[1, 2, 3].map((i) => start({ run: `run_${i}` })));
      const [first, second] = await claimSome(store, 2);
      assert.ok(first && second);
      const released = await store.release([
        { ...leaseOf(first), token: 0 },
        { ...leaseOf(first), token: 2 },
        { tenant, run: 'run_3', task: 'a1', token: 0 },
        { tenant, run: 'run_9', task: 'a1', token: 1 },
        { ...leaseOf(second), tenant: 'other' },
        leaseOf(second),
        leaseOf(second),
      ]);
      assert.equal(released, 1);
      assert.deepEqual(
        (await store.listLeases({ limit: 9 })).map(({ run }) => run),
        ['run_1'],
      );
    },
  },
  {
    concern,
    name: 'releases nothing when asked for nothing',
    run: async ({ store }) => assert.equal(await store.release([]), 0),
  },
  {
    concern,
    name: 'finishes a claimed task while others of its queue wait',
    run: async ({ store }) => {
      await applyAll(store, ...[1, 2, 3].map((i) => start({ run: `run_${i}` })));
      await applyAll(store, finish(leaseOf(await claimOne(store)), 1));
      assert.deepEqual(
        (await claimSome(store)).map(({ run }) => run),
        ['run_2', 'run_3'],
      );
    },
  },
];
