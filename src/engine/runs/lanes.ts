/**
 * Lanes: the commands of one run are decided and committed one after the other, in the order in which they came; those
 * of different runs go side by side and share group commits. A lane keeps the folded state of its run, guarded by the
 * expected head: whoever else has moved the run meanwhile makes the commit a conflict, and the lane reads anew.
 *
 * Invariant: a state in a lane that is idle equals the fold of the run's committed events.
 */
import { SpineError, assertNever } from '../../core/errors.js';
import { limits } from '../../core/limits.js';
import { decide, type DecideContext, type Refusal } from '../../core/run/decide.js';
import type { RunCommand } from '../../core/run/commands.js';
import type { NewRunEvent } from '../../core/run/events.js';
import { activationTask, foldRun, isEnded, type RunState } from '../../core/run/state.js';
import type { Payload } from '../../core/payload.js';
import type { LeaseKey, Outcome, Transition } from '../../store/contract.js';
import type { EngineContext } from '../context.js';
import { readRunEvent } from '../events/rows.js';
import type { Catalog } from '../intake/catalog.js';
import type { RunBirth } from '../intake/birth.js';
import { preparePublication, type Publication, type TopicEvent } from '../intake/topics.js';
import { changeRun, newDeadLetterId, type RunChange } from './change.js';
import { runKey, type CommitListener, type CommittedChange } from './committed.js';

/** Commands that are applied together or not at all, and where they come from. */
export interface LaneJob {
  readonly tenant: string;
  readonly run: string;
  readonly commands: readonly RunCommand[];
  readonly actor: string;
  /** Worker's name for the record; empty where no worker is involved. */
  readonly worker: string;
  /** The lease under which the commands come. */
  readonly lease: LeaseKey | null;
  /** A state from before this event of the run is too old to decide on. Default: the state that is there will do. */
  readonly atLeast?: number;
}

export type JobOutcome =
  | { readonly tag: 'applied'; readonly head: number }
  /** Everything asked for was there already. */
  | { readonly tag: 'already'; readonly head: number }
  | { readonly tag: 'refused'; readonly reason: Refusal | 'fenced' | 'not_found' }
  | { readonly tag: 'error'; readonly error: Error };

/** Reads plain JSON out of a payload that a body emitted, for the schema of the topic. */
export type PlainValue = (payload: Payload) => unknown;

/** New runs, and what is written together with them. */
export interface Bearing {
  readonly births: readonly RunBirth[];
  readonly transition: Transition;
  readonly actor: string;
}

interface Lane {
  readonly key: string;
  readonly tenant: string;
  readonly run: string;
  state: RunState | null;
  readonly queue: Pending[];
  busy: boolean;
  /** Was asked for since eviction last came by. */
  used: boolean;
  /** Head up to which the listeners were told; null = nothing was told of this run since the lane is there. */
  told: number | null;
  /** A commit or a read has failed: what the run has come to must be looked up, and told. */
  unsure: boolean;
}

interface Pending {
  readonly job: LaneJob;
  readonly resolve: (outcome: JobOutcome) => void;
  /** Topics whose event was already published under its id: the emit is recorded, nothing is published again. */
  published: Set<string> | null;
  attempts: number;
  /** Must not share a transition with others. */
  alone: boolean;
  answered: boolean;
  /** For `cancel`: somebody turned out to hold the activation. */
  leased: boolean;
}

/** A commit that meets a conflict this often has a competitor that never rests; give the caller the say. */
const conflictsMax = 20;

export class Lanes {
  readonly #context: EngineContext;
  readonly #catalog: Catalog;
  readonly #plain: PlainValue;
  readonly #opening: (transition: Transition) => void;
  readonly #seen: (key: string) => number | null;
  readonly #lanes = new Map<string, Lane>();
  readonly #listeners: CommitListener[] = [];
  #stopped = false;

