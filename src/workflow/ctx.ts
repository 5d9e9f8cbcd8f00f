/**
 * `ctx`: what a workflow body works with. Every wait of a body goes through it, so that each result is recorded before
 * the body sees it and a later activation can take the same way (docs/concepts/replay.md).
 */
import type { Duration } from '../core/duration.js';
import type { PathKey, PathName } from '../core/paths.js';
import type { RemedyPolicy } from '../core/remedies.js';
import type { Effect } from '../core/run/events.js';
import type { Ai, AiOptions, Told } from './ai/ai-options.js';
import type { InferOutput, StandardSchema } from '../core/standard-schema.js';
import type { ApproveOptions, FormOf, Review } from './approval.js';
import type { InferOptions, InferResult } from './infer/infer-options.js';
import type { AgentRef, AskOptions, TellOptions } from './agent.js';
import type { AnyMessage, MessageAnswer, MessageIn } from './message.js';
import type { Capability } from './capability.js';
import type { Log } from './log.js';
import type { RetryOptions } from './retry-options.js';
import type { StreamWriter } from './stream-writer.js';
import type { Topic } from './topic.js';
import type { Workflow } from './workflow.js';
import type { Signal } from './signal.js';
import type { Received, WaitForOptions, WaitForSignalOptions } from './wait-for.js';

/** The run that a body works for. */
export interface RunInfo {
  readonly id: string;
  readonly tenant: string;
  readonly workflow: string;
  /** Version that the run is pinned to; null = none. */
  readonly version: string | null;
  /** Attempt of the activation, from 1. Differs between replays: do not let results depend on it. */
  readonly attempt: number;
  /** Epoch ms on the store's clock. */
  readonly startedAt: number;
  /** As the run was started with them. One that only mirrors a request has `eventspine.mirror` (docs/guides/strangler.md). */
  readonly labels: Readonly<Record<string, string>>;
}

/** What the function of a step is given. */
export interface StepContext {
  /** Aborted when the result is no longer wanted: timeout, cancellation, lost race, lost lease. */
  readonly signal: AbortSignal;
  /** Attempt of the step, from 1. */
  readonly attempt: number;
  /** The same for every attempt; hand it to whoever performs the effect. */
  readonly idempotencyKey: string;
  readonly log: Log;
  /**
   * A stream that readers of the run follow while the step is at work; unnamed, it is the stream of the step's own path.
   * Asked for twice it is the same. A later attempt begins it anew, which readers are told.
   */
  stream(name?: PathName): StreamWriter;
}

/** Options of `ctx.step`. */
export interface StepOptions {
  /** Default: 4 attempts; 1 where the effect is external, because a failure does not prove that nothing happened. */
  readonly retry?: RetryOptions;
  /** What is done about failures, by class: `wait`, `retry`, `quarantine` or `person`. Default: what the app says, then `auto`. */
  readonly remedies?: RemedyPolicy;
  /** Longest time of one attempt; then the signal is aborted and the attempt fails with class `timeout`. Default: none. */
  readonly timeout?: Duration;
  /**
   * What may happen again after a crash in mid-step. Default `idempotent`: it runs again with the same idempotency key.
   * `external` records the intent first, and a begun step whose outcome is unknown fails with EFFECT_AMBIGUOUS.
   */
  readonly effect?: Effect;
}

/** Options of `ctx.call`. */
export interface CallOptionsOf {
  /** Name of the call in the run. Default: the name of the capability. */
  readonly as?: PathName;
  /** Default: what the capability says. */
  readonly retry?: RetryOptions;
  /** What is done about failures, by class. Default: what the capability says. */
  readonly remedies?: RemedyPolicy;
  /** Longest time of one attempt. Default: what the capability says. */
  readonly timeout?: Duration;
  /** Higher goes first. Default: the priority of the run. */
  readonly priority?: number;
}

/** Options of `ctx.map`. */
export interface MapOptions<Item> {
  /** Identity of an item among the others. Default: its index, which is right only while the order never changes. */
  readonly key?: (item: Item, index: number) => PathKey;
  /** Items under way at one time. Default 16. */
  readonly concurrency?: number;
}

