/** The checks of limits over histories, each with the wrong that it is there for. The histories are made up. */
import { describe, expect, it } from 'vitest';
import type { RunEventView } from '../../src/protocol/http.js';
import { admissionsOf, leakedSlots, limitViolations, rulesOf } from './support/limit-sweep.js';

const rules = rulesOf({
  slots: { concurrency: 1 },
  pace: { rate: { requests: 1, per: '1s', burst: 2 } },
  tokens: { rate: { tokens: 10, per: '1s', burst: 20 } },
});

function historyOf(...events: readonly (readonly [type: string, atMs: number, data: object])[]): RunEventView[] {
  return events.map(
    ([type, atMs, data], i) =>
      ({ seq: i + 1, type, at: new Date(atMs).toISOString(), data }) as unknown as RunEventView,
  );
}

const call = (at: number, until: number): RunEventView[] =>
  historyOf(
    ['call.scheduled', at, { path: 'a', limits: ['slots', 'pace'] }],
    ['call.admitted', at, { path: 'a', attempt: 1, limits: ['slots', 'pace'], reservedAt: at }],
    ['call.completed', until, { path: 'a', attempt: 1 }],
  );

const inference = (at: number, end: readonly [type: string, data: object]): RunEventView[] =>
  historyOf(
    ['inference.requested', at, { path: 'a', attempt: 1, grant: null }],
    [
      'inference.admitted',
      at,
      { path: 'a', attempt: 1, grant: { limits: ['tokens'], reserved: { tokens: 20 } }, reservedAt: at },
    ],
    ['inference.begun', at, { path: 'a', attempt: 1 }],
    [end[0], at + 100, { path: 'a', attempt: 1, ...end[1] }],
  );

const found = (...histories: readonly RunEventView[][]): string[] =>
  limitViolations(
    histories.map((history) => admissionsOf(history, rules)),
    rules,
  ).map(({ property }) => property);

describe('the sweep of what was let in', () => {
  it('finds nothing in what limits allow', () => {
    expect(found(call(0, 100), call(200, 300), call(1_300, 1_400))).toEqual([]);
    const used = { usage: { inputTokens: 6, outputTokens: 4 } };
    expect(found(inference(0, ['inference.completed', used]), inference(1, ['inference.completed', used]))).toEqual([]);
  });

  it('finds a window with too much in it, and takes what is lost for used', () => {
    expect(found(call(0, 100), call(200, 300), call(900, 950))).toEqual(['P15']);
    const lost: readonly [string, object] = ['inference.ambiguous', { policy: 'retry' }];
    expect(found(inference(0, lost), inference(1, lost))).toEqual(['P15']);
  });

  it('finds more at one time than there are slots', () => {
    expect(found(call(0, 1_500), call(1_400, 1_600))).toEqual(['P16']);
  });

  it('finds what was begun although nobody had let it in', () => {
    expect(found(historyOf(['call.scheduled', 0, { path: 'a' }]))).toEqual(['P15-past']);
    expect(
      found(inference(0, ['inference.completed', { usage: { inputTokens: 1, outputTokens: 1 } }]).toSpliced(1, 1)),
    ).toEqual(['P15-past']);
  });

  it('finds slots that nobody holds any more', () => {
    const view = (used: number) => ({
      kind: 'concurrency' as const,
      counters: [{ key: 'slots', used, limit: 1, resetAt: null }],
    });
    const rest = { name: 'slots', options: { concurrency: 1 }, declared: true, set: null, counterCount: 1 };
    expect(leakedSlots([{ ...rest, ...view(0) }])).toEqual([]);
    expect(leakedSlots([{ ...rest, ...view(1) }])).toEqual(['slots: 1']);
  });
});
