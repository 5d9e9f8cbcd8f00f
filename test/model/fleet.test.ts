/** What a fleet was: views out of events are what the rows say, now and for every moment before. */
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { nodePorts } from '../../src/runtime/index.js';
import { createMemoryStore, type Store } from '../../src/store/index.js';
import { createSqliteMemoryStore } from '../../src/stores/sqlite/index.js';
import { checkFleet, startFleet, toldBy, toldByRows, type Fleet } from '../support/fleet.js';

const stores: Readonly<Record<string, () => Promise<Store>>> = {
  memory: async () => createMemoryStore({ clock: nodePorts.clock }),
  sqlite: () => createSqliteMemoryStore({ clock: nodePorts.clock }),
};
/** Numbers for `act`. */
const start = { steps: 0, calls: 1, waits: 2, stuckCall: 4, shortLived: 7 } as const;

const origin = { tenant: 'default', actor: 'test', traceparent: null, correlation: null };
const running: Fleet[] = [];

afterEach(async () => {
  for (const fleet of running.splice(0)) await fleet.stop();
});

async function fleetOn(store: Store, checkpointEvents: number): Promise<Fleet> {
  const fleet = await startFleet(store, checkpointEvents);
  running.push(fleet);
  return fleet;
}

describe.each(Object.entries(stores))('a view of the fleet on %s', (_, open) => {
  it('is what the rows say at rest, and the same at any later time', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(10_000), { minLength: 60, maxLength: 60 }), async (choices) => {
        await checkFleet(await open(), choices);
      }),
      { numRuns: 2, endOnFailure: true },
    );
  });

  it('tells of the gap where runs were deleted since, and is then that of the checkpoint before', async () => {
    const fleet = await fleetOn(await open(), 10);
    await fleet.act(start.stuckCall);
    for (let i = 0; i < 8; i++) await fleet.act(start.shortLived);
    await fleet.rest();
    await fleet.duty.tick();
    const head = await fleet.store.feedHead();
    const before = await fleet.views.at({ position: head - 12 }, null);
    expect(before.gap).toBeNull();
    await expect.poll(async () => (await fleet.store.expire(100)).runs).toBe(8);
    const after = await fleet.views.at({ position: head - 12 }, null);
    expect(after.gap?.missing).toBeGreaterThan(0);
    expect(after.position).toBe(after.checkpoint?.position ?? 0);
  });

  it('counts anew what is unfinished where runs were deleted before they were folded', async () => {
    const fleet = await fleetOn(await open(), 5);
    await fleet.act(start.stuckCall);
    for (let i = 0; i < 4; i++) await fleet.act(start.shortLived);
    // A checkpoint that has them unfinished.
    const { position } = await fleet.views.at(null, null);
    await fleet.rest();
    await fleet.duty.tick();
    for (let i = 0; i < 4; i++) await fleet.act(start.shortLived);
    await fleet.rest();
    await expect.poll(async () => (await fleet.store.expire(100)).runs).toBe(8);
    expect((await fleet.views.at(null, null)).gap).not.toBeNull();
    await fleet.act(start.waits);
    await fleet.rest();
    await fleet.duty.tick();
    const now = await fleet.views.at(null, null);
    expect(now).toMatchObject({ gap: null, doubts: 0 });
    expect(now.position).toBeGreaterThan(position);
    const rows = await toldByRows(fleet);
    expect(toldBy(now)).toEqual({ ...rows, runs: expect.arrayContaining([...rows.runs]) as unknown });
  });

  it('of one run is what it was after each of its events', async () => {
    const fleet = await fleetOn(await open(), 1_000);
    await fleet.act(start.stuckCall);
    await fleet.act(start.waits);
    await fleet.rest();
    const runs = await fleet.engine.listRuns('default', {});
    const [run = ''] = runs.items.flatMap(({ id, workflow }) => (workflow === 'waits' ? [id] : []));
    // Nobody else asks for it: what is shown now is what it was then, but for who serves it.
    const parked = await fleet.engine.readRun('default', run);
    await fleet.engine.signal(origin, run, { id: 'only', name: 'go', data: null });
    await fleet.rest();
    const ended = await fleet.engine.readRun('default', run);
    const at = (seq: number) => fleet.engine.readRun('default', run, { seq });
    expect(ended?.state).toBe('succeeded');
    expect(await at(parked?.events ?? 0)).toEqual({ ...parked, served: null });
    expect(await at(ended?.events ?? 0)).toEqual(ended);
    expect(await at(1)).toMatchObject({ state: 'queued', events: 1, steps: [] });
    const instant = Date.parse(parked?.updatedAt ?? '');
    expect((await fleet.engine.readRun('default', run, { instant }))?.events).toBe(parked?.events);
    await expect(at(0)).rejects.toMatchObject({ code: 'RUN_EVENT_NOT_FOUND' });
    await expect(at((ended?.events ?? 0) + 1)).rejects.toMatchObject({ code: 'RUN_EVENT_NOT_FOUND' });
    expect(await fleet.engine.readRun('default', 'run_none', { seq: 1 })).toBeNull();
  });

  it('is found by an instant, too, and of one tenant', async () => {
    const fleet = await fleetOn(await open(), 10);
    expect(await fleet.views.at({ instant: 0 }, null)).toMatchObject({ position: 0, at: null, runs: [] });
    await fleet.act(start.waits);
    await fleet.rest();
    const instant = fleet.store.now();
    await new Promise((resolve) => setTimeout(resolve, 5));
    for (let i = 0; i < 5; i++) await fleet.act(start.steps);
    await fleet.rest();
    await fleet.duty.tick();
    const waiting = [{ workflow: 'waits', status: 'waiting', count: 1 }];
    expect((await fleet.views.at({ instant }, null)).runs).toEqual(waiting);
    expect((await fleet.views.at({ instant: fleet.store.now() + 1_000 }, null)).runs).toHaveLength(2);
    expect((await fleet.views.at({ instant }, 'default')).runs).toEqual(waiting);
    expect((await fleet.views.at({ instant }, 'nobody')).runs).toEqual([]);
  });

  it('comes from one chain, though two fold the feed', async () => {
    const fleet = await fleetOn(await open(), 10);
    for (let round = 0; round < 6; round++) {
      for (let i = 0; i < 4; i++) await fleet.act(round % 2 === 0 ? start.steps : start.stuckCall);
      await fleet.rest();
      // Whoever comes second finds that the other was quicker, and begins anew.
      await Promise.all([fleet.duty.tick(), fleet.rival.tick()]);
      await fleet.rival.tick();
    }
    const chain = await fleet.store.readEvents({
      tenant:
        (await fleet.store.readFeed({ after: 0, limit: 10_000 })).find(({ stream }) => stream === chainStream)
          ?.tenant ?? '',
      stream: chainStream,
      after: -1,
      limit: 1_000,
    });
    const positions = chain.map(({ envelope }) => Number((JSON.parse(envelope) as { id: string }).id.split('-')[1]));
    expect(positions.length).toBeGreaterThan(5);
    expect(positions).toEqual([...new Set(positions)].sort((a, b) => a - b));
    expect(toldBy(await fleet.views.at(null, null))).toEqual(await toldByRows(fleet));
  });

  it('is kept for as long as is said, and what is before that is gone', async () => {
    const fleet = await startFleet(await open(), 10, 0);
    running.push(fleet);
    for (let round = 0; round < 8; round++) {
      for (let i = 0; i < 3; i++) await fleet.act(start.steps);
      await fleet.rest();
      await fleet.duty.tick();
    }
    await expect(fleet.views.at({ position: 1 }, null)).rejects.toMatchObject({ code: 'FLEET_PAST_GONE' });
    await expect(fleet.views.at({ instant: 1 }, null)).rejects.toMatchObject({ code: 'FLEET_PAST_GONE' });
    const now = await fleet.views.at(null, null);
    expect(toldBy(now)).toEqual(await toldByRows(fleet));
    expect(await fleet.views.at({ position: now.position }, null)).toEqual(now);
  });

  it('leaves nothing more behind once the fleet is at rest', async () => {
    const fleet = await fleetOn(await open(), 1);
    for (let i = 0; i < 3; i++) await fleet.act(start.calls);
    await fleet.rest();
    await fleet.duty.tick();
    const head = await fleet.store.feedHead();
    for (let i = 0; i < 3; i++) await fleet.duty.tick();
    expect(await fleet.store.feedHead()).toBe(head);
  });
});

const chainStream = 'eventspine.fleet/0';
