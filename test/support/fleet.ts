/**
 * What a fleet is, found in another way than the fold finds it: by the rows of the store. And a fleet that does a bit of
 * everything, to compare the two on.
 */
import { expect } from 'vitest';
import { z } from 'zod';
import { encodeValue } from '../../src/core/codec.js';
import { openRows } from '../../src/core/run/effects.js';
import type { RunEvent } from '../../src/core/run/events.js';
import { foldRun, isEnded } from '../../src/core/run/state.js';
import { ticketSpace, type TicketValue } from '../../src/core/run/tickets.js';
import { createEngine, type Engine } from '../../src/engine/index.js';
import type { EngineContext } from '../../src/engine/context.js';
import { EnvelopeWriter } from '../../src/engine/events/envelope-writer.js';
import { readRunEvent } from '../../src/engine/events/rows.js';
import { Checkpoints } from '../../src/engine/fleet/checkpoints.js';
import { FleetDuty } from '../../src/engine/fleet/fleet-duty.js';
import { FleetViews } from '../../src/engine/fleet/fleet-views.js';
import { Catalog } from '../../src/engine/intake/catalog.js';
import type { FleetView } from '../../src/protocol/http.js';
import { nodePorts } from '../../src/runtime/index.js';
import type { Store } from '../../src/store/index.js';
import { createInProcessTransport, createWorker, type Worker } from '../../src/worker/index.js';
import {
  agent,
  capability,
  defineApp,
  limit,
  message,
  signal,
  Terminal,
  topic,
  workflow,
} from '../../src/workflow/index.js';

const origin = { tenant: 'default', actor: 'test', traceparent: null, correlation: null };

const go = signal('go');
const noted = topic('noted', { key: 'n', partitions: 4 });
const narrow = limit('narrow', { concurrency: 2 });
const served = capability('served');
/** Nobody does it: what asks for it has open tasks, and of those that its limit holds back, held ones. */
const unserved = capability('unserved', { limits: [narrow] });
const note = message('note');

const steps = workflow('steps', { on: noted }, async (ctx, input: unknown) => {
  for (let i = 0; i < 3; i++) await ctx.step(`s${i}`, () => i);
  return input;
});
const waits = workflow('waits', {}, async (ctx) => {
  await ctx.waitFor(go);
  await ctx.emit(noted, { n: 1 });
});

const app = defineApp({
  name: 'fleet',
  topics: [noted],
  handlers: [served.implement(async (input) => input)],
  agents: [
    agent('keeper', {
      messages: [note],
      state: z.number(),
      initial: 0,
      continueAfter: 3,
      on: {
        note: async (self) => {
          self.state += 1;
        },
      },
    }),
    agent('stuck', {
      messages: [note],
      initial: 0,
      on: {
        note: async (self) => {
          await self.call(unserved, 1);
        },
      },
    }),
  ],
  workflows: [
    steps,
    waits,
    workflow('calls', {}, (ctx) => ctx.call(served, 1)),
    workflow('short-lived', { retain: 1 }, (ctx) => ctx.step('a', () => 1)),
    workflow('asks', {}, (ctx) => ctx.approve('ok', { to: 'role:editor', expires: '1h' })),
    workflow('stuck-call', {}, (ctx) => ctx.call(unserved, 1)),
    workflow('fails', {}, async (ctx) => {
      await ctx.step('one', () => 1);
      throw new Terminal('no');
    }),
    workflow('parent', {}, async (ctx) => {
      await ctx.child(steps, 1);
      await ctx.child(waits, 1);
    }),
  ],
});

/** Registered, and no worker has it. */
const elsewhere = defineApp({ name: 'elsewhere', handlers: [unserved.implement(async (input) => input)] });

