/**
 * What an engine offers to those above it (HTTP server, embedded facade, tests): intake, reads, commands, worker
 * channels and upkeep. One engine serves one store; several engines may serve one store where it allows that.
 */
import type { EventRow, ManifestRow, StoredPayload } from '../store/contract.js';
import type { Manifest } from '../core/manifest.js';
import type { Failure, FailureClass } from '../core/failure.js';
import type { InlinePayload, Payload } from '../core/payload.js';
import type { Remedy } from '../core/remedies.js';
import type { ScheduleSpec } from '../core/schedule/spec.js';
import type { StartPosition } from '../core/topics/subscription.js';
import type { WebhookSource } from '../core/webhooks/source.js';
import type {
  AckAnswer,
  AckRequest,
  LeaveRequest,
  NackAnswer,
  NackRequest,
  PullAnswer,
  PullRequest,
  RenewAnswer,
  RenewRequest,
} from '../core/topics/consume.js';
import type { ExportedHistory } from '../core/run/exported-history.js';
import type { Person } from '../core/run/waits.js';
import type { TenantRecord } from './access/access-office.js';
import type { ServerMessage, Submission, SubmissionResult, WorkerMessage } from '../protocol/worker.js';
import type {
  AccessEventView,
  AgentSummary,
  AgentView,
  ApprovalDetail,
  ApprovalView,
  BridgeState,
  BridgeView,
  CacheView,
  DeadEventDetail,
  DeadEventView,
  DeadLetterCount,
  DeadLetterDetail,
  DeadLetterView,
  DecisionView,
  DeployAnswer,
  DoctorView,
  HealthView,
  ModelReportView,
  ModelView,
  TriageView,
  LimitView,
  KeyView,
  MadeKeyView,
  PageView,
  FleetView,
  QueueView,
  RedriveView,
  ReplayAnswer,
  RunEventView,
  RunSummary,
  RunFold,
  RunViewState,
  ScheduleView,
  SourceView,
  TopicView,
  TopicWriterView,
  SeekAnswer,
  SubscriptionDetail,
  SubscriptionView,
  TopicEventView,
  WebhookSourceFacts,
  WorkerView,
} from '../protocol/http.js';
import type { ApiKey } from '../core/keys/api-key.js';
import type { KeyOrder } from './keys/key-office.js';
import type { ToolOrderView, ToolPoliciesView } from '../protocol/tools.js';
import type { LetterFilter } from './deadletters/filter.js';
import type { DeadEventFilter } from './topics/dead-events.js';
import type { ManyRequest } from './deadletters/redrives.js';
import type { TallyRow } from '../store/contract.js';
import type { RunMoment } from './runs/past.js';
import type { FleetMoment } from './fleet/fleet-views.js';
import type { ModelOrder } from './models/models-office.js';
import type { FollowedPartition, TopicStreamHandlers } from './topics/topic-followers.js';
import type { TrimReason } from './topics/keeper.js';
import type { TopicGap } from './topics/low-water.js';
import type { WebhookEntry, Webhooks, WebhookSecret } from './webhooks/webhook-office.js';
import type { TriageOrder } from './triage/triage-office.js';

/** Part of a partition. */
export interface TopicPage {
  readonly items: readonly TopicEventView[];
  /** Offsets before the first item that were trimmed; null = none. */
  readonly gap: TopicGap | null;
}

/** What has become of topics through this server, since it began. */
export interface TopicFacts {
  /** Events that were deleted, by why. */
  readonly trimmed: Readonly<Record<TrimReason, number>>;
  /** Events that came after their source had gone past them, by what became of them. */
  readonly late: Readonly<Record<'accepted' | 'dropped' | 'dead', number>>;
  /** Gaps in the numbers of sources. */
  readonly gaps: number;
  /** Events refused because another writes now. */
  readonly fenced: number;
}

/** A part of a list. */
export interface PageQuery {
  readonly cursor?: string;
  readonly limit?: number;
}

/** What somebody has made of the answers of a model in a run. */
export interface ModelOutcome {
  readonly model: string;
  /** From 0 to 1. */
  readonly score: number;
  /** Tells several outcomes of one run and model apart. */
  readonly id: string;
}

/** How a limit stands. */
export interface LimitFacts {
  readonly limit: string;
  /** Tickets that wait and want some of it. */
  readonly waiting: number;
  /** Counters in use, and how full the fullest is, from 0. */
  readonly counters: number;
  readonly fullest: number;
  /** Tickets that this server has granted some of it, since it grants. */
  readonly granted: number;
}

