/**
 * Power cuts under PostgreSQL: its files on a file system that is shut down without a flush while every process stands
 * still, then recovery, then each acknowledged run must be there. The careless databases are the proof that a cut would
 * be noticed.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Disk } from '../../process/support/power.js';
import { script } from '../../process/support/processes.js';
import { Database, type DatabaseOptions } from '../support/database.js';
import type { Violation } from '../support/evidence.js';
import type { Round } from '../support/round.js';
import { pause } from '../support/asking.js';

/** How a database may lie about what it has kept. */
export type Carelessness = 'fsync=off' | 'lying fsync';

/** The library that makes every fsync a lie. */
export const eatMyData = '/usr/lib/x86_64-linux-gnu/libeatmydata.so';

/** Cuts the power so often, one after the other, on one database. */
export async function powerCuts(cuts: number, careless: Carelessness | null = null): Promise<Round> {
  const folder = mkdtempSync(join(tmpdir(), 'eventspine-power-'));
  const disk = new Disk(512);
  const known = new Set<string>();
  const violations: Violation[] = [];
  let database: Database | null = null;
  let fired = 0;
  let foundInAll = 0;
  try {
    disk.mount();
    const options: DatabaseOptions = {
      folder,
      data: join(disk.folder, 'data'),
      // The store must not take over what an operator has set for other work.
      settings: {
        max_wal_size: '64MB',
        synchronous_commit: 'off',
        ...(careless === 'fsync=off' ? { fsync: 'off' } : {}),
      },
      ...(careless === 'lying fsync' ? { environment: { LD_PRELOAD: eatMyData } } : {}),
    };
    database = await Database.make({ ...options, owns: disk.folder });
    await database.start();
    // What initdb did not sync must not count.
    disk.sync();
    for (let i = 0; i < cuts; i++) {
      const writer = script('writer.mjs', [database.url]);
      await writer.line((line) => line === 'ready', 30_000);
      await writer.line((line) => line.startsWith('ack '), 30_000);
      await pause(100 + Math.random() * 600);
      await database.freeze();
      disk.cut();
      await database.killAll();
      await writer.kill();
      fired += 1;
      const acks = writer.lines.filter((line) => line.startsWith('ack ')).map((line) => line.slice(4));
      for (const id of acks) known.add(id);
      disk.unmount();
      disk.mount();
      database.forgetPid();
      try {
        await database.start(careless === null ? 60_000 : 10_000);
      } catch (error) {
        violations.push({ property: 'P1', detail: `the database does not come back: ${String(error)}` });
        break;
      }
      const reader = script('reader.mjs', [database.url]);
      try {
        await reader.line((line) => line === 'end', 60_000);
      } catch (error) {
        violations.push({ property: 'P1', detail: `the store cannot be read: ${String(error)}` });
        break;
      }
      await reader.exited;
      const found = new Set(reader.lines.filter((line) => line.startsWith('run ')).map((line) => line.slice(4)));
      foundInAll = found.size;
      const lost = [...known].filter((id) => !found.has(id));
      for (const id of lost) {
        violations.push({ property: 'P1', detail: `${id} is lost after cut ${i + 1}` });
        known.delete(id);
      }
      for (const line of reader.lines.filter((text) => text.startsWith('violation ')))
        violations.push({ property: 'doctor', detail: `after cut ${i + 1}: ${line}` });
    }
  } finally {
    await database?.end();
    disk.remove();
    rmSync(folder, { recursive: true, force: true });
  }
  return {
    faults: { [careless === null ? 'power cut' : `power cut with ${careless}`]: fired },
    counts: careless === null ? { acknowledged: known.size, stored: foundInAll } : { controlLost: violations.length },
    violations,
  };
}
