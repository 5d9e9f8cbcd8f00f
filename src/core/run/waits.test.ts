import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Payload } from '../payload.js';
import type { RunCommand } from './commands.js';
import { decide, type Decision } from './decide.js';
import { effectsOf, openRows, sweeps } from './effects.js';
import type { NewRunEvent, RunEvent } from './events.js';
import { applyEvent, emptyState, foldRun, type RunState } from './state.js';
import { isWorkTimer, orderedText, type Person, type TopicEventRef, type WaitOn } from './waits.js';

const payload: Payload = { codec: 'json/1', text: '1' };
const noRetry = { attempts: 1, minMs: 0, maxMs: 0, factor: 1 };
const topicEvent = (offset: number): TopicEventRef => ({
  topic: 'orders',
  partition: 0,
  offset,
  id: `e${offset}`,
  at: 1_000,
});
const onEvent: WaitOn = { kind: 'event', topic: 'orders', match: { orderId: '7' } };
const onSignal = (name: string): WaitOn => ({ kind: 'signal', name });
const onApproval: WaitOn = {
  kind: 'approval',
  title: 'Publish?',
  to: ['role:editor', 'user:ann'],
  escalations: [
    { afterMs: 100, to: ['role:chief'] },
    { afterMs: 300, to: ['user:boss'] },
  ],
};
const wait = (path: string, on: WaitOn, timeoutMs: number | null = null): RunCommand => ({
  op: 'wait',
  path,
  on,
  timeoutMs,
  request: null,
});
const signal = (id: string, name = 'go'): RunCommand => ({ op: 'signal', id, name, by: 'test', data: payload });
const ann: Person = { name: 'user:ann', roles: [] };

/** A run with its log, and the tables that the effects of its events make. */
class Bench {
  state: RunState = emptyState('t', 'run_1');
  readonly events: RunEvent[] = [];
  readonly timers = new Map<string, number>();
  readonly entries = new Map<string, string>();
  now = 1_000;

  constructor() {
    this.#apply({
      type: 'run.started',
      data: {
        workflow: 'w',
        version: null,
        priority: 5,
        timeoutMs: null,
        retainMs: null,
        completes: null,
        activationDeadlineMs: 1_000,
        activationRetry: noRetry,
        trigger: null,
        labels: null,
        idempotencyKey: null,
        correlation: null,
        traceparent: null,
      },
    });
  }

  do(command: RunCommand): Decision {
    const decision = decide(this.state, command, {
      now: this.now,
      random: 0,
      deadLetterId: 'dlq_1',
      worker: '',
      task: `a${this.state.activation.n}`,
      token: 1,
      unleased: false,
      newRunId: 'run_new',
      hasWorkflow: () => true,
      hasAgent: () => true,
      recall: () => null,
      judge: () => ({ tag: 'allowed', rule: '', counted: {} }),
      admit: () => null,
      agentRunId: (agent, key, generation) => `run_${agent}_${key}_${generation}`,
      capability: () => null,
    });
    if (decision.tag === 'accepted') for (const event of decision.events) this.#apply(event);
    return decision;
  }

  #apply(fresh: NewRunEvent): void {
    const event = { ...fresh, seq: this.state.head + 1, at: this.now } as RunEvent;
    const before = sweeps(event) ? openRows(this.state) : null;
    const wasOpen = this.state.activation.open;
    applyEvent(this.state, event);
    this.events.push(event);
    for (const effect of effectsOf(before, wasOpen, event, this.state)) {
      if (effect.tag === 'setTimer') this.timers.set(effect.name, effect.fireAt);
      else if (effect.tag === 'clearTimer') this.timers.delete(effect.name);
      else if (effect.tag === 'putEntry')
        this.entries.set(`${effect.entry.space} ${effect.entry.key} ${effect.entry.ref}`, effect.entry.value);
      else if (effect.tag === 'dropEntry')
        this.entries.delete(`${effect.entry.space} ${effect.entry.key} ${effect.entry.ref}`);
    }
  }

  types(): string[] {
    return this.events.map(({ type }) => type);
  }

  /** The tables are what the log folds to. */
  checkRows(): void {
    const open = ['succeeded', 'failed', 'cancelled', 'refused'].includes(this.state.status)
      ? { timers: [], entries: [] }
      : openRows(this.state);
    expect([...this.timers.keys()].filter((name) => !isWorkTimer(name)).sort()).toEqual([...open.timers].sort());
    expect([...this.entries.keys()].sort()).toEqual(
      open.entries.map(({ space, key, ref }) => `${space} ${key} ${ref}`).sort(),
    );
    expect(foldRun('t', 'run_1', this.events)).toEqual(this.state);
  }
}

