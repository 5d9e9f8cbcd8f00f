/**
 * One simulation: a server with the real engine, a few workers, an outside client and readers, in a world that a seed
 * decides. First faults and safety: invariants of the store after every change. Then everything heals, and progress is
 * demanded. Then the checkers look at all that was seen.
 */
import { childSpace } from '../../core/run/effects.js';
import { deadEventSpace } from '../../core/topics/dead-event.js';
import { foldRun } from '../../core/run/state.js';
import { inboxSpace, indexSpace, signalSpace, waitSpace } from '../../core/run/waits.js';
import { isRedriveRow } from '../../engine/deadletters/redrives.js';
import { defaultBreakerRule } from '../../core/models/breaker.js';
import { ticketSpace } from '../../core/run/tickets.js';
import { holderSpace } from '../../engine/admission/counter-rows.js';
import { systemTenant } from '../../engine/system-tenant.js';
import type { DeliveryCursor } from '../../core/topics/delivery.js';
import { readCursor } from '../../engine/topics/cursors.js';
import { compareRun } from '../../engine/upkeep/doctor.js';
import { readRunEvent } from '../../engine/events/rows.js';
import {
  createMemoryStore,
  MemoryData,
  type EntryRow,
  type EventRow,
  type ScheduleRow,
  type Store,
  type TallyRow,
  type Violation,
} from '../../store/index.js';
import { checkers } from './checkers/all-checkers.js';
import { Cluster, Route } from './cluster.js';
import { SimEndpoint, type EndpointFlaw } from './endpoint.js';
import { FaultMeter } from './fault-meter.js';
import { formsOf, type Form } from './forms.js';
import { emptyHistory, keyOfRun, type FinalState, type History } from './history.js';
import { graphAttempts, pathsOfGraph, type GraphInput } from './graph-program.js';
import { simAgent, simManifest, simSubscriptions, subscribedWorkflow } from './manifest.js';
import type { Prng } from './prng.js';
import { noRollout, rolloutOf, type Rollout } from './rollout.js';
import { Nemesis, type FaultKind } from './nemesis.js';
import { Network } from './network.js';
import { Observer } from './observer.js';
import { OutsideClient, tenants, type ClientPlan } from './outside-client.js';
import { programApp, type ShadowFlaw } from './program-app.js';
import { effectsOfProgram, type Program, type ProgramTaste } from './program.js';
import { KeyKeepers } from './key-keepers.js';
import { pulledManifest, Pullers } from './pullers.js';
import { Provider, stormsOf } from './provider.js';
import { RealWorker } from './real-worker.js';
import { Readers } from './readers.js';
import { ScriptedWorker, type WorkerFlaw } from './scripted-worker.js';
import { SimServer } from './sim-server.js';
import type { StoreWeather } from './sim-store.js';
import { SimBus, type BusFlaw } from './sim-bus.js';
import type { SimWorker } from './sim-worker.js';
import { TopicLogActors, topicLogManifest } from './topic-logs.js';
import { World } from './world.js';
import type { WorkerMessage } from '../../protocol/worker.js';

/** What the data lives on. Opened anew by each life of a server; contents stay. */
export interface SimDisk {
  /** Whether several servers may have it open. */
  readonly shared: boolean;
  open(): Promise<Store>;
}

/** Planted bugs; absent in an honest simulation. */
export interface Flaws {
  /** Put between the data and the server. */
  readonly store?: (inner: Store) => Store;
  readonly worker?: WorkerFlaw;
  readonly endpoint?: EndpointFlaw;
  readonly shadow?: ShadowFlaw;
  readonly bus?: BusFlaw;
  /** What real workers say comes out otherwise. */
  readonly garbled?: (message: WorkerMessage) => WorkerMessage;
  /** Probability that a message overtakes the one before it. */
  readonly reorder?: number;
  /** What a dead server had handed to the store is written seconds later, when another owns the store. */
  readonly lateWrites?: boolean;
}

