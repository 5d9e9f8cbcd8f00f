import { describe, expect, it } from 'vitest';
import type { RunEvent } from '../../core/run/events.js';
import type { RunState } from '../../core/run/state.js';
import type { CommittedChange } from '../runs/committed.js';
import { endOf } from './assignment-end.js';
import type { Held } from './session.js';

type Brief = readonly [seq: number, type: RunEvent['type'], path?: string];

/** A commit of these events to a run whose task `c2` is the call `ask`. */
function committed(events: readonly Brief[], status: RunState['status'] = 'active'): CommittedChange {
  return {
    state: { status, callPaths: new Map([['c2', 'ask']]) },
    events: events.map(([seq, type, path]) => ({ seq, type, data: { path } })),
  } as unknown as CommittedChange;
}

function held(kind: Held['kind'], claimHead = 1): Held {
  return { kind, claimHead, lease: { task: kind === 'call' ? 'c2' : 'a1' } } as Held;
}

describe('endOf', () => {
  it('ends an activation with its run, its parking or its loss, and not with steps and calls', () => {
    expect(endOf(committed([[5, 'run.succeeded']], 'succeeded'), held('activation'))).toEqual({
      reason: 'ended',
      seq: 5,
    });
    expect(endOf(committed([[5, 'run.parked']]), held('activation'))).toEqual({ reason: 'ended', seq: 5 });
    expect(endOf(committed([[5, 'activation.retrying']]), held('activation'))).toEqual({
      reason: 'lease_lost',
      seq: 5,
    });
    const others: Brief[] = [
      [5, 'step.completed', 'a'],
      [6, 'call.completed', 'ask'],
      [7, 'run.cancel_requested'],
    ];
    expect(endOf(committed(others), held('activation'))).toBeNull();
  });

  it('ends a call with its own outcome and with the cancellation of the run', () => {
    expect(endOf(committed([[5, 'call.completed', 'other']]), held('call'))).toBeNull();
    expect(endOf(committed([[5, 'call.retrying', 'ask']]), held('call'))).toEqual({ reason: 'ended', seq: 5 });
    expect(endOf(committed([[5, 'run.cancel_requested']]), held('call'))).toEqual({ reason: 'cancelled', seq: 5 });
    expect(endOf(committed([[5, 'run.parked']]), held('call'))).toBeNull();
  });

  it('takes no event for the end that led to the lease', () => {
    const change = committed([
      [5, 'activation.retrying'],
      [6, 'activation.retrying'],
    ]);
    expect(endOf(change, held('activation', 5))).toEqual({ reason: 'lease_lost', seq: 6 });
    expect(endOf(change, held('activation', 6))).toBeNull();
  });

  it('says that the run is over where no event of this commit says why', () => {
    expect(endOf(committed([[5, 'run.cancelled']], 'cancelled'), held('call', 5))).toEqual({
      reason: 'ended',
      seq: Number.MAX_SAFE_INTEGER,
    });
  });
});
