/** What a piece of work costs beside its time: the processor, the memory at its worst, and how long it held the event loop. */
import { createHash } from 'node:crypto';
import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';

/** Processor time is that of all threads; what the machine does beside it moves it far less than the time. */
export interface Cost {
  readonly ms: number;
  readonly processorMs: number;
  readonly rssMegabytes: { readonly before: number; readonly peak: number };
  /** Longest time in which nothing else of this thread could run. */
  readonly heldMs: number;
}

/** Does the work and says what it cost. */
export async function costOf<T>(work: () => Promise<T>): Promise<Cost & { readonly value: T }> {
  (globalThis as { gc?: () => void }).gc?.();
  const before = megabytes();
  let peak = before;
  const watch = setInterval(() => {
    peak = Math.max(peak, megabytes());
  }, 20);
  const loop = monitorEventLoopDelay({ resolution: 5 });
  loop.enable();
  const startedCpu = process.cpuUsage();
  const startedMs = performance.now();
  try {
    const value = await work();
    const ms = Math.round(performance.now() - startedMs);
    const { user, system } = process.cpuUsage(startedCpu);
    const processorMs = Math.round((user + system) / 1_000);
    const rssMegabytes = { before, peak: Math.max(peak, megabytes()) };
    return { value, ms, processorMs, rssMegabytes, heldMs: Math.round(loop.max / 1e6) };
  } finally {
    loop.disable();
    clearInterval(watch);
  }
}

/** The least that so many bytes cost: hashed once, and once on disk. A yardstick for a loaded machine, in ms. */
export function bareBytesMs(folder: string, bytes: number): number {
  const block = Buffer.alloc(bytes, 7);
  const file = join(folder, 'bare-bytes');
  const from = performance.now();
  createHash('sha256').update(block).digest();
  const handle = openSync(file, 'w');
  writeSync(handle, block);
  fdatasyncSync(handle);
  closeSync(handle);
  const ms = performance.now() - from;
  rmSync(file);
  return Math.round(ms);
}

export function megabytes(): number {
  return Math.round(process.memoryUsage().rss / 2 ** 20);
}
