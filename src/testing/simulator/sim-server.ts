/**
 * The server of the simulated installation: the real engine on a simulated process, over a store that is opened anew,
 * with a higher epoch, in each of its lives. A supervisor starts it again after a crash.
 */
import type { Manifest } from '../../core/manifest.js';
import type { Engine } from '../../engine/api.js';
import { createEngine, type EngineSettings } from '../../engine/index.js';
import type { ServerMessage, WorkerMessage } from '../../protocol/worker.js';
import type { Store } from '../../store/index.js';
import type { FaultMeter } from './fault-meter.js';
import type { SimBus } from './sim-bus.js';
import type { Listener, Network, WireEnd, WireHandlers } from './network.js';
import { SimProcess } from './process.js';
import { SimStore, type StoreObserver, type StoreReach, type StoreWeather } from './sim-store.js';
import type { World } from './world.js';

/** What a server needs. */
export interface SimServerOptions {
  /** Name of its process. */
  readonly name: string;
  /** How wrong its wall clock is, always; 0 = it is right, but for what the nemesis does to it. */
  readonly wallSkewMs: number;
  readonly world: World;
  readonly network: Network;
  readonly meter: FaultMeter;
  readonly weather: StoreWeather;
  /** Its way to the store. */
  readonly reach: StoreReach;
  readonly observer: StoreObserver;
  /** Opens the data anew; an earlier handle is shut out. */
  readonly openStore: () => Promise<Store>;
  /** A planted bug: see `SimStore`. */
  readonly lateTo?: () => Store;
  readonly settings: Partial<EngineSettings>;
  /** The definitions that it knows from the beginning, as if deployed. */
  readonly manifests: readonly Manifest[];
  /** The bus that it bridges to; null = none. */
  readonly bus: SimBus | null;
  /** Faults that the engine reports of itself. */
  readonly onFault: (text: string) => void;
}

/** See the head of this file. */
export class SimServer implements Listener<WorkerMessage, ServerMessage> {
  readonly process: SimProcess;
  readonly #options: SimServerOptions;
  readonly #restarts: { next(): number };
  #engine: Engine | null = null;
  #store: SimStore | null = null;
  #stopping = false;
  /** Called when a life has begun and requests are answered. */
  onReady: (engine: Engine) => void = () => undefined;

  constructor(options: SimServerOptions) {
    this.#options = options;
    this.process = new SimProcess(options.world, options.name, options.wallSkewMs);
    this.#restarts = options.world.prng.fork(`${options.name}/restarts`);
  }

  /** Its way to the store, for the nemesis. */
  get reach(): StoreReach {
    return this.#options.reach;
  }

  /** The engine where it answers requests; null while it is down, starting or stopping. */
  get engine(): Engine | null {
    return this.#stopping ? null : this.#engine;
  }

  /** Begins a life. */
  boot(): void {
    if (this.process.up) return;
    const ports = this.process.start();
    const { life } = this.process;
    this.#begin(ports, life).catch((error: unknown) => {
      // A real server exits when it cannot start, and its supervisor tries again.
      this.#options.meter.count('server failed to start');
      this.#options.onFault(`start: ${String(error)}`);
      if (this.process.life === life) this.crash('start failure');
    });
  }

  /** SIGKILL. */
  crash(why: string): void {
    if (!this.process.up) return;
    this.#options.meter.count(`server ${why}`);
    this.#store?.crash();
    this.#down();
  }

  /** SIGTERM: ends in good order, or is killed when that takes too long. */
  stop(): void {
    const { engine } = this;
    if (!this.process.up || engine === null) return;
    this.#options.meter.count('server stop');
    this.#stopping = true;
    const { life } = this.process;
    const gone = (): void => {
      if (this.process.life === life) this.#down();
    };
    engine.stop().then(gone, gone);
    this.process.after(stopMsMax, 'stop timeout', () => this.crash('stop timeout'));
  }

  accept(end: WireEnd<ServerMessage>): WireHandlers<WorkerMessage> | null {
    const { engine } = this;
    if (engine === null) return null;
    const line = engine.connect({
      send: (message) => end.send(message),
      bufferedBytes: () => 0,
      close: (reason) => end.close(reason),
    });
    return { onMessage: (message) => line.receive(message), onClose: () => line.closed() };
  }

  async #begin(ports: ReturnType<SimProcess['start']>, life: number): Promise<void> {
    const { world, weather, reach, meter, observer, settings, bus, onFault } = this.#options;
    const inner = await this.#options.openStore();
    if (this.process.life !== life) return;
    const { lateTo } = this.#options;
    const late = lateTo === undefined ? {} : { lateTo };
    const store = new SimStore({
      inner,
      world,
      process: this.process,
      weather,
      reach,
      meter,
      observer,
      onCrash: () => this.crash('crash'),
      ...late,
    });
    this.#store = store;
    const engine = createEngine({
      store,
      ports,
      settings,
      ...(bus === null ? {} : { bridges: bus.setups(this.process, ports) }),
      log: (record) => {
        if (record.level === 'error') onFault(`${record.message}: ${String(record.fields?.['error'])}`);
      },
    });
    await engine.start();
    for (const manifest of this.#options.manifests) await engine.register(manifest);
    if (this.process.life !== life) return;
    this.#engine = engine;
    this.onReady(engine);
  }

  #down(): void {
    this.#engine = null;
    this.#store = null;
    this.#stopping = false;
    this.process.kill();
    this.#options.bus?.died(this.process);
    this.#options.network.died(this.process);
    this.#options.world.after(null, 20 + this.#restarts.next() * restartMsMax, `start ${this.process.name}`, () =>
      this.boot(),
    );
  }
}

const stopMsMax = 10_000;
const restartMsMax = 3_000;
