/** The simulation as a test: seeds that found something once, the same seed twice, and histories that replay. */
import { describe, expect, it } from 'vitest';
import { simulate } from '../../src/testing/simulator/simulation.js';
import { exportedHistoryFormat, type ExportedHistory } from '../../src/core/run/exported-history.js';
import { readRunEvent } from '../../src/engine/events/rows.js';
import type { History } from '../../src/testing/simulator/history.js';
import { programApp } from '../../src/testing/simulator/program-app.js';
import { replayHistory } from '../../src/worker/index.js';
import { complaintOf, corpus } from './seeds.js';

const nightly = process.env['EVENTSPINE_NIGHTLY'] === '1';
const doubleRuns = nightly ? 1_000 : 10;
const replayedWorlds = nightly ? 500 : 20;

describe('simulation', () => {
  it.each(corpus)('stays mended: $found ($workers seed $seed, $servers servers)', async (world) => {
    expect(complaintOf(await simulate(world))).toBe('');
  });

  it.each(['real', 'scripted'] as const)('is the same world for the same seed with %s workers', async (workers) => {
    for (let seed = 1; seed <= doubleRuns; seed++) {
      const [first, second] = [await simulate({ seed, workers }), await simulate({ seed, workers })];
      expect({ seed, trace: second.trace, steps: second.steps }).toEqual({
        seed,
        trace: first.trace,
        steps: first.steps,
      });
    }
  });

  it('leaves histories that replay on the code of their version, migrated ones on that of their new one (P5)', async () => {
    const app = programApp(() => Promise.reject(new Error('a replay has no effects')), 'both', true);
    let migrated = 0;
    for (let seed = 1; seed <= replayedWorlds; seed++) {
      const histories: ExportedHistory[] = [];
      const onHistory = ({ final }: History): void => {
        for (const [key, rows] of final?.histories ?? []) {
          const [tenant = '', run = ''] = key.split('/');
          const events = rows.map((row) => readRunEvent(row).event);
          histories.push({ format: exportedHistoryFormat, tenant, run, events, blobs: {} });
        }
      };
      await simulate({ seed, workers: 'real', rollout: true, onHistory });
      for (const history of histories) {
        const { verdict, changes } = await replayHistory(app, history);
        expect(verdict, `seed ${seed}, ${history.run}: ${JSON.stringify(changes)}`).not.toBe('breaking');
        if (history.events.some(({ type }) => type === 'run.migrated')) migrated += 1;
      }
    }
    expect(migrated).toBeGreaterThan(0);
  });
});
