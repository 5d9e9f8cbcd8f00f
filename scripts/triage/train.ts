/**
 * Trains the learned part of triage: multinomial logistic regression by AdaGrad, on the examples and on copies of them with
 * words, status and provider left out at random, so that no single word decides. Deterministic by seed.
 */
import { toBase64 } from '../../src/core/base64.js';
import { failureClasses } from '../../src/core/failure.js';
import { bucketCount, featuresOf, type Feature } from '../../src/core/triage/features.js';
import { type Mix, type ModelData, softmax } from '../../src/core/triage/model.js';
import { readFailure, type FailureInput } from '../../src/core/triage/reading.js';
import { type Example, inputOf } from './examples.js';

/** What a training takes. */
export interface TrainOptions {
  readonly version: number;
  readonly seed: number;
  readonly mix: Mix;
}

/** Passes over the examples, copies of each, step, and pull of the weights towards zero. */
const epochs = 40;
const copies = 3;
const stepSize = 0.5;
const decay = 2e-4;
/** Share of the words that a copy goes without. */
export const wordLoss = 0.3;

/** Trains a model. */
export function train(examples: readonly Example[], options: TrainOptions): ModelData {
  const random = randomOf(options.seed);
  const rows = examples.flatMap((example) => {
    const at = failureClasses.indexOf(example.label);
    const inputs = [inputOf(example), ...Array.from({ length: copies }, () => blurred(example, random))];
    return inputs.map((input) => ({ at, features: featuresOf(readFailure(input)) }));
  });
  const weights = failureClasses.map(() => new Float64Array(bucketCount));
  const biases = new Float64Array(failureClasses.length);
  const slopes = failureClasses.map(() => new Float64Array(bucketCount).fill(1e-6));
  const biasSlopes = new Float64Array(failureClasses.length).fill(1e-6);

  for (let epoch = 0; epoch < epochs; epoch++) {
    for (const { at, features } of shuffled(rows, random)) {
      const logits = weights.map((of, i) => (biases[i] ?? 0) + dot(of, features));
      const chances = softmax(logits);
      for (let i = 0; i < failureClasses.length; i++) {
        const error = (chances[i] ?? 0) - (i === at ? 1 : 0);
        biasSlopes[i] = (biasSlopes[i] ?? 0) + error * error;
        biases[i] = (biases[i] ?? 0) - (stepSize * 0.1 * error) / Math.sqrt(biasSlopes[i] ?? 1);
        descend(weights[i], slopes[i], features, error);
      }
    }
  }
  return written(weights, biases, options);
}

function descend(
  weights: Float64Array | undefined,
  slopes: Float64Array | undefined,
  features: readonly Feature[],
  error: number,
): void {
  if (weights === undefined || slopes === undefined) return;
  for (const { bucket, value } of features) {
    const weight = weights[bucket] ?? 0;
    const slope = error * value + decay * weight;
    const sum = (slopes[bucket] ?? 0) + slope * slope;
    slopes[bucket] = sum;
    weights[bucket] = weight - (stepSize * slope) / Math.sqrt(sum);
  }
}

function dot(weights: Float64Array, features: readonly Feature[]): number {
  let sum = 0;
  for (const { bucket, value } of features) sum += (weights[bucket] ?? 0) * value;
  return sum;
}

/** One byte for each weight; each class has its own scale. */
function written(weights: readonly Float64Array[], biases: Float64Array, options: TrainOptions): ModelData {
  const bytes = new Int8Array(weights.length * bucketCount);
  const scales = weights.map((of, at) => {
    const scale = of.reduce((top, weight) => Math.max(top, Math.abs(weight)), 1e-9) / 127;
    of.forEach((weight, i) => (bytes[at * bucketCount + i] = Math.round(weight / scale)));
    return Number(scale.toPrecision(6));
  });
  return {
    version: options.version,
    labels: failureClasses,
    biases: [...biases].map((bias) => Number(bias.toPrecision(6))),
    scales,
    weights: toBase64(new Uint8Array(bytes.buffer)),
    mix: options.mix,
  };
}

/** The example as somebody else might have logged it: without some words, without status, without provider. */
export function blurred(example: Example, random: () => number): FailureInput {
  const words = example.text.split(/(?<=\s)|(?<=[^\x00-\x7f])/);
  const kept = words.filter(() => random() >= wordLoss);
  return {
    text: kept.length === 0 ? example.text : kept.join(''),
    httpStatus: random() < 0.25 ? null : example.httpStatus,
    provider: random() < 0.4 ? null : example.provider,
  };
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const result = [...items];
  for (let i = result.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [result[i], result[j]] = [result[j] as T, result[i] as T];
  }
  return result;
}

/** Mulberry32: small, good enough, the same everywhere. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
