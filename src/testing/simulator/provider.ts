/**
 * The outside world that effects reach: a provider that counts what it is asked to do, by effect key. It outlives every
 * process, so that what the product believes can be compared with what really happened.
 */
import { parseEnvelope } from '../../engine/events/envelope-writer.js';
import type { Execution, History } from './history.js';
import type { CallNode, InferNode, StepNode } from './program.js';
import type { Prng } from './prng.js';
import type { World } from './world.js';

/** How an execution will end. `down` and `told`: the weather at the model, and nothing that the program has in it. */
export type Fate = 'ok' | 'fails' | 'kills' | 'down' | 'told';

/** A time in which the model has no capacity (`down`), or asks everybody for a pause until its end (`told`). World time. */
export interface Storm {
  readonly fromMs: number;
  readonly toMs: number;
  readonly kind: 'down' | 'told';
}

/** The weather at the model over the time in which requests come. */
export function stormsOf(prng: Prng, fromMs: number, spreadMs: number): Storm[] {
  const storms: Storm[] = [];
  let at = fromMs + spreadMs * prng.next() * 0.3;
  while (at < fromMs + spreadMs) {
    const toMs = at + spreadMs * (0.1 + prng.next() * 0.4);
    storms.push({ fromMs: at, toMs, kind: prng.chance(0.6) ? 'down' : 'told' });
    at = toMs + spreadMs * prng.next() * 0.3;
  }
  return storms;
}

/** An inference. */
export interface Asker {
  readonly tenant: string;
  readonly run: string;
  readonly path: string;
}

interface GrantEvent {
  readonly path: string;
  readonly grant: { readonly idempotencyKey: string } | null;
}

/** Counts executions and decides their fates, which depend on how often the effect was tried before. */
export class Provider {
  readonly #world: World;
  readonly #history: History;
  readonly #tries = new Map<string, number>();
  readonly #storms: readonly Storm[];
  /** For whom each key was given, as far as `#read` actions say. */
  readonly #askers = new Map<string, Asker>();
  #read = 0;

  constructor(world: World, history: History, storms: readonly Storm[] = []) {
    this.#world = world;
    this.#history = history;
    this.#storms = storms;
  }

  /** What is left of the present storm, ms. */
  get stormMs(): number {
    const storm = this.#storm();
    return storm === undefined ? 0 : Math.ceil(storm.toMs - this.#world.nowMs);
  }

  #storm(): Storm | undefined {
    const { nowMs } = this.#world;
    return this.#storms.find(({ fromMs, toMs }) => fromMs <= nowMs && nowMs < toMs);
  }

  /** Who calls with this idempotency key: the inference whose intent it was given with. Null = there is no such intent. */
  askerOf(key: string): Asker | null {
    const { actions } = this.#history;
    for (; this.#read < actions.length; this.#read++) {
      const action = actions[this.#read];
      if (action?.kind !== 'apply' || action.outcome.tag !== 'applied') continue;
      for (const { run, type, envelope } of action.transition.events ?? []) {
        if (type !== 'inference.requested' && type !== 'inference.admitted') continue;
        const { path, grant } = parseEnvelope(envelope).data as GrantEvent;
        if (grant !== null) this.#askers.set(grant.idempotencyKey, { tenant: action.transition.tenant, run, path });
      }
    }
    return this.#askers.get(key) ?? null;
  }

  /** User code begins. */
  begin(node: StepNode | CallNode | InferNode, execution: Omit<Execution, 'atMs' | 'step' | 'crashed'>): Fate {
    const key = `${execution.tenant}/${execution.run}/${execution.path}`;
    const storm = execution.kind === 'infer' ? this.#storm() : undefined;
    const tries = (this.#tries.get(key) ?? 0) + (storm === undefined ? 1 : 0);
    this.#tries.set(key, tries);
    const fate =
      storm !== undefined
        ? storm.kind
        : tries <= node.kills
          ? 'kills'
          : tries <= node.kills + node.fails
            ? 'fails'
            : 'ok';
    this.#history.executions.push({
      ...execution,
      atMs: this.#world.nowMs,
      step: this.#world.steps,
      crashed: fate === 'kills',
    });
    return fate;
  }
}
