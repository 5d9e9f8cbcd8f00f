/** Worlds with a bus outside: what comes in is there once, what goes out does so in order (P21), whatever dies in between. */
import { expect, it } from 'vitest';
import { simulate } from '../../src/testing/simulator/simulation.js';
import { complaintOf, sqliteDisk } from './seeds.js';

const nightly = process.env['EVENTSPINE_NIGHTLY'] === '1';
const nightMs = 5 * 60_000;
const seeds = 8;

it(`keeps every property under ${nightly ? 'as many fresh seeds as a night has' : `${seeds} seeds`}`, async () => {
  const from = nightly ? Math.floor(Math.random() * 1e9) : 1;
  const startedMs = performance.now();
  for (let i = 0; nightly ? performance.now() - startedMs < nightMs : i < seeds; i++) {
    const servers = (i % 3) + 1;
    const report = await simulate({ seed: from + i, bridged: true, servers, brief: true });
    expect(complaintOf(report), `--seed ${from + i} --servers ${servers} --bridged --brief`).toBe('');
  }
});

it('keeps every property on SQLite', async () => {
  const report = await simulate({ seed: 7, bridged: true, disk: sqliteDisk, brief: true });
  expect(complaintOf(report)).toBe('');
});
