/**
 * What inferences have taken, counted by this engine since it was started, for metrics. Only what it has committed itself:
 * the sum over the servers of an installation is the whole.
 *
 * Invariant: names come from manifests, and there is a bound on how many are told apart.
 */
import { limits } from '../../core/limits.js';
import type { RunEvent } from '../../core/run/events.js';
import { nothingKept, type TokenUsage } from '../../core/run/inference.js';
import type { RunState } from '../../core/run/state.js';
import type { InferenceCount } from '../api.js';

/** See the top of the module. */
export class InferenceTally {
  readonly #counts = new Map<string, { -readonly [K in keyof InferenceCount]: InferenceCount[K] }>();

  /** `state`: after the events. */
  note(state: RunState, events: readonly RunEvent[]): void {
    for (const event of events) {
      switch (event.type) {
        case 'inference.requested':
          if (event.data.grant !== null) this.#of(state, event.data.path).calls += 1;
          break;
        case 'inference.begun':
          this.#of(state, event.data.path).calls += 1;
          break;
        case 'inference.ambiguous':
          this.#of(state, event.data.path).ambiguous += 1;
          break;
        case 'inference.completed': {
          // Nobody was called; kept answers are counted apart.
          if (event.data.cached !== undefined) break;
          const { path, usage, costMicros, durationMs } = event.data;
          const count = this.#spent(state, path, usage, costMicros);
          count.completed += 1;
          count.durationMs += durationMs;
          break;
        }
        case 'inference.retrying':
        case 'inference.failed': {
          const { path, usage, costMicros } = event.data;
          if (event.data.failure.code === nothingKept.code) break;
          this.#spent(state, path, usage, costMicros)[event.type === 'inference.failed' ? 'failed' : 'retried'] += 1;
          break;
        }
        default:
      }
    }
  }

  /** By model and version, in the order of their names. */
  counts(): InferenceCount[] {
    return [...this.#counts.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, count]) => ({ ...count }));
  }

  #spent(state: RunState, path: string, usage: TokenUsage | null, costMicros: number) {
    const count = this.#of(state, path);
    count.inputTokens += (usage?.inputTokens ?? 0) - (usage?.cachedInputTokens ?? 0);
    count.cachedInputTokens += usage?.cachedInputTokens ?? 0;
    count.outputTokens += usage?.outputTokens ?? 0;
    count.costMicros += costMicros;
    return count;
  }

  #of({ units }: RunState, path: string) {
    const unit = units.get(path);
    const named = unit?.kind === 'inference' ? { model: unit.ask.model, version: unit.grant?.version ?? '' } : others;
    const key = `${named.model}\0${named.version}`;
    const isNew = !this.#counts.has(key);
    const { model, version } = isNew && this.#counts.size >= limits.metricNamesMax ? others : named;
    const at = `${model}\0${version}`;
    const found = this.#counts.get(at);
    if (found !== undefined) return found;
    const made = { model, version, ...nothing };
    this.#counts.set(at, made);
    return made;
  }
}

const others = { model: '(others)', version: '' };
const nothing = {
  calls: 0,
  completed: 0,
  failed: 0,
  retried: 0,
  ambiguous: 0,
  inputTokens: 0,
  cachedInputTokens: 0,
  outputTokens: 0,
  costMicros: 0,
  durationMs: 0,
};
