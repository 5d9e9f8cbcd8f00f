import { describe, expect, it } from 'vitest';
import type { Clock, Timers } from '../../core/ports.js';
import { Deadlines } from './deadlines.js';

/** A clock that tests move, with the timers that hang on it. */
function virtualPorts(): { clock: Clock; timers: Timers; advanceTo(ms: number): void; armed(): number } {
  let now = 0;
  const pending = new Set<{ readonly atMs: number; readonly fn: () => void }>();
  return {
    clock: { now: () => now, monotonicMs: () => now },
    timers: {
      after(ms, fn) {
        const timer = { atMs: now + ms, fn };
        pending.add(timer);
        return () => pending.delete(timer);
      },
      turn: (fn) => fn(),
    },
    advanceTo(ms) {
      for (;;) {
        const [next] = [...pending].filter((timer) => timer.atMs <= ms).sort((a, b) => a.atMs - b.atMs);
        if (next === undefined) break;
        now = next.atMs;
        pending.delete(next);
        next.fn();
      }
      now = ms;
    },
    armed: () => pending.size,
  };
}

describe('Deadlines', () => {
  it('looks at the earliest of what is watched, with one timer for all', () => {
    const ports = virtualPorts();
    const looks: number[] = [];
    const deadlines = new Deadlines(ports, () => {
      looks.push(ports.clock.monotonicMs());
      return null;
    });
    deadlines.watch(500);
    deadlines.watch(900);
    deadlines.watch(200);
    expect(ports.armed()).toBe(1);
    ports.advanceTo(1_000);
    expect(looks).toEqual([200]);
  });

  it('looks again when it was told to, until nothing is left', () => {
    const ports = virtualPorts();
    const dueAtMs = [700, 300];
    const looks: number[] = [];
    const deadlines = new Deadlines(ports, () => {
      looks.push(ports.clock.monotonicMs());
      dueAtMs.sort((a, b) => b - a).pop();
      return dueAtMs.at(-1) ?? null;
    });
    for (const due of dueAtMs) deadlines.watch(due);
    ports.advanceTo(2_000);
    expect(looks).toEqual([300, 700]);
    expect(ports.armed()).toBe(0);
  });

  it('does not look any more once it is stopped', () => {
    const ports = virtualPorts();
    let looks = 0;
    const deadlines = new Deadlines(ports, () => {
      looks += 1;
      return null;
    });
    deadlines.watch(100);
    deadlines.stop();
    ports.advanceTo(1_000);
    expect(looks).toBe(0);
  });
});