/** How a bridge of this server stands; what is counted is what this server has done. */
export interface BridgeFacts {
  readonly bridge: string;
  readonly direction: 'in' | 'out';
  readonly state: BridgeState;
  readonly moved: number;
  readonly duplicates: number;
  readonly dead: number;
  readonly missed: number;
  /** Messages that it is behind, and the age of the oldest, as far as it is known. */
  readonly lag: number;
  readonly lagAgeMs: number;
}

/** How an endpoint of models stands, as one server knows it; what is counted is what this server has done. */
export interface EndpointFacts {
  readonly endpoint: string;
  readonly breaker: 'closed' | 'open' | 'half-open';
  /** Moves of its breaker to each state. */
  readonly moves: Readonly<Record<'closed' | 'open' | 'half-open', number>>;
  /** Probes that were let through. */
  readonly probes: number;
  /** How often an inference was held back, or sent on to a fallback: by the breaker, and by a pause. */
  readonly refused: number;
  readonly refusedPaused: number;
  /** It has asked for a pause that is not over. */
  readonly isPaused: boolean;
}

/** How far a subscription is behind, over all tenants; what is counted is what this server has done. */
export interface SubscriptionFacts {
  readonly subscription: string;
  /** Events that are not settled. */
  readonly lag: number;
  /** Age of the oldest of them; 0 = there is none. */
  readonly ageMs: number;
  /** Events that publishers were refused because of it. */
  readonly refused: number;
}

/** Where a request comes from; goes into the envelopes of the events that it causes. */
export interface Origin {
  readonly tenant: string;
  /** `client:<name>`, `cli` ... */
  readonly actor: string;
  readonly traceparent: string | null;
  readonly correlation: string | null;
}

export interface StartRequest {
  readonly workflow: string;
  /** Encoded input, checked by `core/codec`. */
  readonly input: Payload;
  /** The input as plain JSON, where the caller has it at hand: saves decoding it again for the schema. */
  readonly value?: unknown;
  readonly idempotencyKey?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly priority?: number;
  /** The body begins so long after the start on the store's clock, or at an instant (epoch ms). At most one of the two. */
  readonly delayMs?: number;
  readonly startAt?: number;
  /** The URL that is told of the end of the run, by a signed message. It was looked at by whoever took the request. */
  readonly notify?: string;
  /** Where this one comes from, in a call that is made for several callers. Default: the origin of the call. */
  readonly origin?: Origin;
}

/** Expected outcomes are values. `error` carries a SpineError (unknown workflow, invalid input, key reused ...). */
export type StartOutcome =
  | { readonly tag: 'started'; readonly run: string }
  | { readonly tag: 'repeated'; readonly run: string }
  | { readonly tag: 'error'; readonly error: Error };

/** What the door of webhooks knows of a source. */
export interface WebhookDoor {
  readonly source: WebhookSource;
  /** Those that count now, the newest first; never empty. */
  readonly secrets: readonly string[];
}

/** A secret that a source is to have. */
export interface NewWebhookSecret {
  readonly secret: string;
  /** The others count until then, epoch ms. Absent = they stay. */
  readonly othersUntil?: number;
}

export interface PublishRequest {
  readonly topic: string;
  /** CloudEvents attributes; `id` and `source` identify the event for deduplication. */
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly subject?: string;
  readonly time?: string;
  readonly key?: string;
  /** A URI of ours (`urn:eventspine:schema:...`) names the version that the data is of. */
  readonly dataschema?: string;
  /** Version of the schema of the topic that the data is of. Default: what `dataschema` says, else the newest that it fits. */
  readonly version?: number;
  readonly attributes?: Readonly<Record<string, string | number | boolean>>;
  /** The epoch under which the publisher writes to a topic with a single writer. */
  readonly writerEpoch?: number;
  readonly data: Payload | null;
  /** The data as plain JSON, where the caller has it at hand. */
  readonly value?: unknown;
}

export type PublishOutcome =
  | {
      readonly tag: 'published';
      readonly id: string;
      readonly runs: readonly string[];
      /** It is recorded, though its source has gone past it. */
      readonly late?: true;
      /** Numbers of its source that have not come before it. */
      readonly gap?: { readonly from: number; readonly to: number };
    }
  /** Its source has gone past it, and its topic does not take such events: it is a dead event, or nothing was recorded. */
  | { readonly tag: 'late'; readonly id: string; readonly became: 'dead' | 'dropped' }
  | { readonly tag: 'duplicate'; readonly id: string }
  | { readonly tag: 'error'; readonly error: Error };

export type PutScheduleOutcome =
  | { readonly tag: 'created' | 'updated' | 'unchanged' }
  | { readonly tag: 'error'; readonly error: Error };

/** Where the cursors of a subscription are to be. */
export interface SeekRequest {
  readonly to: StartPosition;
  /** Default: all. */
  readonly partition?: number;
}

