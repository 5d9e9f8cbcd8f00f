import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareAnswers, textSimilarity } from './answer-comparison.js';

const said = (text: string, toolCalls: { toolName: string; input: unknown }[] = []) => ({ text, toolCalls });

describe('the likeness of texts', () => {
  it('is 1 for the same, 0 for what has nothing in common, and between for the rest', () => {
    expect(textSimilarity('It is spam.', 'it  is\nspam.')).toBe(1);
    expect(textSimilarity('night', 'nacht')).toBeCloseTo(0.25);
    expect(textSimilarity('abc', 'xyz')).toBe(0);
    expect(textSimilarity('', 'x')).toBe(0);
    expect(textSimilarity('今日は晴れです', '今日は雨です')).toBeGreaterThan(0.4);
  });

  it('lies from 0 to 1, and is the same in either order', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (a, b) => {
        const likeness = textSimilarity(a, b);
        expect(likeness).toBeGreaterThanOrEqual(0);
        expect(likeness).toBeLessThanOrEqual(1);
        expect(textSimilarity(b, a)).toBe(likeness);
        expect(textSimilarity(a, a)).toBe(1);
      }),
    );
  });
});

describe('answers', () => {
  it('are the same where text and calls of tools are', () => {
    expect(compareAnswers(said('a'), said('a'))).toEqual({ exact: true, json: null, similarity: 1, tools: null });
    const look = { toolName: 'look', input: { city: 'Lima', days: 2 } };
    const again = { toolName: 'look', input: { days: 2, city: 'Lima' } };
    const other = { toolName: 'look', input: { city: 'Oslo', days: 2 } };
    expect(compareAnswers(said('', [look, other]), said('', [other, again]))).toEqual({
      exact: true,
      json: null,
      similarity: null,
      tools: true,
    });
    expect(compareAnswers(said('', [look]), said('', [other]))).toMatchObject({ exact: false, tools: false });
    expect(compareAnswers(said('a', [look]), said('a'))).toMatchObject({ exact: false, tools: false });
  });

  it('are compared as JSON where that was asked for', () => {
    const json = (text: string) => ({ ...said(text), json: { value: JSON.parse(text) as unknown } });
    expect(compareAnswers(json('{"a":1,"b":2}'), json('{"b":2, "a":1}'))).toMatchObject({ exact: false, json: true });
    expect(compareAnswers(json('{"a":1}'), { ...said('no'), json: null })).toMatchObject({ json: false });
  });
});
