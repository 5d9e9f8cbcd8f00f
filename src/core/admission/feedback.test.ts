import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  agedFeedback,
  feedbackOfAnswer,
  feedbackOfError,
  pausesOf,
  readFeedback,
  toldPauseMs,
  type Feedback,
} from './feedback.js';

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

describe('what was said a while ago', () => {
  const count = fc.option(fc.integer({ min: 0, max: 1e9 }), { nil: null });
  const left = fc.option(fc.record({ limit: count, remaining: count, resetMs: count }), { nil: null });
  const said = fc.record({ retryAfterMs: count, requests: left, tokens: left });
  const pauseMs = (feedback: Feedback | null): number => (feedback === null ? 0 : toldPauseMs(feedback, true));

  it('asks for a pause that is shorter by just as much', () => {
    fc.assert(
      fc.property(said, fc.integer({ min: 0, max: 80_000_000 }), (feedback, ageMs) => {
        const bounded = { ...feedback, retryAfterMs: Math.min(feedback.retryAfterMs ?? 0, 80_000_000) };
        const expected = Math.max(0, pauseMs({ ...bounded, requests: null, tokens: null }) - ageMs);
        const aged = agedFeedback({ ...bounded, requests: null, tokens: null }, ageMs);
        expect(pauseMs(aged)).toBe(expected);
        expect(pauseMs(agedFeedback(feedback, ageMs))).toBeLessThanOrEqual(pauseMs(feedback));
      }),
    );
  });

  it('has given back by now what comes back evenly, and says nothing of what is full again', () => {
    const requests = { limit: 100, remaining: 20, resetMs: 1_000 };
    const of = (ageMs: number) => agedFeedback({ retryAfterMs: null, requests, tokens: null }, ageMs)?.requests;
    expect(of(0)).toEqual(requests);
    expect(of(500)).toEqual({ limit: 100, remaining: 60, resetMs: 500 });
    expect(of(1_000)).toBeUndefined();
  });

  it('keeps of it, for those without a counter of the endpoint, what asks for a pause', () => {
    const spent = { limit: 100, remaining: 0, resetMs: 10 };
    const some = { ...spent, remaining: 1 };
    expect(pausesOf({ retryAfterMs: null, requests: some, tokens: some })).toBeNull();
    expect(pausesOf({ retryAfterMs: null, requests: some, tokens: spent })).toEqual({
      retryAfterMs: null,
      requests: null,
      tokens: spent,
    });
  });
});

describe('where headers are', () => {
  const headers = { 'Retry-After': '3' };
  const three = { retryAfterMs: 3_000, requests: null, tokens: null };

  it.each([
    ['responseHeaders', { responseHeaders: headers }],
    ['headers', { headers: new Headers(headers) }],
    ['a response', { response: { headers } }],
    ['a cause', new Error('failed', { cause: { responseHeaders: headers } })],
  ])('finds them under %s of an error', (_, error) => {
    expect(feedbackOfError(error, now)).toEqual(three);
  });

  it('finds them in an answer, and is told nothing by what cannot be read', () => {
    expect(feedbackOfAnswer({ response: { headers } }, now)).toEqual(three);
    for (const odd of [null, 'x', 7, {}, { response: 1 }, { response: { headers: { 'retry-after': ['3'] } } }])
      expect(feedbackOfAnswer(odd, now)).toBeNull();
    const hostile = new Proxy(
      {},
      {
        get: () => {
          throw new Error('no');
        },
      },
    );
    expect(feedbackOfError(hostile, now)).toBeNull();
    expect(feedbackOfError({ headers: hostile }, now)).toBeNull();
  });
});
