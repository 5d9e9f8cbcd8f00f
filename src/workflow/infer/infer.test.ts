import { describe, expect, it } from 'vitest';
import { limits } from '../../core/limits.js';
import { MiniEngine, settled, type MiniOptions } from '../../../test/replay/mini-engine.js';
import { fakeModel, type FakeModelAnswer, type FakeModelOptions } from '../../testing/kit/fake-model.js';
import type { AmbiguityPolicy } from '../../core/run/inference.js';
import type { RunEvent } from '../../core/run/events.js';
import type { Ctx } from '../ctx.js';
import { isStepError } from '../step-error.js';
import { Terminal, Transient } from '../thrown.js';
import { model, type ModelOptions } from '../model.js';
import { workflow } from '../workflow.js';
import type { InferOptions } from './infer-options.js';

function engineFor(body: (ctx: Ctx, input: unknown) => unknown, options: MiniOptions = {}): MiniEngine {
  return new MiniEngine(
    workflow('w', {}, async (ctx, input) => body(ctx, input)),
    options,
  );
}

async function ran(body: (ctx: Ctx, input: unknown) => unknown): Promise<MiniEngine> {
  const engine = engineFor(body);
  engine.begin();
  await engine.drain();
  return engine;
}

function output(engine: MiniEngine): unknown {
  const { last } = engine;
  if (last.type !== 'run.succeeded' || last.payload === undefined || !('text' in last.payload))
    throw new Error(`no output: ${JSON.stringify(last)}`);
  return JSON.parse(last.payload.text);
}

/** A model with one version behind it. */
function one(answer: FakeModelAnswer, options: FakeModelOptions & Pick<ModelOptions, 'policy'> = {}) {
  const { policy, ...of } = options;
  const use = fakeModel(answer, of);
  const price = { input: 1, output: 2 };
  const writer = model('writer', { versions: { v1: { use, price } }, ...(policy === undefined ? {} : { policy }) });
  return { use, writer };
}

function ofType<T extends RunEvent['type']>(engine: MiniEngine, type: T): Extract<RunEvent, { type: T }>[] {
  return engine.events.filter((event): event is Extract<RunEvent, { type: T }> => event.type === type);
}

/** The worker dies, and another goes on from what is recorded. */
async function dies(engine: MiniEngine): Promise<void> {
  engine.activation?.abort('lease_lost');
  engine.begin();
  await engine.drain();
}