/** Options of a `ctx.map` that gives what became of each item, good or bad. */
export interface SettledMapOptions<Item> extends MapOptions<Item> {
  readonly onError: 'settle';
  /** One more failure than this gives up the other items and rejects the map. Default: any number may fail. */
  readonly failuresMax?: number;
}

/** Options of `ctx.start`. */
export interface StartOptionsOf {
  /** Name of the child in the run. Default: the name of its workflow. */
  readonly as?: PathName;
  /** The child lives on when this run ends first. Default: it is cancelled. */
  readonly detached?: boolean;
  /** Higher goes first. Default: the priority of this run. */
  readonly priority?: number;
  /** Default: the labels of this run. */
  readonly labels?: Readonly<Record<string, string>>;
}

/** Options of `ctx.child`. */
export type ChildOptionsOf = Omit<StartOptionsOf, 'detached'>;

/** A run that this one has started. */
export interface Child<Out> {
  /** Its id. */
  readonly run: string;
  /** What it comes to, perhaps in runs that it went on in. Rejects with `StepError` where it did not succeed. */
  result(): Promise<Out>;
  /** Asks for its end; it may clean up first, and ends as cancelled. */
  cancel(reason?: string): void;
}

/** Says how to undo what was just done; called in reverse order if the saga fails. The name is free inside the saga's undos. */
export type Undo = (name: PathName, body: (ctx: Ctx) => unknown) => void;

/** Options of `ctx.context`, and of the step that fetches. */
export interface ContextOptions extends StepOptions {
  /** Tells values of one name apart, e.g. a user's id. Default: there is only one. */
  readonly key?: string;
  /** Only a value that was fetched with the same version will do. Default: any version. */
  readonly version?: string;
  /** A value that was fetched longer ago is fetched again. Default: any age will do. */
  readonly maxAge?: Duration;
  /** Name of this use in the run, where the same value is asked for again. Default: made of name and key. */
  readonly as?: PathName;
}

/** Options of `ctx.emit`. */
export interface EmitOptions {
  /** Name of the emission in the run. Default: the name of the topic. */
  readonly as?: PathName;
  /** Id of the event, by which it is deduplicated. Default: made of run and path. */
  readonly id?: string;
  /** Partition key. Default: what the topic's selector finds in the data. */
  readonly key?: string;
}

/** What a race came to: the branch that won and its result. */
export type RaceResult<Branches extends RaceBranches> = {
  [Winner in keyof Branches & string]: {
    readonly winner: Winner;
    readonly value: Awaited<ReturnType<Branches[Winner]>>;
  };
}[keyof Branches & string];

/** Branches of a race, by name. */
export type RaceBranches = Readonly<Record<string, (ctx: Ctx) => Promise<unknown>>>;

/**
 * The context of a body, or of a scope inside it. A scope hands its own `ctx` to its body; use that one there.
 *
 * Every method that waits rejects with `Cancelled` when its scope is given up, and throws PATH_IN_USE at once when the same
 * identity is asked for twice, PATH_INVALID where the name cannot be one, and SCOPE_MISUSED where the ctx of another
 * scope is used while a scope's body begins.
 */
export interface Ctx {
  /** Runs `fn` here and records its result under `name`. Rejects with `StepError` once its attempts are used up. */
  step<T>(name: PathName, fn: (step: StepContext) => T | Promise<T>, options?: StepOptions): Promise<T>;
  /** The same with an input that is recorded and shown beside the result. */
  step<I, T>(
    name: PathName,
    input: I,
    fn: (input: I, step: StepContext) => T | Promise<T>,
    options?: StepOptions,
  ): Promise<T>;

  /** Has a capability do the work in its own pool. Rejects with `StepError` once its attempts are used up. */
  call<In, Out>(capability: Capability<string, In, Out>, input: NoInfer<In>, options?: CallOptionsOf): Promise<Out>;

  /**
   * Asks a model, and goes on asking where it calls for tools or has to mend its answer. Each intent is recorded before the
   * provider is called and each answer after it, so that an answer that was paid for is never paid for again. Rejects with
   * `StepError` once its attempts are used up.
   */
  infer<S extends StandardSchema>(
    name: PathName,
    options: InferOptions<S> & { readonly schema: S },
  ): Promise<InferResult<InferOutput<S>>>;
  infer(name: PathName, options: InferOptions): Promise<InferResult>;

