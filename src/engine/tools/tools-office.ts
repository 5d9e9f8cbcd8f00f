/**
 * Tools for operators: the policies that apps declare, and the orders over them. Each change is an event of the topic
 * `eventspine.tools`, in the same transition.
 */
import { SpineError } from '../../core/errors.js';
import { isoOf } from '../../core/instant.js';
import { limits } from '../../core/limits.js';
import { toolsTopic } from '../../core/manifest.js';
import type { ToolOrder } from '../../core/tools/policy.js';
import { readToolOrder } from '../../core/tools/read-policy.js';
import type { ToolOrderView, ToolPoliciesView } from '../../protocol/tools.js';
import type { Origin } from '../api.js';
import type { EngineContext } from '../context.js';
import type { Catalog } from '../intake/catalog.js';
import { changeValue } from '../models/shared-value.js';
import { toolOrderSpace, type ToolGate } from './tool-gate.js';

export interface ToolsOfficeOptions {
  readonly context: EngineContext;
  readonly catalog: Catalog;
  readonly gate: ToolGate;
}

export class ToolsOffice {
  readonly #options: ToolsOfficeOptions;

  constructor(options: ToolsOfficeOptions) {
    this.#options = options;
  }

  async read(): Promise<ToolPoliciesView> {
    const { catalog, gate } = this.#options;
    await gate.refresh();
    return {
      policies: catalog.manifests().flatMap(({ app, tools }) => (tools === undefined ? [] : [{ app, policy: tools }])),
      orders: [...gate.orders.values()].map(viewOf),
    };
  }

  /**
   * Gives an order, in the place of one of the same name. Only admins allow what
   * apps refuse, and change orders of admins. Rejects with TOOL_ORDER_INVALID and TOOL_ORDER_LOOSENS.
   */
  async put(origin: Origin, name: string, given: unknown, isAdmin: boolean): Promise<ToolOrderView> {
    const { gate } = this.#options;
    const { reason = null, ...options } = recordOf(given);
    const faults: string[] = [];
    const terms = readToolOrder(name, options, (fault) => faults.push(fault));
    if (reason !== null && (typeof reason !== 'string' || reason.length > limits.toolWhyLengthMax))
      faults.push(`reason must be a text of at most ${limits.toolWhyLengthMax} characters`);
    if (!gate.orders.has(name) && gate.orders.size >= limits.toolOrdersMax)
      faults.push(`there are ${limits.toolOrdersMax} orders already`);
    if (faults.length > 0) throw new SpineError('TOOL_ORDER_INVALID', { name, faults });
    if (terms.verdict === 'allow' && !isAdmin) throw new SpineError('TOOL_ORDER_LOOSENS', { name });
    const set = await changeValue<ToolOrder>(
      this.#options,
      { space: toolOrderSpace, key: name, ref: '' },
      origin.actor,
      (before, at) => {
        refuseLoosening(name, before, isAdmin);
        const why = reason as string | null;
        const order: ToolOrder = { ...terms, reason: why, orderedBy: origin.actor, isAdmins: isAdmin, at };
        return { value: order, event: { change: 'order', ...order }, topic: toolsTopic.name };
      },
    );
    if (set === null) throw new Error('Invariant broken: an order that was given is not there');
    gate.put(name, set);
    return viewOf(set);
  }

  /** Takes an order back; false = there was none. Rejects with TOOL_ORDER_LOOSENS. */
  async drop(origin: Origin, name: string, isAdmin: boolean): Promise<boolean> {
    const { gate } = this.#options;
    let was = false;
    await changeValue<ToolOrder>(
      this.#options,
      { space: toolOrderSpace, key: name, ref: '' },
      origin.actor,
      (before) => {
        was = before !== null;
        refuseLoosening(name, before, isAdmin);
        return before === null
          ? null
          : { value: null, event: { change: 'order-dropped', name, by: origin.actor }, topic: toolsTopic.name };
      },
    );
    gate.put(name, null);
    return was;
  }
}

/** What an admin has said stands until an admin says otherwise. */
function refuseLoosening(name: string, before: ToolOrder | null, isAdmin: boolean): void {
  if (before?.isAdmins === true && !isAdmin) throw new SpineError('TOOL_ORDER_LOOSENS', { name });
}

function viewOf({ orderedBy, at, ...order }: ToolOrder): ToolOrderView {
  return { ...order, orderedBy, at: isoOf(at) };
}

function recordOf(given: unknown): Readonly<Record<string, unknown>> {
  return typeof given === 'object' && given !== null && !Array.isArray(given)
    ? (given as Readonly<Record<string, unknown>>)
    : {};
}