describe('an inference', () => {
  it('records its intent before the provider is called, and its answer before the body gets it', async () => {
    const { use, writer } = one('hello');
    const seen: string[] = [];
    const engine = engineFor(async (ctx) => {
      const { text } = await ctx.infer('draft', { model: writer, prompt: 'hi' });
      seen.push(text);
      return text;
    });
    engine.begin();
    await settled();
    expect(use.calls).toHaveLength(0);
    engine.commit();
    expect(engine.last).toMatchObject({ type: 'inference.requested', data: { path: 'draft', model: 'writer' } });
    await settled();
    expect(use.calls).toHaveLength(1);
    expect(seen).toEqual([]);
    engine.commit();
    await settled();
    expect(seen).toEqual(['hello']);
    await engine.drain();
    expect(output(engine)).toBe('hello');
    expect(engine.events.map(({ type }) => type)).toEqual([
      'run.started',
      'inference.requested',
      'inference.completed',
      'decision.recorded',
      'run.succeeded',
    ]);
  });

  it('calls no provider in a replay, from whatever part of the history, and gives the same answer', async () => {
    const { use, writer } = one({ text: 'hello', usage: { inputTokens: 1_000_000, outputTokens: 500_000 } });
    const answers: unknown[] = [];
    const engine = await ran(async (ctx) => {
      answers.push(await ctx.infer('draft', { model: writer, prompt: 'hi', system: 'Be short.' }));
    });
    for (let prefix = 1; prefix <= engine.events.length; prefix++) {
      const recorded =
        engine.events[prefix - 1]?.type !== 'run.started' && engine.events[prefix - 1]?.type !== 'inference.requested';
      const before = use.calls.length;
      const activation = engine.begin(prefix);
      await settled(prefix + 6);
      activation.abort('lease_lost');
      expect(use.calls.length - before).toBe(0);
      expect(answers).toHaveLength(recorded ? prefix - 1 : 1);
    }
    expect(answers[0]).toMatchObject({
      text: 'hello',
      finish: 'stop',
      usage: { inputTokens: 1_000_000, outputTokens: 500_000 },
      costMicros: 2_000_000,
      model: { name: 'writer', version: 'v1', arm: 'v1' },
      hops: [],
    });
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
  });

  it('is tried again after what may pass, waits as long as it is told, and says how it got there', async () => {
    const busy = Object.assign(new Error('slow down'), { statusCode: 429, responseHeaders: { 'retry-after': '120' } });
    let first = true;
    const { use, writer } = one(() => {
      if (!first) return 'at last';
      first = false;
      throw busy;
    });
    const engine = engineFor(async (ctx) => (await ctx.infer('draft', { model: writer, prompt: 'hi' })).hops);
    engine.begin();
    await engine.drain();
    const [paused] = ofType(engine, 'inference.retrying');
    expect(paused?.data.retryAt).toBeGreaterThanOrEqual((paused?.at ?? 0) + 119_000);
    expect(engine.timers()).toEqual([':retry:draft']);
    engine.activation?.abort('lease_lost');
    engine.fire(':retry:draft');
    engine.begin();
    await engine.drain();
    expect(use.calls).toHaveLength(2);
    expect(output(engine)).toMatchObject([{ attempt: 1, version: 'v1', class: 'rate_limited' }]);
  });

  it('fails at once with what does not pass, and a replay fails the same way without a call', async () => {
    const { use, writer } = one(() => {
      throw new Terminal('CONTENT_REFUSED');
    });
    const body = async (ctx: Ctx): Promise<unknown> => {
      try {
        return (await ctx.infer('draft', { model: writer, prompt: 'hi' })).text;
      } catch (error) {
        return isStepError(error) ? error.code : 'other';
      }
    };
    const engine = engineFor(body);
    engine.begin();
    await engine.drain();
    expect(output(engine)).toBe('CONTENT_REFUSED');
    expect(engine.paths('inference.failed')).toEqual(['draft']);
    engine.begin(engine.events.length - 1);
    await engine.drain();
    expect(use.calls).toHaveLength(1);
  });

  it('waits for admission where the engine says so, out of memory, and then begins with an intent of its own', async () => {
    const { use, writer } = one('hello');
    const engine = engineFor(async (ctx) => (await ctx.infer('draft', { model: writer, prompt: 'hi' })).text, {
      parkAfterMs: 0,
    });
    engine.holdsInferences = true;
    engine.begin();
    await engine.drain();
    await settled();
    engine.time.advance(10);
    await engine.drain();
    expect(engine.last.type).toBe('run.parked');
    expect(use.calls).toHaveLength(0);
    engine.admit('draft');
    engine.begin();
    await settled(8);
    expect(use.calls).toHaveLength(0);
    await engine.drain();
    expect(output(engine)).toBe('hello');
    expect(engine.paths('inference.begun')).toEqual(['draft']);
    expect(use.calls).toHaveLength(1);
  });

  it('is put before a person when too many workers have died over it, whatever its policy', async () => {
    const use = fakeModel(() => new Promise<string>(() => undefined));
    const writer = model('writer', { versions: { v1: { use } }, policy: 'retry' });
    const engine = engineFor(async (ctx) => (await ctx.infer('draft', { model: writer, prompt: 'hi' })).text);
    for (let life = 0; life <= limits.inferenceAmbiguousMax && !engine.ended; life++) {
      engine.activation?.abort('lease_lost');
      engine.begin();
      await engine.drain();
      await settled(8);
    }
    expect(engine.last).toMatchObject({ type: 'run.failed', data: { failure: { code: 'INFERENCE_AMBIGUOUS' } } });
    expect(use.calls).toHaveLength(limits.inferenceAmbiguousMax);
  });

  it('is told of options that are none, of an unknown model, and of two prompts', async () => {
    const { writer } = one('hello');
    const faults = async (options: unknown): Promise<string> => {
      const engine = await ran(async (ctx) => ctx.infer('draft', options as InferOptions));
      return engine.last.type === 'run.failed' ? engine.last.data.failure.message : 'fine';
    };
    expect(await faults({ model: writer, prompt: 'a', temprature: 1 })).toContain('temprature');
    expect(await faults({ model: writer })).toContain('prompt or messages');
    expect(await faults({ model: 'nobody', prompt: 'a' })).toContain('"nobody"');
    expect(await faults({ model: writer, prompt: 'a', policy: 'retri' })).toContain('policy');
  });

  it('has the same fingerprint for the same request, and another for another one', async () => {
    const { writer } = one('x');
    const engine = await ran(async (ctx) => {
      await ctx.infer('a', { model: writer, prompt: 'same', temperature: 1, seed: 2 });
      await ctx.infer('b', { seed: 2, temperature: 1, prompt: 'same', model: writer });
      await ctx.infer('c', { model: writer, prompt: 'other', temperature: 1, seed: 2 });
    });
    const [a, b, c] = ofType(engine, 'inference.requested').map(({ data }) => data.fingerprint);
    expect(a).toMatch(/^[0-9a-f]{64}$/);
    expect(b).toBe(a);
    expect(c).not.toBe(a);
  });

  it('takes images and other bytes, which come to the endpoint as they are', async () => {
    const { use, writer } = one('a cat');
    const image = new Uint8Array([1, 2, 3]);
    const engine = await ran(async (ctx) => {
      const { text } = await ctx.infer('look', {
        model: writer,
        prompt: [
          { type: 'text', text: 'What is it?' },
          { type: 'image', image, mediaType: 'image/png' },
          { type: 'image', image: new URL('https://example.com/cat.png') },
        ],
      });
      return text;
    });
    expect(output(engine)).toBe('a cat');
    expect(use.calls[0]?.prompt).toEqual([
      {
        role: 'user',
        content: [
          { type: 'text', text: 'What is it?' },
          { type: 'file', data: image, mediaType: 'image/png' },
          { type: 'file', data: new URL('https://example.com/cat.png'), mediaType: 'image/*' },
        ],
      },
    ]);
  });
});

