/**
 * A crash after each event of a world in which nothing else goes wrong: between any two awaits of server and worker there
 * is one. Worlds are small and have what a crash may tear apart: children, chains, sagas, streams,
 * inferences.
 */
import { describe, expect, it } from 'vitest';
import { simulate, type SimulationOptions } from '../../src/testing/simulator/simulation.js';

const nightly = process.env['EVENTSPINE_NIGHTLY'] === '1';
/** Crashes tried of each kind in a world; those between them are tried by other seeds, and all of them by night. */
const crashesMax = nightly ? 10_000 : 40;

const everything: SimulationOptions['taste'] = {
  calls: true,
  children: true,
  chains: true,
  sagas: true,
  streams: true,
  waits: true,
  inferences: true,
  poison: false,
};

describe.each(['real', 'scripted'] as const)('a crash at any moment (%s workers)', (workers) => {
  it.each([
    { seed: 1, servers: 1 },
    { seed: 2, servers: 1 },
    { seed: 3, servers: 2 },
  ])('leaves nothing undone and does nothing twice (seed $seed, $servers servers)', async ({ seed, servers }) => {
    const world: SimulationOptions = { seed, servers, workers, kinds: [], taste: everything };
    const { steps, violations } = await simulate(world);
    expect(violations).toEqual([]);
    const stride = Math.max(1, Math.ceil(steps / crashesMax));
    for (const who of ['server', 'worker'] as const)
      for (let step = 1 + (seed % stride); step < steps; step += stride) {
        const report = await simulate({ ...world, crash: { who, step } });
        expect({ who, step, violations: report.violations }).toEqual({ who, step, violations: [] });
      }
  });
});
