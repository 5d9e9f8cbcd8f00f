/** Worker sessions and the leases they hold. */
import assert from 'node:assert/strict';
import type { NewSession, SessionRow, Store } from '../../../store/index.js';
import { applyAll, applyOne, claimSome, finish, leaseOf, queue, session, start } from '../builders.js';
import type { StoreCase } from '../store-case.js';

const concern = 'sessions and leases';

function ownedBy({ epoch }: Store): (session: NewSession) => SessionRow {
  return (row) => ({ ...row, owner: epoch });
}

export const sessionCases: readonly StoreCase[] = [
  {
    concern,
    name: 'lists sessions as they were opened, in the order of their ids',
    run: async ({ store }) => {
      const sessions = [
        session({ session: 'ses_b', info: '{}' }),
        session({ session: 'ses_a', counter: 4, received: 2 }),
      ];
      for (const row of sessions) await store.openSession(row);
      assert.deepEqual(await store.listSessions(), sessions.toReversed().map(ownedBy(store)));
    },
  },
  {
    concern,
    name: 'opens a session again with what it says now',
    run: async ({ store }) => {
      await store.openSession(session());
      await store.openSession(session({ info: '{"slots":9}', counter: 3 }));
      assert.deepEqual(await store.listSessions(), [ownedBy(store)(session({ info: '{"slots":9}', counter: 3 }))]);
    },
  },
  {
    concern,
    name: 'raises the counters of a session by a beat, and never lowers them',
    run: async ({ store }) => {
      await store.openSession(session());
      assert.deepEqual(await store.beat([{ session: 'ses_1', counter: 5, received: 17 }]), []);
      assert.deepEqual(await store.listSessions(), [ownedBy(store)(session({ counter: 5, received: 17 }))]);
      await store.beat([{ session: 'ses_1', counter: 4, received: 18 }]);
      assert.deepEqual(await store.listSessions(), [ownedBy(store)(session({ counter: 5, received: 18 }))]);
    },
  },
  {
    concern,
    name: 'names the sessions of a beat that do not exist',
    run: async ({ store }) => {
      await store.openSession(session());
      await store.openSession(session({ session: 'ses_2' }));
      await store.closeSession('ses_2');
      const beats = ['ses_2', 'ses_1', 'ses_3'].map((id) => ({ session: id, counter: 1, received: 0 }));
      assert.deepEqual(await store.beat(beats), ['ses_2', 'ses_3']);
    },
  },
  {
    concern,
    name: 'does not bring a closed session back by a beat',
    run: async ({ store }) => {
      await store.openSession(session());
      await store.closeSession('ses_1');
      await store.beat([{ session: 'ses_1', counter: 1, received: 0 }]);
      assert.deepEqual(await store.listSessions(), []);
    },
  },
  {
    concern,
    name: 'answers an empty beat with nothing',
    run: async ({ store }) => assert.deepEqual(await store.beat([]), []),
  },
  {
    concern,
    name: 'gives no claims to a session of an earlier opening until it is taken',
    reopens: true,
    run: async ({ store, reopen }) => {
      await applyAll(store, start());
      await store.openSession(session());
      const again = await reopen();
      const claim = { session: 'ses_1', queues: [{ queue, limit: 1 }], limit: 1, assignmentFrom: 1 };
      assert.deepEqual(await again.claim(claim), []);
      assert.deepEqual(await again.beat([{ session: 'ses_1', counter: 1, received: 0 }]), ['ses_1']);
      assert.deepEqual(await again.takeSession('ses_1'), ownedBy(again)(session({ counter: 1 })));
      assert.deepEqual(await again.beat([{ session: 'ses_1', counter: 2, received: 0 }]), []);
      assert.equal((await again.claim(claim)).length, 1);
    },
  },
  {
    concern,
    name: 'takes no session that does not exist',
    run: async ({ store }) => {
      assert.equal(await store.takeSession('ses_1'), null);
      assert.equal(await store.takeSession('ses\0'), null);
      assert.deepEqual(await store.listSessions(), []);
    },
  },
  {
    concern,
    name: 'closes a session twice without complaint',
    run: async ({ store }) => {
      await store.closeSession('ses_1');
      await store.closeSession('ses_1');
    },
  },
  {
    concern,
    name: 'keeps the leases of a closed session',
    run: async ({ store }) => {
      await applyAll(store, start());
      const [task] = await claimSome(store);
      assert.ok(task);
      await store.closeSession('ses_1');
      assert.deepEqual(await store.listLeases({ session: 'ses_1', limit: 9 }), [task]);
      assert.equal((await applyOne(store, finish(leaseOf(task), 1))).tag, 'applied');
    },
  },
  {
    concern,
    name: 'lists leases of one session or of all, up to a limit',
    run: async ({ store }) => {
      await applyAll(store, ...Array.from({ length: 6 }, (_, i) => start({ run: `run_${i}` })));
      await store.openSession(session({ session: 'ses_2' }));
      await claimSome(store, 2);
      await store.claim({ session: 'ses_2', queues: [{ queue, limit: 3 }], limit: 3, assignmentFrom: 7 });
      const leases = async (query: { session?: string; limit: number }): Promise<string[]> =>
        (await store.listLeases(query)).map(({ session: of, run, assignment }) => `${of} ${run} ${assignment}`);
      assert.deepEqual(await leases({ limit: 99 }), [
        'ses_1 run_0 1',
        'ses_1 run_1 2',
        'ses_2 run_2 7',
        'ses_2 run_3 8',
        'ses_2 run_4 9',
      ]);
      assert.deepEqual(await leases({ session: 'ses_2', limit: 2 }), ['ses_2 run_2 7', 'ses_2 run_3 8']);
      assert.deepEqual(await leases({ session: 'ses_9', limit: 2 }), []);
      assert.deepEqual(await leases({ limit: 3 }), ['ses_1 run_0 1', 'ses_1 run_1 2', 'ses_2 run_2 7']);
    },
  },
  {
    concern,
    name: 'refuses a session that cannot be stored',
    run: async ({ store }) => {
      await assert.rejects(store.openSession(session({ worker: 'w\0' })), { code: 'VALUE_UNSTORABLE' });
      assert.deepEqual(await store.listSessions(), []);
    },
  },
];
