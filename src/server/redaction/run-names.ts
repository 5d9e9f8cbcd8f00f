/** Of which workflow runs are. That never changes, so it is asked once and kept for the runs that were looked at last. */
import type { Engine } from '../../engine/api.js';
import type { RunEventView } from '../../protocol/http.js';

/** Runs that are kept in mind. */
const namesMax = 10_000;

export class RunNames {
  readonly #engine: Pick<Engine, 'readHistory'>;
  readonly #known = new Map<string, string>();

  constructor(engine: Pick<Engine, 'readHistory'>) {
    this.#engine = engine;
  }

  /** The name of the workflow; null = there is no such run, or, unless it `isNeeded`, nobody has asked before. */
  async workflowOf(tenant: string, run: string, isNeeded = true): Promise<string | null> {
    const key = `${tenant}\n${run}`;
    const known = this.#known.get(key);
    if (known !== undefined || !isNeeded) return known ?? null;
    const [first] = (await this.#engine.readHistory(tenant, run, { after: 0, limit: 1 })) ?? [];
    const workflow = first === undefined ? null : startedOf(first);
    if (workflow === null) return null;
    if (this.#known.size >= namesMax) for (const oldest of this.#known.keys()) {
      this.#known.delete(oldest);
      break;
    }
    this.#known.set(key, workflow);
    return workflow;
  }
}

function startedOf({ type, data }: RunEventView): string | null {
  const { workflow } = data as { readonly workflow?: unknown };
  return type === 'run.started' && typeof workflow === 'string' ? workflow : null;
}
