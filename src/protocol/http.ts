/**
 * The shapes of the HTTP API, version 1: what server, client, CLI and console agree on. Instants are ISO 8601 UTC,
 * durations are ms with the unit in the name. Values are plain JSON as `core/codec` writes it.
 */
import type { AccessRecord } from '../core/access/record.js';
import type { ErrorKind } from '../core/errors.js';
import type { GraphEdge } from '../core/graph/drawing.js';
import type { Graph } from '../core/graph/graph.js';
import type { Failure } from '../core/failure.js';
import type { DeliveryOrder, Filter, StartPosition } from '../core/topics/subscription.js';
import type { WebhookMap } from '../core/webhooks/mapping.js';
import type { WebhookScheme } from '../core/webhooks/scheme.js';
import type { LimitOptions } from '../core/admission/limit-options.js';
import type { ModelPrice, ShadowRule } from '../core/manifest.js';
import type {
  AmbiguityPolicy,
  CachedFrom,
  DecisionAlternative,
  InferenceHop,
  PromptVersion,
  Spend,
  TokenUsage,
} from '../core/run/inference.js';
import type { RunStatus } from '../core/run/state.js';
import type { ShadowEvidence } from '../core/models/shadow.js';
import type { CatchUp, Overlap } from '../core/schedule/words.js';

/** What state the work is in, in the words that users see (docs/reference/states.md). */
export const runViewStates = [
  'queued',
  'running',
  'retrying',
  'waiting',
  'cancelling',
  'succeeded',
  'failed',
  'cancelled',
  'refused',
  'continued',
] as const;
/** State of a run as it is shown. */
export type RunViewState = (typeof runViewStates)[number];

export interface RunSummary {
  readonly id: string;
  readonly tenant: string;
  readonly workflow: string;
  readonly version: string | null;
  readonly state: RunViewState;
  readonly startedAt: string;
  readonly updatedAt: string;
  readonly endedAt: string | null;
  /** Events so far; the `seq` of the last one. */
  readonly events: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly failure: { readonly class: string; readonly code: string; readonly message: string } | null;
}

/** One run, as an answer to the five questions. */
export interface RunView extends RunSummary {
  /** What has already succeeded, is under way, or failed: one entry per path. */
  readonly steps: readonly StepView[];
  /** What the run waits for now; empty when it runs or has ended. */
  readonly waitingFor: readonly WaitView[];
  /**
   * Whether a connected worker has the code of the run in its version. False: it cannot go on until one comes, or until it
   * is migrated. Null: it has ended.
   */
  readonly served: boolean | null;
  /** What can be retried safely. */
  readonly retry: { readonly possible: boolean; readonly from: readonly string[] };
  /** What needs a person: the open dead letter of the run. */
  readonly deadLetter: string | null;
  /** The run that started this one; null = none. */
  readonly parent: string | null;
  /** The run in which this one goes on; null = none. */
  readonly continuedBy: string | null;
  /** What its inferences have taken; all 0 = it has asked no model. */
  readonly spend: Spend;
  /** What the run has fetched for others to use, or used that others had fetched; `saved` fetches were not made. */
  readonly context: {
    readonly saved: number;
    readonly fetched: number;
    readonly bundles: readonly ContextView[];
  };
  /** What the user should see meanwhile: the last progress report. */
  readonly progress: unknown;
  /** Where the stream of the run goes on from this view; give it as `last-event-id`. */
  readonly cursor: string;
  readonly links: { readonly self: string; readonly history: string; readonly result: string; readonly stream: string };
}

/** A run as an engine gives it, which knows nothing of cursors. */
export type RunFold = Omit<RunView, 'cursor'>;
/** The graph of a workflow, as it is for runs that begin now. */
export interface GraphView {
  readonly workflow: string;
  readonly version: string | null;
  readonly edges: readonly GraphEdge[];
  readonly graph: Graph;
}

export interface StepView {
  readonly path: string;
  readonly kind:
    | 'step'
    | 'call'
    | 'inference'
    | 'timer'
    | 'emit'
    | 'race'
    | 'gate'
    | 'child'
    | 'context'
    | 'wait'
    | 'approval'
    | 'node'
    | 'message';
  readonly status: string;
  readonly attempt: number;
  readonly capability?: string;
  /** Of an inference: the model that is asked. */
  readonly model?: string;
  /** Of a child: its run. */
  readonly run?: string;
}

/** A context bundle that a run has. */
export interface ContextView {
  readonly name: string;
  readonly key: string;
  readonly version: string | null;
  readonly fetchedAt: string;
}

export interface WaitView {
  readonly kind: 'queue' | 'call' | 'timer' | 'retry' | 'worker' | 'limit' | 'child' | 'event' | 'signal' | 'approval';
  readonly path: string | null;
  readonly queue?: string;
  readonly until?: string;
  /** Of a child: its run. */
  readonly run?: string;
  /** What it waits for under which limit. */
  readonly limit?: LimitWait;
  /** In words, for people. */
  readonly text: string;
}

/** Where a value stands in the history of a run. */
export interface EventReference {
  readonly seq: number;
  /** Id of the event that holds it. */
  readonly event: string;
  /** Where it is kept beside the history. */
  readonly blob: { readonly hash: string; readonly size: number } | null;
}

