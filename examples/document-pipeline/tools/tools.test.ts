import { describe, expect, it } from 'vitest';
import { calculate } from './arithmetic.ts';
import { dateDifference } from './date-difference.ts';
import { lookUpTerm } from './term-lookup.ts';

describe('calculate', () => {
  it.each([
    ['2400 / 18 * 3', 400],
    ['1 + 2 * 3', 7],
    ['(1 + 2) * 3', 9],
    ['2 ^ 3 ^ 2', 512],
    ['10 - 4 - 3', 3],
    ['-2 ^ 2', -4],
    ['2 * -3', -6],
    ['1,400.5 + 1', 1401.5],
  ])('%s = %d', (expression, value) => {
    expect(calculate(expression)).toBe(value);
  });

  it.each(['', '1 +', '(1', '1)', '1 2', 'process.exit()', '1 / 0', '9 ^ 9 ^ 9', `${'1+'.repeat(200)}1`])(
    'refuses %j for good',
    (expression) => {
      expect(() => calculate(expression)).toThrow(expect.objectContaining({ retryable: false }));
    },
  );
});

describe('dateDifference', () => {
  it('counts leap days and no clock changes', () => {
    expect(dateDifference('2024-02-28', '2024-03-01').days).toBe(2);
    expect(dateDifference('2021-05-17', '2024-06-03')).toEqual({ days: 1113, weeks: 159, years: 3.05 });
    expect(dateDifference('2024-06-03', '2024-06-01').days).toBe(-2);
  });

  it.each(['2024-02-30', '2024-13-01', '24-01-01', 'yesterday'])('refuses %s for good', (date) => {
    expect(() => dateDifference(date, '2024-01-01')).toThrow(expect.objectContaining({ retryable: false }));
  });
});

describe('lookUpTerm', () => {
  const text = 'Some words: and more.\nDew point: where moisture condenses.';
  const documents = [{ id: 'g', name: 'g.md', title: 'G', chunks: [{ id: 'g#0', heading: 'H', text, vector: [] }] }];

  it('finds the line that defines a term, in any case', () => {
    expect(lookUpTerm(documents, ' dew  POINT ')).toEqual({
      term: 'Dew point',
      definition: 'where moisture condenses.',
      document: 'g.md',
    });
  });

  it('invents nothing', () => {
    expect(lookUpTerm(documents, 'point')).toBeNull();
  });
});
