/**
 * Remedies as users declare them, in an app, a model, a capability, a node, a step or an inference: the same words everywhere.
 */
import { failureClasses } from '../core/failure.js';
import { remedyChoices, type RemedyPolicy } from '../core/remedies.js';
import { SpineError } from '../core/errors.js';
import { suggestion, type OptionFaults } from './options.js';

/** The policy that was given; faults go to `faults`. */
export function readRemedies(given: RemedyPolicy | undefined, faults: Pick<OptionFaults, 'add'>): RemedyPolicy {
  if (given === undefined) return {};
  if (typeof given !== 'object' || given === null) {
    faults.add("remedies must be an object such as { overloaded: 'fallback' }");
    return {};
  }
  for (const [name, choice] of Object.entries(given)) {
    if (!(failureClasses as readonly string[]).includes(name))
      faults.add(`remedies: "${name}" is no class of failures${suggestion(name, failureClasses)}`);
    if (!(remedyChoices as readonly unknown[]).includes(choice))
      faults.add(
        `remedies.${name} must be one of ${remedyChoices.join(', ')}${suggestion(String(choice), remedyChoices)}`,
      );
  }
  return given;
}

/** Like `readRemedies`, at run time. Fails with OPTIONS_INVALID. */
export function remedyPolicyOf(what: string, given: RemedyPolicy | undefined): RemedyPolicy {
  const faults: string[] = [];
  const policy = readRemedies(given, { add: (fault) => faults.push(fault) });
  if (faults.length > 0) throw new SpineError('OPTIONS_INVALID', { what, faults });
  return policy;
}
