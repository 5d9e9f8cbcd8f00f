/** A full disk refuses and recovers; a torn or cut log loses its tail and nothing else; a dead disk stops the process. */
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { describeUnless } from '../../skip.js';
import { Disk, powerLossMissing } from '../support/power.js';
import { endAll, nightly, script } from '../support/processes.js';

afterEach(endAll);

const tmpfsMissing = process.getuid?.() !== 0 ? 'mounting a small file system needs root' : null;

describeUnless(tmpfsMissing, 'full disk', () => {
  it('refuses with STORE_FULL, keeps what it acknowledged, and goes on when there is room', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'eventspine-full-'));
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=12m', 'tmpfs', folder]);
    expect(mounted.status).toBe(0);
    try {
      // Ballast that is taken away later.
      const ballast = join(folder, 'ballast');
      writeFileSync(ballast, Buffer.alloc(6 * 1024 * 1024));
      const file = join(folder, 'spine.db');
      const writer = script('writer.mjs', [file]);
      await writer.line((line) => line === 'refused STORE_FULL', 60_000);
      const before = writer.lines.filter((line) => line.startsWith('ack ')).length;
      rmSync(ballast);
      const from = writer.lines.length;
      await waitFor(() => writer.lines.slice(from).some((line) => line.startsWith('ack ')), 20_000);
      await writer.kill();
      const acknowledged = writer.lines.filter((line) => line.startsWith('ack ')).map((line) => line.slice(4));
      expect(before).toBeGreaterThan(0);
      const reader = script('reader.mjs', [file]);
      await reader.line((line) => line === 'end');
      const found = new Set(reader.lines.map((line) => line.slice(4)));
      expect(acknowledged.filter((id) => !found.has(id))).toEqual([]);
      expect(reader.lines.filter((line) => line.startsWith('violation'))).toEqual([]);
    } finally {
      await endAll();
      spawnSync('umount', ['-l', folder]);
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describeUnless(powerLossMissing(), 'dead disk', () => {
  it('stops for ever at the first I/O error, and says so', async () => {
    const disk = new Disk(64);
    disk.mount();
    try {
      const writer = script('writer.mjs', [join(disk.folder, 'spine.db')]);
      await writer.line((line) => line.startsWith('ack '));
      disk.cut();
      expect(await writer.line((line) => line.startsWith('refused STORE_FAILED'))).toBe('refused STORE_FAILED');
      expect(await writer.exited).toBe(3);
      // Nothing was acknowledged after the failure.
      const failedAt = writer.lines.indexOf('refused STORE_FAILED');
      expect(writer.lines.slice(failedAt).filter((line) => line.startsWith('ack '))).toEqual([]);
    } finally {
      await endAll();
      disk.remove();
    }
  });
});

describe('torn log', () => {
  it('opens with a clean prefix wherever the log is cut or flipped', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'eventspine-torn-'));
    try {
      const file = join(folder, 'spine.db');
      const writer = script('writer.mjs', [file]);
      await waitFor(() => writer.lines.length > 60, 20_000);
      await writer.kill();
      const acknowledged = writer.lines.filter((line) => line.startsWith('ack ')).map((line) => line.slice(4));
      const wal = `${file}-wal`;
      expect(existsSync(wal)).toBe(true);
      const bytes = readFileSync(wal);
      const cuts = nightly ? 100 : 6;
      for (let i = 1; i <= cuts; i++) {
        const copy = join(folder, `cut-${i}`);
        mkdirSync(copy);
        const target = join(copy, 'spine.db');
        copyFileSync(file, target);
        const at = Math.floor((bytes.length * i) / (cuts + 1));
        if (i % 2 === 0) {
          copyFileSync(wal, `${target}-wal`);
          truncateSync(`${target}-wal`, at);
        } else {
          const flipped = Buffer.from(bytes);
          flipped[at] = (flipped[at] ?? 0) ^ 1;
          writeFileSync(`${target}-wal`, flipped);
        }
        const reader = script('reader.mjs', [target]);
        await reader.line((line) => line === 'end');
        await reader.exited;
        const found = reader.lines.filter((line) => line.startsWith('run ')).map((line) => line.slice(4));
        expect(reader.lines.filter((line) => line.startsWith('violation'))).toEqual([]);
        // What is left is what was committed first: nothing is missing from the middle.
        const unknown = found.filter((id) => !acknowledged.includes(id));
        expect(unknown.length).toBeLessThanOrEqual(8);
        rmSync(copy, { recursive: true });
      }
    } finally {
      await endAll();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

async function waitFor(condition: () => boolean, ms: number): Promise<void> {
  const until = Date.now() + ms;
  while (!condition()) {
    if (Date.now() > until) throw new Error(`nothing of the kind within ${ms} ms`);
    await new Promise((wake) => setTimeout(wake, 10));
  }
}