/** Which events are to go through a subscription once more. */
export interface ReplayRequest {
  readonly from: StartPosition;
  /** Name of the subscription that is made for it. Default: a new one. */
  readonly into?: string;
  /** What handles the events. Default: what handles those of the subscription. */
  readonly workflow?: string;
  /** Only count them. Default false. */
  readonly dryRun?: boolean;
}

export type CommandOutcome =
  | { readonly tag: 'done' }
  | { readonly tag: 'already' }
  | { readonly tag: 'error'; readonly error: Error };

/** How to deploy. */
export interface DeployOptions {
  /** Only says what would happen. */
  readonly dryRun?: boolean;
  /** Deploys where unfinished work loses its code, too: it stays as it is and waits for workers that have the code. */
  readonly leaveWaiting?: boolean;
}

export interface RunFilter {
  readonly states?: readonly RunViewState[];
  readonly workflow?: string;
  /** null = runs that are pinned to no version. */
  readonly version?: string | null;
  readonly failureClass?: string;
  readonly label?: { readonly name: string; readonly value: string };
  readonly startedFrom?: number;
  readonly startedBefore?: number;
  readonly order?: 'newest' | 'oldest';
  readonly cursor?: string;
  readonly limit?: number;
}

/** A worker's line to the engine: a WebSocket, a pair of queues in one process, or a simulated network. */
export interface WorkerChannel {
  /** The worker lives in the process of the engine and cannot outlive it. Default: it may be anywhere. */
  readonly inProcess?: boolean;
  send(message: ServerMessage): void;
  /** Bytes handed to `send` that have not left yet; the engine stops assigning above its bound. */
  bufferedBytes(): number;
  close(reason: string): void;
}

/** The engine's end of a line; the transport calls it. */
export interface WorkerLine {
  receive(message: WorkerMessage): void;
  /** The transport is gone. The session lives on for a while. */
  closed(): void;
  /**
   * The server is stopping: takes no more of the worker, answers what is under way, then tells it to go elsewhere, which
   * the session survives. Resolves when that is said. Idempotent.
   */
  leave(): Promise<void>;
}

export interface RunStreamHandlers {
  /** Events in `seq` order, without gap or repetition, beginning after the given `seq`. Return false to stop. */
  readonly onEvents: (events: readonly RunEventView[], state: RunViewState) => boolean;
  /** The run has ended and everything was handed over. */
  readonly onEnd: (state: RunViewState) => void;
  /** Events up to `to` are gone. */
  readonly onGap: (from: number, to: number) => void;
  readonly onError: (error: Error) => void;
}

/** What has become of answers that are kept. Counts only rise. */
export interface PredictionCounts {
  readonly models: readonly PredictionCount[];
  /** Dropped since their time was over, and since there were too many. */
  readonly expired: number;
  readonly evicted: number;
}

/** Of one model. */
export interface PredictionCount {
  readonly model: string;
  /** Inferences that an answer from before has served, and those that looked for one and found none. */
  readonly hits: number;
  readonly misses: number;
  readonly stored: number;
  /** What the calls had cost that were not made again. */
  readonly savedMicros: number;
}

/** How often a remedy was taken for failures of a class. Counts only rise. */
export interface RemedyCount {
  readonly class: FailureClass;
  readonly remedy: Remedy;
  readonly count: number;
}

/** What inferences of one version of a model have taken. Counts only rise. */
export interface InferenceCount {
  readonly model: string;
  readonly version: string;
  readonly calls: number;
  readonly completed: number;
  readonly failed: number;
  readonly retried: number;
  readonly ambiguous: number;
  /** Apart from those out of a cache. */
  readonly inputTokens: number;
  readonly cachedInputTokens: number;
  readonly outputTokens: number;
  readonly costMicros: number;
  /** Of completed calls. */
  readonly durationMs: number;
}

export interface Engine {
  /** Loads definitions and sessions and begins background duties. Idempotent. */
  start(): Promise<void>;
  /** Ends duties, lines and the store; resolves when nothing runs. Idempotent. */
  stop(): Promise<void>;

  /** Takes note of an app's definitions, as with a worker's hello. One that was seen before changes nothing. */
  /** The store's clock, epoch ms: the one that everything which expires is compared with. */
  now(): number;
  /**
   * 32 secret bytes under a name. All servers of the store have the same, restarts keep it, and it is made when it is first
   * asked for. STORE_*.
   */
  secret(name: string): Promise<Uint8Array>;

