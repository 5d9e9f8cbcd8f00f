import { describe, expect, it } from 'vitest';
import { limits } from '../../core/limits.js';
import { nodePorts } from '../../runtime/index.js';
import type { ClaimRequest, ClaimedTask, Store, TaskRow } from '../../store/contract.js';
import type { EngineContext } from '../context.js';
import { Claims } from './claims.js';
import { OwnedSessions } from './owned-sessions.js';
import { Session, type Held } from './session.js';

const queue = 'workflow:answer';

function leasedTo(session: string, assignment: number): TaskRow {
  return {
    tenant: 'default',
    run: `run_${session}_${assignment}`,
    task: 'a1',
    kind: 'activation',
    queue,
    rank: 0,
    state: 'leased',
    attempt: 1,
    token: 1,
    deadlineMs: 60_000,
    inputSeq: 1,
    dueAt: null,
    limitKey: null,
    session,
    assignment,
    leasedAt: 0,
    readyAt: 0,
  };
}

function claimed(session: string, assignment: number): ClaimedTask {
  return { task: leasedTo(session, assignment), head: 1, input: {} as ClaimedTask['input'] };
}

interface Answers {
  readonly claim?: (request: ClaimRequest) => Promise<ClaimedTask[]>;
  readonly send?: () => Promise<readonly Held[]>;
  /** What the store has leased to a session. */
  readonly leases?: () => TaskRow[];
  readonly release?: () => Promise<void>;
  readonly owns?: boolean;
}

/** Claims over a store that answers so, and sessions by name with this much credit. */
function claimsOver(credits: Readonly<Record<string, number>>, answers: Answers = {}) {
  const asked: ClaimRequest[] = [];
  const released: string[] = [];
  const faults: string[] = [];
  let timers: (() => void)[] = [];
  const clock = { now: () => 0, monotonicMs: () => 1_234 };
  const ports = {
    ...nodePorts,
    clock,
    timers: { after: (_: number, fn: () => void) => (timers.push(fn), () => undefined), turn: () => undefined },
  };
  const store: Pick<Store, 'claim' | 'release' | 'listLeases'> = {
    claim: (request) => {
      asked.push(request);
      return answers.claim?.(request) ?? new Promise(() => undefined);
    },
    release: async (leases) => {
      await answers.release?.();
      released.push(...leases.map(({ run }) => run));
      return leases.length;
    },
    listLeases: () => Promise.resolve(answers.leases?.() ?? []),
  };
  const context = { store, ports, fault: (what: string) => faults.push(what) } as unknown as EngineContext;
  const sessions = new OwnedSessions(clock, { watch: () => undefined });
  for (const [name, credit] of Object.entries(credits)) {
    const session = new Session(
      {
        session: name,
        worker: name,
        app: 'app',
        manifest: 'm',
        slots: credit,
        queues: [queue],
        host: null,
        pid: null,
        inProcess: false,
      },
      0,
      ports,
      () => true,
    );
    session.channel = { send: () => undefined, bufferedBytes: () => 0, close: () => undefined };
    session.creditUpTo = credit;
    sessions.add(session);
  }
  const session = (name: string): Session => sessions.get(name) ?? expect.fail(`no session ${name}`);
  const claims = new Claims({
    context,
    sessions,
    delivery: { sendClaimed: () => answers.send?.() ?? Promise.resolve([]) },
    heartbeats: { stillOwns: () => Promise.resolve(answers.owns ?? true) },
  });
  return {
    claims,
    asked,
    released,
    faults,
    session,
    /** Takes up a task as if an earlier claim had brought it. */
    hold: (name: string, assignment: number): Held => sessions.hold(session(name), leasedTo(name, assignment), 1),
    /** What each claim so far wanted, by session. */
    wanted: () => asked.map(({ session, queues }) => `${session} ${queues.map(({ limit }) => limit).join()}`).sort(),
    pending: () => timers.length,
    /** Lets the timers fire that are set by now, and what follows of itself. */
    later: async () => {
      const due = timers;
      timers = [];
      for (const fire of due) fire();
      await quiet();
    },
  };
}

