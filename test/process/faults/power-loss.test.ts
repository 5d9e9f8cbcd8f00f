/**
 * 202 means durable: what was acknowledged is there after the power went. A kill loop proves nothing about this, since
 * the page cache outlives the process; and a harness proves nothing unless careless writers lose rows under it.
 */
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { describeUnless } from '../../skip.js';
import { Disk, powerLossMissing } from '../support/power.js';
import { endAll, nightly, script, type Child } from '../support/processes.js';

const cycles = nightly ? 500 : 8;
const controlCycles = nightly ? 20 : 2;

afterEach(endAll);

interface Cycle {
  readonly acknowledged: number;
  readonly lost: readonly string[];
  readonly violations: readonly string[];
}

/** Writes until some rows are acknowledged, cuts the power at a random moment, and compares after recovery. */
async function cycle(disk: Disk, known: Set<string>, write: () => Child, read: () => Child): Promise<Cycle> {
  disk.mount();
  const writer = write();
  await writer.line((line) => line === 'ready');
  await writer.line((line) => line.startsWith('ack '));
  await new Promise((wake) => setTimeout(wake, 20 + Math.random() * 150));
  await writer.freeze();
  disk.cut();
  await writer.kill();
  for (const line of writer.lines) if (line.startsWith('ack ')) known.add(line.slice(4));
  disk.unmount();
  disk.mount();
  const reader = read();
  await reader.line((line) => line === 'end');
  await reader.exited;
  const found = new Set(reader.lines.filter((line) => line.startsWith('run ')).map((line) => line.slice(4)));
  disk.unmount();
  return {
    acknowledged: known.size,
    lost: [...known].filter((id) => !found.has(id)),
    violations: reader.lines.filter((line) => line.startsWith('violation ')),
  };
}

describeUnless(powerLossMissing(), 'power loss', () => {
  it(`loses no acknowledged run in ${cycles} power cuts`, async () => {
    const disk = new Disk(256);
    const known = new Set<string>();
    try {
      const file = join(disk.folder, 'spine.db');
      for (let i = 0; i < cycles; i++) {
        const { lost, violations } = await cycle(
          disk,
          known,
          () => script('writer.mjs', [file]),
          () => script('reader.mjs', [file]),
        );
        expect(lost).toEqual([]);
        expect(violations).toEqual([]);
      }
      console.log(`power cuts: ${cycles}, acknowledged runs checked: ${known.size}, lost: 0`);
      expect(known.size).toBeGreaterThan(cycles * 10);
    } finally {
      disk.remove();
    }
  });

  it.each(['OFF', 'NORMAL'])('would notice: a writer with synchronous=%s loses acknowledged rows', async (mode) => {
    let lost = 0;
    for (let i = 0; i < controlCycles; i++) {
      const disk = new Disk(64);
      try {
        const file = join(disk.folder, 'careless.db');
        const outcome = await cycle(
          disk,
          new Set(),
          () => script('careless-writer.mjs', [file, mode]),
          () => script('careless-writer.mjs', [file, 'read']),
        );
        lost += outcome.lost.length;
      } finally {
        disk.remove();
      }
    }
    expect(lost).toBeGreaterThan(0);
  });
});