describe('an ambiguous inference', () => {
  /** The provider answers, and the worker dies before that is recorded; then another one goes on. */
  async function afterDeath(policy: AmbiguityPolicy | readonly AmbiguityPolicy[], options: FakeModelOptions = {}) {
    const { use, writer } = one((_call, number) => ({ text: `answer ${number}`, id: 'resp-1' }), {
      ...options,
      policy,
    });
    const engine = engineFor(async (ctx) => {
      const { text } = await ctx.infer('draft', { model: writer, prompt: 'hi', stream: true, retry: { attempts: 9 } });
      return text;
    });
    engine.begin();
    await settled();
    engine.commit();
    await settled();
    expect(use.calls).toHaveLength(1);
    // What the stream has told goes through, the answer does not.
    while (engine.submissions.some(({ commands }) => commands.every(({ op }) => op !== 'completeInference')))
      engine.commit();
    return { engine, use, writer };
  }

  it('is asked again under `retry`, with another key', async () => {
    const { engine, use } = await afterDeath('retry', { idempotent: true });
    await dies(engine);
    expect(output(engine)).toBe('answer 2');
    expect(use.paid).toBe(2);
    expect(engine.state.spend).toMatchObject({ calls: 2, ambiguous: 1 });
    expect(ofType(engine, 'inference.ambiguous')).toMatchObject([{ data: { attempt: 1, policy: 'retry' } }]);
  });

  it('is asked again with the same key under `retry-with-same-key`, and is paid one time', async () => {
    const { engine, use } = await afterDeath('retry-with-same-key', { idempotent: true });
    await dies(engine);
    expect(output(engine)).toBe('answer 1');
    expect(use.calls).toHaveLength(2);
    expect(use.paid).toBe(1);
  });

  it('is fetched by its id under `fetch-by-id`', async () => {
    const { engine, use } = await afterDeath(['fetch-by-id', 'dead-letter']);
    expect(engine.paths('inference.identified')).toEqual(['draft']);
    await dies(engine);
    expect(output(engine)).toBe('answer 1');
    expect(use.calls).toHaveLength(1);
    expect(ofType(engine, 'inference.ambiguous')).toMatchObject([{ data: { policy: 'fetch-by-id' } }]);
  });

  it('goes to the next policy where the provider does not know the id', async () => {
    const { engine, use } = await afterDeath(['fetch-by-id', 'retry']);
    Object.assign(use, { fetch: () => Promise.resolve(null) });
    await dies(engine);
    expect(output(engine)).toBe('answer 2');
  });

  it('fails under `dead-letter`, without a call, until a person sends it back to work', async () => {
    const { engine, use } = await afterDeath('dead-letter');
    await dies(engine);
    expect(engine.last).toMatchObject({ type: 'run.failed', data: { failure: { code: 'INFERENCE_AMBIGUOUS' } } });
    expect(use.calls).toHaveLength(1);
    engine.redrive();
    engine.begin();
    await engine.drain();
    expect(output(engine)).toBe('answer 2');
    expect(engine.state.spend.ambiguous).toBe(1);
  });

  it('asks a person under `ask`, and does what the person says', async () => {
    const { engine, use } = await afterDeath('ask');
    await dies(engine);
    const [opened] = ofType(engine, 'wait.opened');
    expect(opened?.data.on).toMatchObject({ kind: 'approval', title: 'Ask model writer again?' });
    expect(use.calls).toHaveLength(1);
    engine.review(opened?.data.path ?? '', 'approved');
    await engine.drain();
    expect(output(engine)).toBe('answer 2');
    expect(ofType(engine, 'inference.ambiguous')).toMatchObject([{ data: { policy: 'ask' } }]);
  });

  it('dies again and again under `retry` without an end of attempts, since the provider has failed nothing', async () => {
    const { use, writer } = one(() => new Promise<string>(() => {}), { policy: 'retry' });
    const engine = engineFor(
      async (ctx) => (await ctx.infer('draft', { model: writer, prompt: 'hi', retry: { attempts: 1 } })).text,
    );
    engine.begin();
    await engine.drain();
    for (let i = 0; i < 3; i++) await dies(engine);
    expect(use.calls).toHaveLength(4);
    expect(engine.state.units.get('draft')).toMatchObject({ status: 'begun', attempt: 4 });
    expect(engine.state.spend.ambiguous).toBe(3);
  });
});

