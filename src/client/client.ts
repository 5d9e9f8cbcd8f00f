/**
 * The typed client: everything that the HTTP API offers, with the types of an app that is imported as a type only. It
 * uses `fetch` and nothing of Node, so it runs in browsers, workers of the edge and servers alike.
 * Invariant: making a client opens nothing; a call that starts or publishes can be repeated by the client itself
 * without doing its work twice.
 */
import { accessOver, type AccessApi } from './access.js';
import { schemaUri } from '../core/schema/schema-id.js';
import type { LimitOptions } from '../core/admission/limit-options.js';
import { type Duration, parseDuration } from '../core/duration.js';
import { clientError } from '../core/client-errors.js';
import type { SpineError } from '../core/errors.js';
import type { Manifest } from '../core/manifest.js';
import type { ModelChange } from '../core/models/settings.js';
import type { ToolOrderOptions } from '../core/tools/read-policy.js';
import type { ToolOrderView, ToolPoliciesView } from '../protocol/tools.js';
import type { ModelData } from '../core/triage/model.js';
import type { ExportedHistory } from '../core/run/exported-history.js';
import type {
  AgentSummary,
  BridgeSeekRequest,
  BridgeView,
  BulkAnswer,
  CommandAnswer,
  DeadEventDetail,
  DeadEventView,
  DeadLetterCount,
  DeadLetterDetail,
  DeadLetterFilter,
  DeadLetterView,
  RedriveRequest,
  RedriveView,
  CacheCleared,
  CacheView,
  DecisionView,
  DeployAnswer,
  DoctorView,
  EndpointView,
  LimitView,
  GraphView,
  HealthView,
  ModelReportView,
  ModelView,
  PageView,
  FleetView,
  QueueView,
  RunEventView,
  RunSummary,
  RunView,
  RunViewState,
  ReadTokenView,
  ScaleView,
  TopicEventView,
  TopicTokenRequest,
  TriageView,
  SourceView,
  TopicView,
  TopicWriterView,
  WorkerView,
} from '../protocol/http.js';
import { pathOf } from '../protocol/route-paths.js';
import type { InputFor, ResultFor, TopicDataFor, TopicFor, UntypedApp, WorkflowFor } from './app-types.js';
import { agentHandle, agentKeys, type AgentFor, type AgentHandle } from './agents.js';
import { approvalsApi, type ApprovalsApi } from './approvals.js';
import { type ClientOptions, streamSettings, transportOf } from './client-options.js';
import type { CloudEvent, Gateway, StartItem, StartItemAnswer } from './gateway.js';
import { httpGateway, startedOf } from './http-gateway.js';
import { pageList, type PageList } from './pages.js';
import { randomId } from './random-id.js';
import { problemOfStatus, RemoteError } from './remote-error.js';
import {
  type CallOptions,
  type CancelOptions,
  cancelRun,
  command,
  get,
  retryRun,
  runHandle,
  type RunHandle,
  runHistory,
  type SendableSignal,
  type SignalSendOptions,
  signalRun,
} from './run-handle.js';
import type { StreamSettings } from './run-stream.js';
import { followTopic, type TopicFollowOptions, type TopicStreamItem } from './topic-stream.js';
import { keysOver, type KeysApi } from './keys.js';
import { schedulesOver, type SchedulesApi } from './schedules.js';
import { webhooksOver, type WebhooksApi } from './webhooks.js';
import { subscriptionsOver, type SubscriptionsApi } from './subscriptions.js';
import { webhookSourcesOver, type WebhookSourcesApi } from './webhook-sources.js';

/** Options of `start`. */
export interface StartOptions extends CallOptions {
  /**
   * The same key with the same input gives the same run, for 72 hours; with another input, IDEMPOTENCY_KEY_REUSED.
   * Default: a random key, which covers the client's own retries and nothing else.
   */
  readonly idempotencyKey?: string;
  /** For finding runs again: `runs.list({ label: "order:17" })`. */
  readonly labels?: Readonly<Record<string, string>>;
  /** A higher one goes first. Default: that of the workflow. */
  readonly priority?: number;
  /** The body begins so long after the start, on the server's clock. Default: at once. */
  readonly delay?: Duration;
  /** The body begins at this instant: a `Date`, epoch ms, or ISO 8601. Not together with `delay`. */
  readonly startAt?: Date | number | string;
  /** URL that is sent a signed message when the run has ended. ENDPOINT_REFUSED. Default: none. */
  readonly notify?: string;
  /** Bring a read token with the answer, good for so long; `readToken()` of the handle then asks for nothing. Default: no. */
  readonly readToken?: Duration;
  /** Hold the request until the run has ended, at most this long (30 s at most); then `result()` is there at once. */
  readonly wait?: Duration;
}

/** One run of `startMany`. */
export interface StartManyItem<Input>
  extends Pick<StartOptions, 'idempotencyKey' | 'labels' | 'priority' | 'delay' | 'startAt' | 'notify'> {
  readonly input: Input;
}

/** What became of one run of `startMany`. */
export type StartManyOutcome<Output> =
  | { readonly tag: 'started'; readonly run: RunHandle<Output> }
  | { readonly tag: 'error'; readonly error: RemoteError };