/** An inference of a run: what was asked of which model, what came of it, by which way, and what it cost. */
export interface DecisionView {
  readonly path: string;
  readonly status: string;
  /** The present attempt, or the last. */
  readonly attempt: number;
  /** When it was asked for the first time. */
  readonly at: string;
  readonly model: string;
  /** null = it waits for leave, as do arm and endpoint. */
  readonly version: string | null;
  readonly arm: string | null;
  readonly endpoint: string | null;
  readonly fingerprint: string;
  /** What is done where nobody knows what came of a call. */
  readonly policy: readonly AmbiguityPolicy[];
  /** The request of the last attempt, and the answer; null = there is none. */
  readonly input: EventReference;
  readonly output: EventReference | null;
  readonly providerId: string | null;
  readonly finish: string | null;
  /** Of the answer. */
  readonly usage: TokenUsage | null;
  /** Of all attempts, integer micro-units. */
  readonly costMicros: number;
  readonly latencyMs: number | null;
  readonly firstPartMs: number | null;
  /** Attempts that gave no answer. */
  readonly hops: readonly InferenceHop[];
  /** Attempts whose outcome nobody knew, and what was done about them. */
  readonly ambiguous: readonly { readonly attempt: number; readonly policy: AmbiguityPolicy }[];
  /** From 0 to 1, where the provider says so. */
  readonly confidence: number | null;
  readonly alternatives: readonly DecisionAlternative[];
  /** Rules that took the place of the answer, or had a say in it. */
  readonly rules: readonly string[];
  /** The prompt that it was asked by; null = by none that has a name. */
  readonly prompt: PromptVersion | null;
  /** Where an answer comes from that was given before: nobody was called. */
  readonly cached: (Omit<CachedFrom, 'at'> & { readonly at: string }) | null;
  /** Of the answer of a rule or a person (`arm`): who it was, and what they have said of it. */
  readonly by: string | null;
  readonly comment: string | null;
  readonly failure: { readonly class: string; readonly code: string; readonly message: string } | null;
  /** Verdicts on the calls of tools that the answer asks for, in their order. Absent = none was judged. */
  readonly tools?: readonly ToolVerdictView[];
}

/** A verdict on a call of a tool. */
export interface ToolVerdictView {
  readonly tool: string;
  readonly verdict: 'allowed' | 'refused' | 'ask';
  /** Rule of the app, or `order:<name>` of an operator; empty = none. */
  readonly rule: string;
  readonly why: string | null;
  /** Where untrusted text has come from that may have led to it. */
  readonly taint: readonly string[];
  /** The event, which has the arguments. */
  readonly event: string;
}

/** Why something waits that limits concern. */
export interface LimitWait {
  /** The counter that is short: the limit, with what it is counted by. */
  readonly key: string;
  readonly limit: string;
  /** Slots, requests, tokens, or millionths of the currency. */
  readonly used: number;
  readonly max: number;
  /** Others of the same tenant that want the same and go first. */
  readonly before: number;
  readonly since: string;
  /** When it may be its turn; null = nobody can say: not before somebody else has done, or a budget is raised. */
  readonly expectedAt: string | null;
  /** The endpoint or capability that has asked for a pause, where that is what it waits for. */
  readonly paused?: string;
}

/** One event of a run as it is shown, with its payload as JSON. */
export interface RunEventView {
  readonly seq: number;
  readonly id: string;
  readonly type: string;
  readonly at: string;
  readonly actor: string;
  readonly data: unknown;
  /** Decoded value; absent where there is none. */
  readonly payload?: unknown;
  /** Instead of `payload`, for one that is kept as a blob. */
  readonly blob?: { readonly hash: string; readonly size: number };
}

export interface StartAnswer {
  readonly id: string;
  readonly state: RunViewState;
  /** True where the idempotency key was known: nothing new was started. */
  readonly repeated: boolean;
  readonly links: RunView['links'];
  /** With `prefer: read-token`. */
  readonly readToken?: ReadTokenView;
}

/** What of a run a token shows: state, steps, progress and outcome; or its whole history with all values. */
export const readTokenSights = ['progress', 'everything'] as const;
export type ReadTokenSight = (typeof readTokenSights)[number];

/** A token that lets whoever has it read one run, or follow one topic, for a page to be given. */
export interface ReadTokenView {
  readonly token: string;
  readonly expiresAt: string;
}

/** What is asked of a token. */
export interface ReadTokenRequest {
  readonly expiresMs?: number;
  /** Default `progress`. */
  readonly sees?: ReadTokenSight;
  /**
   * Whether approvals of the run may be decided with it, in the name of the user for whom it is made, where they are put to that
   * user by name. Default false.
   */
  readonly decides?: boolean;
  /** Tags of fields that it shows in clear, of those that the caller is shown. Default: none; from a page, those of its user. */
  readonly clearances?: readonly string[];
}

/** What is asked of a token for a topic. */
export interface TopicTokenRequest {
  readonly expiresMs?: number;
  /** Only events of this key. Default: all of the topic. */
  readonly key?: string;
  /** Whether it shows what was published before it was made. Default false. */
  readonly past?: boolean;
  /** Tags of fields that it shows in clear, of those that the caller is shown. Default: none. */
  readonly clearances?: readonly string[];
}

export type BatchStartAnswer = { readonly items: readonly (StartAnswer | { readonly error: Problem })[] };

export interface PublishAnswer {
  readonly items: readonly PublishItemAnswer[];
}

export type PublishItemAnswer =
  | {
      readonly id: string;
      readonly topic: string;
      readonly duplicate: boolean;
      readonly runs: readonly string[];
      /** Present = it came after its source had gone past it, and this became of it. */
      readonly late?: 'accepted' | 'dropped' | 'dead';
      /** Present = numbers of its source that have not come before it. */
      readonly gap?: { readonly from: number; readonly to: number };
    }
  | { readonly error: Problem };

/** Answer to a command on a run or a dead letter. `already`: there was nothing left to do. */
export interface CommandAnswer {
  readonly id: string;
  readonly outcome: 'done' | 'already';
}

