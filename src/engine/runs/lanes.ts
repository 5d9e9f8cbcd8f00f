/**
 * Lanes: the commands of one run are decided and committed one after the other, in the order in which they came; those
 * of different runs go side by side and share group commits. A lane keeps the folded state of its run, guarded by the
 * expected head: whoever else has moved the run meanwhile makes the commit a conflict, and the lane reads anew.
 *
 * Invariant: a state in a lane that is idle equals the fold of the run's committed events.
 */
import { SpineError, assertNever } from '../../core/errors.js';
import { newId } from '../../core/ids.js';
import { payloadOfJson } from '../../core/codec.js';
import { isoOf } from '../../core/instant.js';
import { limits } from '../../core/limits.js';
import { accessTopic, approvalTopic } from '../../core/manifest.js';
import { decide, type DecideContext, type Refusal } from '../../core/run/decide.js';
import type { RunCommand } from '../../core/run/commands.js';
import type { InferenceTicket } from '../../core/run/inference.js';
import { mailSignal } from '../../core/run/mail.js';
import { mirrorLabel } from '../../core/labels.js';
import type { NewRunEvent, RunEvent } from '../../core/run/events.js';
import { activationTask, foldRun, isEnded, type RunState } from '../../core/run/state.js';
import type { Payload } from '../../core/payload.js';
import { agentRunId } from '../agents/agent-run-id.js';
import type { EventRow, LeaseKey, Outcome, Transition } from '../../store/contract.js';
import type { EngineContext } from '../context.js';
import { readRunEvent } from '../events/rows.js';
import type { Catalog } from '../intake/catalog.js';
import type { ModelDoor } from '../models/model-door.js';
import type { Predictions, Recollection } from '../models/predictions.js';
import type { ToolGate } from '../tools/tool-gate.js';
import { birth, withBirths, type BirthRequest, type RunBirth } from '../intake/birth.js';
import type { DeadLetterMirror } from '../topics/dead-letter-mirror.js';
import { preparePublication, type Publication, type TopicEvent } from '../topics/publication.js';
import type { RunEnds } from '../webhooks/run-ends.js';
import { changeRun, emptyChange, newDeadLetterId, writeOf, type RunChange } from './change.js';
import { runKey, type CommitListener, type CommittedChange } from './committed.js';
import type { CommitAnswer, Committer } from './committer.js';

/** Commands that are applied together or not at all, and where they come from. */
export interface LaneJob {
  /** `runKey` of the run. */
  readonly key: string;
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
  /** What goes with the commit of a job that comes under no lease; a key that is taken makes it `already`. */
  readonly along?: Pick<Transition, 'dedupe' | 'timers'>;
}

export type JobOutcome =
  | { readonly tag: 'applied'; readonly head: number }
  /** Everything asked for was there already. */
  | { readonly tag: 'already'; readonly head: number }
  | { readonly tag: 'refused'; readonly reason: Refusal | 'fenced' | 'not_found' }
  | { readonly tag: 'error'; readonly error: Error };

/** Reads plain JSON out of a payload that a body emitted, for the schema of the topic. */
export type PlainValue = (payload: Payload) => unknown;

/** New runs, and the transition that writes them together with the rest. */
export interface Bearing {
  readonly births: readonly RunBirth[];
  readonly transition: Transition;
  readonly actor: string;
  /** Called one time, when it is durable or refused. */
  readonly settle: (answer: CommitAnswer) => void;
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
  readonly settle: (outcome: JobOutcome) => void;
  /** Topics whose event was already published under its id: the emit is recorded, nothing is published again. */
  published: Set<string> | null;
  attempts: number;
  /** Must not share a transition with others. */
  alone: boolean;
  answered: boolean;
  /** For `cancel`: somebody turned out to hold the activation. */
  leased: boolean;
  /** What was read of kept answers before it is decided. */
  recollection: Recollection | null;
  /** The event that the run is for, where a mirror topic is told of its end; undefined = it was not asked for. */
  origin: EventRow | null | undefined;
}

