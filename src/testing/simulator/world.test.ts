import { describe, expect, it } from 'vitest';
import { Network } from './network.js';
import { SimProcess } from './process.js';
import { World } from './world.js';

const profile = { latencyMsMax: 10, noticeMsMax: 50, reorder: 0 };

async function run(world: World, ms: number): Promise<void> {
  await world.run({ untilMs: world.nowMs + ms, stepsMax: 10_000, afterStep: () => false });
}

describe('a simulated world', () => {
  it('lets timers come when they are due, in virtual time', async () => {
    const world = new World('a');
    const { timers, clock } = new SimProcess(world, 'p').start();
    const seen: number[] = [];
    const bornMs = clock.now();
    timers.after(3_600_000, () => seen.push(clock.now() - bornMs));
    timers.after(5, () => seen.push(clock.now() - bornMs));
    const cancel = timers.after(6, () => seen.push(-1));
    cancel();
    await run(world, 3_600_000);
    expect(seen).toEqual([5, 3_600_000]);
  });

  it('runs every micro-task before the next event', async () => {
    const world = new World('a');
    const { timers } = new SimProcess(world, 'p').start();
    const seen: string[] = [];
    timers.after(1, () => {
      let chain = Promise.resolve();
      for (let i = 0; i < 50; i++) chain = chain.then(() => undefined);
      void chain.then(() => seen.push('micro-task'));
    });
    timers.after(2, () => seen.push('next'));
    await run(world, 10);
    expect(seen).toEqual(['micro-task', 'next']);
  });

  it('forgets what a killed process had planned, and keeps back what a stopped one is due', async () => {
    const world = new World('a');
    const process = new SimProcess(world, 'p');
    const seen: string[] = [];
    const old = process.start();
    old.timers.after(5, () => seen.push('of the old life'));
    process.kill();
    old.timers.after(5, () => seen.push('planned by a ghost'));
    const { timers } = process.start();
    timers.after(10, () => seen.push('first'));
    timers.after(20, () => seen.push('second'));
    process.pause();
    await run(world, 100);
    expect(seen).toEqual([]);
    process.resume();
    await run(world, 1);
    expect(seen).toEqual(['first', 'second']);
  });

  it('is decided by its seed', async () => {
    const traces = await Promise.all(
      ['a', 'a', 'b'].map(async (seed) => {
        const world = new World(seed);
        const { timers, random } = new SimProcess(world, 'p').start();
        for (let i = 0; i < 20; i++) timers.after(random.next() * 100, () => undefined);
        await run(world, 1_000);
        return world.trace.digest();
      }),
    );
    expect(traces[0]).toBe(traces[1]);
    expect(traces[0]).not.toBe(traces[2]);
  });
});

describe('a simulated connection', () => {
  it('delivers in order, and tells both ends of a cut', async () => {
    const world = new World('a');
    const network = new Network(world, profile);
    const [client, server] = [new SimProcess(world, 'client'), new SimProcess(world, 'server')];
    client.start();
    server.start();
    const seen: string[] = [];
    const wire = network.open<number, string>(
      client,
      {
        process: server,
        accept: () => ({ onMessage: (n) => seen.push(String(n)), onClose: () => seen.push('server noticed') }),
      },
      { onMessage: () => undefined, onClose: () => seen.push('client noticed') },
    );
    for (let i = 0; i < 5; i++) wire.send(i);
    await run(world, 100);
    expect(seen).toEqual(['0', '1', '2', '3', '4']);
    wire.send(5);
    expect(network.cutOne()).toBe(true);
    await run(world, 100);
    expect(seen.slice(5).sort()).toEqual(['client noticed', 'server noticed']);
    expect(network.cutOne()).toBe(false);
  });

  it('brings what a process had sent before it died, then the close', async () => {
    const world = new World('b');
    const network = new Network(world, profile);
    const [client, server] = [new SimProcess(world, 'client'), new SimProcess(world, 'server')];
    client.start();
    server.start();
    const seen: string[] = [];
    const wire = network.open<string, string>(
      client,
      { process: server, accept: () => ({ onMessage: (text) => seen.push(text), onClose: () => seen.push('closed') }) },
      { onMessage: () => undefined, onClose: () => undefined },
    );
    await run(world, 100);
    wire.send('last words');
    client.kill();
    network.died(client);
    await run(world, 100);
    expect(seen).toEqual(['last words', 'closed']);
  });
});
