import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { judged, type ToolCase } from './judge.js';
import type { ToolOrder } from './policy.js';
import { readToolOrder, readToolPolicy, type ToolOrderOptions, type ToolPolicyOptions } from './read-policy.js';

function faultsOf(given: unknown): string[] {
  const faults: string[] = [];
  readToolPolicy(given, (fault) => faults.push(fault));
  return faults;
}

function policyOf(given: ToolPolicyOptions) {
  expect(faultsOf(given)).toEqual([]);
  return readToolPolicy(given, () => undefined);
}

function orderOf(name: string, given: ToolOrderOptions): ToolOrder {
  const faults: string[] = [];
  const { reason = null, ...options } = given;
  const terms = readToolOrder(name, options, (fault) => faults.push(fault));
  expect(faults).toEqual([]);
  return { ...terms, reason, orderedBy: 'x', isAdmins: false, at: 0 };
}

const usual: ToolCase = {
  tenant: 'acme',
  by: 'support.chat',
  tool: 'refund',
  effect: 'external',
  args: { cents: 5 },
  taint: [],
  isApproved: false,
  used: () => ({ calls: 0, sums: {} }),
};

/** The verdict as `tag rule`. */
function verdict(
  policy: ToolPolicyOptions | null,
  call: Partial<ToolCase> = {},
  orders: readonly ToolOrder[] = [],
): string {
  const given = policy === null ? null : policyOf(policy);
  const found = judged({ ...usual, ...call }, given, orders, (schema, value) =>
    (schema['const'] ?? null) === JSON.stringify(value) || schema['const'] === undefined ? [] : ['it does not fit'],
  );
  return `${found.tag} ${found.rule}`;
}

describe('verdicts by rules', () => {
  it('allow all where there is no policy, and nothing with an effect outside that no rule names where there is one', () => {
    expect(verdict(null)).toBe('allowed ');
    expect(verdict({})).toBe('refused ');
    expect(verdict({}, { effect: 'idempotent' })).toBe('allowed ');
    expect(verdict({ otherwise: 'refuse' }, { effect: 'pure' })).toBe('refused ');
    expect(verdict({ otherwise: 'approve' }, { effect: 'pure' })).toBe('ask ');
  });

  it('go by the first rule that fits tool, asker, tenant and arguments', () => {
    const rules = [
      { name: 'others', tools: 'refund', tenants: 'b*', verdict: 'refuse' },
      { name: 'chats', tools: ['x', 'ref*'], by: 'support.*', when: { const: '{"cents":7}' }, verdict: 'approve' },
      { name: 'support', tools: '**', by: 'support.**' },
    ] as const;
    expect(verdict({ rules }, { tenant: 'beta' })).toBe('refused others');
    expect(verdict({ rules }, { args: { cents: 7 } })).toBe('ask chats');
    expect(verdict({ rules })).toBe('allowed support');
    expect(verdict({ rules }, { by: 'other' })).toBe('refused ');
    expect(verdict({ rules }, { tool: 'Refund' })).toBe('allowed support');
  });

  it('ask about what untrusted text may have led to, or refuse it, where it has an effect outside', () => {
    const tainted = { taint: ['mail'] };
    expect(verdict({ rules: [{ tools: 'refund' }] }, tainted)).toBe('ask refund');
    expect(verdict({ rules: [{ tools: 'refund', tainted: 'refuse' }] }, tainted)).toBe('refused refund');
    expect(verdict({ rules: [{ tools: 'refund', tainted: 'allow' }] }, tainted)).toBe('allowed refund');
    expect(verdict({ rules: [{ tools: 'refund' }], tainted: 'refuse' }, tainted)).toBe('refused refund');
    expect(verdict({ rules: [{ tools: 'refund' }] }, { ...tainted, effect: 'idempotent' })).toBe('allowed refund');
    expect(verdict({ rules: [{ tools: 'refund', tainted: 'refuse' }] }, { ...tainted, isApproved: true })).toBe(
      'refused refund',
    );
    expect(verdict({ rules: [{ tools: 'refund' }] }, { ...tainted, isApproved: true })).toBe('allowed refund');
  });
});