describe('signals', () => {
  it('are kept until somebody waits, and taken in the order in which they came', () => {
    const bench = new Bench();
    bench.do(signal('s1'));
    bench.do(signal('s2'));
    bench.do(wait('a', onSignal('go')));
    bench.do(wait('b', onSignal('go')));
    bench.do(wait('c', onSignal('go')));
    expect(bench.types().slice(1)).toEqual([
      'signal.received',
      'signal.received',
      'wait.opened',
      'wait.satisfied',
      'wait.opened',
      'wait.satisfied',
      'wait.opened',
    ]);
    expect(bench.events.flatMap((e) => (e.type === 'wait.satisfied' ? [e.data] : []))).toEqual([
      { path: 'a', by: { kind: 'signal', seq: 2 } },
      { path: 'b', by: { kind: 'signal', seq: 3 } },
    ]);
    bench.do(signal('s3'));
    expect(bench.events.at(-1)).toMatchObject({ type: 'wait.satisfied', data: { path: 'c', by: { seq: 9 } } });
    bench.checkRows();
  });

  it('of one id are one signal, also after the end of the run', () => {
    const bench = new Bench();
    expect(bench.do(signal('s1')).tag).toBe('accepted');
    expect(bench.do(signal('s1', 'other')).tag).toBe('already');
    bench.do({ op: 'succeed', output: payload });
    expect(bench.do(signal('s1')).tag).toBe('already');
    expect(bench.do(signal('s2'))).toEqual({ tag: 'refused', reason: 'ended' });
  });

  it('satisfy the wait that was opened first, and no other', () => {
    const bench = new Bench();
    bench.do(wait('b', onSignal('go')));
    bench.do(wait('a', onSignal('go')));
    bench.do(signal('s1'));
    expect(bench.state.units.get('b')).toMatchObject({ status: 'satisfied' });
    expect(bench.state.units.get('a')).toMatchObject({ status: 'open' });
  });

  it('wake a parked run only where it waits for them', () => {
    const bench = new Bench();
    bench.do(wait('a', onSignal('go')));
    bench.do({ op: 'park', seen: bench.state.head });
    bench.do(signal('x', 'other'));
    expect(bench.state.status).toBe('waiting');
    bench.do(signal('s'));
    expect(bench.state.status).toBe('active');
  });

  it('go on to another wait when the wait that has them is given up before its body had them', () => {
    const bench = new Bench();
    bench.do(wait('a', onSignal('go')));
    bench.do(signal('s1'));
    bench.do(wait('b', onSignal('go')));
    bench.do({ op: 'cancelWait', path: 'a' });
    expect(bench.events.at(-1)).toMatchObject({ type: 'wait.satisfied', data: { path: 'b', by: { seq: 3 } } });
    expect(bench.do({ op: 'cancelWait', path: 'a' }).tag).toBe('already');
    bench.do({ op: 'cancelWait', path: 'b' });
    bench.do(signal('s2'));
    bench.do(wait('c', onSignal('go')));
    expect(bench.events.at(-1)).toMatchObject({ data: { path: 'c', by: { seq: 3 } } });
    bench.checkRows();
  });
});