  register(manifest: Manifest): Promise<{ readonly hash: string }>;
  /**
   * Makes these the newest definitions of their app; they are in force as soon as a worker has them, or nobody has others.
   * Rejects with DEFINITION_INVALID, or with DEPLOY_REFUSED where unfinished work would lose its code.
   */
  deploy(manifest: Manifest, options?: DeployOptions): Promise<DeployAnswer>;
  /** The definitions in force. */
  definitions(): readonly Manifest[];
  /** The same, as any server of the store has registered them. */
  currentDefinitions(): Promise<readonly Manifest[]>;
  /**
   * Takes a duty that one server at a time should see to, or keeps it, for `ttlMs`. False = another has it. Two may
   * believe to have it for a moment.
   */
  holdDuty(duty: string, ttlMs: number): Promise<boolean>;

  /** Webhook endpoints of tenants. */
  readonly webhooks: Webhooks;

  startRuns(origin: Origin, requests: readonly StartRequest[]): Promise<StartOutcome[]>;
  publish(origin: Origin, requests: readonly PublishRequest[]): Promise<PublishOutcome[]>;
  /**
   * Starts a run in `tx`, the caller's own transaction on the store's database: it comes to be soon after the commit, or
   * never. TRANSACTION_UNSUPPORTED where the store has no such thing; `error` carries whatever the database threw, too.
   */
  startWithin(tx: unknown, origin: Origin, request: StartRequest): Promise<StartOutcome>;
  /** The same for an event, and with it for the runs that it starts. */
  publishWithin(tx: unknown, origin: Origin, request: PublishRequest): Promise<PublishOutcome>;
  cancel(
    origin: Origin,
    run: string,
    options?: { readonly reason?: string; readonly graceMs?: number },
  ): Promise<CommandOutcome>;
  /** Sends a failed or cancelled run back to work from what failed. */
  redrive(origin: Origin, run: string): Promise<CommandOutcome>;
  /**
   * Moves a run to another version of its workflow, which the definitions in force have (RUN_NOT_MIGRATABLE). Its body is
   * taken from the worker that has it and begins anew in that version.
   */
  migrate(origin: Origin, run: string, to: string | null): Promise<CommandOutcome>;
  /** Gives up on a dead letter: it leaves the list, the run stays failed. */
  discard(origin: Origin, deadLetter: string): Promise<CommandOutcome>;

  /** Sends a signal to a run. One whose id the run has already is `already`. RUN_NOT_FOUND, RUN_ENDED. */
  signal(origin: Origin, run: string, signal: SignalRequest): Promise<CommandOutcome>;
  /** A message to an agent. `error`: AGENT_UNKNOWN, MESSAGE_UNKNOWN, INPUT_INVALID, MAILBOX_FULL. */
  tellAgent(origin: Origin, request: TellRequest): Promise<TellOutcome>;
  /** The answer to a message that was sent with `reply`, waited for up to `ms`. */
  readAnswer(
    tenant: string,
    message: { readonly agent: string; readonly key: string; readonly id: string },
    ms: number,
  ): Promise<AgentAnswer>;
  /** Null = the key has had no message. */
  readAgent(tenant: string, agent: string, key: string): Promise<AgentView | null>;
  /** Keys that have had messages, in their order. */
  listAgents(
    tenant: string,
    agent: string,
    query: { readonly cursor?: string; readonly limit?: number },
  ): Promise<PageView<AgentSummary>>;
  /** Sends back to work what a dead letter stands for: a run, or a message that an agent has given up on. */
  redriveDeadLetter(origin: Origin, id: string, options?: { readonly reason?: string }): Promise<CommandOutcome>;
  /** Open approvals, oldest first. */
  listApprovals(tenant: string, query: ApprovalQuery): Promise<PageView<ApprovalView>>;
  readApproval(tenant: string, id: string): Promise<ApprovalDetail | null>;
  /** APPROVAL_NOT_FOUND, APPROVAL_NOT_ADDRESSED, APPROVAL_SETTLED, INPUT_INVALID. */
  sayOfApproval(origin: Origin, id: string, person: Person, say: Say): Promise<CommandOutcome>;
  /** Adds a schedule or replaces its definition. `error`: WORKFLOW_UNKNOWN, INPUT_INVALID, SCHEDULE_OWNED. */
  putSchedule(origin: Origin, name: string, spec: ScheduleSpec): Promise<PutScheduleOutcome>;
  /** Ticks do nothing until it is resumed, and those of that time are not made up for. `error`: SCHEDULE_NOT_FOUND. */
  pauseSchedule(origin: Origin, name: string, options?: { readonly reason?: string }): Promise<CommandOutcome>;
  resumeSchedule(origin: Origin, name: string): Promise<CommandOutcome>;
  /** Removes it; runs that it has started go on. `error`: SCHEDULE_NOT_FOUND, SCHEDULE_OWNED. */
  removeSchedule(origin: Origin, name: string): Promise<CommandOutcome>;
  /** Starts a run of it now. `error`: SCHEDULE_NOT_FOUND, and those of a start. */
  triggerSchedule(origin: Origin, name: string, options?: { readonly idempotencyKey?: string }): Promise<StartOutcome>;
  readSchedule(tenant: string, name: string): Promise<ScheduleView | null>;
  listSchedules(
    tenant: string,
    query: { readonly cursor?: string; readonly limit?: number },
  ): Promise<PageView<ScheduleView>>;

