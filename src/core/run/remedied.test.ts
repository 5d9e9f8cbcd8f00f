import { describe, expect, it } from 'vitest';
import { failure } from '../failure.js';
import { limits } from '../limits.js';
import { declaredRemedies, leftMsOf, remedied } from './remedied.js';
import { emptyState } from './state.js';

const wide = '\u4e00';
/** Of an envelope without its data. */
const attributesBytes = 700;
const retry = { attempts: 1, minMs: 0, maxMs: 0, factor: 1 };

describe('remedied', () => {
  it('leaves room for the remedy beside the longest failure that there is', () => {
    const longest = failure({
      class: 'context_length_exceeded',
      code: wide.repeat(limits.nameLengthMax),
      message: wide.repeat(limits.errorMessageLengthMax),
      retryable: false,
      stack: wide.repeat(limits.errorStackLengthMax),
      triage: {
        remedy: 'reroute_larger_context',
        confidence: 0.123,
        reason: wide.repeat(limits.triageReasonLengthMax),
        version: '1.1',
        limit: Number.MAX_SAFE_INTEGER,
        used: Number.MAX_SAFE_INTEGER,
      },
    });
    const can = { reroute: { version: wide.repeat(limits.nameLengthMax) } };
    const { told } = remedied({ failure: longest, choice: 'auto', retry, attempt: 1, can, leftMs: null, random: 0 });
    expect(told.remedy).toEqual({ name: 'reroute', ...can.reroute });
    const bytes = new TextEncoder().encode(JSON.stringify(told)).length;
    const path = wide.length * 3 * limits.pathLengthMax;
    expect(bytes + path).toBeLessThanOrEqual(limits.envelopeBytesMax - attributesBytes);
  });

  it('says nothing of what was cancelled', () => {
    const cancelled = failure({ class: 'cancelled', code: 'C', message: 'm', retryable: false });
    const found = { failure: cancelled, choice: 'auto', retry, attempt: 1, can: {}, leftMs: null, random: 0 } as const;
    expect(remedied(found)).toEqual({ tag: 'over', told: { failure: cancelled } });
  });
});

describe('leftMsOf', () => {
  it('is what the run or the timer leaves, whichever ends first', () => {
    const state = emptyState('t', 'run_1');
    expect(leftMsOf(state, 100)).toBeNull();
    state.timeoutAt = 1_000;
    expect(leftMsOf(state, 100)).toBe(900);
    state.units.set('within', { kind: 'timer', status: 'set', fireAt: 400 });
    expect(leftMsOf(state, 100, 'within')).toBe(300);
    state.units.set('within', { kind: 'timer', status: 'fired', fireAt: 400 });
    expect(leftMsOf(state, 100, 'within')).toBe(900);
  });
});

describe('declaredRemedies', () => {
  it('is nothing where nothing is declared', () => {
    expect(declaredRemedies(undefined, {})).toEqual({});
    expect(declaredRemedies({ auth: 'person' }, { auth: 'retry' })).toEqual({ remedies: { auth: 'retry' } });
  });
});
