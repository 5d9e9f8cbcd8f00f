/** What one worker does for shadows: within its bounds, and beside its work. */
import { describe, expect, it } from 'vitest';
import { limits } from '../core/limits.js';
import type { ShadowMessage } from '../protocol/worker.js';
import type { MirroredInference, MirroredOutcome } from '../workflow/infer/mirrored-inference.js';
import { ShadowCalls } from './shadow-calls.js';

const answered: MirroredOutcome = {
  latencyMs: 5,
  costMicros: 3,
  usage: null,
  failure: null,
  comparison: { exact: true, json: null, similarity: 1, tools: null },
};

/** A worker's calls with the line and the clock in the hands of the test. */
class Bench {
  readonly told: ShadowMessage[] = [];
  isOpen = true;
  readonly calls: { readonly path: string; readonly signal: AbortSignal; answer(): void }[] = [];
  readonly #timers: { readonly atMs: number; readonly fn: () => void }[] = [];
  #nowMs = 0;
  readonly shadows = new ShadowCalls({
    ports: {
      clock: { now: () => this.#nowMs, monotonicMs: () => this.#nowMs },
      timers: {
        after: (ms, fn) => {
          const timer = { atMs: this.#nowMs + ms, fn };
          this.#timers.push(timer);
          return () => void this.#timers.splice(this.#timers.indexOf(timer), 1);
        },
        turn: (fn) => queueMicrotask(fn),
      },
    },
    tell: (message) => {
      if (this.isOpen) this.told.push(message);
      return this.isOpen;
    },
  });

  inference(path: string, length = 10): MirroredInference {
    return {
      tenant: 't',
      run: 'r',
      path,
      attempt: 1,
      model: 'm',
      length,
      call: (_key, signal) =>
        new Promise((resolve) => void this.calls.push({ path, signal, answer: () => resolve(answered) })),
    };
  }

  get asked(): string[] {
    return this.told.flatMap(({ asks }) => asks.map(({ path }) => path));
  }

  get ended(): (string | null)[] {
    return this.told.flatMap(({ ends }) => ends.map(({ ticket, failure }) => `${ticket} ${failure ?? 'answered'}`));
  }

  pass(ms: number): void {
    this.#nowMs += ms;
    for (const timer of [...this.#timers]) if (timer.atMs <= this.#nowMs) timer.fn();
  }

  async turns(): Promise<void> {
    for (let i = 0; i < 10; i++) await Promise.resolve();
  }
}

describe('shadows of a worker', () => {
  it('are called with leave only, and reported one time', async () => {
    const bench = new Bench();
    bench.shadows.offer(bench.inference('a'));
    bench.shadows.offer(bench.inference('b'));
    expect(bench.asked).toEqual(['a', 'b']);
    bench.shadows.lent({ n: 2, ticket: null, ms: 0 });
    bench.shadows.lent({ n: 1, ticket: 'T', ms: 1_000 });
    bench.shadows.lent({ n: 1, ticket: 'T', ms: 1_000 });
    expect(bench.calls.map(({ path }) => path)).toEqual(['a']);
    bench.calls[0]?.answer();
    await bench.turns();
    bench.pass(10_000);
    expect(bench.ended).toEqual(['T answered']);
  });

  it('are left alone beyond their number and their size', async () => {
    const bench = new Bench();
    bench.shadows.offer(bench.inference('huge', limits.shadowLengthMax + 1));
    for (let i = 0; i < 20; i++) bench.shadows.offer(bench.inference(`a${i}`));
    expect(bench.asked).toHaveLength(limits.shadowsPerWorkerMax);
    bench.shadows.lent({ n: 1, ticket: 'T', ms: 1_000 });
    bench.shadows.offer(bench.inference('b'));
    expect(bench.asked).toHaveLength(limits.shadowsPerWorkerMax);
    bench.calls[0]?.answer();
    await bench.turns();
    bench.shadows.offer(bench.inference('b'));
    expect(bench.asked.at(-1)).toBe('b');
  });

  it('are given up when their time is up, and hold their place while they take no notice of it', async () => {
    const bench = new Bench();
    for (let i = 0; i < limits.shadowsPerWorkerMax; i++) bench.shadows.offer(bench.inference(`a${i}`));
    bench.shadows.lent({ n: 1, ticket: 'T', ms: 1_000 });
    bench.pass(1_000);
    expect(bench.ended).toEqual(['T timeout']);
    expect(bench.calls[0]?.signal.aborted).toBe(true);
    bench.shadows.offer(bench.inference('b'));
    expect(bench.asked).not.toContain('b');
    bench.calls[0]?.answer();
    await bench.turns();
    expect(bench.ended).toEqual(['T timeout']);
    bench.shadows.offer(bench.inference('b'));
    expect(bench.asked).toContain('b');
  });

  it('are given up when the worker leaves, and none is begun after that', () => {
    const bench = new Bench();
    bench.shadows.offer(bench.inference('a'));
    bench.shadows.offer(bench.inference('b'));
    bench.shadows.lent({ n: 1, ticket: 'T', ms: 1_000 });
    bench.shadows.stop();
    bench.shadows.lent({ n: 2, ticket: 'U', ms: 1_000 });
    bench.shadows.offer(bench.inference('c'));
    expect(bench.ended).toEqual(['T cancelled']);
    expect(bench.calls).toHaveLength(1);
    expect(bench.calls[0]?.signal.aborted).toBe(true);
    expect(bench.asked).toEqual(['a', 'b']);
  });

  it('are reported on the next line, where leave that was asked for on the last one is none', async () => {
    const bench = new Bench();
    bench.shadows.offer(bench.inference('a'));
    bench.shadows.offer(bench.inference('b'));
    bench.shadows.lent({ n: 1, ticket: 'T', ms: 1_000 });
    bench.isOpen = false;
    bench.calls[0]?.answer();
    await bench.turns();
    bench.shadows.offer(bench.inference('c'));
    expect(bench.ended).toEqual([]);
    bench.isOpen = true;
    bench.shadows.connected();
    bench.shadows.lent({ n: 2, ticket: 'U', ms: 1_000 });
    expect(bench.ended).toEqual(['T answered']);
    expect(bench.calls).toHaveLength(1);
  });
});
