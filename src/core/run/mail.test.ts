import { describe, expect, it } from 'vitest';
import type { RunCommand } from './commands.js';
import { decide, type Decision } from './decide.js';
import { effectsOf, openRows, sweeps, type TableEffect } from './effects.js';
import type { NewRunEvent, RunEvent } from './events.js';
import { mailSignal, seqOfSendTimer, sendTimer, type MailSource } from './mail.js';
import { applyEvent, emptyState, rowOf, unreadMail } from './state.js';

const retry = { attempts: 1, minMs: 0, maxMs: 0, factor: 1 };
const data = { codec: 'json/1', text: '1' } as const;

/** A run of a key, as its events make it. */
class Key {
  readonly state = emptyState('acme', 'run_1');
  readonly effects: TableEffect[] = [];

  constructor() {
    this.#apply({
      type: 'run.started',
      data: {
        workflow: 'tally',
        version: null,
        priority: 5,
        timeoutMs: null,
        retainMs: 1_000,
        completes: null,
        activationDeadlineMs: 1,
        activationRetry: retry,
        trigger: null,
        labels: null,
        idempotencyKey: null,
        correlation: null,
        traceparent: null,
        agent: { key: 'k', generation: 3, offsets: { 'noted/0': 4 } },
      },
    });
  }

  do(command: RunCommand): Decision {
    const decision = decide(this.state, command, {
      now: 1_000,
      random: 0,
      deadLetterId: 'dlq_1',
      worker: '',
      task: 'a1',
      token: 1,
      unleased: false,
      newRunId: 'run_new',
      hasWorkflow: () => false,
      hasAgent: (name) => name === 'tally',
      recall: () => null,
      judge: () => ({ tag: 'allowed', rule: '', counted: {} }),
      admit: () => null,
      agentRunId: (agent, key, generation) => `run_${agent}_${key}_${generation}`,
      capability: () => null,
    });
    if (decision.tag === 'accepted') for (const event of decision.events) this.#apply(event);
    return decision;
  }

  mail(id: string, from: MailSource = { kind: 'caller', reply: false }): Decision {
    return this.do({ op: 'signal', id, name: mailSignal, by: 'test', data, mail: { type: 'add', from } });
  }

  #apply(fresh: NewRunEvent): void {
    const event = { ...fresh, seq: this.state.head + 1, at: 1_000 } as RunEvent;
    const before = sweeps(event) ? openRows(this.state) : null;
    const wasOpen = this.state.activation.open;
    applyEvent(this.state, event);
    this.effects.push(...effectsOf(before, wasOpen, event, this.state));
  }
}

describe('the run of an agent key', () => {
  it('says where the key is', () => {
    const value = JSON.stringify({ run: 'run_1', generation: 3 });
    expect(new Key().effects).toContainEqual({
      tag: 'putEntry',
      entry: { space: 'agent:tally', key: 'k', ref: '', value },
      run: '',
    });
  });

  it('takes a message of one id once, and of a partition only what comes after what it had', () => {
    const key = new Key();
    const from = (offset: number): MailSource => ({ kind: 'topic', partition: 'noted/0', offset });
    expect([key.mail('a'), key.mail('a')].map(({ tag }) => tag)).toEqual(['accepted', 'already']);
    expect([4, 6, 5].map((offset) => key.mail(`noted/0/${offset}`, from(offset)).tag)).toEqual([
      'already',
      'accepted',
      'already',
    ]);
    expect(unreadMail(key.state)).toBe(2);
  });

  it('does not take arriving mail for progress of its body', () => {
    const key = new Key();
    key.mail('a');
    const cause = { class: 'unknown', code: 'LOST', message: 'lost', retryable: true } as const;
    expect(key.do({ op: 'loseTask', failure: cause })).toMatchObject({ events: [{ type: 'run.failed' }] });
  });

  it('still takes mail when it has failed, and is kept for as long as it waits for a person', () => {
    const key = new Key();
    key.do({ op: 'fail', failure: { class: 'unknown', code: 'X', message: '', retryable: false }, path: null });
    expect(key.mail('a').tag).toBe('accepted');
    expect(rowOf(key.state)).toMatchObject({ status: 'failed', expiresAt: null });
    expect(key.do({ op: 'signal', id: 'b', name: 'other', by: 'test', data })).toEqual({
      tag: 'refused',
      reason: 'ended',
    });
  });

  it('goes on in the next of its runs, whose id follows from it', () => {
    const key = new Key();
    const decision = key.do({ op: 'continueAsNew', input: data });
    expect(decision).toMatchObject({ events: [{ data: { next: 'run_tally_k_4' } }] });
    expect(key.mail('a')).toEqual({ tag: 'refused', reason: 'ended' });
  });

  it('keeps the data of what is unread until it is asked for', () => {
    const key = new Key();
    key.mail('a');
    expect([...key.state.mail.values()].map(({ payload }) => payload)).toEqual([data]);
    const on = { kind: 'signal', name: mailSignal } as const;
    key.do({ op: 'wait', path: 'mail:0', on, timeoutMs: null, request: null });
    expect(key.state.mail.size).toBe(0);
    expect(unreadMail(key.state)).toBe(0);
  });
});

describe('what is sent', () => {
  const to = { kind: 'agent', agent: 'tally', key: 'other', type: 'add', reply: null } as const;

  it('stands on the list of what is to be done until it is delivered, and is recorded once', () => {
    const key = new Key();
    const send = { op: 'send', path: 's', to, data } as const;
    expect([key.do(send), key.do(send)].map(({ tag }) => tag)).toEqual(['accepted', 'already']);
    expect(key.effects).toContainEqual({ tag: 'setTimer', name: sendTimer(2), fireAt: 1_000 });
    expect(seqOfSendTimer(sendTimer(2))).toBe(2);
  });

  it('is refused for an agent that nobody knows', () => {
    const send = { op: 'send', path: 's', to: { ...to, agent: 'nobody' }, data } as const;
    expect(new Key().do(send)).toEqual({ tag: 'refused', reason: 'unknown_agent' });
  });
});