/** Everything that waits for nothing but answers that are there has happened. */
const quiet = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('Claims', () => {
  it('shares the work out among those who have credit', () => {
    const { claims, wanted } = claimsOver({ a: 8, b: 8, c: 8, idle: 0 });
    claims.ready(queue, 6);
    expect(wanted()).toEqual(['a 2', 'b 2', 'c 2']);
  });

  it('lets each have its turn where there is less than one task for each', async () => {
    const { claims, wanted } = claimsOver(
      { a: 8, b: 8, c: 8 },
      { claim: async ({ session, assignmentFrom }) => [claimed(session, assignmentFrom)] },
    );
    for (let i = 0; i < 3; i++) {
      claims.ready(queue, 1);
      await quiet();
    }
    expect(wanted()).toEqual(['a 1', 'b 1', 'c 1']);
  });

  it('claims nothing where nothing is ready, and no more than a session takes', () => {
    const { claims, wanted } = claimsOver({ a: 2 });
    claims.pump();
    expect(wanted()).toEqual([]);
    claims.ready(queue, 100);
    expect(wanted()).toEqual(['a 2']);
  });

  it('has one claim of a session under way, and claims on when it is answered', async () => {
    const answers = [[claimed('a', 1), claimed('a', 2)], []];
    const { claims, asked, session } = claimsOver(
      { a: 4 },
      { claim: () => Promise.resolve().then(() => answers.shift() ?? []) },
    );
    claims.ready(queue, 2);
    claims.ready(queue, 1);
    expect(asked).toMatchObject([{ assignmentFrom: 1 }]);
    await quiet();
    expect(asked).toMatchObject([{ assignmentFrom: 1 }, { assignmentFrom: 3 }]);
    expect([...session('a').held.keys()]).toEqual([1, 2]);
    expect(claims.lastClaimMs(queue)).toBe(1_234);
  });

  it('believes that a queue is empty of which it got less than it wanted', async () => {
    const { claims, asked } = claimsOver({ a: 4 }, { claim: async () => [claimed('a', 1)] });
    claims.ready(queue, 3);
    await quiet();
    claims.pump();
    expect(asked).toHaveLength(1);
    claims.raiseHint(queue, 2);
    claims.pump();
    expect(asked).toHaveLength(2);
  });

  it('gives back what could not be sent', async () => {
    const { claims, released, session, faults } = claimsOver(
      { a: 1 },
      { claim: async () => [claimed('a', 1)], send: () => Promise.reject(new Error('cannot be read')) },
    );
    claims.ready(queue, 1);
    await quiet();
    expect(released).toEqual(['run_a_1']);
    expect(session('a').held.size).toBe(0);
    expect(faults).toEqual(['claim']);
  });

  it('claims nothing more after a claim that failed, until strays are given back', async () => {
    const { claims, asked, released, later, hold } = claimsOver(
      { a: limits.workerSlotsMax },
      {
        claim: () => Promise.reject(new Error('no answer')),
        leases: () => [leasedTo('a', 1), leasedTo('a', 2)],
      },
    );
    hold('a', 1);
    claims.ready(queue, 1);
    await quiet();
    claims.ready(queue, 1);
    expect(asked).toHaveLength(1);
    await later();
    expect(released).toEqual(['run_a_2']);
    expect(asked).toHaveLength(2);
  });

  it('doubts a release that failed as well, and looks again until the store has answered', async () => {
    let answers = false;
    const { claims, asked, released, later, faults, session, hold } = claimsOver(
      { a: 1 },
      {
        release: () => (answers ? Promise.resolve() : Promise.reject(new Error('no answer'))),
        leases: () => [leasedTo('a', 1)],
      },
    );
    await expect(claims.giveBack(session('a'), [hold('a', 1)])).rejects.toThrow('no answer');
    await later();
    expect(faults).toEqual(['reconciliation']);
    claims.ready(queue, 1);
    expect(asked).toEqual([]);
    answers = true;
    await later();
    expect(released).toEqual(['run_a_1']);
    expect(asked).toHaveLength(1);
  });

  it('leaves the leases of a session alone that another server has taken', async () => {
    const { claims, released, later, session } = claimsOver(
      { a: 1 },
      { claim: () => Promise.reject(new Error('no answer')), leases: () => [leasedTo('a', 7)], owns: false },
    );
    claims.ready(queue, 1);
    await quiet();
    await later();
    expect(released).toEqual([]);
    expect(session('a').unsure).toBe(true);
  });

  it('claims nothing once it has ceased, and compares nothing once it is stopped', async () => {
    const { claims, asked, later, pending, session } = claimsOver({ a: 1 }, { leases: () => expect.fail('asked') });
    claims.cease();
    claims.ready(queue, 1);
    expect(asked).toEqual([]);
    claims.doubt(session('a'));
    claims.stop();
    await later();
    expect(pending()).toBe(0);
    expect(session('a').unsure).toBe(true);
  });
});
