/**
 * What workers are sent of the tasks they hold: the assignment with its journal, then what is committed after it.
 *
 * Invariant: over one line the holder of an activation is sent each event after its journal once and in `seq` order,
 * whichever of claim, read and commit is answered first: what is committed before the journal is sent is kept back.
 */
import { hasCode } from '../../core/errors.js';
import type { RunEvent } from '../../core/run/events.js';
import { foldRun, isEnded } from '../../core/run/state.js';
import type { ActivationAssignment, Assignment, Resume } from '../../protocol/worker.js';
import type { ClaimedTask } from '../../store/contract.js';
import type { WorkerChannel } from '../api.js';
import type { EngineContext } from '../context.js';
import { payloadOf } from '../events/envelope-writer.js';
import { readRunEvent, type StoredRunEvent } from '../events/rows.js';
import { runKey, type CommittedChange } from '../runs/committed.js';
import { journalEntry, journalOf } from '../../core/run/journal.js';
import type { Lanes } from '../runs/lanes.js';
import { endOf } from './assignment-end.js';
import type { OwnedSessions } from './owned-sessions.js';
import type { Held, Session } from './session.js';

/** A claimed task, and what the session holds of it since. */
export interface FreshTask {
  readonly task: ClaimedTask;
  readonly held: Held;
}

export class Delivery {
  readonly #context: EngineContext;
  readonly #lanes: Pick<Lanes, 'adopt' | 'toldOf'>;
  readonly #sessions: OwnedSessions;

  /** `lanes` are given the states that are folded on the way. */
  constructor(context: EngineContext, lanes: Pick<Lanes, 'adopt' | 'toldOf'>, sessions: OwnedSessions) {
    this.#context = context;
    this.#lanes = lanes;
    this.#sessions = sessions;
  }

  /**
   * Sends what was just claimed. Resolves to what was not sent because only a newer server can read it. Where it rejects,
   * what was not sent has a `sentSeq` below 0.
   */
  async sendClaimed(session: Session, fresh: readonly FreshTask[]): Promise<readonly Held[]> {
    const unreadable: Held[] = [];
    // Histories are read in one go, and only for runs that have more than their first event.
    // A commit that the store answered before the claim was told to nobody: its holder was not known yet.
    const long = fresh.filter(
      ({ task, held }) => task.task.kind === 'activation' && Math.max(task.head, this.#lanes.toldOf(held.key)) > 1,
    );
    const histories = new Map<string, StoredRunEvent[]>();
    if (long.length > 0) {
      const keys = long.map(({ task }) => ({ tenant: task.task.tenant, run: task.task.run }));
      const rows = await this.#context.store.readHistories(keys);
      keys.forEach((key, i) => histories.set(runKey(key.tenant, key.run), (rows[i] ?? []).map(readRunEvent)));
    }
    for (const { task, held } of fresh) {
      if (session.held.get(held.number) !== held) {
        // It was taken away before it was sent; the worker is owed its number all the same.
        session.abort(held.number, 'ended');
        continue;
      }
      try {
        this.#send(session, task, held, histories);
      } catch (error) {
        // A run that only a newer server can read must not keep those behind it from being sent.
        if (!hasCode(error, 'EVENT_UNKNOWN')) throw error;
        const { message, mend } = error;
        this.#context.log({ level: 'warn', message, fields: { run: held.lease.run, mend } });
        unreadable.push(held);
      }
    }
    return unreadable;
  }

  #send(session: Session, task: ClaimedTask, held: Held, histories: ReadonlyMap<string, StoredRunEvent[]>): void {
    const input = readRunEvent(task.input);
    const assignment =
      task.task.kind === 'activation'
        ? this.#activation(session, task, held, input, histories)
        : callAssignment(task, held, input);
    if (assignment === null) return;
    session.assign(assignment);
    if (held.kind === 'call') held.sentSeq = 0;
  }

