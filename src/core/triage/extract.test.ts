import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { classifyFailure } from './classify.js';

const waitIn = (text: string, headers?: Record<string, string>): number | undefined =>
  classifyFailure({ text, httpStatus: 429, ...(headers === undefined ? {} : { headers }) }).extract?.retry_after_s;

describe('the pause that a failure states', () => {
  it.each([
    ['Please try again in 7m12s.', 432],
    ['Please try again in 1h2m3.5s', 3_723.5],
    ['Please retry after 26 seconds.', 26],
    ['please wait 1.5s before the next request', 1.5],
    ['Please try again in 644ms.', 0.644],
    ['"retryDelay":"34s"', 34],
    ['{\\"retryDelay\\": \\"34.074824224s\\"}', 34.074824224],
    ['retry_after: 12', 12],
    ['Retry-After: 30', 30],
    ['retry_after_ms=1500', 1.5],
    ['"retry_after_seconds": 5', 5],
    ['Retry in 2 minutes and 30 seconds', 150],
    ['Your limit resets in 3 hours', 10_800],
    ['Expected available in 3 seconds.', 3],
    ['请在 20 秒后重试', 20],
  ])('is read from %j', (text, seconds) => {
    expect(waitIn(text)).toBe(seconds);
  });

  it.each([
    'Retrying in 1.0 seconds as it raised an error',
    'took 30 seconds',
    'Limit 30000, Used 29937, Requested 385',
    'retry after a while',
    'Retry-After: Wed, 21 Oct 2026 07:28:00 GMT',
    'try again in 2026-10-21',
  ])('is not made up from %j', (text) => {
    expect(waitIn(text)).toBeUndefined();
  });

  it('is read from headers before words', () => {
    expect(waitIn('try again in 9s', { 'retry-after': '3' })).toBe(3);
    expect(waitIn('try again in 9s', { 'retry-after': '3', 'retry-after-ms': '250' })).toBe(0.25);
    expect(waitIn('try again in 9s', { 'retry-after': 'tomorrow' })).toBe(9);
  });

  it('is the sum of its parts', () => {
    fc.assert(
      fc.property(fc.nat(23), fc.nat(59), fc.nat(59), (h, m, s) => {
        expect(waitIn(`Try again in ${h}h${m}m${s}s.`)).toBe(h * 3_600 + m * 60 + s);
      }),
    );
  });
});

describe('the sizes that a failure states', () => {
  it.each([
    ["This model's maximum context length is 8192 tokens. However, you requested 9000 tokens.", 8_192, 9_000],
    ['prompt is too long: 213462 tokens > 200000 maximum', 200_000, 213_462],
    ['input length and max_tokens exceed context limit: 188240 + 21333 > 200000', 200_000, 209_573],
    ['The input token count (1196265) exceeds the maximum number of tokens allowed (1048575)', 1_048_575, 1_196_265],
    ['Your prompt has 45,120 tokens, the context window is 32,768 tokens.', 32_768, 45_120],
    ['request (4390 tokens) exceeds the available context size (4096 tokens)', 4_096, 4_390],
  ])('are read from %j', (text, limit, used) => {
    expect(classifyFailure({ text, httpStatus: 400 }).extract).toEqual({ limit, used });
  });

  it('are not read where the failure is not about size', () => {
    expect(
      classifyFailure({ text: 'Rate limit reached: Limit 30000, Used 29937', httpStatus: 429 }).extract,
    ).toBeUndefined();
  });

  it('leave out a status, a version and a date', () => {
    const text = 'Error 413: the payload is too large (api 2024-02-01, gpt-4o-2024-08-06)';
    expect(classifyFailure({ text, httpStatus: 413 }).extract).toBeUndefined();
  });
});