describe('a streamed inference', () => {
  it('shows its text while it comes, and gives the whole of it', async () => {
    const { writer } = one('one two three');
    const engine = await ran(
      async (ctx) => (await ctx.infer('draft', { model: writer, prompt: 'hi', stream: true })).text,
    );
    expect(output(engine)).toBe('one two three');
    const chunks = ofType(engine, 'stream.appended').flatMap(({ data, payload }) => {
      expect(data.path).toBe('draft');
      return payload !== undefined && 'text' in payload ? (JSON.parse(payload.text) as string[]) : [];
    });
    expect(chunks.join('')).toBe('one two three');
  });

  it('that is cut is no answer: it is called again, and readers are told that it begins anew', async () => {
    const { use, writer } = one((_call, number) =>
      number === 1 ? { text: 'one two three', cutAfter: 5 } : { text: 'one two three four' },
    );
    const engine = engineFor(
      async (ctx) => (await ctx.infer('draft', { model: writer, prompt: 'hi', stream: true })).text,
    );
    engine.begin();
    await engine.drain();
    expect(ofType(engine, 'inference.retrying')).toMatchObject([{ data: { failure: { code: 'STREAM_CUT' } } }]);
    engine.fire(':retry:draft');
    await engine.drain();
    expect(output(engine)).toBe('one two three four');
    expect(use.calls).toHaveLength(2);
    expect([...new Set(ofType(engine, 'stream.appended').map(({ data }) => data.attempt))]).toEqual([1, 2]);
  });

  it('fails by an error in the midst of it', async () => {
    const { use, writer } = one('x');
    Object.assign(use, {
      doStream: () =>
        Promise.resolve({
          stream: (async function* () {
            yield { type: 'text-delta', id: '1', delta: 'half' };
            await Promise.resolve();
            yield { type: 'error', error: new Transient('overloaded') };
          })(),
        }),
    });
    const engine = await ran(async (ctx) => ctx.infer('draft', { model: writer, prompt: 'hi', stream: true }));
    expect(engine.paths('inference.retrying')).toEqual(['draft']);
  });
});
