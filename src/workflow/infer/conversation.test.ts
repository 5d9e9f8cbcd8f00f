import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { MiniEngine, settled } from '../../../test/replay/mini-engine.js';
import { fakeModel, type FakeModelAnswer, type FakeReply } from '../../testing/kit/fake-model.js';
import { inTurn } from '../../testing/kit/fakes.js';
import type { RunEvent } from '../../core/run/events.js';
import { capability } from '../capability.js';
import type { Ctx } from '../ctx.js';
import { model } from '../model.js';
import { isStepError } from '../step-error.js';
import { workflow } from '../workflow.js';
import { tool } from './tool.js';

function engineFor(body: (ctx: Ctx) => unknown): MiniEngine {
  return new MiniEngine(workflow('w', {}, async (ctx) => body(ctx)));
}

function one(answer: FakeModelAnswer) {
  const use = fakeModel(answer);
  return { use, writer: model('writer', { versions: { v1: { use, price: { input: 1, output: 1 } } } }) };
}

function output(engine: MiniEngine): unknown {
  const { last } = engine;
  if (last.type !== 'run.succeeded' || last.payload === undefined || !('text' in last.payload))
    throw new Error(`no output: ${JSON.stringify(last)}`);
  return JSON.parse(last.payload.text);
}

function ofType<T extends RunEvent['type']>(engine: MiniEngine, type: T): Extract<RunEvent, { type: T }>[] {
  return engine.events.filter((event): event is Extract<RunEvent, { type: T }> => event.type === type);
}

async function ran(body: (ctx: Ctx) => unknown): Promise<MiniEngine> {
  const engine = engineFor(body);
  engine.begin();
  await engine.drain();
  return engine;
}

/** What a replay of the whole asks of the model: nothing, and it comes to the same end. */
async function replays(engine: MiniEngine, calls: readonly unknown[]): Promise<void> {
  const before = calls.length;
  for (let prefix = 1; prefix < engine.events.length; prefix++) {
    const type = engine.events[prefix - 1]?.type;
    // From an intent on, the call that it is for is made again: that is not a replay.
    if (type === 'inference.requested' || type === 'run.started') continue;
    const activation = engine.begin(prefix);
    await settled(prefix + 6);
    expect(
      engine.submissions.flatMap(({ commands }) => commands).filter(({ op }) => op === 'completeInference'),
    ).toEqual([]);
    activation.abort('lease_lost');
  }
  expect(calls).toHaveLength(before);
}

const Verdict = z.object({ label: z.enum(['spam', 'ham']), score: z.number().min(0).max(1) });
const calls = (...toolCalls: NonNullable<FakeReply['toolCalls']>): FakeReply => ({ toolCalls });

describe('an answer with a schema', () => {
  it('comes as an object that fits, and the model is told the schema', async () => {
    const { use, writer } = one({ object: { label: 'spam', score: 0.5 } });
    const engine = await ran(
      async (ctx) => (await ctx.infer('judge', { model: writer, prompt: 'x', schema: Verdict })).object,
    );
    expect(output(engine)).toEqual({ label: 'spam', score: 0.5 });
    expect(use.calls[0]?.responseFormat).toMatchObject({
      type: 'json',
      schema: { type: 'object', properties: { label: { enum: ['spam', 'ham'] } } },
    });
  });

  it('takes plain JSON Schema as well, and finds JSON among words', async () => {
    const { writer } = one('Here you are:\n```json\n{"n": 3}\n```\nAnything else?');
    const schema = { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] };
    const engine = await ran(async (ctx) => (await ctx.infer('count', { model: writer, prompt: 'x', schema })).object);
    expect(output(engine)).toEqual({ n: 3 });
  });

  it('that does not fit is mended by asking once more, with what is wrong', async () => {
    const { use, writer } = one(inTurn('{"label":"eggs","score":2}', '{"label":"ham","score":1}'));
    const engine = await ran(async (ctx) => {
      const { object, usage } = await ctx.infer('judge', { model: writer, prompt: 'x', schema: Verdict });
      return [object.label, usage.inputTokens];
    });
    expect(output(engine)).toEqual(['ham', 20]);
    expect(use.calls).toHaveLength(2);
    const [, said, told] = use.calls[1]?.prompt ?? [];
    expect(said).toMatchObject({ role: 'assistant', content: [{ type: 'text', text: '{"label":"eggs","score":2}' }] });
    expect(JSON.stringify(told)).toContain('label');
    expect(ofType(engine, 'decision.recorded').map(({ data }) => [data.path, data.rules.length])).toEqual([
      ['judge', 2],
      ['judge/ask:2', 0],
    ]);
    await replays(engine, use.calls);
  });

  it('that does not fit in the end has failed, with what it has cost, and is asked for again after a redrive', async () => {
    const { use, writer } = one(inTurn('no', 'still no', '{"label":"ham","score":1}'));
    const engine = await ran(
      async (ctx) => (await ctx.infer('judge', { model: writer, prompt: 'x', schema: Verdict })).object,
    );
    expect(engine.last).toMatchObject({
      type: 'run.failed',
      data: { path: 'judge/ask:2', failure: { class: 'invalid_output', code: 'OUTPUT_INVALID' } },
    });
    expect(engine.state.spend).toMatchObject({ calls: 2, inputTokens: 20 });
    engine.redrive();
    engine.begin();
    await engine.drain();
    expect(output(engine)).toEqual({ label: 'ham', score: 1 });
    expect(use.calls).toHaveLength(3);
  });

  it('is not mended at all where no repair is wanted', async () => {
    const { use, writer } = one('no');
    const engine = await ran(async (ctx) =>
      ctx.infer('judge', { model: writer, prompt: 'x', schema: Verdict, repairs: 0 }),
    );
    expect(engine.last).toMatchObject({ type: 'run.failed', data: { path: 'judge' } });
    expect(use.calls).toHaveLength(1);
  });
});

