/**
 * Evaluates triage and writes docs/reference/triage.md. Splits of the development set are by source repository, never by
 * message: two messages of one repository are too alike. The rules were written by people who had read four fifths of the
 * repositories, so the page says apart what the others give, and what messages give that were written last.
 */
import { failureClasses } from '../../src/core/failure.js';
import { rulesVersion } from '../../src/core/triage/classify.js';
import { loadModel, type Mix, type Model } from '../../src/core/triage/model.js';
import { modelData } from '../../src/core/triage/model-data.js';
import { type Example, foldsOf, inputOf, isHeldOut, unseenSet, writtenSet } from './examples.js';
import {
  answer,
  type Answer,
  binsOf,
  byClass,
  confusionOf,
  extractFigures,
  figuresOf,
  type Figures,
} from './measure.js';
import { blurred, randomOf, train, wordLoss } from './train.js';

const folds = 5;
const seed = 1;
const blurredCopies = 3;

/** What is evaluated on. */
export interface EvaluationSets {
  /** Failures with a source repository each. */
  readonly development: readonly Example[];
  /** Failures written by hand, which every model is trained on as well. */
  readonly written: readonly Example[];
  /** Failures that nothing is trained on. */
  readonly unseen: readonly Example[];
}

/** Everything that the page shows. */
interface Evaluation {
  readonly crossValidated: readonly Answer[];
  readonly heldOut: readonly Answer[];
  readonly unseen: readonly Answer[];
  readonly unseenModel: readonly Answer[];
  readonly rulesAlone: readonly Answer[];
  readonly modelAlone: readonly Answer[];
  readonly blurred: readonly Answer[];
  readonly blurredRules: readonly Answer[];
}

/** Evaluates, and returns the page. */
export function evaluationPage(sets: EvaluationSets): string {
  return page(evaluate(sets), sets);
}

/** The parts of an evaluation that are gathered fold by fold. */
type Gathered = Exclude<keyof Evaluation, 'heldOut' | 'unseen' | 'unseenModel'>;

function evaluate({ development: examples, written, unseen }: EvaluationSets): Evaluation {
  const { mix } = modelData;
  const trained = (on: readonly Example[], of: Mix): Model =>
    loadModel({ ...train([...on, ...written], { version: 0, seed, mix }), mix: of });
  const random = randomOf(seed + 1);
  const result = { crossValidated: [], rulesAlone: [], modelAlone: [], blurred: [], blurredRules: [] } as {
    [name in Gathered]: Answer[];
  };
  for (const fold of foldsOf(examples, folds)) {
    const both = trained(
      examples.filter((one) => !fold.includes(one)),
      mix,
    );
    const rules = { ...both, mix: { rules: mix.rules, model: 0 } };
    const model = { ...both, mix: modelOnly };
    for (const example of fold) {
      result.crossValidated.push(answer(example, inputOf(example), both));
      result.rulesAlone.push(answer(example, inputOf(example), rules));
      result.modelAlone.push(answer(example, inputOf(example), model));
      for (let i = 0; i < blurredCopies; i++) {
        const input = blurred(example, random);
        result.blurred.push(answer(example, input, both));
        result.blurredRules.push(answer(example, input, rules));
      }
    }
  }
  const set = (held: boolean): Example[] => examples.filter(({ group }) => isHeldOut(group) === held);
  const withoutHeldOut = trained(set(false), mix);
  const all = trained(examples, mix);
  return {
    ...result,
    heldOut: set(true).map((example) => answer(example, inputOf(example), withoutHeldOut)),
    unseen: unseen.map((example) => answer(example, inputOf(example), all)),
    unseenModel: unseen.map((example) => answer(example, inputOf(example), { ...all, mix: modelOnly })),
  };
}

const modelOnly: Mix = { rules: 0, model: 1 };

const percent = (value: number): string => `${(value * 100).toFixed(1)} %`;