/** Options of `publish`, for an event that is given as its data. */
export interface PublishOptions extends CallOptions {
  /** Id for deduplication, together with `source`. Default: random, which covers the client's own retries only. */
  readonly id?: string;
  /** Default `eventspine/client`. */
  readonly source?: string;
  /** Default: the name of the topic. */
  readonly type?: string;
  readonly subject?: string;
  /** Partition key. Default: what the topic's `key` selects. */
  readonly key?: string;
  /** The epoch under which this client writes to a topic with a single writer (`topics.takeOver`). */
  readonly writerEpoch?: number;
  /** Version of the schema of the topic that the data is of. Default: the newest that it fits. */
  readonly version?: number;
}

/** What became of a published event. */
export interface Published {
  readonly id: string;
  readonly topic: string;
  /** True where an event with this id and source was there already; nothing was recorded. */
  readonly duplicate: boolean;
  /** Runs that the event has started. */
  readonly runs: readonly string[];
  /** Present = it came after its source had gone past it (`sources` of the topic), and this became of it. */
  readonly late?: 'accepted' | 'dropped' | 'dead';
  /** Present = numbers (`sequence`) of its source that have not come before it. */
  readonly gap?: { readonly from: number; readonly to: number };
}

/** Which runs to list; all conditions must hold. */
export interface RunListQuery extends CallOptions {
  readonly state?: RunViewState | readonly RunViewState[];
  readonly workflow?: string;
  /** Of this version; an empty text = pinned to none. */
  readonly version?: string;
  readonly failureClass?: string;
  /** `name:value`. */
  readonly label?: string;
  /** At or after this instant, ISO 8601. */
  readonly startedFrom?: string;
  /** Before this instant, ISO 8601. */
  readonly startedBefore?: string;
  /** Default `newest`. */
  readonly order?: 'newest' | 'oldest';
  /** Items of a page: 1 to 500, default 50. */
  readonly limit?: number;
}

/** Which dead letters to list. */
export interface DeadLetterListQuery extends DeadLetterFilter, CallOptions {
  readonly limit?: number;
}

/** Which dead events to list. */
export interface DeadEventListQuery extends CallOptions {
  /** `subscription:<name>` or `bridge:<name>`. */
  readonly source?: string;
  /** A failure class. */
  readonly class?: string;
  readonly limit?: number;
}

/** Which events of a topic to list. */
export interface TopicQuery extends CallOptions {
  /** Default 0. */
  readonly partition?: number;
  /** Begin after this offset. Default: at the oldest event that is kept. */
  readonly after?: number;
  /** Begin with the first event at or after this instant, ISO 8601. */
  readonly at?: string;
  readonly limit?: number;
}

/** What a token for a topic shows, and for how long. */
export interface TopicTokenOptions extends CallOptions, Omit<TopicTokenRequest, 'expiresMs'> {
  /** 1 s to 30 d. */
  readonly expires?: Duration;
}

/** Which workers to count for, and within which bounds. Without `app` and `queue`: for all queues. */
export interface ScaleQuery extends CallOptions {
  /** Names of apps: the queues that their workers serve. */
  readonly app?: string | readonly string[];
  /** Names of queues. */
  readonly queue?: string | readonly string[];
  /** Tasks, ready and under way, that one worker is to have. Default 100. */
  readonly target?: number;
  /** Fewest workers. Default 0. */
  readonly min?: number;
  /** Most workers. Default 100. */
  readonly max?: number;
  /** With `min` 0: no worker is wanted until there are more tasks than this. Default 0. */
  readonly activation?: number;
}

/** How to deploy. */
export interface DeployOptions extends CallOptions {
  /** Only ask what would happen. Default false. */
  readonly dryRun?: boolean;
  /** Deploy where unfinished work loses its code, too: it waits for workers that have the code. Default false. */
  readonly leaveWaiting?: boolean;
}

