import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Manifest } from './manifest.js';
import { desiredWorkers, queuesServed, type ScaleBounds } from './scale.js';

const bounds: fc.Arbitrary<ScaleBounds> = fc
  .record({
    targetPerWorker: fc.integer({ min: 1, max: 1_000 }),
    min: fc.integer({ min: 0, max: 50 }),
    more: fc.integer({ min: 0, max: 50 }),
    activation: fc.integer({ min: 0, max: 100 }),
  })
  .map(({ more, ...rest }) => ({ ...rest, max: rest.min + more }));
const backlog = fc.integer({ min: 0, max: 100_000 });

describe('desiredWorkers', () => {
  it('stays within its bounds, whatever the backlog', () => {
    fc.assert(
      fc.property(backlog, bounds, (tasks, within) => {
        const desired = desiredWorkers(tasks, within);
        expect(desired).toBeGreaterThanOrEqual(within.min);
        expect(desired).toBeLessThanOrEqual(within.max);
        expect(Number.isInteger(desired)).toBe(true);
      }),
    );
  });

  it('never wants fewer workers for more tasks', () => {
    fc.assert(
      fc.property(backlog, backlog, bounds, (a, b, within) => {
        const [fewer, more] = a < b ? [a, b] : [b, a];
        expect(desiredWorkers(fewer, within)).toBeLessThanOrEqual(desiredWorkers(more, within));
      }),
    );
  });

  it('gives no worker more than its target while it may have more workers, and wastes less than one worker', () => {
    fc.assert(
      fc.property(backlog, fc.integer({ min: 1, max: 1_000 }), (tasks, targetPerWorker) => {
        const desired = desiredWorkers(tasks, { targetPerWorker, min: 0, max: 1_000_000, activation: 0 });
        expect(desired * targetPerWorker).toBeGreaterThanOrEqual(tasks);
        expect((desired - 1) * targetPerWorker).toBeLessThan(Math.max(1, tasks));
      }),
    );
  });

  it.each([
    [0, 0],
    [5, 0],
    [6, 1],
    [10, 1],
    [11, 2],
    [1_000, 4],
  ])('wakes up above the activation: %i tasks want %i workers', (tasks, desired) => {
    expect(desiredWorkers(tasks, { targetPerWorker: 10, min: 0, max: 4, activation: 5 })).toBe(desired);
  });
});

describe('queuesServed', () => {
  const manifest = {
    app: 'a',
    workflows: [
      { name: 'old', version: '2', previous: ['1'] },
      { name: 'new', version: null, previous: [] },
    ],
    capabilities: [
      { name: 'embed', implemented: true },
      { name: 'elsewhere', implemented: false },
    ],
  } as unknown as Manifest;

  it('are those of every version and of what is implemented, calls first', () => {
    const queues = queuesServed(manifest);
    expect(queues[0]).toBe('capability:embed');
    expect(queues).toHaveLength(4);
    expect(queues).not.toContain('capability:elsewhere');
  });

  it('are those of the named part only', () => {
    expect(queuesServed(manifest, { workflows: ['new'], capabilities: [] })).toEqual(['workflow:new']);
  });
});
