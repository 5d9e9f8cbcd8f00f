/** Places of shadows over several servers on one store: who gets leave, and what becomes of calls that nobody tells of. */
import { describe, expect, it } from 'vitest';
import { RacingServers } from '../../../test/support/racing-servers.js';
import { limits } from '../../core/limits.js';
import { modelsTopic, type ModelManifest, type ShadowRule } from '../../core/manifest.js';
import { spentOn } from '../../core/models/shadow.js';
import type { RunEvent } from '../../core/run/events.js';
import type { RunState } from '../../core/run/state.js';
import { topicStream, type Transition } from '../../store/contract.js';
import type { ShadowEnd, ShadowLeave } from '../../protocol/worker.js';
import { Catalog } from '../intake/catalog.js';
import type { CommittedChange } from '../runs/committed.js';
import { systemTenant } from '../system-tenant.js';
import { Shadows } from './shadows.js';

const price = { inputMicros: 1_000_000, outputMicros: 0, cachedInputMicros: 1_000_000 };
const rule: ShadowRule = { version: 'v2', share: 1, concurrency: 3, perDayMicros: 100 };
const writer: ModelManifest = {
  name: 'writer',
  policy: ['retry'],
  versions: ['v1', 'v2'].map((version) => ({
    version,
    endpoint: `provider/${version}`,
    weight: 1,
    windowTokens: null,
    outputTokensMax: null,
    price,
  })),
  shadow: rule,
};
const ask = {
  model: 'writer',
  fingerprint: 'f',
  estimate: { inputTokens: 10, outputTokens: 5 },
  policy: [],
  streamed: false,
  deadlineMs: null,
};

class World extends RacingServers {
  model: ModelManifest | null = writer;
  breaker: 'closed' | 'open' = 'closed';

  server(): Shadows {
    return new Shadows({
      context: this.context(),
      catalog: new Catalog(),
      model: () => this.model,
      pauses: { until: () => null },
      breakers: { of: () => ({ state: this.breaker }) as never },
    });
  }

  async told(): Promise<string[]> {
    const place = { tenant: systemTenant, stream: topicStream(modelsTopic.name, 0), after: -1, limit: 1_000 };
    return (await this.store.readEvents(place)).map(({ payload }) => JSON.stringify(payload));
  }
}

/** An answer is recorded, whose grant names a shadow. */
function answered(run: string, shadow: string | null = 'v2', own = true): CommittedChange {
  const data = { path: 'a', attempt: 1, durationMs: 100, costMicros: 7 };
  const grant = { version: 'v1', ...(shadow === null ? {} : { shadow }) };
  const unit = { kind: 'inference', attempt: 1, ask, grant };
  return {
    key: run,
    tenant: 't',
    run,
    state: { units: new Map([['a', unit]]) } as unknown as RunState,
    events: [{ type: 'inference.completed', seq: 5, data } as unknown as RunEvent],
    actor: null,
    task: null,
    own,
  };
}

function begin(server: Shadows, run: string): Promise<ShadowLeave> {
  return server.begin({ n: 1, tenant: 't', run, path: 'a', attempt: 1 });
}

function end(ticket: string, costMicros = 4): ShadowEnd {
  const comparison = { exact: true, json: null, similarity: 1, tools: null };
  return { model: 'writer', ticket, latencyMs: 50, costMicros, usage: null, failure: null, comparison };
}

/** Servers that give leave, hear of calls, and die. Answers how often more was under way, or paid, than may be. */
async function excess(world: World): Promise<number> {
  const servers = [world.server(), world.server(), world.server()];
  const open = new Set<string>();
  let beyond = 0;
  let paid = 0;
  const work: Promise<void>[] = [];
  for (let i = 0; i < 120; i++) {
    const server = servers[Math.floor(world.random() * 3)];
    if (server === undefined) continue;
    if (world.random() < 0.6) {
      server.committed(answered(`r${i}`));
      work.push(
        begin(server, `r${i}`).then(({ ticket }) => {
          if (ticket === null) return;
          open.add(ticket);
          if (open.size > rule.concurrency) beyond += 1;
        }),
      );
    } else {
      const [ticket] = open;
      if (ticket === undefined) continue;
      open.delete(ticket);
      paid += 4;
      work.push(server.end(end(ticket)));
    }
    await world.turns(Math.floor(world.random() * 5));
  }
  await Promise.all(work);
  const { underWay, tallies } = await world.server().read('writer');
  if (underWay.length !== open.size) beyond += 1;
  if ((tallies[0]?.spentMicros ?? 0) !== paid || paid > 100) beyond += 1;
  return beyond;
}