  /**
   * `opening` hears of each transition that was handed to the store, before it is committed. `seen` knows the newest
   * event of a run that all its holders here were told of; null = nobody here holds it.
   */
  constructor(
    context: EngineContext,
    catalog: Catalog,
    plain: PlainValue,
    opening: (transition: Transition) => void,
    seen: (key: string) => number | null,
  ) {
    this.#opening = opening;
    this.#seen = seen;
    this.#context = context;
    this.#catalog = catalog;
    this.#plain = plain;
  }

  /** Called after each commit, in commit order of each run. */
  onCommit(listener: CommitListener): void {
    this.#listeners.push(listener);
  }

  submit(job: LaneJob): Promise<JobOutcome> {
    return new Promise((resolve) => {
      const lane = this.#laneOf(job.tenant, job.run);
      lane.queue.push({
        job,
        resolve,
        published: null,
        attempts: 0,
        alone: false,
        answered: false,
        leased: false,
      });
      if (!lane.busy) this.#work(lane).catch((error: unknown) => this.#context.fault('lane', error));
    });
  }

  /**
   * Writes the births of new runs, each with the rest of its transition, in one call of the store, and tells the
   * listeners. One outcome for each, in the order given; at most `limits.commitItemsMax`. Rejects where nothing is stored.
   */
  async bear(bearings: readonly Bearing[]): Promise<readonly Outcome[]> {
    const transitions = bearings.map(({ transition, births }) => withBirths(transition, births));
    const applied = this.#context.store.apply(transitions);
    for (const transition of transitions) this.#opening(transition);
    const outcomes = await applied;
    for (let i = 0; i < bearings.length; i++) {
      const bearing = bearings[i];
      if (bearing === undefined || outcomes[i]?.tag !== 'applied') continue;
      for (const { state, change } of bearing.births) {
        const key = runKey(state.tenant, state.run);
        this.#tell(this.#lanes.get(key), key, state, change.events, bearing.actor, null);
      }
    }
    return outcomes;
  }

  /**
   * Another server has written event `seq` of the run. Where somebody here holds it, the listeners are told of what
   * they have missed; where nobody does, a state that is kept is dropped as too old.
   */
  moved(tenant: string, run: string, seq: number): void {
    const key = runKey(tenant, run);
    const lane = this.#lanes.get(key);
    if (lane?.told !== undefined && lane.told !== null && lane.told >= seq) return;
    if (this.#seen(key) !== null) {
      void this.submit({ tenant, run, commands: [], actor: 'engine', worker: '', lease: null, atLeast: seq });
    } else if (lane?.busy === false && lane.state !== null && lane.state.head < seq) {
      lane.state = null;
      lane.told = null;
    }
  }

  /** Keeps a state that was just read or written, unless the lane has one or knows of a later one. */
  adopt(state: RunState): void {
    if (isEnded(state.status)) return;
    const lane = this.#laneOf(state.tenant, state.run);
    if (lane.busy || lane.state !== null || lane.unsure || (lane.told !== null && lane.told !== state.head)) return;
    // Who else holds the run may not have heard of all this, if neighbours wrote it.
    if (this.#context.store.shared && (this.#seen(lane.key) ?? state.head) < state.head) return;
    lane.state = state;
    lane.told = state.head;
  }

  /** Ends what lanes do by themselves. Commands under way are answered by the store. */
  stop(): void {
    this.#stopped = true;
  }

  #laneOf(tenant: string, run: string): Lane {
    const key = runKey(tenant, run);
    const found = this.#lanes.get(key);
    if (found !== undefined) {
      found.used = true;
      return found;
    }
    const lane: Lane = { key, tenant, run, state: null, queue: [], busy: false, used: true, told: null, unsure: false };
    this.#lanes.set(key, lane);
    if (this.#lanes.size > limits.runCacheItemsMax) this.#evict();
    return lane;
  }

  /** Second chance: a lane that was used since the last round goes to the young end of the map, another leaves. */
  #evict(): void {
    let examined = 0;
    for (const [key, lane] of this.#lanes) {
      if (lane.used) {
        lane.used = false;
        this.#lanes.delete(key);
        this.#lanes.set(key, lane);
      } else if (!lane.busy && !lane.unsure && lane.queue.length === 0) this.#lanes.delete(key);
      if (++examined >= evictExamineMax || this.#lanes.size <= limits.runCacheItemsMax) return;
    }
  }

  async #work(lane: Lane): Promise<void> {
    lane.busy = true;
    try {
      while (lane.queue.length > 0) {
        const group = takeGroup(lane.queue);
        try {
          await this.#handle(lane, group);
        } catch (error) {
          lane.state = null;
          lane.unsure = true;
          // One bad command must not sink those that came with it.
          if (group.length > 1) lane.queue.unshift(...group.filter((pending) => !pending.answered).map(alone));
          else
            for (const pending of group)
              answer(pending, { tag: 'error', error: error instanceof Error ? error : new Error(String(error)) });
        }
      }
    } finally {
      lane.busy = false;
      if (lane.unsure) this.#lookUpLater(lane);
      else if (lane.state !== null && isEnded(lane.state.status)) this.#lanes.delete(lane.key);
    }
  }