/** Everything a caller can do with an app; the embedded facade has the same surface. */
export interface Client<App = UntypedApp> {
  /** Starts a run; resolves when it is durably recorded. WORKFLOW_UNKNOWN, INPUT_INVALID, VALUE_UNSTORABLE, STORE_BUSY. */
  start<Name extends WorkflowFor<App>>(
    workflow: Name,
    input: InputFor<App, Name>,
    options?: StartOptions,
  ): Promise<RunHandle<ResultFor<App, Name>>>;
  /** Starts many runs with few requests; each is accepted or refused by itself, in the order given. */
  startMany<Name extends WorkflowFor<App>>(
    workflow: Name,
    items: readonly StartManyItem<InputFor<App, Name>>[],
    options?: CallOptions,
  ): Promise<readonly StartManyOutcome<ResultFor<App, Name>>[]>;
  /** A handle of a run that is known by its id. Asks nothing. */
  run<Name extends WorkflowFor<App>>(id: string): RunHandle<ResultFor<App, Name>>;
  /** Publishes an event, given as its data or as a whole CloudEvent. TOPIC_UNKNOWN, INPUT_INVALID, CLOUDEVENT_INVALID. */
  publish<Name extends TopicFor<App>>(
    topic: Name,
    data: TopicDataFor<App, Name> | CloudEvent,
    options?: PublishOptions,
  ): Promise<Published>;
  /** Publishes many events of one topic, in order; each is recorded or refused by itself. */
  publishMany(
    topic: TopicFor<App>,
    events: readonly CloudEvent[],
    options?: CallOptions,
  ): Promise<readonly (Published | { readonly error: RemoteError })[]>;
  /**
   * Sends a signal to a run, which keeps it until it waits for it. `already` = the run has a signal of this `id`.
   * RUN_NOT_FOUND, RUN_ENDED, VALUE_UNSTORABLE.
   */
  signal<In = unknown>(
    run: string,
    signal: SendableSignal<In>,
    data?: In,
    options?: SignalSendOptions,
  ): Promise<CommandAnswer>;
  /** The agent of a key. Asks nothing. */
  agent<Name extends AgentFor<App>>(name: Name, key: string): AgentHandle<App, Name>;
  /** Keys of an agent that have had messages, in their order. */
  agents(name: AgentFor<App>, query?: CallOptions & { readonly limit?: number }): PageList<AgentSummary>;
  readonly runs: RunsApi;
  readonly approvals: ApprovalsApi;
  readonly deadLetters: DeadLettersApi;
  readonly deadEvents: DeadEventsApi;
  readonly bridges: BridgesApi;
  readonly redrives: RedrivesApi;
  readonly endpoints: EndpointsApi;
  /** Endpoints that are told of events and of ends of runs. */
  readonly webhooks: WebhooksApi;
  readonly models: ModelsApi;
  readonly cache: CacheApi;
  readonly limits: LimitsApi;
  readonly keys: KeysApi;
  readonly tools: ToolsApi;
  readonly triage: TriageApi;
  /** Who was refused what, and what operators and admins have done. */
  readonly access: AccessApi;
  readonly topics: TopicsApi;
  /** What starts runs again and again. */
  readonly schedules: SchedulesApi<App>;
  /** Durable cursors over topics: what there is, what is done to it, and consumers that pull. */
  readonly subscriptions: SubscriptionsApi;
  readonly webhookSources: WebhookSourcesApi;
  /** What the fleet was at a position of the feed or at an instant; by default now. FLEET_PAST_GONE, FLEET_BEHIND. */
  fleet(query?: FleetQuery): Promise<FleetView>;
  /** Depth and lag of every queue. */
  queues(options?: CallOptions): Promise<readonly QueueView[]>;
  /** How many workers a group of queues wants, as an autoscaler would ask. REQUEST_INVALID. */
  scale(query?: ScaleQuery): Promise<ScaleView>;
  /** Worker sessions. */
  workers(options?: CallOptions): Promise<readonly WorkerView[]>;
  /** The graph of a workflow, to be drawn or compared. WORKFLOW_UNKNOWN, GRAPH_NOT_FOUND. */
  graph(workflow: string, options?: CallOptions): Promise<GraphView>;
  /** Manifests in force, one of each app. */
  definitions(options?: CallOptions): Promise<readonly Manifest[]>;
  /**
   * Makes a manifest (`app.manifest`) the newest of its app, or says what that would change. DEFINITION_INVALID, and
   * DEPLOY_REFUSED where unfinished work would lose its code.
   */
  deploy(manifest: Manifest, options?: DeployOptions): Promise<DeployAnswer>;
  /** Checks the invariants of the store now. */
  doctor(options?: CallOptions): Promise<DoctorView>;
  /** Whether work can be accepted and is done. Resolves with `not_ready` and the reasons where the server says so. */
  health(options?: CallOptions): Promise<HealthView>;
}

/** Which moment of a fleet, and whose part of it. */
export interface FleetQuery extends CallOptions {
  /** A position of the feed, or an instant. */
  readonly at?: number | Date;
  readonly tenant?: string;
}

/** Which moment of a run. */
export interface RunMomentOptions extends CallOptions {
  /** The number of an event of the run, or an instant: the run as it was then. RUN_EVENT_NOT_FOUND. */
  readonly at?: number | Date;
}

/** Runs by id and by search. */
export interface RunsApi {
  list(query?: RunListQuery): PageList<RunSummary>;
  get(id: string, options?: RunMomentOptions): Promise<RunView>;
  history(id: string, options?: CallOptions): PageList<RunEventView>;
  /** Why: the inferences of the run, what was asked of which model, what came of it and at what cost. */
  decisions(id: string, options?: RunMomentOptions): PageList<DecisionView>;
  /** The run with everything that its body was given, for `replayHistory` and `eventspine check`. */
  export(id: string, options?: CallOptions): Promise<ExportedHistory>;
  /** Cancels one run, or up to 1,000 with an answer for each. */
  cancel(id: string, options?: CancelOptions): Promise<CommandAnswer>;
  cancel(ids: readonly string[], options?: CancelOptions): Promise<BulkAnswer>;
  /** Retries one failed or cancelled run, or up to 1,000 with an answer for each. */
  retry(id: string, options?: CallOptions): Promise<CommandAnswer>;
  retry(ids: readonly string[], options?: CallOptions): Promise<BulkAnswer>;
  /** Moves one run, or up to 1,000, to another version of its workflow; null = pinned to none. RUN_NOT_MIGRATABLE. */
  migrate(id: string, to: string | null, options?: CallOptions): Promise<CommandAnswer>;
  migrate(ids: readonly string[], to: string | null, options?: CallOptions): Promise<BulkAnswer>;
}