/** What may be said about a simulation beside its seed. */
export interface SimulationOptions {
  readonly seed: number;
  /** How many servers there are, 1 to 3. Default: the seed decides; more than one only on the in-memory store. */
  readonly servers?: number;
  /** Makes the data, on the given clock. Default: the in-memory store. */
  readonly disk?: (clock: { now(): number; monotonicMs(): number }) => Promise<SimDisk>;
  readonly flaws?: Flaws;
  /** What runs the bodies: the real worker and workflow runtime, or the scripted worker. Default: scripted. */
  readonly workers?: 'real' | 'scripted';
  /** Whether there is an agent; only with real workers. Default: the seed decides. */
  readonly agents?: boolean;
  /** Whether one of the capabilities is limited. Default: the seed decides. */
  readonly limited?: boolean;
  /**
   * Whether a version of the model is asked beside the others; only with real workers that push nothing. Default: in some
   * worlds that have inferences.
   */
  readonly shadowed?: boolean;
  /** Whether topics have subscriptions whose events start runs. Default false. */
  readonly subscribed?: boolean;
  /**
   * There are topics with a single writer, with sources that are followed, with retention and with compaction, and those who
   * write and read them. Default false.
   */
  readonly topics?: boolean;
  /**
   * Some of the workers push their work to an endpoint; only with real workers. There is no rollout in such a world.
   * Default false.
   */
  readonly push?: boolean;
  /** Whether a new version is rolled out meanwhile. Default: in some worlds. */
  readonly rollout?: boolean;
  /** Which kinds of faults there may be. Default: a random subset of all. */
  readonly kinds?: readonly FaultKind[];
  /** One crash more, after this event of the world. With `kinds: []` it is the only fault. */
  readonly crash?: { readonly who: 'server' | 'worker'; readonly step: number };
  /**
   * A brief world: less is asked for in less time, and faults come closer together. Costs a fraction of another, so that
   * many can be looked at. Default false.
   */
  readonly brief?: boolean;
  /**
   * The model has storms: times in which it has no capacity, or asks for pauses; only with real workers, and without `push`.
   * Default false.
   */
  readonly storms?: boolean;
  /** The servers have bridges to a bus outside, in and out. Default false. */
  readonly bridged?: boolean;
  /** Servers fold the feed and leave checkpoints of the fleet. Default false. */
  readonly folded?: boolean;
  /** There is a topic whose events are pulled by consumers. Default false. */
  readonly pulled?: boolean;
  /** API keys are made, rotated and revoked by several at one time. Default false. */
  readonly keyed?: boolean;
  /** Overrides which kinds of nodes programs have. */
  readonly taste?: Partial<ProgramTaste>;
  /** Is handed what was seen, when all is over. */
  readonly onHistory?: (history: History) => void;
  /** Hears of each event. */
  readonly onEvent?: (line: string) => void;
}

/** What came of a simulation. */
export interface SimulationReport {
  readonly seed: number;
  readonly workers: 'real' | 'scripted';
  readonly servers: number;
  readonly brief: boolean;
  readonly push: boolean;
  readonly violations: readonly Violation[];
  readonly steps: number;
  readonly virtualMs: number;
  readonly runs: number;
  /** Requests that were acknowledged. */
  readonly acknowledged: number;
  readonly faults: Readonly<Record<string, number>>;
  /** How often each form of work was seen: see `formsOf`. */
  readonly forms: Readonly<Record<Form, number>>;
  readonly trace: string;
  /** Faults that the engine reported of itself. */
  readonly engineFaults: readonly string[];
}

/** Runs one seed from its birth to its verdict. */
export async function simulate(options: SimulationOptions): Promise<SimulationReport> {
  const simulation = new Simulation(options);
  // In production a promise that nobody looks after ends the process.
  const forgotten = (error: unknown): void => simulation.forgotten(error);
  process.on('unhandledRejection', forgotten);
  try {
    return await simulation.run();
  } finally {
    process.off('unhandledRejection', forgotten);
  }
}

/** How often topics are trimmed, in worlds that have such. */
const topicUpkeepMs = 300;
/** Bounds of one simulation. */
const stepsMax = 150_000;
const healMsMax = 300_000;
/** Breakers of a world that lives for minutes: as ours are, and quicker. */
const breaker = { ...defaultBreakerRule, openMs: 500, openMsMax: 4_000, probeMs: 10_000 };
/** In storms they open after a few calls, so that they do in worlds of a few runs. */
const touchy = { ...breaker, callsMin: 3 };
/** More than there can be failures by the weather. */
const stormAttempts = 200;
const violationsMax = 20;

