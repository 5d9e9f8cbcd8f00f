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
