import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { failureClasses } from '../failure.js';
import { limits } from '../limits.js';
import { classifyFailure } from './classify.js';
import { concepts } from './concepts/concepts.js';
import type { FailureInput } from './reading.js';
import { treatments } from './remedies.js';

describe('classifyFailure', () => {
  it.each([
    ['a full context', { text: 'prompt is too long: 9000 tokens > 8000 maximum' }, 'context_length_exceeded'],
    ['a status that misleads: credit', { text: 'Your credit balance is too low.', httpStatus: 400 }, 'quota_exhausted'],
    ['a status that misleads: a limit', { text: 'Too many requests, slow down', httpStatus: 402 }, 'rate_limited'],
    [
      'a 429 that can never fit',
      { text: 'Request too large on tokens per min: Limit 30000, Requested 31538.', httpStatus: 429 },
      'payload_too_large',
    ],
    ['a code among nothing', { text: '', codes: ['UND_ERR_HEADERS_TIMEOUT'] }, 'timeout'],
    ['a code of capitals', { text: 'RESOURCE_EXHAUSTED', httpStatus: 429 }, 'rate_limited'],
    ['JSON within a text', { text: 'failed: {\\"error\\":{\\"type\\":\\"overloaded_error\\"}}' }, 'overloaded'],
    ['a Python dict', { text: "Error code: 401 - {'error': {'type': 'authentication_error'}}" }, 'auth'],
    ['a refusal by a store', { text: 'connect ECONNREFUSED', provider: 'redis' }, 'dependency'],
    ['the same without a store', { text: 'connect ECONNREFUSED' }, 'network'],
    ['a status alone', { text: '', httpStatus: 503 }, 'overloaded'],
    ['nothing', { text: '' }, 'unknown'],
    ['a message of another language', { text: '当前负载过高，请稍后重试' }, 'overloaded'],
  ] as const)('knows %s', (_, input, label) => {
    expect(classifyFailure(input).label).toBe(label);
  });

  it('says what follows, how sure it is, why, by whom and of which version', () => {
    const triage = classifyFailure({ text: 'Rate limit reached. Try again in 7m12s.', httpStatus: 429 });
    expect(triage).toEqual({
      label: 'rate_limited',
      remedy: 'retry_after_delay',
      retryable: true,
      confidence: triage.confidence,
      reason: 'It says this: a rate limit was reached (HTTP 429).',
      extract: { retry_after_s: 432 },
      by: 'rule',
      explicit: true,
      version: triage.version,
    });
    expect(triage.confidence).toBeGreaterThan(0.9);
    expect(triage.version).toMatch(/^\d+\.\d+$/);
  });

  it('tells words from a mere status', () => {
    expect(classifyFailure({ text: 'no', httpStatus: 404 }).explicit).toBe(false);
    expect(classifyFailure({ text: 'model not found', httpStatus: 404 }).explicit).toBe(true);
  });

  it('takes what cannot be retried where both are about as likely, and says so', () => {
    const unsure = fc
      .sample(fc.constantFrom('quota', 'limit', 'busy', 'invalid', 'exceeded', 'later', 'key', 'model', 'policy'), {
        numRuns: 600,
        seed: 5,
      })
      .map((word, i, words) => classifyFailure({ text: `${word} ${words[i + 1] ?? ''} ${words[i + 2] ?? ''}` }));
    const swayed = unsure.filter(({ reason }) => reason.includes('It may also be'));
    expect(swayed.length).toBeGreaterThan(0);
    expect(swayed.filter(({ retryable }) => retryable)).toEqual([]);
  });

  it('never throws and keeps its form, whatever it is given', () => {
    const anyInput = fc.record({
      text: fc.oneof(fc.string({ unit: 'binary' }), fc.anything()),
      httpStatus: fc.oneof(fc.integer(), fc.anything()),
      provider: fc.oneof(fc.string(), fc.anything()),
      codes: fc.oneof(fc.array(fc.anything()), fc.anything()),
      headers: fc.oneof(fc.dictionary(fc.constantFrom('retry-after', 'x'), fc.anything()), fc.anything()),
      source: fc.anything(),
    }) as fc.Arbitrary<FailureInput>;
    fc.assert(
      fc.property(anyInput, (input) => {
        const triage = classifyFailure(input);
        expect(failureClasses).toContain(triage.label);
        expect(triage.confidence).toBeGreaterThanOrEqual(0);
        expect(triage.confidence).toBeLessThanOrEqual(1);
        expect(triage.reason).not.toBe('');
        expect(JSON.parse(JSON.stringify(triage))).toEqual(triage);
      }),
      { numRuns: 150 },
    );
  });

  it('never throws, whatever stands in the place of the input', () => {
    const hostile = new Proxy(
      {},
      {
        get: () => {
          throw new Error('no');
        },
      },
    );
    for (const input of [
      hostile,
      { text: 'x', headers: hostile, codes: [hostile] },
      null,
      undefined,
      1,
      'text',
      [],
      new Proxy({}, { get: () => 'x' }),
    ]) {
      expect(classifyFailure(input as unknown as FailureInput).label).toBeTypeOf('string');
    }
  });

  it('reads the beginning and the end of a long text, and nothing between', () => {
    const far = 'x '.repeat(limits.triageHeadLengthMax);
    expect(classifyFailure({ text: `the rate limit was reached ${far}` }).label).toBe('rate_limited');
    expect(classifyFailure({ text: `${far} the rate limit was reached` }).label).toBe('rate_limited');
    expect(classifyFailure({ text: `${far} the rate limit was reached ${far}` }).explicit).toBe(false);
  });
});