describe('an inference with tools', () => {
  const search = capability('search', { input: z.object({ query: z.string() }) });

  it('does what the model asks for, as steps and calls beneath it, and tells the model what came of it', async () => {
    const { use, writer } = one(
      inTurn(
        calls({ id: 'c1', name: 'add', input: { a: 1, b: 2 } }, { id: 'c2', name: 'search', input: { query: 'q' } }),
        'three',
      ),
    );
    const seen: unknown[] = [];
    const add = tool({
      description: 'Adds.',
      input: z.object({ a: z.number(), b: z.number() }),
      run: ({ a, b }, { toolCallId, idempotencyKey }) => {
        seen.push([toolCallId, idempotencyKey]);
        return { sum: a + b };
      },
    });
    const engine = engineFor(async (ctx) => {
      const { text, toolCalls } = await ctx.infer('sum', { model: writer, prompt: 'x', tools: { add, search } });
      return [text, toolCalls.length];
    });
    engine.begin();
    await engine.drain();
    expect(engine.calls()).toEqual(['sum/search:c2']);
    engine.completeCall('sum/search:c2', ['found']);
    await engine.drain();
    expect(output(engine)).toEqual(['three', 0]);
    expect(seen).toEqual([['c1', 't/run_1/sum/add:c1']]);
    expect(engine.paths('inference.completed')).toEqual(['sum', 'sum/ask:2']);
    expect(use.calls[0]?.tools).toMatchObject([
      { type: 'function', name: 'add', description: 'Adds.', inputSchema: { type: 'object' } },
      { type: 'function', name: 'search' },
    ]);
    expect(use.calls[1]?.prompt.slice(1)).toEqual([
      {
        role: 'assistant',
        content: [
          { type: 'tool-call', toolCallId: 'c1', toolName: 'add', input: { a: 1, b: 2 } },
          { type: 'tool-call', toolCallId: 'c2', toolName: 'search', input: { query: 'q' } },
        ],
      },
      {
        role: 'tool',
        content: [
          { type: 'tool-result', toolCallId: 'c1', toolName: 'add', output: { type: 'json', value: { sum: 3 } } },
          { type: 'tool-result', toolCallId: 'c2', toolName: 'search', output: { type: 'json', value: ['found'] } },
        ],
      },
    ]);
    await replays(engine, use.calls);
  });

  it('tells the model of what does not fit, is not there or has failed', async () => {
    const { use, writer } = one(
      inTurn(
        calls(
          { id: '1', name: 'strict', input: { n: 'x' } },
          { id: '2', name: 'nowhere', input: {} },
          { id: '3', name: 'broken', input: {} },
        ),
        'sorry',
      ),
    );
    const strict = tool({ input: z.object({ n: z.number() }), run: () => 'never' });
    const broken = tool({
      input: { type: 'object' },
      retry: { attempts: 1 },
      run: () => {
        throw new Error('out of order');
      },
    });
    const engine = await ran(
      async (ctx) => (await ctx.infer('a', { model: writer, prompt: 'x', tools: { strict, broken } })).text,
    );
    expect(output(engine)).toBe('sorry');
    const results = use.calls[1]?.prompt.at(-1)?.content as { output: { type: string; value: string } }[];
    expect(results.map(({ output: { type } }) => type)).toEqual(['error-text', 'error-text', 'error-text']);
    expect(results[1]?.output.value).toBe('There is no tool "nowhere".');
    expect(results[2]?.output.value).toBe('out of order');
    expect(engine.paths('step.failed')).toEqual(['a/broken:3']);
  });

  it('never repeats an external effect after a crash in its midst: a person has to say what came of it', async () => {
    const { use, writer } = one(inTurn(calls({ id: 'c1', name: 'pay', input: {} }), 'paid'));
    let paid = 0;
    const pay = tool({
      input: { type: 'object' },
      effect: 'external',
      run: () => {
        paid += 1;
        return new Promise(() => {});
      },
    });
    const engine = await ran(async (ctx) => {
      try {
        return (await ctx.infer('a', { model: writer, prompt: 'x', tools: { pay } })).text;
      } catch (error) {
        return isStepError(error) ? [error.path, error.code] : 'other';
      }
    });
    engine.activation?.abort('lease_lost');
    engine.begin();
    await engine.drain();
    expect(output(engine)).toEqual(['a/pay:c1', 'EFFECT_AMBIGUOUS']);
    expect(paid).toBe(1);
    expect(use.calls).toHaveLength(1);
  });

  it('loses no answer of a tool to a crash before the model is asked again', async () => {
    const { use, writer } = one(inTurn(calls({ id: 'c1', name: 'pay', input: {} }), 'paid'));
    let paid = 0;
    const pay = tool({
      input: { type: 'object' },
      effect: 'external',
      run: () => {
        paid += 1;
        return `receipt ${paid}`;
      },
    });
    const engine = engineFor(
      async (ctx) => (await ctx.infer('a', { model: writer, prompt: 'x', tools: { pay } })).text,
    );
    engine.begin();
    for (let i = 0; i < 100 && !engine.ended; i++) {
      await settled(8 + engine.events.length);
      engine.commit();
      // What was committed is recorded, and nobody is told: the worker dies after each commit.
      const { last } = engine;
      if (last.type === 'step.completed' || last.type === 'decision.recorded') {
        engine.activation?.abort('lease_lost');
        engine.begin();
      }
    }
    expect(output(engine)).toBe('paid');
    expect(paid).toBe(1);
    expect(use.calls).toHaveLength(2);
    expect(JSON.stringify(use.calls[1]?.prompt)).toContain('receipt 1');
  });

  it('tells calls apart where the model gives one id in two rounds', async () => {
    const again = calls({ id: 'call_0', name: 'add', input: {} });
    const { writer } = one(inTurn(again, again, 'done'));
    const add = tool({ input: { type: 'object' }, run: () => 1 });
    const engine = await ran(
      async (ctx) => (await ctx.infer('a', { model: writer, prompt: 'x', tools: { add } })).text,
    );
    expect(output(engine)).toBe('done');
    expect(engine.paths('step.completed')).toEqual(['a/add:call_0', 'a/add:call_0:2']);
  });

  it('ends after as many rounds as it may take, and leaves to the body what the model still asks for', async () => {
    const { use, writer } = one((_call, n) => calls({ id: `c${n}`, name: 'add', input: {} }));
    const add = tool({ input: { type: 'object' }, run: () => 1 });
    const engine = await ran(async (ctx) => {
      const { toolCalls, finish } = await ctx.infer('a', { model: writer, prompt: 'x', tools: { add }, rounds: 3 });
      return [toolCalls, finish];
    });
    expect(output(engine)).toEqual([[{ toolCallId: 'c3', toolName: 'add', input: {} }], 'tool-calls']);
    expect(use.calls).toHaveLength(3);
    expect(engine.paths('step.completed')).toHaveLength(2);
  });

  it('may end with an object', async () => {
    const { use, writer } = one(
      inTurn(calls({ id: 'c', name: 'add', input: {} }), 'hm', { object: { label: 'ham', score: 0 } }),
    );
    const add = tool({ input: { type: 'object' }, run: () => 1 });
    const engine = await ran(
      async (ctx) => (await ctx.infer('a', { model: writer, prompt: 'x', tools: { add }, schema: Verdict })).object,
    );
    expect(output(engine)).toEqual({ label: 'ham', score: 0 });
    await replays(engine, use.calls);
  });
});
