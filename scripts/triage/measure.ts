/**
 * Figures of a set of answers: accuracy, F1, harmful retries, confusion, calibration, and how well stated numbers are read.
 */
import { failureClasses, type FailureClass } from '../../src/core/failure.js';
import { classifyFailure, type Triage } from '../../src/core/triage/classify.js';
import type { Model } from '../../src/core/triage/model.js';
import type { FailureInput } from '../../src/core/triage/reading.js';
import type { Example } from './examples.js';

/** An example and what triage made of it. */
export interface Answer {
  readonly example: Example;
  readonly triage: Triage;
}

/** Asks for an answer. */
export function answer(example: Example, input: FailureInput, model: Model): Answer {
  return { example, triage: classifyFailure(input, { model }) };
}

/** Figures over answers. Shares are 0..1. */
export interface Figures {
  readonly count: number;
  /** Answers with the very label. */
  readonly strict: number;
  /** Answers with the label or a listed alternative. */
  readonly accuracy: number;
  /** Mean of F1 over the classes that occur; a listed alternative counts as the label. */
  readonly macroF1: number;
  /** Of failures that a retry cannot help: those that would be retried. */
  readonly harmfulRetries: number;
  /** Of failures that a retry may help: those that would not be retried. */
  readonly missedRetries: number;
  /** Answers with the listed remedy. */
  readonly remedies: number;
  /** Expected calibration error: mean distance between confidence and accuracy over ten bins. */
  readonly calibrationError: number;
}

/** The label that an answer counts for: an alternative that was given counts as the label. */
function takenFor({ example, triage }: Answer): FailureClass {
  return example.alternatives.includes(triage.label) ? example.label : triage.label;
}

const isRight = (one: Answer): boolean => takenFor(one) === one.example.label;
const share = (part: number, of: number): number => (of === 0 ? 0 : part / of);

/** Computes all figures. */
export function figuresOf(answers: readonly Answer[]): Figures {
  const final = answers.filter(({ example }) => !example.retryable);
  const retryable = answers.filter(({ example }) => example.retryable);
  const classes = byClass(answers);
  return {
    count: answers.length,
    strict: share(answers.filter((one) => one.triage.label === one.example.label).length, answers.length),
    accuracy: share(answers.filter(isRight).length, answers.length),
    macroF1: share(
      classes.reduce((sum, { f1 }) => sum + f1, 0),
      classes.length,
    ),
    harmfulRetries: share(final.filter(({ triage }) => triage.retryable).length, final.length),
    missedRetries: share(retryable.filter(({ triage }) => !triage.retryable).length, retryable.length),
    remedies: share(answers.filter(({ example, triage }) => example.remedy === triage.remedy).length, answers.length),
    calibrationError: binsOf(answers).reduce(
      (sum, bin) => sum + (bin.count / Math.max(1, answers.length)) * Math.abs(bin.confidence - bin.accuracy),
      0,
    ),
  };
}

/** Figures of one class. */
export interface ClassFigures {
  readonly label: FailureClass;
  readonly count: number;
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
}

/** Figures of each class that occurs in the examples. */
export function byClass(answers: readonly Answer[]): ClassFigures[] {
  return failureClasses.flatMap((label) => {
    const meant = answers.filter(({ example }) => example.label === label);
    const given = answers.filter((one) => takenFor(one) === label);
    if (meant.length === 0) return [];
    const right = meant.filter(isRight).length;
    const precision = share(right, given.length);
    const recall = share(right, meant.length);
    return [{ label, count: meant.length, precision, recall, f1: share(2 * precision * recall, precision + recall) }];
  });
}

/** How often each class was taken for each. */
export function confusionOf(answers: readonly Answer[]): ReadonlyMap<FailureClass, ReadonlyMap<FailureClass, number>> {
  const rows = new Map(failureClasses.map((label) => [label, new Map<FailureClass, number>()]));
  for (const one of answers) {
    const row = rows.get(one.example.label);
    row?.set(takenFor(one), (row.get(takenFor(one)) ?? 0) + 1);
  }
  return rows;
}

/** Answers of about one confidence. */
export interface Bin {
  readonly from: number;
  readonly count: number;
  readonly confidence: number;
  readonly accuracy: number;
}

/** Ten bins of confidence; empty ones are left out. */
export function binsOf(answers: readonly Answer[]): Bin[] {
  return Array.from({ length: 10 }, (_, i) => {
    const members = answers.filter(({ triage }) => Math.min(9, Math.floor(triage.confidence * 10)) === i);
    return {
      from: i / 10,
      count: members.length,
      confidence: share(
        members.reduce((sum, { triage }) => sum + triage.confidence, 0),
        members.length,
      ),
      accuracy: share(members.filter(isRight).length, members.length),
    };
  }).filter(({ count }) => count > 0);
}

/** How well a stated number is read. */
export interface ExtractFigures {
  readonly field: string;
  /** Examples that state it; answers that have it; answers with the right number. */
  readonly stated: number;
  readonly read: number;
  readonly right: number;
}

/** Figures of the numbers in `extract`. */
export function extractFigures(answers: readonly Answer[]): ExtractFigures[] {
  return (['retry_after_s', 'limit', 'used'] as const).map((field) => ({
    field,
    stated: answers.filter(({ example }) => example.extract[field] !== undefined).length,
    read: answers.filter(({ triage }) => triage.extract?.[field] !== undefined).length,
    right: answers.filter(
      ({ example, triage }) =>
        example.extract[field] !== undefined && example.extract[field] === triage.extract?.[field],
    ).length,
  }));
}
