import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { readToolPolicy } from '../../core/tools/read-policy.js';
import type { PathRecord } from './path-record.js';
import { markOwn, refusalOf, taintOf, type GatedCall, type GateHost, type Judged } from './tool-gate.js';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const call: GatedCall = { tool: 'pay', effect: 'external', value: { cents: 5, to: 'ann' }, taint: [], own: false };
const sameHash = sha256('pay\0{"cents":5,"to":"ann"}');
const record: PathRecord = {
  kind: 'gate',
  outcome: null,
  begun: 0,
  attempt: 1,
  waitingSince: 0,
  closed: false,
  inference: null,
};

type Said = Partial<Judged>;

/** A gate that is given these verdicts, one after the other; what it was asked for is noted. */
function gate(said: readonly Said[], more: Partial<GateHost> = {}, records: readonly string[] = []) {
  const asked: string[] = [];
  const host: GateHost = {
    hash: { sha256 },
    policy: null,
    since: 0,
    now: () => 10_000,
    recordOf: (path) => (records.includes(path) ? record : undefined),
    judges: true,
    judge: async (command) => {
      asked.push(`${command.path}${command.approval === null ? '' : ` by ${command.approval}`}`);
      const { path, of, tool, effect, taint, hash } = command;
      const next = said[asked.length - 1] ?? { verdict: 'refused', why: 'the test says nothing more' };
      return { path, of, tool, effect, hash, rule: '', taint, verdict: 'allowed', seq: 9, at: 0, ...next };
    },
    review: async (path) => {
      asked.push(path);
      return { outcome: 'approved', by: 'user:ann', at: 0, form: undefined, comment: null };
    },
    ...more,
  };
  return { host, asked };
}

describe('the gate as a body goes through it', () => {
  it('lets work begin on a verdict of this activation', async () => {
    const { host, asked } = gate([{}]);
    expect(await refusalOf('a/pay:1', call, host)).toBeNull();
    expect(asked).toEqual(['a/pay:1/gate']);
  });

  it('asks anew after an old verdict that nobody has acted on, and not after a fresh one, or where the work was begun', async () => {
    const old = gate([{ seq: 3, at: 4_999 }, { seq: 9 }], { since: 5 });
    expect(await refusalOf('p', call, old.host)).toBeNull();
    expect(old.asked).toEqual(['p/gate', 'p/gate:2']);
    const fresh = gate([{ seq: 3, at: 5_001 }], { since: 5 });
    expect(await refusalOf('p', call, fresh.host)).toBeNull();
    expect(fresh.asked).toEqual(['p/gate']);
    const begun = gate([{ seq: 3 }], { since: 5 }, ['p', 'p/gate']);
    expect(await refusalOf('p', call, begun.host)).toBeNull();
    expect(begun.asked).toEqual(['p/gate']);
  });

  it('asks no server of a version before verdicts, which stops an app that has a policy and no other', async () => {
    const { host, asked } = gate([], { judges: false });
    expect(await refusalOf('p', call, host)).toBeNull();
    const policy = readToolPolicy({ rules: [{ tools: 'pay', verdict: 'allow' }] }, () => undefined);
    expect(await refusalOf('p', call, { ...host, policy })).toContain('judges no calls');
    expect(asked).toEqual([]);
    const recorded = gate([{ seq: 3, verdict: 'refused', why: 'shut' }], { judges: false }, ['p/gate']);
    expect(await refusalOf('p', call, recorded.host)).toBe('shut');
  });

  it('goes by the last verdict that is recorded', async () => {
    const { host, asked } = gate([{ seq: 3 }, { seq: 4, verdict: 'refused', why: 'shut' }], { since: 5 }, [
      'p/gate',
      'p/gate:2',
    ]);
    expect(await refusalOf('p', call, host)).toBe('shut');
    expect(asked).toEqual(['p/gate', 'p/gate:2']);
  });

  it('takes no verdict that was given for other arguments', async () => {
    const { host, asked } = gate([{ hash: 'f'.repeat(64) }, { verdict: 'refused', why: 'too much' }]);
    expect(await refusalOf('p', call, host)).toBe('too much');
    expect(asked).toHaveLength(2);
    const { host: same } = gate([{ hash: sameHash }]);
    expect(await refusalOf('p', { ...call, value: { to: 'ann', cents: 5 } }, same)).toBeNull();
  });

  it('is judged once more when a person has agreed, and told where none has', async () => {
    const ask: Said = { verdict: 'ask', approve: { to: ['role:a'], expiresMs: null } };
    const agreed = gate([ask, {}, { verdict: 'refused', why: 'shut meanwhile' }]);
    expect(await refusalOf('p', call, agreed.host)).toBe('shut meanwhile');
    expect(agreed.asked).toEqual(['p/gate', 'p/approve:1', 'p/gate:2 by p/approve:1']);
    const rejected = gate([ask], {
      review: async () => ({ outcome: 'rejected', by: 'user:bob', at: 0, comment: 'never' }),
    });
    expect(await refusalOf('p', call, rejected.host)).toBe('user:bob has not agreed to it: never');
    const late = gate([ask], { review: async () => ({ outcome: 'expired', at: 0 }) });
    expect(await refusalOf('p', call, late.host)).toContain('in time');
  });

  it('leaves alone what was begun before there were verdicts, and what has neither policy nor effect', async () => {
    const before = gate([], {}, ['p']);
    expect(await refusalOf('p', call, before.host)).toBeNull();
    const pure = gate([]);
    expect(await refusalOf('p', { ...call, effect: 'pure' }, pure.host)).toBeNull();
    expect([...before.asked, ...pure.asked]).toEqual([]);
    // What was judged stays judged, though the app says nothing of tools any more.
    const judged = gate([{ verdict: 'refused', why: 'no' }], {}, ['p', 'p/gate']);
    expect(await refusalOf('p', { ...call, effect: 'pure' }, judged.host)).toBe('no');
  });

  it('refuses what cannot be recorded, and comes to an end', async () => {
    expect(await refusalOf('p', { ...call, value: () => 1 }, gate([]).host)).toContain('cannot be recorded');
    const loop = gate([], {
      since: 99,
      judge: async (command) => ({ ...command, rule: '', verdict: 'allowed', seq: 1, at: 0 }) as never,
    });
    expect(await refusalOf('p', call, loop.host)).toContain('too often');
  });
});

describe('taint of a request', () => {
  const result = (toolName: string, toolCallId = 'c') => ({ type: 'tool-result', toolName, toolCallId, output: 'x' });
  const policy = readToolPolicy({ trusted: 'calc' }, () => undefined);

  it('comes from marks and results of tools, but not from trusted ones and our own words', () => {
    const messages = [
      { role: 'user', content: [{ type: 'text', text: 'hello' }] },
      { role: 'tool', content: [result('search'), result('calc'), markOwn(result('pay')), result('mail', 'm')] },
    ];
    const request = JSON.stringify({ prompt: '<untrusted:page>\nx\n</untrusted:page>' });
    expect(taintOf(request, messages, policy, (tool) => tool === 'mail')).toEqual(['page', 'tool:search']);
    expect(taintOf('"hello"', [], null)).toEqual([]);
    expect(taintOf('', [{ role: 'tool', content: ['odd', null, {}] }], policy)).toEqual(['tool:']);
  });
});
