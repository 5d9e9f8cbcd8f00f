import { describe, expect, it } from 'vitest';
import { failure } from '../../core/failure.js';
import type { NewRunEvent, RunEvent } from '../../core/run/events.js';
import { limits } from '../../core/limits.js';
import { trailOf } from './trail.js';

const cause = failure({ class: 'overloaded', code: 'X', message: 'm', retryable: true });
const dated = (events: readonly NewRunEvent[]): RunEvent[] =>
  events.map((event, i) => ({ ...event, seq: i + 1, at: i }));

describe('trailOf', () => {
  it('tells the attempts of what failed, an inference among them, and stops at the death that it is of', () => {
    const usage = { usage: null, costMicros: 0 };
    const events = dated([
      { type: 'inference.retrying', data: { path: 'a', attempt: 1, retryAt: 5, failure: cause, ...usage } },
      { type: 'step.failed', data: { path: 'b', attempt: 1, failure: cause } },
      { type: 'inference.failed', data: { path: 'a', attempt: 2, failure: cause, ...usage } },
      { type: 'run.failed', data: { failure: cause, path: 'a', deadLetter: 'dlq_1' } },
      { type: 'run.redriven', data: { by: 'x', paths: ['a'], deadLetter: 'dlq_1' } },
    ]);
    expect(trailOf({ id: 'dlq_1', path: 'a' }, events).map(({ what, attempt }) => [what, attempt])).toEqual([
      ['attempt_failed', 1],
      ['attempt_failed', 2],
      ['gave_up', null],
    ]);
  });

  it('keeps the newest of too many', () => {
    const many = Array.from(
      { length: limits.trailItemsMax + 20 },
      (_, i): NewRunEvent => ({
        type: 'step.retrying',
        data: { path: 'a', attempt: i + 1, retryAt: 0, failure: cause },
      }),
    );
    const trail = trailOf({ id: 'dlq_1', path: 'a' }, dated(many));
    expect(trail).toHaveLength(limits.trailItemsMax);
    expect(trail.at(-1)?.attempt).toBe(limits.trailItemsMax + 20);
  });
});
