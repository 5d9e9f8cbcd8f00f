/** The same random life on the memory store and on SQLite: every answer and, in the end, every row must be the same. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createMemoryStore, type LeaseKey, type Store, type Transition } from '../../src/store/index.js';
import { createSqliteMemoryStore } from '../../src/stores/sqlite/index.js';
import * as build from '../../src/testing/conformance/builders.js';
import { manualClock } from '../../src/testing/conformance/index.js';

const small = fc.nat({ max: 4 });
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant('apply' as const),
      items: fc.array(fc.tuple(fc.nat(9), small, small, small), { maxLength: 6 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('claim' as const), session: small, limit: small }) },
  fc.record({ op: fc.constant('release' as const), runs: fc.array(fc.tuple(small, small), { maxLength: 4 }) }),
  fc.record({ op: fc.constant('advance' as const), ms: fc.integer({ min: 1, max: 40 }) }),
  fc.record({ op: fc.constant('upkeep' as const), limit: small }),
  fc.record({ op: fc.constant('session' as const), session: small, close: fc.boolean() }),
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

const run = (n: number): string => `run_${n}`;

/** One of ten kinds of transitions over five runs; most fit some state that is reached, some never do. */
function transition([kind, n, a, b]: readonly [number, number, number, number], now: number): Transition {
  const lease: LeaseKey = { tenant: build.tenant, run: run(n), task: 'a1', token: a };
  const dedupe = [build.dedupe({ key: `k${b}`, reference: run(n), expiresAt: now + a * 10 })];
  switch (kind) {
    case 0:
      return build.start({ run: run(n), task: { rank: a, dueAt: b === 0 ? now + a * 5 : null } });
    case 1:
      return build.start({ run: run(n), task: { rank: b }, dedupe });
    case 2:
      return {
        ...build.move({ run: run(n), head: a }),
        timers: [{ op: 'set', run: run(n), name: `t${b}`, fireAt: now + b * 7 }],
        entries: [
          build.put({ key: `k${b}`, ref: `r${n}`, run: b > 2 ? '' : run(n), at: now }),
          { op: 'drop', space: 's', key: `k${a}`, ref: `r${b}` },
        ],
      };
    case 3:
      return build.finish(lease, b, { expiresAt: now + 20 });
    case 4:
      return {
        ...build.move({ run: run(n), head: b }),
        lease,
        tasks: [{ op: 'requeue', run: run(n), task: build.newTask({ attempt: 2, dueAt: a > 2 ? now + 9 : null }) }],
      };
    case 5:
      return {
        ...build.move({ run: run(n), head: a }),
        tasks: [{ op: 'open', run: run(n), task: build.newTask({ task: `c${b}`, kind: 'call', rank: b }) }],
      };
    case 6:
      return {
        ...build.move({ run: run(n), head: a }),
        tasks: [{ op: 'close', run: run(n), task: b === 0 ? 'a1' : `c${b}` }],
      };
    case 7:
      return { tenant: build.tenant, publishes: [build.topicEvent({ partition: n })], dedupe };
    case 8:
      return {
        ...build.start({ run: run(n), payload: build.inBlob(`h${a}`) }),
        ...(b > 2 ? { blobs: [{ hash: `h${a}`, bytes: new Uint8Array([a]) }] } : {}),
      };
    default:
      return {
        tenant: build.tenant,
        deadLetters: [
          a > 2 ? { op: 'remove', id: `d${b}` } : { op: 'add', row: build.deadLetter({ id: `d${b}`, run: run(n) }) },
        ],
      };
  }
}

async function act(store: Store, move: Step, assignmentFrom: number): Promise<unknown> {
  switch (move.op) {
    case 'apply':
      return store.apply(move.items.map((item) => transition(item, store.now())));
    case 'claim':
      return store.claim({
        session: `ses_${move.session}`,
        queues: [{ queue: build.queue, limit: move.limit }],
        limit: 3,
        assignmentFrom,
      });
    case 'release':
      return store.release(move.runs.map(([n, token]) => ({ tenant: build.tenant, run: run(n), task: 'a1', token })));
    case 'upkeep':
      return [
        await store.promoteDue(move.limit),
        await store.expire(move.limit),
        await store.dueTimers(9),
        await store.nextDueAt(),
      ];
    case 'session': {
      const session = `ses_${move.session}`;
      return move.close ? store.closeSession(session) : store.openSession(build.session({ session }));
    }
    case 'advance':
      return null;
  }
}

/** Reasons are words of the backend; that there is one is what counts. */
function withoutReasons(answer: unknown): unknown {
  return JSON.parse(JSON.stringify(answer ?? null, (key, value: unknown) => (key === 'reason' ? 'refused' : value)));
}

async function everything(store: Store): Promise<unknown> {
  const runs = [0, 1, 2, 3, 4].map(run);
  return {
    feed: await store.readFeed({ after: 0, limit: 999 }),
    head: await store.feedHead(),
    runs: await store.listRuns({ tenant: build.tenant, limit: 99 }),
    tasks: await Promise.all(runs.map((id) => store.readTasks(build.tenant, id))),
    entries: await store.readEntries({ tenant: build.tenant, space: 's', limit: 99 }),
    partitions: await store.listPartitions({ after: null, limit: 99 }),
    timers: await Promise.all(runs.map((id) => store.readTimers(build.tenant, id))),
    leases: await store.listLeases({ limit: 99 }),
    letters: await store.listDeadLetters({ tenant: build.tenant, limit: 99 }),
    topics: await store.listTopics(build.tenant),
    tally: await store.readTally(),
    queues: await store.queueStats(),
    sessions: await store.listSessions(),
    blobs: await Promise.all([0, 1, 2, 3, 4].map((n) => store.readBlob(build.tenant, `h${n}`))),
    accounting: (await store.check(99)).filter(({ property }) => property !== 'P3' && property !== 'P7'),
  };
}

it('answers and ends alike on memory and on SQLite', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60 }), async (steps) => {
      const clock = manualClock();
      const stores = [createMemoryStore({ clock }), await createSqliteMemoryStore({ clock })] as const;
      for (const [index, next] of steps.entries()) {
        if (next.op === 'advance') clock.advance(next.ms);
        const [left, right] = await Promise.all(stores.map((store) => act(store, next, index * 10)));
        expect(withoutReasons(right)).toEqual(withoutReasons(left));
      }
      const [left, right] = await Promise.all(stores.map(everything));
      expect(right).toEqual(left);
      expect((left as { accounting: unknown[] }).accounting).toEqual([]);
      for (const store of stores) await store.close();
    }),
    { numRuns: 120 },
  );
}, 60_000);
