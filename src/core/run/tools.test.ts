import { describe, expect, it } from 'vitest';
import type { BodyCommand } from './commands.js';
import { decideTool, staleVerdicts } from './decide-tools.js';
import type { NewRunEvent } from './events.js';
import { applyEvent, emptyState, type RunState } from './state.js';
import { judged } from '../tools/judge.js';
import { readToolPolicy, type ToolPolicyOptions } from '../tools/read-policy.js';

function policyOf(given: ToolPolicyOptions) {
  const faults: string[] = [];
  const policy = readToolPolicy(given, (fault) => faults.push(fault));
  expect(faults).toEqual([]);
  return policy;
}

/** A run, and the gate that decides over its tools. */
function runWith(given: ToolPolicyOptions, agent: string | null = null) {
  const state: RunState = emptyState('t', 'run_1');
  state.workflow = 'w';
  if (agent !== null) state.agent = { key: agent, generation: 1 };
  const policy = policyOf(given);
  const apply = (event: NewRunEvent): void => applyEvent(state, { ...event, seq: state.head + 1, at: 1 });
  const ask = (of: string, more: Partial<Extract<BodyCommand, { op: 'judgeTool' }>> = {}) => {
    const command = {
      op: 'judgeTool',
      path: `${of}/gate`,
      of,
      tool: 'pay',
      effect: 'external',
      hash: 'a',
      args: '{"cents":5}',
      taint: [],
      approval: null,
      ...more,
    } as const;
    const decision = decideTool(state, command, { judge: (call) => judged(call, policy, [], () => []) });
    if (decision.tag === 'accepted') for (const event of decision.events) apply(event);
    const unit = state.units.get(command.path);
    return unit?.kind === 'gate' ? unit.verdict : null;
  };
  return { state, apply, ask };
}

const twice = { rules: [{ tools: 'pay', perRun: { calls: 2, sum: { cents: 12 } }, tainted: 'allow' }] } as const;

describe('verdicts on calls of tools', () => {
  it('count what was allowed, and nothing else', () => {
    const { ask } = runWith(twice);
    expect(ask('a')).toBe('allowed');
    expect(ask('b', { args: '{"cents":8}' })).toBe('refused');
    expect(ask('c')).toBe('allowed');
    expect(ask('d', { args: '{"cents":1}' })).toBe('refused');
    // A repeat is what it was.
    expect(ask('a')).toBe('allowed');
  });

  it('of the same call, judged once more, count one time', () => {
    const { ask } = runWith(twice);
    ask('a');
    expect(ask('a', { path: 'a/gate:2' })).toBe('allowed');
    expect(ask('b')).toBe('allowed');
  });

  it('of an agent count for each message', () => {
    const { ask } = runWith({ rules: [{ tools: 'pay', perRun: { calls: 1 }, tainted: 'allow' }] }, 'k');
    expect(ask('handle:0/talk/pay:1')).toBe('allowed');
    expect(ask('handle:0/talk/pay:2')).toBe('refused');
    expect(ask('handle:1/talk/pay:1')).toBe('allowed');
  });

  it('take a word for the call that it was given for, from the approval itself', () => {
    const { ask, apply } = runWith({ rules: [{ tools: 'pay', verdict: 'approve' }] });
    const on = { kind: 'approval', title: 'x', to: ['role:a'], escalations: [], call: 'a' } as const;
    const asked = (path: string, outcome: 'approved' | 'rejected') => {
      apply({ type: 'wait.opened', data: { path, on, expiresAt: null } });
      apply({ type: 'wait.satisfied', data: { path, by: { kind: 'approval', outcome, by: 'user:ann' } } });
    };
    expect(ask('a')).toBe('ask');
    expect(ask('a', { path: 'a/gate:2', approval: 'a/approve' })).toBe('ask');
    asked('a/approve', 'approved');
    asked('b/approve', 'rejected');
    expect(ask('a', { path: 'a/gate:3', approval: 'a/approve', hash: 'b' })).toBe('ask');
    expect(ask('a', { path: 'a/gate:4', approval: 'b/approve' })).toBe('ask');
    expect(ask('a', { path: 'a/gate:5', approval: 'a/gate' })).toBe('ask');
    expect(ask('a', { path: 'a/gate:6', approval: 'a/approve' })).toBe('allowed');
  });

  it('go by all that the run has read, unless they are asked for less', () => {
    const { state, ask, apply } = runWith({ rules: [{ tools: 'pay', tainted: 'refuse' }] });
    expect(ask('a')).toBe('allowed');
    apply({ type: 'child.ended', data: { path: 'c', run: 'r', status: 'succeeded', failure: null, taint: ['mail'] } });
    apply({ type: 'signal.received', data: { id: '1', name: 's', by: 'x', taint: ['page', 'mail'] } });
    expect(state.taint).toEqual(['mail', 'page']);
    expect(ask('b')).toBe('refused');
    expect(ask('c', { own: true })).toBe('allowed');
    expect(ask('d', { own: true, taint: ['here'] })).toBe('refused');
  });

  it('look at no arguments that are too large or unreadable, and then allow nothing that is limited', () => {
    const { ask } = runWith({
      rules: [{ tools: 'pay', limits: { cents: { max: 9 } }, tainted: 'allow' }, { tools: 'free' }],
    });
    expect(ask('a', { args: null })).toBe('refused');
    expect(ask('b', { args: '{"cents":' })).toBe('refused');
    expect(ask('c', { args: `{"cents":1,"pad":"${'x'.repeat(70_000)}"}` })).toBe('refused');
    expect(ask('d', { args: null, tool: 'free' })).toBe('allowed');
  });

  it('are forgotten by a redrive where what they allowed has not come to a result', () => {
    const { state, ask, apply } = runWith(twice);
    ask('a');
    ask('b');
    ask('c');
    apply({ type: 'step.completed', data: { path: 'a', attempt: 1, durationMs: 1, withInput: false } });
    expect(staleVerdicts(state)).toEqual(['b/gate']);
  });
});
