/** Worlds with topics that do not keep everything or do not take everything, with one to three servers. */
import { expect, it } from 'vitest';
import { simulate } from '../../src/testing/simulator/simulation.js';
import { complaintOf } from './seeds.js';

const nightly = process.env['EVENTSPINE_NIGHTLY'] === '1';

it('lose nothing but what they may, take nothing from who is fenced, and tell what is missing', async () => {
  const from = nightly ? Math.floor(Math.random() * 1e9) : 1;
  for (let i = 0; i < (nightly ? 300 : 6); i++) {
    const [seed, servers] = [from + i, 1 + (i % 3)];
    const report = await simulate({ seed, servers, topics: true, brief: !nightly || i % 3 > 0 });
    expect(complaintOf(report), `--seed ${seed} --servers ${servers} --topics`).toBe('');
  }
});