describe('waits for events', () => {
  it('are found by an entry and look back by a timer, until they are satisfied', () => {
    const bench = new Bench();
    bench.do(wait('a', onEvent, 50));
    expect([...bench.entries]).toEqual([[`wait:orders orderId=7 run_1/${orderedText(2)}`, '{"path":"a","opened":2}']]);
    expect([...bench.timers]).toEqual([
      [':expire:2:a', 1_050],
      [':look:2:2', 3_000],
    ]);
    bench.do({ op: 'giveEvent', path: 'a', opened: 2, event: topicEvent(4), data: payload });
    expect(bench.entries.size + bench.timers.size).toBe(0);
    expect(bench.events.at(-1)).toMatchObject({ type: 'wait.satisfied', payload });
    expect(bench.do({ op: 'fireTimer', name: ':expire:2:a' }).tag).toBe('already');
  });

  it('take an event once in a run, and only what is meant for them', () => {
    const bench = new Bench();
    bench.do(wait('a', onEvent));
    bench.do(wait('b', onEvent));
    bench.do({ op: 'giveEvent', path: 'a', opened: 2, event: topicEvent(4), data: null });
    expect(bench.do({ op: 'giveEvent', path: 'a', opened: 2, event: topicEvent(5), data: null }).tag).toBe('refused');
    expect(bench.do({ op: 'giveEvent', path: 'b', opened: 3, event: topicEvent(4), data: null }).tag).toBe('already');
    expect(bench.do({ op: 'giveEvent', path: 'b', opened: 99, event: topicEvent(5), data: null }).tag).toBe('refused');
    expect(bench.do({ op: 'giveEvent', path: 'b', opened: 3, event: topicEvent(5), data: null }).tag).toBe('accepted');
  });

  it('give an event back that was not handed over, and have the others look again', () => {
    const bench = new Bench();
    bench.do(wait('a', onEvent));
    bench.do(wait('b', onEvent));
    bench.do({ op: 'giveEvent', path: 'a', opened: 2, event: topicEvent(4), data: null });
    bench.timers.delete(':look:3:3');
    bench.do({ op: 'cancelWait', path: 'a' });
    expect(bench.timers.get(':look:3:5')).toBe(bench.now);
    expect(bench.do({ op: 'giveEvent', path: 'b', opened: 3, event: topicEvent(4), data: null }).tag).toBe('accepted');
    bench.checkRows();
  });

  it('end with their time, and then are not satisfied any more', () => {
    const bench = new Bench();
    bench.do(wait('a', onEvent, 50));
    bench.do({ op: 'park', seen: 2 });
    bench.do({ op: 'fireTimer', name: ':expire:2:a' });
    expect(bench.state).toMatchObject({ status: 'active', activation: { n: 2 } });
    expect(bench.do({ op: 'giveEvent', path: 'a', opened: 2, event: topicEvent(4), data: null }).tag).toBe('refused');
    bench.checkRows();
  });

  it('are closed with the run, with a request to cancel it, and forgotten by a redrive', () => {
    const bench = new Bench();
    bench.do(wait('a', onEvent, 50));
    bench.do({ op: 'cancel', reason: null, by: 'x', graceMs: 10 });
    expect(bench.entries.size).toBe(0);
    expect([...bench.timers.keys()]).toEqual([':cancel-grace']);
    bench.do(wait('b', onEvent));
    bench.do({ op: 'endCancelled' });
    expect(bench.entries.size + bench.timers.size).toBe(0);
    bench.do({ op: 'redrive', by: 'x' });
    expect(bench.state.units.size).toBe(0);
  });
});

describe('approvals', () => {
  it('lie with those who are asked, and take the word of one of them', () => {
    const bench = new Bench();
    bench.do(wait('ok', onApproval, 1_000));
    expect([...bench.entries.keys()].map((key) => key.split(' ').slice(0, 2).join(' '))).toEqual([
      'inbox role:editor',
      'inbox user:ann',
      'inbox *',
    ]);
    const review = { op: 'review', path: 'ok', opened: 2, outcome: 'approved', answer: payload } as const;
    expect(bench.do({ ...review, by: { name: 'user:bob', roles: ['writer'] } })).toEqual({
      tag: 'refused',
      reason: 'not_addressed',
    });
    expect(bench.do({ ...review, opened: 1, by: ann })).toEqual({ tag: 'refused', reason: 'not_open' });
    expect(bench.do({ ...review, by: { name: 'user:bob', roles: ['editor'] } }).tag).toBe('accepted');
    expect(bench.do({ ...review, by: { name: 'user:bob', roles: ['editor'] } }).tag).toBe('already');
    expect(bench.do({ ...review, by: ann })).toEqual({ tag: 'refused', reason: 'not_open' });
    expect(bench.entries.size + bench.timers.size).toBe(0);
  });

  it('ask others as well when nobody answers, one after the other', () => {
    const bench = new Bench();
    bench.do(wait('ok', onApproval));
    expect([...bench.timers]).toEqual([[':escalate:ok', 1_100]]);
    bench.do({ op: 'fireTimer', name: ':escalate:ok' });
    expect([...bench.timers]).toEqual([[':escalate:ok', 1_300]]);
    bench.do({ op: 'fireTimer', name: ':escalate:ok' });
    expect(bench.state.units.get('ok')).toMatchObject({
      level: 2,
      to: ['role:editor', 'user:ann', 'role:chief', 'user:boss'],
    });
    expect(bench.do({ op: 'fireTimer', name: ':escalate:ok' }).tag).toBe('already');
    bench.checkRows();
  });

  it('can be handed on and commented by those who are asked', () => {
    const bench = new Bench();
    bench.do(wait('ok', onApproval));
    bench.do({ op: 'comment', path: 'ok', opened: 2, by: ann, text: payload });
    bench.do({ op: 'delegate', path: 'ok', opened: 2, by: ann, to: ['user:eve'] });
    bench.checkRows();
    expect([...bench.entries.keys()].map((key) => key.split(' ')[1])).toEqual(['user:eve', '*']);
    expect(bench.do({ op: 'comment', path: 'ok', opened: 2, by: ann, text: payload })).toMatchObject({
      reason: 'not_addressed',
    });
  });
});

