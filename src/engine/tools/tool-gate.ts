/**
 * The gate in front of tools: verdicts by the policies of apps and the orders of operators, both as this server has them in
 * memory. Asked in the turn in which a verdict is decided, so that verdict and event are one commit.
 *
 * Invariant: what operators have ordered holds here as soon as this server has heard of it, whichever server took the order.
 */
import { judged, type ToolCase, type ToolVerdict } from '../../core/tools/judge.js';
import type { ToolOrder } from '../../core/tools/policy.js';
import { readSpace } from '../admission/counter-rows.js';
import type { EngineContext } from '../context.js';
import type { Catalog } from '../intake/catalog.js';
import { systemTenant } from '../system-tenant.js';

/** Space of what operators have ordered. Key: the name of the order. */
export const toolOrderSpace = 'tool-orders';

export class ToolGate {
  readonly #context: EngineContext;
  readonly #catalog: Catalog;
  #orders: ReadonlyMap<string, ToolOrder> = new Map();
  /** Counts what was put here: a read that began before that says nothing of it. */
  #puts = 0;

  constructor(context: EngineContext, catalog: Catalog) {
    this.#context = context;
    this.#catalog = catalog;
  }

  /** Orders by their names. */
  get orders(): ReadonlyMap<string, ToolOrder> {
    return this.#orders;
  }

  /** See `ToolContext.judge`. */
  judge(call: ToolCase): ToolVerdict {
    const policy = (this.#catalog.workflow(call.by) ?? this.#catalog.agent(call.by))?.tools ?? null;
    return judged(call, policy, [...this.#orders.values()], (schema, value) => this.#catalog.fits(schema, value));
  }

  /** What an operator has ordered just now; null = it was taken back. */
  put(name: string, order: ToolOrder | null): void {
    this.#puts += 1;
    const orders = new Map(this.#orders);
    if (order === null) orders.delete(name);
    else orders.set(name, order);
    this.#orders = inOrder(orders);
  }

  /** Reads what operators have ordered. */
  async refresh(): Promise<void> {
    const puts = this.#puts;
    const rows = await readSpace(this.#context.store, systemTenant, toolOrderSpace);
    if (puts !== this.#puts) return;
    this.#orders = inOrder(new Map(rows.map(({ key, value }) => [key, JSON.parse(value) as ToolOrder])));
  }
}

/** The same on every server. */
function inOrder(orders: ReadonlyMap<string, ToolOrder>): ReadonlyMap<string, ToolOrder> {
  return new Map([...orders].sort(([a], [b]) => (a < b ? -1 : 1)));
}
