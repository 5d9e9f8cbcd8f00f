/**
 * The simulation as a test: seeds that found something once, a series of seeds, and the same seed twice. By day the series
 * is always the same one, so that what is red is red again; nightly runs look at worlds that nobody has seen before. A
 * seed that fails prints how to see it again, and belongs into corpus.json.
 */
import { performance } from 'node:perf_hooks';
import { describe, expect, it } from 'vitest';
import { clusterFaultKinds, faultKinds } from '../../src/testing/simulator/nemesis.js';
import { simulate, type SimulationReport } from '../../src/testing/simulator/simulation.js';
import { exportedHistoryFormat, type ExportedHistory } from '../../src/core/run/exported-history.js';
import { readRunEvent } from '../../src/engine/events/rows.js';
import type { History } from '../../src/testing/simulator/history.js';
import { programApp } from '../../src/testing/simulator/program-app.js';
import { replayHistory } from '../../src/worker/index.js';
import { complaintOf, corpus, sqliteDisk } from './seeds.js';

const nightly = process.env['EVENTSPINE_NIGHTLY'] === '1';
const freshMs = nightly ? 20 * 60_000 : 20_000;
const doubleRuns = nightly ? 1_000 : 10;
const replayedWorlds = nightly ? 500 : 20;

describe('simulation', () => {
  it.each(corpus)(
    'stays mended: $found ($workers seed $seed, $servers servers)',
    async ({ seed, workers, servers }) => {
      expect(complaintOf(await simulate({ seed, workers, servers }))).toBe('');
    },
  );

  const kinds = [
    { workers: 'real', store: 'memory', forMs: freshMs },
    { workers: 'scripted', store: 'memory', forMs: freshMs },
    { workers: 'real', store: 'sqlite', forMs: freshMs },
  ] as const;

  it.each(kinds)(
    'keeps every property under a series of seeds ($workers workers, $store)',
    async ({ workers, store, forMs }) => {
      const from = nightly ? 10_000 + Math.floor(Math.random() * 1e9) : 10_000;
      const disk = store === 'sqlite' ? { disk: sqliteDisk } : {};
      const startedMs = performance.now();
      const reports: SimulationReport[] = [];
      while (performance.now() - startedMs < forMs) {
        const report = await simulate({ seed: from + reports.length, workers, ...disk });
        expect(complaintOf(report)).toBe('');
        reports.push(report);
      }
      const seconds = (performance.now() - startedMs) / 1000;
      const sum = (of: (report: SimulationReport) => number): number => reports.reduce((all, one) => all + of(one), 0);
      const faults: Record<string, number> = {};
      for (const report of reports)
        for (const [kind, count] of Object.entries(report.faults)) faults[kind] = (faults[kind] ?? 0) + count;
      const steps = sum((report) => report.steps);
      console.log(
        `${reports.length} seeds with ${workers} workers on ${store} from ${from}: ${steps} steps (${Math.round(steps / seconds)}/s), ${sum((r) => r.runs)} runs, ` +
          `${sum((r) => r.acknowledged)} acknowledged requests; faults ${JSON.stringify(faults)}`,
      );
      for (const kind of store === 'memory' ? [...faultKinds, ...clusterFaultKinds] : faultKinds) {
        const names = kind === 'client loss' ? ['request lost', 'answer lost'] : [kind];
        for (const name of names) expect(faults[name] ?? 0, `${name} never fired`).toBeGreaterThan(0);
      }
      // A simulation in which nothing succeeds proves nothing.
      expect(sum((report) => report.acknowledged)).toBeGreaterThan(reports.length * 4);
    },
  );

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