describe('shadows of several servers', () => {
  it('have no more calls under way than may be, and no money is counted twice or not at all', async () => {
    for (let seed = 1; seed <= 12; seed++)
      expect({ seed, beyond: await excess(new World(seed)) }).toEqual({ seed, beyond: 0 });
  });

  it('would have more on a store that writes whatever it is told', async () => {
    const careless = ({ entries = [], ...rest }: Transition): Transition => ({
      ...rest,
      entries: entries.map((entry) => {
        const { expected: _, ...bare } = entry;
        return bare as typeof entry;
      }),
    });
    let found = 0;
    for (let seed = 1; seed <= 12; seed++) found += await excess(new World(seed, careless));
    expect(found).toBeGreaterThan(0);
  });

  it('give leave one time for each answer, of the server that has recorded it', async () => {
    const world = new World(1);
    const [a, b] = [world.server(), world.server()];
    expect((await begin(a, 'r')).ticket).toBeNull();
    a.committed(answered('r'));
    a.committed(answered('neighbour', 'v2', false));
    a.committed(answered('plain', null));
    expect((await begin(b, 'r')).ticket).toBeNull();
    const first = await begin(a, 'r');
    expect(first).toMatchObject({ n: 1, ms: limits.shadowMsMax });
    expect(first.ticket).toMatch(/^shadow-/);
    for (const run of ['r', 'neighbour', 'plain']) expect((await begin(a, run)).ticket).toBeNull();
    // The same answer, told of once more, has the same ticket.
    a.committed(answered('r'));
    expect((await begin(a, 'r')).ticket).toBeNull();
  });

  it('give none where the shadow is another by now, or its endpoint is shut', async () => {
    const world = new World(2);
    const server = world.server();
    const tried = async (): Promise<string | null> => {
      server.committed(answered('r'));
      return (await begin(server, 'r')).ticket;
    };
    world.breaker = 'open';
    expect(await tried()).toBeNull();
    world.breaker = 'closed';
    world.model = { ...writer, shadow: { ...rule, version: 'v1' } };
    expect(await tried()).toBeNull();
    world.model = { ...writer, versions: writer.versions.slice(0, 1) };
    expect(await tried()).toBeNull();
    world.model = writer;
    expect(await tried()).not.toBeNull();
  });

  it('give a call of which nothing is heard up for lost, one time, with all that it may have cost', async () => {
    const world = new World(3);
    const [a, b] = [world.server(), world.server()];
    a.committed(answered('r'));
    const { ticket } = await begin(a, 'r');
    await Promise.all([a.tick(), b.tick()]);
    expect((await b.read('writer')).underWay).toHaveLength(1);
    world.now += limits.shadowMsMax + limits.shadowReportMs;
    await Promise.all([a.tick(), b.tick()]);
    // It was alive after all, and comes too late.
    await b.end(end(ticket ?? ''));
    const state = await b.read('writer');
    expect(state.underWay).toEqual([]);
    expect(state.tallies).toMatchObject([{ version: 'v2', against: 'v1', answers: 0, failures: { lost: 1 } }]);
    expect(spentOn(state, world.now)).toBe(10);
    const told = await world.told();
    expect(told).toHaveLength(1);
    expect(told[0]).toContain('lost');
  });

  it('remember a bounded number of answers', async () => {
    const world = new World(4);
    const server = world.server();
    for (let i = 0; i <= limits.shadowsDueMax; i++) server.committed(answered(`r${i}`));
    expect((await begin(server, 'r0')).ticket).toBeNull();
    expect((await begin(server, 'r1')).ticket).not.toBeNull();
  });
});
