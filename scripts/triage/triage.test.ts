import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { failureClasses } from '../../src/core/failure.js';
import { shippedModel } from '../../src/core/triage/classify.js';
import { modelData } from '../../src/core/triage/model-data.js';
import { describeUnless } from '../../test/skip.js';
import {
  developmentSet,
  type Example,
  foldsOf,
  inputOf,
  isHeldOut,
  readExamples,
  unseenSet,
  writtenSet,
} from './examples.js';
import { answer, figuresOf } from './measure.js';
import { moduleOf } from './model-module.js';
import { train } from './train.js';

const path = (file: string): string => fileURLToPath(new URL(`../../${file}`, import.meta.url));
const shippedText = readFileSync(path('src/core/triage/model-data.ts'), 'utf8');
const written = readExamples([path(writtenSet)]);
const unseen = readExamples([path(unseenSet)]);

/** Figures of what is shipped, on examples. */
function shippedFigures(examples: readonly Example[]): ReturnType<typeof figuresOf> {
  return figuresOf(examples.map((example) => answer(example, inputOf(example), shippedModel())));
}

describe('what is shipped', () => {
  it('does well on messages that it was not made for', () => {
    const figures = shippedFigures(unseen);
    expect(figures.accuracy).toBeGreaterThanOrEqual(0.83);
    expect(figures.macroF1).toBeGreaterThanOrEqual(0.8);
    expect(figures.harmfulRetries).toBeLessThanOrEqual(0.05);
  });

  it('gets right what it was made for', () => {
    const figures = shippedFigures(written);
    expect(figures.accuracy).toBeGreaterThanOrEqual(0.98);
    expect(figures.harmfulRetries).toBeLessThanOrEqual(0.01);
    expect(figures.calibrationError).toBeLessThanOrEqual(0.1);
  });

  it('is written as the training writes it', () => {
    expect(moduleOf(modelData)).toBe(shippedText);
  });
});

const set = path(developmentSet);
describeUnless(existsSync(set) ? null : `the development set is not beside the checkout`, 'the training', () => {
  it('gives what is shipped, byte for byte', () => {
    const examples = [...readExamples([set]), ...written];
    const { version, mix } = modelData;
    expect(moduleOf(train(examples, { version, seed: 1, mix })) === shippedText).toBe(true);
  }, 60_000);
});

describe('a training', () => {
  const few = written.slice(0, 40);
  const options = { version: 1, seed: 3, mix: { rules: 1, model: 1 } };

  it('is the same for the same seed, and another for another', () => {
    const once = train(few, options);
    expect(train(few, options)).toEqual(once);
    expect(train(few, { ...options, seed: 4 }).weights).not.toBe(once.weights);
  });
});

describe('the splits', () => {
  const grouped = written.map((example, i) => ({ ...example, group: `group-${i % 23}` }));

  it('never part a group, and lose nobody', () => {
    const folds = foldsOf(grouped, 5);
    expect(folds.flat()).toHaveLength(grouped.length);
    const homes = new Map<string, Set<number>>();
    folds.forEach((fold, i) => {
      for (const { group } of fold) homes.set(group, (homes.get(group) ?? new Set()).add(i));
    });
    expect([...homes.values()].every((home) => home.size === 1)).toBe(true);
  });

  it('set aside the same fifth of the groups for ever', () => {
    const groups = Array.from({ length: 1_000 }, (_, i) => `owner/repository-${i}`);
    const aside = groups.filter(isHeldOut);
    expect(aside.length).toBeGreaterThan(150);
    expect(aside.length).toBeLessThan(250);
    expect(aside.slice(0, 3)).toEqual(groups.filter(isHeldOut).slice(0, 3));
  });
});

describe('the messages written by hand', () => {
  it('are of all classes, with an id each, and in one set only', () => {
    expect(new Set([...written, ...unseen].map(({ label }) => label))).toEqual(new Set(failureClasses));
    const texts = new Set(written.map(({ text }) => text));
    expect(unseen.filter(({ text }) => texts.has(text))).toEqual([]);
  });
});