  /** A commit that was answered with an error may be durable, and nobody may ever ask for this run again. */
  #lookUpLater({ key, tenant, run }: Lane): void {
    this.#context.ports.timers.after(lookUpMs, () => {
      if (this.#stopped || this.#lanes.get(key)?.unsure !== true) return;
      void this.submit({ tenant, run, commands: [], actor: 'engine', worker: '', lease: null });
    });
  }

  /** Decides and commits jobs that come under one lease as one transition, until each has its answer. */
  async #handle(lane: Lane, group: readonly Pending[]): Promise<void> {
    const atLeast = Math.max(...group.map(({ job }) => job.atLeast ?? 0));
    if (lane.state !== null && lane.state.head < atLeast) lane.state = null;
    // A neighbour may have moved the run on from what is remembered here, and only a commit would show it.
    const mayBeOld = this.#context.store.shared && lane.state !== null;
    lane.state ??= await this.#load(lane);
    const { state } = lane;
    if (state === null) {
      for (const pending of group) answer(pending, { tag: 'refused', reason: 'not_found' });
      return;
    }
    const at = this.#context.store.now();
    const parts: Part[] = [];
    for (const pending of group) {
      const decided = this.#decide(pending, state, at);
      if (mayBeOld && pending.job.commands.length > 0 && writesNothing(decided)) {
        lane.state = null;
        lane.queue.unshift(...group.filter((other) => !other.answered));
        return;
      }
      if (decided.tag === 'refused' && decided.dirty) {
        // The state holds half of a refused job. Throw it away; the others are decided again without that job.
        lane.state = null;
        answer(pending, { tag: 'refused', reason: decided.reason });
        lane.queue.unshift(...group.filter((other) => other !== pending && !other.answered));
        return;
      }
      if (decided.tag === 'refused') answer(pending, { tag: 'refused', reason: decided.reason });
      else if (decided.changes.length === 0) answer(pending, { tag: 'already', head: state.head });
      else parts.push({ pending, ...decided });
    }
    if (parts.length === 0) return;
    const { transition, births } = this.#transition(parts, state);
    const outcome = await this.#apply(transition);
    const again = this.#settle(lane, state, parts, outcome, births);
    if (again.length > 0) lane.queue.unshift(...again);
  }

  async #apply(transition: Transition): Promise<Outcome> {
    const applied = this.#context.store.apply([transition]);
    this.#opening(transition);
    const [outcome] = await applied;
    if (outcome === undefined) throw new Error('Invariant broken: the store answered fewer outcomes than transitions');
    return outcome;
  }

  /** Folds the run anew, and tells the listeners of what they have missed. */
  async #load(lane: Lane): Promise<RunState | null> {
    const { tenant, run } = lane;
    const [history] = await this.#context.store.readHistories([{ tenant, run }]);
    lane.unsure = false;
    if (history === undefined || history.length === 0) return null;
    const stored = history.map(readRunEvent);
    this.#context.envelopes.observe(stored.at(-1)?.envelope.hlc ?? '');
    const state = foldRun(
      tenant,
      run,
      stored.map(({ event }) => event),
    );
    // What was written by neighbours before this server had anything to do with the run is still news to its holders.
    const told = lane.told ?? (this.#context.store.shared ? this.#seen(lane.key) : null);
    const missed = told === null ? [] : stored.slice(told);
    const [first] = missed;
    if (first !== undefined)
      this.#tell(
        lane,
        lane.key,
        state,
        missed.map(({ event }) => event),
        missed.every(({ envelope }) => envelope.actor === first.envelope.actor) ? first.envelope.actor : null,
        null,
      );
    lane.told = state.head;
    return state;
  }

  /** Decides all commands of a job; moves the state over what they cause. */
  #decide(pending: Pending, state: RunState, at: number): Decided {
    const { job } = pending;
    const context = this.#decideContext(pending, at);
    const changes: RunChange[] = [];
    const publications: Publication[] = [];
    for (const command of job.commands) {
      const decision = decide(state, command, context);
      switch (decision.tag) {
        case 'refused':
          return { tag: 'refused', reason: decision.reason, dirty: changes.length > 0 };
        case 'already':
          break;
        case 'accepted':
          changes.push(changeRun(this.#context, state, decision.events, at, { actor: job.actor, event: null }));
          if (command.op === 'emit') this.#addEmitted(publications, pending, state, at, command, decision.events);
          break;
        default:
          assertNever(decision);
      }
    }
    this.#addCompletion(publications, pending, state, at, changes);
    return { tag: 'decided', changes, publications };
  }

  #addEmitted(
    into: Publication[],
    pending: Pending,
    state: RunState,
    at: number,
    command: Extract<RunCommand, { op: 'emit' }>,
    events: readonly NewRunEvent[],
  ): void {
    const emitted = events.find(isEmitted);
    if (emitted === undefined) return;
    const { key, data } = command.event;
    this.#addPublication(into, pending, state, at, {
      topic: command.topic,
      id: emitted.data.eventId,
      source: `run/${state.run}`,
      type: command.topic,
      ...(key === undefined ? {} : { key }),
      data,
      value: this.#plain(data),
    });
  }

  #addPublication(into: Publication[], pending: Pending, state: RunState, at: number, event: TopicEvent): void {
    if (pending.published?.has(`${event.topic} ${event.source} ${event.id}`) === true) return;
    into.push(
      preparePublication(
        this.#context,
        this.#catalog,
        event,
        {
          tenant: state.tenant,
          actor: pending.job.actor,
          cause: `${state.run}/${state.head}`,
          correlation: state.correlation,
          traceparent: state.traceparent,
        },
        at,
      ),
    );
  }

  /** `completes:` publishes the result of a run in the transition that ends it. */
  #addCompletion(
    into: Publication[],
    pending: Pending,
    state: RunState,
    at: number,
    changes: readonly RunChange[],
  ): void {
    if (state.completes === null || state.status !== 'succeeded') return;
    const output = changes.at(-1)?.events.at(-1)?.payload;
    if (output === undefined) return;
    this.#addPublication(into, pending, state, at, {
      topic: state.completes,
      id: `${state.run}/completed`,
      source: `run/${state.run}`,
      type: state.completes,
      subject: state.run,
      data: output,
      value: this.#plain(output),
    });
  }

  #decideContext(pending: Pending, at: number): DecideContext {
    const catalog = this.#catalog;
    const shared = this.#context;
    return {
      now: at,
      // Both are drawn only by the few decisions that need them.
      get random() {
        return shared.ports.random.next();
      },
      get deadLetterId() {
        return newDeadLetterId(shared);
      },
      worker: pending.job.worker,
      task: pending.job.lease?.task ?? null,
      unleased: !pending.leased,
      capability: (name) => catalog.capability(name),
    };
  }

  #transition(parts: readonly Part[], state: RunState): { transition: Transition; births: RunBirth[] } {
    const [part] = parts;
    const [change] = part?.changes ?? [];
    if (parts.length === 1 && part?.changes.length === 1 && part.publications.length === 0 && change !== undefined)
      return { transition: this.#single(part.pending.job.lease, change, state), births: noBirths };
    const changes = parts.flatMap((part) => part.changes);
    const publications = firstOfEach(parts.flatMap((part) => part.publications));
    const [first] = changes;
    const last = changes.at(-1);
    const lease = parts[0]?.pending.job.lease ?? null;
    if (first === undefined || last === undefined) throw new Error('Invariant broken: a transition without a change');
    const births = publications.flatMap((p) => p.births);
    const transition: Transition = {
      tenant: state.tenant,
      runs: [{ expected: first.write.expected, row: last.write.row }],
      ...guardOf(lease, first.write.expected, state),
      dedupe: publications.map((p) => p.dedupe),
      events: changes.flatMap((c) => c.eventWrites),
      publishes: publications.map((p) => p.write),
      tasks: changes.flatMap((c) => c.tasks),
      timers: changes.flatMap((c) => c.timers),
      deadLetters: changes.flatMap((c) => c.deadLetters),
      blobs: [...changes.flatMap((c) => c.blobs), ...publications.flatMap((p) => p.blobs)],
    };
    return { transition: withBirths(transition, births), births };
  }

  /** The transition of one change that publishes nothing: nearly all of them. */
  #single(lease: LeaseKey | null, change: RunChange, state: RunState): Transition {
    const { write, eventWrites, tasks, timers, deadLetters, blobs } = change;
    const { tenant } = state;
    if (lease !== null) return { tenant, runs: [write], lease, events: eventWrites, tasks, timers, deadLetters, blobs };
    const guard = guardOf(lease, write.expected, state);
    return { tenant, runs: [write], ...guard, events: eventWrites, tasks, timers, deadLetters, blobs };
  }

  /** Answers the jobs, or returns those that must be decided again. */
  #settle(
    lane: Lane,
    state: RunState,
    parts: readonly Part[],
    outcome: Outcome,
    births: readonly RunBirth[],
  ): Pending[] {
    const pendings = parts.map((part) => part.pending);
    switch (outcome.tag) {
      case 'applied': {
        for (const { state: born, change } of births) {
          const key = runKey(born.tenant, born.run);
          this.#tell(this.#lanes.get(key), key, born, change.events, pendings[0]?.job.actor ?? 'engine', null);
        }
        for (const { pending, changes } of parts) {
          const { actor, lease } = pending.job;
          this.#tell(
            lane,
            lane.key,
            state,
            changes.length === 1 && changes[0] !== undefined ? changes[0].events : changes.flatMap((c) => c.events),
            actor,
            lease?.task ?? null,
          );
          answer(pending, { tag: 'applied', head: state.head });
        }
        return [];
      }
      case 'conflict':
        lane.state = null;
        return pendings.filter((pending) => {
          pending.attempts += 1;
          if (pending.attempts < conflictsMax) return true;
          answer(pending, { tag: 'error', error: new SpineError('STORE_BUSY', {}) });
          return false;
        });
      case 'fenced':
        lane.state = null;
        return pendings.filter((pending) => {
          // Somebody took the activation between the decision to end it unbegun and the commit: decide as leased.
          if (pending.job.lease === null && !pending.leased) {
            pending.leased = true;
            return true;
          }
          answer(pending, { tag: 'refused', reason: 'fenced' });
          return false;
        });
      case 'duplicate':
        lane.state = null;
        for (const pending of pendings)
          (pending.published ??= new Set()).add(`${outcome.found.scope.slice('topic:'.length)} ${outcome.found.key}`);
        return pendings;
      case 'unstorable':
        lane.state = null;
        if (pendings.length > 1) return pendings.map(alone);
        for (const pending of pendings)
          answer(pending, {
            tag: 'error',
            error: new SpineError('VALUE_UNSTORABLE', { path: '$', reason: outcome.reason }),
          });
        return [];
      default:
        return assertNever(outcome);
    }
  }

  #tell(
    lane: Lane | undefined,
    key: string,
    state: RunState,
    events: RunChange['events'],
    actor: string | null,
    task: string | null,
  ): void {
    if (lane !== undefined) lane.told = events.at(-1)?.seq ?? lane.told;
    const change: CommittedChange = { key, tenant: state.tenant, run: state.run, state, events, actor, task };
    for (const listener of this.#listeners) {
      try {
        listener(change);
      } catch (error) {
        this.#context.fault('commit listener', error);
      }
    }
  }
}

