import { describe, expect, it } from 'vitest';
import type { RunEventData, RunEventType } from '../../../core/run/events.js';
import type { RunRow } from '../../../core/run/state.js';
import type { EventRow, EventWrite, Outcome, TaskRow, Transition } from '../../../store/index.js';
import { emptyHistory, type FinalState, type History, type StoreAction } from '../history.js';
import type { Program, StepNode } from '../program.js';
import { checkers } from './all-checkers.js';

/** A small history in which everything is right; each test breaks one thing and expects one property to be named. */
class Story {
  readonly history: History = emptyHistory();
  readonly rows: EventRow[] = [];
  head = 0;
  status: RunRow['status'] = 'active';

  constructor(birth: Parameters<Story['commit']>[0] = [event('run.started', born, '{"n":1}')]) {
    this.act({ kind: 'session', what: 'open', session: 'ses_1', epoch: 1, step: 0, atMs: 0, storeMs: 1_000 });
    this.commit(birth, { open: 'a1' });
    this.claim('a1', 1, 1);
    this.execute('s', 1);
    this.commit([event('step.completed', { path: 's', attempt: 1, durationMs: 1, withInput: false })], { token: 1 });
    this.commit([event('timer.set', { path: 't', fireAt: 2_000 })], { token: 1, timer: 2_000 });
    this.commit([event('timer.fired', { path: 't' })], { storeMs: 2_000 });
    this.commit([event('run.succeeded', {})], { token: 1, close: 'a1', status: 'succeeded' });
    this.history.operations.push({
      kind: 'start',
      tenant: 't',
      key: 'k',
      body: '{"n":1}',
      calledAtMs: 0,
      ackedAtMs: 1,
      answers: ['run_1'],
      refusals: [],
    });
    this.history.readings.push({
      tenant: 't',
      run: 'run_1',
      after: 0,
      seqs: [1, 2, 3, 4, 5],
      types: this.rows.map((row) => row.type),
      ended: true,
    });
    this.history.bodies.push({
      tenant: 't',
      run: 'run_1',
      session: 'ses_1',
      assignment: 1,
      head: 1,
      version: null,
      versions: [null],
      seqs: [2, 3, 4],
    });
  }

  commit(
    fresh: readonly { readonly type: RunEventType; readonly data: unknown; readonly body: string | null }[],
    how: {
      readonly token?: number;
      readonly open?: string;
      readonly close?: string;
      readonly timer?: number;
      readonly storeMs?: number;
      /** Date of the events. */
      readonly at?: number;
      readonly status?: RunRow['status'];
      readonly outcome?: Outcome;
    },
  ): void {
    const expected = this.head;
    const events: EventWrite[] = fresh.map(({ type, data, body }, i) => ({
      run: 'run_1',
      seq: expected + i + 1,
      type,
      at: how.at ?? 1_000,
      envelope: JSON.stringify({ id: `run_1/${expected + i + 1}`, data, payload: { codec: 'json/1', size: 1 } }),
      payload: body === null ? null : { salt: new Uint8Array(), text: body },
    }));
    const status = how.status ?? this.status;
    const transition: Transition = {
      tenant: 't',
      runs: [{ expected, row: row(expected + fresh.length, status) }],
      ...(how.token === undefined ? {} : { lease: { tenant: 't', run: 'run_1', task: 'a1', token: how.token } }),
      events,
      tasks: [
        ...(how.open === undefined ? [] : [{ op: 'open' as const, run: 'run_1', task: task(how.open, 0) }]),
        ...(how.close === undefined ? [] : [{ op: 'close' as const, run: 'run_1', task: how.close }]),
      ],
      timers: how.timer === undefined ? [] : [{ op: 'set', run: 'run_1', name: 't', fireAt: how.timer }],
    };
    const outcome = how.outcome ?? { tag: 'applied', positions: [], offsets: [] };
    this.act({ kind: 'apply', transition, outcome, step: 0, atMs: 0, storeMs: how.storeMs ?? 1_000 });
    if (outcome.tag !== 'applied') return;
    this.head += fresh.length;
    this.status = status;
    for (const write of events)
      this.rows.push({ ...write, position: this.rows.length + 1, tenant: 't', stream: 'run_1' });
  }