  /** Subscriptions of a tenant, by name, with how far they are behind. */
  listSubscriptions(tenant: string): Promise<SubscriptionView[]>;
  readSubscription(tenant: string, name: string): Promise<SubscriptionDetail | null>;
  /**
   * Makes a subscription whose events are pulled, or changes one that was made. `options` may be anything. Rejects with
   * SUBSCRIPTION_INVALID, SUBSCRIPTION_OWNED and TOPIC_UNKNOWN.
   */
  putSubscription(
    origin: Origin,
    name: string,
    options: Readonly<Record<string, unknown>>,
  ): Promise<SubscriptionDetail>;
  /** Removes one that was made, with its cursors. Rejects with SUBSCRIPTION_NOT_FOUND and SUBSCRIPTION_OWNED. */
  removeSubscription(origin: Origin, name: string): Promise<void>;
  /** Sources of webhooks of a tenant, by name. */
  listWebhookSources(tenant: string): Promise<WebhookSourceFacts[]>;
  /** Rejects with WEBHOOK_SOURCE_NOT_FOUND. */
  readWebhookSource(tenant: string, name: string): Promise<WebhookSourceFacts>;
  /** Makes or changes one. `options` may be anything. Rejects with WEBHOOK_SOURCE_INVALID, WEBHOOK_SOURCE_OWNED, TOPIC_UNKNOWN. */
  putWebhookSource(
    origin: Origin,
    name: string,
    options: Readonly<Record<string, unknown>>,
  ): Promise<WebhookSourceFacts>;
  /** With its secrets. Rejects with WEBHOOK_SOURCE_NOT_FOUND, WEBHOOK_SOURCE_OWNED. */
  removeWebhookSource(origin: Origin, name: string): Promise<void>;
  /** Rejects with WEBHOOK_SOURCE_NOT_FOUND, WEBHOOK_SOURCE_INVALID. */
  addWebhookSecret(origin: Origin, name: string, secret: NewWebhookSecret): Promise<WebhookSourceFacts>;
  /** Rejects with WEBHOOK_SOURCE_NOT_FOUND. */
  removeWebhookSecret(origin: Origin, name: string, id: string): Promise<WebhookSourceFacts>;
  /**
   * What is needed to believe a request for a source; null = there is none, or it has no secret. It may be a second old. Not a
   * promise where it is known.
   */
  webhookDoor(tenant: string, name: string): WebhookDoor | null | Promise<WebhookDoor | null>;
  /** Hands out events to a consumer. Rejects with SUBSCRIPTION_NOT_FOUND, SUBSCRIPTION_HANDLED, CONSUMERS_FULL. */
  pullEvents(origin: Origin, name: string, request: PullRequest): Promise<PullAnswer>;
  /** All of them or none. Rejects with SUBSCRIPTION_NOT_FOUND, CONSUMER_FENCED, ACK_OUT_OF_ORDER. */
  ackEvents(origin: Origin, name: string, request: AckRequest): Promise<AckAnswer>;
  /** All of them or none. Rejects with SUBSCRIPTION_NOT_FOUND, CONSUMER_FENCED. */
  nackEvents(origin: Origin, name: string, request: NackRequest): Promise<NackAnswer>;
  renewEvents(origin: Origin, name: string, request: RenewRequest): Promise<RenewAnswer>;
  /** What the consumer has in hand goes to others at once, uncounted. */
  leaveSubscription(origin: Origin, name: string, request: LeaveRequest): Promise<void>;
  /** The server is stopping: pulls that wait are answered with what there is, and none waits from now on. */
  endPulls(): void;
  /** How far subscriptions are behind, over all tenants; not older than a few seconds. */
  subscriptionFacts(): Promise<readonly SubscriptionFacts[]>;
  /** Nothing of it is begun after this was answered, until it is resumed. `error`: SUBSCRIPTION_NOT_FOUND. */
  pauseSubscription(origin: Origin, name: string, reason: string | null): Promise<CommandOutcome>;
  /** `error`: SUBSCRIPTION_NOT_FOUND. */
  resumeSubscription(origin: Origin, name: string): Promise<CommandOutcome>;
  /** Sets its cursors to another place. Rejects with SUBSCRIPTION_NOT_FOUND. */
  seekSubscription(origin: Origin, name: string, request: SeekRequest): Promise<SeekAnswer>;
  /** Sends events that were through a group of their own. Rejects with SUBSCRIPTION_NOT_FOUND, SUBSCRIPTION_INVALID, WORKFLOW_UNKNOWN. */
  replaySubscription(origin: Origin, name: string, request: ReplayRequest): Promise<ReplayAnswer>;

