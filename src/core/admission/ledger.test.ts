import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LimitRule, LimitSpec, Work } from './limit.js';
import { keyOfLimit, limitFaults, limitOfKey } from './limit.js';
import { counterView, demandsOf, Ledger, nothingUsed, pauseKey, type Settlement, type Share } from './ledger.js';
import { ceilingOf } from './slots.js';

const work: Work = {
  tenant: 'acme',
  workflow: 'answer',
  run: 'run_1',
  kind: 'inference',
  model: 'writer',
  endpoint: 'gpt',
  capability: '',
  limits: [],
  tokens: 100,
  costMicros: 1_000,
};

function spec(
  name: string,
  rule: LimitRule,
  by: LimitSpec['by'] = [],
  scope: LimitSpec['scope'] = 'inferences',
): LimitSpec {
  return { name, rule, by, scope };
}

const slots = (max: number): LimitRule => ({ kind: 'concurrency', max, adaptive: null });
const tokens = (amount: number, perMs: number): LimitRule => ({
  kind: 'rate',
  of: 'tokens',
  amount,
  perMs,
  burst: amount,
});
const money = (amountMicros: number): LimitRule => ({ kind: 'budget', amountMicros, per: 'day', zone: 'UTC' });

function ledgerOf(specs: readonly LimitSpec[]): Ledger {
  const rules = new Map(specs.map(({ name, rule }) => [name, rule]));
  return new Ledger((key) => rules.get(limitOfKey(key)) ?? null);
}

const done: Settlement = { ...nothingUsed, begun: true, tokens: 100, costMicros: 1_000, heldMs: 10 };

function reserved(ledger: Ledger, specs: readonly LimitSpec[], one: Work, now: number): readonly Share[] | null {
  const verdict = ledger.reserve(demandsOf(specs, one), now);
  return verdict.tag === 'reserved' ? verdict.shares : null;
}

describe('keys', () => {
  it('tell counters apart, whatever the values are', () => {
    const by: LimitSpec['by'] = ['tenant', 'model'];
    const one = keyOfLimit({ name: 'x', by }, { ...work, tenant: 'a,model=b', model: 'c' });
    const other = keyOfLimit({ name: 'x', by }, { ...work, tenant: 'a', model: 'b,model=c' });
    expect(one).not.toBe(other);
    expect(limitOfKey(one)).toBe('x');
    expect(keyOfLimit({ name: 'x', by: [] }, work)).toBe('x');
  });
});

