import { describe, expect, it } from 'vitest';
import { Pulses } from './pulses.js';

const deadMs = 15_000;
const roundMs = 3_000;

function watching() {
  let nowMs = 1_000;
  const pulses = new Pulses({ now: () => 0, monotonicMs: () => nowMs }, deadMs);
  return {
    pulses,
    advance: (ms: number) => (nowMs += ms),
    /** One round of a reaper that finds this in the store. */
    round: (counter: number, received = 0) => {
      pulses.excuseOwnStall(nowMs);
      return pulses.observed({ session: 's', counter, received }, nowMs);
    },
  };
}

describe('Pulses', () => {
  it('counts silence from the last time that the counter rose, wherever it was heard', () => {
    const { pulses, advance, round } = watching();
    expect(round(7)).toBe(0);
    advance(roundMs);
    expect(round(7)).toBe(roundMs);
    advance(roundMs);
    pulses.heard('s', 8, 0);
    advance(1_000);
    expect(round(7)).toBe(1_000);
    advance(roundMs);
    expect(round(9)).toBe(0);
  });

  it('takes a beat that was overtaken for no sign of life', () => {
    const { pulses, advance, round } = watching();
    pulses.begin({ session: 's', counter: 5, received: 3 });
    advance(roundMs);
    pulses.heard('s', 4, 2);
    pulses.heard('s', 5, 2);
    expect(round(4)).toBe(roundMs);
    expect(pulses.raiseReceived('s', 0)).toBe(3);
  });

  it('knows the highest assignment that was received, from beats that say less as well', () => {
    const { pulses, round } = watching();
    round(1, 4);
    pulses.heard('s', 1, 6);
    round(2, 5);
    expect(pulses.raiseReceived('s', 2)).toBe(6);
    expect(pulses.raiseReceived('s', 9)).toBe(9);
    expect(pulses.raiseReceived('s', 0)).toBe(9);
  });

  it('holds a stall of its own process against nobody, and the silence of a worker all the same', () => {
    const { advance, round } = watching();
    round(1);
    advance(60_000);
    expect(round(1)).toBeLessThan(deadMs);
    let silentMs = 0;
    for (let i = 0; i < deadMs / roundMs; i++) {
      advance(roundMs);
      silentMs = round(1);
    }
    expect(silentMs).toBeGreaterThan(deadMs);
  });

  it('begins anew with a session that was forgotten', () => {
    const { pulses, advance, round } = watching();
    round(1, 8);
    advance(roundMs);
    pulses.keepOnly((id) => id !== 's');
    expect(pulses.raiseReceived('s', 0)).toBe(0);
    expect(round(1)).toBe(0);
  });
});
