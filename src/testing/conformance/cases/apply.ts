/** Guards, atomicity and order of `apply`. */
import assert from 'node:assert/strict';
import type { Transition } from '../../../store/index.js';
import {
  applyAll,
  applyOne,
  claimOne,
  claimSome,
  deadLetter,
  dedupe,
  event,
  finish,
  footprint,
  inBlob,
  leaseOf,
  move,
  newTask,
  queue,
  runRow,
  start,
  tenant,
  topicEvent,
} from '../builders.js';
import type { StoreCase } from '../store-case.js';

const concern = 'apply';

/** Refused transitions, each of which also carries writes that must leave no trace. */
const refusals: readonly { readonly name: string; readonly tag: string; readonly of: () => Transition }[] = [
  { name: 'an existing run is to be created', tag: 'conflict', of: () => start() },
  { name: 'the head is behind', tag: 'conflict', of: () => move({ head: 2 }) },
  { name: 'the run does not exist', tag: 'conflict', of: () => move({ run: 'run_none', head: 1 }) },
  {
    name: 'the lease was never given',
    tag: 'fenced',
    of: () => ({ ...move({ head: 1 }), lease: { tenant, run: 'run_1', task: 'a1', token: 1 } }),
  },
  {
    name: 'the lease names no task',
    tag: 'fenced',
    of: () => ({ ...move({ head: 1 }), lease: { tenant, run: 'run_1', task: 'a9', token: 0 } }),
  },
  {
    name: 'a task is requeued that nobody holds',
    tag: 'fenced',
    of: () => ({ ...move({ head: 1 }), tasks: [{ op: 'requeue', run: 'run_1', task: newTask() }] }),
  },
  {
    name: 'a task is opened that is there already',
    tag: 'unstorable',
    of: () => ({ ...move({ head: 1 }), tasks: [{ op: 'open', run: 'run_1', task: newTask() }] }),
  },
  {
    name: 'a dead letter is added that is there already',
    tag: 'unstorable',
    of: () => ({ ...move({ head: 1 }), deadLetters: [{ op: 'add', row: deadLetter() }] }),
  },
  {
    name: 'a payload refers to a blob that is not there',
    tag: 'unstorable',
    of: () => move({ head: 1, payload: inBlob('none') }),
  },
  {
    name: 'an event skips a seq',
    tag: 'unstorable',
    of: () => ({ tenant, runs: [{ expected: 1, row: runRow({ head: 3 }) }], events: [event('run_1', 3)] }),
  },
  {
    name: 'the head runs ahead of the events',
    tag: 'unstorable',
    of: () => ({ tenant, runs: [{ expected: 1, row: runRow({ head: 3 }) }], events: [event('run_1', 2)] }),
  },
  {
    name: 'an event belongs to a run that is not written',
    tag: 'unstorable',
    of: () => ({ tenant, events: [event('run_1', 2)] }),
  },
  {
    name: 'a run row belongs to another tenant',
    tag: 'unstorable',
    of: () => ({ ...move({ head: 1 }), runs: [{ expected: 1, row: runRow({ tenant: 'other', head: 2 }) }] }),
  },
  {
    name: 'the lease belongs to another tenant',
    tag: 'unstorable',
    of: () => ({ ...move({ head: 1 }), lease: { tenant: 'other', run: 'run_1', task: 'a1', token: 1 } }),
  },
  {
    name: 'a dead letter belongs to another tenant',
    tag: 'unstorable',
    of: () => ({
      ...move({ head: 1 }),
      deadLetters: [{ op: 'add', row: deadLetter({ tenant: 'other', id: 'dlq_2' }) }],
    }),
  },
  {
    name: 'a run is written twice',
    tag: 'unstorable',
    of: () => {
      const once = move({ head: 1 });
      return { ...once, runs: [...(once.runs ?? []), ...(once.runs ?? [])] };
    },
  },
  {
    name: 'a dedupe key is taken twice',
    tag: 'unstorable',
    of: () => ({ ...move({ head: 1 }), dedupe: [dedupe(), dedupe({ reference: 'run_2' })] }),
  },
  {
    name: 'a task is both delayed and held',
    tag: 'unstorable',
    of: () => ({
      ...move({ head: 1 }),
      tasks: [{ op: 'open', run: 'run_1', task: newTask({ task: 'c1', dueAt: 5, limitKey: 'l' }) }],
    }),
  },
];

/** Writes of every kind, to see that none of them survives a refusal. */
function withWrites(transition: Transition): Transition {
  return {
    ...transition,
    publishes: [topicEvent()],
    tasks: [...(transition.tasks ?? []), { op: 'open', run: 'run_1', task: newTask({ task: 'extra' }) }],
    timers: [{ op: 'set', run: 'run_1', name: 'extra', fireAt: 1 }],
    deadLetters: [...(transition.deadLetters ?? []), { op: 'add', row: deadLetter({ id: 'dlq_extra' }) }],
    blobs: [{ hash: 'extra', bytes: new Uint8Array([1]) }],
  };
}

