import { describe, expect, it } from 'vitest';
import { failureOf } from '../failure-of.js';
import { failure } from '../failure.js';
import { limits } from '../limits.js';
import { classifyByForce, installTriage } from './in-force.js';
import { modelData } from './model-data.js';
import {
  changedTriage,
  modelDataFault,
  modelsOf,
  shippedTriage,
  type TriageChange,
  type TriageSetting,
} from './setting.js';

const named = (version: number) => ({ version, hash: `hash of ${version}` });

function after(...changes: readonly TriageChange[]): TriageSetting {
  return changes.reduce<TriageSetting>((setting, change) => {
    const next = changedTriage(setting, change, 'ops', 1);
    if (typeof next === 'string') throw new Error(next);
    return next;
  }, shippedTriage);
}

const shadow = (version: number): TriageChange => ({ change: 'shadow', model: named(version) });
const promote: TriageChange = { change: 'promote' };
const rollback: TriageChange = { change: 'rollback' };

describe('the model of triage that is in force', () => {
  it('is the one that was in the shadow when it was promoted, until that is taken back', () => {
    expect(after(shadow(11))).toMatchObject({ inForce: null, shadow: named(11) });
    expect(after(shadow(11), promote)).toMatchObject({ inForce: named(11), shadow: null, past: [null] });
    const twice = after(shadow(11), promote, shadow(12), promote);
    expect(twice).toMatchObject({ inForce: named(12), past: [null, named(11)] });
    expect(modelsOf(twice)).toEqual([named(12), named(11)]);
    expect(after(shadow(11), promote, shadow(12), promote, rollback, rollback)).toMatchObject({
      inForce: null,
      past: [],
    });
    expect(after(shadow(11), { change: 'shadow', model: null }).shadow).toBeNull();
  });

  it('can be gone back to only so far, and no two models have one version', () => {
    const many = Array.from({ length: 9 }, (_, i) => [shadow(11 + i), promote]).flat();
    expect(after(...many).past).toHaveLength(limits.triagePastMax);
    const refused = (change: TriageChange, ...before: readonly TriageChange[]) =>
      changedTriage(after(...before), change, 'ops', 1);
    expect(refused(promote)).toBe('no model is in the shadow');
    expect(refused(rollback)).toBe('there is nothing to go back to');
    expect(refused(shadow(modelData.version))).toMatch(/another model of version/);
    const other: TriageChange = { change: 'shadow', model: { version: 11, hash: 'other' } };
    expect(refused(other, shadow(11), promote)).toMatch(/another model of version 11/);
    expect(refused(shadow(11), shadow(11), promote)).toMatch(/in force already/);
    // What was taken back may be tried again.
    expect(refused(shadow(11), shadow(11), promote, rollback)).toMatchObject({ shadow: named(11) });
  });
});

describe('data that is to be a model', () => {
  it('is looked through before anybody loads it', () => {
    expect(modelDataFault(modelData)).toBeNull();
    const wrong: readonly unknown[] = [
      null,
      [],
      { ...modelData, version: 0 },
      { ...modelData, labels: ['fine'] },
      { ...modelData, labels: [] },
      { ...modelData, biases: [1] },
      { ...modelData, scales: modelData.scales.map(() => null) },
      { ...modelData, mix: { rules: 1 } },
      { ...modelData, weights: 'AAAA' },
      { ...modelData, weights: `${modelData.weights.slice(0, -4)}####` },
    ];
    for (const one of wrong) expect(modelDataFault(one)).not.toBeNull();
  });
});

describe('a classifier in the shadow', () => {
  it('decides nothing, and its verdict is recorded beside the one in force', () => {
    const error = Object.assign(new Error('Too many requests: slow down'), { statusCode: 429 });
    const before = failureOf(error);
    expect(before.shadow).toBeUndefined();
    try {
      installTriage({ inForce: null, shadow: { ...modelData, version: 77 } });
      const both = classifyByForce({ text: error.message, httpStatus: 429 });
      expect(both.shadow).toMatchObject({ label: both.verdict.label });
      const { shadow: beside, ...rest } = failureOf(error);
      const { stack: _, ...same } = before;
      expect(rest).toMatchObject(same);
      expect(beside).toMatchObject({ label: 'rate_limited', against: 'rate_limited', class: 'rate_limited' });
      expect(beside?.version).toMatch(/\.77$/);
      expect(() => installTriage({ inForce: { ...modelData, weights: '' }, shadow: null })).toThrow(/does not fit/);
      expect(failureOf(error).shadow?.version).toMatch(/\.77$/);
      installTriage({ inForce: { ...modelData, version: 78 }, shadow: null });
      expect(failureOf(error).triage?.version).toMatch(/\.78$/);
    } finally {
      installTriage({ inForce: null, shadow: null });
    }
    // What a worker of another version says is held to what there is.
    const odd = { label: 'odd', against: 'timeout', class: 'odd', version: 'x'.repeat(200) } as never;
    const kept = failure({ class: 'timeout', code: 'C', message: 'm', retryable: true, shadow: odd });
    expect(kept.shadow).toMatchObject({ label: 'unknown', against: 'timeout', class: 'unknown' });
    expect(kept.shadow?.version.length).toBeLessThan(60);
  });
});