/** Faults after which the server may not know that a worker had received, or even begun, what it then gives to another. */
const blindingFaults: readonly string[] = ['server crash', 'server pause', 'worker pause', 'worker block', 'cut'];
/** The same where a neighbour may act on what one server no longer hears or no longer tells. */
const blindingClusterFaults: readonly string[] = ['store cut', 'server stop'];

const deafeningFaults: readonly string[] = ['server pause', 'store cut', 'news lost'];

/** The workers of a world before they are made. */
interface Fleet {
  readonly prng: Prng;
  readonly offers: readonly { readonly workflows: readonly string[]; readonly capabilities: readonly string[] }[];
  readonly rollout: Rollout;
}

class Simulation {
  readonly #options: SimulationOptions;
  readonly #world: World;
  readonly #history: History = emptyHistory();
  readonly #meter = new FaultMeter();
  readonly #violations: Violation[] = [];
  readonly #engineFaults: string[] = [];
  #storeOffsetMs = 0;
  #looks = 0;

  constructor(options: SimulationOptions) {
    this.#options = options;
    this.#world = new World(`seed ${options.seed}`);
    const { onEvent } = options;
    if (onEvent !== undefined)
      this.#world.onEvent = (label) => onEvent(`${this.#world.steps} ${this.#world.nowMs.toFixed(3)} ${label}`);
  }

  /** A rejection that nobody handled. */
  forgotten(error: unknown): void {
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#report({ property: 'P30', tenant: '', subject: 'unhandled rejection', detail });
  }

