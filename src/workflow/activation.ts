/**
 * One activation: a workflow body at work in this process, from its journal to its end, its parking or its abortion.
 * The worker owns leases and the wire and is reached through `ActivationHost`; the body sees a `ctx` and nothing else.
 * Invariant: the body learns of a result only after its commit, one result at a time, in `seq` order.
 */
import { assert } from '../core/errors.js';
import type { BeginActivation } from './activation-contract.js';
import { BodyRun } from './replay/body-run.js';
import type { AnyWorkflow } from './workflow.js';

/** See `BeginActivation`. */
export const beginActivation: BeginActivation = (definition, input, host) => {
  assert(isWorkflow(definition), 'an activation needs a workflow');
  return new BodyRun(definition, input, host);
};

function isWorkflow(value: unknown): value is AnyWorkflow {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'workflow';
}
