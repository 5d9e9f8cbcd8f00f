/**
 * The nemesis: decides for each seed which kinds of faults there are (a random subset, as in swarm testing: Groce et
 * al., 2012), injects them while the fault phase lasts, and heals everything at its end. Each fault that fires is counted.
 */
import type { ClientPlan } from './outside-client.js';
import type { FaultMeter } from './fault-meter.js';
import type { Network } from './network.js';
import type { Prng } from './prng.js';
import { SimProcess } from './process.js';
import type { Cluster } from './cluster.js';
import type { SimServer } from './sim-server.js';
import type { StoreWeather } from './sim-store.js';
import type { SimWorker } from './sim-worker.js';
import type { World } from './world.js';

/** The kinds of faults. */
export const faultKinds = [
  'server crash',
  'server stop',
  'server pause',
  'worker crash',
  'worker pause',
  'worker block',
  'cut',
  'client loss',
  'store busy',
  'store ambiguous',
  'store slow',
  'wall clock',
  'store clock',
] as const;

/** The kinds that only several servers can have. */
export const clusterFaultKinds = ['store cut', 'rolling restart', 'news lost'] as const;

/** One of `faultKinds` or `clusterFaultKinds`. */
export type FaultKind = (typeof faultKinds)[number] | (typeof clusterFaultKinds)[number];

/** What the nemesis can reach. */
export interface NemesisOptions {
  readonly world: World;
  readonly network: Network;
  readonly cluster: Cluster;
  readonly workers: readonly SimWorker[];
  readonly weather: StoreWeather;
  readonly client: ClientPlan;
  readonly meter: FaultMeter;
  /** Moves the store's clock, ms. */
  readonly moveStoreClock: (ms: number) => void;
  readonly sessionDeadMs: number;
  /** How much closer together than by default faults come. */
  readonly pace: number;
  /** Which kinds there may be; default: a random subset of all. */
  readonly kinds?: readonly FaultKind[];
}

/** See the head of this file. */
export class Nemesis {
  /** The kinds of this seed. */
  readonly kinds: ReadonlySet<FaultKind>;
  readonly #options: NemesisOptions;
  readonly #prng: Prng;
  /** The nemesis's own hand: its plans die when it is healed. */
  readonly #process: SimProcess;