function page(evaluation: Evaluation, { development: examples, written, unseen }: EvaluationSets): string {
  const { crossValidated } = evaluation;
  const row = (name: string, answers: readonly Answer[]): string => {
    const of: Figures = figuresOf(answers);
    const shares = [of.strict, of.accuracy, of.macroF1, of.harmfulRetries, of.missedRetries, of.remedies];
    return `| ${name} | ${of.count} | ${shares.map(percent).join(' | ')} | ${of.calibrationError.toFixed(3)} |`;
  };
  const groups = new Set(examples.map(({ group }) => group)).size;
  return `# Triage in figures

How well \`classifyFailure\` and \`eventspine classify\` do. Rules of version ${rulesVersion}, model of version ${modelData.version}; measured on
${examples.length} labelled failures of ${groups} repositories and on ${unseen.length} that were written last. Made by \`npm run triage -- evaluate\`; do
not edit. How triage works and how to correct it is in [the guide](../guides/triage.md).

## Figures

| measured on | failures | accuracy, strict | with alternatives | macro-F1 | harmful retries | missed retries | remedies | calibration error |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
${row('all, cross-validated by repository', crossValidated)}
${row('repositories that were set aside', evaluation.heldOut)}
${row('written last, nothing trained on it', evaluation.unseen)}
${row('model alone on the same', evaluation.unseenModel)}
${row('rules alone', evaluation.rulesAlone)}
${row('model alone, cross-validated', evaluation.modelAlone)}
${row(`all, blurred, cross-validated`, evaluation.blurred)}
${row(`rules alone, blurred`, evaluation.blurredRules)}
| targets | | | 85.0 % | 80.0 % | at most 5.0 % | | | |

- **Cross-validated by repository**: the model never saw messages of the repository that it is asked about. The *rules* did:
  whoever wrote them had read the messages of four fifths of the repositories. So this line flatters, and so does *rules alone*.
  Every model here is also trained on ${written.length} messages that were written by hand (\`${writtenSet}\`) in the manner of
  providers that the set does not have.
- **Set aside**: repositories chosen by a hash before the first rule was written; no rule was written for their messages, and
  the model of this line was trained without them. One of the 28 was seen by accident, and no rule was changed for it.
- **Written last**: messages of providers that are in neither set, many of them invented, with labels given before triage
  saw them (\`${unseenSet}\`). No rule was changed for them. Set aside and written last are the lines to believe, as far as
  ${evaluation.heldOut.length} and ${unseen.length} failures go.
- **First sight**: the written messages that are trained on now came in three parts, each answered before any rule was changed for it:
  146 of 159 right (91.8 %), 185 of 214 (86.4 %, mostly fragments of a few words), 106 of 127 (83.5 %, made hard on
  purpose); together 87.4 %, with 6 harmful retries of 305 (2.0 %). A fourth part came later: 168 of 172 right (97.7 %, no
  harmful retry), in the words of known providers and gateways, which flatters: whoever wrote the rules knew many of them.
- **Blurred**: each message ${blurredCopies} times with ${Math.round(wordLoss * 100)} % of its words, a quarter of the statuses and 40 % of the providers left out at random. Harder
  than real messages; it shows what the model adds where the rules miss, and it is what the confidence is calibrated on.
- **Harmful retries**: of the failures that a retry cannot help, those that would be retried. **Missed retries**: of those that
  a retry may help, those that would wait for a person.
- **Calibration error**: mean distance of confidence and accuracy, over ten bins.

## Classes

Cross-validated by repository; an alternative that the set lists counts as right.

| class | failures | precision | recall | F1 |
| --- | --- | --- | --- | --- |
${byClass(crossValidated)
  .map(
    ({ label, count, precision, recall, f1 }) =>
      `| ${label} | ${count} | ${[precision, recall, f1].map(percent).join(' | ')} |`,
  )
  .join('\n')}

## Confusion

Rows are what a failure is, columns what it was taken for, in the order of the rows; all, cross-validated. Then the same of the blurred ones, where there
is more to see.

${confusion(crossValidated)}

Blurred:

${confusion(evaluation.blurred)}

## Confidence

| confidence | failures | mean confidence | accuracy | blurred failures | mean confidence | accuracy |
| --- | --- | --- | --- | --- | --- | --- |
${calibration(crossValidated, evaluation.blurred)}

## Stated numbers

| field | stated | read | right | precision | recall |
| --- | --- | --- | --- | --- | --- |
${extractFigures(crossValidated)
  .map(
    ({ field, stated, read, right }) =>
      `| \`${field}\` | ${stated} | ${read} | ${right} | ${percent(right / Math.max(1, read))} | ${percent(right / Math.max(1, stated))} |`,
  )
  .join('\n')}
`;
}

function confusion(answers: readonly Answer[]): string {
  const rows = confusionOf(answers);
  const numbers = failureClasses.map((_, i) => String(i + 1));
  const lines = failureClasses.map((label, i) => {
    const cells = failureClasses.map((other) => String(rows.get(label)?.get(other) ?? '·'));
    return `| ${i + 1} ${label} | ${cells.join(' | ')} |`;
  });
  return [`| | ${numbers.join(' | ')} |`, `| --- |${' --- |'.repeat(failureClasses.length)}`, ...lines].join('\n');
}

function calibration(plain: readonly Answer[], blurredOnes: readonly Answer[]): string {
  const sides = [binsOf(plain), binsOf(blurredOnes)];
  return Array.from({ length: 10 }, (_, i) => {
    const cells = sides.flatMap((bins) => {
      const bin = bins.find(({ from }) => from === i / 10);
      return bin === undefined
        ? ['0', '', '']
        : [String(bin.count), bin.confidence.toFixed(2), bin.accuracy.toFixed(2)];
    });
    return `| ${(i / 10).toFixed(1)} to ${((i + 1) / 10).toFixed(1)} | ${cells.join(' | ')} |`;
  }).join('\n');
}
