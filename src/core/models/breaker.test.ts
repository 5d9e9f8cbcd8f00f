import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  afterProbe,
  closedBreaker,
  defaultBreakerRule as rule,
  endpointSays,
  isIdle,
  probeTime,
  withCalls,
  withProbe,
  type Breaker,
} from './breaker.js';

const bad = { calls: 1, failures: 1 };
const good = { calls: 1, failures: 0 };

function after(breaker: Breaker, times: number, counts: typeof bad, now: number): Breaker {
  let moved = breaker;
  for (let i = 0; i < times; i++) moved = withCalls(moved, counts, now, rule);
  return moved;
}

describe('a breaker', () => {
  it('opens when half of the calls of its window have failed, and not for fewer calls than it takes to know', () => {
    expect(after(closedBreaker, rule.callsMin - 1, bad, 0).state).toBe('closed');
    expect(after(after(closedBreaker, 5, good, 0), 4, bad, 0).state).toBe('closed');
    expect(after(after(closedBreaker, 5, good, 0), 5, bad, 0)).toMatchObject({ state: 'open', probeAt: rule.openMs });
  });

  it('forgets what lies before its window', () => {
    const old = after(closedBreaker, 9, bad, 0);
    expect(after(old, 1, bad, rule.windowMs).state).toBe('closed');
    expect(isIdle(old, 0, rule)).toBe(false);
    expect(isIdle(old, rule.windowMs, rule)).toBe(true);
  });

  it('lets one probe at a time through after its pause, closes after a good one, and pauses twice as long after a bad one', () => {
    const open = after(closedBreaker, 10, bad, 0);
    expect(withProbe(open, 'a', rule.openMs - 1, rule)).toBeNull();
    const probed = withProbe(open, 'a', rule.openMs, rule);
    if (probed === null) throw new Error('no probe');
    expect(withProbe(probed, 'b', rule.openMs + 1, rule)).toBeNull();
    expect(afterProbe(probed, 'b', true, rule.openMs, rule)).toBe(probed);
    expect(afterProbe(probed, 'a', true, rule.openMs, rule)).toEqual(closedBreaker);
    const again = afterProbe(probed, 'a', false, 10_000, rule);
    expect(again).toMatchObject({ state: 'open', probeAt: 10_000 + 2 * rule.openMs });
  });

  it('gives a probe up of which nothing is heard', () => {
    const probed = withProbe(after(closedBreaker, 10, bad, 0), 'a', rule.openMs, rule);
    if (probed === null) throw new Error('no probe');
    const later = rule.openMs + rule.probeMs;
    expect(withProbe(probed, 'b', later, rule)).toMatchObject({ probe: 'b' });
  });

  it('is never shut for longer than its longest pause from now on, whatever the clock does', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(fc.integer({ min: 0, max: 10_000_000 }), fc.constantFrom('bad', 'good', 'probe', 'fail', 'heal')),
          { maxLength: 60 },
        ),
        (moves) => {
          let breaker = closedBreaker;
          let probe = 0;
          for (const [now, move] of moves) {
            if (move === 'bad' || move === 'good') breaker = after(breaker, 10, move === 'bad' ? bad : good, now);
            else if (move === 'probe') breaker = withProbe(breaker, String(++probe), now, rule) ?? breaker;
            else breaker = afterProbe(breaker, String(probe), move === 'heal', now, rule);
            const at = probeTime(breaker, now, rule);
            if ((at === null) !== (breaker.state === 'closed')) return false;
            if (at !== null && at > now + Math.max(rule.openMsMax, rule.probeMs)) return false;
          }
          return true;
        },
      ),
    );
  });

  it('counts what an endpoint is to blame for, and not what it was asked', () => {
    expect(endpointSays('overloaded')).toBe('bad');
    expect(endpointSays('context_length_exceeded')).toBe('good');
    expect(endpointSays('cancelled')).toBeNull();
  });
});
