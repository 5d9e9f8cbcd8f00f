import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { failure, failureClasses, type Failure, type FailureClass } from './failure.js';
import {
  decideRemedy,
  isRemedyPolicy,
  mergedRemedies,
  remedies,
  remedyChoices,
  remedyText,
  tooLongFailure,
  type RemedyCase,
} from './remedies.js';

const retry = { attempts: 3, minMs: 100, maxMs: 1_000, factor: 2 };

function cause(kind: FailureClass, retryable: boolean, retryAfterMs?: number): Failure {
  const told = retryAfterMs === undefined ? {} : { retryAfterMs };
  return failure({ class: kind, code: 'X', message: 'm', retryable, ...told });
}

function found(given: Partial<RemedyCase> & Pick<RemedyCase, 'failure'>): RemedyCase {
  return { choice: 'auto', retry, attempt: 1, can: {}, leftMs: null, random: 0.5, ...given };
}

const all = { reroute: { version: 'large' }, compact: true, fallback: true } as const;

describe('decideRemedy', () => {
  it.each([
    ['waits exactly as told', found({ failure: cause('rate_limited', true, 7_200_000) }), 'wait', 7_200_000],
    ['pauses by the policy where nothing is told', found({ failure: cause('overloaded', true) }), 'retry', 50],
    ['does not take a pause of nothing for one', found({ failure: cause('overloaded', true, 0) }), 'retry', 50],
    [
      'tries again what nobody would, where that is declared',
      found({ failure: cause('auth', false), choice: 'retry' }),
      'retry',
      50,
    ],
  ])('%s', (_, given, name, delayMs) => {
    expect(decideRemedy(given)).toEqual({ tag: 'again', delayMs, remedy: { name } });
  });

  it.each([
    [
      'goes to a larger window first',
      found({ failure: cause('context_length_exceeded', false), can: all }),
      { name: 'reroute', version: 'large' },
    ],
    [
      'makes the request smaller where there is none',
      found({ failure: cause('context_length_exceeded', false), can: { ...all, reroute: undefined as never } }),
      { name: 'compact' },
    ],
    [
      'asks the next where attempts are used up',
      found({ failure: cause('overloaded', true), attempt: 3, can: all }),
      { name: 'fallback' },
    ],
    [
      'asks the next at once where that is declared',
      found({ failure: cause('overloaded', true), choice: 'fallback', can: all }),
      { name: 'fallback' },
    ],
    [
      'quarantines poison, whoever else could be asked',
      found({ failure: cause('poison', false), can: all }),
      { name: 'quarantine' },
    ],
    [
      'quarantines what is declared to be',
      found({ failure: cause('timeout', true), choice: 'quarantine', can: all }),
      { name: 'quarantine' },
    ],
    ['leaves the rest to a person', found({ failure: cause('auth', false) }), { name: 'person' }],
    [
      'says what it proposes to one',
      found({ failure: cause('overloaded', true), choice: 'person' }),
      { name: 'person', proposed: { name: 'retry' } },
    ],
    [
      'goes on with what suits where the declared cannot be done',
      found({ failure: cause('auth', false), choice: 'reroute', can: { fallback: true } }),
      { name: 'fallback' },
    ],
  ])('%s', (_, given, remedy) => {
    expect(decideRemedy(given)).toEqual({ tag: 'over', remedy, tooLongMs: null });
  });

  it('does nothing about what may have been paid for, whatever is declared', () => {
    const ambiguous = failure({ class: 'unknown', code: 'INFERENCE_AMBIGUOUS', message: 'm', retryable: false });
    for (const choice of remedyChoices)
      expect(decideRemedy(found({ failure: ambiguous, choice, can: all })).remedy).toEqual({ name: 'person' });
  });

  it('does not wait longer than there is time for, and takes what comes next instead', () => {
    const failed = cause('rate_limited', true, 60_000);
    expect(decideRemedy(found({ failure: failed, leftMs: 60_001 })).tag).toBe('again');
    expect(decideRemedy(found({ failure: failed, leftMs: 60_000 }))).toEqual({
      tag: 'over',
      remedy: { name: 'person' },
      tooLongMs: 60_000,
    });
    expect(decideRemedy(found({ failure: failed, leftMs: 5, can: { fallback: true } })).remedy).toEqual({
      name: 'fallback',
    });
    expect(tooLongFailure(failed, 60_000, 5)).toMatchObject({
      class: 'rate_limited',
      code: 'PAUSE_TOO_LONG',
      retryable: false,
    });
  });

  it('ends whatever happens: attempts are used up, and nothing is done that cannot be', () => {
    const cases = fc.record({
      failure: fc.record({
        kind: fc.constantFrom(...failureClasses),
        retryable: fc.boolean(),
        told: fc.option(fc.nat()),
      }),
      choice: fc.constantFrom(...remedyChoices),
      reroute: fc.boolean(),
      compact: fc.boolean(),
      fallback: fc.boolean(),
      leftMs: fc.option(fc.nat()),
    });
    fc.assert(
      fc.property(cases, ({ failure: { kind, retryable, told }, choice, reroute, compact, fallback, leftMs }) => {
        const can = {
          ...(reroute ? { reroute: all.reroute } : {}),
          ...(compact ? { compact: true as const } : {}),
          ...(fallback ? { fallback: true as const } : {}),
        };
        for (let attempt = 1; attempt <= retry.attempts; attempt++) {
          const decision = decideRemedy(
            found({ failure: cause(kind, retryable, told ?? undefined), choice, can, leftMs, attempt }),
          );
          expect(remedies).toContain(decision.remedy.name);
          if (decision.tag === 'again') {
            expect(attempt).toBeLessThan(retry.attempts);
            // What the provider asks for is never undercut.
            expect(decision.delayMs).toBeGreaterThanOrEqual(told ?? 0);
            continue;
          }
          const { name } = decision.remedy;
          if (name === 'reroute' || name === 'compact' || name === 'fallback') expect(can).toHaveProperty(name);
          return;
        }
        throw new Error('it goes on for ever');
      }),
    );
  });
});

describe('policies', () => {
  it('lie on top of each other, the nearest last', () => {
    expect(mergedRemedies({ auth: 'person', timeout: 'retry' }, undefined, { timeout: 'fallback' })).toEqual({
      auth: 'person',
      timeout: 'fallback',
    });
  });

  it('are known by their shape', () => {
    expect(isRemedyPolicy({ timeout: 'auto', auth: 'person' })).toBe(true);
    for (const other of [null, [], 'auto', { timeouts: 'auto' }, { timeout: 'pray' }])
      expect(isRemedyPolicy(other)).toBe(false);
  });

  it('are said in words', () => {
    expect(remedyText({ name: 'person', proposed: { name: 'reroute', version: 'large' } })).toBe(
      'person (proposed: reroute to large)',
    );
  });
});
