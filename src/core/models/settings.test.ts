import { describe, expect, it } from 'vitest';
import type { ModelManifest } from '../manifest.js';
import { changedSetting, inForce, unchanged, type ModelChange, type ModelSetting } from './settings.js';

const version = { endpoint: 'e', windowTokens: null, outputTokensMax: null, price: null };
const writer: ModelManifest = {
  name: 'writer',
  policy: ['retry'],
  versions: [
    { ...version, version: 'v1', weight: 1 },
    { ...version, version: 'v2', weight: 0 },
  ],
};

function after(...changes: readonly ModelChange[]): ModelSetting {
  return changes.reduce<ModelSetting>((setting, change) => {
    const next = changedSetting(setting, change, writer, 'ops', 1);
    if (!('past' in next)) throw new Error(next.join('; '));
    return next;
  }, unchanged);
}

function weights(setting: ModelSetting): number[] {
  return inForce(writer, setting).versions.map(({ weight }) => weight);
}

describe('what operators set of a model', () => {
  it('is in force over what the app declares, until it is taken back', () => {
    expect(weights(after({ change: 'promote', version: 'v2' }))).toEqual([0, 1]);
    expect(weights(after({ change: 'weights', weights: { v1: 9, v2: 1 } }))).toEqual([9, 1]);
    expect(weights(after({ change: 'promote', version: 'v2' }, { change: 'rollback' }))).toEqual([1, 0]);
    const there = after({ change: 'weights', weights: { v1: 9, v2: 1 } }, { change: 'promote', version: 'v2' });
    expect(weights(there)).toEqual([0, 1]);
    expect(changedSetting(there, { change: 'rollback' }, writer, 'ops', 2)).toMatchObject({
      weights: { v1: 9, v2: 1 },
    });
    expect(weights(after({ change: 'promote', version: 'v2' }, { change: 'reset' }))).toEqual([1, 0]);
  });

  it('says nothing of versions that have gone', () => {
    expect(weights({ ...unchanged, weights: { v0: 1 } })).toEqual([1, 0]);
    expect(weights({ ...unchanged, weights: { v0: 1, v2: 1 } })).toEqual([0, 1]);
  });

  it('is refused with all its faults', () => {
    const faults = (change: ModelChange): unknown => changedSetting(unchanged, change, writer, 'ops', 1);
    expect(faults({ change: 'promote', version: 'v3' })).toEqual(['there is no version "v3"; there are v1, v2']);
    expect(faults({ change: 'rollback' })).toEqual(['there is nothing to go back to']);
    expect(faults({ change: 'weights', weights: { v1: -1, v9: 1 } })).toHaveLength(2);
    expect(faults({ change: 'weights', weights: { v1: 0 } })).toEqual(['no version has a weight above 0']);
    expect(faults({ change: 'weights', weights: { v1: 1, constructor: 1 } })).toHaveLength(1);
  });
});