/** What ran out of attempts. */
export interface DeadLettersApi {
  list(query?: DeadLetterListQuery): PageList<DeadLetterView>;
  /** How many letters a filter means now. */
  count(filter: DeadLetterFilter, options?: CallOptions): Promise<DeadLetterCount>;
  /** With the trail of what was tried. DEAD_LETTER_NOT_FOUND. */
  get(id: string, options?: CallOptions): Promise<DeadLetterDetail>;
  /** Sends the run back to work from what failed. */
  redrive(id: string, options?: CallOptions & { readonly reason?: string }): Promise<CommandAnswer>;
  /**
   * Gives what failed another input and sends the run back to work with it, in one commit. INPUT_NOT_EDITABLE,
   * INPUT_INVALID.
   */
  edit(
    id: string,
    edit: { readonly input: unknown; readonly reason: string },
    options?: CallOptions,
  ): Promise<CommandAnswer>;
  /** Says which class the failure really has: an event of the topic `eventspine.corrections`, to train triage with. */
  correct(
    id: string,
    correction: { readonly label: string; readonly reason?: string },
    options?: CallOptions,
  ): Promise<CommandAnswer>;
  /** Gives up on it: it leaves the list, the run stays failed. */
  discard(id: string, options?: CallOptions): Promise<void>;
}

/** Events that were given up on and that no run stands for. */
export interface DeadEventsApi {
  /** Oldest first. */
  list(query?: DeadEventListQuery): PageList<DeadEventView>;
  /** With its data as it came. DEAD_EVENT_NOT_FOUND. */
  get(id: string, options?: CallOptions): Promise<DeadEventDetail>;
  /** Sends it back to where it came from. DEAD_EVENT_NOT_FOUND, DEAD_EVENT_NOT_REDRIVABLE. */
  redrive(id: string, options?: CallOptions & { readonly reason?: string }): Promise<CommandAnswer>;
  /** Gives it up for good. DEAD_EVENT_NOT_FOUND. */
  discard(id: string, options?: CallOptions & { readonly reason?: string }): Promise<void>;
}

/** Bridges of the server to buses outside. */
export interface BridgesApi {
  list(options?: CallOptions): Promise<readonly BridgeView[]>;
  /** Lets one go on at another offset. BRIDGE_UNKNOWN, BRIDGES_INVALID. */
  seek(name: string, to: BridgeSeekRequest, options?: CallOptions): Promise<BridgeView>;
}

/** Redrives of many dead letters by a filter, at a bounded rate. They go on whatever dies meanwhile. */
export interface RedrivesApi {
  /** Begins to redrive what is in the list now. REDRIVES_FULL. */
  begin(request: RedriveRequest, options?: CallOptions): Promise<RedriveView>;
  /** Those that are under way or have ended in the last days, newest first. */
  list(options?: CallOptions): Promise<readonly RedriveView[]>;
  /** How far it is. REDRIVE_NOT_FOUND. */
  get(id: string, options?: CallOptions): Promise<RedriveView>;
  /** Lets it take no further letters. */
  cancel(id: string, options?: CallOptions): Promise<CommandAnswer>;
}

/** Endpoints that tasks are sent to. For operators. */
export interface EndpointsApi {
  list(options?: CallOptions): Promise<readonly EndpointView[]>;
  /**
   * Asks the endpoint what it serves and sends it the tasks of its app from now on. PUSH_DISABLED, ENDPOINT_REFUSED,
   * ENDPOINT_FAILED.
   */
  set(app: string, endpoint: EndpointSettings, options?: CallOptions): Promise<EndpointView>;
  /** Sends it nothing more. ENDPOINT_NOT_FOUND. */
  remove(app: string, options?: CallOptions): Promise<void>;
  /** The secret for `createHandler` of the app. PUSH_DISABLED. */
  secret(app: string, options?: CallOptions): Promise<string>;
}

/** Models while they run. For operators, but for `outcome`. */
export interface ModelsApi {
  /** Models of the registered apps, by name. */
  list(options?: CallOptions): Promise<readonly ModelView[]>;
  /** MODEL_UNKNOWN. */
  get(name: string, options?: CallOptions): Promise<ModelView>;
  /** Changes how new runs are shared between versions, or closes a breaker. MODEL_UNKNOWN, MODEL_CHANGE_INVALID. */
  change(name: string, order: ModelOrder, options?: CallOptions): Promise<ModelView>;
  /** How the versions do against one of them, default the first. `alpha` (0.05): how often at most it is wrong. MODEL_UNKNOWN. */
  report(
    name: string,
    options?: CallOptions & { readonly against?: string; readonly alpha?: number },
  ): Promise<ModelReportView>;
  /** What was changed, and which breakers have moved, oldest first. */
  events(options?: CallOptions & { readonly limit?: number }): PageList<TopicEventView>;
  /**
   * Says what somebody has made of the answers of a model in a run: a score from 0 to 1. One for each run, model and `id`; a
   * repeat changes nothing. RUN_NOT_FOUND, OUTCOME_INVALID.
   */
  outcome(
    run: string,
    outcome: { readonly model: string; readonly score: number; readonly id?: string },
    options?: CallOptions,
  ): Promise<void>;
}