/** A commit that meets a conflict this often has a competitor that never rests; give the caller the say. */
const conflictsMax = 20;

export class Lanes {
  readonly #context: EngineContext;
  readonly #catalog: Catalog;
  readonly #plain: PlainValue;
  readonly #committer: Committer;
  readonly #circumstances: Circumstances;
  readonly #predictions: Predictions;
  readonly #mirror: DeadLetterMirror;
  readonly #ends: RunEnds;
  readonly #seen: (key: string) => number | null;
  readonly #lanes = new Map<string, Lane>();
  readonly #listeners: CommitListener[] = [];
  #stopped = false;

  /** `seen` knows the newest event of a run that all its holders here were told of; null = nobody here holds it. */
  constructor(
    context: EngineContext,
    catalog: Catalog,
    plain: PlainValue,
    committer: Committer,
    seen: (key: string) => number | null,
    models: ModelDoor,
    predictions: Predictions,
    tools: ToolGate,
    mirror: DeadLetterMirror,
    ends: RunEnds,
  ) {
    this.#ends = ends;
    this.#predictions = predictions;
    this.#mirror = mirror;
    this.#seen = seen;
    this.#context = context;
    this.#catalog = catalog;
    this.#plain = plain;
    this.#committer = committer;
    this.#circumstances = new Circumstances(context, catalog, models, predictions, tools);
  }

  /** Called after each commit, in commit order of each run. */
  onCommit(listener: CommitListener): void {
    this.#listeners.push(listener);
  }

  submit(job: LaneJob): Promise<JobOutcome> {
    return new Promise((resolve) => this.offer(job, resolve));
  }

  /** As `submit`, for those who need no promise: `settle` is called one time, perhaps before this returns. */
  offer(job: LaneJob, settle: (outcome: JobOutcome) => void): void {
    const lane = this.#laneOf(job.key, job.tenant, job.run);
    lane.queue.push({
      job,
      settle,
      published: null,
      attempts: 0,
      alone: false,
      answered: false,
      leased: false,
      recollection: null,
      origin: undefined,
    });
    if (lane.busy) return;
    if (!isCallEnd(job)) return this.#work(lane);
    // Ends of calls come many at a time: all that arrive in this turn are one transition.
    lane.busy = true;
    Promise.resolve()
      .then(() => this.#work(lane))
      .catch((error: unknown) => this.#context.fault('lane', error));
  }

  /** Writes the births of new runs with the rest of their transition, and tells the listeners. */
  bear(bearing: Bearing): void {
    const { transition, births, actor } = bearing;
    this.#committer.commit({
      transition,
      settle: (answer) => {
        if (answer.tag === 'applied') this.#tellBirths(births, actor);
        bearing.settle(answer);
      },
    });
  }

