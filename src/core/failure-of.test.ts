import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SpineError } from './errors.js';
import { failureOf } from './failure-of.js';
import { limits } from './limits.js';

const error = (fields: object, message = 'it broke', cause?: unknown): Error =>
  Object.assign(new Error(message, cause === undefined ? {} : { cause }), fields);

describe('failureOf', () => {
  it.each([
    ['a plain error', error({}), 'unknown', true],
    ['a terminal error', error({ name: 'Terminal', retryable: false, code: 'no_funds' }), 'unknown', false],
    ['a transient error with a class', error({ retryable: true, class: 'quota_exhausted' }), 'quota_exhausted', true],
    ['a class alone', error({ class: 'poison' }), 'poison', false],
    ['an abort', new DOMException('aborted', 'AbortError'), 'timeout', true],
    ['a cancellation', error({ name: 'Cancelled' }), 'cancelled', false],
    ['status 400', error({ status: 400 }), 'invalid_request', false],
    ['status 401', error({ statusCode: 401 }), 'auth', false],
    ['status 404', error({ response: { status: 404 } }), 'invalid_request', false],
    ['status 429', error({ status: 429 }), 'rate_limited', true],
    ['status 500', error({ status: 500 }), 'dependency', true],
    ['status 529', error({ status: 529 }), 'overloaded', true],
    ['a provider code over its status', error({ status: 429, code: 'insufficient_quota' }), 'quota_exhausted', false],
    ['a full context', error({ status: 400, code: 'context_length_exceeded' }), 'context_length_exceeded', false],
    ['a reset connection', error({ code: 'ECONNRESET' }), 'network', true],
    ['a failed fetch', new TypeError('fetch failed', { cause: error({ code: 'ECONNREFUSED' }) }), 'network', true],
    ['a timeout below a fetch', error({}, 'x', error({ code: 'UND_ERR_HEADERS_TIMEOUT' })), 'timeout', true],
    ['our own invalid input', new SpineError('INPUT_INVALID', { name: 'a', faults: [] }), 'poison', false],
    ['our own transient error', new SpineError('STORE_BUSY', {}), 'internal', true],
  ])('classifies %s', (_, thrown, failureClass, retryable) => {
    expect(failureOf(thrown)).toMatchObject({ class: failureClass, retryable });
  });

  it.each([
    [
      'a 429 whose body tells of used up credit',
      error(
        {
          statusCode: 429,
          responseBody:
            '{"error":{"message":"You have used all of your monthly credits.","type":"insufficient_quota"}}',
        },
        'Too Many Requests',
      ),
      'quota_exhausted',
      false,
    ],
    [
      'a 400 whose words tell of the context',
      error({ status: 400 }, 'The prompt is too long for the context window of this model'),
      'context_length_exceeded',
      false,
    ],
    [
      'a 400 that is really a lack of capacity',
      error({ status: 400 }, 'The model is overloaded right now, try again later'),
      'overloaded',
      true,
    ],
    [
      'an error object of a provider within the error',
      error({ status: 403, error: { error: { message: 'Your credit balance is too low to go on', type: 'billing' } } }),
      'quota_exhausted',
      false,
    ],
    [
      'a general provider code under clear words',
      error({ status: 400, type: 'invalid_request_error' }, 'prompt is too long: 215000 tokens > 200000 maximum'),
      'context_length_exceeded',
      false,
    ],
    ['a 404 that names no model', error({ status: 404 }, 'There is no such order'), 'invalid_request', false],
    [
      'words alone: a full context',
      error({}, 'prompt is too long: 9 tokens > 8 maximum'),
      'context_length_exceeded',
      true,
    ],
    ['words alone: a timeout', error({}, 'The request timed out'), 'timeout', true],
    ['words alone: a thrown text', 'socket hang up', 'network', true],
    ['words alone that may mean anything', error({}, 'The card has insufficient funds'), 'unknown', true],
    ['words of ours', new SpineError('RUN_CANCELLED', { reason: 'rate limit' }), 'cancelled', false],
  ])('reads what an error says: %s', (_, thrown, failureClass, retryable) => {
    expect(failureOf(thrown)).toMatchObject({ class: failureClass, retryable });
  });

  it('takes the pause that words state, where waiting is the remedy', () => {
    const limited = error({ status: 429 }, 'Rate limit reached. Please try again in 1m2.5s.');
    expect(failureOf(limited)).toMatchObject({ class: 'rate_limited', retryAfterMs: 62_500 });
    expect(failureOf(error({ status: 429, retryAfter: 1 }, 'Rate limit. Try again in 9s.')).retryAfterMs).toBe(1_000);
    expect(failureOf(error({ status: 400 }, 'Invalid value for wait: try again in 9s')).retryAfterMs).toBeUndefined();
  });

  it('reads bodies of any shape without end', () => {
    const loop: Record<string, unknown> = { message: 'loop' };
    loop['error'] = loop;
    loop['data'] = loop;
    loop['response'] = loop;
    expect(failureOf(loop).message).toBe('loop');
  });

  it.each([
    [error({ retryAfterMs: 1500 }), 1500],
    [error({ status: 429, retryAfter: 2 }), 2_000],
    [error({ headers: { 'retry-after': '7' } }), 7_000],
    [error({ response: { headers: new Headers({ 'Retry-After-Ms': '250' }) } }), 250],
    [error({ headers: new Headers({ 'retry-after': 'Wed, 21 Oct 2026 07:28:00 GMT' }) }), undefined],
    [error({ retryAfter: -1 }), undefined],
    [error({}, 'x', error({ retryAfter: 3 })), 3_000],
  ])('reads the pause that a provider asks for (%#)', (thrown, expected) => {
    expect(failureOf(thrown).retryAfterMs).toBe(expected);
  });

  const now = Date.UTC(2026, 9, 21, 7, 0, 0);

  it.each([
    ['a date', { 'retry-after': 'Wed, 21 Oct 2026 07:28:00 GMT' }, 28 * 60_000],
    ['a date long hence', { 'Retry-After': 'Wed, 21 Oct 2026 09:00:00 GMT' }, 2 * 3_600_000],
    ['more than a day', { 'retry-after': '200000' }, 200_000_000],
    ['more than anybody waits', { 'retry-after': '99999999' }, limits.retryPauseMsMax],
    ['when the tokens are back', { 'x-ratelimit-remaining-tokens': '0', 'x-ratelimit-reset-tokens': '6m0s' }, 360_000],
    [
      'when both are back',
      {
        'anthropic-ratelimit-requests-remaining': '0',
        'anthropic-ratelimit-requests-reset': '2026-10-21T07:01:00Z',
        'anthropic-ratelimit-tokens-remaining': '0',
        'anthropic-ratelimit-tokens-reset': '2026-10-21T07:02:00Z',
      },
      120_000,
    ],
    [
      'nothing of what is not used up',
      { 'x-ratelimit-remaining-tokens': '5', 'x-ratelimit-reset-tokens': '6m0s' },
      undefined,
    ],
  ])('reads headers with the clock of whoever has caught it: %s', (_, headers, expected) => {
    expect(failureOf(error({ status: 429, responseHeaders: headers }), now).retryAfterMs).toBe(expected);
  });

  it('takes limits that are met for a pause only where a limit was met', () => {
    const headers = { 'x-ratelimit-remaining-requests': '0', 'x-ratelimit-reset-requests': '1h' };
    expect(failureOf(error({ status: 500, headers }), now).retryAfterMs).toBeUndefined();
  });

  it('keeps the sizes that the words state', () => {
    const words = "This model's maximum context length is 8192 tokens, however you requested 9500 tokens.";
    expect(failureOf(error({ status: 400, code: 'context_length_exceeded' }, words)).triage).toMatchObject({
      limit: 8_192,
      used: 9_500,
    });
  });

  it('takes code and message from the error, and the message of the cause where it says more', () => {
    const thrown = new TypeError('fetch failed', {
      cause: error({ code: 'ENOTFOUND' }, 'getaddrinfo ENOTFOUND model'),
    });
    expect(failureOf(thrown)).toMatchObject({
      code: 'ENOTFOUND',
      message: 'fetch failed: getaddrinfo ENOTFOUND model',
    });
    expect(failureOf(new RangeError('too far'))).toMatchObject({ code: 'RangeError', message: 'too far' });
  });

  it('describes what is not an error', () => {
    expect(failureOf('no')).toMatchObject({ code: 'THROWN_VALUE', message: 'no', retryable: true });
    expect(failureOf(undefined).message).toBe('undefined was thrown.');
  });

  it('never throws and keeps its bounds, whatever is thrown', () => {
    const hostile = new Proxy(
      {},
      {
        get: () => {
          throw new Error('no');
        },
      },
    );
    const cyclic: { cause?: unknown } = {};
    cyclic.cause = cyclic;
    for (const thrown of [hostile, cyclic, Symbol('s'), 1n, () => 1, Object.create(null)]) {
      expect(failureOf(thrown).class).toBe('unknown');
    }
    fc.assert(
      fc.property(fc.anything(), (thrown) => {
        const found = failureOf(thrown);
        expect(found.message.length).toBeLessThanOrEqual(limits.errorMessageLengthMax);
        expect(JSON.parse(JSON.stringify(found))).toEqual(found);
      }),
    );
    expect(failureOf(new Error('x'.repeat(50_000))).message).toHaveLength(limits.errorMessageLengthMax);
  });
});
