import { describe, expect, it } from 'vitest';
import { toBase64 } from '../base64.js';
import { failureClasses } from '../failure.js';
import { bucketCount, featuresOf } from './features.js';
import { loadModel, type ModelData, softmax } from './model.js';
import { modelData } from './model-data.js';
import { readFailure } from './reading.js';

const reading = readFailure({ text: 'the kettle is on fire', httpStatus: 418 });

/** A model that knows one class by one feature of the reading. */
function dataFor(label: 'timeout' | 'auth', value: number): ModelData {
  const labels = ['timeout', 'auth'] as const;
  const bytes = new Int8Array(labels.length * bucketCount);
  const { bucket } = featuresOf(reading)[0] ?? { bucket: 0 };
  bytes[labels.indexOf(label) * bucketCount + bucket] = value;
  return {
    version: 7,
    labels,
    biases: [0, 0],
    scales: [1, 1],
    weights: toBase64(new Uint8Array(bytes.buffer)),
    mix: { rules: 1, model: 1 },
  };
}

describe('a model', () => {
  it.each(['timeout', 'auth'] as const)('knows %s by what weighs for it, in any order of the classes', (label) => {
    const chances = loadModel(dataFor(label, 127)).probabilities(reading);
    const top = failureClasses[chances.indexOf(Math.max(...chances))];
    expect(top).toBe(label);
    expect(chances.reduce((sum, chance) => sum + chance, 0)).toBeCloseTo(1);
  });

  it('holds a class that it was not trained for to be as good as impossible', () => {
    const chances = loadModel(dataFor('auth', 1)).probabilities(reading);
    expect(chances[failureClasses.indexOf('poison')]).toBeLessThan(0.001);
  });

  it('is refused where its weights do not fit', () => {
    expect(() => loadModel({ ...modelData, weights: 'AAAA' })).toThrow('does not fit');
  });

  it('that is shipped fits the package', () => {
    expect(modelData.labels).toEqual(failureClasses);
    expect(modelData.weights.length).toBeLessThan(200_000);
  });
});

describe('softmax', () => {
  it('stays finite for any numbers', () => {
    expect([...softmax([1e9, -1e9])]).toEqual([1, 0]);
    expect([...softmax([0, 0])]).toEqual([0.5, 0.5]);
  });
});

describe('features', () => {
  it('mask numbers, so that no window of today is learned', () => {
    const of = (text: string): unknown => featuresOf(readFailure({ text }));
    expect(of('limit is 8192 tokens')).toEqual(of('limit is 4096 tokens'));
    expect(of('limit is 8192 tokens')).not.toEqual(of('limit is 8192 bytes'));
  });
});