/** Answer to a command on many runs, in the order asked. */
export interface BulkAnswer {
  readonly items: readonly (CommandAnswer | { readonly id: string; readonly error: Problem })[];
}

/** What a deployment changes of one definition of an app. */
export interface DefinitionChange {
  readonly kind: 'topic' | 'workflow' | 'capability';
  readonly name: string;
  readonly change: 'added' | 'changed' | 'removed';
  /** For `changed`: each field that differs, in words. */
  readonly details: readonly string[];
}

/** Unfinished work that a deployment would leave without code. */
export interface StrandedWork {
  /** Runs of a workflow in a version, or calls of a capability. */
  readonly kind: 'run' | 'call';
  readonly name: string;
  /** Of runs; null = without version. */
  readonly version: string | null;
  readonly count: number;
  /** Id of one of the runs. */
  readonly example: string | null;
}

/** What a deployment does, or would do. */
export interface DeployAnswer {
  readonly app: string;
  /** Identifies the manifest. */
  readonly hash: string;
  /** `planned`: it was only asked what would happen. `unchanged`: this is the newest manifest of the app already. */
  readonly outcome: 'registered' | 'unchanged' | 'planned';
  readonly changes: readonly DefinitionChange[];
  readonly stranded: readonly StrandedWork[];
}

/** A topic and its partitions. */
export interface TopicView {
  readonly topic: string;
  readonly partitions: readonly TopicPartitionView[];
}

export interface TopicPartitionView {
  readonly partition: number;
  /** Offset of the next event. */
  readonly head: number;
  /** Every event with a lower offset is gone by retention. */
  readonly low: number;
}

/** Who writes to a topic with a single writer. */
export interface TopicWriterView {
  readonly topic: string;
  /** 0 = nobody has taken it over yet. */
  readonly epoch: number;
  readonly by: string | null;
  readonly at: string | null;
}

/** How far a source of a topic has come. */
export interface SourceView {
  /** The source, or the hash of a long one. */
  readonly id: string;
  readonly source: string;
  /** The highest `sequence` that has come; null = none has. */
  readonly sequence: number | null;
  /** Numbers below it that have not come. */
  readonly missing: readonly { readonly from: number; readonly to: number }[];
  /** Numbers that have not come and are too many to be listed. */
  readonly lost: number;
  /** Events that came after the source had gone past them. */
  readonly late: number;
  /** The newest `time` of an event, where the topic looks at times. */
  readonly newestAt: string | null;
}

/** Events of one partition. */
export interface TopicEventPage extends PageView<TopicEventView> {
  /** Offsets that were asked for and are gone by retention; null = nothing is missing. */
  readonly gap: { readonly from: number; readonly to: number } | null;
}

export interface TopicEventView {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** By which it is kept in order: its `partitionkey`, what the topic selects as its key, or its id. */
  readonly key: string | null;
  /** Stamp of the hybrid logical clock: sorts events by cause, over all topics and servers. */
  readonly hlc: string;
  readonly event: Readonly<Record<string, unknown>>;
}

/** A record of access, as it is shown. */
export interface AccessEventView extends AccessRecord {
  readonly id: string;
  readonly at: string;
}

/** A bridge of the server that was asked, and how it stands there. */
export interface BridgeView {
  readonly name: string;
  readonly direction: 'in' | 'out';
  /** The bus, by its name in the file of the bridges. */
  readonly bus: string;
  readonly tenant: string;
  /** The topic of ours, and the one of the bus. */
  readonly topic: string;
  readonly outside: string;
  /** `standby` = another server has its work; `waiting` = its topic is not known yet, or takes nothing just now. */
  readonly state: BridgeState;
  /** Why it fails or waits; null = it does neither. */
  readonly error: string | null;
  /** Events that this server has moved, found to be there already, and recorded as dead. */
  readonly moved: number;
  readonly duplicates: number;
  readonly dead: number;
  /** Events of ours that retention has taken before they went out. */
  readonly missed: number;
  /** How far it is behind, as this server knows. `partition` null = all together; `ageMs` null = not known. */
  readonly lag: readonly { readonly partition: number | null; readonly count: number; readonly ageMs: number | null }[];
  /** Offsets of the next messages, as texts. */
  readonly positions: readonly { readonly partition: string; readonly next: string }[];
}

/** States of bridges. */
export const bridgeStates = ['starting', 'running', 'standby', 'waiting', 'failed', 'stopped'] as const;
/** How a bridge stands; see `BridgeView.state`. */
export type BridgeState = (typeof bridgeStates)[number];

/** Where a bridge is to go on. */
export interface BridgeSeekRequest {
  readonly partition: number;
  /** Offset of the next message: a whole number, as text where it is larger than 2^53. */
  readonly offset: number | string;
}

/** An event that was given up on and that no run stands for: whose it was, where it was, and why. */
export interface DeadEventView {
  readonly id: string;
  /** Who has given up on it: `subscription:<name>` or `bridge:<name>`. */
  readonly source: string;
  /** Where it was; null = the bus that it came from keeps no positions. */
  readonly topic: string | null;
  readonly partition: number | null;
  /** A whole number as text: those of some buses are larger than a number holds. */
  readonly offset: string | null;
  /** What is known of the event; null = it could not be found out. */
  readonly event: {
    readonly id: string | null;
    readonly type: string | null;
    readonly source: string | null;
    readonly key: string | null;
  };
  readonly class: string;
  readonly code: string;
  readonly message: string;
  /** Deliveries that were tried. */
  readonly attempts: number;
  readonly at: string;
}