  /** `moment`: the run as it was then, out of its events (RUN_EVENT_NOT_FOUND); null, the default, is now. */
  readRun(tenant: string, run: string, moment?: RunMoment | null): Promise<RunFold | null>;
  /** Encoded result of a succeeded run, failure of a failed one; null = no such run. */
  readResult(tenant: string, run: string): Promise<RunResult | null>;
  readHistory(
    tenant: string,
    run: string,
    query: { readonly after: number; readonly limit: number },
  ): Promise<RunEventView[] | null>;
  /** All inferences of a run, in the order in which they were asked for, as known at `moment`; null = no such run. */
  readDecisions(tenant: string, run: string, moment?: RunMoment | null): Promise<DecisionView[] | null>;
  /** The run with everything that its body was given, for a replay elsewhere; null = no such run. */
  exportHistory(tenant: string, run: string): Promise<ExportedHistory | null>;
  listRuns(tenant: string, filter: RunFilter): Promise<PageView<RunSummary>>;
  /** Newest first; a page may be shorter than asked for where few match. */
  listDeadLetters(
    tenant: string,
    query: LetterFilter & { readonly cursor?: string; readonly limit?: number },
  ): Promise<PageView<DeadLetterView>>;
  readDeadLetter(tenant: string, id: string): Promise<DeadLetterDetail | null>;
  countDeadLetters(tenant: string, filter: LetterFilter): Promise<DeadLetterCount>;
  /** Gives what failed another input and sends it back to work, in one commit. */
  editDeadLetter(
    origin: Origin,
    id: string,
    edit: { readonly input: InlinePayload; readonly reason: string },
  ): Promise<CommandOutcome>;
  /** Says which class the failure really has: an event of the topic `eventspine.corrections`. */
  correctDeadLetter(
    origin: Origin,
    id: string,
    said: { readonly label: FailureClass; readonly reason: string | null },
  ): Promise<CommandOutcome>;
  /** Events that were given up on and that no run stands for, oldest first; a page may be shorter than asked for. */
  listDeadEvents(
    tenant: string,
    query: DeadEventFilter & { readonly cursor?: string; readonly limit?: number },
  ): Promise<PageView<DeadEventView>>;
  readDeadEvent(tenant: string, id: string): Promise<DeadEventDetail | null>;
  /** Sends it back to where it came from. `error`: DEAD_EVENT_NOT_FOUND, DEAD_EVENT_NOT_REDRIVABLE. */
  redriveDeadEvent(origin: Origin, id: string, reason: string | null): Promise<CommandOutcome>;
  /** Gives it up for good. `error`: DEAD_EVENT_NOT_FOUND. */
  discardDeadEvent(origin: Origin, id: string, reason: string | null): Promise<CommandOutcome>;
  /** Bridges that this server runs, and how they stand. */
  listBridges(): BridgeView[];
  bridgeFacts(): readonly BridgeFacts[];
  /** Lets one go on at another offset. Rejects with BRIDGE_UNKNOWN, and BRIDGES_INVALID where it does not know the partition. */
  seekBridge(origin: Origin, name: string, partition: number, offset: bigint): Promise<BridgeView>;
  /** Begins to redrive all that a filter means. Rejects with REDRIVES_FULL. */
  beginRedrive(origin: Origin, request: ManyRequest): Promise<RedriveView>;
  readRedrive(tenant: string, id: string): Promise<RedriveView | null>;
  listRedrives(tenant: string): Promise<PageView<RedriveView>>;
  cancelRedrive(origin: Origin, id: string): Promise<CommandOutcome>;
  /** Events with a higher offset than `after`, and what is missing before the first of them because it was trimmed. */
  readTopic(
    tenant: string,
    topic: string,
    query: { readonly partition: number; readonly after: number; readonly limit: number },
  ): Promise<TopicPage>;
  /** Offset of the first event of a partition at or after an instant, epoch ms; of the next one where there is none. */
  offsetAt(tenant: string, topic: string, partition: number, instantMs: number): Promise<number>;
  listTopics(tenant: string): Promise<readonly TopicView[]>;
  /** Hands over events of partitions as they come, from where each is said to begin. Returns what ends it. */
  followTopic(
    tenant: string,
    topic: string,
    from: readonly FollowedPartition[],
    handlers: TopicStreamHandlers,
  ): () => void;
  /** Begins a new epoch of a topic with a single writer; every earlier one is fenced. TOPIC_UNKNOWN, INPUT_INVALID. */
  takeOverTopic(origin: Origin, topic: string): Promise<TopicWriterView>;
  /** TOPIC_UNKNOWN, INPUT_INVALID. */
  readTopicWriter(tenant: string, topic: string): Promise<TopicWriterView>;
  /** How far the sources of a topic have come. */
  listSources(tenant: string, topic: string, query: PageQuery): Promise<PageView<SourceView>>;
  /** What has become of topics through this server. */
  topicFacts(): TopicFacts;
  /**
   * What the fleet was at a moment, of one tenant or of all (null). Rejects with FLEET_PAST_GONE where that is no longer kept,
   * and with FLEET_BEHIND where it cannot be told yet.
   */
  fleet(moment: FleetMoment, tenant: string | null): Promise<FleetView>;
  queues(): Promise<QueueView[]>;
  workers(): Promise<WorkerView[]>;
  tally(): Promise<TallyRow[]>;
  /** What failures are classified by; corrections are those of the tenant. */
  readTriage(tenant: string): Promise<TriageView>;
  /** Changes it. Rejects with TRIAGE_CHANGE_INVALID. */
  changeTriage(origin: Origin, order: TriageOrder): Promise<TriageView>;
  /** Policies of tools that apps declare, and orders of operators over them. */
  readTools(): Promise<ToolPoliciesView>;
  /** Gives an order over tools, in the place of one of the same name. TOOL_ORDER_INVALID, TOOL_ORDER_LOOSENS. */
  putToolOrder(origin: Origin, name: string, order: unknown, isAdmin: boolean): Promise<ToolOrderView>;
  /** Takes an order back; false = there was none. TOOL_ORDER_LOOSENS. */
  dropToolOrder(origin: Origin, name: string, isAdmin: boolean): Promise<boolean>;
  /** Models that apps declare, as they are in force, by name. */
  listModels(): Promise<ModelView[]>;
  readModel(name: string): Promise<ModelView | null>;
  /** Changes a model while it runs. Rejects with MODEL_UNKNOWN and MODEL_CHANGE_INVALID. */
  changeModel(origin: Origin, name: string, order: ModelOrder): Promise<ModelView>;
  /** How the versions of a model do against one of them, null = the first; null = there is no such model or version. */
  modelReport(name: string, alpha: number, against: string | null): Promise<ModelReportView | null>;
  /** What was changed, and which breakers have moved, oldest first. */
  modelEvents(query: { readonly after: number; readonly limit: number }): Promise<TopicEventView[]>;
  /** Rejects with RUN_NOT_FOUND and OUTCOME_INVALID. */
  reportOutcome(origin: Origin, run: string, outcome: ModelOutcome): Promise<'recorded' | 'already'>;
  /** What inferences have taken, as far as this engine has committed it since it was started. */
  inferences(): readonly InferenceCount[];
  /** What a tenant keeps of answers. */
  readCache(tenant: string): Promise<CacheView>;
  /** Drops it, of one model or of all; resolves with how many answers that were. */
  clearCache(tenant: string, model: string | null): Promise<number>;
  /** How often answers were kept and served, as far as this engine has committed it since it was started. */
  predictions(): PredictionCounts;
  /** What was done about failures, as far as this engine has committed it since it was started. */
  remedies(): readonly RemedyCount[];
  /** Limits in force, by name. */
  listLimits(): Promise<LimitView[]>;
  readLimit(name: string): Promise<LimitView | null>;
  /** Sets a limit in place of what apps declare; `options` are read by `core/admission`. Rejects with LIMIT_INVALID. */
  putLimit(origin: Origin, name: string, options: unknown): Promise<LimitView>;
  /** What apps declare holds again. Rejects with LIMIT_NOT_FOUND. */
  resetLimit(origin: Origin, name: string): Promise<void>;
  /** API keys of a tenant by name, also those that have ended. */
  listKeys(tenant: string, query: PageQuery): Promise<PageView<KeyView>>;
  /** Rejects with KEY_NOT_FOUND. */
  readKey(tenant: string, name: string): Promise<KeyView>;
  /** Makes a key; only this answer has its text. Rejects with KEY_INVALID, KEY_EXISTS. */
  createKey(origin: Origin, order: KeyOrder): Promise<MadeKeyView>;
  /** Gives a key another secret; the one before is accepted for `overlapMs` more. Rejects with KEY_NOT_FOUND, KEY_ENDED. */
  rotateKey(tenant: string, name: string, overlapMs: number): Promise<MadeKeyView>;
  /** Ends a key; again does nothing. Rejects with KEY_NOT_FOUND. */
  revokeKey(origin: Origin, tenant: string, name: string): Promise<KeyView>;
  /** The key of an id, as it is stored, good or not; null = there is none. */
  keyOf(id: string): Promise<ApiKey | null>;
  /** Keeps that a key is in use. */
  keyUsed(id: string): Promise<void>;
  /** How limits stand, as the server that grants knows it; empty where it is another. */
  limitFacts(): readonly LimitFacts[];
  /** How endpoints of models stand with their breakers and pauses: those of which there is something to say. */
  endpointFacts(): readonly EndpointFacts[];
  /** Writes records of access, all of them or none. STORE_*. */
  recordAccess(records: readonly TenantRecord[]): Promise<void>;
  /** Records of access of a tenant, null = of callers whom nobody knows; newest first, before an offset or all. */
  accessEvents(
    tenant: string | null,
    query: { readonly before: number | null; readonly limit: number },
  ): Promise<PageView<AccessEventView>>;
  /** The workflow of a run; null = there is no such run. */
  workflowOf(tenant: string, run: string): Promise<string | null>;
  /** The topic of a subscription; null = there is no such subscription. */
  topicOfSubscription(tenant: string, name: string): Promise<string | null>;
  health(): Promise<HealthView>;
  doctor(): Promise<DoctorView>;

