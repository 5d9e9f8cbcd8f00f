import { describe, expect, it } from 'vitest';
import { failure } from '../failure.js';
import type { RetryPolicy } from '../retry.js';
import type { RunCommand } from './commands.js';
import { decide, type DecideContext, type Decision } from './decide.js';
import { effectsOf, openRows, sweeps, type TableEffect } from './effects.js';
import type { NewRunEvent, RunEvent } from './events.js';
import { applyEvent, emptyState, foldRun, rowOf, type RunState } from './state.js';

const retry: RetryPolicy = { attempts: 3, minMs: 100, maxMs: 1000, factor: 2 };
const boom = failure({ class: 'network', code: 'ECONNRESET', message: 'boom', retryable: true });
const fatal = failure({ class: 'invalid_request', code: 'BAD', message: 'bad', retryable: false });
const payload = { codec: 'json/1', text: '1' } as const;

/** A run in a test: commands go in, events and table effects come out. */
class Bench {
  readonly state: RunState = emptyState('t', 'run_1');
  readonly events: RunEvent[] = [];
  now = 1000;
  task: string | null = 'a1';
  token = 1;
  unleased = false;

  constructor() {
    this.record([
      {
        type: 'run.started',
        data: {
          workflow: 'w',
          version: null,
          priority: 5,
          timeoutMs: 60_000,
          retainMs: 1000,
          completes: null,
          activationDeadlineMs: 10_000,
          activationRetry: retry,
          trigger: null,
          labels: null,
          idempotencyKey: null,
          correlation: null,
          traceparent: null,
        },
        payload,
      },
    ]);
  }

  do(command: RunCommand): { decision: Decision; types: string[]; effects: TableEffect[] } {
    const context: DecideContext = {
      now: this.now,
      random: 0.5,
      deadLetterId: 'dlq_1',
      worker: 'wrk',
      task: this.task,
      token: this.token,
      unleased: this.unleased,
      newRunId: 'run_new',
      hasWorkflow: (name) => name === 'known',
      hasAgent: (name) => name === 'known',
      recall: () => null,
      judge: () => ({ tag: 'allowed', rule: '', counted: {} }),
      admit: () => null,
      agentRunId: (agent, key, generation) => `run_${agent}_${key}_${generation}`,
      capability: (name) =>
        name === 'known' || name === 'paying'
          ? { retry, deadlineMs: 5000, effect: name === 'paying' ? 'external' : 'idempotent' }
          : null,
    };
    const decision = decide(this.state, command, context);
    const events = decision.tag === 'accepted' ? decision.events : [];
    return { decision, types: events.map((e) => e.type), effects: this.record(events) };
  }

  record(events: readonly NewRunEvent[]): TableEffect[] {
    const effects: TableEffect[] = [];
    for (const fresh of events) {
      const event: RunEvent = { ...fresh, seq: this.state.head + 1, at: this.now };
      const before = sweeps(event) ? openRows(this.state) : null;
      const wasOpen = this.state.activation.open;
      applyEvent(this.state, event);
      effects.push(...effectsOf(before, wasOpen, event, this.state));
      this.events.push(event);
    }
    return effects;
  }
}

function failedRun(): Bench {
  const bench = new Bench();
  bench.do(complete('a'));
  bench.do({ op: 'failStep', path: 'b', attempt: 1, failure: fatal, retry });
  bench.do({ op: 'fail', failure: fatal, path: 'b' });
  return bench;
}

const tagsOf = (effects: readonly TableEffect[]): string[] => effects.map((e) => e.tag);
const complete = (path: string): RunCommand => ({
  op: 'completeStep',
  path,
  attempt: 1,
  durationMs: 1,
  withInput: false,
  result: payload,
});

