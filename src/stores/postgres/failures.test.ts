import { describe, expect, it } from 'vitest';
import { classifyFailure } from './failures.js';

const cases = [
  ['23505', 'again'],
  ['40P01', 'again'],
  ['57014', 'again'],
  ['53100', 'full'],
  ['53300', 'lost'],
  ['57P01', 'lost'],
  ['57P03', 'lost'],
  ['08006', 'lost'],
  ['25006', 'lost'],
  ['22021', 'item'],
  ['54000', 'item'],
  ['42601', 'fault'],
  ['42501', 'fault'],
] as const;

describe('what an error of the database means', () => {
  it.each(cases)('%s: %s', (code, kind) => {
    expect(classifyFailure(Object.assign(new Error('x'), { code }))).toBe(kind);
  });

  it('takes what did not come from the server for a lost connection', () => {
    expect(classifyFailure(Object.assign(new Error('x'), { code: 'ECONNRESET' }))).toBe('lost');
    expect(classifyFailure(new Error('Connection terminated'))).toBe('lost');
  });
});
