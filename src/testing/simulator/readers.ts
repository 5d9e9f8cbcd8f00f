/**
 * Readers of live runs, as SSE clients are: each follows one run from its beginning, drops its connection now and then,
 * and goes on after the last event it has seen, on whatever server there is then.
 */
import type { Engine } from '../../engine/api.js';
import { isEnded } from '../../core/run/state.js';
import type { History, Reading } from './history.js';
import type { Prng } from './prng.js';
import { SimProcess } from './process.js';
import type { Cluster } from './cluster.js';
import type { World } from './world.js';

/** All readers. */
export class Readers {
  readonly #cluster: Cluster;
  readonly #history: History;
  readonly #prng: Prng;
  readonly #process: SimProcess;

  constructor(world: World, cluster: Cluster, history: History) {
    this.#cluster = cluster;
    this.#history = history;
    this.#prng = world.prng.fork('readers');
    this.#process = new SimProcess(world, 'reader');
    this.#process.start();
  }

  /** Readers that wait for the end of their run. */
  get open(): number {
    return this.#history.readings.filter((reading) => !reading.ended).length;
  }

  /** Begins to read a run, sometimes. */
  perhaps(tenant: string, run: string): void {
    if (!this.#prng.chance(0.5)) return;
    const reading: Reading = { tenant, run, after: 0, seqs: [], types: [], ended: false };
    this.#history.readings.push(reading);
    this.#follow(reading);
  }

  #follow(reading: Reading): void {
    if (reading.ended) return;
    const server = this.#cluster.any(this.#prng);
    const { engine, process } = server;
    if (engine === null) return this.#later(reading);
    const { life } = process;
    let over = false;
    const finish = (): void => {
      if (over) return;
      over = true;
      this.#later(reading);
    };
    // A server that dies takes the connection with it; the browser notices and comes back.
    const watch = (): void => {
      if (over || reading.ended) return;
      if (process.life !== life || server.engine !== engine) finish();
      else this.#process.after(500, 'watch', watch);
    };
    this.#process.after(500, 'watch', watch);
    this.#open(engine, reading, () => over, finish).catch(finish);
  }

  async #open(engine: Engine, reading: Reading, over: () => boolean, finish: () => void): Promise<void> {
    const stop = await engine.follow(reading.tenant, reading.run, reading.seqs.at(-1) ?? reading.after, {
      onEvents: (events) => {
        if (over()) return false;
        reading.seqs.push(...events.map((event) => event.seq));
        reading.types.push(...events.map((event) => event.type));
        if (!this.#prng.chance(0.05)) return true;
        finish();
        return false;
      },
      onEnd: (state) => {
        if (over()) return;
        // Redriven meanwhile or not: this stream is over, and says so.
        reading.ended = isEnded(state as Parameters<typeof isEnded>[0]);
      },
      onGap: (from, to) => reading.types.push(`gap ${from}-${to}`),
      onError: finish,
    });
    if (stop === null) reading.types.push('not found');
    else if (over()) stop();
  }

  #later(reading: Reading): void {
    this.#process.after(this.#prng.between(10, 1_000), 'follow', () => this.#follow(reading));
  }
}
