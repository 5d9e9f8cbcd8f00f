/** What stays behind of work that is done: next to nothing, however many nodes and tenants there have been. */
import { expect, it } from 'vitest';
import { nodePorts } from '../../src/runtime/index.js';
import type { Store } from '../../src/store/index.js';
import { applyAll, claimSome, finish, leaseOf, start } from '../../src/testing/conformance/builders.js';
import { describeUnless } from '../skip.js';
import { noPostgres, ownSchema, sql } from './places.js';

const walk = async (store: Store, times = 2): Promise<void> => {
  for (let i = 0; i < times; i++) {
    await store.expire(200);
  }
};

describeUnless(noPostgres, 'counters', () => {
  it('are one row each after any number of openings, and none for tenants whose work is done and gone', async () => {
    const { schema, open, dispose } = await ownSchema();
    for (let opening = 0; opening < 3; opening++) {
      const store = await open();
      const tenants = Array.from({ length: 40 }, (_, i) => `tenant${i}`);
      await applyAll(store, ...tenants.map((tenant) => start({ tenant, run: `run_${opening}` })));
      const tasks = await claimSome(store, 100);
      expect(tasks).toHaveLength(40);
      // What the first ones have done is past its time already, that of the others is kept.
      await applyAll(
        store,
        ...tasks.map((task) => {
          const isShort = Number(task.tenant.slice('tenant'.length)) < 20;
          return finish(leaseOf(task), 1, { expiresAt: isShort ? store.now() - 1 : null });
        }),
      );
      await store.close();
    }
    const before = await rowsOf(schema);
    const store = await open();
    await walk(store, 3);
    const after = await rowsOf(schema);
    expect(before).toBeGreaterThan(300);
    // Twenty tenants have runs that have succeeded.
    expect(after).toBe(20);
    expect((await store.readTally()).map(({ count }) => count)).toEqual(Array.from({ length: 20 }, () => 3));
    expect(await store.check(9)).toEqual([]);
    await store.close();
    await dispose();
  });

  it('are right while they are put together under the hands of writers', async () => {
    const { open, dispose } = await ownSchema();
    const nodes = [await open(), await open(), await open()];
    const until = nodePorts.clock.monotonicMs() + 3_500;
    const write = async (number: number): Promise<number> => {
      const store = nodes[number % nodes.length] as Store;
      let runs = 0;
      for (; nodePorts.clock.monotonicMs() < until; runs++)
        await applyAll(store, start({ tenant: `tenant${runs % 3}`, run: `run_${number}_${runs}` }));
      return runs;
    };
    const written = Promise.all(Array.from({ length: 9 }, (_, i) => write(i)));
    for (let i = 0; nodePorts.clock.monotonicMs() < until; i++) await walk(nodes[i % nodes.length] as Store, 1);
    const runs = (await written).reduce((sum, count) => sum + count, 0);
    await walk(nodes[0] as Store);
    const counted = (await (nodes[0] as Store).readTally()).filter(({ kind }) => kind === 'run');
    expect(counted.reduce((sum, { count }) => sum + count, 0)).toBe(runs);
    expect(await (nodes[0] as Store).check(9)).toEqual([]);
    await Promise.all(nodes.map((node) => node.close()));
    await dispose();
  });
});

async function rowsOf(schema: string): Promise<number> {
  const [row] = await sql(`SELECT count(*)::int AS n FROM ${schema}.tally`);
  return row?.['n'] as number;
}
