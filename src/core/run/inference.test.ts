import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { failure } from '../failure.js';
import { limits } from '../limits.js';
import type { Payload } from '../payload.js';
import type { RunCommand } from './commands.js';
import { decide, type Decision } from './decide.js';
import { entryRowsOf } from './entry-rows.js';
import { effectsOf, openRows, sweeps } from './effects.js';
import type { NewRunEvent, RunEvent } from './events.js';
import type { AmbiguityPolicy, InferenceAsk, InferenceGrant, InferenceTicket, InferenceOutcome } from './inference.js';
import { applyEvent, emptyState, foldRun, type RunState } from './state.js';
import { isWorkTimer } from './waits.js';

const payload: Payload = { codec: 'json/1', text: '1' };
const noRetry = { attempts: 1, minMs: 0, maxMs: 0, factor: 1 };
const retry = { attempts: 3, minMs: 0, maxMs: 0, factor: 1 };
const usage = { inputTokens: 100, cachedInputTokens: 10, outputTokens: 20 };
const outcome: InferenceOutcome = {
  usage,
  costMicros: 7,
  finish: 'stop',
  durationMs: 5,
  firstPartMs: null,
  providerId: 'resp-1',
};
const ask: InferenceAsk = {
  model: 'writer',
  fingerprint: 'f'.repeat(64),
  estimate: { inputTokens: 100, outputTokens: 50 },
  policy: ['retry'],
  streamed: false,
  deadlineMs: null,
};
const grant: InferenceGrant = {
  version: 'v1',
  arm: 'v1',
  endpoint: 'here',
  idempotencyKey: 'k',
  reserved: { tokens: 150, costMicros: 3 },
  limits: [],
};
const note = { confidence: 0.5, alternatives: [{ text: 'no', probability: 0.25 }], rules: [] };
const passing = failure({ class: 'overloaded', code: 'BUSY', message: 'busy', retryable: true });

const infer = (attempt = 1): RunCommand => ({ op: 'infer', path: 'a', attempt, ask, request: payload });
const complete = (attempt = 1): RunCommand => ({
  op: 'completeInference',
  path: 'a',
  attempt,
  outcome,
  result: payload,
  note,
});
const fail = (attempt = 1, cause = passing, by = retry): RunCommand => ({
  op: 'failInference',
  path: 'a',
  attempt,
  failure: cause,
  usage,
  costMicros: 1,
  retry: by,
});
const settle = (attempt: number, policy: AmbiguityPolicy): RunCommand => ({
  op: 'settleAmbiguity',
  path: 'a',
  attempt,
  policy,
});
const admit = (attempt = 1): RunCommand => ({ op: 'admitInference', path: 'a', attempt, grant, reservedAt: 5 });

/** A run with its log, and the tables that the effects of its events make. */
class Bench {
  state: RunState = emptyState('t', 'run_1');
  readonly events: RunEvent[] = [];
  readonly timers = new Map<string, number>();
  readonly entries = new Map<string, string>();
  /** What admission says. */
  admission: InferenceGrant | 'hold' | 'shut' | null = grant;
  /** What it was asked. */
  readonly tickets: InferenceTicket[] = [];
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
      admit: (ticket) => {
        this.tickets.push(ticket);
        const waits = { version: 'v1', endpoint: 'e' };
        if (this.admission === 'hold') return { ...waits, until: null };
        return this.admission === 'shut' ? { ...waits, until: this.now + 500 } : this.admission;
      },
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
      else if (effect.tag === 'putEntry') this.entries.set(keyOf(effect.entry), effect.entry.value);
      else if (effect.tag === 'dropEntry') this.entries.delete(keyOf(effect.entry));
    }
  }

  types(): string[] {
    return this.events.slice(1).map(({ type }) => type);
  }

  unit(): unknown {
    return this.state.units.get('a');
  }

  /** The tables are what the log folds to. */
  checkRows(): void {
    const hasEnded = ['succeeded', 'failed', 'cancelled', 'refused'].includes(this.state.status);
    const open = hasEnded ? { timers: [] } : openRows(this.state);
    expect([...this.timers.keys()].filter((name) => !isWorkTimer(name)).sort()).toEqual([...open.timers].sort());
    const settled = [...this.entries.keys()].filter((key) => key.startsWith('tickets settled'));
    const kept = [...this.entries.keys()].filter((key) => !settled.includes(key));
    expect(kept.sort()).toEqual(entryRowsOf(this.state).map(keyOf).sort());
    expect(foldRun('t', 'run_1', this.events)).toEqual(this.state);
  }
}

