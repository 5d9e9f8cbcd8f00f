/**
 * The machine of one simulated worker: a main thread and a heart, which die together and can be stopped together
 * (SIGSTOP) or not (user code that blocks the event loop). A supervisor starts it again after a crash.
 */
import type { Ports } from '../../core/ports.js';
import type { FaultMeter } from './fault-meter.js';
import type { Network } from './network.js';
import { SimProcess } from './process.js';
import type { World } from './world.js';

/** What a host needs. */
export interface WorkerHostOptions {
  readonly world: World;
  readonly network: Network;
  readonly meter: FaultMeter;
  readonly name: string;
}

/** What runs on a host. */
export interface HostedWorker {
  boot(ports: Ports, heart: SimProcess): void;
  died(): void;
}

/** See the head of this file. */
export class WorkerHost {
  readonly name: string;
  readonly main: SimProcess;
  readonly heart: SimProcess;
  readonly #options: WorkerHostOptions;
  readonly #hosted: HostedWorker;
  readonly #restarts: { next(): number };

  constructor(options: WorkerHostOptions, hosted: HostedWorker) {
    this.#options = options;
    this.#hosted = hosted;
    this.name = options.name;
    this.main = new SimProcess(options.world, options.name);
    this.heart = new SimProcess(options.world, `${options.name}'s heart`);
    this.#restarts = options.world.prng.fork(`${options.name}/restarts`);
  }

  get up(): boolean {
    return this.main.up;
  }

  start(): void {
    if (this.up) return;
    this.heart.start();
    this.#hosted.boot(this.main.start(), this.heart);
  }

  /** SIGKILL, by whoever; the supervisor starts it again. */
  crash(why: string): void {
    if (!this.up) return;
    this.#options.meter.count(`worker ${why}`);
    this.main.kill();
    this.heart.kill();
    this.#options.network.died(this.main);
    this.#options.network.died(this.heart);
    this.#hosted.died();
    this.#options.world.after(null, 20 + this.#restarts.next() * 2_000, `start ${this.name}`, () => this.start());
  }

  /** SIGSTOP of all of it, or only of the main thread. */
  pause(whole: boolean): void {
    this.main.pause();
    if (whole) this.heart.pause();
  }

  resume(): void {
    this.heart.resume();
    this.main.resume();
  }
}
