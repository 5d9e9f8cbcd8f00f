/**
 * The engine: puts the parts together and is the only door to them. It decides and commits; it runs no user code.
 */
import { SpineError, hasCode, isSpineError } from '../core/errors.js';
import { defaultBreakerRule } from '../core/models/breaker.js';
import { limits } from '../core/limits.js';
import { isOwnTopic, modelsTopic, toolsTopic, versionsServed, versionText, type Manifest } from '../core/manifest.js';
import type { Ports } from '../core/ports.js';
import { bridgeOffsetSpace } from '../core/topics/bridge.js';
import { subscriptionCursorSpace } from '../core/topics/subscription.js';
import type {
  DoctorView,
  HealthView,
  QueueView,
  ReplayAnswer,
  RunViewState,
  TopicWriterView,
  WorkerView,
} from '../protocol/http.js';
import { isoOf } from '../core/instant.js';
import { jsonOf } from '../core/codec.js';
import { isBlobPayload, type Payload } from '../core/payload.js';
import { topicStream, type SessionRow, type Store, type Transition } from '../store/contract.js';
import type {
  CommandOutcome,
  Engine,
  Origin,
  PublishOutcome,
  PublishRequest,
  RunStreamHandlers,
  SignalRequest,
  StartOutcome,
  StartRequest,
  TellOutcome,
  TellRequest,
} from './api.js';
import { admissionEveryMs, Coordinator } from './admission/coordinator.js';
import { explainWait } from './admission/explain.js';
import { limitGate } from './admission/limit-gate.js';
import { LimitRules } from './admission/limit-rules.js';
import { LimitsOffice } from './admission/limits-office.js';
import { ticketResolver } from './admission/ticket-rows.js';
import { AccessOffice } from './access/access-office.js';
import { Agents } from './agents/agents.js';
import { Bridges, type BridgeSetup } from './bridges/bridges.js';
import { messageFault, PostOffice } from './agents/post-office.js';
import type { EngineContext, EngineLog, EngineSettings } from './context.js';
import { DeadLetters } from './deadletters/letters.js';
import { Redrives } from './deadletters/redrives.js';
import { Dispatcher } from './dispatch/dispatcher.js';
import { sessionInfo } from './dispatch/session-info.js';
import type { Session } from './dispatch/session.js';
import { EnvelopeWriter } from './events/envelope-writer.js';
import { Checkpoints } from './fleet/checkpoints.js';
import { FleetDuty, usualPace } from './fleet/fleet-duty.js';
import { FleetViews } from './fleet/fleet-views.js';
import { Graphs } from './graphs/graphs.js';
import { Catalog } from './intake/catalog.js';
import { deploy } from './intake/deployment.js';
import { errorOutcome, Intake } from './intake/intake.js';
import { OutboxDuty, outboxEveryMs } from './intake/outbox-duty.js';
import { Registry } from './intake/registry.js';
import { KeyOffice } from './keys/key-office.js';
import { Committer } from './runs/committer.js';
import { Family } from './runs/family.js';
import { Followers, waitsForEnd } from './runs/followers.js';
import { runKey } from './runs/committed.js';
import { Lanes, type JobOutcome } from './runs/lanes.js';
import { ArmTallies } from './models/arm-tallies.js';
import { Breakers } from './models/breakers.js';
import { endpointFacts } from './models/endpoint-facts.js';
import { ModelDoor } from './models/model-door.js';
import { Pauses } from './models/pauses.js';
import { ModelSettings } from './models/model-settings.js';
import { ModelsOffice } from './models/models-office.js';
import { Predictions } from './models/predictions.js';
import { Shadows } from './models/shadows.js';
import { ToolGate } from './tools/tool-gate.js';
import { ToolsOffice } from './tools/tools-office.js';
import { RemedyTally } from './runs/remedy-tally.js';
import { InferenceTally } from './models/inference-tally.js';
import { Neighbours } from './runs/neighbours.js';
import { Reads } from './runs/reads.js';
import { Schedules } from './schedules/schedules.js';
import { sharedSecret } from './shared-secret.js';
import { systemTenant } from './system-tenant.js';
import { TimerDuty } from './timers/timer-duty.js';
import { Consumers } from './topics/consumers.js';
import { TopicKeeper } from './topics/keeper.js';
import { GuardedPublish, lateRedriver } from './topics/guarded-publish.js';
import { readLows } from './topics/low-water.js';
import { offsetAt } from './topics/offset-at.js';
import { DeadLetterMirror } from './topics/dead-letter-mirror.js';
import { Deliveries } from './topics/deliveries.js';
import { Lag, lagEveryMs } from './topics/lag.js';
import { SubscriptionOffice } from './topics/subscription-office.js';
import { SubscriptionRegister } from './topics/subscription-register.js';
import { Subscriptions } from './topics/subscriptions.js';
import { DeadEvents } from './topics/dead-events.js';
import { Sources } from './topics/sources.js';
import { TopicFollowers } from './topics/topic-followers.js';
import { Writers } from './topics/writers.js';
import { WebhookSources } from './webhooks/webhook-sources.js';
import { TriageOffice } from './triage/triage-office.js';
import { Approvals } from './waits/approvals.js';
import { LookBack } from './waits/look-back.js';
import { Router, routerEveryMs } from './waits/router.js';
import { RunEnds } from './webhooks/run-ends.js';
import { WebhookOffice, type Webhooks } from './webhooks/webhook-office.js';
import { diagnose } from './upkeep/doctor.js';
import { Duties, type Duty } from './upkeep/duties.js';
import { Health } from './upkeep/health.js';

export interface EngineOptions {
  readonly store: Store;
  readonly ports: Ports;
  /** Version of the package, for `health`. */
  readonly version?: string;
  readonly settings?: Partial<EngineSettings>;
  /** Bridges to buses outside, which this server runs. Default: none. */
  readonly bridges?: readonly BridgeSetup[];
  /** Where faults and notable facts go; default: nowhere. */
  readonly log?: EngineLog;
  /** Path of blobs under the server's base URL, as workers are told. Default `/v1/blobs`. */
  readonly blobsPath?: string;
}

const defaultSettings: EngineSettings = {
  region: 'local',
  sessionDeadMs: limits.sessionDeadMs,
  sessionBeatMs: limits.sessionBeatMs,
  stuckAfterMs: 30_000,
  upkeepEveryMs: 10_000,
  dedupeTtlMs: limits.dedupeTtlMs,
  valueBytesMax: limits.valueBytesMax,
  schedulesPerTenantMax: limits.schedulesPerTenantMax,
  predictionsPerTenantMax: limits.predictionsPerTenantMax,
  predictionBytesPerTenantMax: limits.predictionBytesPerTenantMax,
  breaker: defaultBreakerRule,
  fleet: usualPace,
  lookEveryMs: null,
};

/** Makes an engine over an open store. Nothing runs before `start`. */
export function createEngine(options: EngineOptions): Engine {
  return new RunningEngine(options);
}

/** Is told when a topic may have grown. */
interface TopicReader {
  /** Transitions were applied here, with what they have published. */
  published(transitions: readonly Transition[]): void;
  /** Another server has added to a stream: a run, or a partition of a topic. */
  moved(tenant: string, stream: string): void;
}

/** What the feed calls the events of models. */
const modelsStream = `${modelsTopic.name}/`;
/** What it calls the events of tools. */
const toolsStream = `${toolsTopic.name}/`;

