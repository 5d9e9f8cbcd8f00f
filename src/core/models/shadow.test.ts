import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { limits } from '../limits.js';
import type { ModelManifest, ShadowRule } from '../manifest.js';
import { changedSetting, inForce, unchanged } from './settings.js';
import {
  evidenceOf,
  isOverdue,
  lostOutcome,
  noShadow,
  settledOutcome,
  shadowOf,
  spentOn,
  withOutcome,
  withTicket,
  type ShadowOutcome,
  type ShadowState,
  type ShadowTicket,
} from './shadow.js';

const hash = { sha256: (...parts: (string | Uint8Array)[]) => digest(parts) };
function digest(parts: readonly (string | Uint8Array)[]): string {
  const made = createHash('sha256');
  for (const part of parts) made.update(part);
  return made.digest('hex');
}

const rule: ShadowRule = { version: 'v2', share: 0.25, concurrency: 2, perDayMicros: 100 };
const price = { inputMicros: 1, outputMicros: 1, cachedInputMicros: 1 };
const version = { endpoint: 'e', windowTokens: null, outputTokensMax: null, price };
const writer: ModelManifest = {
  name: 'writer',
  policy: ['retry'],
  versions: [
    { ...version, version: 'v1', weight: 1 },
    { ...version, version: 'v2', weight: 0 },
  ],
  shadow: rule,
};
const noon = Date.UTC(2026, 0, 1, 12);
const day = 86_400_000;

function ticket(id: string, costMicros = 10): ShadowTicket {
  const of = { tenant: 't', run: 'r', path: id, version: 'v1', attempt: 1, answer: 5, latencyMs: 100, costMicros: 7 };
  return { id, version: 'v2', of, costMicros, until: noon + 1_000 };
}

const good: ShadowOutcome = {
  latencyMs: 50,
  costMicros: 9,
  failure: null,
  comparison: { exact: true, json: null, similarity: 1, tools: null },
};

describe('whom a shadow is asked for', () => {
  it('is a share of the inferences, always the same ones, and none of its own', () => {
    const asked = Array.from({ length: 4_000 }, (_, i) =>
      shadowOf(writer, 'v1', { tenant: 't', run: `r${i % 40}`, path: `p${i}` }, hash),
    );
    const share = asked.filter((one) => one === 'v2').length / asked.length;
    expect(share).toBeGreaterThan(0.22);
    expect(share).toBeLessThan(0.28);
    const key = { tenant: 't', run: 'r', path: 'p' };
    expect(shadowOf({ shadow: { ...rule, share: 1 } }, 'v2', key, hash)).toBeNull();
    expect(shadowOf({ shadow: { ...rule, share: 1 } }, 'v1', key, hash)).toBe('v2');
    expect(shadowOf({}, 'v1', key, hash)).toBeNull();
  });
});

describe('what operators set of a shadow', () => {
  it('is in force over what the app declares, and neither weights nor a rollback change it', () => {
    const set = (shadow: ShadowRule | null) =>
      changedSetting(unchanged, { change: 'shadow', shadow }, writer, 'ops', 1);
    const off = set(null);
    if (!('past' in off)) throw new Error(off.join());
    expect(inForce(writer, off).shadow).toBeUndefined();
    expect(inForce(writer, unchanged).shadow).toEqual(rule);
    const promoted = changedSetting(off, { change: 'promote', version: 'v2' }, writer, 'ops', 2);
    if (!('past' in promoted)) throw new Error(promoted.join());
    expect(inForce(writer, promoted)).toMatchObject({ versions: [{ weight: 0 }, { weight: 1 }] });
    expect(inForce(writer, promoted).shadow).toBeUndefined();
    const back = changedSetting(promoted, { change: 'rollback' }, writer, 'ops', 3);
    expect(back).toMatchObject({ shadow: null, weights: null });
    const reset = changedSetting(promoted, { change: 'reset' }, writer, 'ops', 4);
    if (!('past' in reset)) throw new Error(reset.join());
    expect(inForce(writer, reset).shadow).toEqual(rule);
    expect(set({ version: 'v9', share: 0, concurrency: 1_000, perDayMicros: null })).toHaveLength(3);
    const free = { ...writer, versions: writer.versions.map((one) => ({ ...one, price: null })) };
    expect(changedSetting(unchanged, { change: 'shadow', shadow: rule }, free, 'ops', 1)).toHaveLength(1);
  });

  it('is no more when its version has gone', () => {
    expect(inForce(writer, { weights: null, shadow: { ...rule, version: 'v0' } }).shadow).toBeUndefined();
  });
});