  /** Follows a run from `after`; returns what stops it. Resolves to null when there is no such run. */
  follow(tenant: string, run: string, after: number, handlers: RunStreamHandlers): Promise<(() => void) | null>;
  /**
   * Resolves when the run has ended or `ms` have passed, with its state then; null = no such run. Unless `ms` is 0, a run
   * that goes on in others ends with the last of them.
   */
  waitForEnd(tenant: string, run: string, ms: number): Promise<RunViewState | null>;

  /** Bound of one encoded value. */
  readonly valueBytesMax: number;
  /** Keeps bytes under their hash; they must not be changed any more. Fails with VALUE_TOO_LARGE. */
  putBlob(tenant: string, hash: string, bytes: Uint8Array): Promise<void>;
  readBlob(tenant: string, hash: string): Promise<Uint8Array | null>;

  /** Connects a worker; the first message on the line must be `hello`. */
  connect(channel: WorkerChannel): WorkerLine;

  // Workers without a line: each says by single requests, to whichever server, what others say over theirs
  /** Proof of life of a session, and which of these assignments it has lost meanwhile; null = the session is over. */
  beatFor(session: string, received: number, assignments: readonly number[]): Promise<readonly number[] | null>;
  /** Commits commands under an assignment of the session. */
  submitFor(session: string, submission: Submission): Promise<SubmissionResult>;
  /** Ends the session; what it holds goes back to its queues uncounted. */
  endSession(session: string): Promise<void>;
}