/** What an operator does to a model; see docs/guides/models.md. */
export type ModelOrder = ModelChange | { readonly change: 'reset-breaker'; readonly version: string };

/** Answers of models that are kept to serve again. For operators. */
export interface CacheApi {
  /** What the tenant keeps. */
  stats(options?: CallOptions): Promise<CacheView>;
  /** Drops it, or what is of one model; resolves with how many answers that were. */
  clear(options?: CallOptions & { readonly model?: string }): Promise<number>;
}

/** What failures are classified by. For operators. */
export interface TriageApi {
  /** What is in force, and how the model in the shadow differs from it. */
  report(options?: CallOptions): Promise<TriageView>;
  /** Asks a model beside the one in force (null = none), promotes it, or takes a promotion back. TRIAGE_CHANGE_INVALID. */
  change(order: TriageOrder, options?: CallOptions): Promise<TriageView>;
}

/** What an operator does to triage; see docs/guides/triage.md. */
export type TriageOrder =
  | { readonly change: 'shadow'; readonly model: ModelData | null }
  | { readonly change: 'promote' | 'rollback' };

/** What models may have done by tools. For operators. */
export interface ToolsApi {
  /** What apps say, and what operators have ordered over it. */
  get(options?: CallOptions): Promise<ToolPoliciesView>;
  /** Gives an order, in the place of one of the same name; it holds everywhere within seconds. TOOL_ORDER_INVALID, TOOL_ORDER_LOOSENS. */
  order(name: string, order: ToolOrderOptions, options?: CallOptions): Promise<ToolOrderView>;
  /** Takes an order back. TOOL_ORDER_UNKNOWN, TOOL_ORDER_LOOSENS. */
  drop(name: string, options?: CallOptions): Promise<void>;
}

/** What holds work back. For operators. */
export interface LimitsApi {
  /** Limits in force, by name. */
  list(options?: CallOptions): Promise<readonly LimitView[]>;
  /** LIMIT_NOT_FOUND. */
  get(name: string, options?: CallOptions): Promise<LimitView>;
  /** Sets a limit in place of what apps declare; what it makes room for goes on. LIMIT_INVALID. */
  set(name: string, limit: LimitOptions, options?: CallOptions): Promise<LimitView>;
  /** What apps declare holds again. LIMIT_NOT_FOUND. */
  reset(name: string, options?: CallOptions): Promise<void>;
}

/** Where an endpoint is and how much it takes. */
export interface EndpointSettings {
  readonly url: string;
  /** Tasks sent at the same time. Default 10. */
  readonly concurrency?: number;
  /** Longest time of one request. Default 60 s. */
  readonly timeoutMs?: number;
}

/** Topics and their events. */
export interface TopicsApi {
  list(options?: CallOptions): Promise<readonly TopicView[]>;
  /** Events of one partition, in order. */
  events(topic: string, query?: TopicQuery): PageList<TopicEventView>;
  /** Events of all partitions as they come, across lost connections; what is gone by retention shows as a `gap`. */
  follow(topic: string, options?: TopicFollowOptions): AsyncIterable<TopicStreamItem>;
  /**
   * A token that lets whoever has it follow this topic and nothing else: for a page to be given. Shows what is published
   * after it was made, unless `past`; with `key`, events of that key alone. Good for 24 hours by default.
   */
  readToken(topic: string, options?: TopicTokenOptions): Promise<ReadTokenView>;
  /** How far the sources of a topic have come, for topics with `sources`. */
  sources(topic: string, query?: CallOptions & { readonly limit?: number }): PageList<SourceView>;
  /** Who writes to a topic with `writer: 'single'`. */
  writer(topic: string, options?: CallOptions): Promise<TopicWriterView>;
  /** Begins a new epoch of such a topic; whoever writes under an earlier one gets WRITER_FENCED. */
  takeOver(topic: string, options?: CallOptions): Promise<TopicWriterView>;
}

/**
 * Makes a client. `App` is the type of an app, by type-only import:
 * `createClient<App>({ url: "http://127.0.0.1:8787" })`; without it names and values are not checked.
 * Fails with OPTIONS_INVALID.
 */
export function createClient<App = UntypedApp>(options: ClientOptions): Client<App> {
  const transport = transportOf(options);
  return createClientOver<App>(httpGateway(transport), streamSettings(options));
}

