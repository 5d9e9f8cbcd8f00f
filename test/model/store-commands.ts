/**
 * What the model test does to a store: the moves of an engine (start, step, call, retry, end, cancel, timers, publish,
 * claim, release), good ones and stale ones, each on the plain model and on the real store, compared at once.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Store, Transition } from '../../src/store/index.js';
import { dedupe, event, newTask, runRow, session, tenant, topicEvent } from '../../src/testing/conformance/builders.js';
import type { ManualClock } from '../../src/testing/conformance/index.js';
import type { PlainChange, PlainStore } from './plain-store.js';

/** The store under test and the clock that it shares with the model. */
export interface RealStore {
  readonly store: Store;
  readonly clock: ManualClock;
}

type StoreCommand = fc.AsyncCommand<PlainStore, RealStore>;

const runs = ['run_a', 'run_b', 'run_c'] as const;
const taskNames = ['a1', 'a2', 'c2'] as const;
const queues = ['q1', 'q2'] as const;
const sessions = ['ses_1', 'ses_2'] as const;

const anyRun = fc.constantFrom(...runs);
const anyTask = fc.record({
  task: fc.constantFrom(...taskNames),
  queue: fc.constantFrom(...queues),
  rank: fc.nat(3),
  delayMs: fc.option(fc.nat(50), { nil: null }),
});

/** What a generated change asks for; heads, tokens and instants are filled in from the model when it runs. */
const anyMove = fc.record({
  run: anyRun,
  /** The head that is expected, off the true one by this much. */
  headOff: fc.constantFrom(0, 0, 0, 0, 1, -1),
  ends: fc.constantFrom(false, false, false, true),
  lease: fc.option(fc.record({ task: fc.constantFrom(...taskNames), tokenOff: fc.constantFrom(0, 0, 0, -1, 1) }), {
    nil: null,
  }),
  unleased: fc.option(fc.constantFrom(...taskNames), { nil: null, freq: 6 }),
  dedupe: fc.option(fc.record({ key: fc.constantFrom('k1', 'k2'), ttlMs: fc.nat(60) }), { nil: null, freq: 3 }),
  opens: fc.array(anyTask, { maxLength: 1 }),
  requeues: fc.array(anyTask, { maxLength: 1 }),
  closes: fc.array(fc.constantFrom(...taskNames), { maxLength: 1 }),
  timers: fc.array(fc.record({ name: fc.constantFrom('t1', 't2'), inMs: fc.option(fc.nat(50), { nil: null }) }), {
    maxLength: 1,
  }),
  publishes: fc.nat(1),
});
type Move = typeof anyMove extends fc.Arbitrary<infer T> ? T : never;

/** A change that leaves the rows of the ended run in order, as every engine does. */
function changeOf(model: PlainStore, move: Move): PlainChange | null {
  const { run, lease } = move;
  if (model.ended.has(run)) return null;
  const head = model.heads.get(run) ?? 0;
  const dueAt = (delayMs: number | null): number | null => (delayMs === null ? null : model.nowMs + delayMs);
  const shaped = (task: Move['opens'][number]): PlainChange['opens'][number] => {
    const { delayMs, ...rest } = task;
    return { ...rest, dueAt: dueAt(delayMs) };
  };
  const mine = [...model.tasks.values()].filter((task) => task.run === run).map((task) => task.task);
  const myTimers = [...model.timers.values()].filter((timer) => timer.run === run);
  return {
    run,
    expected: Math.max(0, head + move.headOff),
    ends: move.ends,
    lease:
      lease === null
        ? null
        : { task: lease.task, token: (model.tasks.get(`${run}/${lease.task}`)?.token ?? 1) + lease.tokenOff },
    unleased: move.unleased,
    dedupe: move.dedupe === null ? null : { key: move.dedupe.key, expiresAt: model.nowMs + move.dedupe.ttlMs },
    opens: move.ends ? [] : move.opens.map(shaped),
    requeues: move.ends ? [] : move.requeues.map(shaped),
    closes: move.ends ? mine : move.closes,
    timers: move.ends
      ? myTimers.map(({ name }) => ({ name, fireAt: null }))
      : move.timers.map(({ name, inMs }) => ({ name, fireAt: dueAt(inMs) })),
    publishes: move.publishes,
  };
}

