/** Several servers on one store: what one of them does to the others. */
import assert from 'node:assert/strict';
import type { Store, StoreListener } from '../../../store/index.js';
import { applyAll, applyOne, claimSome, finish, leaseOf, queue, session, start } from '../builders.js';
import type { StoreCase, StoreWorld } from '../store-case.js';

const concern = 'neighbours';

function neighbourCase(name: string, run: (world: StoreWorld, other: Store) => Promise<void>): StoreCase {
  return { concern, name, neighbours: true, run: async (world) => run(world, await world.beside()) };
}

/** Collects what a store tells of its neighbours. */
class Ears implements StoreListener {
  readonly queues = new Map<string, number>();
  moves = 0;
  #wake: () => void = () => undefined;

  work(queues: ReadonlyMap<string, number>): void {
    for (const [name, count] of queues) this.queues.set(name, (this.queues.get(name) ?? 0) + count);
    this.#wake();
  }

  moved(): void {
    this.moves += 1;
    this.#wake();
  }

  /** Resolves when the condition holds; it is looked at whenever something is heard. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => (this.#wake = resolve));
  }
}

const claimOne = { session: 'ses_1', queues: [{ queue, limit: 1 }], limit: 1, assignmentFrom: 1 };

export const neighbourCases: readonly StoreCase[] = [
  neighbourCase('says that it is shared, and gives each opening a higher epoch', async ({ store }, other) => {
    assert.equal(store.shared, true);
    assert.equal(other.shared, true);
    assert.ok(other.epoch > store.epoch);
  }),
  neighbourCase('reads what another has written', async ({ store }, other) => {
    await applyAll(store, start());
    assert.deepEqual(await other.readRun('acme', 'run_1'), await store.readRun('acme', 'run_1'));
    assert.deepEqual(
      await other.readHistories([{ tenant: 'acme', run: 'run_1' }]),
      await store.readHistories([{ tenant: 'acme', run: 'run_1' }]),
    );
  }),
  neighbourCase('refuses a transition from where another has already moved on', async ({ store }, other) => {
    await applyAll(store, start());
    const outcome = await applyOne(other, start());
    assert.deepEqual(outcome, { tag: 'conflict', run: 'run_1', head: 1 });
  }),
  neighbourCase('gives each task to one of those who claim at the same time', async ({ store }, other) => {
    await applyAll(store, ...Array.from({ length: 20 }, (_, i) => start({ run: `run_${i}` })));
    await store.openSession(session());
    await other.openSession(session({ session: 'ses_2' }));
    const wanted = { queues: [{ queue, limit: 20 }], limit: 20, assignmentFrom: 1 };
    const claimed = await Promise.all([
      store.claim({ session: 'ses_1', ...wanted }),
      other.claim({ session: 'ses_2', ...wanted }),
    ]);
    const runs = claimed.flat().map(({ task }) => task.run);
    assert.equal(new Set(runs).size, runs.length);
    const rest = await store.claim({ session: 'ses_1', ...wanted });
    assert.equal(runs.length + rest.length, 20);
  }),
  neighbourCase('lets a worker finish over another server what it claimed over the first', async ({ store }, other) => {
    await applyAll(store, start());
    const [task] = await claimSome(store);
    assert.ok(task);
    assert.equal((await applyOne(other, finish(leaseOf(task), 1))).tag, 'applied');
    assert.equal((await applyOne(store, finish(leaseOf(task), 1))).tag, 'conflict');
  }),
  neighbourCase('gives the claims of a session to whoever has taken it last', async ({ store }, other) => {
    await applyAll(store, start());
    await store.openSession(session());
    assert.deepEqual(await other.claim(claimOne), []);
    assert.equal((await other.takeSession('ses_1'))?.owner, other.epoch);
    assert.deepEqual(await store.claim(claimOne), []);
    assert.deepEqual(await store.beat([{ session: 'ses_1', counter: 3, received: 1 }]), ['ses_1']);
    assert.deepEqual(await other.beat([{ session: 'ses_1', counter: 2, received: 2 }]), []);
    const [row] = await other.listSessions();
    assert.deepEqual([row?.counter, row?.received], [3, 2]);
    assert.equal((await other.claim(claimOne)).length, 1);
  }),
  neighbourCase('gives a duty away that was taken before its clock went back', async ({ store, clock }, other) => {
    clock.advance(7_200_000);
    assert.equal(await store.holdDuty('timers', 1_000), true);
    clock.advance(-7_200_000);
    // Whoever took it may be dead, and its two hours are no reason to wait for it.
    assert.equal(await other.holdDuty('timers', 1_000), true);
    assert.equal(await store.holdDuty('timers', 1_000), false);
  }),
  neighbourCase('lets one at a time hold a duty, until its time is over', async ({ store, clock }, other) => {
    assert.equal(await store.holdDuty('timers', 1_000), true);
    assert.equal(await other.holdDuty('timers', 1_000), false);
    assert.equal(await other.holdDuty('retention', 1_000), true);
    clock.advance(600);
    assert.equal(await store.holdDuty('timers', 1_000), true);
    clock.advance(600);
    assert.equal(await other.holdDuty('timers', 1_000), false);
    clock.advance(500);
    assert.equal(await other.holdDuty('timers', 1_000), true);
    assert.equal(await store.holdDuty('timers', 1_000), false);
  }),
  neighbourCase('gives its duties up when it is closed', async ({ store }, other) => {
    assert.equal(await other.holdDuty('timers', 60_000), true);
    await other.close();
    assert.equal(await store.holdDuty('timers', 1_000), true);
  }),
  neighbourCase('hears of the work of others and that the feed has moved', async ({ store }, other) => {
    const ears = new Ears();
    store.watch(ears);
    await applyAll(other, start(), start({ run: 'run_2' }));
    await ears.until(() => (ears.queues.get(queue) ?? 0) >= 2 && ears.moves > 0);
    const { keys, upTo } = await store.readFeedKeys({ after: 0, limit: 10 });
    assert.deepEqual(keys.map(({ stream, seq }) => `${stream} ${seq}`).sort(), ['run_1 1', 'run_2 1']);
    assert.equal(upTo, await store.feedHead());
  }),
  neighbourCase('is told in pages of what others wrote, and not of its own', async ({ store }, other) => {
    for (let i = 1; i <= 6; i++) await applyAll(i % 2 === 0 ? other : store, start({ run: `run_${i}` }));
    const heard: string[] = [];
    let after = 0;
    for (let page = 0; page < 4; page++) {
      const { keys, upTo } = await store.readFeedKeys({ after, limit: 2 });
      heard.push(...keys.map(({ stream }) => stream));
      assert.ok(upTo >= after);
      after = upTo;
    }
    assert.deepEqual(heard, ['run_2', 'run_4', 'run_6']);
    assert.equal(after, await store.feedHead());
    assert.deepEqual(await store.readFeedKeys({ after, limit: 2 }), { keys: [], upTo: after });
  }),
  neighbourCase('hears of work that another has given back', async ({ store }, other) => {
    await applyAll(store, start());
    const ears = new Ears();
    store.watch(ears);
    const [task] = await claimSome(other);
    assert.ok(task);
    await other.release([leaseOf(task)]);
    await ears.until(() => (ears.queues.get(queue) ?? 0) >= 1);
  }),
  neighbourCase('hears nothing any more once it has stopped listening', async ({ store }, other) => {
    const [deaf, ears] = [new Ears(), new Ears()];
    store.watch(deaf)();
    store.watch(ears);
    await applyAll(other, start());
    await ears.until(() => ears.moves > 0);
    assert.equal(deaf.moves, 0);
  }),
  neighbourCase('shows both the same feed, in the same order', async ({ store }, other) => {
    const writes = Array.from({ length: 30 }, (_, i) =>
      applyAll(i % 2 === 0 ? store : other, start({ run: `run_${i}` })),
    );
    await Promise.all(writes);
    const ears = new Ears();
    store.watch(ears);
    await applyAll(other, start({ run: 'run_last' }));
    await ears.until(() => ears.moves > 0);
    let feed = await store.readFeed({ after: 0, limit: 100 });
    while (feed.length < 31) feed = await store.readFeed({ after: 0, limit: 100 });
    assert.deepEqual(await other.readFeed({ after: 0, limit: 100 }), feed);
    assert.deepEqual(
      feed.map(({ position }) => position),
      Array.from({ length: 31 }, (_, i) => i + 1),
    );
    assert.equal(await other.feedHead(), 31);
  }),
];