/** The client's surface over any way to an engine; the embedded facade passes its own. */
export function createClientOver<App = UntypedApp>(gateway: Gateway, settings: StreamSettings): Client<App> {
  const { transport } = gateway;

  function handleOf<Output>(answer: StartItemAnswer | undefined): RunHandle<Output> {
    const started = startedOf(answer);
    const { repeated, readToken } = started;
    return runHandle<Output>(transport, started.id, settings, {
      repeated,
      ...(readToken === undefined ? {} : { readToken }),
    });
  }

  async function items<T>(path: string, options?: CallOptions): Promise<readonly T[]> {
    return (await transport.json<PageView<T>>(get(path, options))).items;
  }

  return {
    async start(workflow, input, options = {}) {
      const item = startItem({ ...options, input });
      const tx = transactionOf(options);
      if (tx !== undefined && options.wait !== undefined) throw waitsInTransaction();
      if (options.wait === undefined) {
        const [answer] = await gateway.startRuns(workflow, [item], options.signal, tx);
        return handleOf(answer);
      }
      const waited = await gateway.startAndWait(workflow, item, parseDuration(options.wait), options.signal);
      switch (waited.tag) {
        case 'pending':
          return handleOf(waited.answer);
        case 'output':
          return runHandle(transport, waited.run, settings, { outcome: { output: waited.output } });
        case 'failed':
          return runHandle(transport, waited.run, settings, { outcome: { error: waited.error } });
      }
    },

    async startMany(workflow, given, options = {}) {
      const answers = await gateway.startRuns(workflow, given.map(startItem), options.signal, transactionOf(options));
      return answers.map((answer) =>
        'error' in answer
          ? { tag: 'error' as const, error: new RemoteError(answer.error) }
          : { tag: 'started' as const, run: handleOf(answer) },
      );
    },

    run: (id) => runHandle(transport, id, settings),

    async publish(topic, data, options = {}) {
      const event = isCloudEvent(data) ? data : eventOf(topic, data, options);
      const [answer] = await gateway.publish(topic, [event], options.signal, transactionOf(options));
      if (answer === undefined) throw new Error('Invariant broken: the server answered fewer items than were sent.');
      if ('error' in answer) throw new RemoteError(answer.error);
      return answer;
    },

    async publishMany(topic, events, options = {}) {
      const answers = await gateway.publish(topic, events, options.signal, transactionOf(options));
      return answers.map((answer) => ('error' in answer ? { error: new RemoteError(answer.error) } : answer));
    },

    signal: (run, signal, data, options) => signalRun(transport, run, signal, data, options),
    agent: (name, key) => agentHandle(transport, name, key),
    agents: (name, query) => agentKeys(transport, name, query),
    approvals: approvalsApi(transport),

    runs: {
      list: ({ signal, ...query } = {}) =>
        pageList((cursor) => transport.json(get(pathOf('listRuns'), optionsOf(signal), { ...query, cursor }))),
      get: (id, { signal, at } = {}) =>
        transport.json(get(pathOf('readRun', { id }), optionsOf(signal), { at: momentText(at) })),
      history: (id, options) => runHistory(transport, id, options),
      decisions: (id, { signal, at } = {}) =>
        pageList((cursor) =>
          transport.json(get(pathOf('readDecisions', { id }), optionsOf(signal), { at: momentText(at), cursor })),
        ),
      export: (id, options) => transport.json(get(pathOf('exportRun', { id }), options)),
      cancel,
      retry,
      migrate,
    },

    deadLetters: {
      list: ({ signal, ...query } = {}) =>
        pageList((cursor) => transport.json(get(pathOf('listDeadLetters'), optionsOf(signal), { ...query, cursor }))),
      get: (id, options) => transport.json(get(pathOf('readDeadLetter', { id }), options)),
      count: (filter, options) => transport.json(command(pathOf('countDeadLetters'), filter, true, options)),
      redrive: (id, { reason, ...options } = {}) => {
        const body = reason === undefined ? undefined : { reason };
        return transport.json(command(pathOf('redriveDeadLetter', { id }), body, false, options));
      },
      edit: (id, { input, reason }, options) =>
        transport.json(command(pathOf('editDeadLetter', { id }), { input: input ?? null, reason }, false, options)),
      correct: (id, correction, options) =>
        transport.json(command(pathOf('correctDeadLetter', { id }), correction, true, options)),
      discard: (id, options) =>
        transport.exchange({ ...get(pathOf('discardDeadLetter', { id }), options), method: 'DELETE' }, () => undefined),
    },

    deadEvents: {
      list: ({ signal, ...query } = {}) =>
        pageList((cursor) => transport.json(get(pathOf('listDeadEvents'), optionsOf(signal), { ...query, cursor }))),
      get: (id, options) => transport.json(get(pathOf('readDeadEvent', { id }), options)),
      redrive: (id, { reason, ...options } = {}) => {
        const body = reason === undefined ? undefined : { reason };
        return transport.json(command(pathOf('redriveDeadEvent', { id }), body, false, options));
      },
      discard: (id, { reason, signal } = {}) =>
        transport.exchange(
          { ...get(pathOf('discardDeadEvent', { id }), optionsOf(signal), { reason }), method: 'DELETE' },
          () => undefined,
        ),
    },

    bridges: {
      list: (options) => items<BridgeView>(pathOf('listBridges'), options),
      seek: (name, to, options) => transport.json(command(pathOf('seekBridge', { name }), to, false, options)),
    },

    redrives: {
      begin: (request, options) => transport.json(command(pathOf('beginRedrive'), request, false, options)),
      list: (options) => items<RedriveView>(pathOf('listRedrives'), options),
      get: (id, options) => transport.json(get(pathOf('readRedrive', { id }), options)),
      cancel: (id, options) => transport.json(command(pathOf('cancelRedrive', { id }), undefined, true, options)),
    },

    endpoints: {
      list: (options) => items<EndpointView>(pathOf('listEndpoints'), options),
      set: (app, endpoint, options) =>
        transport.json<EndpointView>({
          ...get(pathOf('putEndpoint', { app }), options),
          method: 'PUT',
          body: JSON.stringify(endpoint),
          contentType: 'application/json',
        }),
      remove: (app, options) =>
        transport.exchange({ ...get(pathOf('deleteEndpoint', { app }), options), method: 'DELETE' }, () => undefined),
      secret: async (app, options) =>
        (await transport.json<{ readonly secret: string }>(get(pathOf('readEndpointSecret', { app }), options))).secret,
    },

    models: {
      list: (options) => items<ModelView>(pathOf('listModels'), options),
      get: (name, options) => transport.json<ModelView>(get(pathOf('readModel', { name }), options)),
      change: (name, order, options) =>
        transport.json<ModelView>({
          ...get(pathOf('changeModel', { name }), options),
          method: 'PUT',
          body: JSON.stringify(order),
          contentType: 'application/json',
        }),
      report: (name, { signal, ...query } = {}) =>
        transport.json<ModelReportView>(get(pathOf('reportModel', { name }), optionsOf(signal), { ...query })),
      events: ({ signal, ...query } = {}) =>
        pageList((cursor) => transport.json(get(pathOf('readModelEvents'), optionsOf(signal), { ...query, cursor }))),
      outcome: (run, outcome, options) =>
        transport.exchange(
          {
            ...get(pathOf('reportOutcome', { id: run }), options),
            method: 'POST',
            body: JSON.stringify(outcome),
            contentType: 'application/json',
          },
          () => undefined,
        ),
    },
    cache: {
      stats: (options) => transport.json<CacheView>(get(pathOf('readCache'), options)),
      clear: async ({ signal, ...query } = {}) =>
        (
          await transport.json<CacheCleared>({
            ...get(pathOf('clearCache'), optionsOf(signal), { ...query }),
            method: 'DELETE',
          })
        ).cleared,
    },
    access: accessOver(transport),
    triage: {
      report: (options) => transport.json<TriageView>(get(pathOf('readTriage'), options)),
      change: (order, options) =>
        transport.json<TriageView>({
          ...get(pathOf('changeTriage'), options),
          method: 'PUT',
          body: JSON.stringify(order),
          contentType: 'application/json',
        }),
    },
    tools: {
      get: (options) => transport.json<ToolPoliciesView>(get(pathOf('readTools'), options)),
      order: (name, order, options) =>
        transport.json<ToolOrderView>({
          ...get(pathOf('putToolOrder', { name }), options),
          method: 'PUT',
          body: JSON.stringify(order),
          contentType: 'application/json',
        }),
      drop: (name, options) =>
        transport.exchange({ ...get(pathOf('dropToolOrder', { name }), options), method: 'DELETE' }, () => undefined),
    },
    limits: {
      list: (options) => items<LimitView>(pathOf('listLimits'), options),
      get: (name, options) => transport.json<LimitView>(get(pathOf('readLimit', { name }), options)),
      set: (name, limit, options) =>
        transport.json<LimitView>({
          ...get(pathOf('putLimit', { name }), options),
          method: 'PUT',
          body: JSON.stringify(limit),
          contentType: 'application/json',
        }),
      reset: (name, options) =>
        transport.exchange({ ...get(pathOf('resetLimit', { name }), options), method: 'DELETE' }, () => undefined),
    },

    topics: {
      list: (options) => items<TopicView>(pathOf('listTopics'), options),
      events: (topic, { signal, ...query } = {}) =>
        pageList((cursor) =>
          transport.json(get(pathOf('readTopic', { topic }), optionsOf(signal), { ...query, cursor })),
        ),
      follow: (topic, options = {}) => followTopic(transport, topic, options, settings),
      readToken: (topic, { signal, expires, ...rest } = {}) => {
        const body: TopicTokenRequest = {
          ...rest,
          ...(expires === undefined ? {} : { expiresMs: parseDuration(expires) }),
        };
        return transport.json(command(pathOf('createTopicToken', { topic }), body, true, optionsOf(signal)));
      },
      sources: (topic, { signal, ...query } = {}) =>
        pageList((cursor) =>
          transport.json(get(pathOf('listSources', { topic }), optionsOf(signal), { ...query, cursor })),
        ),
      writer: (topic, options) => transport.json(get(pathOf('readTopicWriter', { topic }), options)),
      takeOver: (topic, options) =>
        transport.json(command(pathOf('takeOverTopic', { topic }), undefined, false, options)),
    },

    subscriptions: subscriptionsOver(transport),
    webhookSources: webhookSourcesOver(transport),

    keys: keysOver(transport),
    schedules: schedulesOver<App>(transport, settings),
    webhooks: webhooksOver(transport),
    fleet: ({ signal, at, tenant } = {}) =>
      transport.json<FleetView>(get(pathOf('readFleet'), optionsOf(signal), { at: momentText(at), tenant })),
    queues: (options) => items<QueueView>(pathOf('listQueues'), options),
    scale: ({ signal, ...query } = {}) =>
      transport.json<ScaleView>(get(pathOf('readScale'), optionsOf(signal), { ...query })),
    workers: (options) => items<WorkerView>(pathOf('listWorkers'), options),
    graph: (name, options) => transport.json<GraphView>(get(pathOf('readGraph', { name }), options)),
    definitions: (options) => items<Manifest>(pathOf('listDefinitions'), options),
    deploy: (manifest, { signal, ...options } = {}) =>
      // The same manifest twice is the newest once.
      transport.json<DeployAnswer>(command(pathOf('deploy'), { manifest, ...options }, true, optionsOf(signal))),
    doctor: (options) => transport.json<DoctorView>(get(pathOf('doctor'), options)),

    health: (options) =>
      // That the server is not ready is the answer here, not a reason to ask again.
      transport.exchange({ ...get(pathOf('ready'), options), accepts: [503] }, async (response) => {
        const view = (await response.json()) as Partial<HealthView>;
        if (view.reasons === undefined) throw new RemoteError(problemOfStatus(response.status, ''));
        return view as HealthView;
      }),
  };

  function cancel(id: string, options?: CancelOptions): Promise<CommandAnswer>;
  function cancel(ids: readonly string[], options?: CancelOptions): Promise<BulkAnswer>;
  function cancel(
    target: string | readonly string[],
    options?: CancelOptions,
  ): Promise<CommandAnswer> | Promise<BulkAnswer> {
    if (typeof target === 'string') return cancelRun(transport, target, options);
    const body = { ids: target, ...(options?.reason === undefined ? {} : { reason: options.reason }) };
    return transport.json<BulkAnswer>(command(pathOf('cancelRuns'), body, true, options));
  }

  function migrate(id: string, to: string | null, options?: CallOptions): Promise<CommandAnswer>;
  function migrate(ids: readonly string[], to: string | null, options?: CallOptions): Promise<BulkAnswer>;
  function migrate(
    target: string | readonly string[],
    to: string | null,
    options?: CallOptions,
  ): Promise<CommandAnswer> | Promise<BulkAnswer> {
    if (typeof target === 'string')
      return transport.json<CommandAnswer>(command(pathOf('migrateRun', { id: target }), { to }, true, options));
    return transport.json<BulkAnswer>(command(pathOf('migrateRuns'), { ids: target, to }, true, options));
  }

  function retry(id: string, options?: CallOptions): Promise<CommandAnswer>;
  function retry(ids: readonly string[], options?: CallOptions): Promise<BulkAnswer>;
  function retry(
    target: string | readonly string[],
    options?: CallOptions,
  ): Promise<CommandAnswer> | Promise<BulkAnswer> {
    if (typeof target === 'string') return retryRun(transport, target, options);
    return transport.json<BulkAnswer>(command(pathOf('retryRuns'), { ids: target }, false, options));
  }
}