  #tellBirths(births: readonly RunBirth[], actor: string): void {
    for (const { state, change } of births) {
      const key = runKey(state.tenant, state.run);
      this.#tell(this.#lanes.get(key), key, state, change.events, actor, null);
    }
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
      const job = { key, tenant, run, commands: [], actor: 'engine', worker: '', lease: null, atLeast: seq };
      this.offer(job, () => {});
    } else if (lane?.busy === false && lane.state !== null && lane.state.head < seq) {
      lane.state = null;
      lane.told = null;
    }
  }

  /** The newest event of the run that was told of, as far as is known; 0 = none. */
  toldOf(key: string): number {
    return this.#lanes.get(key)?.told ?? 0;
  }

  /** Keeps a state that was just read or written, unless the lane has one or knows of a later one. */
  adopt(state: RunState): void {
    if (isEnded(state.status)) return;
    const lane = this.#laneOf(runKey(state.tenant, state.run), state.tenant, state.run);
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

  #laneOf(key: string, tenant: string, run: string): Lane {
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

  /** Works off the queue until the lane waits for the store or has nothing to do. */
  #work(lane: Lane): void {
    lane.busy = true;
    while (lane.queue.length > 0) {
      const group = takeGroup(lane.queue);
      if (lane.state === null || isTooOld(lane.state, group)) return this.#loadFor(lane, group);
      // A neighbour may have moved the run on from what is remembered here, and only a commit would show it.
      if (this.#prepared(lane, lane.state, group, this.#context.store.shared)) return;
    }
    lane.busy = false;
    if (lane.unsure) this.#lookUpLater(lane);
    // A run that sleeps costs nothing: whoever wakes it reads it again, and so does the worker that gets it.
    else if (lane.state !== null && (isEnded(lane.state.status) || isAsleep(lane.state))) this.#lanes.delete(lane.key);
  }

  #loadFor(lane: Lane, group: readonly Pending[]): void {
    this.#load(lane).then(
      (state) => {
        lane.state = state;
        if (state === null) for (const pending of group) this.#answer(pending, { tag: 'refused', reason: 'not_found' });
        else if (this.#prepared(lane, state, group, false)) return;
        this.#work(lane);
      },
      (error: unknown) => {
        this.#sink(lane, group, error);
        this.#work(lane);
      },
    );
  }

  /** As `#handle`, after what the jobs have to know of kept answers was read. */
  #prepared(lane: Lane, state: RunState, group: readonly Pending[], mayBeOld: boolean): boolean {
    const asking = group.filter(({ job, recollection }) => this.#predictions.wants(state, job.commands, recollection));
    if (asking.length === 0) return this.#handle(lane, state, group, mayBeOld);
    const reading = asking.map(async (pending) => {
      pending.recollection = await this.#predictions.read(state, pending.job.commands, pending.recollection);
    });
    Promise.all(reading).then(
      () => {
        if (!this.#handle(lane, state, group, mayBeOld)) this.#work(lane);
      },
      (error: unknown) => {
        this.#sink(lane, group, error);
        this.#work(lane);
      },
    );
    return true;
  }

  /** What these jobs have come to is not known. */
  #sink(lane: Lane, group: readonly Pending[], error: unknown): void {
    lane.state = null;
    lane.unsure = true;
    // One bad command must not sink those that came with it.
    if (group.length > 1) lane.queue.unshift(...group.filter((pending) => !pending.answered).map(alone));
    else
      for (const pending of group)
        this.#answer(pending, { tag: 'error', error: error instanceof Error ? error : new Error(String(error)) });
  }

  #answer(pending: Pending, outcome: JobOutcome): void {
    pending.answered = true;
    try {
      pending.settle(outcome);
    } catch (error) {
      this.#context.fault('answer', error);
    }
  }

  /** A commit that was answered with an error may be durable, and nobody may ever ask for this run again. */
  #lookUpLater({ key, tenant, run }: Lane): void {
    this.#context.ports.timers.after(lookUpMs, () => {
      if (this.#stopped || this.#lanes.get(key)?.unsure !== true) return;
      this.offer({ key, tenant, run, commands: [], actor: 'engine', worker: '', lease: null }, () => {});
    });
  }

  /** Decides jobs that come under one lease as one transition; true = it is on its way, and the lane waits for it. */
  #handle(lane: Lane, state: RunState, group: readonly Pending[], mayBeOld: boolean): boolean {
    try {
      return this.#commit(lane, state, group, mayBeOld);
    } catch (error) {
      this.#sink(lane, group, error);
      return false;
    }
  }

  #commit(lane: Lane, state: RunState, group: readonly Pending[], mayBeOld: boolean): boolean {
    const at = this.#context.store.now();
    const change = emptyChange(state);
    const parts: Part[] = [];
    for (const pending of group) {
      const from = change.events.length;
      const caused: Caused = { publications: [], births: [] };
      const reason = this.#decide(pending, change, caused, state, at);
      const to = change.events.length;
      if (pending.origin === undefined && to > from && this.#mirror.topicOf(state) !== null)
        return this.#decideWithOrigin(lane, state, group, pending);
      if (mayBeOld && pending.job.commands.length > 0 && (reason !== null || to === from)) {
        // Nothing of it would meet a guard of the store: decide on what is there.
        lane.state = null;
        lane.queue.unshift(...group.filter((other) => !other.answered));
        return false;
      }
      if (reason !== null && to > from) {
        // The state holds half of a refused job. Throw it away; the others are decided again without that job.
        lane.state = null;
        this.#answer(pending, { tag: 'refused', reason });
        lane.queue.unshift(...group.filter((other) => other !== pending && !other.answered));
        return false;
      }
      if (reason !== null) this.#answer(pending, { tag: 'refused', reason });
      else if (to === from) this.#answer(pending, { tag: 'already', head: state.head });
      else parts.push({ pending, from, to, caused });
    }
    const [first] = parts;
    if (first === undefined) return false;
    const caused = parts.length === 1 ? first.caused : joined(parts.map((part) => part.caused));
    const { transition, births } = this.#transition(first.pending.job, change, state, caused);
    const others = otherLeases(parts);
    this.#committer.commit({
      transition: others.length === 0 ? transition : { ...transition, leases: others },
      settle: (answer) => {
        if (answer.tag === 'failed')
          this.#sink(
            lane,
            parts.map(({ pending }) => pending),
            answer.error,
          );
        else {
          const again = this.#settle(lane, state, parts, answer, change.events, births);
          if (again.length > 0) lane.queue.unshift(...again);
        }
        this.#work(lane);
      },
    });
    return true;
  }

  /** The end of the run is told to a mirror topic, with the event that the run is for: read it, then decide again. */
  #decideWithOrigin(lane: Lane, state: RunState, group: readonly Pending[], pending: Pending): boolean {
    // The state holds what was just decided.
    lane.state = null;
    this.#mirror.read(state).then(
      (origin) => {
        pending.origin = origin;
        lane.queue.unshift(...group.filter((other) => !other.answered));
        this.#work(lane);
      },
      (error: unknown) => {
        this.#sink(lane, group, error);
        this.#work(lane);
      },
    );
    return true;
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
        false,
      );
    lane.told = state.head;
    return state;
  }

  /** Decides all commands of a job; adds what they cause to `change` and moves the state over it. Null = not refused. */
  #decide(pending: Pending, change: RunChange, caused: Caused, state: RunState, at: number): Refusal | null {
    const { job } = pending;
    const circumstances = this.#circumstances.of(pending, at);
    const from = change.events.length;
    for (const command of job.commands) {
      const decision = decide(state, command, circumstances);
      switch (decision.tag) {
        case 'refused':
          return decision.reason;
        case 'already':
          break;
        case 'accepted':
          changeRun(this.#context, change, state, decision.events, at, { actor: job.actor, event: null });
          if (command.op === 'completeInference') {
            const seq = state.head - decision.events.length + 1;
            change.entries.push(...this.#predictions.keeping(state, command, seq, at, pending.recollection));
          }
          if (command.op === 'emit')
            this.#addEmitted(caused.publications, pending, state, at, command, decision.events);
          else if (command.op === 'startChild' || command.op === 'continueAsNew')
            this.#addSuccessor(caused.births, pending, state, at, command, decision.events);
          else if (command.op === 'wait') this.#addRequested(caused.publications, pending, state, at, command);
          break;
        default:
          assertNever(decision);
      }
    }
    if (change.events.length > from) {
      this.#addCompletion(caused.publications, pending, state, at, change);
      this.#addMirrored(caused.publications, pending, state, change);
      if (isEnded(state.status)) this.#addTold(caused, pending, state, at, change);
    }
    return null;
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
    // Outcomes of models go by this way; nobody's words may stand in the record of access.
    if (command.topic === accessTopic.name) throw new SpineError('TOPIC_OWN', { name: command.topic });
    const { key, version, data } = command.event;
    this.#addPublication(into, pending, state, at, {
      topic: command.topic,
      id: emitted.data.eventId,
      source: `run/${state.run}`,
      type: command.topic,
      ...(key === undefined ? {} : { key }),
      ...(version === undefined ? {} : { version }),
      data,
      value: this.#plain(data),
    });
  }

  /** The run that a body starts, or goes on in. */
  #addSuccessor(
    into: RunBirth[],
    pending: Pending,
    state: RunState,
    at: number,
    command: Extract<RunCommand, { op: 'startChild' | 'continueAsNew' }>,
    events: readonly NewRunEvent[],
  ): void {
    const name = command.op === 'startChild' ? command.workflow : state.workflow;
    const workflow =
      state.agent !== null && command.op === 'continueAsNew' ? this.#catalog.agent(name) : this.#catalog.workflow(name);
    const [event] = events;
    if (event?.type !== 'child.started' && event?.type !== 'run.continued') return;
    if (workflow === null) throw new SpineError('WORKFLOW_UNKNOWN', { name, known: this.#catalog.workflowNames() });
    const faults = workflow.check?.(this.#plain(command.input)) ?? [];
    if (faults.length > 0) throw new SpineError('INPUT_INVALID', { name, faults });
    const family = event.type === 'child.started' ? childOf(state, event.data) : successorOf(state);
    const priority = (command.op === 'startChild' ? command.options.priority : undefined) ?? state.priority;
    into.push(
      birth(this.#context, workflow.manifest, {
        tenant: state.tenant,
        run: event.type === 'child.started' ? event.data.run : event.data.next,
        input: command.input,
        at,
        actor: pending.job.actor,
        cause: `${state.run}/${state.head}`,
        correlation: state.correlation,
        traceparent: state.traceparent,
        // A run that goes on for one of a subscription is for its event.
        trigger: command.op === 'continueAsNew' && state.trigger?.subscription !== undefined ? state.trigger : null,
        contexts: [...state.contexts.values()],
        taint: state.taint,
        priority,
        ...(command.op === 'startChild' && command.options.labels !== undefined
          ? { labels: { ...command.options.labels, ...mirrorOf(state.labels) } }
          : state.labels === null
            ? {}
            : { labels: state.labels }),
        ...family,
        ...(command.op === 'continueAsNew' && state.agent !== null ? carriedOf(state, state.agent) : {}),
      }),
    );
  }

  /** Whoever tells people by chat or mail hears of a request from a topic. */
  #addRequested(
    into: Publication[],
    pending: Pending,
    state: RunState,
    at: number,
    { path, on }: Extract<RunCommand, { op: 'wait' }>,
  ): void {
    const unit = state.units.get(path);
    if (on.kind !== 'approval' || unit?.kind !== 'wait') return;
    const { run, workflow } = state;
    const id = `${run}.${unit.opened}`;
    const expiresAt = unit.expiresAt === null ? null : isoOf(unit.expiresAt);
    const value = { id, run, workflow, path, title: on.title, to: on.to, expiresAt };
    this.#addPublication(into, pending, state, at, {
      topic: approvalTopic.name,
      id,
      source: `run/${run}`,
      type: approvalTopic.name,
      subject: run,
      data: payloadOfJson(value),
      value,
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
          contexts: [...state.contexts.values()],
        },
        at,
      ),
    );
  }

  /** `completes:` publishes the result of a run in the transition that ends it. */
  #addCompletion(into: Publication[], pending: Pending, state: RunState, at: number, change: RunChange): void {
    if (state.completes === null || state.status !== 'succeeded') return;
    const output = change.events.at(-1)?.payload;
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

  /** The mirror topic of a subscription hears of its dead letters in the transition that makes them. */
  #addMirrored(into: Publication[], { job, origin, published }: Pending, state: RunState, change: RunChange): void {
    const last = change.events.at(-1);
    if (origin === undefined || last?.type !== 'run.failed') return;
    const told = this.#mirror.publication(state, origin, last, job.actor);
    if (told === null || published?.has(`${told.write.topic} ${told.dedupe.key}`) === true) return;
    into.push(told);
  }

  /** Who wants to hear of the end of a run hears of it in the transition that ends it. */
  #addTold(caused: Caused, pending: Pending, state: RunState, at: number, change: RunChange): void {
    const told = this.#ends.told(state, change.events.at(-1), pending.job.actor);
    if (told === null) return;
    if (told.event !== null) this.#addPublication(caused.publications, pending, state, at, told.event);
    caused.births.push(...told.births);
  }

  #transition(
    { lease, along }: Pick<LaneJob, 'lease' | 'along'>,
    change: RunChange,
    state: RunState,
    { publications, births: started }: Caused,
  ): { readonly transition: Transition; readonly births: readonly RunBirth[] } {
    const { eventWrites, tasks, timers, deadLetters, blobs } = change;
    const entries = change.entries.length === 0 ? noEntries : { entries: change.entries };
    const { tenant } = state;
    const runs = [writeOf(change, state)];
    // The transition of a worker's job that publishes nothing: nearly all of them.
    if (publications.length === 0 && started.length === 0 && lease !== null)
      return {
        transition: { tenant, runs, lease, events: eventWrites, tasks, timers, ...entries, deadLetters, blobs },
        births: noBirths,
      };
    const published = firstOfEach(publications);
    const births = [...started, ...published.flatMap((p) => p.births)];
    const transition: Transition = {
      tenant,
      runs,
      ...guardOf(lease, change.expected, state),
      dedupe: [...published.map((p) => p.dedupe), ...(along?.dedupe ?? [])],
      events: eventWrites,
      publishes: published.map((p) => p.write),
      tasks,
      timers: [...timers, ...(along?.timers ?? [])],
      ...entries,
      deadLetters,
      blobs: [...blobs, ...published.flatMap((p) => p.blobs)],
    };
    return { transition: withBirths(transition, births), births };
  }

  /** Answers the jobs, or returns those that must be decided again. */
  #settle(
    lane: Lane,
    state: RunState,
    parts: readonly Part[],
    outcome: Outcome,
    events: readonly RunEvent[],
    births: readonly RunBirth[],
  ): readonly Pending[] {
    if (outcome.tag === 'applied') {
      this.#warnOfLength(state, events);
      this.#tellBirths(births, parts[0]?.pending.job.actor ?? 'engine');
      for (const { pending, from, to } of parts) {
        const { actor, lease } = pending.job;
        const own = parts.length === 1 ? events : events.slice(from, to);
        this.#tell(lane, lane.key, state, own, actor, lease?.task ?? null);
        this.#answer(pending, { tag: 'applied', head: state.head });
      }
      return noneAgain;
    }
    const pendings = parts.map((part) => part.pending);
    switch (outcome.tag) {
      case 'conflict':
        lane.state = null;
        return pendings.filter((pending) => {
          pending.attempts += 1;
          if (pending.attempts < conflictsMax) return true;
          this.#answer(pending, { tag: 'error', error: new SpineError('STORE_BUSY', {}) });
          return false;
        });
      case 'fenced':
        lane.state = null;
        // Which of several it was is not said; the others go on.
        if (otherLeases(parts).length > 0) return pendings.map(alone);
        return pendings.filter((pending) => {
          // Somebody took the activation between the decision to end it unbegun and the commit: decide as leased.
          if (pending.job.lease === null && !pending.leased) {
            pending.leased = true;
            return true;
          }
          this.#answer(pending, { tag: 'refused', reason: 'fenced' });
          return false;
        });
      case 'duplicate':
        lane.state = null;
        if (
          pendings.some(({ job }) => job.along?.dedupe?.some(({ scope }) => scope === outcome.found.scope) === true)
        ) {
          for (const pending of pendings) this.#answer(pending, { tag: 'already', head: 0 });
          return noneAgain;
        }
        for (const pending of pendings)
          (pending.published ??= new Set()).add(`${outcome.found.scope.slice('topic:'.length)} ${outcome.found.key}`);
        return pendings;
      case 'unstorable':
        lane.state = null;
        if (pendings.length > 1) return pendings.map(alone);
        for (const pending of pendings)
          this.#answer(pending, {
            tag: 'error',
            error: new SpineError('VALUE_UNSTORABLE', { path: '$', reason: outcome.reason }),
          });
        return [];
      default:
        return assertNever(outcome);
    }
  }

  /** Well before the bound, so that there is time to mend the workflow. */
  #warnOfLength({ tenant, run, workflow, head }: RunState, events: readonly RunEvent[]): void {
    if (head < historyWarnAt || head - events.length >= historyWarnAt) return;
    this.#context.log({
      level: 'warn',
      message: `Run ${run} has ${head} events, of ${limits.historyEventsMax} that it may have. Go on as new (ctx.continueAsNew) before that.`,
      fields: { tenant, run, workflow },
    });
  }

  #tell(
    lane: Lane | undefined,
    key: string,
    state: RunState,
    events: readonly RunEvent[],
    actor: string | null,
    task: string | null,
    own = true,
  ): void {
    if (lane !== undefined) lane.told = events.at(-1)?.seq ?? lane.told;
    const change: CommittedChange = { key, tenant: state.tenant, run: state.run, state, events, actor, task, own };
    for (const listener of this.#listeners) {
      try {
        listener(change);
      } catch (error) {
        this.#context.fault('commit listener', error);
      }
    }
  }
}