export const applyCases: readonly StoreCase[] = [
  {
    concern,
    name: 'creates a run with its event and its task',
    run: async ({ store, clock }) => {
      assert.deepEqual(await applyOne(store, start()), { tag: 'applied', positions: [1], offsets: [] });
      assert.deepEqual(await store.readRun(tenant, 'run_1'), runRow());
      const [task] = await store.readTasks(tenant, 'run_1');
      assert.deepEqual(task, {
        ...newTask(),
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
    name: 'answers an empty batch with no outcomes',
    run: async ({ store }) => assert.deepEqual(await store.apply([]), []),
  },
  {
    concern,
    name: 'applies a transition that changes nothing',
    run: async ({ store }) =>
      assert.deepEqual(await applyOne(store, { tenant }), { tag: 'applied', positions: [], offsets: [] }),
  },
  {
    concern,
    name: 'replaces the whole row of a run',
    run: async ({ store }) => {
      await applyAll(store, start({ row: { labels: { a: '1' } } }));
      const row = {
        status: 'failed',
        version: '2',
        priority: 7,
        updatedAt: 5,
        expiresAt: 9,
        cancelRequested: true,
        failureClass: 'timeout',
        failureCode: 'X',
        failureMessage: 'm',
        labels: { b: '2' },
      } as const;
      await applyAll(store, move({ head: 1, row }));
      assert.deepEqual(await store.readRun(tenant, 'run_1'), runRow({ ...row, head: 2 }));
    },
  },
  {
    concern,
    name: 'creates and moves one run within one batch',
    run: async ({ store }) => {
      await applyAll(store, start(), move({ head: 1 }), move({ head: 2 }));
      assert.equal((await store.readRun(tenant, 'run_1'))?.head, 3);
    },
  },
  {
    concern,
    name: 'writes several runs in one transition',
    run: async ({ store }) => {
      const other = start({ run: 'run_2' });
      await applyAll(store, {
        tenant,
        runs: [...(start().runs ?? []), ...(other.runs ?? [])],
        events: [event('run_1', 1), event('run_2', 1)],
      });
      assert.equal((await store.readRun(tenant, 'run_2'))?.head, 1);
    },
  },
  {
    concern,
    name: 'refuses all of a transition when the second of its runs is not where it was expected',
    run: async ({ store }) => {
      await applyAll(store, start({ run: 'run_2' }));
      const both: Transition = {
        tenant,
        runs: [
          { expected: 0, row: runRow() },
          { expected: 0, row: runRow({ run: 'run_2' }) },
        ],
        events: [event('run_1', 1), event('run_2', 1)],
      };
      assert.deepEqual(await applyOne(store, both), { tag: 'conflict', run: 'run_2', head: 1 });
      assert.equal(await store.readRun(tenant, 'run_1'), null);
    },
  },
  {
    concern,
    name: 'says where the run is when it refuses',
    run: async ({ store }) => {
      await applyAll(store, start(), move({ head: 1 }));
      assert.deepEqual(await applyOne(store, move({ head: 1 })), { tag: 'conflict', run: 'run_1', head: 2 });
      assert.deepEqual(await applyOne(store, move({ run: 'run_9', head: 3 })), {
        tag: 'conflict',
        run: 'run_9',
        head: 0,
      });
    },
  },
  ...refusals.map(
    ({ name, tag, of }): StoreCase => ({
      concern,
      name: `refuses as ${tag} without a trace when ${name}`,
      run: async ({ store }) => {
        await applyAll(store, { ...start(), deadLetters: [{ op: 'add', row: deadLetter() }] });
        const before = await footprint(store, tenant, 'run_1');
        const outcome = await applyOne(store, withWrites(of()));
        assert.equal(outcome.tag, tag, JSON.stringify(outcome));
        assert.deepEqual(await footprint(store, tenant, 'run_1'), before);
        assert.equal(await store.readBlob(tenant, 'extra'), null);
        assert.equal(await store.readDedupe(tenant, 'start:answer', 'k1'), null);
      },
    }),
  ),
  {
    concern,
    name: 'refuses bad items singly and applies their neighbours',
    run: async ({ store }) => {
      const outcomes = await store.apply([
        start({ run: 'run_1' }),
        start({ run: 'run_1' }),
        start({ run: 'run_bad\0' }),
        { ...start({ run: 'run_2' }), tasks: [1, 2].map(() => ({ op: 'open', run: 'run_2', task: newTask() })) },
        start({ run: 'run_3', payload: inBlob('none') }),
        start({ run: 'run_4' }),
        move({ run: 'run_4', head: 1 }),
        { ...move({ run: 'run_4', head: 2 }), lease: { tenant, run: 'run_4', task: 'a1', token: 5 } },
        start({ run: 'run_5' }),
      ]);
      assert.deepEqual(
        outcomes.map(({ tag }) => tag),
        ['applied', 'conflict', 'unstorable', 'unstorable', 'unstorable', 'applied', 'applied', 'fenced', 'applied'],
      );
      for (const run of ['run_1', 'run_4', 'run_5']) assert.notEqual(await store.readRun(tenant, run), null, run);
      for (const run of ['run_2', 'run_3']) assert.equal(await store.readRun(tenant, run), null, run);
      assert.equal(await store.feedHead(), 4);
    },
  },
  {
    concern,
    name: 'keeps positions without gap across refused items',
    run: async ({ store }) => {
      const outcomes = await store.apply([
        start({ run: 'run_1' }),
        { ...start({ run: 'run_2' }), tasks: [1, 2].map(() => ({ op: 'open', run: 'run_2', task: newTask() })) },
        start({ run: 'run_3' }),
      ]);
      assert.deepEqual(
        outcomes.map((outcome) => (outcome.tag === 'applied' ? outcome.positions : null)),
        [[1], null, [2]],
      );
    },
  },
  {
    concern,
    name: 'applies many bad items among good ones',
    run: async ({ store }) => {
      const batch = Array.from({ length: 60 }, (_, i) =>
        i % 3 === 0
          ? {
              ...start({ run: `run_${i}` }),
              tasks: [1, 2].map(() => ({ op: 'open' as const, run: `run_${i}`, task: newTask() })),
            }
          : start({ run: `run_${i}` }),
      );
      const outcomes = await store.apply(batch);
      assert.deepEqual(
        outcomes.map(({ tag }) => tag),
        batch.map((_, i) => (i % 3 === 0 ? 'unstorable' : 'applied')),
      );
      assert.equal(await store.feedHead(), 40);
      assert.deepEqual(await store.check(10), []);
    },
  },
  {
    concern,
    name: 'applies calls in the order in which they were made',
    run: async ({ store }) => {
      const first = store.apply([start()]);
      const second = store.apply([move({ head: 1 })]);
      const third = store.apply([move({ head: 2 })]);
      const tags = (await Promise.all([first, second, third])).flat().map(({ tag }) => tag);
      assert.deepEqual(tags, ['applied', 'applied', 'applied']);
    },
  },
  {
    concern,
    name: 'keeps the order across kinds of calls',
    run: async ({ store }) => {
      const opened = store.openSession({
        session: 'ses_1',
        worker: 'w',
        app: 'a',
        openedAt: 1,
        counter: 0,
        received: 0,
        info: '{}',
      });
      const claim = (from: number) =>
        store.claim({ session: 'ses_1', queues: [{ queue, limit: 9 }], limit: 9, assignmentFrom: from });
      const before = claim(1);
      const started = store.apply([start()]);
      const between = claim(1);
      const ended = store.apply([finish({ tenant, run: 'run_1', task: 'a1', token: 1 }, 1)]);
      const after = claim(2);
      await opened;
      assert.equal((await before).length, 0);
      assert.equal((await started)[0]?.tag, 'applied');
      assert.equal((await between).length, 1);
      assert.equal((await ended)[0]?.tag, 'applied');
      assert.equal((await after).length, 0);
    },
  },
  {
    concern,
    name: 'accepts a commit under the lease that is held',
    run: async ({ store }) => {
      await applyAll(store, start());
      await applyAll(store, finish(leaseOf(await claimOne(store)), 1));
      assert.equal((await store.readRun(tenant, 'run_1'))?.status, 'succeeded');
      assert.deepEqual(await store.readTasks(tenant, 'run_1'), []);
    },
  },
  {
    concern,
    name: 'fences a commit under an older token of the same task',
    run: async ({ store }) => {
      await applyAll(store, start());
      const zombie = leaseOf(await claimOne(store));
      await store.release([zombie]);
      const heir = leaseOf(await claimOne(store));
      assert.equal(heir.token, zombie.token + 1);
      assert.deepEqual(await applyOne(store, finish(zombie, 1)), { tag: 'fenced' });
      assert.equal((await applyOne(store, finish(heir, 1))).tag, 'applied');
    },
  },
  {
    concern,
    name: 'fences a commit under a lease that was released',
    run: async ({ store }) => {
      await applyAll(store, start());
      const lease = leaseOf(await claimOne(store));
      await store.release([lease]);
      assert.deepEqual(await applyOne(store, finish(lease, 1)), { tag: 'fenced' });
    },
  },
  {
    concern,
    name: 'looks at the heads before the lease',
    run: async ({ store }) => {
      await applyAll(store, start());
      const outcome = await applyOne(store, finish({ tenant, run: 'run_1', task: 'a1', token: 7 }, 4));
      assert.deepEqual(outcome, { tag: 'conflict', run: 'run_1', head: 1 });
    },
  },
  {
    concern,
    name: 'looks at the lease before the dedupe keys',
    run: async ({ store }) => {
      await applyAll(store, start({ dedupe: [dedupe()] }));
      const lease = { tenant, run: 'run_1', task: 'a1', token: 7 };
      assert.deepEqual(await applyOne(store, { ...move({ head: 1 }), lease, dedupe: [dedupe()] }), { tag: 'fenced' });
    },
  },
  {
    concern,
    name: 'applies what comes under several leases where all of them are held, and nothing of it where one is not',
    run: async ({ store }) => {
      const calls = ['c2', 'c3'];
      const open = calls.map((task) => ({ op: 'open', run: 'run_1', task: newTask({ task, kind: 'call' }) }) as const);
      await applyAll(store, start(), { ...move({ head: 1 }), tasks: open });
      const leases = (await claimSome(store)).map(leaseOf).filter(({ task }) => calls.includes(task));
      assert.equal(leases.length, 2);
      const close = calls.map((task) => ({ op: 'close', run: 'run_1', task }) as const);
      const [first, second] = leases;
      assert.ok(first && second);
      const change = { ...move({ head: 2 }), tasks: close, lease: first };
      const before = await footprint(store, tenant, 'run_1');
      for (const token of [second.token - 1, second.token + 1])
        assert.deepEqual(await applyOne(store, { ...change, leases: [{ ...second, token }] }), { tag: 'fenced' });
      assert.deepEqual(await footprint(store, tenant, 'run_1'), before);
      assert.equal((await applyOne(store, { ...change, leases: [second] })).tag, 'applied');
      assert.deepEqual(await applyOne(store, { ...move({ head: 3 }), leases: [second] }), { tag: 'fenced' });
    },
  },
  {
    concern,
    name: 'refuses an unleased guard while the task is leased',
    run: async ({ store }) => {
      await applyAll(store, start());
      const unleased = { tenant, run: 'run_1', task: 'a1' };
      await claimOne(store);
      assert.deepEqual(await applyOne(store, { ...move({ head: 1 }), unleased }), { tag: 'fenced' });
    },
  },
  {
    concern,
    name: 'passes an unleased guard while the task is ready or absent',
    run: async ({ store }) => {
      await applyAll(store, start());
      const ready = { tenant, run: 'run_1', task: 'a1' };
      const absent = { tenant, run: 'run_1', task: 'a2' };
      await applyAll(store, { ...move({ head: 1 }), unleased: ready }, { ...move({ head: 2 }), unleased: absent });
    },
  },
  {
    concern,
    name: 'keeps tenants with the same ids apart',
    run: async ({ store }) => {
      const tenants = Array.from({ length: 12 }, (_, i) => `tenant-${i}`);
      await applyAll(store, ...tenants.map((of) => start({ tenant: of, dedupe: [dedupe()] })));
      await applyAll(store, move({ tenant: 'tenant-3', head: 1 }));
      for (const of of tenants) {
        assert.equal((await store.readRun(of, 'run_1'))?.head, of === 'tenant-3' ? 2 : 1);
        assert.equal((await store.readTasks(of, 'run_1')).length, 1);
        assert.equal((await store.readDedupe(of, 'start:answer', 'k1'))?.tenant, of);
      }
      assert.equal((await claimSome(store, 100)).length, tenants.length);
    },
  },
  {
    concern,
    name: 'does not see a run of one tenant under another',
    run: async ({ store }) => {
      await applyAll(store, start());
      assert.equal(await store.readRun('other', 'run_1'), null);
      assert.deepEqual(await store.readEvents({ tenant: 'other', stream: 'run_1', after: 0, limit: 9 }), []);
      assert.deepEqual(await applyOne(store, move({ tenant: 'other', head: 1 })), {
        tag: 'conflict',
        run: 'run_1',
        head: 0,
      });
    },
  },
  {
    concern,
    name: 'takes a batch larger than one group commit',
    run: async ({ store }) => {
      await applyAll(store, ...Array.from({ length: 1_000 }, (_, i) => start({ run: `run_${i}` })));
      assert.equal(await store.feedHead(), 1_000);
    },
  },
  {
    concern,
    name: 'takes many calls at once',
    run: async ({ store }) => {
      const outcomes = await Promise.all(
        Array.from({ length: 1_500 }, (_, i) => applyOne(store, start({ run: `run_${i}` }))),
      );
      assert.deepEqual(
        outcomes.map((outcome) => (outcome.tag === 'applied' ? outcome.positions[0] : outcome)),
        Array.from({ length: 1_500 }, (_, i) => i + 1),
      );
    },
  },
];