describe('decide', () => {
  it('records the first outcome of a step and answers repeats from the record', () => {
    const bench = new Bench();
    expect(bench.do(complete('a')).types).toEqual(['step.completed']);
    expect(bench.do(complete('a')).decision.tag).toBe('already');
    expect(bench.do({ op: 'failStep', path: 'a', attempt: 1, failure: boom, retry }).decision.tag).toBe('already');
  });

  it('refuses commands of any task but the present activation', () => {
    const bench = new Bench();
    bench.task = 'a0';
    expect(bench.do(complete('a')).decision).toEqual({ tag: 'refused', reason: 'stale_task' });
  });

  it('retries a step with jitter, then fails it when the attempts are used up', () => {
    const bench = new Bench();
    const first = bench.do({ op: 'failStep', path: 'a', attempt: 1, failure: boom, retry });
    expect(first.types).toEqual(['step.retrying']);
    expect(first.effects).toEqual([{ tag: 'setTimer', name: ':retry:a', fireAt: 1050 }]);
    expect(bench.do({ op: 'fireTimer', name: ':retry:a' }).types).toEqual(['step.due']);
    expect(bench.do({ op: 'failStep', path: 'a', attempt: 1, failure: boom, retry }).decision.tag).toBe('already');
    expect(bench.do({ op: 'failStep', path: 'a', attempt: 2, failure: boom, retry }).types).toEqual(['step.retrying']);
    bench.do({ op: 'fireTimer', name: ':retry:a' });
    expect(bench.do({ op: 'failStep', path: 'a', attempt: 3, failure: boom, retry }).types).toEqual(['step.failed']);
  });

  it('answers a late repeat of an intent whose attempt has an outcome, instead of beginning it again', () => {
    const bench = new Bench();
    bench.do({ op: 'beginStep', path: 'a', attempt: 1, effect: 'external' });
    bench.do({ op: 'failStep', path: 'a', attempt: 1, failure: boom, retry });
    expect(bench.do({ op: 'beginStep', path: 'a', attempt: 1, effect: 'external' }).decision.tag).toBe('already');
    bench.do({ op: 'fireTimer', name: ':retry:a' });
    expect(bench.do({ op: 'beginStep', path: 'a', attempt: 1, effect: 'external' }).decision.tag).toBe('already');
    expect(bench.do({ op: 'beginStep', path: 'a', attempt: 2, effect: 'external' }).types).toEqual(['step.started']);
  });

  it('does not retry what cannot be retried', () => {
    expect(new Bench().do({ op: 'failStep', path: 'a', attempt: 1, failure: fatal, retry }).types).toEqual([
      'step.failed',
    ]);
  });

  it('queues a call, retries it under the same task and closes the task with the result', () => {
    const bench = new Bench();
    const scheduled = bench.do({ op: 'call', path: 'c', capability: 'known', input: payload, options: {} });
    expect(tagsOf(scheduled.effects)).toEqual(['openTask']);
    expect(bench.do({ op: 'call', path: 'c', capability: 'known', input: payload, options: {} }).decision.tag).toBe(
      'already',
    );
    bench.task = 'c2';
    const failed = bench.do({ op: 'failTask', failure: boom });
    expect(failed.types).toEqual(['call.retrying']);
    expect(failed.effects).toMatchObject([{ tag: 'requeueTask', task: { task: 'c2', attempt: 2, dueAt: 1050 } }]);
    const done = bench.do({ op: 'completeTask', result: payload, durationMs: 3 });
    expect(done.effects).toEqual([{ tag: 'closeTask', task: 'c2' }]);
  });

  it('refuses a capability that nobody knows', () => {
    expect(new Bench().do({ op: 'call', path: 'c', capability: 'x', input: payload, options: {} }).decision).toEqual({
      tag: 'refused',
      reason: 'unknown_capability',
    });
  });

  it('counts a lost call as an attempt, so that a poison task ends', () => {
    const bench = new Bench();
    bench.do({ op: 'call', path: 'c', capability: 'known', input: payload, options: {} });
    bench.task = 'c2';
    expect(bench.do({ op: 'loseTask', failure: boom }).types).toEqual(['call.retrying']);
    expect(bench.do({ op: 'loseTask', failure: boom }).types).toEqual(['call.retrying']);
    expect(bench.do({ op: 'loseTask', failure: boom }).types).toEqual(['call.failed']);
  });

  it('does not try an external call again when its worker is lost: a person decides', () => {
    const bench = new Bench();
    bench.do({ op: 'call', path: 'c', capability: 'paying', input: payload, options: {} });
    bench.task = 'c2';
    const lost = bench.do({ op: 'loseTask', failure: boom });
    expect(lost.decision).toMatchObject({
      events: [{ type: 'call.failed', data: { failure: { code: 'EFFECT_AMBIGUOUS' } } }],
    });
  });

  it('parks, and opens a new activation when a call ends', () => {
    const bench = new Bench();
    bench.do({ op: 'call', path: 'c', capability: 'known', input: payload, options: {} });
    expect(bench.do({ op: 'park', seen: 2 }).effects).toEqual([{ tag: 'closeTask', task: 'a1' }]);
    expect(bench.state.status).toBe('waiting');
    bench.task = 'c2';
    const done = bench.do({ op: 'completeTask', result: payload, durationMs: 3 });
    expect(done.effects).toMatchObject([
      { tag: 'closeTask', task: 'c2' },
      { tag: 'openTask', task: { task: 'a2', kind: 'activation' } },
    ]);
    expect(bench.state.status).toBe('active');
  });

  it('refuses to park over an event that the body has not seen', () => {
    const bench = new Bench();
    bench.do({ op: 'sleep', path: 's', ms: 10 });
    bench.do({ op: 'fireTimer', name: 's' });
    expect(bench.do({ op: 'park', seen: 2 }).decision).toEqual({ tag: 'refused', reason: 'stale' });
    expect(bench.do({ op: 'park', seen: 3 }).types).toEqual(['run.parked']);
  });

  it('fires a timer once', () => {
    const bench = new Bench();
    expect(bench.do({ op: 'sleep', path: 's', ms: 10 }).effects).toEqual([
      { tag: 'setTimer', name: 's', fireAt: 1010 },
    ]);
    expect(bench.do({ op: 'fireTimer', name: 's' }).effects).toEqual([{ tag: 'clearTimer', name: 's' }]);
    expect(bench.do({ op: 'fireTimer', name: 's' }).decision.tag).toBe('already');
  });

  it('gives a lost activation that made progress a fresh count, and one that made none a counted retry', () => {
    const bench = new Bench();
    bench.do(complete('a'));
    expect(bench.do({ op: 'loseTask', failure: boom }).effects).toMatchObject([
      { tag: 'requeueTask', task: { attempt: 1, dueAt: 1000 } },
    ]);
    expect(bench.do({ op: 'loseTask', failure: boom }).effects).toMatchObject([
      { tag: 'requeueTask', task: { attempt: 2, dueAt: 1050 } },
    ]);
    expect(bench.do({ op: 'loseTask', failure: boom }).types).toEqual(['activation.retrying']);
    expect(bench.do({ op: 'loseTask', failure: boom }).types).toEqual(['run.failed']);
  });

  it('cancels a run that nobody has begun at once', () => {
    const bench = new Bench();
    bench.task = null;
    bench.unleased = true;
    const cancelled = bench.do({ op: 'cancel', reason: 'no', by: 'x', graceMs: 10 });
    expect(cancelled.types).toEqual(['run.cancel_requested', 'run.cancelled']);
    expect(bench.state.status).toBe('cancelled');
  });

  it('lets a begun body clean up within its grace, and ends it by force after that', () => {
    const bench = new Bench();
    bench.do({ op: 'call', path: 'c', capability: 'known', input: payload, options: {} });
    bench.task = null;
    const requested = bench.do({ op: 'cancel', reason: null, by: 'x', graceMs: 10 });
    expect(requested.effects).toEqual([
      { tag: 'closeTask', task: 'c2' },
      { tag: 'setTimer', name: ':cancel-grace', fireAt: 1010 },
    ]);
    expect(bench.do({ op: 'cancel', reason: null, by: 'x', graceMs: 10 }).decision.tag).toBe('already');
    expect(bench.do({ op: 'fireTimer', name: ':cancel-grace' }).types).toEqual(['run.cancelled']);
  });

  it('does not end the grace of a cancellation by the timer of an earlier one', () => {
    const bench = new Bench();
    bench.do({ op: 'beginStep', path: 's', attempt: 1, effect: 'pure' });
    bench.do({ op: 'cancel', reason: null, by: 'x', graceMs: 10 });
    bench.do({ op: 'endCancelled' });
    bench.do({ op: 'redrive', by: 'x' });
    bench.now = 2000;
    bench.do({ op: 'cancel', reason: null, by: 'x', graceMs: 10 });
    const late = bench.do({ op: 'fireTimer', name: ':cancel-grace', fireAt: 1010 });
    expect(late.decision).toEqual({ tag: 'refused', reason: 'stale' });
    expect(bench.do({ op: 'fireTimer', name: ':cancel-grace', fireAt: 2010 }).types).toEqual(['run.cancelled']);
  });

  it('redrives a failed run: what succeeded stays, what failed is forgotten', () => {
    const bench = failedRun();
    expect(bench.state.status).toBe('failed');
    const redriven = bench.do({ op: 'redrive', by: 'x' });
    expect(redriven.decision).toMatchObject({ events: [{ data: { paths: ['b'], deadLetter: 'dlq_1' } }] });
    expect(tagsOf(redriven.effects)).toEqual(['setTimer', 'openTask']);
    expect(bench.state.units.has('a')).toBe(true);
    expect(bench.state.units.has('b')).toBe(false);
  });

  it('migrates a run: whoever has the old code loses the body, which begins anew in the queue of the new version', () => {
    const bench = new Bench();
    bench.do(complete('a'));
    const migrated = bench.do({ op: 'migrate', to: '2', by: 'x' });
    expect(migrated.decision).toMatchObject({ events: [{ data: { by: 'x', from: null, to: '2' } }] });
    expect(migrated.effects).toMatchObject([
      { tag: 'closeTask', task: 'a1' },
      { tag: 'openTask', task: { task: 'a2', queue: 'workflow:w@2', attempt: 1 } },
    ]);
    expect(rowOf(bench.state)).toMatchObject({ version: '2', status: 'active' });
    expect(bench.do(complete('b')).decision).toEqual({ tag: 'refused', reason: 'stale_task' });
    expect(bench.do({ op: 'migrate', to: '2', by: 'x' }).decision.tag).toBe('already');
    expect(foldRun('t', 'run_1', bench.events)).toEqual(bench.state);
  });

  it('migrates a parked run by waking it: the new code may wait for something else', () => {
    const bench = new Bench();
    bench.do({ op: 'sleep', path: 's', ms: 10 });
    bench.do({ op: 'park', seen: bench.state.head });
    expect(bench.do({ op: 'migrate', to: '2', by: 'x' }).effects).toMatchObject([
      { tag: 'openTask', task: { task: 'a2', queue: 'workflow:w@2' } },
    ]);
    expect(bench.state.status).toBe('active');
    expect(bench.state.units.get('s')).toMatchObject({ status: 'set' });
  });

  it('redrives for a dead letter only while it is the open one of the run', () => {
    const bench = failedRun();
    const bulk = { op: 'redrive', by: 'x', deadLetter: 'dlq_1', bulk: 'rdv_1', reason: 'why' } as const;
    expect(bench.do({ ...bulk, deadLetter: 'dlq_0' }).decision.tag).toBe('already');
    expect(bench.do(bulk).decision).toMatchObject({ events: [{ data: { bulk: 'rdv_1', reason: 'why' } }] });
    expect(bench.do(bulk).decision.tag).toBe('already');
  });

  it('edits the input of what failed with the redrive, and of nothing else', () => {
    const bench = failedRun();
    const edit = (path: string | null) => bench.do({ op: 'redrive', by: 'x', edit: { path, input: payload } });
    expect(edit('a').decision).toEqual({ tag: 'refused', reason: 'not_editable' });
    expect(edit('nobody').decision).toEqual({ tag: 'refused', reason: 'not_editable' });
    expect(edit('b').decision).toMatchObject({ events: [{ type: 'input.edited' }, { type: 'run.redriven' }] });
    expect(bench.state.edits.get('b')).toEqual(payload);
  });

  it('migrates nothing that has ended; what has failed is redriven first', () => {
    const bench = new Bench();
    bench.do({ op: 'fail', failure: fatal, path: null });
    const early = bench.do({ op: 'migrate', to: '2', by: 'x' });
    expect(early.decision).toEqual({ tag: 'refused', reason: 'not_migratable' });
    bench.do({ op: 'redrive', by: 'x' });
    expect(bench.do({ op: 'migrate', to: '2', by: 'x' }).effects).toMatchObject([
      { tag: 'closeTask', task: 'a2' },
      { tag: 'openTask', task: { task: 'a3', queue: 'workflow:w@2' } },
    ]);
  });

  it('closes every task and timer at the end of a run', () => {
    const bench = new Bench();
    bench.do({ op: 'call', path: 'c', capability: 'known', input: payload, options: {} });
    bench.do({ op: 'sleep', path: 's', ms: 10 });
    const ended = bench.do({ op: 'succeed', output: payload });
    expect(ended.effects).toEqual([
      { tag: 'closeTask', task: 'a1' },
      { tag: 'closeTask', task: 'c2' },
      { tag: 'clearTimer', name: 's' },
      { tag: 'clearTimer', name: ':timeout' },
    ]);
    expect(bench.do({ op: 'succeed', output: payload }).decision).toEqual({ tag: 'refused', reason: 'ended' });
  });

  it('refuses a path that another kind of unit has', () => {
    const bench = new Bench();
    bench.do(complete('a'));
    expect(bench.do({ op: 'sleep', path: 'a', ms: 1 }).decision).toEqual({ tag: 'refused', reason: 'path_in_use' });
    expect(bench.do({ op: 'sleep', path: ':timeout', ms: 1 }).decision).toEqual({
      tag: 'refused',
      reason: 'invalid_path',
    });
  });

  it('is a fold: the state made step by step equals the fold of the events', () => {
    const bench = new Bench();
    bench.do({ op: 'call', path: 'c', capability: 'known', input: payload, options: {} });
    bench.do({ op: 'park', seen: 2 });
    bench.task = 'c2';
    bench.do({ op: 'failTask', failure: boom });
    bench.do({ op: 'completeTask', result: payload, durationMs: 1 });
    const folded = foldRun('t', 'run_1', bench.events);
    expect(folded).toEqual(bench.state);
    expect(rowOf(folded)).toEqual(rowOf(bench.state));
  });

  it('begins a stream anew when its attempt is made again under another lease, and takes each batch once', () => {
    const bench = new Bench();
    const batch = (from: number, attempt = 1): string[] =>
      bench.do({ op: 'append', path: 's', attempt, from, count: 2, chunks: payload }).types;
    const last = (): unknown => {
      const stream = bench.state.streams.get('s');
      return [stream?.attempt, stream?.written, stream?.next];
    };
    expect([batch(0), batch(0), batch(2)].flat()).toEqual(['stream.appended', 'stream.appended']);
    expect(last()).toEqual([1, 4, 4]);
    bench.token = 2;
    expect([batch(4), batch(0), batch(0)].flat()).toEqual(['stream.appended']);
    expect(last()).toEqual([2, 2, 6]);
    expect([batch(0, 2), batch(2, 1)].flat()).toEqual(['stream.appended']);
    expect(last()).toEqual([3, 2, 8]);
  });

  it('takes no end of a child that another has taken the place of', () => {
    const bench = new Bench();
    bench.do({ op: 'startChild', path: 'c', workflow: 'known', input: payload, options: { detached: false } });
    const end = { op: 'endChild', path: 'c', run: 'run_old', status: 'failed', output: null, failure: null } as const;
    expect(bench.do({ ...end, first: 'run_old' }).types).toEqual([]);
    expect(bench.do({ ...end, first: 'run_new' }).types).toEqual(['child.ended']);
  });
});