const historyWarnAt = limits.historyEventsMax / 2;

/** Evicting looks at a few of the oldest lanes only, so that a lane costs the same however many there are. */
const evictExamineMax = 64;

function isAsleep({ status, activation, graph }: RunState): boolean {
  return status === 'waiting' && !activation.open && graph === null;
}

function isTooOld(state: RunState, group: readonly Pending[]): boolean {
  return group.some(({ job }) => (job.atLeast ?? 0) > state.head);
}

/** A job with what was decided for it. */
interface Part {
  readonly pending: Pending;
  /** Its events are those of the change from here, up to but not including `to`. */
  readonly from: number;
  readonly to: number;
  readonly caused: Caused;
}

/** What decisions bring about outside of their run. */
interface Caused {
  readonly publications: Publication[];
  readonly births: RunBirth[];
}

function joined(parts: readonly Caused[]): Caused {
  return {
    publications: parts.flatMap(({ publications }) => publications),
    births: parts.flatMap(({ births }) => births),
  };
}

/** Jobs from the front of the queue that may share a transition: those under the same lease, and ends of calls. */
function takeGroup(queue: Pending[]): Pending[] {
  const group: Pending[] = [];
  let commands = 0;
  while (group.length < groupMax) {
    const [next] = queue;
    if (next === undefined) break;
    const [first] = group;
    if (first !== undefined && (first.alone || next.alone || !mayShare(first.job, next.job))) break;
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

function mayShare(a: LaneJob, b: LaneJob): boolean {
  return sameLease(a.lease, b.lease) || (isCallEnd(a) && isCallEnd(b));
}

/** What a call came to. It ends no run and opens none, so it may be decided together with others of its run. */
function isCallEnd({ lease, commands }: LaneJob): boolean {
  return lease !== null && commands.every(({ op }) => op === 'completeTask' || op === 'failTask');
}

/** The leases of the parts that are not that of the first. */
function otherLeases(parts: readonly Part[]): LeaseKey[] {
  const found: LeaseKey[] = [];
  for (const { pending } of parts) {
    const { lease } = pending.job;
    if (lease !== null && !found.some((other) => sameLease(other, lease))) found.push(lease);
  }
  return found.slice(1);
}

function sameLease(a: LeaseKey | null, b: LeaseKey | null): boolean {
  return a !== null && b !== null && a.task === b.task && a.token === b.token;
}

function alone(pending: Pending): Pending {
  pending.alone = true;
  return pending;
}

const noneAgain: readonly Pending[] = [];

/** What a decision is told of the world. Decisions keep nothing of it, so one object serves them all in turn. */
class Circumstances implements DecideContext {
  readonly #context: EngineContext;
  readonly #catalog: Catalog;
  readonly #models: ModelDoor;
  readonly #predictions: Predictions;
  readonly #tools: ToolGate;
  #recollection: Recollection | null = null;
  now = 0;
  worker = '';
  task: string | null = null;
  token = 0;
  unleased = true;
  tenant = '';

  constructor(context: EngineContext, catalog: Catalog, models: ModelDoor, predictions: Predictions, tools: ToolGate) {
    this.#tools = tools;
    this.#predictions = predictions;
    this.#context = context;
    this.#catalog = catalog;
    this.#models = models;
  }

  of({ job, leased, recollection }: Pending, at: number): this {
    this.now = at;
    this.#recollection = recollection;
    this.tenant = job.tenant;
    this.worker = job.worker;
    this.task = job.lease === null ? null : job.lease.task;
    this.token = job.lease === null ? 0 : job.lease.token;
    this.unleased = !leased;
    return this;
  }

  // Both are drawn only by the few decisions that need them.
  get random(): number {
    return this.#context.ports.random.next();
  }

  get deadLetterId(): string {
    return newDeadLetterId(this.#context);
  }

  get newRunId(): string {
    return newId('run', this.#context.ports);
  }

  hasWorkflow(name: string): boolean {
    return this.#catalog.workflow(name) !== null;
  }

  hasAgent(name: string): boolean {
    return this.#catalog.agent(name) !== null;
  }

  agentRunId(agent: string, key: string, generation: number): string {
    return agentRunId(this.#context.ports, { tenant: this.tenant, agent, key, generation });
  }

  capability(name: string): ReturnType<DecideContext['capability']> {
    return this.#catalog.capability(name);
  }

  admit(ticket: InferenceTicket): ReturnType<DecideContext['admit']> {
    return this.#models.admit(ticket, this.now);
  }

  judge(call: Parameters<DecideContext['judge']>[0]): ReturnType<DecideContext['judge']> {
    return this.#tools.judge(call);
  }

  recall(ticket: InferenceTicket): ReturnType<DecideContext['recall']> {
    return this.#predictions.recalled(ticket, this.#recollection, this.now);
  }
}

function isEmitted(event: NewRunEvent): event is Extract<NewRunEvent, { type: 'event.emitted' }> {
  return event.type === 'event.emitted';
}

/** An agent that goes on as new takes with it what it has not read, and where it is in its topics. */
function carriedOf(
  { offsets, signals, mail }: RunState,
  { key, generation }: NonNullable<RunState['agent']>,
): Pick<BirthRequest, 'agent' | 'mail'> {
  return {
    agent: { key, generation: generation + 1, offsets: Object.fromEntries(offsets) },
    mail: (signals.get(mailSignal) ?? []).flatMap((seq) => mail.get(seq) ?? []),
  };
}

type Family = Pick<BirthRequest, 'parent' | 'continues' | 'notify'>;

function childOf(parent: RunState, { path, attached }: { readonly path: string; readonly attached: boolean }): Family {
  return { parent: { run: parent.run, path, attached, depth: (parent.parent?.depth ?? 0) + 1 } };
}

/** Who waits for the end of a run waits for the end of the one that it goes on in. */
function successorOf(before: RunState): Family {
  const { run, parent } = before;
  return {
    continues: run,
    ...(before.notify === null ? {} : { notify: before.notify }),
    ...(parent === null ? {} : { parent: { ...parent, first: parent.first ?? run } }),
  };
}

const noEntries: Pick<Transition, 'entries'> = {};
const noBirths: readonly RunBirth[] = [];

/** What must hold beside the head of the run: the lease, or for an end before the beginning that nobody has begun. */
function guardOf(lease: LeaseKey | null, expected: number, state: RunState): Pick<Transition, 'lease' | 'unleased'> {
  if (lease !== null) return { lease };
  if (expected !== state.born || state.status !== 'cancelled' || state.graph !== null) return {};
  return { unleased: { tenant: state.tenant, run: state.run, task: activationTask(1) } };
}

/** Whatever a run that only mirrors something starts only mirrors it, too. */
function mirrorOf(labels: RunState['labels']): Readonly<Record<string, string>> {
  const mirrored = labels?.[mirrorLabel];
  return mirrored === undefined ? {} : { [mirrorLabel]: mirrored };
}
