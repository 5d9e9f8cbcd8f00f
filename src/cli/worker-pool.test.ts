import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ChildExit } from './supervisor.js';
import { type PoolChild, type PoolEvent, WorkerPool } from './worker-pool.js';

/** A pool over processes that do as they are told, and a clock that stands still until it is moved. */
class World {
  nowMs = 0;
  timers: { at: number; fn: () => void }[] = [];
  readonly spawned: FakeChild[] = [];
  readonly events: PoolEvent[] = [];
  readonly pool: WorkerPool;

  constructor(max: number) {
    this.pool = new WorkerPool({
      max,
      drainMs: 5_000,
      spawn: () => {
        const child = new FakeChild(this.spawned.length + 100);
        this.spawned.push(child);
        return child;
      },
      onEvent: (event) => this.events.push(event),
      ports: {
        clock: { now: () => this.nowMs, monotonicMs: () => this.nowMs },
        timers: {
          after: (ms, fn) => {
            const timer = { at: this.nowMs + ms, fn };
            this.timers.push(timer);
            return () => {
              this.timers = this.timers.filter((one) => one !== timer);
            };
          },
          turn: (fn) => void setImmediate(fn),
        },
      },
    });
  }

  get alive(): FakeChild[] {
    return this.spawned.filter((child) => !child.ended);
  }

  async advance(ms: number): Promise<void> {
    await settle();
    this.nowMs += ms;
    const due = this.timers.filter((timer) => timer.at <= this.nowMs);
    this.timers = this.timers.filter((timer) => timer.at > this.nowMs);
    for (const timer of due) timer.fn();
    await settle();
  }

  told(event: PoolEvent['event']): PoolEvent[] {
    return this.events.filter((one) => one.event === event);
  }
}

class FakeChild implements PoolChild {
  readonly pid: number;
  readonly exited: Promise<ChildExit>;
  readonly orders: string[] = [];
  ended = false;
  #resolve: (exit: ChildExit) => void = () => undefined;

  constructor(pid: number) {
    this.pid = pid;
    this.exited = new Promise((resolve) => (this.#resolve = resolve));
  }

  end(how = 'exit code 0'): void {
    this.ended = true;
    this.#resolve({ hopeless: false, how });
  }

  drain(): void {
    this.orders.push('drain');
  }

  kill(): void {
    this.orders.push('kill');
    this.end('signal SIGKILL');
  }
}

function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

describe('a pool', () => {
  it('starts what is missing and drains the youngest of what is too many', async () => {
    const { pool, spawned, told } = bound(new World(8));
    pool.resize(3);
    expect(spawned.map(({ pid }) => pid)).toEqual([100, 101, 102]);
    pool.resize(1);
    expect(spawned.map(({ orders }) => orders)).toEqual([[], ['drain'], ['drain']]);
    expect([pool.running, pool.draining]).toEqual([1, 2]);
    spawned[1]?.end();
    spawned[2]?.end();
    await settle();
    expect([pool.running, pool.draining]).toEqual([1, 0]);
    expect(told('ended').map((event) => 'pid' in event && event.pid)).toEqual([101, 102]);
    expect(told('crashed')).toEqual([]);
  });

  it('kills what does not drain in time', async () => {
    const world = new World(2);
    world.pool.resize(1);
    world.pool.resize(0);
    await world.advance(4_999);
    expect(world.spawned[0]?.orders).toEqual(['drain']);
    await world.advance(1);
    expect(world.spawned[0]?.orders).toEqual(['drain', 'kill']);
    expect(world.told('killed')).toEqual([{ event: 'killed', worker: 1, pid: 100, drainMs: 5_000 }]);
    expect(world.alive).toEqual([]);
  });

  it('waits for those that drain before it starts more than there is room for', async () => {
    const world = new World(2);
    world.pool.resize(2);
    world.pool.resize(0);
    world.pool.resize(2);
    expect(world.spawned).toHaveLength(2);
    world.spawned[0]?.end();
    await settle();
    expect(world.spawned).toHaveLength(3);
    world.spawned[1]?.end();
    await settle();
    expect([world.spawned.length, world.pool.running]).toEqual([4, 2]);
  });

  it('starts a crashed worker again after a pause that grows, says when that is a loop, and forgets what is long ago', async () => {
    const world = new World(1);
    world.pool.resize(1);
    const pauses: number[] = [];
    for (let crash = 0; crash < 8; crash++) {
      world.spawned.at(-1)?.end('exit code 1');
      await settle();
      const told = world.told('crashed').at(-1);
      const pause = told?.event === 'crashed' ? told.restartMs : 0;
      pauses.push(pause);
      await world.advance(pause - 1);
      expect(world.alive).toHaveLength(0);
      await world.advance(1);
      expect(world.alive).toHaveLength(1);
    }
    expect(pauses).toEqual([250, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]);
    expect(world.told('crash_loop')).toEqual([{ event: 'crash_loop', worker: 1, crashes: 5, how: 'exit code 1' }]);
    await world.advance(10_000);
    world.spawned.at(-1)?.end('exit code 1');
    await settle();
    expect(world.told('crashed').at(-1)).toMatchObject({ restartMs: 250 });
  });

  it('lets a worker that waits to be started again go without a word', async () => {
    const world = new World(1);
    world.pool.resize(1);
    world.spawned[0]?.end('exit code 1');
    await settle();
    world.pool.resize(0);
    await world.advance(60_000);
    expect(world.spawned).toHaveLength(1);
  });

  it('leaves nothing behind when it stops, and starts nothing any more', async () => {
    const world = new World(3);
    world.pool.resize(3);
    world.spawned[0]?.end('exit code 1');
    await settle();
    const stopped = world.pool.stop();
    world.spawned[1]?.end();
    await world.advance(5_000);
    await stopped;
    expect(world.spawned[2]?.orders).toEqual(['drain', 'kill']);
    world.pool.resize(3);
    await world.advance(60_000);
    expect([world.alive, world.spawned.length]).toEqual([[], 3]);
  });

  it('has never more processes than its most, and exactly as many as it was told once all is quiet', async () => {
    const action = fc.oneof(
      fc.record({ do: fc.constant('resize' as const), n: fc.integer({ min: -2, max: 9 }) }),
      fc.record({ do: fc.constant('end' as const), n: fc.nat(20) }),
      fc.record({ do: fc.constant('advance' as const), n: fc.nat(6_000) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 6 }), fc.array(action, { maxLength: 40 }), async (max, actions) => {
        const world = new World(max);
        for (const { do: what, n } of actions) {
          if (what === 'resize') world.pool.resize(n);
          else if (what === 'end') world.alive[n % Math.max(1, world.alive.length)]?.end('exit code 1');
          else await world.advance(n);
          await settle();
          expect(world.alive.length).toBeLessThanOrEqual(max);
          expect(world.pool.target).toBeLessThanOrEqual(max);
        }
        // Longer than the longest pause and the longest drain.
        await world.advance(20_000);
        expect(world.alive).toHaveLength(world.pool.target);
        expect([world.pool.running, world.pool.draining]).toEqual([world.pool.target, 0]);
      }),
      { numRuns: 60 },
    );
  });
});

/** Methods that may be taken apart from their object. */
function bound(world: World): {
  pool: WorkerPool;
  spawned: FakeChild[];
  told: (event: PoolEvent['event']) => PoolEvent[];
} {
  return { pool: world.pool, spawned: world.spawned, told: (event) => world.told(event) };
}
