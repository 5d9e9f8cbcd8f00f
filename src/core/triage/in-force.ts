/**
 * The classifier that is in force in this process: the one that is shipped, or the one that operators of its installation have
 * promoted; and the one that is asked beside it, whose verdict decides nothing. A process works for one installation, whose server
 * tells it.
 *
 * Invariant: what cannot be loaded changes nothing.
 */
import { classifyFailure, type Triage } from './classify.js';
import { loadModel, type Model, type ModelData } from './model.js';
import type { FailureInput } from './reading.js';

/** What an installation classifies by. */
export interface TriageModels {
  /** Null = the model that is shipped. */
  readonly inForce: ModelData | null;
  /** Null = none is asked beside it. */
  readonly shadow: ModelData | null;
}

let models: { readonly inForce: Model | null; readonly shadow: Model | null } = { inForce: null, shadow: null };

/** Sets what this process classifies by, from now on. Throws where a model is not one, and changes nothing then. */
export function installTriage({ inForce, shadow }: TriageModels): void {
  models = {
    inForce: inForce === null ? null : loadModel(inForce),
    shadow: shadow === null ? null : loadModel(shadow),
  };
}

/** What triage makes of a failure: of the classifier in force, and of the one beside it, where there is one. Never throws. */
export function classifyByForce(input: FailureInput): { readonly verdict: Triage; readonly shadow: Triage | null } {
  const { inForce, shadow } = models;
  return {
    verdict: classifyFailure(input, inForce === null ? {} : { model: inForce }),
    shadow: shadow === null ? null : classifyFailure(input, { model: shadow }),
  };
}
