/**
 * Keeps as many worker processes at work as it was last told, on this machine: starts them, starts them again with a
 * growing pause when they crash, drains those that are too many and kills what does not drain in time. What a process is
 * comes in as a function, so that tests need none.
 * Invariant: never more processes than `max`, those that still drain among them; after `stop` there are none.
 */
import type { Ports } from '../core/ports.js';
import { type Child, type ChildExit, restartPauseMs, settledMs } from './supervisor.js';

/** A started worker process. */
export interface PoolChild extends Child {
  readonly pid: number | null;
}

/** What happens in a pool, for `--json` and for people. */
export type PoolEvent =
  | { readonly event: 'started'; readonly worker: number; readonly pid: number }
  | { readonly event: 'draining'; readonly worker: number; readonly pid: number }
  | { readonly event: 'killed'; readonly worker: number; readonly pid: number; readonly drainMs: number }
  | { readonly event: 'ended'; readonly worker: number; readonly pid: number; readonly how: string }
  | {
      readonly event: 'crashed';
      readonly worker: number;
      readonly pid: number;
      readonly how: string;
      readonly restartMs: number;
    }
  /** Told once each time that a worker has crashed so often in a row that starting it again seems to be of no use. */
  | { readonly event: 'crash_loop'; readonly worker: number; readonly crashes: number; readonly how: string };

/** What a pool is made of. */
export interface WorkerPoolOptions {
  /** Most processes at one time. */
  readonly max: number;
  readonly ports: Pick<Ports, 'clock' | 'timers'>;
  readonly spawn: () => PoolChild;
  readonly onEvent: (event: PoolEvent) => void;
  /** How long a drain may take before the process is killed. */
  readonly drainMs: number;
}

/** Crashes in a row after which the pool says that it is a loop. */
const crashLoopAfter = 5;

/** See the top of the module. */
export class WorkerPool {
  readonly #options: WorkerPoolOptions;
  /** Those that are meant to work, oldest first; some of them wait to be started again. */
  readonly #places: Place[] = [];
  readonly #draining = new Map<PoolChild, Promise<void>>();
  #target = 0;
  #lastWorker = 0;
  #stopped = false;

  constructor(options: WorkerPoolOptions) {
    this.#options = options;
  }

  /** How many workers are meant to run. */
  get target(): number {
    return this.#target;
  }

  /** How many run and do not drain. */
  get running(): number {
    return this.#places.filter(({ child }) => child !== null).length;
  }

  /** How many are on their way out. */
  get draining(): number {
    return this.#draining.size;
  }

  /** Starts or drains workers, so that `workers` are left, within `max`. The youngest go first. */
  resize(workers: number): void {
    if (this.#stopped) return;
    this.#target = Math.min(this.#options.max, Math.max(0, workers));
    while (this.#places.length > this.#target) {
      const place = this.#places.pop();
      if (place !== undefined) this.#retire(place);
    }
    this.#fill();
  }

  /** Drains every process and starts none again. Resolves when none is left. Idempotent. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const place of this.#places.splice(0)) this.#retire(place);
    await Promise.all(this.#draining.values());
  }

  /** Ends every process at once, for whoever cannot wait any longer. */
  kill(): void {
    this.#stopped = true;
    for (const place of this.#places) {
      place.cancelPause?.();
      place.child?.kill();
    }
    for (const child of this.#draining.keys()) child.kill();
  }

  /** New places, as far as there is room beside those that still drain. */
  #fill(): void {
    while (!this.#stopped && this.#places.length < this.#target && this.#processes() < this.#options.max) {
      const place: Place = { worker: ++this.#lastWorker, child: null, crashes: 0, cancelPause: null };
      this.#places.push(place);
      this.#launch(place);
    }
  }

  /** A place that waits to be started again counts: it is about to have a process. */
  #processes(): number {
    return this.#places.length + this.#draining.size;
  }

  #launch(place: Place): void {
    place.cancelPause = null;
    const { clock } = this.#options.ports;
    const startedMs = clock.monotonicMs();
    const child = this.#options.spawn();
    place.child = child;
    this.#tell({ event: 'started', worker: place.worker, pid: child.pid ?? 0 });
    void child.exited.then((exit) => {
      // One that was asked to end is no crash.
      if (place.child !== child) return;
      place.child = null;
      if (clock.monotonicMs() - startedMs >= settledMs) place.crashes = 0;
      this.#crashed(place, child, exit);
    });
  }

  #crashed(place: Place, child: PoolChild, { how }: ChildExit): void {
    if (this.#stopped) return;
    const restartMs = restartPauseMs(place.crashes);
    place.crashes++;
    this.#tell({ event: 'crashed', worker: place.worker, pid: child.pid ?? 0, how, restartMs });
    if (place.crashes === crashLoopAfter) {
      this.#tell({ event: 'crash_loop', worker: place.worker, crashes: place.crashes, how });
    }
    place.cancelPause = this.#options.ports.timers.after(restartMs, () => this.#launch(place));
  }

  #retire(place: Place): void {
    place.cancelPause?.();
    place.cancelPause = null;
    const { child, worker } = place;
    place.child = null;
    if (child === null) return;
    const pid = child.pid ?? 0;
    const ended = this.#drained(child, worker, pid).then((exit) => {
      this.#draining.delete(child);
      this.#tell({ event: 'ended', worker, pid, how: exit.how });
      this.#fill();
    });
    this.#draining.set(child, ended);
  }

  async #drained(child: PoolChild, worker: number, pid: number): Promise<ChildExit> {
    const { ports, drainMs } = this.#options;
    this.#tell({ event: 'draining', worker, pid });
    child.drain();
    const cancel = ports.timers.after(drainMs, () => {
      this.#tell({ event: 'killed', worker, pid, drainMs });
      child.kill();
    });
    const exit = await child.exited;
    cancel();
    return exit;
  }

  #tell(event: PoolEvent): void {
    this.#options.onEvent(event);
  }
}

interface Place {
  /** Counts the workers of this pool, for people; a restart keeps it. */
  readonly worker: number;
  child: PoolChild | null;
  /** In a row. */
  crashes: number;
  cancelPause: (() => void) | null;
}