describe('orders of operators', () => {
  const allowing: ToolPolicyOptions = { rules: [{ tools: 'refund' }] };

  it('shut a tool off, also where there is no policy, and whatever people have agreed to', () => {
    const shut = [orderOf('s', { tools: 'ref*', verdict: 'refuse', reason: 'no money' })];
    expect(verdict(allowing, {}, shut)).toBe('refused order:s');
    expect(verdict(null, { isApproved: true }, shut)).toBe('refused order:s');
    expect(verdict(null, { tool: 'search' }, shut)).toBe('allowed ');
  });

  it('hold calls within limits, and leave the word to the rules', () => {
    const limit = [orderOf('l', { tools: 'refund', verdict: 'limit', limits: { cents: { max: 4 } } })];
    expect(verdict(allowing, {}, limit)).toBe('refused order:l');
    expect(verdict(allowing, { args: { cents: 4 } }, limit)).toBe('allowed refund');
    expect(verdict({}, { args: { cents: 4 } }, limit)).toBe('refused ');
    const calls = [orderOf('c', { tools: 'refund', verdict: 'limit', perRun: { calls: 1 } })];
    const used = (name: string) => ({ calls: name === 'order:c' ? 1 : 0, sums: {} });
    expect(verdict(allowing, { used }, calls)).toBe('refused order:c');
    expect(verdict(allowing, {}, calls)).toBe('allowed refund');
  });

  it('ask people, and make taint no looser', () => {
    expect(verdict(allowing, {}, [orderOf('a', { tools: '**', verdict: 'approve' })])).toBe('ask order:a');
    const taint = [orderOf('t', { tools: '**', verdict: 'limit', tainted: 'allow' })];
    expect(verdict(allowing, { taint: ['mail'] }, taint)).toBe('ask refund');
    const strict = [orderOf('t', { tools: '**', verdict: 'limit', tainted: 'refuse' })];
    expect(verdict({ rules: [{ tools: 'refund', tainted: 'allow' }] }, { taint: ['mail'] }, strict)).toBe(
      'refused refund',
    );
  });

  it('allow in the place of rules, but nothing that another order refuses', () => {
    const allow = orderOf('y', { tools: 'refund', verdict: 'allow' });
    expect(verdict({}, {}, [allow])).toBe('allowed order:y');
    expect(verdict({}, { taint: ['mail'] }, [allow])).toBe('ask order:y');
    expect(verdict({}, {}, [allow, orderOf('z', { tools: 'refund', verdict: 'refuse' })])).toBe('refused order:z');
  });
});

describe('policies', () => {
  it('are refused with all of their faults', () => {
    expect(faultsOf(null)).toEqual(['tools must be an object, such as { rules: [...] }']);
    expect(
      faultsOf({
        rule: [],
        otherwise: 'maybe',
        rules: [{ tools: 'a***', verdict: 'x', limits: {}, perRun: { calls: -1 } }],
      }),
    ).toEqual([
      '"rule" is not an option of tools',
      expect.stringContaining('tools.rules[0].tools: the pattern has three stars'),
      'tools.rules[0].limits must be an object of 1 to 50 arguments',
      'tools.rules[0].perRun.calls must be an integer of at least 0',
      expect.stringContaining('tools.rules[0].name'),
      'tools.rules[0].verdict must be one of allow, approve, refuse',
      'tools.otherwise must be one of allow, approve, refuse',
    ]);
    expect(
      faultsOf({ rules: [{ tools: 'a', limits: { x: { mx: 1 }, 'y..z': { max: 1 }, w: { optional: true } } }] }),
    ).toHaveLength(3);
    expect(faultsOf({ approve: { to: 'ann' } })).toHaveLength(1);
  });

  it('are the same when they are read again, as manifests are', () => {
    const given: ToolPolicyOptions = {
      rules: [
        { tools: 'a', perRun: { calls: 1 } },
        { tools: ['a'], limits: { 'x[].y': { max: 3, optional: true } }, approve: { to: 'role:a', expires: '2d' } },
      ],
      trusted: 'calc',
    };
    const read = policyOf(given);
    expect(read.rules.map(({ name }) => name)).toEqual(['a', 'a#2']);
    expect(readToolPolicy(JSON.parse(JSON.stringify(read)), (fault) => expect.fail(fault))).toEqual(read);
  });

  it('are read without harm whatever they are', () => {
    fc.assert(
      fc.property(fc.anything({ maxDepth: 4 }), (given) => {
        readToolPolicy(given, () => undefined);
        readToolPolicy({ rules: [given] }, () => undefined);
        readToolOrder('x', given, () => undefined);
      }),
    );
  });
});