/** A dead event with what it came with. */
export interface DeadEventDetail extends DeadEventView {
  /** Further attributes, or the headers of a message. */
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  /** Its data; bytes as base64. Absent = it had none, or it is at `dataref`. */
  readonly data?: unknown;
  /** Where large data can be fetched. */
  readonly dataref?: string;
}

/** What ran out of attempts: what it was, why it died and what to do about it. */
export interface DeadLetterView {
  readonly id: string;
  readonly run: string;
  readonly workflow: string;
  readonly path: string | null;
  readonly class: string;
  readonly code: string;
  readonly message: string;
  readonly attempts: number;
  readonly at: string;
  /** What to do about it, as a word for programs and in words for people, and whether a redrive alone is likely to help. */
  readonly remedy: { readonly name: string; readonly text: string; readonly redriveMayHelp: boolean };
}

/** A dead letter with all that is known of it. */
export interface DeadLetterDetail extends DeadLetterView {
  /** How sure triage was of the class, 0..1; null = the class does not come from triage. */
  readonly confidence: number | null;
  /** Why it has this class. */
  readonly reason: string | null;
  /** Of the classifier, `rules.model`. */
  readonly classifier: string | null;
  /** Why what failed cannot be given another input; null = it can. */
  readonly notEditable: string | null;
  /** What happened to it, oldest first: at most the newest 100. */
  readonly trail: readonly TrailItem[];
}

/** An attempt that failed, or what a person did about it. */
export interface TrailItem {
  readonly at: string;
  readonly what: 'attempt_failed' | 'gave_up' | 'redriven' | 'edited';
  /** Of a failure: which attempt it was, and how it failed. */
  readonly attempt: number | null;
  readonly failure: {
    readonly class: string;
    readonly code: string;
    readonly message: string;
    /** Of triage: how sure it was, why, and in which version; null = the class does not come from there. */
    readonly confidence: number | null;
    readonly reason: string | null;
    readonly classifier: string | null;
  } | null;
  /** What was done about it, as a word for programs and with whom it went to; null = nothing, or that was not recorded. */
  readonly remedy: { readonly name: string; readonly text: string } | null;
  /** When the next attempt was to be made. */
  readonly retryAt: string | null;
  /** Of a person: who, and why. */
  readonly by: string | null;
  readonly reason: string | null;
}

/** Which dead letters are meant; what is absent does not matter. */
export interface DeadLetterFilter {
  readonly class?: string;
  readonly workflow?: string;
  /** Path of the step or call, or of a scope that holds it, keys left out or not. */
  readonly step?: string;
  /** Not older than this instant, ISO 8601. */
  readonly since?: string;
  /** In the message or the code, whatever the case. */
  readonly text?: string;
}

/** What is asked of a redrive of many. */
export interface RedriveRequest {
  readonly filter: DeadLetterFilter;
  /** Letters a second: above 0, up to 1,000. Default 20. */
  readonly ratePerSecond?: number;
  /** Why, for the record. */
  readonly reason?: string;
}

/** How many dead letters a filter means. */
export interface DeadLetterCount {
  readonly count: number;
  /** There are more than were counted. */
  readonly more: boolean;
}

/** A redrive of many by a filter. It goes on whatever dies meanwhile. */
export interface RedriveView {
  readonly id: string;
  readonly state: 'running' | 'done' | 'cancelled';
  readonly filter: DeadLetterFilter;
  readonly ratePerSecond: number;
  readonly by: string;
  readonly reason: string | null;
  readonly createdAt: string;
  readonly endedAt: string | null;
  /** Letters that the filter meant at the start; null = too many to count. */
  readonly total: number | null;
  readonly redriven: number;
  /** Redriven or discarded by somebody else meanwhile. */
  readonly gone: number;
  readonly refused: number;
  /** Some of those that were refused, and why. */
  readonly refusals: readonly { readonly deadLetter: string; readonly code: string; readonly message: string }[];
}

export const approvalStates = ['open', 'approved', 'rejected', 'expired', 'cancelled'] as const;
/** What became of an approval: `open` waits for a word, `cancelled` means that the run waits for it no more. */
export type ApprovalState = (typeof approvalStates)[number];

/** A request for the word of a person. */
export interface ApprovalView {
  readonly id: string;
  readonly run: string;
  readonly workflow: string;
  readonly path: string;
  readonly title: string;
  /** Who is asked now: `role:<name>`, `user:<name>`. */
  readonly to: readonly string[];
  readonly requestedAt: string;
  readonly expiresAt: string | null;
  readonly state: ApprovalState;
}

/** The same with what the person is to look at, and what was said about it. */
export interface ApprovalDetail extends ApprovalView {
  /** Who has decided; null = nobody. */
  readonly by: string | null;
  readonly show: unknown;
  /** JSON Schema of what has to be filled in to approve; null = nothing. */
  readonly form: unknown;
  readonly notes: readonly ApprovalNote[];
}

/** One line of what happened to an approval. */
export interface ApprovalNote {
  readonly at: string;
  readonly what:
    | 'requested'
    | 'delegated'
    | 'escalated'
    | 'commented'
    | 'approved'
    | 'rejected'
    | 'expired'
    | 'cancelled';
  /** null = the engine. */
  readonly by: string | null;
  readonly to?: readonly string[];
  readonly text?: string;
  readonly form?: unknown;
}

/** A key of an agent. */
export interface AgentSummary {
  readonly agent: string;
  readonly key: string;
  /** The run that the key is at; another after some hundreds of messages. */
  readonly run: string;
  /** Counts the runs of the key from 1. */
  readonly generation: number;
}

