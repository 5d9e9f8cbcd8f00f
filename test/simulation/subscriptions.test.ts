/** Worlds whose topics have subscriptions: one run for each event, in order, whoever dies and whoever has the duty. */
import { expect, it } from 'vitest';
import { simulate, type SimulationOptions } from '../../src/testing/simulator/simulation.js';
import { complaintOf, sqliteDisk } from './seeds.js';

const worlds: readonly (Omit<SimulationOptions, 'seed'> & { readonly from: number; readonly count: number })[] = [
  { from: 1, count: 4, servers: 1 },
  { from: 100, count: 3, servers: 3 },
  { from: 200, count: 3, servers: 2, workers: 'real', brief: true },
  { from: 300, count: 1, servers: 2, disk: sqliteDisk },
];

it.each(worlds)('subscriptions keep their promises from seed $from on', async ({ from, count, ...world }) => {
  let delivered = 0;
  for (let seed = from; seed < from + count; seed++) {
    const report = await simulate({
      seed,
      ...world,
      subscribed: true,
      onHistory: ({ final }) => {
        delivered += final?.runs.filter(({ workflow }) => workflow === 'deliver').length ?? 0;
      },
    });
    expect(complaintOf(report)).toBe('');
  }
  expect(delivered).toBeGreaterThan(count);
});