describe('any course of waits', () => {
  const path = fc.constantFrom('a', 'b', 'c', 'd');
  const names = fc.constantFrom('go', 'stop');
  const step = fc.oneof(
    fc.record({ op: fc.constant('signal' as const), id: fc.nat(9), name: names }),
    fc.record({ op: fc.constant('waitSignal' as const), path, name: names, ms: fc.constantFrom(null, 10) }),
    fc.record({ op: fc.constant('waitEvent' as const), path, ms: fc.constantFrom(null, 10) }),
    fc.record({ op: fc.constant('approve' as const), path }),
    fc.record({ op: fc.constant('give' as const), path, offset: fc.nat(4) }),
    fc.record({ op: fc.constant('cancelWait' as const), path }),
    fc.record({ op: fc.constant('fire' as const), path, plain: fc.boolean() }),
    fc.record({ op: fc.constant('escalate' as const), path }),
    fc.record({ op: fc.constant('review' as const), path }),
    fc.record({ op: fc.constant('delegate' as const), path }),
    fc.record({ op: fc.constantFrom('cancel' as const, 'end' as const, 'redrive' as const, 'park' as const) }),
  );

  it('gives each signal and each event to one wait, each wait one outcome, and keeps the tables as the log says', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const bench = new Bench();
        for (const one of steps) {
          bench.now += 7;
          bench.do(commandOf(bench, one));
          bench.checkRows();
          checkTaken(bench.events);
        }
      }),
      { numRuns: 400 },
    );
  });

  function commandOf(bench: Bench, one: typeof step extends fc.Arbitrary<infer S> ? S : never): RunCommand {
    const openedOf = (of: string): number => {
      const unit = bench.state.units.get(of);
      return unit?.kind === 'wait' ? unit.opened : 0;
    };
    switch (one.op) {
      case 'signal':
        return signal(`s${one.id}`, one.name);
      case 'waitSignal':
        return wait(one.path, onSignal(one.name), one.ms);
      case 'waitEvent':
        return wait(one.path, onEvent, one.ms);
      case 'approve':
        return wait(one.path, onApproval, 50);
      case 'give':
        return {
          op: 'giveEvent',
          path: one.path,
          opened: openedOf(one.path),
          event: topicEvent(one.offset),
          data: null,
        };
      case 'cancelWait':
        return { op: 'cancelWait', path: one.path };
      case 'fire':
        return { op: 'fireTimer', name: one.plain ? one.path : `:expire:${openedOf(one.path)}:${one.path}` };
      case 'escalate':
        return { op: 'fireTimer', name: `:escalate:${one.path}` };
      case 'review':
        return { op: 'review', path: one.path, opened: openedOf(one.path), by: ann, outcome: 'rejected', answer: null };
      case 'delegate':
        return { op: 'delegate', path: one.path, opened: openedOf(one.path), by: ann, to: ['user:ann', 'user:eve'] };
      case 'cancel':
        return { op: 'cancel', reason: null, by: 'x', graceMs: 5 };
      case 'end':
        return { op: 'endCancelled' };
      case 'redrive':
        return { op: 'redrive', by: 'x' };
      case 'park':
        return { op: 'park', seen: bench.state.head };
    }
  }

  /** Out of the log alone: who has what at each moment. */
  function checkTaken(events: readonly RunEvent[]): void {
    const holders = new Map<string, string>();
    const open = new Set<string>();
    const nameOf = new Map<string, string>();
    for (const event of events) {
      if (event.type === 'wait.opened') open.add(event.data.path);
      if (event.type === 'wait.satisfied') {
        const { path, by } = event.data;
        expect(open.delete(path)).toBe(true);
        const what =
          by.kind === 'signal' ? `signal ${by.seq}` : by.kind === 'event' ? `event ${by.event.offset}` : path;
        expect(holders.has(what)).toBe(false);
        holders.set(what, path);
        nameOf.set(path, what);
      }
      if (event.type === 'wait.expired') expect(open.delete(event.data.path)).toBe(true);
      if (event.type === 'wait.cancelled') {
        const { path, returned } = event.data;
        if (returned) holders.delete(nameOf.get(path) ?? '');
        else expect(open.delete(path)).toBe(true);
      }
      if (event.type === 'run.cancel_requested') open.clear();
      if (event.type === 'run.redriven') for (const path of event.data.paths) open.delete(path);
    }
  }
});