/** What a key of an agent is at. */
export interface AgentView extends AgentSummary {
  /** `parked`: it has failed, keeps its mail, and goes on when its run is redriven. `ended`: the next message begins anew. */
  readonly status: 'idle' | 'busy' | 'parked' | 'ended';
  /** Messages that wait for their turn. */
  readonly mailbox: number;
  /** Messages handled so far. */
  readonly handled: number;
  /** The state after the last of them; null = none was handled yet. */
  readonly state: unknown;
  readonly updatedAt: string;
}

export interface AgentPage {
  readonly items: readonly AgentSummary[];
  readonly next: string | null;
}

/** What became of a message to an agent. */
export interface MessageAnswer {
  /** Of the message; by it the answer is asked for. */
  readonly id: string;
  readonly outcome: 'accepted' | 'already';
}

/** The answer of an agent. */
export interface AgentReply {
  readonly state: 'answered' | 'failed' | 'pending';
  /** What it has answered. */
  readonly value?: unknown;
  /** Why there is no answer. */
  readonly error?: { readonly class: string; readonly code: string; readonly message: string };
}

/** A schedule: what it starts and when, what comes next, and what became of its last ticks. */
export interface ScheduleView {
  readonly name: string;
  readonly tenant: string;
  /** Name of the workflow. */
  readonly start: string;
  /** Either `cron` and `timeZone`, or `everyMs`. */
  readonly cron: string | null;
  readonly timeZone: string | null;
  readonly everyMs: number | null;
  /** Input of each run, as plain JSON. */
  readonly input: unknown;
  readonly catchUp: CatchUp;
  readonly catchUpMax: number;
  readonly jitterMs: number;
  readonly overlap: Overlap;
  readonly queueMax: number;
  readonly labels: Readonly<Record<string, string>>;
  /** Null = that of the workflow. */
  readonly priority: number | null;
  /** The app that defines it; null = it was made by a request. */
  readonly app: string | null;
  readonly createdAt: string;
  readonly updatedAt: string;
  /** Since when it starts nothing; null = it ticks. */
  readonly pausedAt: string | null;
  readonly pauseReason: string | null;
  /** The next few ticks, without jitter; empty while it is paused. */
  readonly next: readonly string[];
  /** Ticks that wait for the end of an earlier run. */
  readonly waiting: readonly string[];
  /** Runs that it has started and that had not ended when it was last looked at; always empty where overlap is allowed. */
  readonly running: readonly string[];
  readonly counts: { readonly started: number; readonly skipped: number; readonly missed: number };
  /** What became of the last ticks, newest first. */
  readonly recent: readonly TickView[];
}

/** What became of a tick. */
export interface TickView {
  readonly tick: string;
  /** Where several were missed in a row: the last of them. */
  readonly to?: string;
  readonly at: string;
  readonly outcome: (typeof tickOutcomes)[number];
  /** The run that it started. */
  readonly run: string | null;
  readonly reason: string | null;
}

export const tickOutcomes = ['started', 'waiting', 'skipped', 'missed', 'failed'] as const;

export interface QueueView {
  readonly queue: string;
  readonly ready: number;
  readonly delayed: number;
  readonly held: number;
  readonly leased: number;
  /** Age of the oldest ready task. */
  readonly lagMs: number;
  /** Connected workers that serve this queue, and their slots. */
  readonly workers: number;
  readonly slots: number;
}

/** What a fleet was after an event of the feed. Counted from events, apart from `lag` and `sample`. */
export interface FleetView {
  /** Position of the last event that is in; all up to it are. */
  readonly position: number;
  /** The latest date of an event that is in; null = none is. */
  readonly at: string | null;
  /** The checkpoint that this goes on from; null = from the beginning of the feed. */
  readonly checkpoint: { readonly position: number; readonly at: string } | null;
  /** Events that lie between the checkpoint and the moment are deleted: this is what the checkpoint says. null = none are. */
  readonly gap: FleetGap | null;
  /** Runs that were deleted before they could be counted out: the counts may be too high by as many. */
  readonly doubts: number;
  /** Runs by status; those that have ended are all that ever did, kept or not. */
  readonly runs: readonly { readonly workflow: string; readonly status: RunStatus; readonly count: number }[];
  /** Tasks: `open` are ready, delayed or leased, `held` wait for admission. */
  readonly queues: readonly { readonly queue: string; readonly open: number; readonly held: number }[];
  /** Calls that want some of a limit, or have it. */
  readonly limits: readonly { readonly limit: string; readonly waiting: number; readonly granted: number }[];
  /** Inferences that wait for admission, or have it. */
  readonly models: readonly { readonly model: string; readonly waiting: number; readonly granted: number }[];
  /** What bodies wait for: `signal`, `event`, `approval`. */
  readonly waits: readonly { readonly kind: string; readonly open: number }[];
  /** Keys with an unfinished run, and the messages that they have not taken. */
  readonly agents: readonly { readonly agent: string; readonly keys: number; readonly unread: number }[];
  readonly topics: readonly { readonly topic: string; readonly events: number }[];
  readonly lag: readonly FleetLag[];
  /** What the rows said at the checkpoint, at `at`: claims are no events. */
  readonly sample: FleetSampleView | null;
}

/** `missing`: how many of the events of runs between two positions are no longer there. */
export interface FleetGap {
  readonly from: number;
  readonly to: number;
  readonly missing: number;
}

/** How far a subscription was behind at most: its topic as it was, its cursors as the checkpoint has them. */
export interface FleetLag {
  readonly subscription: string;
  readonly topic: string;
  readonly eventsMax: number;
}

