/** The disk of the database is full for a while, again and again: it refuses or dies, and nothing acknowledged is lost. */
import { spawnSync } from 'node:child_process';
import { appendFileSync, chmodSync, mkdirSync, mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../../process/support/until.js';
import { playRound, type Round, type RoundSize } from '../support/round.js';
import { pause } from '../support/asking.js';

/** What is missing for a small disk; null = nothing. */
export const smallDiskMissing = process.getuid?.() !== 0 ? 'mounting a small file system needs root' : null;

export async function fullDisk({ faults }: RoundSize): Promise<Round> {
  const folder = mkdtempSync(join(tmpdir(), 'eventspine-full-'));
  chmodSync(folder, 0o755);
  const disk = join(folder, 'disk');
  mkdirSync(disk);
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=400m', 'tmpfs', disk], { encoding: 'utf8' });
  if (mounted.status !== 0) throw new Error(mounted.stderr);
  const ballast = join(disk, 'ballast');
  const freeBytes = (): number => {
    const { bavail, bsize } = statfsSync(disk);
    return bavail * bsize;
  };
  /** Takes all room but for so many bytes. Others write too: whoever comes last finds no room. */
  const fill = (leftBytes: number): void => {
    try {
      appendFileSync(ballast, Buffer.alloc(Math.max(0, freeBytes() - leftBytes)));
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
    }
  };
  try {
    return await playRound(
      {
        database: {
          data: join(disk, 'data'),
          owns: disk,
          // Segments are made anew, so that a full disk is felt within them.
          settings: { max_wal_size: '32MB', min_wal_size: '8MB', wal_recycle: 'off' },
        },
        traffic: { lanes: 4, pauseMs: 10 },
      },
      async ({ database, traffic, fired, took }) => {
        for (let i = 0; i < faults; i++) {
          const before = traffic.counts.unanswered;
          // Now and then some pages are left, so that tables fail before the log does.
          fill(i % 2 === 0 ? 0 : 600_000);
          let isDead = false;
          await until(
            'somebody feels the full disk',
            async () => {
              if (i % 2 === 0) fill(0);
              isDead = !(await database.sql('SELECT 1').then(
                () => true,
                () => false,
              ));
              return isDead || traffic.counts.unanswered > before + 5 ? true : null;
            },
            40_000,
          );
          await pause(1_500);
          rmSync(ballast);
          fired(isDead ? 'disk full, database down' : 'disk full, refused');
          const freed = performance.now();
          if (!database.isRunning) await database.start();
          await traffic.roundTrip();
          took('whole run after there was room', performance.now() - freed);
          await traffic.progress(40);
        }
      },
    );
  } finally {
    spawnSync('umount', ['-l', disk]);
    rmSync(folder, { recursive: true, force: true });
  }
}
