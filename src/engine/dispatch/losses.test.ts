import { describe, expect, it } from 'vitest';
import { nodePorts } from '../../runtime/index.js';
import type { LeaseKey, TaskRow } from '../../store/contract.js';
import type { EngineContext } from '../context.js';
import type { JobOutcome, LaneJob } from '../runs/lanes.js';
import { Losses, type LossesOptions } from './losses.js';
import { OwnedSessions } from './owned-sessions.js';
import { Session, type Held } from './session.js';

const deadlineMs = 60_000;
const beatMs = 1_000;

interface Answers {
  /** There are neighbours, and this says whether the session is still owned here. */
  readonly owns?: () => Promise<boolean>;
  readonly outcome?: JobOutcome;
}

function leased(assignment: number): TaskRow {
  const task = { tenant: 'default', run: `run_${assignment}`, task: 'a1', token: 1, kind: 'activation', queue: 'q' };
  return { ...task, deadlineMs, session: 's', assignment } as TaskRow;
}

/** Losses of one session that holds these assignments since the beginning of time, over a store that answers so. */
function lossesOf(numbers: readonly number[], answers: Answers = {}) {
  let nowMs = 0;
  const lost: string[] = [];
  const released: string[] = [];
  const givenBack: number[] = [];
  const hinted: string[] = [];
  const looksAtMs: number[] = [];
  let pumped = 0;
  let doubted = 0;
  const clock = { now: () => 0, monotonicMs: () => nowMs };
  const ports = { ...nodePorts, clock, timers: { after: () => () => undefined, turn: () => undefined } };
  const context = {
    store: {
      shared: answers.owns !== undefined,
      release: async (leases: readonly LeaseKey[]) => released.push(...leases.map(({ run }) => run)),
    },
    ports,
    settings: { sessionBeatMs: beatMs },
    fault: () => undefined,
  } as unknown as EngineContext;
  const sessions = new OwnedSessions(clock, { watch: () => undefined });
  const session = new Session(
    {
      session: 's',
      worker: 'w',
      app: 'app',
      manifest: 'm',
      slots: 8,
      queues: ['q'],
      host: null,
      pid: null,
      inProcess: false,
    },
    0,
    ports,
    () => true,
  );
  sessions.add(session);
  for (const number of numbers) sessions.hold(session, leased(number), 1);
  const claims: LossesOptions['claims'] = {
    giveBack: async (_, given) => void givenBack.push(...given.map(({ number }) => number)),
    doubt: () => (doubted += 1),
    hint: (queue, count) => hinted.push(`${queue} ${count}`),
    pump: () => (pumped += 1),
  };
  const losses = new Losses({
    context,
    lanes: {
      submit: async ({ run, lease }: LaneJob) => {
        lost.push(`${run} ${lease?.token}`);
        return answers.outcome ?? { tag: 'applied', head: 2 };
      },
    },
    sessions,
    claims,
    heartbeats: { stillOwns: () => answers.owns?.() ?? Promise.resolve(true) },
    deadlines: { watch: (dueAtMs) => looksAtMs.push(dueAtMs) },
  });
  return {
    losses,
    session,
    held: (number: number): Held => session.held.get(number) ?? expect.fail(`${number} is not held`),
    lost,
    released,
    givenBack,
    hinted,
    looksAtMs,
    pumped: () => pumped,
    doubted: () => doubted,
    at: (ms: number) => (nowMs = ms),
  };
}

/** Everything that waits for nothing but answers that are there has happened. */
const quiet = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('Losses', () => {
  it('end what made no progress for as long as its deadline, and say when to look again', async () => {
    const { losses, session, held, lost, at } = lossesOf([1, 2]);
    held(1).movedAtMs = 5_000;
    at(deadlineMs);
    expect(losses.endOverdue()).toBe(deadlineMs + 5_000);
    await quiet();
    expect(lost).toEqual(['run_2 1']);
    expect([...session.held.keys()]).toEqual([1]);
    at(deadlineMs + 5_000);
    expect(losses.endOverdue()).toBeNull();
    expect(session.held.size).toBe(0);
  });

  it('leave alone what is overdue in a session that another server has taken', async () => {
    const { losses, session, lost, at } = lossesOf([1], { owns: () => Promise.resolve(false) });
    at(deadlineMs);
    losses.endOverdue();
    await quiet();
    expect(lost).toEqual([]);
    expect(session.held.size).toBe(1);
  });

  it('leave alone what has moved on while the store was asked', async () => {
    const { losses, held, lost, at } = lossesOf([1], {
      owns: async () => {
        held(1).movedAtMs = deadlineMs;
        return true;
      },
    });
    at(deadlineMs);
    losses.endOverdue();
    await quiet();
    expect(lost).toEqual([]);
  });

  it('look again soon where the store does not say whose the session is', async () => {
    const { losses, lost, looksAtMs, at } = lossesOf([1], { owns: () => Promise.reject(new Error('no answer')) });
    at(deadlineMs);
    losses.endOverdue();
    await quiet();
    expect(lost).toEqual([]);
    expect(looksAtMs).toEqual([deadlineMs + 1_000]);
  });

  it('have the leases of a session compared where a loss could not be written', async () => {
    const outcome = { tag: 'error', error: new Error('no answer') } as const;
    const { losses, at, doubted } = lossesOf([1], { outcome });
    at(deadlineMs);
    losses.endOverdue();
    await quiet();
    expect(doubted()).toBe(1);
  });

  it('count an attempt only of what the dead worker had received', async () => {
    const { losses, lost, released, hinted, pumped } = lossesOf([]);
    await losses.loseLeases([leased(1), leased(2), leased(3)], 2);
    expect(lost).toEqual(['run_1 1', 'run_2 1']);
    expect(released).toEqual(['run_3']);
    expect(hinted).toEqual(['q 1', 'q 1', 'q 1']);
    expect(pumped()).toBeGreaterThan(0);
  });

  it('give a row back whose task the log no longer knows, and not one that is leased anew', async () => {
    const gone = lossesOf([], { outcome: { tag: 'refused', reason: 'stale_task' } });
    await gone.losses.loseLeases([leased(1)], 1);
    expect(gone.released).toEqual(['run_1']);
    const anew = lossesOf([], { outcome: { tag: 'refused', reason: 'fenced' } });
    await anew.losses.loseLeases([leased(1)], 1);
    expect(anew.released).toEqual([]);
  });

  it('recall what a living worker has not received after several heartbeats', async () => {
    const { losses, session, held, givenBack, at } = lossesOf([1, 2, 3]);
    session.received = 1;
    at(3 * beatMs + 1);
    held(3).movedAtMs = beatMs;
    await losses.recallUnreceived();
    expect(givenBack).toEqual([2]);
  });
});
