/** Opening, closing, and what outlives both. */
import assert from 'node:assert/strict';
import {
  applyAll,
  applyOne,
  claimSome,
  deadLetter,
  dedupe,
  finish,
  footprint,
  inBlob,
  leaseOf,
  queue,
  session,
  start,
  tenant,
  topicEvent,
} from '../builders.js';
import type { StoreCase } from '../store-case.js';

const concern = 'life cycle';

export const lifecycleCases: readonly StoreCase[] = [
  {
    concern,
    name: 'has a name, an epoch and the given clock',
    run: async ({ store, clock }) => {
      assert.ok(store.name.length > 0);
      assert.equal(store.epoch, 1);
      clock.advance(123);
      assert.equal(store.now(), clock.now());
    },
  },
  {
    concern,
    name: 'closes twice without complaint',
    run: async ({ store }) => {
      await Promise.all([store.close(), store.close()]);
      await store.close();
    },
  },
  {
    concern,
    name: 'finishes what was handed over before it closes',
    run: async ({ store }) => {
      const applied = store.apply([start()]);
      const closed = store.close();
      assert.equal((await applied)[0]?.tag, 'applied');
      await closed;
    },
  },
  ...(
    [
      ['apply', (store) => store.apply([start()])],
      ['claim', (store) => store.claim({ session: 's', queues: [{ queue, limit: 1 }], limit: 1, assignmentFrom: 1 })],
      ['beat', (store) => store.beat([])],
      ['readRun', (store) => store.readRun(tenant, 'run_1')],
      ['listRuns', (store) => store.listRuns({ tenant, limit: 1 })],
      ['readFeed', (store) => store.readFeed({ after: 0, limit: 1 })],
      ['dueTimers', (store) => store.dueTimers(1)],
      ['expire', (store) => store.expire(1)],
      ['check', (store) => store.check(1)],
      ['readBlob', (store) => store.readBlob(tenant, 'h')],
    ] as readonly (readonly [string, (store: Parameters<StoreCase['run']>[0]['store']) => Promise<unknown>])[]
  ).map(
    ([method, call]): StoreCase => ({
      concern,
      name: `refuses ${method} after closing`,
      run: async ({ store }) => {
        await store.close();
        await assert.rejects(call(store), { code: 'STORE_CLOSED' });
      },
    }),
  ),
  {
    concern,
    name: 'finds everything again after closing and opening',
    reopens: true,
    run: async ({ store, clock, reopen }) => {
      await store.putBlob(tenant, 'h', new Uint8Array([4, 5]));
      await applyAll(store, {
        ...start({ payload: inBlob('h'), dedupe: [dedupe()], row: { labels: { a: 'b' } } }),
        publishes: [topicEvent()],
        timers: [{ op: 'set', run: 'run_1', name: 't', fireAt: clock.now() + 5 }],
        deadLetters: [{ op: 'add', row: deadLetter() }],
      });
      await store.openSession(session());
      await store.saveManifest({ app: 'a', hash: 'h', manifest: '{}', registeredAt: 1 });
      const before = await footprint(store, tenant, 'run_1');
      const again = await reopen();
      assert.deepEqual(await footprint(again, tenant, 'run_1'), before);
      assert.deepEqual(await again.readBlob(tenant, 'h'), new Uint8Array([4, 5]));
      assert.deepEqual(await again.listSessions(), [{ ...session(), owner: store.epoch }]);
      assert.equal((await again.listManifests()).length, 1);
      assert.equal((await again.readDedupe(tenant, 'start:answer', 'k1'))?.reference, 'run_1');
      assert.equal((await applyOne(again, start({ run: 'run_2', dedupe: [dedupe()] }))).tag, 'duplicate');
      assert.deepEqual(await again.check(9), []);
    },
  },
  {
    concern,
    name: 'raises the epoch with each opening',
    reopens: true,
    run: async ({ reopen }) => {
      assert.equal((await reopen()).epoch, 2);
      assert.equal((await reopen()).epoch, 3);
    },
  },
  {
    concern,
    name: 'goes on numbering after opening again',
    reopens: true,
    run: async ({ store, reopen }) => {
      await applyAll(store, { ...start(), publishes: [topicEvent()] });
      const again = await reopen();
      const outcome = await applyOne(again, { ...start({ run: 'run_2' }), publishes: [topicEvent()] });
      assert.deepEqual(outcome, { tag: 'applied', positions: [3, 4], offsets: [1] });
    },
  },
  {
    concern,
    name: 'keeps leases and tokens over a restart',
    reopens: true,
    run: async ({ store, reopen }) => {
      await applyAll(store, start(), start({ run: 'run_2' }));
      const [held, returned] = await claimSome(store, 2);
      assert.ok(held && returned);
      await store.release([leaseOf(returned)]);
      const again = await reopen();
      assert.deepEqual(await again.listLeases({ limit: 9 }), [held]);
      assert.equal((await claimSome(again, 1))[0]?.token, 2);
      assert.equal((await applyOne(again, finish(leaseOf(held), 1))).tag, 'applied');
    },
  },
];