describe('the bounds of a shadow', () => {
  it('hold whatever comes in whatever order, and what was set aside is given back', () => {
    const step = fc.record({
      what: fc.constantFrom('begin', 'begin', 'end', 'lose', 'wait'),
      cost: fc.integer({ min: 0, max: 60 }),
      pick: fc.nat(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        let state: ShadowState = noShadow;
        let now = noon;
        steps.forEach(({ what, cost, pick }, i) => {
          if (what === 'wait') now += pick % day;
          const one = state.underWay[pick % Math.max(1, state.underWay.length)];
          if (what === 'begin') state = withTicket(state, ticket(`t${i}`, cost), rule, now) ?? state;
          else if (one !== undefined && what === 'end') {
            // No call costs more than was set aside for it: then the bound is exact.
            state = withOutcome(state, one, { ...good, costMicros: Math.min(cost, one.costMicros) }, now);
          } else if (one !== undefined && what === 'lose')
            state = withOutcome(state, one, settledOutcome(one, lostOutcome), now);
          expect(state.underWay.length).toBeLessThanOrEqual(rule.concurrency);
          const reserved = state.underWay.reduce((sum, { costMicros }) => sum + costMicros, 0);
          expect(spentOn(state, now) + reserved).toBeLessThanOrEqual(rule.perDayMicros ?? 0);
        });
      }),
    );
  });

  it('let each call in one time, and count the money of each day', () => {
    const first = withTicket(noShadow, ticket('a', 90), rule, noon);
    if (first === null) throw new Error('there was no room');
    expect(withTicket(first, ticket('a', 1), rule, noon)).toBeNull();
    expect(withTicket(first, ticket('b', 11), rule, noon)).toBeNull();
    const ended = withOutcome(first, ticket('a'), { ...good, costMicros: 95 }, noon);
    expect(withTicket(ended, ticket('b', 10), rule, noon)).toBeNull();
    expect(spentOn(ended, noon + day)).toBe(0);
    expect(withTicket(ended, ticket('b', 10), rule, noon + day)).not.toBeNull();
    // A clock that was set back does not open the day before again.
    const next = withOutcome({ ...ended, underWay: [ticket('c')] }, ticket('c'), good, noon + day);
    expect(spentOn(next, noon)).toBe(9);
  });

  it('count what may have been paid, and only that, where there is no answer', () => {
    const cost = (failure: ShadowOutcome['failure']) =>
      settledOutcome(ticket('a', 40), { ...good, costMicros: 0, failure, comparison: null }).costMicros;
    expect([cost('lost'), cost('timeout'), cost('cancelled'), cost('auth'), cost('rate_limited')]).toEqual([
      40, 40, 40, 0, 0,
    ]);
  });

  it('take a call for lost when its time is up, and when the clock was set back far', () => {
    expect(isOverdue(ticket('a'), noon)).toBe(false);
    expect(isOverdue(ticket('a'), noon + 1_000)).toBe(true);
    expect(isOverdue(ticket('a'), noon - limits.shadowMsMax - limits.shadowReportMs)).toBe(true);
  });
});

describe('the evidence', () => {
  it('has intervals of agreement, and of the difference call by call', () => {
    let state = noShadow;
    for (let i = 0; i < 100; i++) {
      const one = ticket(`t${i}`, 0);
      const comparison = { exact: i % 4 !== 0, json: null, similarity: 0.5, tools: null };
      state = withOutcome({ ...state, underWay: [one] }, one, { ...good, latencyMs: 50 + (i % 3), comparison }, noon);
    }
    const lost = ticket('lost', 3);
    state = withOutcome(state, lost, settledOutcome(lost, lostOutcome), noon);
    const [tally] = state.tallies;
    if (tally === undefined) throw new Error('there is no tally');
    const evidence = evidenceOf(tally, 0.05);
    expect(evidence).toMatchObject({ version: 'v2', against: 'v1', answers: 100, failures: { lost: 1 } });
    expect(evidence.spentMicros).toBe(903);
    expect(evidence.exact?.mean).toBe(0.75);
    expect(evidence.exact?.interval.low).toBeLessThan(0.75);
    expect(evidence.exact?.interval.low).toBeGreaterThan(0.55);
    expect(evidence.json).toBeNull();
    expect(evidence.latencyMs?.difference).toBeCloseTo(-49, 0);
    expect(evidence.latencyMs?.interval?.high).toBeLessThan(-48);
    expect(evidence.costMicros).toMatchObject({ shadow: 9, primary: 7, difference: 2 });
  });
});
