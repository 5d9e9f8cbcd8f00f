/** Figures of repeated measurements: what is quoted is the median, and how far the others lie from it. */
import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly runs: readonly number[];
}

export function spreadOf(runs: readonly number[], digits = 0): Spread {
  const sorted = [...runs].sort((a, b) => a - b);
  const round = (value: number): number => Number(value.toFixed(digits));
  return {
    median: round(quantile(sorted, 0.5)),
    min: round(sorted[0] ?? Number.NaN),
    max: round(sorted.at(-1) ?? Number.NaN),
    runs: runs.map(round),
  };
}

/** `sorted` ascending; `q` in [0, 1]. */
export function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
}

/** Median time of a 4 KiB fdatasync in microseconds: says how noisy the disk is during a run. */
export function fsyncMicros(folder: string = tmpdir()): number {
  const file = join(folder, `fsync-probe-${process.pid}`);
  const handle = openSync(file, 'w');
  const block = Buffer.alloc(4096, 1);
  const times: number[] = [];
  for (let i = 0; i < 200; i++) {
    const from = performance.now();
    writeSync(handle, block, 0, block.length, 0);
    fdatasyncSync(handle);
    times.push(performance.now() - from);
  }
  closeSync(handle);
  rmSync(file);
  return Math.round(
    quantile(
      times.sort((a, b) => a - b),
      0.5,
    ) * 1000,
  );
}

/** One line of JSON on standard output: the form in which every benchmark reports. */
export function report(question: string, figures: Readonly<Record<string, unknown>>): void {
  console.log(
    JSON.stringify({ question, ...figures, fsyncMicros: fsyncMicros(), load1: Number(loadavg()[0]?.toFixed(1)) }),
  );
}