function transitionOf(change: PlainChange): Transition {
  const { run, expected, lease, unleased, opens, requeues, closes, timers } = change;
  const status = change.ends ? 'succeeded' : 'active';
  const seq = expected + 1;
  return {
    tenant,
    runs: [{ expected, row: runRow({ run, head: seq, status }) }],
    ...(lease === null ? {} : { lease: { tenant, run, ...lease } }),
    ...(unleased === null ? {} : { unleased: { tenant, run, task: unleased } }),
    dedupe:
      change.dedupe === null
        ? []
        : [dedupe({ key: change.dedupe.key, reference: run, expiresAt: change.dedupe.expiresAt })],
    events: [event(run, seq)],
    publishes: Array.from({ length: change.publishes }, () => topicEvent()),
    tasks: [
      ...opens.map((task) => ({ op: 'open' as const, run, task: newTask(task) })),
      ...requeues.map((task) => ({ op: 'requeue' as const, run, task: newTask(task) })),
      ...closes.map((task) => ({ op: 'close' as const, run, task })),
    ],
    timers: timers.map(({ name, fireAt }) =>
      fireAt === null ? { op: 'clear' as const, run, name } : { op: 'set' as const, run, name, fireAt },
    ),
  };
}

function command(
  name: string,
  run: (model: PlainStore, real: RealStore) => Promise<void>,
  check: (model: PlainStore) => boolean = () => true,
): StoreCommand {
  return { check, run, toString: () => name };
}

function applying(moves: readonly Move[]): StoreCommand {
  return command(`apply ${JSON.stringify(moves)}`, async (model, { store }) => {
    const tags: string[] = [];
    const transitions: Transition[] = [];
    for (const move of moves) {
      const change = changeOf(model, move);
      if (change === null) continue;
      transitions.push(transitionOf(change));
      tags.push(model.apply(change));
    }
    const outcomes = await store.apply(transitions);
    assert.deepEqual(
      outcomes.map((outcome) => outcome.tag),
      tags,
    );
  });
}

function claiming(name: string, wanted: readonly number[], limit: number): StoreCommand {
  return command(`claim ${name} ${wanted.join()} of ${limit}`, async (model, { store }) => {
    const asked = queues.map((queue, i) => ({ queue, limit: wanted[i] ?? 0 }));
    const claimed = await store.claim({ session: name, queues: asked, limit, assignmentFrom: 1 });
    const got = claimed.map(({ task }) => `${task.run}/${task.task}#${task.token}`);
    assert.deepEqual(got, model.claim(name, asked, limit));
    assert.deepEqual(
      claimed.map(({ head, task }) => [head, task.state, task.session]),
      claimed.map(({ task }) => [model.heads.get(task.run), 'leased', name]),
    );
  });
}

function releasing(run: string, task: string, tokenOff: number): StoreCommand {
  return command(`release ${run}/${task} ${tokenOff}`, async (model, { store }) => {
    const token = (model.tasks.get(`${run}/${task}`)?.token ?? 1) + tokenOff;
    assert.equal(await store.release([{ tenant, run, task, token }]), model.release(run, task, token));
  });
}