  claim(name: string, token: number, assignment: number): void {
    const claimed = [{ task: { ...task(name, token), session: 'ses_1', assignment }, head: this.head }];
    this.act({ kind: 'claim', claimed, epoch: 1, step: 0, atMs: 0, storeMs: 1_000 });
  }

  execute(path: string, assignment: number, body = 'b'): void {
    this.history.executions.push({
      kind: 'step',
      tenant: 't',
      run: 'run_1',
      path,
      attempt: 1,
      body,
      session: 'ses_1',
      assignment,
      atMs: 0,
      step: 0,
      crashed: false,
    });
  }

  act(action: StoreAction): void {
    this.history.actions.push(action);
  }

  /** The properties that are named, with what is there at the end changed by `change`. */
  properties(change: Partial<FinalState> = {}): string[] {
    this.history.final = {
      runs: [row(this.head, this.status)],
      histories: new Map([['t/run_1', this.rows]]),
      topicEvents: [],
      tasks: [],
      timers: [],
      entries: [],
      holders: [],
      index: [],
      deadLetters: [],
      deadEvents: [],
      redrives: [],
      sessions: [],
      workerSessions: [],
      ...change,
    };
    return [...new Set(checkers.flatMap((check) => check(this.history)).map((violation) => violation.property))];
  }
}

function redriveRow(job: { readonly state: string; readonly redriven: number }): FinalState['redrives'][number] {
  return { tenant: 't', name: ':redrive/rdv_1', version: 1, dueAt: null, body: JSON.stringify(job) };
}

const born: RunEventData['run.started'] = {
  workflow: 'program',
  version: null,
  priority: 5,
  timeoutMs: null,
  retainMs: null,
  completes: null,
  activationDeadlineMs: 1,
  activationRetry: { attempts: 3, minMs: 0, maxMs: 0, factor: 1 },
  trigger: null,
  labels: null,
  idempotencyKey: 'k',
  correlation: null,
  traceparent: null,
};

function event<T extends RunEventType>(
  type: T,
  data: RunEventData[T],
  body: string | null = null,
): { readonly type: T; readonly data: RunEventData[T]; readonly body: string | null } {
  return { type, data, body };
}

function row(head: number, status: RunRow['status']): RunRow {
  return {
    tenant: 't',
    run: 'run_1',
    workflow: 'program',
    version: null,
    status,
    head,
    priority: 5,
    startedAt: 0,
    updatedAt: 0,
    expiresAt: null,
    cancelRequested: false,
    failureClass: null,
    failureCode: null,
    failureMessage: null,
    labels: null,
  };
}

function task(name: string, token: number): TaskRow {
  return {
    tenant: 't',
    run: 'run_1',
    task: name,
    kind: 'activation',
    queue: 'q',
    rank: 0,
    state: 'leased',
    attempt: 1,
    token,
    deadlineMs: 1,
    inputSeq: 1,
    dueAt: null,
    limitKey: null,
    session: null,
    assignment: null,
    leasedAt: null,
    readyAt: 0,
  };
}

const failure = { class: 'internal', code: 'TASK_TIMEOUT', message: '', retryable: true } as const;

function done(path: string): ReturnType<typeof event<'step.completed'>> {
  return event('step.completed', { path, attempt: 1, durationMs: 1, withInput: false });
}

function effect(name: string): StepNode {
  return { op: 'step', name, ms: 1, fails: 0, kills: 0, attempts: 1, chunks: 0, external: false };
}

const grant: NonNullable<RunEventData['inference.requested']['grant']> = {
  version: 'v1',
  arm: 'v1',
  endpoint: 'e',
  idempotencyKey: 'k',
  reserved: { tokens: 0, costMicros: 0 },
  limits: [],
};

function asked(path: string, how: { readonly grant: typeof grant | null; readonly recalled: boolean }) {
  return event('inference.requested', {
    path,
    attempt: 1,
    model: 'm',
    fingerprint: 'f',
    estimate: { inputTokens: 0, outputTokens: 0 },
    policy: ['retry'],
    streamed: false,
    deadlineMs: null,
    cache: { freshMs: 100, keepMs: 100 },
    version: 'v1',
    grant: how.grant,
    ...(how.recalled ? { recalled: true as const } : {}),
  });
}