function keyOf({ space, key, ref }: { readonly space: string; readonly key: string; readonly ref: string }): string {
  return `${space} ${key} ${ref}`;
}

describe('an inference', () => {
  it('is begun by the request itself where it is granted, and is one unit however often it is asked for', () => {
    const bench = new Bench();
    bench.do(infer());
    expect(bench.unit()).toMatchObject({ status: 'begun', attempt: 1, grant, first: 2, request: 2 });
    expect(bench.do(infer()).tag).toBe('already');
    expect(bench.state.spend).toMatchObject({ calls: 1, inputTokens: 0 });
    bench.checkRows();
  });

  it('waits as an entry where it is held, and goes on by a grant and an intent of its own', () => {
    const bench = new Bench();
    bench.admission = 'hold';
    bench.do(infer());
    expect([...bench.entries.keys()]).toEqual(['tickets waiting run_1/i2']);
    expect(bench.do(complete()).tag).toBe('already');
    expect(bench.do({ op: 'beginInference', path: 'a', attempt: 1 }).tag).toBe('already');
    bench.do({ op: 'park', seen: bench.state.head });
    expect(bench.state.status).toBe('waiting');
    bench.do(admit());
    expect(bench.state.status).toBe('active');
    expect(bench.entries.size).toBe(0);
    expect(bench.do(admit()).tag).toBe('already');
    expect(bench.state.spend.calls).toBe(0);
    bench.do({ op: 'beginInference', path: 'a', attempt: 1 });
    expect(bench.state.spend.calls).toBe(1);
    bench.do(complete());
    expect(bench.unit()).toMatchObject({ status: 'completed' });
    bench.checkRows();
  });

  it('has a ticket that is settled once, with what is known of it, whatever it comes to', () => {
    const limited = { ...grant, limits: ['tokens'] };
    const granted = 'tickets granted run_1/i2';
    const settled = 'tickets settled run_1/i2';
    const admitted = (): Bench => {
      const bench = new Bench();
      bench.admission = 'hold';
      bench.do(infer());
      bench.do({ op: 'admitInference', path: 'a', attempt: 1, grant: limited, reservedAt: 5 });
      expect([...bench.entries.keys()]).toEqual([granted]);
      bench.checkRows();
      return bench;
    };
    const begun = (): Bench => {
      const bench = admitted();
      bench.do({ op: 'beginInference', path: 'a', attempt: 1 });
      return bench;
    };
    const settlement = (bench: Bench): unknown => {
      expect(bench.entries.has(granted)).toBe(false);
      bench.checkRows();
      const value = JSON.parse(bench.entries.get(settled) ?? 'null') as unknown;
      bench.entries.delete(settled);
      return value;
    };
    const answered = begun();
    answered.do(complete());
    expect(settlement(answered)).toMatchObject({ begun: true, overloaded: false, tokens: 120, costMicros: 7 });

    const failed = begun();
    failed.do(fail());
    expect(settlement(failed)).toMatchObject({ begun: true, overloaded: true, tokens: 120, costMicros: 1 });
    expect(failed.unit()).toMatchObject({ status: 'retrying' });
    failed.do({ op: 'cancel', reason: null, by: 'x', graceMs: 0 });
    expect(settlement(failed)).toBeNull();

    const lost = begun();
    lost.do({ op: 'loseTask', failure: passing });
    expect(settlement(lost)).toMatchObject({ begun: true, tokens: null, costMicros: null });
    lost.do(settle(1, 'retry'));
    expect(settlement(lost)).toBeNull();

    const ended = admitted();
    ended.do({ op: 'refuse', code: 'X', data: null });
    expect(settlement(ended)).toMatchObject({ begun: false, tokens: 0 });

    const waiting = new Bench();
    waiting.admission = 'hold';
    waiting.do(infer());
    waiting.do({ op: 'refuse', code: 'X', data: null });
    expect([...waiting.entries]).toEqual([]);
  });

  it('is refused where there is no such model, and where its path is something else', () => {
    const bench = new Bench();
    bench.admission = null;
    expect(bench.do(infer())).toEqual({ tag: 'refused', reason: 'unknown_model' });
    bench.do({ op: 'sleep', path: 'a', ms: 5 });
    expect(bench.do(infer())).toEqual({ tag: 'refused', reason: 'path_in_use' });
  });

  it('is recorded with a decision that says what was asked, answered and paid, and by which way', () => {
    const bench = new Bench();
    bench.do(infer());
    bench.do(fail());
    bench.do({ op: 'fireTimer', name: ':retry:a' });
    bench.do(infer(2));
    bench.do(complete(2));
    expect(bench.types()).toEqual([
      'inference.requested',
      'inference.retrying',
      'inference.due',
      'inference.requested',
      'inference.completed',
      'decision.recorded',
    ]);
    expect(bench.events.at(-1)).toMatchObject({
      data: {
        path: 'a',
        attempt: 2,
        model: 'writer',
        version: 'v1',
        endpoint: 'here',
        input: 5,
        output: 6,
        confidence: 0.5,
        alternatives: [{ text: 'no', probability: 0.25 }],
        hops: [{ attempt: 1, version: 'v1', endpoint: 'here', class: 'overloaded', code: 'BUSY' }],
      },
    });
    expect(bench.state.spend).toEqual({ calls: 2, inputTokens: 200, outputTokens: 40, costMicros: 8, ambiguous: 0 });
    bench.checkRows();
  });

  it('has one outcome: what comes later, or from an attempt that another has followed, changes nothing', () => {
    const bench = new Bench();
    bench.do(infer());
    bench.do(fail());
    bench.do({ op: 'fireTimer', name: ':retry:a' });
    bench.do(infer(2));
    expect(bench.do(complete(1)).tag).toBe('already');
    bench.do(complete(2));
    expect(bench.do(complete(2)).tag).toBe('already');
    expect(bench.do(fail(2)).tag).toBe('already');
    expect(bench.do(settle(2, 'retry')).tag).toBe('already');
  });

  it('pauses one time however often its failure is told, and is given up in its pause where nobody wants it', () => {
    const bench = new Bench();
    bench.do(infer());
    bench.do(fail());
    expect(bench.do(fail()).tag).toBe('already');
    expect(bench.unit()).toMatchObject({ status: 'retrying', failures: 1 });
    bench.do(fail(1, failure({ class: 'cancelled', code: 'RACE_LOST', message: 'lost', retryable: false })));
    expect(bench.unit()).toMatchObject({ status: 'failed' });
    bench.checkRows();
  });

  it('is given up after as many failures as its policy allows, and at once by what does not pass', () => {
    const bench = new Bench();
    for (const attempt of [1, 2, 3]) {
      bench.do(infer(attempt));
      bench.do(fail(attempt));
      bench.do({ op: 'fireTimer', name: ':retry:a' });
    }
    expect(bench.types().at(-1)).toBe('inference.failed');
    const other = new Bench();
    other.do(infer());
    other.do(fail(1, failure({ class: 'auth', code: 'KEY', message: 'bad key', retryable: false })));
    expect(other.types().at(-1)).toBe('inference.failed');
    other.checkRows();
  });

  it('pauses for as long as the provider says, however long that is', () => {
    const bench = new Bench();
    const weekMs = 7 * 86_400_000;
    bench.do(infer());
    bench.do(fail(1, { ...passing, retryAfterMs: weekMs }));
    expect(bench.timers.get(':retry:a')).toBe(bench.now + weekMs);
  });

  it('is not called without end where its workers die of it, whatever its policy', () => {
    const bench = new Bench();
    for (let attempt = 1; attempt < limits.inferenceAmbiguousMax; attempt++) {
      bench.do(infer(attempt));
      bench.do(settle(attempt, 'retry'));
    }
    expect(bench.unit()).toMatchObject({ status: 'due', ambiguous: limits.inferenceAmbiguousMax - 1 });
    bench.do(infer(limits.inferenceAmbiguousMax));
    bench.do(settle(limits.inferenceAmbiguousMax, 'retry'));
    expect(bench.unit()).toMatchObject({ status: 'failed' });
    expect(bench.state.spend.calls).toBe(limits.inferenceAmbiguousMax);
    bench.checkRows();
  });

  it('counts what is ambiguous, and does not count it among the failures', () => {
    const bench = new Bench();
    for (const attempt of [1, 2, 3, 4, 5]) {
      bench.do(infer(attempt));
      bench.do(settle(attempt, 'retry-with-same-key'));
    }
    expect(bench.unit()).toMatchObject({ status: 'due', attempt: 6, failures: 0 });
    expect(bench.state.spend).toMatchObject({ calls: 5, ambiguous: 5 });
    bench.do(infer(6));
    bench.do(settle(6, 'dead-letter'));
    bench.do(fail(6, { ...passing, retryable: false }));
    expect(bench.unit()).toMatchObject({ status: 'failed' });
    bench.checkRows();
  });

  it('knows the id of an answer that is on its way, and forgets it with the attempt', () => {
    const bench = new Bench();
    const identify = (attempt: number): RunCommand => ({
      op: 'identifyInference',
      path: 'a',
      attempt,
      providerId: `resp-${attempt}`,
    });
    bench.do(infer());
    bench.do(identify(1));
    expect(bench.do(identify(1)).tag).toBe('already');
    expect(bench.unit()).toMatchObject({ providerId: 'resp-1' });
    bench.do(fail());
    bench.do({ op: 'fireTimer', name: ':retry:a' });
    bench.do(infer(2));
    expect(bench.unit()).toMatchObject({ providerId: null });
  });

  it('is no progress of an activation that dies again and again after the same intent', () => {
    const bench = new Bench();
    const loss: RunCommand = { op: 'loseTask', failure: passing };
    bench.do(infer());
    bench.do(loss);
    expect(bench.state.status).toBe('failed');
  });

  it('that is cancelled while it waits or pauses leaves nothing behind', () => {
    for (const hold of [true, false]) {
      const bench = new Bench();
      bench.admission = hold ? 'hold' : grant;
      bench.do(infer());
      if (!hold) bench.do(fail());
      bench.do({ op: 'cancel', reason: null, by: 'x', graceMs: 10 });
      expect(bench.unit()).toMatchObject({ status: 'cancelled' });
      expect(bench.do(admit()).tag).toBe('already');
      bench.checkRows();
    }
  });

  it('keeps its begun attempt over a redrive, and forgets what had failed', () => {
    const bench = new Bench();
    bench.do(infer());
    bench.do({ op: 'infer', path: 'b', attempt: 1, ask, request: payload });
    bench.do({ op: 'failInference', path: 'b', attempt: 1, failure: passing, usage, costMicros: 0, retry: noRetry });
    bench.do({ op: 'fail', failure: passing, path: 'b' });
    bench.do({ op: 'redrive', by: 'x' });
    expect(bench.unit()).toMatchObject({ status: 'begun' });
    expect(bench.state.units.has('b')).toBe(false);
    bench.checkRows();
  });

  it('waits by a timer where its endpoint is shut, and uses up no attempt by that', () => {
    const bench = new Bench();
    bench.admission = 'shut';
    bench.do(infer());
    expect(bench.unit()).toMatchObject({
      status: 'retrying',
      failures: 0,
      hops: [{ endpoint: 'e', code: 'BREAKER_OPEN' }],
    });
    expect([bench.timers.get(':retry:a'), bench.entries.size, bench.state.spend.calls]).toEqual([
      bench.now + 500,
      0,
      0,
    ]);
    bench.checkRows();
    bench.do({ op: 'park', seen: bench.state.head });
    bench.do({ op: 'fireTimer', name: ':retry:a' });
    expect(bench.state.status).toBe('active');
    bench.admission = grant;
    bench.do(infer(2));
    bench.do(complete(2));
    expect(bench.unit()).toMatchObject({ status: 'completed' });
    expect(bench.events.find(({ type }) => type === 'decision.recorded')?.data).toMatchObject({
      hops: [{ attempt: 1, code: 'BREAKER_OPEN' }],
    });
  });

  it('fails at once where its endpoint is shut and somebody else can be asked, who has it among its hops', () => {
    const bench = new Bench();
    bench.admission = 'shut';
    bench.do({
      op: 'infer',
      path: 'b',
      attempt: 1,
      ask: { ...ask, chain: { after: null, isLast: false } },
      request: payload,
    });
    expect(bench.state.units.get('b')).toMatchObject({ status: 'failed', hops: [{ code: 'BREAKER_OPEN' }] });
    expect(bench.timers.size).toBe(0);
    bench.checkRows();
    bench.admission = grant;
    bench.do({ ...infer(), ask: { ...ask, model: 'spare', chain: { after: 'b', isLast: true } } } as RunCommand);
    bench.do(complete());
    expect(bench.events.find(({ type }) => type === 'decision.recorded')?.data).toMatchObject({
      model: 'spare',
      hops: [{ model: ask.model, endpoint: 'e', code: 'BREAKER_OPEN' }],
    });
  });

  it('asks for the version that the run has asked before, also where that waits', () => {
    const bench = new Bench();
    bench.admission = 'hold';
    bench.do(infer());
    bench.do({ op: 'infer', path: 'b', attempt: 1, ask, request: payload });
    bench.do({ op: 'infer', path: 'c', attempt: 1, ask: { ...ask, model: 'other' }, request: payload });
    expect(bench.tickets.map(({ pinned }) => pinned)).toEqual([null, 'v1', null]);
    expect([...bench.entries.values()].map((value) => (JSON.parse(value) as { pinned: string }).pinned)).toEqual([
      'v1',
      'v1',
      'v1',
    ]);
  });

  it('keeps no more hops than fit', () => {
    const bench = new Bench();
    for (let attempt = 1; attempt <= 12; attempt++) {
      bench.do(infer(attempt));
      bench.do(fail(attempt, passing, { ...retry, attempts: 99 }));
      bench.do({ op: 'fireTimer', name: ':retry:a' });
    }
    expect(bench.state.units.get('a')).toMatchObject({ hops: { length: limits.inferenceHopsMax } });
  });
});