/** What the rows of the store said of work that no event tells of, at `at`. */
export interface FleetSampleView {
  readonly at: string;
  readonly queues: readonly {
    readonly queue: string;
    readonly ready: number;
    readonly delayed: number;
    readonly leased: number;
    readonly lagMs: number;
  }[];
  readonly workers: readonly { readonly queue: string; readonly sessions: number; readonly slots: number }[];
}

/** How many workers a group of queues wants: what an autoscaler reads. */
export interface ScaleView {
  /** Tasks that are ready or under way, of all queues of the group: the number to divide by a target per worker. */
  readonly value: number;
  /** Workers wanted for that, within `min` and `max`. */
  readonly desired: number;
  /** Whether any worker is wanted. */
  readonly active: boolean;
  readonly ready: number;
  readonly leased: number;
  /** Tasks that start later or are blocked; no worker is wanted for them. */
  readonly delayed: number;
  readonly held: number;
  /** Age of the oldest ready task. */
  readonly lagMs: number;
  /** Workers connected to this server that serve one of the queues, and their slots. */
  readonly workers: number;
  readonly slots: number;
  /** The bounds that `desired` was made with. */
  readonly target: number;
  readonly min: number;
  readonly max: number;
  readonly activation: number;
  /** False where an app was asked for that no worker has ever brought; one worker is wanted then, to bring it. */
  readonly known: boolean;
  /** Names of the queues of the group. */
  readonly queues: readonly string[];
}

export interface WorkerView {
  readonly session: string;
  readonly worker: string;
  readonly app: string;
  /** Hash of the definitions that it was started with; null where it has not said. */
  readonly manifest: string | null;
  readonly connected: boolean;
  readonly openedAt: string;
  readonly slots: number;
  readonly leased: number;
  readonly queues: readonly string[];
  readonly host: string | null;
  readonly pid: number | null;
}

/** A model, as it is in force. */
export interface ModelView {
  readonly name: string;
  /** What is done about an ambiguous call, the first that can be done. */
  readonly policy: readonly AmbiguityPolicy[];
  readonly versions: readonly ModelVersionView[];
  /** Who has set its weights over those of the app; null = nobody. */
  readonly set: { readonly by: string; readonly at: string } | null;
  /** Changes that can be taken back. */
  readonly steps: number;
  /** Null = no version is asked beside the others, and none was. */
  readonly shadow: ModelShadowView | null;
}

/** The version of a model that is asked beside the others, and what came of those that were. */
export interface ModelShadowView {
  /** In force; null = none is asked now. */
  readonly rule: ShadowRule | null;
  /** Whether an operator has set it, and not the app. */
  readonly isSet: boolean;
  /** Calls that are being made. */
  readonly underWay: number;
  /** What the calls of today (UTC) have cost. */
  readonly spentTodayMicros: number;
  /** Of each pair of versions, the ones that were compared last last. */
  readonly evidence: readonly ShadowEvidence[];
}

/** A version of a model. */
export interface ModelVersionView {
  readonly version: string;
  readonly endpoint: string;
  /** Share of the new runs, against the weights of the others: in force, and as the app declares it. */
  readonly weight: number;
  readonly declaredWeight: number;
  readonly windowTokens: number | null;
  readonly outputTokensMax: number | null;
  readonly price: ModelPrice | null;
  /** Of its endpoint; `probeAt`: until then nobody calls it. */
  readonly breaker: { readonly state: 'closed' | 'open' | 'half-open'; readonly probeAt: string | null };
  /** The endpoint has asked for a pause, and nobody calls it until then; null = it has not. */
  readonly pausedUntil: string | null;
}

/** How the versions of a model do. */
export interface ModelReportView {
  readonly model: string;
  /** The version that the others are compared with. */
  readonly against: string;
  /** How often at most a difference is shown where there is none, however often one looks. */
  readonly alpha: number;
  readonly arms: readonly ModelArmView[];
  readonly shadow: ModelShadowView | null;
}

/** Answers of models that are kept to serve again. */
export interface CacheView {
  readonly answers: number;
  /** Of all of them together. */
  readonly bytes: number;
  readonly answersMax: number;
  readonly bytesMax: number;
  /** When the oldest was given; null = there is none. */
  readonly oldestAt: string | null;
  readonly models: readonly CacheModelView[];
}

/** Those of a version of a model. */
export interface CacheModelView {
  readonly model: string;
  readonly version: string;
  readonly answers: number;
  readonly bytes: number;
}

/** What was cleared. */
export interface CacheCleared {
  readonly cleared: number;
}

/** How a version does: means of what it came to; null = nothing is known. */
export interface ModelArmView {
  readonly version: string;
  /** That have ended. */
  readonly inferences: number;
  readonly failures: number;
  readonly latencyMs: number | null;
  readonly costMicros: number | null;
  /** Outcomes that were reported, and their mean. */
  readonly scores: number;
  readonly score: number | null;
  /** With the version that it is compared with. */
  readonly comparisons: readonly ModelComparisonView[];
}

/** A quantity of a version, less that of the one it is compared with. */
export interface ModelComparisonView {
  readonly of: 'failures' | 'score' | 'latencyMs' | 'costMicros';
  readonly difference: number;
  /** Where it lies; null = too little is known. */
  readonly interval: { readonly low: number; readonly high: number } | null;
  /** Whether there is a difference. */
  readonly isShown: boolean;
}

/** What failures are classified by, and how the model that is asked beside it differs. */
export interface TriageView {
  /** Version of the classifier in force, `rules.model`. */
  readonly inForce: string;
  /** Of the one beside it; null = there is none. */
  readonly shadow: string | null;
  /** Who has changed it last; null = nobody ever has. */
  readonly set: { readonly by: string; readonly at: string } | null;
  /** Promotions that can be taken back. */
  readonly steps: number;
  /** Of failures since the shadow is there; null = there is none. */
  readonly verdicts: TriageVerdictsView | null;
  readonly corrections: TriageCorrectionsView;
}