function answered(path: string, from: { readonly event: string; readonly at: number } | null) {
  const data = {
    path,
    attempt: 1,
    usage: { inputTokens: 0, cachedInputTokens: 0, outputTokens: 0 },
    costMicros: 0,
    finish: 'stop',
    durationMs: 0,
    firstPartMs: null,
    providerId: null,
  };
  const cached = from === null ? {} : { cached: { model: 'm', version: 'v1', savedMicros: 0, ...from } };
  return event('inference.completed', { ...data, ...cached }, '"yes"');
}

function recalled(source: string, at: number) {
  return [asked('b', { grant: null, recalled: true }), answered('b', { event: source, at })];
}

const sagaOfTwo: Program = {
  nodes: [
    {
      op: 'saga',
      name: 'g',
      items: [0, 1].map((i) => ({ act: effect(`g/do/s${i}`), undo: effect(`g/undo/u${i}/do`), early: false })),
      fails: true,
    },
  ],
  end: 'succeed',
  strict: false,
};

describe('checkers', () => {
  it('find nothing wrong with a right history', () => {
    expect(new Story().properties()).toEqual([]);
  });

  it('find nothing wrong with an answer that serves in its time', () => {
    const story = new Story();
    story.commit([asked('a', { grant, recalled: false }), answered('a', null)], { token: 1, at: 2_000 });
    story.commit(recalled(`run_1/${story.head}`, 2_000), { token: 1, at: 2_099 });
    expect(story.properties()).not.toContain('cache');
  });

  const breaches: readonly [string, string, (story: Story) => Partial<FinalState> | void][] = [
    ['an acknowledged run is not there', 'P1', () => ({ runs: [], histories: new Map() })],
    [
      'an acknowledged run has another input',
      'P1',
      (story) => {
        Object.assign(story.history.operations[0]!, { body: '{"n":2}' });
      },
    ],
    [
      'one key was answered with two runs',
      'P2',
      (story) => {
        story.history.operations[0]!.answers.push('run_2');
      },
    ],
    [
      'a server claimed for a session that another had taken',
      'P22',
      (story) => {
        story.act({ kind: 'session', what: 'take', session: 'ses_1', epoch: 2, step: 0, atMs: 0, storeMs: 1_000 });
        story.claim('a9', 1, 9);
      },
    ],
    [
      'a duty was given to two',
      'P22',
      (story) => {
        const asked = {
          kind: 'duty',
          duty: 'timers',
          held: true,
          ttlMs: 1_000,
          step: 0,
          atMs: 0,
          storeMs: 1_000,
        } as const;
        story.act({ ...asked, epoch: 1, nowMs: 1_000 });
        story.act({ ...asked, epoch: 2, nowMs: 1_999 });
      },
    ],
    [
      'a reader was told of the end before it came',
      'P19',
      (story) => {
        story.history.readings[0]!.seqs.pop();
        story.history.readings[0]!.types.pop();
      },
    ],
    ['a run has not ended', 'P3', () => ({ runs: [row(5, 'active')] })],
    ['a task is left over', 'P3', () => ({ tasks: [task('a1', 1)] })],
    [
      'a step ran under a claim that came after its result',
      'P4',
      (story) => {
        story.act({
          kind: 'claim',
          epoch: 1,
          claimed: [{ task: { ...task('a2', 1), session: 'ses_1', assignment: 2 }, head: 4 }],
          step: 0,
          atMs: 0,
          storeMs: 1_000,
        });
        story.execute('s', 2);
      },
    ],
    [
      'a step ran twice under one claim',
      'P4',
      (story) => {
        story.execute('s', 1);
      },
    ],
    [
      'a result was recorded twice',
      'P4',
      (story) => {
        story.commit([event('step.failed', { path: 's', attempt: 1, failure })], {});
      },
    ],
    [
      'a change was applied under a token that is not held',
      'P6',
      (story) => {
        story.commit([event('timer.set', { path: 'u', fireAt: 1 })], { token: 9 });
      },
    ],
    [
      'a token was given out twice',
      'P6',
      (story) => {
        story.claim('a1', 1, 2);
      },
    ],
    [
      'a refused change left a trace',
      'P6',
      (story) => {
        story.commit([event('timer.set', { path: 'u', fireAt: 1 })], { outcome: { tag: 'fenced' } });
        story.rows.push({ ...story.rows[2]!, seq: 6 });
      },
    ],
    [
      'a leased task was claimed',
      'P7',
      (story) => {
        story.claim('a2', 1, 2);
        story.claim('a2', 2, 3);
      },
    ],
    [
      'an effect was asked for with another content',
      'P8',
      (story) => {
        story.execute('s', 1, 'other');
      },
    ],
    ['a dead run has no dead letter', 'P9', () => ({ runs: [row(5, 'failed')] })],
    [
      'the log has a gap',
      'P11',
      (story) => {
        story.rows.splice(2, 1);
      },
    ],
    [
      'a timer fired early',
      'P13',
      (story) => {
        Object.assign(story.history.actions.at(-2)!, { storeMs: 1_999 });
      },
    ],
    [
      'a reader missed an event',
      'P19',
      (story) => {
        story.history.readings[0]!.seqs.splice(2, 1);
      },
    ],
    [
      'a reader was not told of the end',
      'P19',
      (story) => {
        story.history.readings[0]!.ended = false;
      },
    ],
    [
      'a body was told twice',
      'P19',
      (story) => {
        story.history.bodies[0]!.seqs.push(4);
      },
    ],
    [
      'a change was applied to another head than it expected',
      'P22',
      (story) => {
        story.head = 3;
        story.commit([event('timer.set', { path: 'u', fireAt: 1 })], {});
      },
    ],
    [
      'a cancelled run has not ended',
      'P23',
      (story) => {
        story.commit([event('run.cancel_requested', { reason: null, by: 'x', graceMs: 1 })], {});
      },
    ],
    [
      'somebody was freed by a deadline',
      'P30',
      (story) => {
        story.commit([event('activation.retrying', { attempt: 1, retryAt: 1, progressed: true, failure })], {});
      },
    ],
    [
      'the end of a child was told twice',
      'P3',
      (story) => {
        const ended = { path: 'c', run: 'run_2', status: 'failed', failure } as const;
        story.commit(
          [
            event('child.started', { path: 'c', run: 'run_2', workflow: 'program', attached: true }),
            event('child.ended', ended),
            event('child.ended', ended),
          ],
          {},
        );
      },
    ],
    [
      'a child outlives its parent',
      'P23',
      (story) => {
        story.commit([event('child.started', { path: 'c', run: 'run_2', workflow: 'program', attached: true })], {});
        story.commit([event('run.succeeded', {})], {});
      },
    ],
    [
      'a child that nobody has started names its parent',
      'P2',
      () => {
        const parent = { run: 'run_1', path: 'c', attached: true, depth: 1 };
        const orphan = new Story([event('run.started', { ...born, parent })]);
        return { histories: new Map([['t/run_2', orphan.rows.slice(0, 1)]]) };
      },
    ],
    [
      'a saga undoes from the front',
      'P25',
      (story) => {
        story.history.programs.set('t/run_1', sagaOfTwo);
        story.commit([done('g/do/s0'), done('g/do/s1'), event('race.decided', { path: 'g', winner: 'undo' })], {});
        story.commit([done('g/undo/u0/do'), done('g/undo/u1/do')], {});
      },
    ],
    [
      'a saga has left something as it is',
      'P25',
      (story) => {
        story.history.programs.set('t/run_1', sagaOfTwo);
        story.commit([done('g/do/s0'), event('race.decided', { path: 'g', winner: 'undo' })], {});
        story.commit([event('run.succeeded', {})], {});
      },
    ],
    [
      'a stream has a chunk twice',
      'P19',
      (story) => {
        const chunk = { path: 's', attempt: 1, count: 1 };
        story.commit([event('stream.appended', { ...chunk, offset: 0 }, '[[1,0]]')], {});
        story.commit([event('stream.appended', { ...chunk, offset: 1 }, '[[1,0]]')], {});
      },
    ],
    [
      'a step has succeeded without all of its chunks',
      'P19',
      (story) => {
        story.history.programs.set('t/run_1', { ...sagaOfTwo, nodes: [{ ...effect('s9'), chunks: 2 }] });
        story.commit([event('stream.appended', { path: 's9', attempt: 1, offset: 0, count: 1 }, '[[1,0]]')], {});
        story.commit([done('s9')], {});
      },
    ],
    [
      'a signal was given to two waits',
      'P24',
      (story) => {
        story.commit(
          [
            event('signal.received', { id: 's', name: 'go', by: 'x' }),
            ...['a', 'b'].flatMap((path) => [
              event('wait.opened', { path, on: { kind: 'signal', name: 'go' }, expiresAt: null }),
              event('wait.satisfied', { path, by: { kind: 'signal', seq: 6 } }),
            ]),
          ],
          {},
        );
      },
    ],
    [
      'a wait has come to something twice',
      'P24',
      (story) => {
        story.commit(
          [
            event('wait.opened', { path: 'a', on: { kind: 'signal', name: 'go' }, expiresAt: 1 }),
            event('wait.expired', { path: 'a' }),
            event('wait.satisfied', { path: 'a', by: { kind: 'signal', seq: 1 } }),
          ],
          {},
        );
      },
    ],
    [
      'a wait ran out of time over a signal that was there',
      'P24',
      (story) => {
        story.commit(
          [
            event('signal.received', { id: 's', name: 'go', by: 'x' }),
            event('wait.opened', { path: 'a', on: { kind: 'signal', name: 'go' }, expiresAt: 1 }),
            event('wait.expired', { path: 'a' }),
          ],
          {},
        );
      },
    ],
    [
      'a wait ran out of time over an event that was there',
      'P24',
      (story) => {
        story.commit([event('progress.reported', { index: 0 })], {});
        story.commit(
          [
            event('wait.opened', {
              path: 'a',
              on: { kind: 'event', topic: 'noted', match: { n: '1' } },
              expiresAt: 1,
            }),
            event('wait.expired', { path: 'a' }),
          ],
          {},
        );
        const payload = { salt: new Uint8Array(), text: '{"n":1}' };
        // At the place of the progress that was reported in between.
        const noted = {
          position: 6,
          tenant: 't',
          stream: 'noted/0',
          seq: 0,
          type: 'noted',
          at: 1,
          envelope: '{}',
          payload,
        };
        const index = { tenant: 't', space: 'index:noted', key: 'n=1', ref: '6', value: '{}', run: '', at: 1 };
        return { topicEvents: [noted], index: [index] };
      },
    ],
    [
      'a signal was acknowledged and is not there',
      'P24',
      (story) => {
        const [first] = story.history.operations;
        if (first !== undefined) story.history.operations.push({ ...first, kind: 'signal', key: 'run_1 s' });
      },
    ],
    [
      'an event never came into the index',
      'P24',
      () => {
        const payload = { salt: new Uint8Array(), text: '{"n":1}' };
        const noted = {
          position: 9,
          tenant: 't',
          stream: 'noted/0',
          seq: 0,
          type: 'noted',
          at: 1,
          envelope: '{}',
          payload,
        };
        return { topicEvents: [noted] };
      },
    ],
    [
      'an entry of a wait is left over',
      'P24',
      () => ({ entries: [{ tenant: 't', space: 'signal', key: 'go', ref: 'r', value: '{}', run: 'run_1', at: 1 }] }),
    ],
    ['a redrive of many lost count', 'redrives', () => ({ redrives: [redriveRow({ state: 'done', redriven: 1 })] })],
    [
      'a redrive of many never came to its end',
      'redrives',
      () => ({ redrives: [redriveRow({ state: 'running', redriven: 0 })] }),
    ],
    [
      'a dead letter was sent back twice',
      'redrives',
      (story) => {
        for (let i = 0; i < 2; i++)
          story.commit([event('run.redriven', { by: 'x', paths: [], deadLetter: 'dlq_1' })], { token: 1 });
      },
    ],
    [
      'an answer serves that nobody has given in its tenant',
      'cache',
      (story) => story.commit(recalled('run_2/3', 1_000), { token: 1 }),
    ],
    [
      'an answer serves after its time',
      'cache',
      (story) => {
        story.commit([asked('a', { grant, recalled: false }), answered('a', null)], { token: 1, at: 2_000 });
        story.commit(recalled(`run_1/${story.head}`, 2_000), { token: 1, at: 2_100 });
      },
    ],
    [
      'more runs were started than asked for',
      'P32',
      (story) => {
        story.history.operations.length = 0;
      },
    ],
  ];

  it.each(breaches)('notice that %s (%s)', (_, property, breach) => {
    const story = new Story();
    const change = breach(story);
    expect(story.properties(change ?? {})).toContain(property);
  });
});
