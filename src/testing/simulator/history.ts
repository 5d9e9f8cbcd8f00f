/**
 * What an observer outside of the product saw of one simulation: every action of the store with its outcome, every
 * start of user code, every request of the outside client, what each reader and each body was told, and what was left
 * at the end. Plain data: checkers (`checkers/`) look at nothing else, and are tested with histories written by hand.
 */
import type { BusDelivery } from '../../bus/port.js';
import type { Subscription } from '../../core/topics/subscription.js';
import type { BreakerRule } from '../../core/models/breaker.js';
import type { RunRow } from '../../core/run/state.js';
import type { Program } from './program.js';
import type { KeyWord } from './key-keepers.js';
import type { PullWord } from './pullers.js';
import type {
  DeadLetterRow,
  EntryRow,
  EventRow,
  LeaseKey,
  Outcome,
  ScheduleRow,
  SessionRow,
  TaskRow,
  TimerRow,
  Transition,
} from '../../store/index.js';

/** One action as the store's data saw it, in the order of their taking effect. */
export type StoreAction = {
  /** Number of the event of the world, for finding it again in a verbose replay. */
  readonly step: number;
  /** The highest value that the store's clock has had so far, epoch ms. */
  readonly storeMs: number;
  /** World time. */
  readonly atMs: number;
} & (
  | { readonly kind: 'apply'; readonly transition: Transition; readonly outcome: Outcome }
  | {
      readonly kind: 'claim';
      readonly claimed: readonly { readonly task: TaskRow; readonly head: number }[];
      /** Of the opening that claimed. */
      readonly epoch: number;
    }
  | {
      readonly kind: 'session';
      readonly what: 'open' | 'take' | 'close';
      readonly session: string;
      readonly epoch: number;
    }
  | {
      readonly kind: 'duty';
      readonly duty: string;
      readonly epoch: number;
      readonly held: boolean;
      /** The store's clock just then, which may have been set back since. */
      readonly nowMs: number;
      readonly ttlMs: number;
    }
  /** An opening of the store has ended in good order. */
  | { readonly kind: 'closed'; readonly epoch: number }
  | { readonly kind: 'release'; readonly leases: readonly LeaseKey[]; readonly count: number }
);

/** One start of user code, a step inline or the handler of a call; or one call of the provider of a model. */
export interface Execution {
  readonly kind: 'step' | 'call' | 'infer';
  readonly tenant: string;
  readonly run: string;
  readonly path: string;
  readonly attempt: number;
  /** Fingerprint of what the effect was given. */
  readonly body: string;
  /** The claim under which it ran. */
  readonly session: string;
  readonly assignment: number;
  /** The request to an endpoint in which it ran; absent = a worker did it. */
  readonly request?: string;
  /** World time and event of its start. */
  readonly atMs: number;
  readonly step: number;
  /** Of a call of a provider: the idempotency key that came with it. */
  readonly key?: string;
  /** Whether the code took its worker down with it. */
  crashed: boolean;
}

/** One call of the version of a model that is asked beside those that answer. */
export interface ShadowCall {
  readonly tenant: string;
  readonly run: string;
  readonly path: string;
  /** The idempotency key that came with it; empty = none. */
  readonly key: string;
  /** Event of the world in which it began. */
  readonly step: number;
}

/** One logical request of the outside client, over all its repeats. */
export interface Operation {
  readonly kind:
    | 'start'
    | 'publish'
    | 'cancel'
    | 'redrive'
    | 'signal'
    | 'schedule'
    | 'migrate'
    | 'tell'
    | 'sweep'
    | 'pause';
  readonly tenant: string;
  /** Idempotency key, event id, or run; of a signal `<run> <id>`, of a message `<agent key> <id>`. Null = a start without a key. */
  readonly key: string | null;
  /** Encoded input or event data. */
  readonly body: string;
  readonly calledAtMs: number;
  /** When the first positive answer came; null = none came (the outcome is unknown). */
  ackedAtMs: number | null;
  /** What each positive answer named: run ids, event ids. */
  readonly answers: string[];
  /** Of a published event. */
  readonly topic?: string;
  /** Codes of negative answers. */
  readonly refusals: string[];
}

/** What one reader of one run was handed, over all its connections. */
export interface Reading {
  readonly tenant: string;
  readonly run: string;
  readonly after: number;
  readonly seqs: number[];
  readonly types: string[];
  ended: boolean;
}

