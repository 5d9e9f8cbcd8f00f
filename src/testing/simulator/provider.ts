/**
 * The outside world that effects reach: a provider that counts what it is asked to do, by effect key. It outlives every
 * process, so that what the product believes can be compared with what really happened.
 */
import type { Execution, History } from './history.js';
import type { CallNode, InferNode, StepNode } from './program.js';
import type { World } from './world.js';

/** How an execution will end. */
export type Fate = 'ok' | 'fails' | 'kills';

/** Counts executions and decides their fates, which depend on how often the effect was tried before. */
export class Provider {
  readonly #world: World;
  readonly #history: History;
  readonly #tries = new Map<string, number>();

  constructor(world: World, history: History) {
    this.#world = world;
    this.#history = history;
  }

  /** User code begins. */
  begin(node: StepNode | CallNode | InferNode, execution: Omit<Execution, 'atMs' | 'step' | 'crashed'>): Fate {
    const key = `${execution.tenant}/${execution.run}/${execution.path}`;
    const tries = (this.#tries.get(key) ?? 0) + 1;
    this.#tries.set(key, tries);
    const fate = tries <= node.kills ? 'kills' : tries <= node.kills + node.fails ? 'fails' : 'ok';
    this.#history.executions.push({
      ...execution,
      atMs: this.#world.nowMs,
      step: this.#world.steps,
      crashed: fate === 'kills',
    });
    return fate;
  }
}