  /**
   * Says what has become of the answer of a model: a score from 0 to 1, by which its versions are compared. `answer` is what
   * `infer` gave, or its `model`. The name is that of the model unless `as` says otherwise; one outcome for each.
   */
  outcome(
    answer: Pick<InferResult, 'model'> | InferResult['model'],
    score: number,
    options?: { readonly as?: PathName },
  ): Promise<void>;

  /**
   * Runs a program of the AI SDK: `ctx.ai('draft', (ai) => streamText({ model: ai.model('writer'), prompt }))`. Each call of a
   * model is an inference of the run and each call of a tool a step, so that a program that died goes on where it was, and pays
   * for nothing twice. A streamed result is shown to readers of the run's stream under `name`, as the SDK's pages want it. The
   * code of the function may run again at any time; what it gives is recorded. Rejects with `StepError`.
   */
  ai<T>(name: PathName, fn: (ai: Ai) => T, options?: AiOptions): Promise<Told<Awaited<T>>>;

  /**
   * Runs `body` for each item in a scope of its own; results in the order of the items. The first failure gives up the
   * other items and rejects the map when they have come to rest.
   */
  map<Item, T>(
    name: PathName,
    items: readonly Item[],
    body: (item: Item, ctx: Ctx, index: number) => T | Promise<T>,
  ): Promise<T[]>;
  map<Item, T>(
    name: PathName,
    items: readonly Item[],
    options: MapOptions<Item>,
    body: (item: Item, ctx: Ctx, index: number) => T | Promise<T>,
  ): Promise<T[]>;

  /** The same, where failed items do not fail the map: results as of `Promise.allSettled`. */
  map<Item, T>(
    name: PathName,
    items: readonly Item[],
    options: SettledMapOptions<Item>,
    body: (item: Item, ctx: Ctx, index: number) => T | Promise<T>,
  ): Promise<PromiseSettledResult<T>[]>;

  /**
   * Runs a workflow as a run of its own, with a history, retries and a worker of its own, and waits for its result.
   * Rejects with `StepError` where it did not succeed; it is cancelled with this run and with a scope that is given up.
   */
  child<In, Out>(workflow: Workflow<string, In, Out>, input: NoInfer<In>, options?: ChildOptionsOf): Promise<Out>;
  /** Starts such a run without waiting for its end. Resolves once the start is committed. */
  start<In, Out>(
    workflow: Workflow<string, In, Out>,
    input: NoInfer<In>,
    options?: StartOptionsOf,
  ): Promise<Child<Out>>;

  /**
   * Runs `body`, and where it throws, what it has said to `undo` by then, in reverse order, each in a scope of its own that
   * goes on when the run is cancelled; then rejects with what the body threw. What was undone is not begun anew by a redrive.
   */
  saga<T>(name: PathName, body: (ctx: Ctx, undo: Undo) => T | Promise<T>): Promise<T>;

  /**
   * Ends this run and goes on in a new one of the same workflow, with an empty history, in one commit: for loops without
   * end. Who waits for the result of this run gets that of the last. `return ctx.continueAsNew(state)`; never settles.
   * Runs that this one has started and not detached are cancelled.
   */
  continueAsNew(input: unknown): Promise<never>;
  /** Events that the run had when the body was last told of something; the same in every replay. Bound: 50,000. */
  readonly historyLength: number;

  /** Runs `body` in a scope, inside which names are free to be used again. */
  scope<T>(name: PathName, body: (ctx: Ctx) => T | Promise<T>): Promise<T>;
  scope<T>(name: PathName, key: PathKey, body: (ctx: Ctx) => T | Promise<T>): Promise<T>;

  /** Waits, without holding memory or a worker for long. An unnamed sleep is named by its duration, as it is written. */
  sleep(duration: Duration): Promise<void>;
  sleep(name: PathName, duration: Duration): Promise<void>;

  /** Waits until an instant (a `Date` or epoch ms). An unnamed one is named by its instant. */
  sleepUntil(at: Date | number): Promise<void>;
  sleepUntil(name: PathName, at: Date | number): Promise<void>;