/** What one reader of a topic was handed, over all its connections: events and gaps, in their order. */
export interface TopicReading {
  readonly tenant: string;
  readonly topic: string;
  readonly partition: number;
  readonly items: (
    | { readonly kind: 'event'; readonly offset: number }
    | { readonly kind: 'gap'; readonly from: number; readonly to: number }
  )[];
}

/** What one body was handed after its journal. */
export interface BodyFeed {
  readonly tenant: string;
  readonly run: string;
  readonly session: string;
  readonly assignment: number;
  /** Head of the journal that came with the assignment. */
  readonly head: number;
  /** Version of the run that the assignment named, and those that the worker has of its workflow. */
  readonly version: string | null;
  readonly versions: readonly (string | null)[];
  readonly seqs: number[];
}

/** What the store held at the end. */
export interface FinalState {
  readonly runs: readonly RunRow[];
  /** By `tenant/run`, in `seq` order. */
  readonly histories: ReadonlyMap<string, readonly EventRow[]>;
  /** Events of topics, in feed order. */
  readonly topicEvents: readonly EventRow[];
  readonly tasks: readonly TaskRow[];
  readonly timers: readonly TimerRow[];
  /** Of open waits. */
  readonly entries: readonly EntryRow[];
  /** Of the events of `noted`. */
  readonly index: readonly EntryRow[];
  /** Of tickets that hold shares of limits. */
  readonly holders: readonly EntryRow[];
  readonly deadLetters: readonly DeadLetterRow[];
  /** Of dead events that are open. */
  readonly deadEvents: readonly EntryRow[];
  /** Rows of redrives of many. */
  readonly redrives: readonly ScheduleRow[];
  readonly sessions: readonly SessionRow[];
  /** Sessions that living workers believe to have. */
  readonly workerSessions: readonly string[];
}

/** A message on the bus outside. */
export interface SentMessage {
  /** The partition, as positions of bridges name it. */
  readonly ref: string;
  readonly partition: number;
  readonly offset: bigint;
  readonly id: string;
  readonly key: string;
  /** Nobody can read it. */
  readonly isRubbish: boolean;
}

/** What was seen of the bridges of a world that has some. */
export interface BridgedHistory {
  readonly tenant: string;
  readonly topicIn: string;
  readonly topicOut: string;
  /** Source of all that was sent. */
  readonly source: string;
  /** In the order in which it was sent, repeats included. */
  readonly sent: readonly SentMessage[];
  /** What the bus was told, after so many actions of the store. */
  readonly commits: readonly { readonly afterActions: number; readonly ref: string; readonly next: bigint }[];
  /** What went out, by partition. */
  readonly out: readonly (readonly BusDelivery[])[];
  readonly dead: readonly EntryRow[];
}

/** Everything that was seen of one simulation. */
export interface History {
  readonly actions: StoreAction[];
  readonly executions: Execution[];
  readonly shadows: ShadowCall[];
  readonly operations: Operation[];
  /** What consumers that pull have said and heard. */
  readonly pulls: PullWord[];
  /** What admins and programs were told of API keys. */
  readonly keys: KeyWord[];
  readonly readings: Reading[];
  readonly topicReadings: TopicReading[];
  readonly bodies: BodyFeed[];
  /** Highest number of attempts that the workload asks for, by path. */
  readonly attemptsMax: Map<string, number>;
  /** What each run was to do, by `tenant/run`. */
  readonly programs: Map<string, Program>;
  /** There is an endpoint to which work is pushed. */
  pushes: boolean;
  /** What topics are read by; empty in most worlds. */
  subscriptions: readonly Subscription[];
  /** World time at which all faults were over. */
  healedAtMs: number;
  /** Faults that may hide from the server that a worker had received or begun something. */
  blindSpots: number;
  /** The model has storms, and breakers go by this rule; null = it has none. */
  breaker: BreakerRule | null;
  /** Faults by which a server may not hear for a while what another has written. */
  deafSpots: number;
  /** Null = the world has no bridges. */
  bridged: BridgedHistory | null;
  final: FinalState | null;
}

/** A history of nothing. */
export function emptyHistory(): History {
  return {
    actions: [],
    executions: [],
    shadows: [],
    operations: [],
    pulls: [],
    keys: [],
    readings: [],
    topicReadings: [],
    bodies: [],
    attemptsMax: new Map(),
    programs: new Map(),
    pushes: false,
    subscriptions: [],
    healedAtMs: 0,
    blindSpots: 0,
    breaker: null,
    deafSpots: 0,
    bridged: null,
    final: null,
  };
}

/** Key of a run in maps over tenants. */
export function keyOfRun(of: { readonly tenant: string; readonly run: string }): string {
  return `${of.tenant}/${of.run}`;
}
