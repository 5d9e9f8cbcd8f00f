/** Of which workflow runs are. That never changes, so it is asked once and kept for the runs that were looked at last. */
import type { Engine } from '../../engine/api.js';

/** Runs that are kept in mind. */
const namesMax = 10_000;

export class RunNames {
  readonly #engine: Pick<Engine, 'workflowOf'>;
  readonly #known = new Map<string, string>();

  constructor(engine: Pick<Engine, 'workflowOf'>) {
    this.#engine = engine;
  }

  /** The name of the workflow; null = there is no such run. */
  async workflowOf(tenant: string, run: string): Promise<string | null> {
    const key = `${tenant}\n${run}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const workflow = await this.#engine.workflowOf(tenant, run);
    if (workflow === null) return null;
    if (this.#known.size >= namesMax) this.#known.delete(String(this.#known.keys().next().value));
    this.#known.set(key, workflow);
    return workflow;
  }
}