  /**
   * Waits for an event of a topic whose indexed fields have the values of `match`, or for a signal to this run. What came
   * before counts: events since the run was started, and signals that no other wait has taken. Each event and each signal
   * is given to one wait of the run, in the order in which they came. With a `timeout` the result is null when nothing has
   * come by then.
   */
  waitFor<Data>(
    topic: Topic<string, never, Data>,
    options: WaitForOptions<Data> & { readonly timeout: Duration },
  ): Promise<Received<Data> | null>;
  waitFor<Data>(topic: Topic<string, never, Data>, options: WaitForOptions<Data>): Promise<Received<Data>>;
  waitFor<Data>(
    signal: Signal<string, never, Data>,
    options: WaitForSignalOptions & { readonly timeout: Duration },
  ): Promise<Received<Data> | null>;
  waitFor<Data>(signal: Signal<string, never, Data>, options?: WaitForSignalOptions): Promise<Received<Data>>;

  /**
   * Asks people for their word and waits for it, without holding memory or a worker for long. The first of those addressed
   * to approve or reject decides; nobody within `expires` is an outcome of its own.
   */
  approve<const Options extends ApproveOptions>(name: PathName, options: Options): Promise<Review<FormOf<Options>>>;

  /** Tells followers of the run how far it is. Returns at once; each value is reported one time, also over replays. */
  progress(value: unknown): void;

  /**
   * A value that others may use as well: retrieved documents, a profile, a conversation. What this run, the run that started
   * it, or the run whose event started it has fetched under that name and key is used where it is fresh enough; else `fetch`
   * runs as a step, and what it gives is handed on to all runs that this one starts, by reference.
   */
  context<T>(name: string, fetch: (step: StepContext) => T | Promise<T>): Promise<T>;
  context<T>(name: string, options: ContextOptions, fetch: (step: StepContext) => T | Promise<T>): Promise<T>;

  /**
   * A stream written by the body itself, outside of steps; each chunk is written one time, also over replays. For what a
   * step or handler produces piece by piece, use the `stream` that it is given.
   */
  stream(name: PathName): StreamWriter;

  /** Publishes an event in the same commit that records it. Resolves after that commit. */
  emit<In>(topic: Topic<string, In>, data: NoInfer<In>, options?: EmitOptions): Promise<void>;

  /**
   * Sends a message to the agent of a key, which gets it one time. Resolves when it is recorded as sent. Fails with
   * INPUT_INVALID where the data is not what the message asks for.
   */
  tell<M extends AnyMessage>(
    agent: AgentRef,
    key: string,
    message: M,
    data: NoInfer<MessageIn<M>>,
    options?: TellOptions,
  ): Promise<void>;

  /**
   * Sends a message to the agent of a key and waits for the answer. Rejects with ASK_TIMEOUT when there is none in time,
   * and with ASK_FAILED when the agent has given up on the message.
   */
  ask<M extends AnyMessage>(
    agent: AgentRef,
    key: string,
    message: M,
    data: NoInfer<MessageIn<M>>,
    options?: AskOptions,
  ): Promise<MessageAnswer<M>>;

  /**
   * Runs the branches side by side, each in a scope of its own. The first to settle wins, is recorded, and the others are
   * given up. Rejects with the error of the winner, where that failed.
   */
  race<Branches extends RaceBranches>(name: PathName, branches: Branches): Promise<RaceResult<Branches>>;
  /** As `race`, but the first to succeed wins. Rejects with an `AggregateError` when all have failed. */
  any<Branches extends RaceBranches>(name: PathName, branches: Branches): Promise<RaceResult<Branches>>;

  /** Runs `body` with a `ctx` that goes on when the scope is given up; for cleanup that must be finished. */
  shield<T>(body: (ctx: Ctx) => T | Promise<T>): Promise<T>;

  /** Aborted when this scope is given up. */
  readonly signal: AbortSignal;
  /** Silent while the body replays what was already done. */
  readonly log: Log;
  readonly run: RunInfo;

  /** Epoch ms of the last event that the body was told of; the same in every replay. */
  now(): number;
  /** A number in [0, 1), the same in every replay. Not for secrets. */
  random(): number;
  /** A UUID (version 4), the same in every replay. Not for secrets. */
  uuid(): string;
}
