/**
 * Commits that are sent behind one that is not answered yet: nothing overtakes what was handed over before, whatever
 * becomes of that.
 */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Outcome, Store } from '../../src/store/index.js';
import { Database } from '../../src/stores/postgres/database.js';
import { applyAll, move, session, start, tenant, topicEvent } from '../../src/testing/conformance/builders.js';
import { describeUnless } from '../skip.js';
import { noPostgres, ownSchema, sql } from './places.js';

describeUnless(noPostgres, 'commits that follow each other', () => {
  let place: Awaited<ReturnType<typeof ownSchema>>;
  let store: Store;
  let other: Store;
  let inFlight = 0;
  let inFlightMost = 0;
  /** Called once, when the next commit was sent and is not answered. */
  let onSent: (() => void) | null = null;

  beforeEach(async () => {
    place = await ownSchema();
    const { session: sessionOf } = Database.prototype;
    vi.spyOn(Database.prototype, 'session').mockImplementation(async function (this: Database) {
      const found = await sessionOf.call(this);
      return {
        ...found,
        run: (statements) => {
          const answer = found.run(statements);
          if (statements.at(-1)?.text !== 'COMMIT') return answer;
          inFlight += 1;
          inFlightMost = Math.max(inFlightMost, inFlight);
          const answered = (): void => {
            inFlight -= 1;
          };
          answer.then(answered, answered);
          onSent?.();
          onSent = null;
          return answer;
        },
      };
    });
    store = await place.open();
    other = await place.open();
    await store.openSession(session());
    [inFlight, inFlightMost] = [0, 0];
  });

  afterEach(async () => {
    onSent = null;
    await store.close();
    await other.close();
    vi.restoreAllMocks();
    await place.dispose();
  });

  const published = () => ({ tenant, publishes: [topicEvent()] });
  /** A batch that is worth a commit of its own. */
  const many = () => Array.from({ length: 16 }, published);

  /** The outcomes of both; the second is handed over as soon as the first is on its way. */
  const inTurn = async (first: () => Promise<Outcome[]>, second: () => Promise<Outcome[]>): Promise<Outcome[][]> => {
    const followed = new Promise<Outcome[]>((resolve, reject) => {
      onSent = () => void second().then(resolve, reject);
    });
    return Promise.all([first(), followed]);
  };

  it('are sent before the one before is answered', async () => {
    await applyAll(store, published());
    const [first, second] = await inTurn(
      () => store.apply([published()]),
      () => store.apply(many()),
    );
    expect(inFlightMost).toBe(2);
    expect(first).toMatchObject([{ tag: 'applied', offsets: [1] }]);
    expect(second?.map((outcome) => 'offsets' in outcome && outcome.offsets)).toEqual(many().map((_, i) => [2 + i]));
  });

  it('wait for its end where they are few', async () => {
    await applyAll(store, published());
    const [, second] = await inTurn(
      () => store.apply([published()]),
      () => store.apply(many().slice(1)),
    );
    expect(inFlightMost).toBe(1);
    expect(second).toMatchObject([
      { tag: 'applied', offsets: [2] },
      ...many()
        .slice(2)
        .map(() => ({ tag: 'applied' })),
    ]);
  });

  it('go on with what the one before leaves behind', async () => {
    await applyAll(store, start());
    const [first, second] = await inTurn(
      () => store.apply([move({ run: 'run_1', head: 1 })]),
      () => store.apply([move({ run: 'run_1', head: 2 }), ...many()]),
    );
    expect(inFlightMost).toBe(2);
    expect([first, second?.slice(0, 1)]).toMatchObject([[{ tag: 'applied' }], [{ tag: 'applied' }]]);
    expect(await store.check(10)).toEqual([]);
  });

  it('come after the one before where that fails and is done again', async () => {
    await applyAll(store, start());
    // What the store believes of the run is not so any more.
    await applyAll(other, move({ run: 'run_1', head: 1 }));
    const [first, second] = await inTurn(
      () => store.apply([move({ run: 'run_1', head: 1 }), published()]),
      () => store.apply([published(), start({ run: 'run_2' }), ...many()]),
    );
    expect(inFlightMost).toBe(2);
    expect(first).toMatchObject([
      { tag: 'conflict', head: 2 },
      { tag: 'applied', offsets: [0] },
    ]);
    expect(second?.slice(0, 2)).toMatchObject([{ tag: 'applied', offsets: [1] }, { tag: 'applied' }]);
    expect(await store.check(10)).toEqual([]);
  });

  it('come after the one before where the connection breaks under both', async () => {
    await applyAll(store, published());
    const [first, second] = await inTurn(
      () => store.apply([published()]),
      async () => {
        const outcomes = store.apply(many());
        await sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%${place.schema}%'`);
        return outcomes;
      },
    );
    expect([first, second?.slice(0, 1)]).toMatchObject([[{ tag: 'applied' }], [{ tag: 'applied' }]]);
    expect(await store.listTopics(tenant)).toMatchObject([{ head: 18 }]);
  });
});