/** Evicting looks at a few of the oldest lanes only, so that a lane costs the same however many there are. */
const evictExamineMax = 64;

type Decided =
  /** `dirty`: part of the job is in the state already. */
  | { readonly tag: 'refused'; readonly reason: Refusal; readonly dirty: boolean }
  | { readonly tag: 'decided'; readonly changes: readonly RunChange[]; readonly publications: readonly Publication[] };

/** Nothing would be committed: only the state says so, and no guard of the store has looked at it. */
function writesNothing(decided: Decided): boolean {
  return decided.tag === 'refused' || decided.changes.length === 0;
}

/** A job with what was decided for it. */
interface Part {
  readonly pending: Pending;
  readonly changes: readonly RunChange[];
  readonly publications: readonly Publication[];
}

/** Jobs from the front of the queue that may share a transition: those under the same lease. */
function takeGroup(queue: Pending[]): Pending[] {
  const group: Pending[] = [];
  let commands = 0;
  while (group.length < groupMax) {
    const [next] = queue;
    if (next === undefined) break;
    const [first] = group;
    if (first !== undefined && (first.alone || next.alone || !sameLease(first.job.lease, next.job.lease))) break;
    commands += next.job.commands.length;
    // A body that asks for thousands of things at once must not make one transition of them that holds up all others.
    if (first !== undefined && commands > limits.commitItemsMax) break;
    queue.shift();
    group.push(next);
  }
  return group;
}

