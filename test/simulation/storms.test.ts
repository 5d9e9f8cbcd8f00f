/** Worlds in which the model has storms, with one to three servers and limits: breakers and pauses hold, and let go. */
import { expect, it } from 'vitest';
import { simulate, type SimulationReport } from '../../src/testing/simulator/simulation.js';
import { complaintOf } from './seeds.js';

const nightly = process.env['EVENTSPINE_NIGHTLY'] === '1';
const storms = { storms: true, workers: 'real', taste: { inferences: true } } as const;

async function look(seed: number, servers: number, limited: boolean, brief: boolean): Promise<SimulationReport> {
  const report = await simulate({ ...storms, seed, servers, limited, brief });
  const again = `--seed ${seed} --servers ${servers} --workers real --storms${limited ? ' --limited' : ''}${brief ? ' --brief' : ''}`;
  expect(complaintOf(report), again).toBe('');
  return report;
}

// An inference that killed its workers was asked for without end; and a probe was not known where its outcome was heard of.
it.each([[2_098, 3, true] as const, ...(nightly ? [[1_040, 2, false] as const] : [])])(
  'stay mended: seed %d with %d servers, limited: %s',
  async (seed, servers, limited) => {
    await look(seed, servers, limited, false);
  },
);

it('come to rest after storms, whatever else goes wrong', async () => {
  const from = nightly ? Math.floor(Math.random() * 1e9) : 1;
  const seeds = nightly ? 600 : 9;
  for (let i = 0; i < seeds; i++) await look(from + i, 1 + (i % 3), i % 2 === 0, !nightly || i % 4 > 0);
});
