/**
 * Writes a trained model as a module of the package: data that needs no file at run time and no download. The text is as
 * the formatter wants it, so that the same training gives the same bytes.
 */
import type { ModelData } from '../../src/core/triage/model.js';

const weightsLineLength = 100;
const lineWidth = 120;

/** The text of `src/core/triage/model-data.ts`. */
export function moduleOf(data: ModelData): string {
  const lines = data.weights.match(new RegExp(`.{1,${weightsLineLength}}`, 'g')) ?? [];
  return `/**
 * The model of triage that is shipped. Written by \`npm run triage -- train\`; not for editing.
 */
import type { ModelData } from './model.js';

export const modelData: ModelData = {
  version: ${data.version},
  labels: [
${data.labels.map((label) => `    '${label}',`).join('\n')}
  ],
  biases: [
${filled(data.biases)}
  ],
  scales: [
${filled(data.scales)}
  ],
  mix: { rules: ${data.mix.rules}, model: ${data.mix.model} },
  weights:
${lines.map((line, i) => `    '${line}'${i === lines.length - 1 ? ',' : ' +'}`).join('\n')}
};
`;
}

/** Numbers, as many in a line as fit. */
function filled(numbers: readonly number[]): string {
  const lines: string[] = [];
  for (const number of numbers) {
    const last = lines.at(-1);
    const longer = last === undefined ? null : `${last} ${number},`;
    if (longer === null || longer.length > lineWidth) lines.push(`    ${number},`);
    else lines[lines.length - 1] = longer;
  }
  return lines.join('\n');
}