/** Not an option of the remote client, and not to be overlooked either where plain JavaScript gives it all the same. */
function transactionOf(options: CallOptions & { readonly tx?: unknown }): unknown {
  return options.tx;
}

function waitsInTransaction(): SpineError {
  return clientError('OPTIONS_INVALID', {
    what: 'start',
    faults: ['wait cannot be given with tx: the run begins after the commit'],
  });
}

function startItem(item: StartManyItem<unknown> & Pick<StartOptions, 'readToken'>): StartItem {
  return {
    input: item.input,
    idempotencyKey: item.idempotencyKey,
    labels: item.labels,
    priority: item.priority,
    ...(item.delay === undefined ? {} : { delayMs: parseDuration(item.delay) }),
    ...(item.startAt === undefined ? {} : { startAt: instantText(item.startAt) }),
    ...(item.notify === undefined ? {} : { notify: item.notify }),
    ...(item.readToken === undefined ? {} : { readTokenMs: parseDuration(item.readToken) }),
  };
}

/** What is no instant is left to the server to refuse. */
function instantText(at: Date | number | string): string {
  if (typeof at === 'string') return at;
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? String(at) : date.toISOString();
}

/** An event is a CloudEvent when it says so; data that looks like one is published inside of one by `publishMany`. */
function isCloudEvent(value: unknown): value is CloudEvent {
  if (typeof value !== 'object' || value === null) return false;
  const { specversion, id, source, type } = value as Partial<CloudEvent>;
  return specversion === '1.0' && typeof id === 'string' && typeof source === 'string' && typeof type === 'string';
}

function eventOf(topic: string, data: unknown, options: PublishOptions): CloudEvent {
  return {
    specversion: '1.0',
    id: options.id ?? randomId(),
    source: options.source ?? 'eventspine/client',
    type: options.type ?? topic,
    ...(options.subject === undefined ? {} : { subject: options.subject }),
    ...(options.key === undefined ? {} : { partitionkey: options.key }),
    ...(options.writerEpoch === undefined ? {} : { writerepoch: options.writerEpoch }),
    ...(options.version === undefined ? {} : { dataschema: schemaUri(`${topic}/${options.version}`) }),
    datacontenttype: 'application/json',
    data,
  };
}

function optionsOf(signal: AbortSignal | undefined): CallOptions {
  return signal === undefined ? {} : { signal };
}

function momentText(at: number | Date | undefined): string | undefined {
  return at === undefined ? undefined : typeof at === 'number' ? String(at) : at.toISOString();
}
