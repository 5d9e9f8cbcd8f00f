import { describe, expect, it } from 'vitest';
import { readFeedback } from './feedback.js';

const now = Date.UTC(2026, 10, 21, 12, 0, 0);

describe('readFeedback', () => {
  it('says nothing where the headers say nothing that it understands', () => {
    expect(readFeedback({}, now)).toBeNull();
    expect(readFeedback({ 'retry-after': 'soon', 'x-ratelimit-remaining-tokens': '-4' }, now)).toBeNull();
  });

  it.each([
    ['3600', 3_600_000],
    ['0.5', 500],
    ['Sat, 21 Nov 2026 12:05:00 GMT', 300_000],
    ['Sat, 21 Nov 2026 11:05:00 GMT', 0],
  ])('reads Retry-After: %s', (text, ms) => {
    expect(readFeedback({ 'Retry-After': text }, now)?.retryAfterMs).toBe(ms);
  });

  it('prefers the finer header', () => {
    expect(readFeedback(new Headers({ 'retry-after-ms': '120', 'retry-after': '1' }), now)?.retryAfterMs).toBe(120);
  });

  it('reads what OpenAI and those like it send', () => {
    const headers = {
      'x-ratelimit-limit-requests': '60',
      'x-ratelimit-remaining-requests': '59',
      'x-ratelimit-reset-requests': '1s',
      'x-ratelimit-limit-tokens': '150000',
      'x-ratelimit-remaining-tokens': '149984',
      'x-ratelimit-reset-tokens': '6m0s',
    };
    expect(readFeedback(headers, now)).toEqual({
      retryAfterMs: null,
      requests: { limit: 60, remaining: 59, resetMs: 1_000 },
      tokens: { limit: 150_000, remaining: 149_984, resetMs: 360_000 },
    });
  });

  it('reads what Anthropic sends', () => {
    const headers = {
      'anthropic-ratelimit-requests-limit': '50',
      'anthropic-ratelimit-requests-remaining': '0',
      'anthropic-ratelimit-requests-reset': '2026-11-21T12:00:30Z',
      'anthropic-ratelimit-input-tokens-limit': '40000',
      'anthropic-ratelimit-input-tokens-remaining': '39000',
      'anthropic-ratelimit-input-tokens-reset': '2026-11-21T14:00:30.5+02:00',
    };
    expect(readFeedback(headers, now)).toEqual({
      retryAfterMs: null,
      requests: { limit: 50, remaining: 0, resetMs: 30_000 },
      tokens: { limit: 40_000, remaining: 39_000, resetMs: 30_000 },
    });
  });

  it.each([
    ['12ms', 12],
    ['1m30.5s', 90_500],
    ['7', 7_000],
    [String(now / 1_000 + 5), 5_000],
    ['1d', 86_400_000],
    ['x', null],
  ])('reads a reset of %s', (text, ms) => {
    const found = readFeedback({ 'x-ratelimit-remaining-requests': '1', 'x-ratelimit-reset-requests': text }, now);
    expect(found?.requests?.resetMs).toBe(ms);
  });
});
