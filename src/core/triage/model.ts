/**
 * The learned part of triage: a multinomial logistic regression over hashed features, trained offline
 * (`npm run triage -- train`) and shipped as data: one byte for each weight, with a scale for each class.
 */
import { fromBase64 } from '../base64.js';
import { failureClasses, type FailureClass } from '../failure.js';
import { bucketCount, featuresOf } from './features.js';
import type { Reading } from './reading.js';

/** A trained model as it is written down. */
export interface ModelData {
  /** Rises with every training that is shipped. */
  readonly version: number;
  /** Classes in the order of the weights. */
  readonly labels: readonly FailureClass[];
  /** What a class weighs without any feature. */
  readonly biases: readonly number[];
  /** What a byte of the weights of a class is worth. */
  readonly scales: readonly number[];
  /** Signed bytes, class after class, in base64. */
  readonly weights: string;
  /** Share of the rules and of the model in the answer, see `classifyFailure`. */
  readonly mix: Mix;
}

/** How evidence and model become one distribution: `softmax(rules * score + model * log p)`. */
export interface Mix {
  readonly rules: number;
  readonly model: number;
}

/** A model that can be asked. */
export interface Model {
  readonly version: number;
  readonly mix: Mix;
  /** Probability of each class, in the order of `failureClasses`. */
  probabilities(reading: Reading): Float64Array;
}

/** Makes a model of its data. */
export function loadModel(data: ModelData): Model {
  const bytes = fromBase64(data.weights);
  if (bytes === null || bytes.length !== data.labels.length * bucketCount) {
    throw new Error('Invariant broken: the model of triage does not fit its features');
  }
  const order = failureClasses.map((label) => data.labels.indexOf(label));
  const weights = byBucket(new Int8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength), order);
  return {
    version: data.version,
    mix: data.mix,
    probabilities: (reading) => {
      const sums = new Float64Array(order.length);
      for (const { bucket, value } of featuresOf(reading)) {
        const row = bucket * order.length;
        for (let i = 0; i < order.length; i++) sums[i] = (sums[i] ?? 0) + (weights[row + i] ?? 0) * value;
      }
      // A class that the model was not trained for is as good as impossible to it.
      return softmax(
        order.map((at, i) => (at < 0 ? unlikely : (data.biases[at] ?? 0) + (sums[i] ?? 0) * (data.scales[at] ?? 0))),
      );
    },
  };
}

/** Weights bucket after bucket, in the order of `failureClasses`: what one feature needs lies side by side. */
function byBucket(weights: Int8Array, order: readonly number[]): Int8Array {
  const result = new Int8Array(bucketCount * order.length);
  order.forEach((at, i) => {
    if (at < 0) return;
    for (let bucket = 0; bucket < bucketCount; bucket++) {
      result[bucket * order.length + i] = weights[at * bucketCount + bucket] ?? 0;
    }
  });
  return result;
}

const unlikely = -8;

/** Probabilities that are proportional to the exponentials of the logits. */
export function softmax(logits: readonly number[]): Float64Array {
  const top = Math.max(...logits);
  const result = Float64Array.from(logits, (logit) => Math.exp(logit - top));
  const sum = result.reduce((total, value) => total + value, 0);
  return result.map((value) => value / sum);
}
