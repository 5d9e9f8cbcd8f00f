import { describe, expect, it } from 'vitest';
import { readFailure, squeeze } from './reading.js';

describe('a reading', () => {
  it.each([
    ['{"error":{"type":"rate_limit_error"}}', 'ratelimit'],
    ["{'error': {'code': 'context_length_exceeded'}}", 'contextlengthexceeded'],
    ['{\\"error\\":{\\"status\\":\\"RESOURCE_EXHAUSTED\\"}}', 'resourceexhausted'],
    ['openai.RateLimitError: no', 'ratelimit'],
    ['An error occurred (throttlingException)', 'throttling'],
    ['read ECONNRESET', 'econnreset'],
  ])('finds the code in %j', (text, code) => {
    expect(readFailure({ text }).codes).toContain(code);
  });

  it.each([
    ['HTTP/1.1 503 Service Unavailable', 503],
    ['Error code: 429 - no', 429],
    ['{"error":{"code":400}}', 400],
    ['<title>502 Bad Gateway</title>', 502],
    ['503 tokens were used', null],
    ['nothing of the kind', null],
  ])('finds the status that is stated in %j', (text, status) => {
    expect(readFailure({ text }).statedStatus).toBe(status);
  });

  it.each([
    ['openai', 'model'],
    ['a provider that nobody knows', 'model'],
    ['PostgreSQL', 'store'],
    ['kafka', 'bus'],
    ['mcp', 'tool'],
    ['langchain', 'parser'],
    ['undici', 'http'],
    ['unknown', null],
    ['', null],
  ])('takes %j for what it is', (provider, source) => {
    expect(readFailure({ text: '', provider }).source).toBe(source);
  });

  it('takes names apart and leaves quotes out', () => {
    expect(readFailure({ text: 'RateLimitError: "gpt-4.1" is_busy' }).words).toBe('rate limit error: gpt 4·1 is busy');
  });

  it('counts what is not of its type as absent', () => {
    expect(readFailure({ text: 1, httpStatus: '429', provider: {} } as never)).toMatchObject({
      text: '',
      status: null,
      source: null,
    });
    expect(readFailure({ text: '', httpStatus: 42 }).status).toBeNull();
  });
});

describe('squeeze', () => {
  it('gives all spellings of a code one form', () => {
    expect(['RateLimitError', 'rate_limit_error', 'rate-limit'].map(squeeze)).toEqual([
      'ratelimit',
      'ratelimit',
      'ratelimit',
    ]);
  });
});
