/** Worlds whose API keys are made, rotated and revoked by several at one time: what was revoked stays so, whoever dies. */
import { expect, it } from 'vitest';
import { simulate } from '../../src/testing/simulator/simulation.js';
import { complaintOf } from './seeds.js';

const nightly = process.env['EVENTSPINE_NIGHTLY'] === '1';

it('keys that were revoked are never good again, and texts that were handed out are', async () => {
  const from = nightly ? Math.floor(Math.random() * 1e9) : 1;
  const seeds = nightly ? 600 : 6;
  const words = new Map<string, number>();
  for (let seed = from; seed < from + seeds; seed++) {
    const servers = 1 + (seed % 3);
    const report = await simulate({
      seed,
      servers,
      brief: true,
      keyed: true,
      onHistory: ({ keys }) => {
        for (const { what } of keys) words.set(what, (words.get(what) ?? 0) + 1);
      },
    });
    expect(complaintOf(report), `--seed ${seed} --servers ${servers} --brief --keyed`).toBe('');
  }
  // Worlds in which nothing was ever revoked, or looked up after it, would prove little.
  for (const what of ['made', 'rotated', 'revoked', 'good', 'bad'])
    expect(words.get(what) ?? 0, what).toBeGreaterThan(0);
});