  #activation(
    session: Session,
    task: ClaimedTask,
    held: Held,
    input: StoredRunEvent,
    histories: ReadonlyMap<string, StoredRunEvent[]>,
  ): Assignment | null {
    const { tenant, run } = held.lease;
    const history = histories.get(held.key) ?? [input];
    const events = history.map((stored) => stored.event);
    const state = foldRun(tenant, run, events);
    // The run ended between the claim and the read; its task is gone.
    if (isEnded(state.status)) {
      this.#sessions.drop(session, held);
      session.abort(held.number, 'ended');
      return null;
    }
    const payload = payloadOf(input.envelope, task.input.payload);
    if (payload === null) throw new Error(`Invariant broken: run ${run} has no input`);
    const journal = journalOf(events);
    this.#lanes.adopt(state);
    const { workflow, version, startedAt, activation, traceparent } = state;
    const assignment: Assignment = {
      kind: 'activation',
      assignment: held.number,
      tenant,
      run,
      task: held.lease.task,
      attempt: activation.attempt,
      deadlineMs: held.deadlineMs,
      traceparent,
      input: payload,
      workflow,
      version,
      startedAt,
      ...(state.labels === null ? {} : { labels: state.labels }),
      ...writtenOf(input.event),
      journal,
    };
    this.#sendEarly(session, held, journal.head);
    return assignment;
  }

  /** From now on committed events go straight to the worker; those that came meanwhile follow the journal. */
  #sendEarly(session: Session, held: Held, head: number): void {
    held.sentSeq = head;
    for (const entry of held.early) {
      if (entry.seq <= held.sentSeq) continue;
      held.sentSeq = entry.seq;
      session.deliver(held.number, entry);
    }
    held.early.length = 0;
  }

  #deliverFrom(session: Session, held: Held, events: readonly RunEvent[], seen: number): void {
    held.sentSeq = seen;
    for (const event of events) {
      if (event.seq <= held.sentSeq) continue;
      held.sentSeq = event.seq;
      const entry = journalEntry(event, true);
      if (entry !== null) session.deliver(held.number, entry);
    }
    this.#sendEarly(session, held, held.sentSeq);
  }

  async #history(tenant: string, run: string): Promise<StoredRunEvent[]> {
    const [rows] = await this.#context.store.readHistories([{ tenant, run }]);
    return (rows ?? []).map(readRunEvent);
  }

  /** Sends what was committed while the line was down. */
  async catchUp(session: Session, resume: Resume, channel: WorkerChannel): Promise<void> {
    const bodies: { readonly held: Held; readonly seen: number }[] = [];
    for (const { assignment, seen } of resume.holding) {
      const held = session.held.get(assignment);
      if (held === undefined || held.kind !== 'activation') continue;
      // From here on what is committed is kept back, for all of them, until each has its history.
      held.sentSeq = -1;
      held.early.length = 0;
      bodies.push({ held, seen });
    }
    for (const { held, seen } of bodies) {
      const events = await this.#history(held.lease.tenant, held.lease.run);
      // The worker has come back once more meanwhile, and is caught up over that line.
      if (session.channel !== channel) return;
      this.#deliverFrom(
        session,
        held,
        events.map((stored) => stored.event),
        seen,
      );
    }
  }

  /** Forwards committed events to the workers that hold the run, and takes away what the commit has ended. */
  committed(change: CommittedChange): void {
    const holders = this.#sessions.holders(change.key);
    if (holders === undefined) return;
    for (const { session, held } of holders) {
      const own = held.lease.task === change.task;
      const end = endOf(change, held);
      // What came after the end is for whoever has the run then.
      if (held.kind === 'activation') this.#forward(session, held, change, own, end?.seq ?? Number.MAX_SAFE_INTEGER);
      if (end === null) continue;
      this.#sessions.drop(session, held);
      if (!own) session.abort(held.number, end.reason);
    }
  }

  #forward(session: Session, held: Held, change: CommittedChange, own: boolean, upTo: number): void {
    for (const event of change.events) {
      if (event.seq > upTo) return;
      const entry = journalEntry(event, !own);
      if (entry === null) continue;
      if (held.sentSeq < 0) held.early.push(entry);
      else if (entry.seq > held.sentSeq) {
        held.sentSeq = entry.seq;
        session.deliver(held.number, entry);
      }
    }
  }
}

/** What the input was written under, where it is the data of an event; an input that a person has edited is of today. */
function writtenOf(input: RunEvent): Partial<Pick<ActivationAssignment, 'event'>> {
  if (input.type !== 'run.started' || input.data.trigger?.schema === undefined) return {};
  const { topic, schema } = input.data.trigger;
  return { event: { topic, schema } };
}

function callAssignment(task: ClaimedTask, held: Held, input: StoredRunEvent): Assignment {
  const { tenant, run } = held.lease;
  const { event, envelope } = input;
  const payload = payloadOf(envelope, task.input.payload);
  if (event.type !== 'call.scheduled' || payload === null)
    throw new Error(`Invariant broken: task ${held.lease.task} of run ${run} has no input`);
  return {
    kind: 'call',
    assignment: held.number,
    tenant,
    run,
    task: held.lease.task,
    attempt: task.task.attempt,
    deadlineMs: held.deadlineMs,
    traceparent: envelope.traceparent,
    input: payload,
    capability: event.data.capability,
    idempotencyKey: `${tenant}/${run}/${event.data.path}`,
  };
}
