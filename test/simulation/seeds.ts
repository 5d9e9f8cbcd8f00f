/** The seeds that are run again, because they have found something once, and how a failing one is reported. */
import { readFileSync } from 'node:fs';
import type { Clock } from '../../src/core/ports.js';
import { createSqliteMemoryStore } from '../../src/stores/sqlite/index.js';
import { sharedDisk } from '../../src/testing/simulator/shared-disk.js';
import type { SimDisk, SimulationReport } from '../../src/testing/simulator/simulation.js';

/** One kept seed and what it found when it was added; what a seed means moves on with the simulator. */
export interface KeptSeed {
  readonly seed: number;
  readonly workers: 'real' | 'scripted';
  readonly servers: number;
  readonly agents?: boolean;
  readonly brief?: boolean;
  readonly push?: boolean;
  readonly found: string;
}

/** All kept seeds. A seed that fails is added here before its bug is mended. */
export const corpus = JSON.parse(readFileSync(new URL('corpus.json', import.meta.url), 'utf8')) as readonly KeptSeed[];

/** The breaches of a seed and the command that shows them again; empty where there are none. */
export function complaintOf(report: SimulationReport): string {
  if (report.violations.length === 0) return '';
  const lines = report.violations.map(
    ({ property, tenant, subject, detail }) => `  ${property} ${tenant} ${subject}: ${detail}`,
  );
  const replay = `node --import tsx test/simulation/main.ts --seed ${report.seed} --workers ${report.workers} --servers ${report.servers}${report.brief ? ' --brief' : ''}${report.push ? ' --push' : ''} --verbose`;
  return [`seed ${report.seed} breaks ${report.violations.length} times:`, ...lines, `replay: ${replay}`].join('\n');
}

/** SQLite, with all its statements, as the disk of a simulation: it runs in the calling thread and stays deterministic. */
export async function sqliteDisk(clock: Clock): Promise<SimDisk> {
  return sharedDisk(await createSqliteMemoryStore({ clock }));
}
