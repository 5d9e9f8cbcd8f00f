import { describe, expect, it } from 'vitest';
import { type Child, type ChildExit, Supervisor } from './supervisor.js';

/** Processes that end when told, and a clock that stands still until it is moved. */
function world(workers: number): {
  supervisor: Supervisor;
  spawned: FakeChild[];
  told: string[];
  advance(ms: number): Promise<void>;
} {
  let nowMs = 0;
  let timers: { at: number; fn: () => void }[] = [];
  const spawned: FakeChild[] = [];
  const told: string[] = [];
  const supervisor = new Supervisor({
    workers,
    drainMs: 5_000,
    tell: (text) => told.push(text),
    spawn: (place) => {
      const child = new FakeChild(place);
      spawned.push(child);
      return child;
    },
    ports: {
      clock: { now: () => nowMs, monotonicMs: () => nowMs },
      timers: {
        after(ms, fn) {
          const timer = { at: nowMs + ms, fn };
          timers.push(timer);
          return () => {
            timers = timers.filter((one) => one !== timer);
          };
        },
        turn: (fn) => void setImmediate(fn),
      },
    },
  });
  async function advance(ms: number): Promise<void> {
    await settle();
    nowMs += ms;
    const due = timers.filter((timer) => timer.at <= nowMs);
    timers = timers.filter((timer) => timer.at > nowMs);
    for (const timer of due) timer.fn();
    await settle();
  }
  return { supervisor, spawned, told, advance };
}

function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

class FakeChild implements Child {
  readonly place: number;
  readonly exited: Promise<ChildExit>;
  readonly orders: string[] = [];
  end: (exit?: Partial<ChildExit>) => void = () => undefined;

  constructor(place: number) {
    this.place = place;
    this.exited = new Promise((resolve) => {
      this.end = (exit = {}) => resolve({ hopeless: false, how: 'exit code 1', ...exit });
    });
  }

  drain(): void {
    this.orders.push('drain');
  }

  kill(): void {
    this.orders.push('kill');
    this.end({ how: 'signal SIGKILL' });
  }
}

describe('Supervisor', () => {
  it('starts a crashed worker again, each time after a longer pause', async () => {
    const { supervisor, spawned, advance } = world(1);
    supervisor.start();
    for (const pauseMs of [250, 500, 1_000]) {
      const before = spawned.length;
      spawned.at(-1)?.end();
      await advance(pauseMs - 1);
      expect(spawned).toHaveLength(before);
      await advance(1);
      expect(spawned).toHaveLength(before + 1);
    }
  });

  it('forgets crashes of a worker that has lived for a while', async () => {
    const { supervisor, spawned, advance } = world(1);
    supervisor.start();
    spawned[0]?.end();
    await advance(250);
    await advance(10_000);
    spawned[1]?.end();
    await advance(250);
    expect(spawned).toHaveLength(3);
  });

  it('does not start again what said that it is of no use, until the code changes', async () => {
    const { supervisor, spawned, told, advance } = world(1);
    supervisor.start();
    spawned[0]?.end({ hopeless: true });
    await advance(60_000);
    expect([spawned.length, told.at(-1)]).toEqual([1, expect.stringMatching(/waits for a change/)]);
    await supervisor.replace();
    expect(spawned).toHaveLength(2);
  });

  it('drains the old workers before it starts new ones', async () => {
    const { supervisor, spawned } = world(2);
    supervisor.start();
    const replaced = supervisor.replace();
    await settle();
    expect(spawned.map((child) => child.orders)).toEqual([['drain'], ['drain']]);
    spawned[0]?.end();
    await settle();
    expect(spawned).toHaveLength(2);
    spawned[1]?.end();
    await replaced;
    expect(spawned.map((child) => child.place)).toEqual([0, 1, 0, 1]);
  });

  it('kills a worker that does not drain in time', async () => {
    const { supervisor, spawned, advance } = world(1);
    supervisor.start();
    const stopped = supervisor.stop();
    await advance(4_999);
    expect(spawned[0]?.orders).toEqual(['drain']);
    await advance(1);
    await stopped;
    expect(spawned[0]?.orders).toEqual(['drain', 'kill']);
  });

  it('starts nothing after it was stopped, not even in the middle of a replacement or a pause', async () => {
    const { supervisor, spawned, advance } = world(2);
    supervisor.start();
    spawned[0]?.end();
    await settle();
    const replaced = supervisor.replace();
    await settle();
    const stopped = supervisor.stop();
    spawned[1]?.end();
    await Promise.all([replaced, stopped]);
    await advance(60_000);
    expect(spawned).toHaveLength(2);
  });
});