class RunningEngine implements Engine {
  readonly #context: EngineContext;
  readonly #version: string;
  readonly #catalog = new Catalog();
  readonly #registry: Registry;
  readonly #lanes: Lanes;
  readonly #intake: Intake;
  readonly #reads: Reads;
  readonly #inferences = new InferenceTally();
  readonly #remedies = new RemedyTally();
  readonly #followers: Followers;
  readonly #dispatcher: Dispatcher;
  readonly #timers: TimerDuty;
  readonly #schedules: Schedules;
  readonly #subscriptions: Subscriptions;
  readonly #deliveries: Deliveries;
  readonly #subscriptionOffice: SubscriptionOffice;
  readonly #subscriptionRegister: SubscriptionRegister;
  readonly #consumers: Consumers;
  readonly #lag: Lag;
  readonly #duties: Duties;
  readonly #health: Health;
  readonly #neighbours: Neighbours;
  /** Null where callers cannot have transactions of their own. */
  readonly #outbox: OutboxDuty | null;
  readonly #graphs: Graphs;
  readonly #fleet: FleetViews;
  readonly #fleetDuty: FleetDuty;
  readonly #lookBack: LookBack;
  readonly #router: Router;
  readonly #office: PostOffice;
  readonly #agents: Agents;
  readonly #letters: DeadLetters;
  readonly #redrives: Redrives;
  readonly #deadEvents: DeadEvents;
  readonly #bridges: Bridges;
  readonly #limitRules: LimitRules;
  readonly #coordinator: Coordinator;
  readonly #modelSettings: ModelSettings;
  readonly #toolGate: ToolGate;
  readonly #toolsOffice: ToolsOffice;
  readonly #breakers: Breakers;
  readonly #pauses: Pauses;
  readonly #tallies: ArmTallies;
  readonly #shadows: Shadows;
  readonly #keeper: TopicKeeper;
  readonly #topicFollowers = new TopicFollowers((tenant, topic, query) => this.#reads.topic(tenant, topic, query));
  readonly #webhookSources: WebhookSources;
  readonly #writers: Writers;
  readonly #sources: Sources;
  readonly #triage: TriageOffice;
  readonly #modelsOffice: ModelsOffice;
  readonly #predictions: Predictions;
  readonly #limitsOffice: LimitsOffice;
  readonly #keys: KeyOffice;
  readonly #accessOffice: AccessOffice;
  readonly #approvals: Approvals;
  readonly webhooks: Webhooks;
  #look: 'none' | 'under way' | 'again' = 'none';
  #started: Promise<void> | null = null;
  #stopped: Promise<void> | null = null;