const groupMax = 64;

/** An event that one transition would publish twice is published once, as it would be by two transitions. */
function firstOfEach(publications: readonly Publication[]): readonly Publication[] {
  if (publications.length < 2) return publications;
  const taken = new Set<string>();
  return publications.filter(({ dedupe }) => {
    const name = `${dedupe.scope} ${dedupe.key}`;
    if (taken.has(name)) return false;
    taken.add(name);
    return true;
  });
}

/** Pause before a run is looked up whose commit or read has failed. */
const lookUpMs = 250;

function sameLease(a: LeaseKey | null, b: LeaseKey | null): boolean {
  return a !== null && b !== null && a.task === b.task && a.token === b.token;
}

function alone(pending: Pending): Pending {
  pending.alone = true;
  return pending;
}

function answer(pending: Pending, outcome: JobOutcome): void {
  pending.answered = true;
  pending.resolve(outcome);
}

function isEmitted(event: NewRunEvent): event is Extract<NewRunEvent, { type: 'event.emitted' }> {
  return event.type === 'event.emitted';
}

const noBirths: RunBirth[] = [];

/** What must hold beside the head of the run: the lease, or for an end before the beginning that nobody has begun. */
function guardOf(lease: LeaseKey | null, expected: number, state: RunState): Pick<Transition, 'lease' | 'unleased'> {
  if (lease !== null) return { lease };
  if (expected !== 1 || state.status !== 'cancelled') return {};
  return { unleased: { tenant: state.tenant, run: state.run, task: activationTask(1) } };
}

function withBirths(transition: Transition, births: readonly RunBirth[]): Transition {
  const [born] = births;
  if (born === undefined) return transition;
  const { write, eventWrites, tasks, timers, blobs } = born.change;
  if (births.length === 1 && transition.runs === undefined && transition.blobs === undefined)
    return { ...transition, runs: [write], events: eventWrites, tasks, timers, blobs };
  return {
    ...transition,
    runs: [...(transition.runs ?? []), ...births.map((b) => b.change.write)],
    events: [...(transition.events ?? []), ...births.flatMap((b) => b.change.eventWrites)],
    tasks: [...(transition.tasks ?? []), ...births.flatMap((b) => b.change.tasks)],
    timers: [...(transition.timers ?? []), ...births.flatMap((b) => b.change.timers)],
    blobs: [...(transition.blobs ?? []), ...births.flatMap((b) => b.change.blobs)],
  };
}
