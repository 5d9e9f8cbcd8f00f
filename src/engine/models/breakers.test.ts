/** Breakers over several servers on one store: who is let through, and what a store without compare-and-put would do. */
import { describe, expect, it } from 'vitest';
import { RacingServers } from '../../../test/support/racing-servers.js';
import { defaultBreakerRule as rule } from '../../core/models/breaker.js';
import type { FailureClass } from '../../core/failure.js';
import type { RunEvent } from '../../core/run/events.js';
import type { RunState } from '../../core/run/state.js';
import { topicStream, type Transition } from '../../store/contract.js';
import { modelsTopic } from '../../core/manifest.js';
import { Catalog } from '../intake/catalog.js';
import type { CommittedChange } from '../runs/committed.js';
import { Breakers } from './breakers.js';
import { callerOf } from './model-door.js';
import { systemTenant } from '../system-tenant.js';

const endpoint = 'provider/model';

/** Servers on one store, with a clock that the test moves. */
class World extends RacingServers {
  #calls = 0;

  server(): Breakers {
    return new Breakers(this.context({ breaker: rule }), new Catalog());
  }

  /** A call that has ended: the commit that says so. */
  change(run: string, failed: FailureClass | null): CommittedChange {
    const data = { path: 'a', attempt: 1, ...(failed === null ? {} : { failure: { class: failed } }) };
    const type = failed === null ? 'inference.completed' : 'inference.failed';
    const unit = { kind: 'inference', attempt: 1, grant: { endpoint } };
    return {
      key: run,
      tenant: 't',
      run,
      state: { units: new Map([['a', unit]]) } as unknown as RunState,
      events: [{ type, data } as unknown as RunEvent],
      actor: null,
      task: null,
      own: true,
    };
  }

  newRun(): string {
    return `run_${++this.#calls}`;
  }
}

const caller = (run: string): string => callerOf({ tenant: 't', run, path: 'a', attempt: 1 });

/**
 * Servers that call, die and come back, and an endpoint that is down. Answers how often somebody was let through although
 * the endpoint was shut and another probe was still on its way.
 */
async function secondProbes(world: World, steps: number): Promise<number> {
  const servers = [world.server(), world.server(), world.server()];
  let open: { readonly run: string; readonly server: number; readonly at: number } | null = null;
  let second = 0;
  for (let i = 0; i < 40; i++) servers[i % 3]?.committed(world.change(world.newRun(), 'overloaded'));
  await world.turns(60);
  await Promise.all(servers.map((server) => server.refresh()));
  expect(servers.map((server) => server.of(endpoint).state)).toEqual(['open', 'open', 'open']);
  for (let i = 0; i < steps; i++) {
    const at = Math.floor(world.random() * 3);
    const dice = world.random();
    const server = servers[at];
    if (dice < 0.55) {
      const run = world.newRun();
      if (server?.shutUntil(endpoint, caller(run), world.now) === null) {
        if (open !== null && world.now < open.at + rule.probeMs) second += 1;
        open = { run, server: at, at: world.now };
      }
    } else if (dice < 0.7) world.now += Math.floor(world.random() * rule.openMs);
    else if (dice < 0.76 && open !== null) {
      servers[open.server]?.committed(world.change(open.run, 'timeout'));
      open = null;
    } else if (dice < 0.78) {
      // It dies with its probe, of which nothing is heard any more.
      servers[at] = world.server();
      await servers[at]?.refresh();
    } else if (dice < 0.9) await server?.refresh();
    await world.turns(Math.floor(world.random() * 6));
  }
  await world.turns(20);
  return second;
}

describe('breakers of several servers', () => {
  it('let one probe at a time through, whoever asks, dies or comes back', async () => {
    for (let seed = 1; seed <= 12; seed++) {
      const world = new World(seed);
      expect({ seed, second: await secondProbes(world, 250) }).toEqual({ seed, second: 0 });
      expect(world.faults).toEqual([]);
    }
  });

  it('would let several through on a store that writes whatever it is told', async () => {
    const careless = ({ entries = [], ...rest }: Transition): Transition => ({
      ...rest,
      entries: entries.map((entry) => {
        const unconditional: { expected?: string | null } = { ...entry };
        delete unconditional.expected;
        return unconditional as typeof entry;
      }),
    });
    let found = 0;
    for (let seed = 1; seed <= 12; seed++) found += await secondProbes(new World(seed, careless), 250);
    expect(found).toBeGreaterThan(0);
  });

  it('closes for all when the probe of one is good, and each move is told of one time', async () => {
    const world = new World(3);
    const [a, b] = [world.server(), world.server()];
    for (let i = 0; i < 10; i++) a.committed(world.change(world.newRun(), 'overloaded'));
    await world.turns(40);
    await b.refresh();
    expect(b.shutUntil(endpoint, 'x', world.now)).toBeGreaterThanOrEqual(world.now + rule.openMs);
    world.now += rule.openMs;
    expect(b.shutUntil(endpoint, 'x', world.now)).toBeGreaterThan(world.now);
    await world.turns(20);
    expect(b.shutUntil(endpoint, caller('probe'), world.now)).toBeNull();
    expect(b.shutUntil(endpoint, caller('other'), world.now)).toBeGreaterThan(world.now);
    b.committed(world.change('probe', null));
    await world.turns(20);
    await a.refresh();
    expect([a.of(endpoint).state, a.shutUntil(endpoint, 'y', world.now)]).toEqual(['closed', null]);
    const told = { tenant: systemTenant, stream: topicStream(modelsTopic.name, 0), after: -1, limit: 10 };
    const moves = (await world.store.readEvents(told)).map(({ payload }) => JSON.stringify(payload));
    expect(moves).toHaveLength(3);
    expect(moves.map((move) => /to\\":\\"([a-z-]+)/.exec(move)?.[1])).toEqual(['open', 'half-open', 'closed']);
  });

  it('asks nothing of the store while all calls go well', async () => {
    const world = new World(4);
    const server = world.server();
    for (let i = 0; i < 100; i++)
      server.committed(world.change(world.newRun(), i % 2 === 0 ? null : 'invalid_request'));
    await world.turns(20);
    expect(server.of(endpoint)).toEqual({ state: 'closed', slices: [] });
  });
});