  constructor(options: NemesisOptions) {
    this.#options = options;
    this.#prng = options.world.prng.fork('nemesis');
    this.#process = new SimProcess(options.world, 'nemesis');
    const keep = this.#prng.between(0.15, 0.7);
    const kinds: FaultKind[] = options.kinds?.slice() ?? faultKinds.filter(() => this.#prng.chance(keep));
    // Drawn apart, so that worlds of one server are what they were.
    const apart = this.#prng.fork('cluster');
    if (options.cluster.servers.length > 1 && options.kinds === undefined)
      kinds.push(...clusterFaultKinds.filter(() => apart.chance(keep)));
    this.kinds = new Set(kinds);
  }

  start(): void {
    this.#process.start();
    this.#weather();
    for (const kind of this.kinds) this.#plan(kind);
  }

  /** Ends all faults: what is down comes up, what is stopped goes on, clocks and disk are right again. */
  heal(): void {
    const { cluster, workers, weather, client } = this.#options;
    this.#process.kill();
    Object.assign(weather, { busy: 0, ambiguous: 0, slow: 0, crash: 0 });
    client.loss = 0;
    for (const server of cluster.servers) {
      server.process.resume();
      server.process.healClock();
      Object.assign(server.reach, { cut: false, newsLost: 0 });
    }
    for (const { host } of workers) {
      host.resume();
      host.main.healClock();
    }
  }

  #weather(): void {
    const { weather, client } = this.#options;
    const rough = this.#prng.pick([0.005, 0.02, 0.08]);
    if (this.kinds.has('store busy')) weather.busy = rough;
    if (this.kinds.has('store ambiguous')) weather.ambiguous = rough;
    if (this.kinds.has('server crash')) weather.crash = this.#prng.pick([0.001, 0.01]);
    if (this.kinds.has('store slow')) weather.slow = rough / 3;
    if (this.kinds.has('client loss')) client.loss = this.#prng.pick([0.05, 0.3]);
    if (this.kinds.has('news lost'))
      for (const { reach } of this.#options.cluster.servers) reach.newsLost = this.#prng.pick([0.1, 1]);
  }

  #plan(kind: FaultKind): void {
    const everyMs = pauseMs[kind];
    if (everyMs === undefined) return;
    this.#process.after((this.#prng.next() * 2 * everyMs) / this.#options.pace, kind, () => {
      this.#inject(kind);
      this.#plan(kind);
    });
  }

  #inject(kind: FaultKind): void {
    const { world, network, cluster, workers, meter, moveStoreClock, sessionDeadMs } = this.#options;
    const server = this.#anyServer();
    const { host } = this.#prng.pick(workers);
    // Shorter than the session's death, about as long, and much longer.
    const pauseForMs = sessionDeadMs * this.#prng.pick([0.3, 1, 1.1, 3]);
    switch (kind) {
      case 'server crash':
        return server.crash('crash');
      case 'server stop':
        return server.stop();
      case 'server pause':
        if (!server.process.up || server.process.paused) return;
        meter.count(kind);
        server.process.pause();
        world.after(null, pauseForMs, `${server.process.name} goes on`, () => server.process.resume());
        return;
      case 'worker crash':
        return host.crash('crash');
      case 'worker pause':
      case 'worker block':
        if (!host.up || host.main.paused) return;
        meter.count(kind);
        host.pause(kind === 'worker pause');
        world.after(null, pauseForMs, `${host.name} goes on`, () => host.resume());
        return;
      case 'cut':
        if (network.cutOne()) meter.count(kind);
        return;
      case 'wall clock':
        meter.count(kind);
        this.#prng.pick([server.process, host.main]).jumpClock(this.#prng.pick([-1, 1]) * this.#prng.int(1, 7_200_000));
        return;
      case 'store clock':
        meter.count(kind);
        return moveStoreClock(this.#prng.chance(0.5) ? this.#prng.int(-2_000, -1) : this.#prng.int(1, 20_000));
      case 'store cut':
        if (server.reach.cut) return;
        meter.count(kind);
        server.reach.cut = true;
        world.after(null, pauseForMs, `${server.process.name} reaches the store again`, () => {
          server.reach.cut = false;
        });
        return;
      case 'rolling restart':
        meter.count(kind);
        return this.#restart(cluster.servers);
      case 'news lost':
      case 'client loss':
      case 'store busy':
      case 'store ambiguous':
      case 'store slow':
        return;
    }
  }

  /** One after the other, each once the one before it answers again. */
  #restart([server, ...rest]: readonly SimServer[]): void {
    if (server === undefined) return;
    server.stop();
    const wait = (): void => {
      if (server.engine === null) this.#process.after(100, 'rollout waits', wait);
      else this.#restart(rest);
    };
    this.#process.after(100, 'rollout waits', wait);
  }

  #anyServer(): SimServer {
    const { servers } = this.#options.cluster;
    const [only] = servers;
    return servers.length === 1 && only !== undefined ? only : this.#prng.pick(servers);
  }
}

/** Mean pause between two faults of a kind, ms; those without one are weather. */
const pauseMs: Partial<Record<FaultKind, number>> = {
  'server crash': 8_000,
  'server stop': 12_000,
  'server pause': 15_000,
  'worker crash': 5_000,
  'worker pause': 9_000,
  'worker block': 9_000,
  cut: 2_000,
  'wall clock': 4_000,
  'store clock': 10_000,
  'store cut': 8_000,
  'rolling restart': 15_000,
};
