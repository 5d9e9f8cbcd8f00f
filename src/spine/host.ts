/**
 * What runs behind an embedded spine, `eventspine serve` and `eventspine dev`: one open store, the engine over it, and
 * optionally a worker in this process. It opens on first use and can be handed another app while it runs.
 * Invariant: at most one store, one engine and one worker at a time; whoever waits for `close` waits for all of them.
 */
import { SpineError } from '../core/errors.js';
import type { Manifest } from '../core/manifest.js';
import type { Ports } from '../core/ports.js';
import { createEngine, type BridgeSetup, type Engine, type EngineLog, type EngineSettings } from '../engine/index.js';
import { nodePorts } from '../runtime/index.js';
import type { Store } from '../store/contract.js';
import type { StoreFactory } from '../store/factory.js';
import { keepAlive } from './keep-alive.js';

/** A worker in this process, as the host needs it. */
export interface HostedWorker {
  start(): Promise<void>;
  /** Finishes what is under way, within the worker's own grace. */
  drain(): Promise<void>;
  stop(): Promise<void>;
}

/** What a host serves: definitions to register and a worker to run. */
export interface Service {
  /** null = this process knows no app; workers bring theirs. */
  readonly manifest: () => Manifest | null;
  /** null = work is done by other processes. Called once the engine runs. */
  readonly worker: ((engine: Engine) => HostedWorker) | null;
}

/** Options of a host. */
export interface HostOptions {
  readonly store: StoreFactory;
  /** Default: the ports of Node. */
  readonly ports?: Ports;
  /** Version of the package, for `health`. */
  readonly version?: string;
  readonly engine?: Partial<EngineSettings>;
  /** Bridges to buses outside. Default: none. */
  readonly bridges?: readonly BridgeSetup[];
  readonly log?: EngineLog;
}

/** What an open host consists of. */
export interface OpenHost {
  readonly store: Store;
  readonly engine: Engine;
}

interface Running extends OpenHost {
  worker: HostedWorker | null;
}

/** See the top of the module. */
export class Host {
  readonly #options: HostOptions;
  #service: Service;
  #running: Promise<Running> | null = null;
  /** What is open, while nobody would have to wait for it: the newest definitions are registered, nothing is closing. */
  #ready: Running | null = null;
  /** The newest definitions are registered. */
  #registered: Promise<void> = Promise.resolve();
  /** Changes of the service, one after the other. */
  #changes: Promise<void> = Promise.resolve();
  #closed: Promise<void> | null = null;

  constructor(options: HostOptions, service: Service) {
    this.#options = options;
    this.#service = service;
  }

  /**
   * Opens the store, starts engine and worker; once. Rejects with the errors of `StoreFactory.open` and may then be
   * called again, since what kept the store shut may pass. SHUTTING_DOWN once it is closed.
   */
  open(): Promise<OpenHost> {
    return this.#opened();
  }

  /** What `open` would resolve to, where it would not have to wait; else null. */
  get ready(): OpenHost | null {
    return this.#ready;
  }

  async #opened(): Promise<OpenHost> {
    if (this.#closed !== null) throw new SpineError('SHUTTING_DOWN', {});
    this.#running ??= keepAlive(this.#open()).catch((error: unknown) => {
      this.#running = null;
      this.#registered = Promise.resolve();
      throw error;
    });
    const running = await this.#running;
    // Whoever asks for the host wants to use the newest definitions.
    const registered = this.#registered;
    await registered;
    if (this.#registered === registered && this.#closed === null) this.#ready = running;
    return running;
  }

  /**
   * Serves something else from now on: registers its definitions at once, drains the old worker, starts the new one.
   * Rejects with DEFINITION_INVALID or what the worker failed with.
   */
  replace(service: Service): Promise<void> {
    this.#service = service;
    const running = this.#running;
    if (running === null || this.#closed !== null) return Promise.resolve();
    const registered = this.#registered
      .catch(() => undefined)
      .then(async () => {
        await register(await running, service);
      });
    this.#registered = registered;
    this.#ready = null;
    // `open` tells of a failure too, but perhaps nobody asks.
    registered.catch(() => undefined);
    const before = this.#changes;
    this.#changes = before
      .catch(() => undefined)
      .then(async () => {
        await registered;
        // Of several changes in a row only the last is worth carrying out.
        if (this.#service !== service || this.#closed !== null) return;
        const host = await running;
        await host.worker?.drain();
        host.worker = null;
        await work(host, service);
      });
    return this.#changes;
  }

  /** Resolves when no change of the service is under way; rejects as the last one did. */
  settled(): Promise<void> {
    return this.#changes;
  }

  /** Drains the worker, stops the engine, which closes the store. Resolves when nothing runs. Idempotent. */
  close(): Promise<void> {
    this.#ready = null;
    this.#closed ??= keepAlive(this.#close());
    return this.#closed;
  }

  async #open(): Promise<Running> {
    const { store: factory, ports = nodePorts, version, engine: settings, bridges, log } = this.#options;
    const service = this.#service;
    const store = await factory.open();
    const engine = createEngine({
      store,
      ports,
      ...(version === undefined ? {} : { version }),
      ...(settings === undefined ? {} : { settings }),
      ...(bridges === undefined ? {} : { bridges }),
      ...(log === undefined ? {} : { log }),
    });
    const running: Running = { store, engine, worker: null };
    try {
      await engine.start();
      await register(running, service);
      await work(running, service);
      return running;
    } catch (error) {
      // Left open, the store would refuse the next try of this very process.
      await engine.stop();
      throw error;
    }
  }

  async #close(): Promise<void> {
    const running = await this.#running?.catch(() => null);
    await this.#changes.catch(() => undefined);
    if (running === null || running === undefined) return;
    await running.worker?.drain();
    await running.engine.stop();
  }
}

async function register({ engine }: OpenHost, service: Service): Promise<void> {
  const manifest = service.manifest();
  if (manifest !== null) await engine.register(manifest);
}

async function work(running: Running, service: Service): Promise<void> {
  if (service.worker === null) return;
  running.worker = service.worker(running.engine);
  await running.worker.start();
}