/** Failed attempts by the verdicts of both. */
export interface TriageVerdictsView {
  readonly failures: number;
  readonly same: number;
  /** The most frequent first. */
  readonly pairs: readonly {
    readonly class: string;
    readonly shadow: string;
    readonly count: number;
    /** Of these, failures that would have had another class: a verdict decides only where its words are clear. */
    readonly changes: number;
  }[];
}

/** What both make of the failures that operators have corrected, by their messages alone. */
export interface TriageCorrectionsView {
  /** The newest are looked at. */
  readonly count: number;
  readonly inForceRight: number;
  readonly shadowRight: number | null;
  /** Where the two differ: which class it is, and what each says. */
  readonly differences: readonly {
    readonly label: string;
    readonly class: string;
    readonly shadow: string;
    readonly count: number;
  }[];
}

/** A limit as it is in force, and how it stands. */
export interface LimitView {
  readonly name: string;
  readonly kind: 'concurrency' | 'rate' | 'budget';
  /** As it would be written in code. */
  readonly options: LimitOptions;
  /** Whether an app declares it. */
  readonly declared: boolean;
  /** By whom and when it was set in place of what apps declare; null = it was not. */
  readonly set: { readonly by: string; readonly at: string } | null;
  /** Counters in use; those that are used most follow. */
  readonly counterCount: number;
  readonly counters: readonly LimitCounterView[];
}

/** One counter of a limit. */
export interface LimitCounterView {
  readonly key: string;
  /** Slots, requests, tokens, or millionths of the currency: in use, and in all. */
  readonly used: number;
  readonly limit: number;
  /** When all of it is there again if nothing more is used; null = it does not come back by itself. */
  readonly resetAt: string | null;
}

/** An API key, without what it is known by. */
export interface KeyView {
  /** Unique within the tenant. */
  readonly name: string;
  readonly id: string;
  readonly tenant: string;
  readonly state: 'active' | 'expired' | 'revoked';
  readonly roles: readonly string[];
  /** `action:kind/pattern`; null = everything within the tenant. */
  readonly permissions: readonly string[] | null;
  /** Tags of fields that it is shown in clear; null = what its roles are shown. */
  readonly clearances: readonly string[] | null;
  readonly createdAt: string;
  readonly createdBy: string;
  /** Null = never. */
  readonly expiresAt: string | null;
  readonly revokedAt: string | null;
  readonly revokedBy: string | null;
  /** The text that it had before it was rotated is accepted until then; null = it is not. */
  readonly formerUntil: string | null;
  /** To some minutes; null = never. */
  readonly lastUsedAt: string | null;
}

/** A key that was made, or given another secret. */
export interface MadeKeyView extends KeyView {
  /** What is sent as a bearer token. Shown this once. */
  readonly key: string;
}

/** A key to be made. */
export interface KeyRequest {
  readonly name: string;
  /** `operator`, `worker`, `admin`, `viewer`, or roles of the installation. Default: none, which is enough for programs. */
  readonly roles?: readonly string[];
  /** `action:kind/pattern`. Default: everything within the tenant. */
  readonly permissions?: readonly string[];
  /** Tags of fields that it is shown in clear. Default: what its roles are shown. */
  readonly clearances?: readonly string[];
  /** How long it is good for: ms, a text like `90d`, or `never`. Default 90 d. */
  readonly expires?: number | string;
}

/** An endpoint that tasks are sent to. */
export interface EndpointView {
  readonly app: string;
  /** Without its query. */
  readonly url: string;
  readonly concurrency: number;
  readonly timeoutMs: number;
  /** `paused`: it did not answer, or has too much to do; `elsewhere`: another server sends to it, or none yet. */
  readonly state: 'serving' | 'paused' | 'elsewhere';
  /** Tasks that it may have at one time as things are; null = not known here. */
  readonly slots: number | null;
  /** What was wrong last; null = nothing is. */
  readonly reason: string | null;
  readonly pausedForMs: number;
}

export interface HealthView {
  readonly status: 'ok' | 'not_ready';
  /** Whether work can be recorded, though perhaps nobody does it now. */
  readonly accepts: boolean;
  readonly reasons: readonly string[];
  readonly version: string;
  readonly store: string;
  readonly uptimeMs: number;
}

export interface DoctorView {
  readonly checkedAt: string;
  readonly checks: readonly DoctorCheck[];
}

export interface DoctorCheck {
  readonly property: string;
  readonly says: string;
  readonly ok: boolean;
  /** How many runs were looked at; null = the store looked at all of its rows. */
  readonly checked: number | null;
  readonly violations: readonly { readonly tenant: string; readonly subject: string; readonly detail: string }[];
}

export interface PageView<T> {
  readonly items: readonly T[];
  /** Opaque; null = no more. Give it back as `cursor`. */
  readonly next: string | null;
}

/** RFC 9457 problem details with our code and mend. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  readonly mend: string;
  readonly retryable: boolean;
  /** What the caller may do about it; absent where the answer is not ours. */
  readonly kind?: ErrorKind;
  readonly faults?: readonly string[];
  readonly run?: string;
  /** Why the run failed, where the problem is the outcome of a run. */
  readonly failure?: { readonly class: string; readonly code: string; readonly message: string };
  /** What the run said when it refused: the data of its `Terminal`. */
  readonly data?: unknown;
}