describe('the time that triage takes', () => {
  /** Words of the patterns themselves, repeated without end: what an expression that is not linear chokes on. */
  const words = [
    ...new Set(
      concepts()
        .flatMap(({ patterns }) => patterns)
        .flatMap(
          ({ source }) => source.replace(/\\[a-z]/gi, ' ').match(/[a-z]{3,}(?: [a-z]{2,})*|[^\x00-\x7f]+/g) ?? [],
        ),
    ),
  ];
  const separators = ['', ' ', ',', '1 ', '":"', '\\"', '_', '. '];
  const full = limits.triageHeadLengthMax + limits.triageTailLengthMax;
  /** Tens of ms on a quiet machine; what is quadratic takes seconds. */
  const elapsedMsMax = 1_000;

  it('is bounded for any text of full length made of its own words', () => {
    const texts = fc.array(fc.tuple(fc.constantFrom(...words), fc.constantFrom(...separators)), {
      minLength: 1,
      maxLength: 3,
    });
    fc.assert(
      fc.property(texts, (parts) => {
        const unit = parts.flat().join('');
        const text = unit.repeat(Math.ceil(full / unit.length));
        const begun = performance.now();
        classifyFailure({ text });
        expect(performance.now() - begun).toBeLessThan(elapsedMsMax);
      }),
      { numRuns: 60 },
    );
  });

  it.each([
    'a',
    ' ',
    '1',
    '1,',
    '"',
    '\\',
    '{"',
    '{"a":',
    '[',
    '<',
    '-',
    'A',
    'aA',
    'error:',
    'Error',
    '\u{1F600}',
    '限',
  ])('is bounded for %j without end', (unit) => {
    const begun = performance.now();
    classifyFailure({ text: unit.repeat(200_000), provider: unit.repeat(10_000), codes: [unit.repeat(10_000)] });
    expect(performance.now() - begun).toBeLessThan(elapsedMsMax);
  });
});

describe('the remedies', () => {
  it('are those of the table of failure classes', () => {
    expect(Object.keys(treatments).sort()).toEqual([...failureClasses].sort());
    const retried = failureClasses.filter((label) => treatments[label].retryable);
    expect(retried).toEqual([
      'rate_limited',
      'overloaded',
      'timeout',
      'invalid_output',
      'network',
      'internal',
      'dependency',
    ]);
  });
});
