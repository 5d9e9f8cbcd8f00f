/**
 * Series of seeds. By day a series is always the same one, so that what is red is red again; nightly runs look at worlds
 * that nobody has seen before. A seed that fails prints how to see it again, and belongs into corpus.json. Most worlds are
 * brief, so that there are many; a few are long. In some of those with real workers there is an endpoint that work is
 * pushed to.
 *
 * By day there are 2,000 of them in two files, which run side by side: here is how many of which kind.
 */
import { performance } from 'node:perf_hooks';
import { expect, it } from 'vitest';
import { forms, type Form } from '../../src/testing/simulator/forms.js';
import { clusterFaultKinds, faultKinds } from '../../src/testing/simulator/nemesis.js';
import { simulate, type SimulationReport } from '../../src/testing/simulator/simulation.js';
import { complaintOf, sqliteDisk } from './seeds.js';

/** One kind of worlds. */
export interface Campaign {
  readonly workers: 'real' | 'scripted';
  readonly store: 'memory' | 'sqlite';
  /** How many seeds there are by day. */
  readonly seeds: number;
}

/** Everything that is looked at by day: 2,000 seeds. */
export const campaigns = {
  realMemory: { workers: 'real', store: 'memory', seeds: 600 },
  scriptedMemory: { workers: 'scripted', store: 'memory', seeds: 1_380 },
  realSqlite: { workers: 'real', store: 'sqlite', seeds: 20 },
} as const satisfies Record<string, Campaign>;

const nightly = process.env['EVENTSPINE_NIGHTLY'] === '1';
const nightMs = 20 * 60_000;
const longEvery = nightly ? 2 : 50;
const pushEvery = 8;

/** So many seeds see every form of work. */
const rareFormsFrom = 500;

/** What only some workers do. */
const realOnly: readonly Form[] = ['agents', 'tools'];

/** The campaign as a test. */
export function itKeepsEveryProperty({ workers, store, seeds }: Campaign): void {
  const amount = nightly ? 'as many fresh seeds as a night has' : `${seeds} seeds`;
  it(`keeps every property under ${amount} (${workers} workers, ${store})`, async () => {
    const from = nightly ? 10_000 + Math.floor(Math.random() * 1e9) : 10_000;
    const disk = store === 'sqlite' ? { disk: sqliteDisk } : {};
    const startedMs = performance.now();
    const reports: SimulationReport[] = [];
    const isEnough = (): boolean => (nightly ? performance.now() - startedMs >= nightMs : reports.length >= seeds);
    while (!isEnough()) {
      const brief = reports.length % longEvery > 0;
      const push = workers === 'real' && reports.length % pushEvery === 0;
      const report = await simulate({ seed: from + reports.length, workers, brief, push, ...disk });
      expect(complaintOf(report)).toBe('');
      reports.push(report);
    }
    const seconds = (performance.now() - startedMs) / 1000;
    const sum = (of: (report: SimulationReport) => number): number => reports.reduce((all, one) => all + of(one), 0);
    const total = (of: (report: SimulationReport) => Readonly<Record<string, number>>): Record<string, number> => {
      const counts: Record<string, number> = {};
      for (const report of reports)
        for (const [name, count] of Object.entries(of(report))) counts[name] = (counts[name] ?? 0) + count;
      return counts;
    };
    const faults = total((report) => report.faults);
    const seen = total((report) => report.forms);
    const steps = sum((report) => report.steps);
    console.log(
      `${reports.length} seeds with ${workers} workers on ${store} from ${from}: ${steps} steps (${Math.round(steps / seconds)}/s), ${sum((r) => r.runs)} runs, ` +
        `${sum((r) => r.acknowledged)} acknowledged requests; forms ${JSON.stringify(seen)}; faults ${JSON.stringify(faults)}`,
    );
    for (const kind of store === 'memory' ? [...faultKinds, ...clusterFaultKinds] : faultKinds) {
      const names = kind === 'client loss' ? ['request lost', 'answer lost'] : [kind];
      for (const name of names) expect(faults[name] ?? 0, `${name} never fired`).toBeGreaterThan(0);
    }
    // A small campaign need not come across what is rare.
    for (const form of seeds < rareFormsFrom ? [] : forms)
      if (workers === 'real' || !realOnly.includes(form))
        expect(seen[form] ?? 0, `there were no ${form}`).toBeGreaterThan(0);
    // A simulation in which nothing succeeds proves nothing.
    expect(sum((report) => report.acknowledged)).toBeGreaterThan(reports.length * 3);
  });
}
