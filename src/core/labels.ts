import { limits } from './limits.js';
import { shown } from './shown.js';

/** Label of runs that only mirror what was done elsewhere: they, and whatever they start, have no external effects. */
export const mirrorLabel = 'eventspine.mirror';

/** What is wrong with the labels of a run; empty where nothing is. */
export function labelFaults(labels: unknown): string[] {
  if (typeof labels !== 'object' || labels === null || Array.isArray(labels)) return ['labels are not a map of texts'];
  const pairs = Object.entries(labels);
  const faults = pairs.length > limits.labelsMax ? [`there are more than ${limits.labelsMax} labels`] : [];
  for (const [name, value] of pairs.slice(0, limits.labelsMax)) {
    if (isLabel(name, value)) continue;
    faults.push(
      `label ${shown(name)} is not a text of at most ${limits.labelValueLengthMax} characters under a name of at most ${limits.labelNameLengthMax}`,
    );
  }
  return faults;
}

function isLabel(name: string, value: unknown): boolean {
  if (name === '' || name.length > limits.labelNameLengthMax) return false;
  return typeof value === 'string' && value.length <= limits.labelValueLengthMax;
}
