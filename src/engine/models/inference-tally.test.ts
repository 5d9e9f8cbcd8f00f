import { describe, expect, it } from 'vitest';
import { limits } from '../../core/limits.js';
import type { RunEvent } from '../../core/run/events.js';
import { applyEvent, emptyState, type RunState } from '../../core/run/state.js';
import { InferenceTally } from './inference-tally.js';

const usage = { inputTokens: 10, cachedInputTokens: 4, outputTokens: 3 };
const reserved = { tokens: 0, costMicros: 0 };

function told(state: RunState, tally: InferenceTally, type: string, data: object): void {
  const event = { seq: state.head + 1, at: 0, type, data: { path: 'a', attempt: 1, ...data } } as unknown as RunEvent;
  applyEvent(state, event);
  tally.note(state, [event]);
}

function asked(state: RunState, tally: InferenceTally, model: string): void {
  const grant = { version: 'v1', arm: 'v1', endpoint: 'e', idempotencyKey: 'k', reserved, limits: [] };
  told(state, tally, 'inference.requested', { model, policy: ['retry'], grant });
}

describe('the tally of inferences', () => {
  it('counts calls, their outcomes and what they took, by model and version', () => {
    const tally = new InferenceTally();
    const state = emptyState('t', 'r');
    asked(state, tally, 'writer');
    told(state, tally, 'inference.ambiguous', { policy: 'retry' });
    asked(state, tally, 'writer');
    told(state, tally, 'inference.retrying', {
      retryAt: 0,
      failure: { class: 'timeout', code: 'T' },
      usage: null,
      costMicros: 0,
    });
    asked(state, tally, 'writer');
    told(state, tally, 'inference.completed', {
      usage,
      costMicros: 9,
      finish: 'stop',
      durationMs: 20,
      providerId: null,
    });
    expect(tally.counts()).toEqual([
      {
        model: 'writer',
        version: 'v1',
        calls: 3,
        completed: 1,
        failed: 0,
        retried: 1,
        ambiguous: 1,
        inputTokens: 6,
        cachedInputTokens: 4,
        outputTokens: 3,
        costMicros: 9,
        durationMs: 20,
      },
    ]);
  });

  it('tells no more models apart than its bound', () => {
    const tally = new InferenceTally();
    for (let i = 0; i < limits.metricNamesMax + 10; i++) asked(emptyState('t', `r${i}`), tally, `m${i}`);
    const counts = tally.counts();
    expect(counts).toHaveLength(limits.metricNamesMax + 1);
    expect(counts.find(({ model }) => model === '(others)')?.calls).toBe(10);
  });
});