/** Events of the SSE stream of a run: `event` carries a RunEventView, `gap` says that older events are gone. */
export type StreamEvent =
  | { readonly event: 'event'; readonly data: RunEventView }
  | { readonly event: 'state'; readonly data: { readonly state: RunViewState } }
  | { readonly event: 'gap'; readonly data: { readonly from: number; readonly to: number } }
  | { readonly event: 'end'; readonly data: { readonly state: RunViewState } };

/**
 * Messages of the stream of a topic: `start` says where the reader begins, `event` carries a TopicEventView, `gap` says
 * that offsets of a partition are gone by retention, and `place` how far the reader has come where nothing was for it.
 */
export type TopicStreamEvent =
  | {
      readonly event: 'start' | 'place';
      readonly data: { readonly partitions: readonly { readonly partition: number; readonly next: number }[] };
    }
  | { readonly event: 'event'; readonly data: TopicEventView }
  | {
      readonly event: 'gap';
      readonly data: { readonly partition: number; readonly from: number; readonly to: number };
    };

export type { Failure };

/** A subscription: what it wants, and how far it is behind. */
export interface SubscriptionView {
  readonly name: string;
  readonly topic: string;
  /** What each of its events starts a run of; null = they are pulled. */
  readonly workflow: string | null;
  readonly filter: Filter | null;
  readonly from: StartPosition;
  readonly order: DeliveryOrder;
  /** Events under way of one partition, at most. */
  readonly window: number;
  /** Deliveries to consumers after which an event is a dead event; null = its events start runs. */
  readonly deliveries: number | null;
  /** How far it may be behind before publishers are refused; null = they never are. */
  readonly lagMax: { readonly count: number | null; readonly ageMs: number | null } | null;
  /** Topic that is told of its dead events and dead letters. */
  readonly dead: string | null;
  /** By an app; false = it was made over the API. */
  readonly declared: boolean;
  readonly paused: { readonly by: string; readonly at: string; readonly reason: string | null } | null;
  /** Events that are not settled. */
  readonly lag: number;
  /** Age of the oldest of them, ms; null = there is none. */
  readonly ageMs: number | null;
  /** Why publishers are refused; null = they are not. */
  readonly behind: string | null;
}

/** A subscription with its partitions, and who consumes it. */
export interface SubscriptionDetail extends SubscriptionView {
  readonly partitions: readonly SubscriptionPartitionView[];
  readonly consumers: readonly ConsumerView[];
}

/** Where a subscription is in a partition. */
export interface SubscriptionPartitionView {
  readonly partition: number;
  /** Offset of the event that is published next. */
  readonly head: number;
  /** Its committed offset: everything before it is settled. */
  readonly next: number;
  readonly lag: number;
  readonly ageMs: number | null;
  /** Who has events of it in hand; null = nobody. */
  readonly consumer: string | null;
  /** How many. */
  readonly inHand: number;
}

/** A consumer that lives. */
export interface ConsumerView {
  readonly consumer: string;
  /** Without another word of it, it counts as gone then. */
  readonly until: string;
}

/** Where the cursors of a subscription were set to. */
export interface SeekAnswer {
  readonly name: string;
  readonly partitions: readonly {
    readonly partition: number;
    /** Offset of the next event. */
    readonly next: number;
    /** Offset of the event that is published next. */
    readonly head: number;
  }[];
}

/** What a replay begins, or would begin. */
export interface ReplayAnswer extends SeekAnswer {
  /** The subscription that was made for it; null = it was a dry run. */
  readonly into: string | null;
  /** null = its events are pulled. */
  readonly workflow: string | null;
  readonly dryRun: boolean;
  /** Events that lie in between; of a dry run, those that it has looked at. */
  readonly events: number;
  /** Of these, those that the filter lets pass; null = nobody has looked. */
  readonly wanted: number | null;
  /** A dry run has looked at all of them. */
  readonly isWhole: boolean;
}

export type {
  AckAnswer,
  AckRequest,
  EventPosition,
  LeaveRequest,
  NackAnswer,
  NackRequest,
  PullAnswer,
  PulledEvent,
  PulledGap,
  PullRequest,
  RenewAnswer,
  RenewRequest,
} from '../core/topics/consume.js';

/** A source of webhooks, without what its secrets are. */
export interface WebhookSourceFacts {
  readonly name: string;
  /** Where its events go. */
  readonly topic: string;
  readonly scheme: WebhookScheme;
  /** As it was given; what is left out is as the scheme has it. */
  readonly map: WebhookMap;
  readonly once: 'id' | 'content';
  /** An app declares it; else it was made over the API. */
  readonly declared: boolean;
  /** Where its sender posts to, below the base of the API. */
  readonly path: string;
  readonly secrets: readonly WebhookSecretView[];
}

/** A secret of a source, without what it is. */
export interface WebhookSecretView {
  readonly id: string;
  /** Who has given it, and when. */
  readonly by: string;
  readonly at: string;
  /** From when on it counts no more; null = it counts until it is removed. */
  readonly until: string | null;
}

/** A source of webhooks, with what this server has seen of it since it was started. */
export interface WebhookSourceView extends WebhookSourceFacts {
  readonly seen: WebhookSeen;
}

/** What one server has made of the webhooks of a source. */
export interface WebhookSeen {
  readonly accepted: number;
  readonly duplicates: number;
  readonly refused: number;
  /** The last that was refused: when, and why; null = none was. */
  readonly lastRefusal: { readonly at: string; readonly fault: string } | null;
}

/** What becomes of a webhook. */
export interface WebhookAnswer {
  /** Id of the event. */
  readonly id: string;
  readonly topic: string;
  /** It was received before. */
  readonly duplicate: boolean;
}