describe('limits of arguments', () => {
  const within = (limit: object, x: unknown): boolean =>
    verdict({ rules: [{ tools: '**', limits: { x: limit } }] }, { args: { x } }) === 'allowed **';

  it('take numbers for numbers, and nothing else', () => {
    expect([1, 2.5, 3].map((x) => within({ min: 1, max: 3 }, x))).toEqual([true, true, true]);
    for (const x of [0.99, 3.01, -1, '2', null, [2], { valueOf: 2 }, true, 'Infinity'])
      expect(within({ min: 1, max: 3 }, x)).toBe(false);
  });

  it('take no URL that leads to another host, whatever it looks like', () => {
    expect(within({ hosts: ['a.com'] }, 'https://a.com/x?y=@b.com#z')).toBe(true);
    expect(within({ hosts: ['a.com'] }, 'http://a.com/')).toBe(false);
    expect(within({ hosts: ['a.com'], plain: true }, 'http://a.com/')).toBe(true);
    fc.assert(
      fc.property(
        fc.webUrl({ validSchemes: ['http', 'https'], withQueryParameters: true, withFragments: true }),
        fc.constantFrom('', '@a.com', '.a.com', '#a.com', '\\a.com'),
        (url, more) => {
          if (within({ hosts: ['a.com', '*.b.com'] }, url + more))
            expect(new URL(url + more).hostname).toMatch(/^(?:a\.com|[^.]+\.b\.com)$/);
        },
      ),
    );
  });

  it('take no path out of its folder', () => {
    const inside = (x: string): boolean => within({ under: ['/srv/data', '/tmp/'] }, x);
    expect(['/srv/data', '/srv/data/a b/ü', '/tmp/x'].every(inside)).toBe(true);
    for (const x of [
      '/srv/database',
      '/srv/data/..',
      '/srv/data/%2E%2e/x',
      '/srv/data/‥/x',
      '/srv/data\\..',
      'x',
      '/tmp',
    ])
      expect(inside(x)).toBe(false);
  });

  it('are for each element of a list, and for what is there', () => {
    const rules = [
      { tools: '**', limits: { 'to[].cents': { max: 3 }, note: { lengthMax: 2, optional: true } } },
    ] as const;
    const of = (args: unknown): string => verdict({ rules }, { args });
    expect(of({ to: [{ cents: 1 }, { cents: 3 }] })).toBe('allowed **');
    expect(of({ to: [{ cents: 1 }, { cents: 4 }] })).toBe('refused **');
    expect(of({ to: [{ cents: 1 }, {}] })).toBe('refused **');
    expect(of({ to: { cents: 1 } })).toBe('refused **');
    expect(of({ to: [], note: 'abc' })).toBe('refused **');
    expect(of({ to: [], note: 5 })).toBe('refused **');
    expect(of(JSON.parse('{"__proto__":{"to":[]}}'))).toBe('refused **');
  });
});
