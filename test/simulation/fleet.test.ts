/** Worlds whose servers fold the feed: each checkpoint is what the log says, whoever left it and whatever went wrong. */
import { expect, it } from 'vitest';
import { simulate } from '../../src/testing/simulator/simulation.js';
import { complaintOf } from './seeds.js';

const nightly = process.env['EVENTSPINE_NIGHTLY'] === '1';

it('leave checkpoints that are right', async () => {
  const from = nightly ? Math.floor(Math.random() * 1e9) : 1;
  const seeds = nightly ? 600 : 9;
  let checkpoints = 0;
  for (let seed = from; seed < from + seeds; seed++) {
    const servers = 1 + (seed % 3);
    const report = await simulate({
      seed,
      servers,
      folded: true,
      onHistory: ({ final }) => {
        checkpoints += (final?.topicEvents ?? []).filter(({ stream }) => stream === 'eventspine.fleet/0').length;
      },
    });
    expect(complaintOf(report), `--seed ${seed} --servers ${servers} --folded`).toBe('');
  }
  expect(checkpoints).toBeGreaterThan(seeds);
});
