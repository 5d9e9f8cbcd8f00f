/** Worlds with consumers that pull, die and freeze: each event is settled once and in the order of its key, or is a dead event. */
import { expect, it } from 'vitest';
import { simulate } from '../../src/testing/simulator/simulation.js';
import { complaintOf } from './seeds.js';

const nightly = process.env['EVENTSPINE_NIGHTLY'] === '1';

it('lose no event that is pulled, and settle none twice', async () => {
  const from = nightly ? Math.floor(Math.random() * 1e9) : 1;
  const seeds = nightly ? 600 : 9;
  const words = new Map<string, number>();
  for (let seed = from; seed < from + seeds; seed++) {
    const servers = 1 + (seed % 3);
    const report = await simulate({
      seed,
      servers,
      pulled: true,
      onHistory: ({ pulls, final }) => {
        for (const { what } of pulls) words.set(what, (words.get(what) ?? 0) + 1);
        words.set('dead', (words.get('dead') ?? 0) + (final?.deadEvents.length ?? 0));
      },
    });
    expect(complaintOf(report), `--seed ${seed} --servers ${servers} --pulled`).toBe('');
  }
  // Worlds in which nobody was ever fenced or gave up would prove little.
  for (const what of ['acked', 'nacked', 'fenced', 'dead']) expect(words.get(what) ?? 0, what).toBeGreaterThan(0);
});