  async run(): Promise<SimulationReport> {
    const world = this.#world;
    this.#history.breaker = this.#hasStorms() ? touchy : null;
    this.#history.subscriptions = this.#isSubscribed() ? simSubscriptions : [];
    const prng = world.prng.fork('shape');
    const clock = {
      now: () => Math.floor(world.nowMs + this.#storeOffsetMs),
      monotonicMs: () => world.nowMs,
    };
    const count = this.#serverCount();
    const disk =
      this.#options.disk === undefined ? await memoryDisk(clock, count > 1) : await this.#options.disk(clock);
    const flaws = this.#options.flaws ?? {};
    // Servers of a cluster come and go; what is looked at must not close with one of them.
    let data: Store | null = disk.shared ? await disk.open() : null;
    let opened: Store | null = null;
    const newest = (): Store => {
      if (opened === null) throw new Error('Invariant broken: nothing was ever opened');
      return opened;
    };
    const weather: StoreWeather = { busy: 0, ambiguous: 0, slow: 0, crash: 0 };
    const network = new Network(world, {
      latencyMsMax: prng.pick([2, 20, 150]),
      noticeMsMax: prng.pick([100, 4_000]),
      reorder: flaws.reorder ?? 0,
    });
    const sessionDeadMs = prng.pick([3_000, 6_000]);
    const observer = new Observer(world, this.#history, clock.now);
    const skews = world.prng.fork('skews');
    const plan = this.#clientPlan();
    const bus = this.#options.bridged === true ? this.#bus(plan.spreadMs) : null;
    const serverOf = (i: number): SimServer =>
      new SimServer({
        name: i === 0 ? 'server' : `server${i + 1}`,
        wallSkewMs: count === 1 ? 0 : skews.int(-7_200_000, 7_200_000),
        reach: { cut: false, newsLost: 0 },
        world,
        network,
        meter: this.#meter,
        weather,
        observer,
        openStore: async () => {
          const fresh = await disk.open();
          if (!disk.shared) data = fresh;
          opened = flaws.store === undefined ? fresh : flaws.store(fresh);
          return opened;
        },
        ...(flaws.lateWrites === true ? { lateTo: () => newest() } : {}),
        settings: {
          sessionDeadMs,
          sessionBeatMs: Math.floor(sessionDeadMs / 5),
          fleet:
            this.#options.folded === true
              ? { everyMs: 700, checkpointEvents: 150, checkpointEveryMs: 5_000, keptMs: 1e12 }
              : null,
          breaker: this.#hasStorms() ? touchy : breaker,
          ...(this.#options.topics === true ? { upkeepEveryMs: topicUpkeepMs } : {}),
        },
        manifests: [
          this.#options.workers === 'real'
            ? programApp(
                async () => '',
                fleet.rollout.first,
                this.#hasAgents(),
                this.#isLimited(),
                0,
                this.#isShadowed() ? { perform: async () => undefined, flaw: null } : null,
                this.#isSubscribed(),
              ).manifest
            : simManifest(fleet.rollout.first, this.#isLimited(), this.#isSubscribed()),
          ...(this.#options.pulled === true ? [pulledManifest] : []),
          ...(this.#options.topics === true ? [topicLogManifest] : []),
        ],
        bus,
        onFault: (text) => this.#engineFaults.push(`${world.steps} ${text}`),
      });
    const fleet = this.#fleet(plan.spreadMs);
    const storms = this.#hasStorms() ? stormsOf(world.prng.fork('storms'), world.nowMs, plan.spreadMs) : [];
    const provider = new Provider(world, this.#history, storms);
    const cluster = new Cluster(Array.from({ length: count }, (_, i) => serverOf(i)));
    const endpoint = this.#endpoint(network, provider);
    const workers = this.#workers(fleet, network, cluster, provider, endpoint);
    const readers = new Readers(world, cluster, this.#history);
    plan.migrates = fleet.rollout.first !== 'plain';
    const client = new OutsideClient({
      world,
      cluster,
      history: this.#history,
      meter: this.#meter,
      plan,
      onRun: (tenant, run) => readers.perhaps(tenant, run),
    });
    const nemesis = new Nemesis({
      world,
      network,
      cluster,
      workers,
      weather,
      client: plan,
      meter: this.#meter,
      moveStoreClock: (ms) => {
        observer.clockMoves();
        this.#storeOffsetMs += ms;
      },
      sessionDeadMs,
      pace: this.#options.brief === true ? 4 : 1,
      ...(this.#options.kinds === undefined ? {} : { kinds: this.#options.kinds }),
    });
    const pullers =
      this.#options.pulled === true
        ? new Pullers({
            world,
            cluster,
            history: this.#history,
            meter: this.#meter,
            events: this.#options.brief === true ? 12 : 40,
            spreadMs: plan.spreadMs,
            loss: () => plan.loss,
          })
        : null;
    const keepers =
      this.#options.keyed === true
        ? new KeyKeepers({
            world,
            cluster,
            history: this.#history,
            orders: 40,
            spreadMs: plan.spreadMs,
            loss: () => plan.loss,
          })
        : null;
    for (const server of cluster.servers) server.boot();
    for (const { host } of workers) host.start();
    pullers?.start();
    keepers?.start();
    endpoint?.start();
    client.start();
    if (this.#options.topics === true)
      new TopicLogActors({
        world,
        cluster,
        history: this.#history,
        client: plan,
        untilMs: world.nowMs + plan.spreadMs,
      }).start();
    bus?.start();
    nemesis.start();
    const { crash } = this.#options;
    const look = async (): Promise<boolean> => {
      if (crash?.step === world.steps) {
        if (crash.who === 'server') cluster.servers[0]?.crash('crash');
        else workers[0]?.host.crash('crash');
      }
      if (observer.changed && data !== null) {
        observer.changed = false;
        await this.#look(data);
      }
      return this.#violations.length >= violationsMax || world.crashes.length > 0;
    };
    await world.run({ untilMs: world.nowMs + plan.spreadMs * 1.2, stepsMax, afterStep: look });
    nemesis.heal();
    endpoint?.heal();
    pullers?.heal();
    bus?.heal();
    this.#history.healedAtMs = world.nowMs;
    client.probe();
    let next = 0;
    const quiet = async (): Promise<boolean> => {
      if (await look()) return true;
      if (world.nowMs < next || data === null) return false;
      next = world.nowMs + 250;
      if (client.pending > 0 || readers.open > 0 || !(await this.#isQuiet(data, workers))) return false;
      if (bus !== null && !(await bus.isAtRest(data))) return false;
      return pullers === null || pullers.isQuiet(data);
    };
    if (this.#violations.length < violationsMax)
      await world.run({ untilMs: world.nowMs + healMsMax, stepsMax, afterStep: quiet });
    const counts = this.#meter.counts();
    const blinding = count === 1 ? blindingFaults : [...blindingFaults, ...blindingClusterFaults];
    this.#history.blindSpots = blinding.reduce((sum, kind) => sum + (counts[kind] ?? 0), 0);
    this.#history.deafSpots = deafeningFaults.reduce((sum, kind) => sum + (counts[kind] ?? 0), 0);
    if (bus !== null && data !== null) this.#history.bridged = await bus.seen(data);
    await this.#verdict(data, workers, client);
    this.#options.onHistory?.(this.#history);
    return {
      seed: this.#options.seed,
      workers: this.#options.workers ?? 'scripted',
      servers: count,
      brief: this.#options.brief === true,
      push: this.#options.push === true,
      violations: this.#violations,
      steps: world.steps,
      virtualMs: world.nowMs,
      runs: this.#history.final?.runs.length ?? 0,
      acknowledged: this.#history.operations.filter((operation) => operation.ackedAtMs !== null).length,
      faults: this.#meter.counts(),
      forms: formsOf(this.#history),
      trace: world.trace.digest(),
      engineFaults: this.#engineFaults,
    };
  }

  #bus(spreadMs: number): SimBus {
    const [world, meter, history] = [this.#world, this.#meter, this.#history];
    return new SimBus({ world, meter, history, spreadMs, flaw: this.#options.flaws?.bus ?? null });
  }

  /** Half of all worlds have one server. */
  #serverCount(): number {
    const { servers, disk } = this.#options;
    if (servers !== undefined) return servers;
    if (disk !== undefined) return 1;
    return this.#world.prng.fork('servers').pick([1, 1, 2, 3]);
  }

  /** How many workers there are, what each offers, and which builds they come in. */
  #fleet(spreadMs: number): Fleet {
    const prng = this.#world.prng.fork('workers');
    const count = prng.int(1, 3);
    const divided = count > 1 && prng.chance(0.3);
    const subscribed = this.#isSubscribed() ? [subscribedWorkflow] : [];
    const workflows = ['program', 'watch', ...subscribed, ...(this.#hasAgents() ? [simAgent] : [])];
    const everything = { workflows, capabilities: ['work', 'gpu'] };
    const offers = Array.from({ length: count }, (_, i) =>
      !divided
        ? everything
        : i === 0
          ? { workflows: everything.workflows, capabilities: [] }
          : { workflows: [], capabilities: everything.capabilities },
    );
    const { nowMs } = this.#world;
    const during = { fromMs: nowMs + spreadMs * 0.05, toMs: nowMs + spreadMs * 0.8 };
    const apart = this.#world.prng.fork('rollout');
    const isRollout = apart.chance(0.35);
    const bodies = offers.map(({ workflows }) => workflows.length > 0);
    const mayRoll = this.#options.push !== true && (this.#options.rollout ?? isRollout);
    const rollout = mayRoll ? rolloutOf(apart, bodies, during) : noRollout(count);
    return { prng, offers, rollout };
  }

  /** Each worker is killed when it is to be replaced, and starts again as what it is then. */
  #workers(
    { prng, offers, rollout }: Fleet,
    network: Network,
    cluster: Cluster,
    provider: Provider,
    endpoint: SimEndpoint | null,
  ): SimWorker[] {
    const routes = this.#world.prng.fork('routes');
    const pushes = this.#world.prng.fork('pushes');
    return offers.map((only, i) => {
      const replacement = rollout.replacements[i] ?? null;
      const isReplaced = (): boolean => replacement !== null && this.#world.nowMs >= replacement.atMs;
      const common = {
        limited: this.#isLimited(),
        subscribed: this.#isSubscribed(),
        build: () => (replacement !== null && isReplaced() ? replacement.by : rollout.first),
        world: this.#world,
        network,
        meter: this.#meter,
        name: `w${i}`,
        route: new Route(cluster, routes),
        heartRoute: cluster.servers.length > 1 && routes.chance(0.2) ? new Route(cluster, routes) : null,
        history: this.#history,
        provider,
        patience: this.#hasStorms() ? stormAttempts : 0,
        slots: prng.pick([1, 3, 10]),
        parkAfterMs: prng.pick([0, 50, 2_000]),
        only,
      };
      const worker =
        this.#options.workers === 'real'
          ? new RealWorker({
              ...common,
              agents: this.#hasAgents(),
              shadow: this.#isShadowed() ? { flaw: this.#options.flaws?.shadow ?? null } : null,
              garbled: this.#options.flaws?.garbled,
              endpoint: i === 0 || pushes.chance(0.5) ? endpoint : null,
            })
          : new ScriptedWorker({ ...common, flaw: this.#options.flaws?.worker ?? {} });
      if (replacement !== null)
        this.#world.after(null, replacement.atMs - this.#world.nowMs, `replace ${worker.host.name}`, () =>
          worker.host.crash('rollout'),
        );
      return worker;
    });
  }

  #endpoint(network: Network, provider: Provider): SimEndpoint | null {
    const { push, workers, flaws } = this.#options;
    if (push !== true || workers !== 'real') return null;
    this.#history.pushes = true;
    const [world, meter, history, agents] = [this.#world, this.#meter, this.#history, this.#hasAgents()];
    return new SimEndpoint({ world, network, meter, history, provider, agents, flaw: flaws?.endpoint ?? {} });
  }

  #clientPlan(): ClientPlan {
    const prng = this.#world.prng.fork('plan');
    const taste = {
      maps: prng.chance(0.7),
      calls: prng.chance(0.8),
      sleeps: prng.chance(0.7),
      emits: prng.chance(0.7),
      races: prng.chance(0.5),
      waits: prng.chance(0.7),
      children: prng.chance(0.5),
      chains: prng.chance(0.4),
      sagas: prng.chance(0.5),
      streams: prng.chance(0.5),
      failures: prng.chance(0.6),
      poison: prng.chance(0.3),
      inferences: this.#hasInferences(),
      caches: this.#world.prng.fork('caches').chance(0.4),
      ai: this.#options.workers === 'real' && this.#world.prng.fork('ai').chance(0.4),
      // Bodies of scripted workers know of no remedy.
      remedies: this.#options.workers === 'real' && this.#world.prng.fork('remedies').chance(0.5),
    };
    const brief = this.#options.brief === true;
    return {
      requests: brief ? prng.int(2, 7) : prng.int(4, 24),
      spreadMs: prng.pick(brief ? [1_500, 5_000] : [5_000, 20_000]),
      cancels: prng.chance(0.5),
      redrives: prng.chance(0.5),
      sweeps: this.#world.prng.fork('sweeps').chance(0.4),
      schedule: this.#schedulePlan(),
      pauses: this.#isSubscribed() && this.#world.prng.fork('pauses').chance(0.5),
      migrates: false,
      loss: 0,
      taste: { ...taste, ...this.#options.taste },
      messages: this.#hasAgents() ? (brief ? prng.int(2, 8) : prng.int(3, 30)) : 0,
    };
  }

  /** Only real workers can run them, and not all worlds have them. */
  #hasAgents(): boolean {
    const { workers, agents } = this.#options;
    return workers === 'real' && (agents ?? this.#world.prng.fork('agents').chance(0.4));
  }

  #hasStorms(): boolean {
    const { workers, push, storms } = this.#options;
    return storms === true && workers === 'real' && push !== true;
  }

  /** Whether a capability is limited. */
  #isLimited(): boolean {
    return this.#options.limited ?? this.#world.prng.fork('limits').chance(0.4);
  }

  #hasInferences(): boolean {
    return this.#world.prng.fork('inferences').chance(0.4);
  }

  #isSubscribed(): boolean {
    return this.#options.subscribed === true;
  }

  #isShadowed(): boolean {
    const { workers, push, shadowed, taste } = this.#options;
    if (workers !== 'real' || push === true) return false;
    const asks = taste?.inferences ?? this.#hasInferences();
    return shadowed ?? (asks && this.#world.prng.fork('shadows').chance(0.4));
  }

  /** Half of all worlds have a schedule. Few ticks are made up for at once: the store's clock may jump by hours. */
  #schedulePlan(): ClientPlan['schedule'] {
    const prng = this.#world.prng.fork('schedule');
    if (!prng.chance(0.5)) return null;
    return {
      every: prng.pick(['1s', '1500ms', '3s']),
      overlap: prng.pick(['allow', 'skip', 'queue', 'cancel']),
      catchUp: prng.pick(['none', 'one', 'all']),
      // The row keeps the last ten outcomes, and a tick that another replaces has two.
      catchUpMax: prng.int(1, 4),
      queueMax: prng.int(1, 2),
      jitter: prng.pick(['0s', '500ms']),
    };
  }

  /** After every change: the store's own invariants, and the row of one run against its log. */
  async #look(store: Store): Promise<void> {
    for (const violation of await store.check(violationsMax)) this.#report(violation);
    this.#looks += 1;
    const last = this.#history.actions.at(-1);
    if (this.#looks % 4 !== 0 || last?.kind !== 'apply') return;
    const row = last.transition.runs?.[0]?.row;
    if (row !== undefined) await this.#compare(store, row);
  }

  async #compare(store: Store, row: { readonly tenant: string; readonly run: string }): Promise<void> {
    const detail = await compareRun({ store }, row);
    if (detail !== null) this.#report({ property: 'P12', tenant: row.tenant, subject: row.run, detail });
  }

  #report(violation: Violation): void {
    if (this.#violations.length < violationsMax)
      this.#violations.push({ ...violation, detail: `${violation.detail} (by step ${this.#world.steps})` });
  }

  async #isQuiet(store: Store, workers: readonly SimWorker[]): Promise<boolean> {
    const tally = await store.readTally();
    if (
      tally.some(
        (row) =>
          row.count > 0 &&
          (row.kind === 'task' || row.state === 'active' || (row.state === 'waiting' && row.name !== simAgent)),
      )
    )
      return false;
    if ((await redriveRows(store)).some(isRedriving)) return false;
    if (this.#isSubscribed() && !(await isDelivered(store))) return false;
    if (!(await areLimitsAtRest(store, tally))) return false;
    if (!(await isRouted(store)) || !(await areAgentsAtRest(store, tally)) || (await store.dueTimers(1)).length > 0)
      return false;
    const sessions = await store.listSessions();
    return sessions.every((row) => workers.some((worker) => worker.session === row.session));
  }

  async #verdict(store: Store | null, workers: readonly SimWorker[], client: OutsideClient): Promise<void> {
    for (const { label, error } of this.#world.crashes)
      this.#report({
        property: 'P30',
        tenant: '',
        subject: label,
        detail: `threw ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
      });
    if (store === null)
      return this.#report({ property: 'P30', tenant: '', subject: 'store', detail: 'was never opened' });
    this.#history.final = await finalState(store, workers);
    for (const [key, rows] of this.#history.final.histories) this.#noteAttempts(key, rows);
    for (const row of this.#history.final.runs) await this.#compare(store, row);
    if (client.pending > 0)
      this.#report({
        property: 'P30',
        tenant: '',
        subject: 'client',
        detail: `${client.pending} requests were never answered`,
      });
    for (const check of checkers) for (const violation of check(this.#history)) this.#report(violation);
    for (const fault of this.#engineFaults)
      if (fault.includes('Invariant broken'))
        this.#report({ property: 'P30', tenant: '', subject: 'engine', detail: fault });
  }

  /** What the program of a run allows, for the checkers. */
  #noteAttempts(key: string, rows: readonly EventRow[]): void {
    const [first] = rows;
    if (first?.payload === undefined || first.payload === null || !('text' in first.payload)) return;
    const value = JSON.parse(first.payload.text) as Program | { readonly program: Program } | GraphInput;
    if ('isWide' in value) {
      for (const path of pathsOfGraph(value)) this.#history.attemptsMax.set(`${key}/${path}`, graphAttempts);
      return;
    }
    // The input of an agent is no program.
    if ('key' in value) return;
    const program = 'program' in value ? value.program : value;
    this.#history.programs.set(key, program);
    for (const node of effectsOfProgram(program)) this.#history.attemptsMax.set(`${key}/${node.name}`, node.attempts);
  }
}

/** Data in the in-memory store; each opening is a new owner, which shuts out the others unless it is `shared`. */
export async function memoryDisk(clock: { now(): number; monotonicMs(): number }, shared = false): Promise<SimDisk> {
  const data = new MemoryData();
  return { shared, open: async () => createMemoryStore({ clock, data, shared }) };
}

/** Whether every event of the topic that programs wait for was offered to them. */
async function isRouted(store: Store): Promise<boolean> {
  for (const { tenant, topic, partition, head } of await store.listPartitions({ after: null, limit: 10_000 })) {
    if (topic !== 'noted') continue;
    const [cursor] = await store.readEntries({ tenant, space: 'cursor', key: `${topic}/${partition}`, limit: 1 });
    if (Number(cursor?.value ?? 0) < head) return false;
  }
  return true;
}

/** Every cursor of a subscription is at the head of its partition, and none waits for a run. */
async function isDelivered(store: Store): Promise<boolean> {
  for (const { tenant, topic, partition, head } of await store.listPartitions({ after: null, limit: 10_000 }))
    for (const { name } of simSubscriptions.filter((one) => one.topic === topic)) {
      const cursor = (await readCursor(store, name, { tenant, topic, partition }))?.cursor as
        | DeliveryCursor
        | undefined;
      if (cursor?.next !== head || cursor.runs !== undefined) return false;
    }
  return true;
}

/** Nobody holds a share of a limit, and every ticket is put away. */
async function areLimitsAtRest(store: Store, tally: readonly TallyRow[]): Promise<boolean> {
  for (const tenant of new Set(tally.map((row) => row.tenant)))
    if ((await store.readEntries({ tenant, space: ticketSpace, limit: 1 })).length > 0) return false;
  return (await store.readEntries({ tenant: systemTenant, space: holderSpace, limit: 1 })).length === 0;
}

/** Nothing that an agent has sent is on its way. */
async function areAgentsAtRest(store: Store, tally: readonly TallyRow[]): Promise<boolean> {
  for (const tenant of new Set(tally.filter(({ name }) => name === simAgent).map((row) => row.tenant)))
    for (const { run } of (await store.listRuns({ tenant, workflow: simAgent, limit: 10_000 })).items)
      if ((await store.readTimers(tenant, run)).length > 0) return false;
  return true;
}

async function redriveRows(store: Store): Promise<ScheduleRow[]> {
  const rows: ScheduleRow[] = [];
  for (const tenant of tenants) rows.push(...(await store.listSchedules({ tenant, limit: 10_000 })).items);
  return rows.filter(isRedriveRow);
}

function isRedriving({ body }: ScheduleRow): boolean {
  const { state } = JSON.parse(body) as { readonly state: string };
  return state === 'running' || state === 'stopping';
}

async function finalState(store: Store, workers: readonly SimWorker[]): Promise<FinalState> {
  const feed = await store.readFeed({ after: 0, limit: Number.MAX_SAFE_INTEGER });
  const topicEvents = feed.filter((row) => row.stream.includes('/'));
  const histories = new Map<string, EventRow[]>();
  for (const row of feed) {
    if (row.stream.includes('/')) continue;
    const key = `${row.tenant}/${row.stream}`;
    const found = histories.get(key);
    if (found === undefined) histories.set(key, [row]);
    else found.push(row);
  }
  const runs: FinalState['runs'][number][] = [];
  const deadLetters: FinalState['deadLetters'][number][] = [];
  for (const tenant of new Set(feed.map((row) => row.tenant))) {
    runs.push(...(await store.listRuns({ tenant, limit: 10_000 })).items);
    deadLetters.push(...(await store.listDeadLetters({ tenant, limit: 10_000 })).items);
  }
  const tasks = (await Promise.all(runs.map((row) => store.readTasks(row.tenant, row.run)))).flat();
  const timers = (await Promise.all(runs.map((row) => store.readTimers(row.tenant, row.run)))).flat();
  const entries: EntryRow[] = [];
  for (const tenant of new Set(feed.map((row) => row.tenant)))
    for (const space of [signalSpace, inboxSpace, waitSpace('noted'), childSpace, ticketSpace])
      entries.push(...(await store.readEntries({ tenant, space, limit: 10_000 })));
  const index: EntryRow[] = [];
  const deadEvents: EntryRow[] = [];
  for (const tenant of new Set(feed.map((row) => row.tenant)))
    deadEvents.push(...(await store.readEntries({ tenant, space: deadEventSpace, limit: 10_000 })));
  for (const tenant of new Set(feed.map((row) => row.tenant)))
    index.push(...(await store.readEntries({ tenant, space: indexSpace('noted'), limit: 10_000 })));
  const redrives = await redriveRows(store);
  const holders = await store.readEntries({ tenant: systemTenant, space: holderSpace, limit: 10_000 });
  const sessions = await store.listSessions();
  const workerSessions = workers.map((worker) => worker.session).filter((session) => session !== null);
  return {
    runs,
    histories,
    topicEvents,
    tasks,
    timers,
    entries,
    index,
    holders,
    deadLetters,
    deadEvents,
    redrives,
    sessions,
    workerSessions,
  };
}

/** The state that a stored history folds to; for reports. */
export function stateOfHistory(rows: readonly EventRow[]): ReturnType<typeof foldRun> | null {
  const [first] = rows;
  return first === undefined
    ? null
    : foldRun(
        first.tenant,
        first.stream,
        rows.map((row) => readRunEvent(row).event),
      );
}

export { keyOfRun };
