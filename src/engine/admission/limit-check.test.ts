import { describe, expect, it } from 'vitest';
import { nodePorts } from '../../runtime/index.js';
import { createMemoryStore } from '../../store/memory.js';
import type { EntryWrite } from '../../store/contract.js';
import { systemTenant } from '../system-tenant.js';
import { counterWrite, holderPut, moveFence } from './counter-rows.js';
import { checkLimits } from './limit-check.js';

const { hash, clock } = nodePorts;
const slots = { k: 'slots', used: 1, n: 1, ceiling: 2_000, cut: 0, best: 0, held: 0 } as const;
const counter = counterWrite({ key: 'gpu', counter: slots, owner: null }, 1, hash);
const holder = (at: number): EntryWrite =>
  holderPut({ tenant: 't', ref: 'run_1/c2.1', shares: [{ key: 'gpu', amount: 1, mark: 1 }], endpoint: '', at }, at);
const ticket = (key: string): EntryWrite => ({
  op: 'put',
  space: 'tickets',
  key,
  ref: 'run_1/c2.1',
  value: '{}',
  run: '',
  at: 1,
});

async function faultsOf(system: readonly EntryWrite[], own: readonly EntryWrite[] = []): Promise<readonly string[]> {
  const store = createMemoryStore({ clock });
  const outcomes = await store.apply([
    { tenant: systemTenant, entries: [moveFence(null, '1.1', 1), ...system] },
    { tenant: 't', entries: own },
  ]);
  expect(outcomes.map(({ tag }) => tag)).toEqual(['applied', 'applied']);
  const { violations } = await checkLimits(store, ['t']);
  await store.close();
  return violations.map(({ detail }) => detail);
}

describe('the check of limits', () => {
  it('finds nothing where each slot is held by a ticket', async () => {
    expect(await faultsOf([counter, holder(1)], [ticket('settled')])).toEqual([]);
  });

  it('finds slots that nobody holds, and such that are held and not counted', async () => {
    expect(await faultsOf([counter])).toEqual(['1 slots are counted, and 0 are held']);
    expect(await faultsOf([holder(clock.now())])).toEqual([]);
  });

  it('finds shares of a ticket that is not there, unless they were given a moment ago', async () => {
    expect(await faultsOf([counter, holder(1)])).toEqual([expect.stringContaining('not there')]);
    expect(await faultsOf([counter, holder(clock.now())])).toEqual([]);
  });

  it('finds tickets of runs that have gone', async () => {
    expect(await faultsOf([], [ticket('waiting')])).toEqual([expect.stringContaining('ended or gone')]);
  });
});