/** Looks at everything that can be seen of a store. */
const looking = command('look', async (model, { store }) => {
  for (const run of runs) {
    assert.equal((await store.readRun(tenant, run))?.head ?? 0, model.heads.get(run) ?? 0);
    const tasks = (await store.readTasks(tenant, run)).map(({ task, state, token, dueAt, session: holder }) => ({
      task,
      state,
      token,
      dueAt,
      holder,
    }));
    const expected = [...model.tasks.values()]
      .filter((task) => task.run === run)
      .map(({ task, state, token, dueAt, session: holder }) => ({ task, state, token, dueAt, holder }));
    assert.deepEqual(
      tasks,
      expected.sort((a, b) => (a.task < b.task ? -1 : 1)),
    );
    const events = await store.readEvents({ tenant, stream: run, after: 0, limit: 1_000 });
    assert.deepEqual(
      events.map((row) => row.seq),
      Array.from({ length: model.heads.get(run) ?? 0 }, (_, i) => i + 1),
    );
  }
  const counts: Record<string, number> = {};
  for (const row of await store.readTally())
    if (row.kind === 'task' && row.count > 0) counts[row.state] = (counts[row.state] ?? 0) + row.count;
  assert.deepEqual(counts, model.counts());
  const due = await store.dueTimers(100);
  assert.deepEqual(
    due.map((timer) => `${timer.run}/${timer.name}`),
    model.dueTimers(),
  );
  assert.equal(await store.nextDueAt(), model.nextDueAt());
  assert.equal((await store.readFeed({ after: 0, limit: 10_000 })).length, model.events);
  assert.equal((await store.listTopics(tenant))[0]?.head ?? 0, model.offset);
  const leases = (await store.listLeases({ limit: 100 })).length;
  assert.equal(leases, [...model.tasks.values()].filter((task) => task.state === 'leased').length);
});

/** Sequences of commands. */
export const storeCommands: fc.Arbitrary<Iterable<StoreCommand>> = fc.commands(
  [
    fc.array(anyMove, { minLength: 1, maxLength: 3 }).map(applying),
    fc.array(anyMove, { minLength: 1, maxLength: 1 }).map(applying),
    fc
      .tuple(fc.constantFrom(...sessions), fc.tuple(fc.nat(2), fc.nat(2)), fc.integer({ min: 1, max: 3 }))
      .map(([name, wanted, limit]) => claiming(name, wanted, limit)),
    fc
      .tuple(anyRun, fc.constantFrom(...taskNames), fc.constantFrom(0, 0, -1))
      .map(([run, task, tokenOff]) => releasing(run, task, tokenOff)),
    fc.constantFrom(...sessions).map((name) =>
      command(`open ${name}`, async (model, { store }) => {
        model.sessions.add(name);
        await store.openSession(session({ session: name }));
      }),
    ),
    fc.constantFrom(...sessions).map((name) =>
      command(`close ${name}`, async (model, { store }) => {
        model.sessions.delete(name);
        await store.closeSession(name);
      }),
    ),
    fc.integer({ min: 1, max: 60 }).map((ms) =>
      command(`advance ${ms}`, async (model, { clock }) => {
        model.nowMs += ms;
        clock.advance(ms);
      }),
    ),
    fc.constant(
      command('promote', async (model, { store }) => {
        assert.equal(await store.promoteDue(100), model.promoteDue());
      }),
    ),
    fc.constant(looking),
  ],
  { maxCommands: 60, size: 'max' },
);

/** Where every sequence begins: sessions are open and runs have a task, so that few commands reach far. */
export async function begin(model: PlainStore, real: RealStore): Promise<void> {
  for (const name of sessions) {
    model.sessions.add(name);
    await real.store.openSession(session({ session: name }));
  }
  const first = { task: 'a1', queue: 'q1', rank: 1, dueAt: null } as const;
  for (const run of runs) {
    const change: PlainChange = {
      run,
      expected: 0,
      ends: false,
      lease: null,
      unleased: null,
      dedupe: null,
      opens: [first],
      requeues: [],
      closes: [],
      timers: [],
      publishes: 0,
    };
    model.apply(change);
    await real.store.apply([transitionOf(change)]);
  }
}

/** The last look of every sequence. */
export const lastLook: StoreCommand = looking;
