/**
 * Batches that rest on what a node remembers: they take one round trip, and whatever others have done to the rows
 * meanwhile is found out before anything is written.
 */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Store, TaskRow } from '../../src/store/index.js';
import { Database } from '../../src/stores/postgres/database.js';
import {
  applyAll,
  applyOne,
  claimSome,
  finish,
  leaseOf,
  move,
  session,
  start,
} from '../../src/testing/conformance/builders.js';
import { describeUnless } from '../skip.js';
import { noPostgres, ownSchema, sql } from './places.js';

describeUnless(noPostgres, 'batches of known rows', () => {
  let place: Awaited<ReturnType<typeof ownSchema>>;
  let store: Store;
  let other: Store;
  let roundTrips = 0;

  beforeEach(async () => {
    place = await ownSchema();
    const { session: sessionOf } = Database.prototype;
    vi.spyOn(Database.prototype, 'session').mockImplementation(async function (this: Database) {
      const found = await sessionOf.call(this);
      return {
        ...found,
        run: (statements) => {
          if (statements.some(({ text }) => text.startsWith('BEGIN') || text === 'COMMIT')) roundTrips += 1;
          return found.run(statements);
        },
      };
    });
    store = await place.open();
    other = await place.open();
    await store.openSession(session());
    await other.openSession(session({ session: 'ses_2' }));
  });

  afterEach(async () => {
    await store.close();
    await other.close();
    vi.restoreAllMocks();
    await place.dispose();
  });

  const claimOf = async (of: Store, name: string): Promise<TaskRow> => {
    const queues = [{ queue: 'workflow:answer', limit: 1 }];
    const [claimed] = await of.claim({ session: name, queues, limit: 1, assignmentFrom: 1 });
    if (claimed === undefined) throw new Error('nothing to claim');
    return claimed.task;
  };

  it('take one round trip each, from the start of a run to its end', async () => {
    await applyAll(store, start());
    roundTrips = 0;
    await applyAll(store, start({ run: 'run_2' }));
    const [first] = await claimSome(store);
    expect(first).toBeDefined();
    if (first === undefined) return;
    await applyAll(store, { ...move({ run: first.run, head: 1 }), lease: leaseOf(first) });
    await applyAll(store, finish(leaseOf(first), 2));
    // The claim and the opening of its session are two of them.
    expect(roundTrips).toBe(5);
    expect(await store.readRun('acme', first.run)).toMatchObject({ head: 3, status: 'succeeded' });
    expect(await store.check(10)).toEqual([]);
  });

  it('are fenced where another node has taken the lease', async () => {
    await applyAll(store, start());
    const mine = await claimOf(store, 'ses_1');
    expect(await other.release([leaseOf(mine)])).toBe(1);
    const theirs = await claimOf(other, 'ses_2');
    expect(await applyOne(store, finish(leaseOf(mine), 1))).toEqual({ tag: 'fenced' });
    expect(await applyOne(other, finish(leaseOf(theirs), 1))).toMatchObject({ tag: 'applied' });
    expect(await store.check(10)).toEqual([]);
  });

  it('are a conflict where another node has moved the run, and those beside it are applied', async () => {
    await applyAll(store, start(), start({ run: 'run_2' }));
    await applyAll(other, move({ run: 'run_1', head: 1 }));
    const outcomes = await store.apply([
      move({ run: 'run_2', head: 1 }),
      move({ run: 'run_1', head: 1 }),
      start({ run: 'run_3' }),
    ]);
    expect(outcomes).toMatchObject([
      { tag: 'applied' },
      { tag: 'conflict', run: 'run_1', head: 2 },
      { tag: 'applied' },
    ]);
    // The connection goes on being used, with what it had prepared.
    expect(await applyOne(store, move({ run: 'run_1', head: 2 }))).toMatchObject({ tag: 'applied' });
    expect(await applyOne(store, move({ run: 'run_2', head: 2 }))).toMatchObject({ tag: 'applied' });
    expect(await store.check(10)).toEqual([]);
  });

  it('find a task that is there already', async () => {
    await applyAll(store, start());
    const [task] = start().tasks ?? [];
    if (task === undefined) throw new Error('no task');
    const again = await applyOne(store, { ...move({ run: 'run_1', head: 1 }), tasks: [task] });
    expect(again).toMatchObject({ tag: 'unstorable' });
    expect(await applyOne(store, move({ run: 'run_1', head: 1 }))).toMatchObject({ tag: 'applied' });
  });

  it('follow a run whose events were moved aside', async () => {
    await applyAll(store, start());
    await sql(`UPDATE ${place.schema}.event SET era = 0`);
    await sql(`UPDATE ${place.schema}.run SET era = 0`);
    await applyAll(store, move({ run: 'run_1', head: 1 }));
    expect(await sql(`SELECT era FROM ${place.schema}.event ORDER BY seq`)).toEqual([{ era: 0 }, { era: 0 }]);
    expect(await store.readEvents({ tenant: 'acme', stream: 'run_1', after: 0, limit: 10 })).toHaveLength(2);
  });

  it('lose no move where two nodes move the same runs at the same time', async () => {
    const runs = Array.from({ length: 8 }, (_, i) => `run_${i}`);
    await applyAll(store, ...runs.map((run) => start({ run })));
    const mover = async (by: Store): Promise<number> => {
      let applied = 0;
      const heads = new Map(runs.map((run) => [run, 1]));
      for (let round = 0; round < 40; round++) {
        const outcomes = await by.apply(runs.map((run) => move({ run, head: heads.get(run) ?? 1 })));
        outcomes.forEach((outcome, i) => {
          const run = runs[i] ?? '';
          if (outcome.tag === 'conflict') heads.set(run, outcome.head);
          else if (outcome.tag === 'applied') {
            applied += 1;
            heads.set(run, (heads.get(run) ?? 1) + 1);
          }
        });
      }
      return applied;
    };
    const counts = await Promise.all([mover(store), mover(other), mover(store)]);
    const heads = await Promise.all(runs.map(async (run) => (await store.readRun('acme', run))?.head ?? 0));
    expect(heads.reduce((a, b) => a + b)).toBe(runs.length + counts.reduce((a, b) => a + b));
    expect(await store.check(10)).toEqual([]);
  });
});