it('whatever is asked of the inferences of a run, its rows are what its log folds to', () => {
  const attempt = fc.integer({ min: 1, max: 3 });
  const command = fc.oneof(
    attempt.map(infer),
    attempt.map(complete),
    attempt.map((n) => fail(n)),
    attempt.map((n) => admit(n)),
    fc.tuple(attempt, fc.constantFrom<AmbiguityPolicy>('retry', 'ask', 'dead-letter')).map(([n, p]) => settle(n, p)),
    attempt.map((n): RunCommand => ({ op: 'beginInference', path: 'a', attempt: n })),
    fc.constant<RunCommand>({ op: 'fireTimer', name: ':retry:a' }),
    fc.constant<RunCommand>({ op: 'cancel', reason: null, by: 'x', graceMs: 10 }),
    fc.constant<RunCommand>({ op: 'fail', failure: passing, path: null }),
    fc.constant<RunCommand>({ op: 'redrive', by: 'x' }),
  );
  const answer = fc.constantFrom<InferenceGrant | 'hold' | 'shut'>(grant, 'hold', 'shut');
  fc.assert(
    fc.property(fc.array(fc.tuple(command, answer), { maxLength: 25 }), (script) => {
      const bench = new Bench();
      for (const [given, admission] of script) {
        bench.admission = admission;
        bench.do(given);
        bench.checkRows();
      }
      // A paid answer is recorded one time, whatever came before it.
      expect(bench.types().filter((type) => type === 'inference.completed').length).toBeLessThanOrEqual(1);
    }),
    { numRuns: 500 },
  );
});
