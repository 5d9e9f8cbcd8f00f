import { describe, expect, it } from 'vitest';
import { payloadOfJson } from '../core/codec.js';
import { SpineError } from '../core/errors.js';
import { limits } from '../core/limits.js';
import type { Engine, Origin, StartOutcome, StartRequest } from '../engine/api.js';
import { StartBatch, startsPerCallMax } from './start-batch.js';

const origin = (tenant: string): Origin => ({ tenant, actor: 'client:a', traceparent: null, correlation: null });

/** A batch over an engine that answers when told, and turns that end when told. */
function setUp() {
  const calls: { origin: Origin; requests: readonly StartRequest[]; answer: (outcomes: StartOutcome[]) => void }[] = [];
  const turns: (() => void)[] = [];
  const startRuns: Engine['startRuns'] = (from, requests) =>
    new Promise((answer) => calls.push({ origin: from, requests, answer }));
  const batch = new StartBatch({ startRuns }, { turn: (fn) => turns.push(fn) });
  const start = (workflow: string, tenant = 't', input: unknown = null): Promise<StartOutcome> =>
    batch.start({ workflow, input: payloadOfJson(input), origin: origin(tenant) });
  return { calls, start, endTurn: () => turns.splice(0).forEach((fn) => fn()) };
}

describe('a batch of starts', () => {
  it('makes one call of the starts of one turn, each with its own origin', () => {
    const { calls, start, endTurn } = setUp();
    void start('a', 't1');
    void start('b', 't2');
    expect(calls).toEqual([]);
    endTurn();
    void start('c', 't1');
    endTurn();
    expect(calls.map(({ requests }) => requests.map((r) => [r.workflow, r.origin?.tenant]))).toEqual([
      [
        ['a', 't1'],
        ['b', 't2'],
      ],
      [['c', 't1']],
    ]);
  });

  it('answers each start with its own outcome', async () => {
    const { calls, start, endTurn } = setUp();
    const starts = [start('a'), start('b')];
    endTurn();
    const error = new SpineError('STORE_BUSY', {});
    calls[0]?.answer([
      { tag: 'error', error },
      { tag: 'started', run: 'run_b' },
    ]);
    expect(await Promise.all(starts)).toEqual([
      { tag: 'error', error },
      { tag: 'started', run: 'run_b' },
    ]);
  });

  it('does not wait for the end of the turn when it is full, and sends nothing twice', () => {
    const { calls, start, endTurn } = setUp();
    for (let i = 0; i < startsPerCallMax; i++) void start(`w${i}`);
    expect(calls.map(({ requests }) => requests.length)).toEqual([startsPerCallMax]);
    void start('late');
    endTurn();
    expect(calls.map(({ requests }) => requests.length)).toEqual([startsPerCallMax, 1]);
    endTurn();
    expect(calls.length).toBe(2);
  });

  it('keeps large inputs out of one transaction', () => {
    const { calls, start } = setUp();
    const half = 'x'.repeat(limits.payloadBytesMax / 2);
    void start('a', 't', half);
    expect(calls.length).toBe(0);
    void start('b', 't', half);
    expect(calls.map(({ requests }) => requests.length)).toEqual([2]);
  });

  it('rejects all starts of a call that fails, and serves those that come later', async () => {
    let down = true;
    const batch = new StartBatch(
      {
        startRuns: () => {
          if (down) throw new SpineError('SHUTTING_DOWN', {});
          return Promise.resolve([{ tag: 'started', run: 'run_c' }]);
        },
      },
      { turn: (fn) => setImmediate(fn) },
    );
    const request = { workflow: 'a', input: payloadOfJson(1), origin: origin('t') };
    const failed = await Promise.allSettled([batch.start(request), batch.start(request)]);
    expect(failed.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    down = false;
    expect(await batch.start(request)).toEqual({ tag: 'started', run: 'run_c' });
  });

  it('rejects a start that the engine forgot', async () => {
    const { calls, start, endTurn } = setUp();
    const forgotten = start('a');
    endTurn();
    calls[0]?.answer([]);
    await expect(forgotten).rejects.toThrow('fewer outcomes');
  });
});