describe('the ledger', () => {
  it('gives a share of all counters or of none', () => {
    const specs = [spec('slots', slots(5), ['tenant']), spec('money', money(2_500), ['tenant'])];
    const ledger = ledgerOf(specs);
    expect(reserved(ledger, specs, work, 0)).not.toBeNull();
    expect(reserved(ledger, specs, work, 0)).not.toBeNull();
    ledger.changes();
    const verdict = ledger.reserve(demandsOf(specs, work), 0);
    expect(verdict).toEqual({ tag: 'short', short: [{ key: 'money[tenant=acme]', at: 86_400_000 }] });
    expect(ledger.changes()).toEqual([]);
    expect(ledger.view('slots[tenant=acme]', 0)?.used).toBe(2);
    expect(reserved(ledger, specs, { ...work, tenant: 'other' }, 0)).not.toBeNull();
  });

  it('holds for what names a limit, or for every inference', () => {
    const specs = [spec('all', slots(1)), spec('some', slots(1), [], 'named')];
    expect(demandsOf(specs, work).map(({ key }) => key)).toEqual(['all', pauseKey('gpt')]);
    expect(demandsOf(specs, { ...work, limits: ['some'] }).map(({ key }) => key)).toContain('some');
    expect(demandsOf(specs, { ...work, kind: 'call', endpoint: '', limits: [] })).toEqual([]);
  });

  it('gives money of a window back in that window only', () => {
    const specs = [spec('money', money(1_000))];
    const ledger = ledgerOf(specs);
    const first = reserved(ledger, specs, work, 0);
    expect(reserved(ledger, specs, work, 1)).toBeNull();
    expect(reserved(ledger, specs, work, 86_400_000)).not.toBeNull();
    ledger.settle(first ?? [], { ...done, costMicros: 0 }, '', 86_400_001);
    expect(ledger.view('money', 86_400_001)?.used).toBe(1_000);
  });

  it('keeps money counted when the clock goes back over the end of a window', () => {
    const specs = [spec('money', money(1_000))];
    const ledger = ledgerOf(specs);
    expect(reserved(ledger, specs, work, 86_400_000 + 5)).not.toBeNull();
    expect(reserved(ledger, specs, work, 86_400_000 - 5)).toBeNull();
    // A clock that was a year ahead must not keep a budget shut for a year.
    const far = ledgerOf(specs);
    expect(reserved(far, specs, work, 400 * 86_400_000)).not.toBeNull();
    expect(reserved(far, specs, work, 0)).toBeNull();
    expect(reserved(far, specs, work, 86_400_000)).not.toBeNull();
  });

  it('says when there will be room, and where there will not be by itself', () => {
    const specs = [spec('t', tokens(100, 1_000)), spec('m', money(10))];
    const ledger = ledgerOf(specs);
    expect(reserved(ledger, specs, { ...work, costMicros: 0 }, 0)).not.toBeNull();
    expect(ledger.reserve(demandsOf(specs, work), 0)).toEqual({
      tag: 'short',
      short: [
        { key: 't', at: 1_000 },
        { key: 'm', at: null },
      ],
    });
  });

  it('pauses an endpoint for exactly as long as it has asked for', () => {
    const specs = [spec('slots', slots(5))];
    const ledger = ledgerOf(specs);
    const shares = reserved(ledger, specs, work, 0) ?? [];
    const feedback = { retryAfterMs: 90_000, requests: null, tokens: null };
    ledger.settle(shares, { ...done, overloaded: true, feedback }, 'gpt', 10);
    const verdict = ledger.reserve(demandsOf(specs, work), 20);
    expect(verdict).toEqual({ tag: 'short', short: [{ key: pauseKey('gpt'), at: 90_010 }] });
    expect(reserved(ledger, specs, { ...work, endpoint: 'other' }, 20)).not.toBeNull();
    expect(reserved(ledger, specs, work, 90_010)).not.toBeNull();
  });

  it('believes an endpoint that says less is left than was counted here', () => {
    const specs = [spec('t', tokens(1_000, 60_000), ['endpoint'])];
    const ledger = ledgerOf(specs);
    const shares = reserved(ledger, specs, work, 0) ?? [];
    const feedback = { retryAfterMs: null, requests: null, tokens: { limit: 1_000, remaining: 50, resetMs: 60_000 } };
    ledger.settle(shares, { ...done, feedback }, 'gpt', 0);
    expect(reserved(ledger, specs, work, 0)).toBeNull();
    expect(reserved(ledger, specs, work, 3_000)).not.toBeNull();
  });

  it('keeps a pause that was heard of elsewhere, and says until when', () => {
    const specs = [spec('slots', slots(5))];
    const ledger = new Ledger(
      (key) => specs.find(({ name }) => name === key)?.rule ?? null,
      (place) => (place === 'gpt' ? 500 : null),
    );
    expect(ledger.reserve(demandsOf(specs, work), 20)).toEqual({
      tag: 'short',
      short: [{ key: pauseKey('gpt'), at: 500 }],
    });
    expect(ledger.view(pauseKey('gpt'), 20)?.resetAt).toBe(500);
    expect(reserved(ledger, specs, work, 500)).not.toBeNull();
  });

  it('pauses a capability whose handler reports that nothing is left', () => {
    const specs = [spec('t', { kind: 'rate', of: 'requests', amount: 100, perMs: 1_000, burst: 100 }, ['capability'])];
    const ledger = ledgerOf(specs);
    const call: Work = { ...work, kind: 'call', model: '', endpoint: '', capability: 'search', limits: ['t'] };
    const shares = reserved(ledger, specs, call, 0) ?? [];
    const feedback = { retryAfterMs: null, requests: { limit: 100, remaining: 0, resetMs: 700 }, tokens: null };
    ledger.settle(shares, { ...done, feedback }, 'capability:search', 0);
    expect(reserved(ledger, specs, { ...call, capability: 'other' }, 10)).not.toBeNull();
    expect(ledger.reserve(demandsOf(specs, call), 1)).toMatchObject({
      short: [{ key: 't[capability=search]' }, { key: pauseKey('capability:search'), at: 700 }],
    });
  });

  it('never gives more than is declared, whatever an endpoint says is left', () => {
    const specs = [spec('t', tokens(1_000, 60_000), ['endpoint']), spec('slots', slots(3), ['endpoint'])];
    const count = fc.option(fc.integer({ min: 0, max: 1e9 }), { nil: null });
    const left = fc.option(fc.record({ limit: count, remaining: count, resetMs: count }), { nil: null });
    const said = fc.record({ retryAfterMs: count, requests: left, tokens: left });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(said, fc.boolean(), fc.integer({ min: 0, max: 5_000 })), { maxLength: 12 }),
        (all) => {
          const [with_, without] = [ledgerOf(specs), ledgerOf(specs)];
          let now = 0;
          for (const [feedback, overloaded, ms] of all) {
            now += ms;
            const shares = reserved(with_, specs, work, now);
            const others = reserved(without, specs, work, now);
            // What was let in with the word of the endpoint would have been let in without it.
            if (shares !== null) expect(others).not.toBeNull();
            if (shares === null) {
              if (others !== null) without.settle(others, { ...done, begun: false, tokens: 0 }, '', now);
              continue;
            }
            with_.settle(shares, { ...done, overloaded, feedback }, 'gpt', now);
            without.settle(others ?? [], done, '', now);
            const view = (ledger: Ledger): number => ledger.view('t[endpoint=gpt]', now)?.used ?? 0;
            expect(view(with_)).toBeGreaterThanOrEqual(view(without));
          }
        },
      ),
    );
  });

  it('cuts an adaptive limit once for one overload, and lets it grow with what goes well', () => {
    const rule: LimitRule = { kind: 'concurrency', max: 30, adaptive: { min: 2 } };
    const specs = [spec('s', rule, ['endpoint'])];
    const ledger = ledgerOf(specs);
    const limitNow = (): number => ledger.view('s[endpoint=gpt]', 0)?.limit ?? 0;
    const under = Array.from({ length: 30 }, () => reserved(ledger, specs, work, 0) ?? []);
    for (const shares of under) ledger.settle(shares, { ...done, overloaded: true }, 'gpt', 0);
    expect(limitNow()).toBe(20);
    for (let round = 0; round < 100; round++) {
      const all: (readonly Share[])[] = [];
      for (;;) {
        const shares = reserved(ledger, specs, work, 0);
        if (shares === null) break;
        all.push(shares);
      }
      for (const shares of all) ledger.settle(shares, done, 'gpt', 0);
    }
    expect(limitNow()).toBe(30);
    expect(
      ceilingOf({ k: 'slots', used: 0, n: 0, ceiling: 0, cut: 0, best: 0, held: 0 }, { max: 30, adaptive: { min: 2 } }),
    ).toBe(2);
  });

  it('frees slots of a limit that is not in force meanwhile', () => {
    const specs = [spec('slots', slots(1))];
    let isInForce = true;
    const ledger = new Ledger(() => (isInForce ? slots(1) : null));
    const shares = reserved(ledger, specs, work, 0) ?? [];
    expect(reserved(ledger, specs, work, 0)).toBeNull();
    isInForce = false;
    ledger.settle(shares, done, '', 1);
    isInForce = true;
    expect(reserved(ledger, specs, work, 2)).not.toBeNull();
  });

  it('leaks nothing: when all is settled, all slots are free and all counters can be forgotten', () => {
    const specs = [
      spec('slots', slots(4), ['tenant']),
      spec('all', slots(6)),
      spec('t', tokens(400, 1_000), ['model']),
    ];
    fc.assert(
      fc.property(
        fc.array(
          fc.record({ tenant: fc.constantFrom('a', 'b'), settle: fc.boolean(), tokens: fc.nat(200), ms: fc.nat(500) }),
          {
            maxLength: 100,
          },
        ),
        (moves) => {
          const ledger = ledgerOf(specs);
          const open: (readonly Share[])[] = [];
          let now = 0;
          for (const move of moves) {
            now += move.ms;
            const first = move.settle ? open.shift() : undefined;
            if (first !== undefined) ledger.settle(first, { ...done, tokens: move.tokens }, '', now);
            const shares = reserved(ledger, specs, { ...work, tenant: move.tenant, tokens: move.tokens }, now);
            if (shares !== null) open.push(shares);
            expect(open.length).toBeLessThanOrEqual(6);
            expect(ledger.view('all', now)?.used).toBe(open.length);
          }
          for (const shares of open) ledger.settle(shares, done, '', now);
          ledger.forget(() => false, now + 10_000_000);
          expect(ledger.size).toBe(0);
        },
      ),
    );
  });

  it('goes on from what was stored', () => {
    const specs = [spec('slots', slots(2)), spec('t', tokens(1_000, 1_000))];
    const ledger = ledgerOf(specs);
    reserved(ledger, specs, work, 0);
    const copy = ledgerOf(specs);
    for (const [key, counter] of ledger.changes())
      if (counter !== null) copy.restore(key, JSON.parse(JSON.stringify(counter)) as typeof counter);
    expect(copy.view('slots', 0)).toEqual(ledger.view('slots', 0));
    expect(copy.view('t', 500)).toEqual(ledger.view('t', 500));
  });

  it('shows a counter that was never used', () => {
    expect(counterView('slots', undefined, slots(3), 0)).toEqual({ key: 'slots', used: 0, limit: 3, resetAt: null });
  });
});

describe('limitFaults', () => {
  it('names all that is wrong', () => {
    expect(limitFaults({ rule: slots(3), by: ['tenant'] })).toEqual([]);
    expect(limitFaults({ rule: slots(1.5), by: ['tenant', 'tenant'] })).toHaveLength(2);
    expect(limitFaults({ rule: { kind: 'rate', of: 'tokens', amount: 0, perMs: 0, burst: 0 }, by: [] })).toHaveLength(
      3,
    );
    expect(
      limitFaults({ rule: { kind: 'budget', amountMicros: 1, per: 'run', zone: 'Mars/Base' }, by: [] }),
    ).toHaveLength(2);
    const fine = {
      kind: 'rate',
      of: 'tokens',
      amount: 1_000_000_007,
      perMs: 86_399_999,
      burst: 1_000_000_007,
    } as const;
    expect(limitFaults({ rule: fine, by: [] })).toHaveLength(1);
  });
});