  constructor(options: EngineOptions) {
    const { store, ports } = options;
    const wanted = { ...defaultSettings, ...options.settings };
    const settings = { ...wanted, valueBytesMax: Math.min(wanted.valueBytesMax, limits.valueBytesCeiling) };
    const log = options.log ?? (() => {});
    this.#version = options.version ?? '0.0.0';
    this.#context = {
      store,
      ports,
      settings,
      log,
      envelopes: new EnvelopeWriter(ports, settings, store.epoch),
      fault: (what, error) => {
        // A store that is closing refuses what background duties still ask; that is no fault.
        if (this.#stopped !== null && isSpineError(error) && error.code === 'STORE_CLOSED') return;
        log({
          level: 'error',
          message: `${what} failed`,
          fields: { error: error instanceof Error ? (error.stack ?? error.message) : String(error) },
        });
      },
    };
    this.#registry = new Registry(this.#context, this.#catalog, (manifest, registeredAt) => {
      this.#schedules.registered(manifest, registeredAt);
      this.#subscriptions.registered(manifest, registeredAt);
      this.#deliveries.redefined();
      void this.#schedules.settle();
      void this.#subscriptions.settle();
    });
    this.#subscriptions = new Subscriptions(this.#context, this.#catalog);
    this.#keeper = new TopicKeeper(this.#context, this.#catalog, async (tenant, topic) => [
      ...(await this.#subscriptions.of(tenant, topic)).map(({ spec }) => ({
        space: subscriptionCursorSpace,
        name: spec.name,
      })),
      ...this.#bridges.outgoing(tenant, topic).map((name) => ({ space: bridgeOffsetSpace, name })),
    ]);
    this.#limitRules = new LimitRules(this.#context, this.#catalog);
    this.#modelSettings = new ModelSettings(this.#context, this.#catalog);
    this.#toolGate = new ToolGate(this.#context, this.#catalog);
    this.#toolsOffice = new ToolsOffice({ context: this.#context, catalog: this.#catalog, gate: this.#toolGate });
    this.#breakers = new Breakers(this.#context, this.#catalog);
    this.#pauses = new Pauses(this.#context, this.#catalog);
    this.#tallies = new ArmTallies(this.#context, this.#catalog);
    this.#shadows = new Shadows({
      context: this.#context,
      catalog: this.#catalog,
      model: (name) => this.#modelSettings.model(name),
      breakers: this.#breakers,
      pauses: this.#pauses,
    });
    this.#triage = new TriageOffice({
      context: this.#context,
      catalog: this.#catalog,
      tell: (message) => {
        for (const session of this.#dispatcher.sessions()) session.send(message);
      },
    });
    this.#modelsOffice = new ModelsOffice({
      context: this.#context,
      catalog: this.#catalog,
      settings: this.#modelSettings,
      breakers: this.#breakers,
      pauses: this.#pauses,
      tallies: this.#tallies,
      shadows: this.#shadows,
    });
    const resolve = ticketResolver((name) => this.#modelSettings.model(name), ports.hash);
    const plain = (payload: Payload): unknown => ('text' in payload ? jsonOf(payload) : undefined);
    const committer = new Committer(
      this.#context,
      (transitions) => {
        this.#dispatcher.opening(transitions);
        this.#timers.opening(transitions);
      },
      (transitions) => {
        this.#published(transitions);
        this.#coordinator.committed(transitions);
        this.#tallies.published(transitions);
        this.#predictions.published(transitions);
      },
    );
    const door = new ModelDoor({
      model: (name) => this.#modelSettings.model(name),
      breakers: this.#breakers,
      pauses: this.#pauses,
      admission: limitGate(this.#limitRules),
      hash: ports.hash,
    });
    this.#predictions = new Predictions(this.#context, (ticket) => door.versionOf(ticket));
    this.#lanes = new Lanes(
      this.#context,
      this.#catalog,
      plain,
      committer,
      (key) => this.#dispatcher.seen(key),
      door,
      this.#predictions,
      this.#toolGate,
      new DeadLetterMirror(this.#context, this.#catalog),
      new RunEnds({
        context: this.#context,
        catalog: this.#catalog,
        mayRead: (...of) => this.#subscriptions.mayRead(...of),
      }),
    );
    this.#lag = new Lag(this.#context, this.#catalog, this.#subscriptions);
    this.#writers = new Writers(this.#context, this.#catalog);
    this.#webhookSources = new WebhookSources(this.#context, this.#catalog);
    this.#sources = new Sources(this.#context);
    this.#intake = new Intake(
      this.#context,
      this.#catalog,
      this.#lanes,
      plain,
      new GuardedPublish({
        context: this.#context,
        catalog: this.#catalog,
        lanes: this.#lanes,
        writers: this.#writers,
        sources: this.#sources,
      }),
      (...of) => this.#lag.mayPublish(...of),
    );
    const told = (place: string): number | null => this.#pauses.until(place);
    const explainer = { context: this.#context, rules: this.#limitRules, resolve, told };
    this.#reads = new Reads(
      this.#context,
      plain,
      (queue) => this.#isServed(queue),
      (key, value) => explainWait(explainer, key, value),
      this.#catalog,
    );
    this.#followers = new Followers(this.#context, plain, (tenant, run) => this.#reads.state(tenant, run));
    this.#dispatcher = new Dispatcher({
      context: this.#context,
      lanes: this.#lanes,
      registry: this.#registry,
      blobsPath: options.blobsPath ?? '/v1/blobs',
      shadows: this.#shadows,
      triage: () => this.#triage.message,
    });
    const family = new Family(this.#context, this.#lanes, this.#reads);
    this.#lookBack = new LookBack(this.#context, this.#lanes, (tenant, topic) => this.#router.index(tenant, topic));
    this.#office = new PostOffice(this.#context, this.#catalog, this.#lanes, this.#reads);
    this.#agents = new Agents(this.#context, this.#office, this.#reads);
    this.#letters = new DeadLetters({
      context: this.#context,
      catalog: this.#catalog,
      agents: this.#agents,
      publish: async (origin, request) =>
        (await this.#intake.publish(origin, [request]))[0] ?? errorOutcome(new Error('Invariant broken: no outcome')),
      command: (origin, run, command) => this.#command(origin, run, command),
    });
    this.#redrives = new Redrives(this.#context, this.#letters, (transitions) => this.#timers.opening(transitions));
    this.#deadEvents = new DeadEvents({ context: this.#context, catalog: this.#catalog }, this.#lanes);
    this.#deadEvents.onRedrive(lateRedriver({ context: this.#context, catalog: this.#catalog }));
    const look = (): Promise<void> => (store.shared ? this.#registry.look() : Promise.resolve());
    this.#bridges = new Bridges(
      {
        context: this.#context,
        catalog: this.#catalog,
        lanes: this.#lanes,
        mayPublish: (...of) => this.#lag.mayPublish(...of),
        look,
      },
      options.bridges ?? [],
    );
    this.#deadEvents.onRedrive((origin, dead) => this.#bridges.redrive(origin, dead));
    this.#router = new Router(this.#context, this.#catalog, this.#lookBack, this.#office);
    this.#deliveries = new Deliveries({
      context: this.#context,
      catalog: this.#catalog,
      lanes: this.#lanes,
      subscriptions: this.#subscriptions,
      latest: (tenant, run) => this.#reads.latest(tenant, run),
      lookFor: (workflow) => this.#lookForWorkflow(workflow),
    });
    this.#subscriptionOffice = new SubscriptionOffice({
      context: this.#context,
      catalog: this.#catalog,
      lanes: this.#lanes,
      subscriptions: this.#subscriptions,
      changed: (tenant) => {
        this.#deliveries.changed(tenant);
        this.#consumers.changed(tenant);
      },
    });
    this.#consumers = new Consumers({
      context: this.#context,
      catalog: this.#catalog,
      lanes: this.#lanes,
      subscriptions: this.#subscriptions,
      view: (topic, partition, row) => this.#reads.wholeTopicEvent(topic, partition, row),
    });
    this.#subscriptionRegister = new SubscriptionRegister({
      context: this.#context,
      catalog: this.#catalog,
      subscriptions: this.#subscriptions,
      lag: this.#lag,
      published: (transitions) => this.#published(transitions),
    });
    this.webhooks = new WebhookOffice({
      context: this.#context,
      catalog: this.#catalog,
      subscriptions: this.#subscriptions,
      published: (transitions) => this.#published(transitions),
      changed: (tenant) => this.#deliveries.changed(tenant),
      look,
    });
    this.#deadEvents.onRedrive((origin, dead) => this.#consumers.redrive(origin, dead));
    this.#deadEvents.onRedrive((origin, dead) => this.#deliveries.redrive(origin, dead));
    this.#coordinator = new Coordinator({
      context: this.#context,
      rules: this.#limitRules,
      lanes: this.#lanes,
      resolve,
      doors: {
        told,
        shutUntil: (...asked) => this.#breakers.shutUntil(...asked),
        probeOf: (...asked) => this.#breakers.probeOf(...asked),
      },
    });
    this.#keys = new KeyOffice(this.#context);
    this.#accessOffice = new AccessOffice({
      context: this.#context,
      catalog: this.#catalog,
      published: (transitions) => this.#published(transitions),
      read: (...of) => this.#reads.topic(...of),
    });
    this.#limitsOffice = new LimitsOffice({
      context: this.#context,
      catalog: this.#catalog,
      rules: this.#limitRules,
      changed: async (transitions) => {
        this.#published(transitions);
        await this.#coordinator.limitsChanged();
      },
    });
    this.#approvals = new Approvals(this.#context, this.#lanes);
    const checkpoints = new Checkpoints(this.#context, this.#catalog);
    this.#fleet = new FleetViews(this.#context, checkpoints);
    this.#fleetDuty = new FleetDuty(this.#context, checkpoints, settings.fleet ?? usualPace);
    this.#graphs = new Graphs(this.#context, this.#lanes, (name) => this.#catalog.capability(name));
    this.#timers = new TimerDuty(this.#context, this.#lanes, {
      promoted: () => this.#correctHints(),
      errand: (timer) => family.see(timer),
      look: (timer) => this.#lookBack.due(timer),
      send: (timer) => this.#office.due(timer),
      schedules: () => this.#schedules.tick(),
      advance: (timer) => this.#graphs.due(timer),
    });
    this.#schedules = new Schedules({
      context: this.#context,
      lanes: this.#lanes,
      prepare: (origin, request) => this.#intake.prepareStart(origin, request),
      lookFor: (workflow) => this.#lookForWorkflow(workflow),
      cancel: (origin, run, reason) => this.cancel(origin, run, { reason }),
      redrive: (row) => this.#redrives.due(row),
    });
    this.#health = new Health(this.#context, this.#dispatcher, (afterMs) => this.#bridges.faults(afterMs));
    this.#neighbours = new Neighbours(this.#context, {
      moved: ({ tenant, run, key, seq }) => {
        this.#lanes.moved(tenant, run, seq);
        this.#followers.moved(key, seq);
        for (const reader of this.#topicReaders) reader.moved(tenant, run);
        this.#coordinator.moved(tenant, run);
        if (tenant === systemTenant && run.startsWith(modelsStream)) this.#lookAtModels();
        if (tenant === systemTenant && run.startsWith(toolsStream)) this.#lookAtTools();
      },
      work: (queue, count) => this.#dispatcher.ready(queue, count),
    });
    this.#outbox =
      store.outbox === undefined
        ? null
        : new OutboxDuty(this.#context, store.outbox, (transitions) => {
            this.#dispatcher.opening(transitions);
            this.#timers.opening(transitions);
            this.#published(transitions);
          });
    this.#lanes.onCommit((change) => this.#dispatcher.committed(change));
    this.#lanes.onCommit(({ own, state, events }) => {
      if (own) this.#inferences.note(state, events);
      if (own) this.#remedies.note(events);
    });
    this.#lanes.onCommit((change) => this.#followers.committed(change));
    this.#lanes.onCommit((change) => this.#lookBack.committed(change));
    this.#lanes.onCommit((change) => this.#schedules.committed(change));
    this.#lanes.onCommit((change) => this.#graphs.committed(change));
    this.#lanes.onCommit((change) => this.#office.committed(change));
    this.#lanes.onCommit((change) => this.#deliveries.committed(change));
    this.#lanes.onCommit((change) => this.#agents.committed(change));
    this.#lanes.onCommit((change) => this.#breakers.committed(change));
    this.#lanes.onCommit((change) => this.#pauses.committed(change));
    this.#lanes.onCommit((change) => this.#tallies.committed(change));
    this.#lanes.onCommit((change) => this.#predictions.committed(change));
    this.#lanes.onCommit((change) => this.#shadows.committed(change));
    this.#lanes.onCommit((change) => this.#triage.committed(change));
    this.#duties = new Duties(this.#context, [
      { name: 'heartbeats', everyMs: settings.sessionBeatMs, tick: () => this.#dispatcher.storeBeats() },
      {
        name: 'reaper',
        everyMs: Math.max(100, Math.floor(settings.sessionDeadMs / 5)),
        tick: () => this.#dispatcher.reap(),
      },
      { name: 'recall', everyMs: settings.sessionBeatMs, tick: () => this.#dispatcher.recallUnreceived() },
      { name: 'router', everyMs: settings.lookEveryMs ?? routerEveryMs, tick: () => this.#followTopics() },
      { name: 'lag', everyMs: settings.lookEveryMs ?? lagEveryMs, tick: () => this.#lag.tick() },
      {
        name: 'admission',
        everyMs: settings.lookEveryMs ?? admissionEveryMs,
        tick: () => this.#coordinator.tick(),
      },
      { name: 'schedules', everyMs: settings.lookEveryMs ?? 2_000, tick: () => this.#schedules.settle() },
      { name: 'hints', everyMs: settings.lookEveryMs ?? 1_000, tick: () => this.#correctHints() },
      { name: 'definitions', everyMs: settings.lookEveryMs ?? 2_000, tick: () => this.#registry.tick() },
      { name: 'models', everyMs: settings.lookEveryMs ?? 2_000, tick: () => this.#tickModels() },
      { name: 'retention', everyMs: settings.upkeepEveryMs, tick: () => this.#retain() },
      { name: 'predictions', everyMs: settings.upkeepEveryMs, tick: () => this.#sweepPredictions() },
      ...(store.shared ? [{ name: 'feed', everyMs: 1_000, tick: () => this.#neighbours.read() }] : []),
      ...(settings.fleet === null
        ? []
        : [{ name: 'fleet', everyMs: settings.fleet.everyMs, tick: () => this.#fleetDuty.tick() }]),
      ...this.#outboxDuties(),
      ...(this.#bridges.any ? [{ name: 'bridges', everyMs: bridgesEveryMs, tick: () => this.#bridges.tick() }] : []),
    ]);
  }

  start(): Promise<void> {
    this.#started ??= this.#begin();
    return this.#started;
  }

  /** Who reads topics as they grow. */
  get #topicReaders(): readonly TopicReader[] {
    return [this.#router, this.#deliveries, this.#consumers, this.#topicFollowers, this.#bridges];
  }

  #published(transitions: readonly Transition[]): void {
    for (const reader of this.#topicReaders) reader.published(transitions);
  }

  async #followTopics(): Promise<void> {
    await Promise.all([this.#router.tick(), this.#deliveries.tick()]);
  }

  #outboxDuties(): Duty[] {
    const outbox = this.#outbox;
    return outbox === null ? [] : [{ name: 'outbox', everyMs: outboxEveryMs, tick: () => outbox.tick() }];
  }

  async #begin(): Promise<void> {
    await this.#neighbours.start();
    await this.#registry.start();
    await this.#dispatcher.endPredecessors();
    await Promise.all([
      this.#modelSettings.refresh(),
      this.#toolGate.refresh(),
      this.#breakers.refresh(),
      this.#pauses.refresh(),
      this.#triage.refresh(),
      this.#subscriptions.start(),
    ]);
    await this.#dispatcher.reap();
    await this.#schedules.settle();
    await this.#correctHints();
    this.#timers.start();
    this.#duties.start();
    this.#bridges.start();
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#end();
    return this.#stopped;
  }

  async #end(): Promise<void> {
    await this.#started?.catch(() => {});
    // The next owner learns from the store what the workers had received.
    await this.#dispatcher.storeBeats().catch((error: unknown) => this.#context.fault('heartbeats', error));
    await this.#dispatcher.leave();
    this.#dispatcher.stop();
    await this.#bridges.stop();
    this.#lanes.stop();
    this.#followers.stop();
    this.#consumers.stop();
    this.#topicFollowers.stop();
    await Promise.all([
      this.#timers.stop(),
      this.#duties.stop(),
      this.#outbox?.stop(),
      this.#neighbours.stop(),
      this.#router.stop(),
      this.#deliveries.stop(),
      this.#redrives.stop(),
      this.#coordinator.stop(),
      this.#breakers.stop(),
      this.#pauses.stop(),
      this.#tallies.tick(),
      this.#triage.tick().catch((error: unknown) => this.#context.fault('triage', error)),
    ]);
    await this.#lookBack.stop();
    await this.#graphs.stop();
    await this.#office.stop();
    await this.#context.store.close();
  }

  async register(manifest: Manifest): Promise<{ readonly hash: string }> {
    const registered = await this.#registry.register(manifest);
    await Promise.all([this.#schedules.settle(), this.#subscriptions.settle()]);
    return registered;
  }

  deploy: Engine['deploy'] = (manifest, options) =>
    deploy({ context: this.#context, registry: this.#registry, catalog: this.#catalog }, manifest, options);

  definitions(): readonly Manifest[] {
    return this.#catalog.manifests();
  }

  async currentDefinitions(): Promise<readonly Manifest[]> {
    if (this.#context.store.shared) await this.#registry.refresh();
    return this.definitions();
  }

  holdDuty: Engine['holdDuty'] = (duty, ttlMs) => this.#context.store.holdDuty(duty, ttlMs);

  startRuns: Engine['startRuns'] = (origin, requests) => {
    const start = (): ReturnType<Engine['startRuns']> => this.#intake.startRuns(origin, requests);
    if (!this.#context.store.shared || requests.every(({ workflow }) => this.#catalog.workflow(workflow) !== null))
      return start();
    return this.#registry.look().then(start);
  };

  publish: Engine['publish'] = (origin, requests) => {
    if (requests.some(({ topic }) => isOwnTopic(topic))) return this.#publishOthers(origin, requests);
    const publish = (): ReturnType<Engine['publish']> => this.#intake.publish(origin, requests);
    if (!this.#context.store.shared || requests.every(({ topic }) => this.#catalog.topic(topic) !== null))
      return publish();
    return this.#registry.look().then(publish);
  };

  /** What is meant for topics of the engine's own is refused, each by itself. */
  async #publishOthers(...[origin, requests]: Parameters<Engine['publish']>): Promise<PublishOutcome[]> {
    const others = requests.filter(({ topic }) => !isOwnTopic(topic));
    const outcomes = others.length === 0 ? [] : await this.publish(origin, others);
    let at = 0;
    return requests.map(({ topic }) => {
      const outcome = isOwnTopic(topic) ? errorOutcome(new SpineError('TOPIC_OWN', { name: topic })) : outcomes[at++];
      return outcome ?? errorOutcome(new Error('Invariant broken: no outcome'));
    });
  }

  async startWithin(tx: unknown, origin: Origin, request: StartRequest): Promise<StartOutcome> {
    try {
      const outbox = this.#openOutbox();
      if (this.#catalog.workflow(request.workflow) === null) await this.#registry.look();
      return await this.#intake.startWithin((transition) => outbox.leave(tx, transition), origin, request);
    } catch (error) {
      return errorOutcome(error);
    }
  }

  async publishWithin(tx: unknown, origin: Origin, request: PublishRequest): Promise<PublishOutcome> {
    try {
      if (isOwnTopic(request.topic)) throw new SpineError('TOPIC_OWN', { name: request.topic });
      const outbox = this.#openOutbox();
      if (this.#catalog.topic(request.topic) === null) await this.#registry.look();
      return await this.#intake.publishWithin((transition) => outbox.leave(tx, transition), origin, request);
    } catch (error) {
      return errorOutcome(error);
    }
  }

  async #lookForWorkflow(name: string): Promise<void> {
    if (this.#context.store.shared && this.#catalog.workflow(name) === null) await this.#registry.look();
  }

  /** @throws TRANSACTION_UNSUPPORTED */
  #openOutbox(): OutboxDuty {
    if (this.#outbox === null)
      throw new SpineError('TRANSACTION_UNSUPPORTED', { where: `The store \`${this.#context.store.name}\`` });
    return this.#outbox;
  }

  /** Reads a run that may have been left in a transaction which has committed a moment ago: then it is carried out first. */
  async #sought<T>(read: () => Promise<T | null>): Promise<T | null> {
    const found = await read();
    if (found !== null || this.#outbox === null) return found;
    await this.#outbox.drain();
    // Whether or not something was found: a neighbour may have been quicker.
    return read();
  }

  cancel(
    origin: Origin,
    run: string,
    options?: { readonly reason?: string; readonly graceMs?: number },
  ): Promise<CommandOutcome> {
    const reason = options?.reason?.slice(0, limits.errorMessageLengthMax) ?? null;
    const graceMs = options?.graceMs ?? limits.cancelGraceMs;
    return this.#command(origin, run, { op: 'cancel', reason, by: origin.actor, graceMs });
  }

  async signal(origin: Origin, run: string, { id, name, data }: SignalRequest): Promise<CommandOutcome> {
    const fault = this.#catalog.declaresSignals ? await this.#signalFault(origin.tenant, run, name, data) : null;
    if (fault !== null) return { tag: 'error', error: fault };
    return this.#command(origin, run, { op: 'signal', id, name, by: origin.actor, data });
  }

  /** Why a run of its workflow would not take the signal; null = it would. Data that is kept as a blob is not looked at. */
  async #signalFault(tenant: string, run: string, name: string, data: Payload | null): Promise<SpineError | null> {
    const row = await this.#context.store.readRun(tenant, run);
    const signals = row === null ? null : (this.#catalog.workflow(row.workflow)?.signals ?? null);
    if (row === null || signals === null) return null;
    const check = signals.get(name);
    if (check === undefined)
      return new SpineError('SIGNAL_UNKNOWN', { name, workflow: row.workflow, known: [...signals.keys()] });
    if (data !== null && isBlobPayload(data)) return null;
    const faults = check(data === null ? null : jsonOf(data));
    return faults.length === 0 ? null : new SpineError('INPUT_INVALID', { name, faults });
  }

  async tellAgent(origin: Origin, { agent, key, type, id, data, reply }: TellRequest): Promise<TellOutcome> {
    if (this.#context.store.shared && this.#catalog.agent(agent) === null) await this.#registry.look();
    const fault = messageFault(this.#catalog, agent, type, data);
    if (fault !== null) return { tag: 'error', error: fault };
    return this.#office.post(origin, agent, key, { id, type, from: { kind: 'caller', reply }, data });
  }

  readAnswer: Engine['readAnswer'] = (tenant, { agent, key, id }, ms) =>
    this.#agents.answer(tenant, agent, key, id, ms);
  readAgent: Engine['readAgent'] = (tenant, agent, key) => this.#agents.read(tenant, agent, key);
  listAgents: Engine['listAgents'] = (tenant, agent, query) => this.#agents.list(tenant, agent, query);

  redriveDeadLetter: Engine['redriveDeadLetter'] = (origin, id, options) => this.#letters.redrive(origin, id, options);
  correctDeadLetter: Engine['correctDeadLetter'] = (origin, id, said) => this.#letters.correct(origin, id, said);
  editDeadLetter: Engine['editDeadLetter'] = (origin, id, edit) => this.#letters.edit(origin, id, edit);
  listSubscriptions: Engine['listSubscriptions'] = (tenant) => this.#subscriptionRegister.list(tenant);
  readSubscription: Engine['readSubscription'] = (tenant, name) => this.#subscriptionRegister.read(tenant, name);
  putSubscription: Engine['putSubscription'] = async (origin, name, options) => {
    const { topic } = options;
    if (this.#context.store.shared && typeof topic === 'string' && this.#catalog.topic(topic) === null)
      await this.#registry.look();
    return this.#subscriptionRegister.put(origin, name, options);
  };
  removeSubscription: Engine['removeSubscription'] = (origin, name) => this.#subscriptionRegister.remove(origin, name);
  listWebhookSources: Engine['listWebhookSources'] = (tenant) => this.#webhookSources.list(tenant);
  readWebhookSource: Engine['readWebhookSource'] = (tenant, name) => this.#webhookSources.read(tenant, name);
  putWebhookSource: Engine['putWebhookSource'] = async (origin, name, options) => {
    const { topic } = options;
    if (this.#context.store.shared && typeof topic === 'string' && this.#catalog.topic(topic) === null)
      await this.#registry.look();
    return this.#webhookSources.put(origin, name, options);
  };
  removeWebhookSource: Engine['removeWebhookSource'] = (origin, name) => this.#webhookSources.remove(origin, name);
  addWebhookSecret: Engine['addWebhookSecret'] = (origin, name, secret) =>
    this.#webhookSources.addSecret(origin, name, secret);
  removeWebhookSecret: Engine['removeWebhookSecret'] = (origin, name, id) =>
    this.#webhookSources.removeSecret(origin, name, id);
  webhookDoor: Engine['webhookDoor'] = (tenant, name) => this.#webhookSources.door(tenant, name);
  pullEvents: Engine['pullEvents'] = (origin, name, request) => this.#consumers.pull(origin, name, request);
  ackEvents: Engine['ackEvents'] = (origin, name, request) => this.#consumers.ack(origin, name, request);
  nackEvents: Engine['nackEvents'] = (origin, name, request) => this.#consumers.nack(origin, name, request);
  renewEvents: Engine['renewEvents'] = (origin, name, request) => this.#consumers.renew(origin, name, request);
  leaveSubscription: Engine['leaveSubscription'] = (origin, name, request) =>
    this.#consumers.leave(origin, name, request);
  endPulls: Engine['endPulls'] = () => this.#consumers.stop();
  subscriptionFacts: Engine['subscriptionFacts'] = () => this.#lag.facts();
  listBridges: Engine['listBridges'] = () => this.#bridges.list();
  bridgeFacts: Engine['bridgeFacts'] = () => this.#bridges.facts();
  seekBridge: Engine['seekBridge'] = (origin, name, ...to) => this.#bridges.seek(origin.actor, name, ...to);
  listDeadEvents: Engine['listDeadEvents'] = (tenant, query) => this.#deadEvents.list(tenant, query);
  readDeadEvent: Engine['readDeadEvent'] = (tenant, id) => this.#deadEvents.read(tenant, id);
  redriveDeadEvent: Engine['redriveDeadEvent'] = (origin, id, reason) => this.#deadEvents.redrive(origin, id, reason);
  discardDeadEvent: Engine['discardDeadEvent'] = (origin, id, reason) => this.#deadEvents.discard(origin, id, reason);
  countDeadLetters: Engine['countDeadLetters'] = (tenant, filter) => this.#redrives.count(tenant, filter);
  beginRedrive: Engine['beginRedrive'] = (origin, request) => this.#redrives.begin(origin, request);
  readRedrive: Engine['readRedrive'] = (tenant, id) => this.#redrives.read(tenant, id);
  listRedrives: Engine['listRedrives'] = (tenant) => this.#redrives.list(tenant);
  cancelRedrive: Engine['cancelRedrive'] = (origin, id) => this.#redrives.cancel(origin.tenant, id);

  listApprovals: Engine['listApprovals'] = (tenant, query) => this.#approvals.list(tenant, query);
  readApproval: Engine['readApproval'] = (tenant, id) => this.#approvals.read(tenant, id);
  sayOfApproval: Engine['sayOfApproval'] = (origin, id, person, say) => this.#approvals.say(origin, id, person, say);

  redrive(origin: Origin, run: string): Promise<CommandOutcome> {
    return this.#command(origin, run, { op: 'redrive', by: origin.actor });
  }

  async migrate(origin: Origin, run: string, to: string | null): Promise<CommandOutcome> {
    const row = await this.#sought(() => this.#context.store.readRun(origin.tenant, run));
    if (row === null) return { tag: 'error', error: new SpineError('RUN_NOT_FOUND', { run }) };
    const workflow = this.#catalog.workflow(row.workflow)?.manifest;
    if (workflow === undefined || !versionsServed(workflow).includes(to)) {
      const reason = `the definitions in force do not have ${row.workflow} ${versionText(to)}`;
      return { tag: 'error', error: new SpineError('RUN_NOT_MIGRATABLE', { run, reason }) };
    }
    return this.#command(origin, run, { op: 'migrate', to, by: origin.actor });
  }

  async #command(
    origin: Origin,
    run: string,
    command: Parameters<Lanes['submit']>[0]['commands'][number],
  ): Promise<CommandOutcome> {
    const submit = (): Promise<JobOutcome> =>
      this.#lanes.submit({
        key: runKey(origin.tenant, run),
        tenant: origin.tenant,
        run,
        commands: [command],
        actor: origin.actor,
        worker: '',
        lease: null,
      });
    let outcome = await submit();
    // Whoever knows a run by the id it began with means the one in which it goes on.
    const next =
      outcome.tag === 'already' || outcome.tag === 'refused' ? await this.#successor(origin.tenant, run) : null;
    if (next !== null) return this.#command(origin, next, command);
    const isUnknown = outcome.tag === 'refused' && outcome.reason === 'not_found';
    if (isUnknown && this.#outbox !== null) {
      await this.#outbox.drain();
      outcome = await submit();
    }
    return this.#outcomeOf(origin.tenant, run, outcome);
  }

  /** The last of the runs that an ended run goes on in; null = none. */
  async #successor(tenant: string, run: string): Promise<string | null> {
    const row = await this.#context.store.readRun(tenant, run);
    return row?.status === 'continued' ? ((await this.#reads.latest(tenant, run))?.run ?? null) : null;
  }

  async #outcomeOf(tenant: string, run: string, outcome: JobOutcome): Promise<CommandOutcome> {
    switch (outcome.tag) {
      case 'applied':
        return { tag: 'done' };
      case 'already':
        return { tag: 'already' };
      case 'error':
        return { tag: 'error', error: outcome.error };
      case 'refused': {
        const state = await this.#reads.state(tenant, run);
        const error =
          outcome.reason === 'not_found' || state === null
            ? new SpineError('RUN_NOT_FOUND', { run })
            : refusalOf(outcome.reason, run, state);
        return { tag: 'error', error };
      }
    }
  }

  async discard(origin: Origin, deadLetter: string): Promise<CommandOutcome> {
    const { store } = this.#context;
    if ((await store.readDeadLetter(origin.tenant, deadLetter)) === null)
      return { tag: 'error', error: new SpineError('DEAD_LETTER_NOT_FOUND', { id: deadLetter }) };
    const [outcome] = await store.apply([{ tenant: origin.tenant, deadLetters: [{ op: 'remove', id: deadLetter }] }]);
    return outcome?.tag === 'applied' ? { tag: 'done' } : { tag: 'error', error: new SpineError('STORE_BUSY', {}) };
  }

  putSchedule: Engine['putSchedule'] = (origin, name, spec) => this.#schedules.put(origin, name, spec);
  pauseSchedule: Engine['pauseSchedule'] = (origin, name, options) =>
    this.#schedules.pause(origin, name, options?.reason?.slice(0, limits.errorMessageLengthMax) ?? null);
  resumeSchedule: Engine['resumeSchedule'] = (origin, name) => this.#schedules.resume(origin, name);
  removeSchedule: Engine['removeSchedule'] = (origin, name) => this.#schedules.remove(origin, name);
  triggerSchedule: Engine['triggerSchedule'] = (origin, name, options) =>
    this.#schedules.trigger(origin, name, options?.idempotencyKey);
  readSchedule: Engine['readSchedule'] = (tenant, name) => this.#schedules.read(tenant, name);
  listSchedules: Engine['listSchedules'] = (tenant, query) => this.#schedules.list(tenant, query);

  pauseSubscription: Engine['pauseSubscription'] = (origin, name, reason) =>
    this.#subscriptionOffice.pause(origin, name, reason?.slice(0, limits.errorMessageLengthMax) ?? null);
  resumeSubscription: Engine['resumeSubscription'] = (origin, name) => this.#subscriptionOffice.resume(origin, name);
  seekSubscription: Engine['seekSubscription'] = (origin, name, request) =>
    this.#subscriptionOffice.seek(origin, name, request);
  async replaySubscription(
    ...[origin, name, request]: Parameters<Engine['replaySubscription']>
  ): Promise<ReplayAnswer> {
    if (request.workflow !== undefined) await this.#lookForWorkflow(request.workflow);
    return this.#subscriptionOffice.replay(origin, name, request);
  }

  readRun: Engine['readRun'] = (tenant, run, moment = null) =>
    this.#sought(() => (moment === null ? this.#reads.run(tenant, run) : this.#reads.runAt(tenant, run, moment)));
  readResult: Engine['readResult'] = (tenant, run) => this.#sought(() => this.#reads.result(tenant, run));
  readHistory: Engine['readHistory'] = (tenant, run, query) =>
    this.#sought(() => this.#reads.history(tenant, run, query));
  readDecisions: Engine['readDecisions'] = (tenant, run, moment = null) =>
    this.#sought(() => this.#reads.decisions(tenant, run, moment));
  exportHistory: Engine['exportHistory'] = (tenant, run) => this.#sought(() => this.#reads.exported(tenant, run));
  listRuns: Engine['listRuns'] = (tenant, filter) => this.#reads.list(tenant, filter);
  listDeadLetters: Engine['listDeadLetters'] = (tenant, query) => this.#letters.list(tenant, query);
  readTopic: Engine['readTopic'] = (tenant, topic, query) => this.#reads.topic(tenant, topic, query);

  async offsetAt(...[tenant, topic, partition, instantMs]: Parameters<Engine['offsetAt']>): Promise<number> {
    const { store } = this.#context;
    const heads = await store.listTopics(tenant);
    const head = heads.find((one) => one.topic === topic && one.partition === partition)?.head ?? 0;
    return offsetAt(store, { tenant, topic, partition }, head, instantMs);
  }

  async takeOverTopic(...[origin, topic]: Parameters<Engine['takeOverTopic']>): Promise<TopicWriterView> {
    await this.#knowTopic(topic);
    const { at, ...writer } = await this.#writers.takeOver(origin, topic);
    return { topic, ...writer, at: isoOf(at) };
  }

  async readTopicWriter(...[tenant, topic]: Parameters<Engine['readTopicWriter']>): Promise<TopicWriterView> {
    await this.#knowTopic(topic);
    const found = await this.#writers.read(tenant, topic);
    if (found === null) return { topic, epoch: 0, by: null, at: null };
    return { topic, epoch: found.epoch, by: found.by, at: isoOf(found.at) };
  }

  /** Another server may have heard of it just now. */
  async #knowTopic(topic: string): Promise<void> {
    if (this.#context.store.shared && this.#catalog.topic(topic) === null) await this.#registry.look();
  }

  async listSources(...[tenant, topic, query]: Parameters<Engine['listSources']>): ReturnType<Engine['listSources']> {
    const limit = Math.min(query.limit ?? limits.pageItemsDefault, limits.pageItemsMax);
    const items = await this.#sources.list(tenant, topic, query.cursor ?? null, limit);
    return { items, next: items.length < limit ? null : (items.at(-1)?.id ?? null) };
  }

  followTopic: Engine['followTopic'] = (tenant, topic, from, handlers) =>
    this.#topicFollowers.follow(tenant, topic, from, handlers);

  topicFacts: Engine['topicFacts'] = () => ({
    trimmed: { ...this.#keeper.trimmed },
    ...this.#sources.counts,
    fenced: this.#writers.fenced,
  });

  readDeadLetter: Engine['readDeadLetter'] = (tenant, id) => this.#letters.read(tenant, id);

  async listTopics(tenant: string): ReturnType<Engine['listTopics']> {
    const { store } = this.#context;
    const [heads, lows] = await Promise.all([store.listTopics(tenant), readLows(store, tenant)]);
    const names = new Set([...this.#catalog.topicNames(), ...heads.map((head) => head.topic)]);
    return [...names].sort().map((topic) => {
      const partitions = Math.max(
        this.#catalog.topic(topic)?.manifest.partitions ?? 0,
        ...heads.filter((h) => h.topic === topic).map((h) => h.partition + 1),
      );
      const headOf = (partition: number): number =>
        heads.find((h) => h.topic === topic && h.partition === partition)?.head ?? 0;
      return {
        topic,
        partitions: Array.from({ length: partitions }, (_, partition) => ({
          partition,
          head: headOf(partition),
          low: lows.get(topicStream(topic, partition)) ?? 0,
        })),
      };
    });
  }

  fleet: Engine['fleet'] = (moment, tenant) => this.#fleet.at(moment, tenant);

  async queues(): Promise<QueueView[]> {
    const { store } = this.#context;
    const now = store.now();
    const sessions = (await this.workers()).filter(({ connected }) => connected);
    const stats = new Map((await store.queueStats()).map((queue) => [queue.queue, queue]));
    const names = new Set([...stats.keys(), ...sessions.flatMap((session) => session.queues)]);
    return [...names].sort().map((queue) => {
      const found = stats.get(queue);
      const serving = sessions.filter((session) => session.queues.includes(queue));
      return {
        queue,
        ready: found?.ready ?? 0,
        delayed: found?.delayed ?? 0,
        held: found?.held ?? 0,
        leased: found?.leased ?? 0,
        lagMs: found === undefined || found.oldestReadyAt === null ? 0 : Math.max(0, now - found.oldestReadyAt),
        workers: serving.length,
        slots: serving.reduce((sum, session) => sum + session.slots, 0),
      };
    });
  }

  async workers(): Promise<WorkerView[]> {
    const { store } = this.#context;
    const rows = await store.listSessions();
    const local = new Map([...this.#dispatcher.sessions()].map((session) => [session.description.session, session]));
    const leased = await this.#leasesOfNeighbours(rows);
    return rows.map((row) => {
      const session = local.get(row.session);
      const info = session?.description ?? sessionInfo(row);
      return {
        session: row.session,
        worker: row.worker,
        app: row.app,
        manifest: info.manifest ?? null,
        // Of a neighbour's session it is only known that nobody has given it up.
        connected: row.owner === store.epoch ? session !== undefined && isThere(session) : store.shared,
        openedAt: isoOf(row.openedAt),
        slots: info.slots ?? 0,
        leased: session?.held.size ?? leased.get(row.session) ?? 0,
        queues: info.queues ?? [],
        host: info.host ?? null,
        pid: info.pid ?? null,
      };
    });
  }

  /** Whether a connected worker serves the queue; neighbours are asked only where nobody here does. */
  async #isServed(queue: string): Promise<boolean> {
    const here = [...this.#dispatcher.sessions()];
    if (here.some(({ channel, description }) => channel !== null && description.queues.includes(queue))) return true;
    if (!this.#context.store.shared) return false;
    const { store } = this.#context;
    return (await store.listSessions()).some(
      (row) => row.owner !== store.epoch && sessionInfo(row).queues?.includes(queue) === true,
    );
  }

  /** How many tasks each session holds that another server has; read from the store, which is asked once. */
  async #leasesOfNeighbours(rows: readonly SessionRow[]): Promise<ReadonlyMap<string, number>> {
    const { store } = this.#context;
    const counts = new Map<string, number>();
    if (!rows.some((row) => row.owner !== store.epoch)) return counts;
    for (const { session } of await store.listLeases({ limit: leaseScanMax }))
      if (session !== null) counts.set(session, (counts.get(session) ?? 0) + 1);
    return counts;
  }

  readTriage: Engine['readTriage'] = (tenant) => this.#triage.view(tenant);
  changeTriage: Engine['changeTriage'] = (origin, order) => this.#triage.change(origin, order);
  listModels: Engine['listModels'] = () => this.#modelsOffice.list();
  readModel: Engine['readModel'] = (name) => this.#modelsOffice.read(name);
  changeModel: Engine['changeModel'] = (origin, name, order) => this.#modelsOffice.change(origin, name, order);
  modelReport: Engine['modelReport'] = (name, alpha, against) => this.#modelsOffice.report(name, alpha, against);
  modelEvents: Engine['modelEvents'] = (query) =>
    this.#reads.topic(systemTenant, modelsTopic.name, { partition: 0, ...query }).then(({ items }) => [...items]);

  async reportOutcome(...[origin, run, outcome]: Parameters<Engine['reportOutcome']>): Promise<'recorded' | 'already'> {
    const state = await this.#reads.fold(origin.tenant, run);
    if (state === null) throw new SpineError('RUN_NOT_FOUND', { run });
    return this.#modelsOffice.outcome(origin, state, outcome);
  }

  /** Where no app has a model, nothing is asked of the store. */
  async #tickModels(): Promise<void> {
    await this.#triage.tick();
    if (this.#catalog.models.size === 0) return;
    await Promise.all([
      this.#toolGate.refresh(),
      this.#modelSettings.refresh(),
      this.#breakers.tick(),
      this.#pauses.tick(),
      this.#tallies.tick(),
      this.#shadows.tick(),
    ]);
  }

  /**
   * A neighbour has changed a model, or moved a breaker. What comes while one look is under way is seen by the next: shadows tell
   * of each call.
   */
  #lookAtModels(): void {
    if (this.#look !== 'none') {
      this.#look = 'again';
      return;
    }
    this.#look = 'under way';
    Promise.all([
      this.#modelSettings.refresh(),
      this.#breakers.refresh(),
      this.#pauses.refresh(),
      this.#triage.refresh(),
    ])
      .catch((error: unknown) => this.#context.fault('models', error))
      .finally(() => {
        const isStale = this.#look === 'again';
        this.#look = 'none';
        if (isStale && this.#stopped === null) this.#lookAtModels();
      });
  }

  /** A neighbour has taken an order over tools. */
  #lookAtTools(): void {
    this.#toolGate.refresh().catch((error: unknown) => this.#context.fault('tools', error));
  }

  readTools: Engine['readTools'] = () => this.#toolsOffice.read();
  putToolOrder: Engine['putToolOrder'] = (origin, name, order, isAdmin) =>
    this.#toolsOffice.put(origin, name, order, isAdmin);
  dropToolOrder: Engine['dropToolOrder'] = (origin, name, isAdmin) => this.#toolsOffice.drop(origin, name, isAdmin);
  readCache: Engine['readCache'] = (tenant) => this.#predictions.stats(tenant);
  clearCache: Engine['clearCache'] = (tenant, model) => this.#predictions.clear(tenant, model);
  predictions: Engine['predictions'] = () => this.#predictions.counts();

  inferences: Engine['inferences'] = () => this.#inferences.counts();

  remedies: Engine['remedies'] = () => this.#remedies.counts();
  listLimits: Engine['listLimits'] = () => this.#limitsOffice.list();
  readLimit: Engine['readLimit'] = (name) => this.#limitsOffice.read(name);
  putLimit: Engine['putLimit'] = (origin, name, options) => this.#limitsOffice.put(origin, name, options);
  resetLimit: Engine['resetLimit'] = (origin, name) => this.#limitsOffice.reset(origin, name);
  listKeys: Engine['listKeys'] = (tenant, query) => this.#keys.list(tenant, query);
  readKey: Engine['readKey'] = (tenant, name) => this.#keys.view(tenant, name);
  createKey: Engine['createKey'] = (origin, order) => this.#keys.create(origin, order);
  rotateKey: Engine['rotateKey'] = (tenant, name, overlapMs) => this.#keys.rotate(tenant, name, overlapMs);
  revokeKey: Engine['revokeKey'] = (origin, tenant, name) => this.#keys.revoke(origin, tenant, name);
  keyOf: Engine['keyOf'] = (id) => this.#keys.keyOf(id);
  keyUsed: Engine['keyUsed'] = (id) => this.#keys.used(id);
  recordAccess: Engine['recordAccess'] = (records) => this.#accessOffice.record(records);
  accessEvents: Engine['accessEvents'] = (tenant, query) => this.#accessOffice.events(tenant, query);
  workflowOf: Engine['workflowOf'] = async (tenant, run) =>
    (await this.#context.store.readRun(tenant, run))?.workflow ?? null;
  topicOfSubscription: Engine['topicOfSubscription'] = async (tenant, name) =>
    (await this.#subscriptions.find(tenant, name))?.spec.topic ?? null;
  limitFacts: Engine['limitFacts'] = () => this.#coordinator.facts();
  endpointFacts: Engine['endpointFacts'] = () => endpointFacts(this.#breakers, this.#pauses);

  tally: Engine['tally'] = () => this.#context.store.readTally();

  async health(): Promise<HealthView> {
    const { accepts, reasons } = await this.#health.faults();
    return {
      status: reasons.length === 0 ? 'ok' : 'not_ready',
      accepts,
      reasons,
      version: this.#version,
      store: this.#context.store.name,
      uptimeMs: this.#health.uptimeMs,
    };
  }

  async doctor(): Promise<DoctorView> {
    const tenants = new Set((await this.#context.store.readTally()).map((row) => row.tenant));
    return diagnose(this.#context, [...tenants]);
  }

  follow(tenant: string, run: string, after: number, handlers: RunStreamHandlers): Promise<(() => void) | null> {
    return this.#sought(() => this.#followers.follow(tenant, run, after, handlers));
  }

  async waitForEnd(tenant: string, run: string, ms: number): Promise<RunViewState | null> {
    const { clock } = this.#context.ports;
    const untilMs = clock.monotonicMs() + ms;
    let state = await this.#waitForOwnEnd(tenant, run, ms);
    let at = run;
    while (state === 'continued' && ms > 0) {
      const next = await this.#reads.latest(tenant, at);
      const leftMs = untilMs - clock.monotonicMs();
      if (next === null || leftMs <= 0) break;
      at = next.run;
      state = await this.#waitForOwnEnd(tenant, at, leftMs);
    }
    return state;
  }

  async #waitForOwnEnd(tenant: string, run: string, ms: number): Promise<RunViewState | null> {
    const { timers } = this.#context.ports;
    return new Promise((resolve, reject) => {
      let stop: (() => void) | null = null;
      let done = false;
      const finish = (act: () => void): void => {
        if (done) return;
        done = true;
        cancel();
        stop?.();
        act();
      };
      const cancel = timers.after(ms, () =>
        finish(() => {
          this.#reads.state(tenant, run).then(resolve, reject);
        }),
      );
      this.follow(tenant, run, waitsForEnd, {
        onEvents: () => true,
        onGap: () => {},
        onEnd: (state) => finish(() => resolve(state)),
        onError: (error) => finish(() => (hasCode(error, 'RUN_NOT_FOUND') ? resolve(null) : reject(error))),
      }).then(
        (stopFollowing) => {
          if (stopFollowing === null) finish(() => resolve(null));
          else if (done) stopFollowing();
          else stop = stopFollowing;
        },
        (error: unknown) => finish(() => reject(error instanceof Error ? error : new Error(String(error)))),
      );
    });
  }

  now: Engine['now'] = () => this.#context.store.now();
  secret: Engine['secret'] = (name) => sharedSecret(this.#context, name);

  putBlob: Engine['putBlob'] = (tenant, hash, bytes) => {
    const bytesMax = this.valueBytesMax;
    if (bytes.byteLength > bytesMax) return Promise.reject(new SpineError('VALUE_TOO_LARGE', { bytesMax }));
    return this.#context.store.putBlob(tenant, hash, bytes);
  };
  get valueBytesMax(): number {
    return this.#context.settings.valueBytesMax;
  }

  readBlob: Engine['readBlob'] = (tenant, hash) => this.#context.store.readBlob(tenant, hash);

  connect: Engine['connect'] = (channel) => this.#dispatcher.connect(channel);
  beatFor: Engine['beatFor'] = (session, received, assignments) =>
    this.#dispatcher.beatFor(session, received, assignments);
  submitFor: Engine['submitFor'] = (session, submission) => this.#dispatcher.submitFor(session, submission);
  endSession: Engine['endSession'] = (session) => this.#dispatcher.endSession(session);

  async #correctHints(): Promise<void> {
    for (const { queue, ready } of await this.#context.store.queueStats())
      if (ready > 0) this.#dispatcher.raiseHint(queue, ready);
    this.#dispatcher.pump();
  }

  async #sweepPredictions(): Promise<void> {
    const { store, settings } = this.#context;
    if (store.shared && !(await store.holdDuty('predictions', 3 * settings.upkeepEveryMs))) return;
    await this.#predictions.sweep();
  }

  /** What is over its time or its bounds goes; the two kinds do not wait for each other. */
  async #retain(): Promise<void> {
    this.#topicFollowers.sweep();
    for (const round of await Promise.allSettled([this.#expire(), this.#keeper.tick()]))
      if (round.status === 'rejected') throw round.reason;
  }

  async #expire(): Promise<void> {
    const { store, settings } = this.#context;
    if (store.shared && !(await store.holdDuty('retention', 3 * settings.upkeepEveryMs))) return;
    const until = this.#context.ports.clock.monotonicMs() + settings.upkeepEveryMs / 2;
    for (let round = 0; round < expireRoundsMax && this.#context.ports.clock.monotonicMs() < until; round++) {
      const counts = await this.#context.store.expire(expireBatch);
      if (counts.runs < expireBatch && counts.dedupe < expireBatch && counts.blobs < expireBatch) return;
    }
  }
}

/** Why a command of a client was refused, in the words of the catalogue. */
function refusalOf(reason: string, run: string, status: RunViewState): SpineError {
  if (reason === 'ended') return new SpineError('RUN_ENDED', { run, status });
  if (reason === 'history_full') return new SpineError('HISTORY_FULL', { run, eventsMax: limits.historyEventsMax });
  if (reason === 'not_editable')
    return new SpineError('INPUT_NOT_EDITABLE', { id: run, reason: 'it is not what has failed' });
  if (reason === 'not_migratable') return new SpineError('RUN_NOT_MIGRATABLE', { run, reason: `it is ${status}` });
  return new SpineError('RUN_NOT_REDRIVABLE', { run, status });
}

/** Over a line, or by single requests of which the last is not long ago: a session that is silent is ended. */
function isThere({ channel, byRequests }: Session): boolean {
  return channel !== null || byRequests;
}

/** Leases counted for a list of workers; beyond it the counts are too low. */
const leaseScanMax = 10_000;

/** How often it is looked how far bridges are behind. */
const bridgesEveryMs = 5_000;

/** Retention works in small bites, so that it never stands in the way of commits for long. */
const expireBatch = 200;
/** More than there is time for. */
const expireRoundsMax = 2_000;