export interface Fleet {
  readonly store: Store;
  readonly engine: Engine;
  readonly duty: FleetDuty;
  /** Another that folds the same feed. */
  readonly rival: FleetDuty;
  readonly views: FleetViews;
  /** Does one thing, chosen by a number, and waits for nothing. */
  act(choice: number): Promise<void>;
  /** Resolves when nothing moves by itself any more. */
  rest(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts a fleet that folds nothing itself; `duty` leaves a checkpoint after some events each. */
export async function startFleet(store: Store, checkpointEvents: number, keptMs = 1e9): Promise<Fleet> {
  const engine = createEngine({ store, ports: nodePorts, settings: { fleet: null, upkeepEveryMs: 1_000_000 } });
  await engine.start();
  await engine.register(elsewhere.manifest);
  await engine.register(app.manifest);
  const worker: Worker = createWorker({ app, connect: createInProcessTransport(engine), parkAfterMs: 0 });
  await worker.start();
  const settings = { region: 'test', valueBytesMax: 1_000_000, dedupeTtlMs: 1_000 };
  const context = {
    store,
    ports: nodePorts,
    settings,
    envelopes: new EnvelopeWriter(nodePorts, settings, store.epoch),
    log: () => undefined,
    fault: () => undefined,
  } as unknown as EngineContext;
  const checkpoints = new Checkpoints(context, new Catalog());
  const started: string[] = [];
  let sent = 0;
  const start = async (name: string): Promise<void> => {
    const [outcome] = await engine.startRuns(origin, [{ workflow: name, input: encodeValue(1) }]);
    if (outcome?.tag === 'started') started.push(outcome.run);
  };
  const pick = (choice: number): string => started[choice % Math.max(1, started.length)] ?? '';
  const names = ['steps', 'calls', 'waits', 'asks', 'stuck-call', 'fails', 'parent', 'short-lived'];
  const act = async (choice: number): Promise<void> => {
    const what = choice % 16;
    const name = names[what];
    const rest = Math.floor(choice / 16);
    sent += 1;
    if (name !== undefined) await start(name);
    else if (what < 10) await engine.signal(origin, pick(rest), { id: `s${sent}`, name: 'go', data: null });
    else if (what === 10) await engine.cancel(origin, pick(rest), { graceMs: 0 });
    else if (what === 11) await engine.redrive(origin, pick(rest));
    else if (what < 14) {
      const value = { n: rest };
      const event = { topic: 'noted', id: `e${sent}`, source: 'test', type: 'noted', data: encodeValue(value), value };
      await engine.publish(origin, [event]);
    } else {
      const to = what === 14 ? 'keeper' : 'stuck';
      const data = encodeValue(null);
      await engine.tellAgent(origin, {
        agent: to,
        key: `k${rest % 3}`,
        type: 'note',
        id: `m${sent}`,
        data,
        reply: false,
      });
    }
  };
  const rest = async (): Promise<void> => {
    for (let calm = 0, before = -1; calm < 5; ) {
      const head = await store.feedHead();
      const tally = await store.readTally();
      const isBusy = tally.some(({ kind, name, state, count }) => {
        return kind === 'task' && count > 0 && state !== 'held' && name !== 'capability:unserved';
      });
      calm = head === before && !isBusy ? calm + 1 : 0;
      before = head;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  const pace = { everyMs: 0, checkpointEvents, checkpointEveryMs: Number.POSITIVE_INFINITY, keptMs };
  return {
    store,
    engine,
    duty: new FleetDuty(context, checkpoints, pace),
    rival: new FleetDuty(context, checkpoints, pace),
    views: new FleetViews(context, checkpoints),
    act,
    rest,
    stop: async () => {
      await worker.stop();
      await engine.stop();
    },
  };
}

/** The parts of a view that rows can tell, too. */
type Told = Pick<FleetView, 'runs' | 'queues' | 'limits' | 'agents' | 'topics'> & { readonly approvals: number };

export function toldBy({ runs, queues, limits, agents, topics, waits }: FleetView): Told {
  const approvals = waits.find(({ kind }) => kind === 'approval')?.open ?? 0;
  return { runs, queues, limits, agents, topics, approvals };
}

/** The same out of the rows of the store, which must be at rest. */
export async function toldByRows({ store, engine }: Fleet): Promise<Told> {
  const tenant = 'default';
  const tally = (await store.readTally()).filter(({ count }) => count > 0);
  const queues = new Map<string, { open: number; held: number }>();
  for (const { kind, name, state, count } of tally) {
    if (kind !== 'task') continue;
    const queue = queues.get(name) ?? { open: 0, held: 0 };
    queues.set(name, state === 'held' ? { ...queue, held: count } : { ...queue, open: queue.open + count });
  }
  const limits = new Map<string, { waiting: number; granted: number }>();
  for (const phase of ['waiting', 'granted'] as const)
    for (const { value } of await store.readEntries({ tenant, space: ticketSpace, key: phase, limit: 1_000 })) {
      const ticket = JSON.parse(value) as TicketValue;
      for (const name of ticket.kind === 'call' ? ticket.limits : []) {
        const counts = limits.get(name) ?? { waiting: 0, granted: 0 };
        limits.set(name, { ...counts, [phase]: counts[phase] + 1 });
      }
    }
  const agents: Told['agents'][number][] = [];
  for (const name of ['keeper', 'stuck']) {
    let keys = 0;
    let unread = 0;
    for (const { key } of (await engine.listAgents(tenant, name, {})).items) {
      const view = await engine.readAgent(tenant, name, key);
      if (view === null || view.status === 'parked' || view.status === 'ended') continue;
      keys += 1;
      unread += view.mailbox;
    }
    if (keys > 0) agents.push({ agent: name, keys, unread });
  }
  const topics = new Map<string, number>();
  for (const { topic: name, head } of await store.listPartitions({ after: null, limit: 100 }))
    if (name !== 'eventspine.fleet') topics.set(name, (topics.get(name) ?? 0) + head);
  const sorted = <T>(map: ReadonlyMap<string, T>): [string, T][] => [...map].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    runs: tally
      .filter(({ kind }) => kind === 'run')
      .map(({ name, state, count }) => ({
        workflow: name,
        status: state as FleetView['runs'][number]['status'],
        count,
      }))
      .sort((a, b) => (`${a.workflow} ${a.status}` < `${b.workflow} ${b.status}` ? -1 : 1)),
    queues: sorted(queues).map(([queue, counts]) => ({ queue, ...counts })),
    limits: sorted(limits).map(([name, counts]) => ({ limit: name, ...counts })),
    agents,
    topics: sorted(topics).map(([name, events]) => ({ topic: name, events })),
    approvals: (await engine.listApprovals(tenant, { to: null, limit: 500 })).items.length,
  };
}

/** The counts of runs and tasks at a position: every run folded by itself, and its rows counted. */
async function countedSingly(store: Store, position: number): Promise<ReadonlyMap<string, number>> {
  const histories = new Map<string, RunEvent[]>();
  for (const row of await store.readFeed({ after: 0, limit: 100_000 })) {
    if (row.position > position || row.stream.includes('/')) continue;
    const events = histories.get(row.stream) ?? [];
    histories.set(row.stream, [...events, readRunEvent(row).event]);
  }
  const counts = new Map<string, number>();
  const add = (what: string): void => void counts.set(what, (counts.get(what) ?? 0) + 1);
  for (const [run, events] of histories) {
    const state = foldRun('default', run, events);
    add(`${state.workflow} ${state.status}`);
    if (isEnded(state.status)) continue;
    const { activation, tasks } = openRows(state);
    for (const _ of [...tasks, ...(activation === null ? [] : [activation])]) add('tasks');
  }
  return counts;
}

function countsOf({ runs, queues }: FleetView): [string, number][] {
  const tasks = queues.reduce((sum, { open, held }) => sum + open + held, 0);
  const counts = runs.map(({ workflow: name, status, count }): [string, number] => [`${name} ${status}`, count]);
  return [...counts, ...(tasks === 0 ? [] : [['tasks', tasks] satisfies [string, number]])].sort();
}

/** Acts at random, rests now and then, and compares: the view now with the rows, views of the past with what was seen. */
export async function checkFleet(store: Store, choices: readonly number[]): Promise<void> {
  const fleet = await startFleet(store, 20);
  const seen: { readonly position: number; readonly view: FleetView }[] = [];
  try {
    for (const [i, choice] of choices.entries()) {
      await fleet.act(choice);
      if (i % 12 !== 11) continue;
      await fleet.rest();
      const before = await fleet.views.at(null, null);
      expect(toldBy(before)).toEqual(await toldByRows(fleet));
      await fleet.duty.tick();
      const after = await fleet.views.at(null, 'default');
      expect({ ...after, checkpoint: null, sample: null, position: 0 }).toEqual({
        ...before,
        checkpoint: null,
        sample: null,
        position: 0,
      });
      seen.push({ position: before.position, view: before });
    }
    for (const { position, view } of seen) {
      const again = await fleet.views.at({ position }, null);
      expect({ ...again, checkpoint: null, sample: null }).toEqual({ ...view, checkpoint: null, sample: null });
    }
    expect(seen.length).toBeGreaterThan(0);
    const head = await store.feedHead();
    const bases = new Set<number>();
    for (let position = 1; position <= head; position += 17) {
      const view = await fleet.views.at({ position }, null);
      bases.add(view.checkpoint?.position ?? 0);
      expect([...(await countedSingly(store, position))].sort()).toEqual(countsOf(view));
    }
    expect(bases.size).toBeGreaterThan(3);
  } finally {
    await fleet.stop();
  }
}