export interface TellRequest {
  readonly agent: string;
  readonly key: string;
  /** Of the messages that the agent takes. */
  readonly type: string;
  /** Names the message among those to the key; a second one of the same id is the same message. */
  readonly id: string;
  readonly data: Payload | null;
  /** The answer is kept, to be asked for. */
  readonly reply: boolean;
}

export type TellOutcome =
  | { readonly tag: 'delivered'; readonly run: string }
  | { readonly tag: 'already' }
  | { readonly tag: 'error'; readonly error: Error };

export type AgentAnswer =
  | { readonly tag: 'answered'; readonly data: Payload }
  /** The agent has given up on the message. */
  | { readonly tag: 'failed'; readonly failure: Failure }
  | { readonly tag: 'pending' };

export interface SignalRequest {
  /** Unique within the run. */
  readonly id: string;
  readonly name: string;
  readonly data: Payload | null;
}

/** Which open approvals to list. */
export interface ApprovalQuery {
  /** Addresses; null = all. */
  readonly to: readonly string[] | null;
  readonly cursor?: string;
  readonly limit?: number;
}

/** What a person says of an approval. */
export type Say =
  | { readonly what: 'approve'; readonly form?: unknown; readonly comment?: string }
  | { readonly what: 'reject'; readonly comment?: string }
  | { readonly what: 'delegate'; readonly to: readonly string[] }
  | { readonly what: 'comment'; readonly text: string };

export type RunResult =
  | { readonly state: 'succeeded'; readonly output: Payload }
  | {
      readonly state: 'failed';
      readonly failure: { readonly class: string; readonly code: string; readonly message: string };
    }
  | { readonly state: 'refused'; readonly code: string; readonly data: Payload | null }
  | { readonly state: 'cancelled'; readonly reason: string | null }
  | { readonly state: 'pending'; readonly now: RunViewState };

export type {
  ApiKey,
  EventRow,
  FleetMoment,
  FollowedPartition,
  KeyOrder,
  ManifestRow,
  RunMoment,
  StoredPayload,
  WebhookEntry,
  Webhooks,
  WebhookSecret,
};
