import { afterEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { commits, dies, drained, quiet } from '../../../test/ai/drive.js';
import { sdks } from '../../../test/ai/sdks.js';
import { MiniEngine, settled } from '../../../test/replay/mini-engine.js';
import type { BodyCommand } from '../../core/run/commands.js';
import type { RunEvent } from '../../core/run/events.js';
import type { AmbiguityPolicy } from '../../core/run/inference.js';
import { fakeModel, type FakeModel, type FakeModelOptions, type FakeReply } from '../../testing/kit/fake-model.js';
import type { Ctx } from '../ctx.js';
import type { ModelCallNow } from '../infer/model-endpoint.js';
import { model } from '../model.js';
import { isStepError } from '../step-error.js';
import { Terminal, Transient } from '../thrown.js';
import { workflow } from '../workflow.js';
import { FrameReader } from './ui-frames.js';

// What the SDK reports of errors that are meant to be.
vi.spyOn(console, 'error').mockImplementation(() => undefined);

const engines: MiniEngine[] = [];
afterEach(() => {
  for (const engine of engines.splice(0)) engine.activation?.abort('lease_lost');
});

function engineFor(body: (ctx: Ctx) => unknown): MiniEngine {
  const engine = new MiniEngine(workflow('w', {}, async (ctx) => body(ctx)));
  engines.push(engine);
  return engine;
}

async function ran(body: (ctx: Ctx) => unknown): Promise<MiniEngine> {
  const engine = engineFor(body);
  engine.begin();
  await drained(engine);
  return engine;
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

function writerOf(use: FakeModel, policy?: AmbiguityPolicy) {
  return model('writer', { versions: { v1: { use } }, ...(policy === undefined ? {} : { policy }) });
}

const turnsHad = ({ prompt }: ModelCallNow): number => prompt.filter(({ role }) => role === 'assistant').length;

function isSecondTry(command: BodyCommand): boolean {
  return command.op === 'infer' && command.attempt > 1;
}

/** A model that looks at two cities, then sends, then says that it has. */
function agentModel(options: FakeModelOptions = {}): FakeModel {
  const turns: FakeReply[] = [
    {
      text: 'I look at both. ',
      toolCalls: ['Lima', 'Oslo'].map((city, i) => ({ name: 'look', input: { city }, id: `c${i}` })),
    },
    { toolCalls: [{ name: 'send', input: { to: 'ada' }, id: 'c2' }] },
    { text: 'It is sent.' },
  ];
  return fakeModel((call) => turns[turnsHad(call)] ?? 'What?', options);
}

type Effect = 'idempotent' | 'external';

describe.each([6, 7] as const)('version %d of the AI SDK in ctx.ai', (version) => {
  const { generateText, streamText, tool, stepCountIs, ToolLoopAgent } = sdks[version];

  function toolsOf(log: string[]) {
    return {
      look: tool({ inputSchema: z.object({ city: z.string() }), execute: ({ city }) => (log.push(city), { city }) }),
      send: tool({ inputSchema: z.object({ to: z.string() }), execute: ({ to }) => (log.push(to), 'sent') }),
    };
  }

  function agent(
    use: FakeModel,
    log: string[],
    streams: boolean,
    policy?: AmbiguityPolicy,
    effect: Effect = 'external',
  ) {
    const writer = writerOf(use, policy);
    return async (ctx: Ctx): Promise<unknown> => {
      const answer = await ctx.ai('draft', async (ai) => {
        const tools = ai.tools(toolsOf(log), { each: { send: { effect } } });
        const made = new ToolLoopAgent({ model: ai.model(writer), tools });
        return streams ? await made.stream({ prompt: 'go' }) : await made.generate({ prompt: 'go' });
      });
      const { text, steps, toolCalls, toolResults, finishReason } = answer;
      return { text, steps, finishReason, calls: toolCalls.length, results: toolResults.map((one) => one.output) };
    };
  }

  const expected = {
    text: 'It is sent.',
    steps: 3,
    finishReason: 'stop',
    calls: 3,
    results: [{ city: 'Lima' }, { city: 'Oslo' }, 'sent'],
  };

  it.each([false, true])('records an agent, and a replay of it asks nobody (streams: %s)', async (streams) => {
    const use = agentModel();
    const log: string[] = [];
    const engine = await ran(agent(use, log, streams));
    expect(output(engine)).toEqual(expected);
    expect([use.paid, log]).toEqual([3, ['Lima', 'Oslo', 'ada']]);
    const end = engine.events.findIndex(({ type, data }) => type === 'step.completed' && data.path === 'draft');
    for (let prefix = 1; prefix <= engine.events.length; prefix++) {
      const again = engine.begin(prefix);
      await quiet(engine);
      again.abort('lease_lost');
      // Nothing more is asked of the model without another intent; and of the program nothing, once its end is recorded.
      expect([prefix, use.paid]).toEqual([prefix, 3]);
      if (prefix > end) expect([prefix, log.splice(0)]).toEqual([prefix, []]);
      else log.length = 0;
    }
  });

  it.each([false, true])(
    'goes on after its death at any commit (streams: %s)',
    async (streams) => {
      const whole = await ran(agent(agentModel(), [], streams));
      for (let before = 1; before < whole.events.length; before++) {
        const use = agentModel();
        const log: string[] = [];
        const engine = engineFor(agent(use, log, streams, 'retry', 'idempotent'));
        engine.begin();
        await commits(engine, before);
        await quiet(engine);
        dies(engine);
        await drained(engine);
        expect([before, output(engine)]).toEqual([before, expected]);
        const ambiguous = ofType(engine, 'inference.ambiguous').length;
        expect([before, use.paid]).toEqual([before, 3 + ambiguous]);
        expect(ambiguous).toBeLessThanOrEqual(1);
        // A tool whose result was not recorded runs again; no other does.
        expect(log.length - 3).toBeLessThanOrEqual(2);
        expect(ambiguous + log.length).toBeLessThanOrEqual(5);
      }
    },
    60_000,
  );

  it('goes on after a death at every single commit, paid once where keys are honoured', async () => {
    const use = agentModel({ idempotent: true });
    const log: string[] = [];
    const engine = engineFor(agent(use, log, true, undefined, 'idempotent'));
    engine.begin();
    for (let i = 0; i < 60 && !engine.ended; i++) {
      await quiet(engine);
      // What readers are shown, and what is intended once more, is no progress: nobody gets on who always dies then.
      const isProgress = engine.submissions[0]?.commands.some(
        (command) => !(command.op === 'append' || command.op === 'settleAmbiguity' || isSecondTry(command)),
      );
      engine.commit();
      if (isProgress === true && !engine.ended) dies(engine);
    }
    expect(output(engine)).toEqual(expected);
    expect(use.paid).toBe(3);
  });

  it('lets a tool run only when the answer that wants it is recorded', async () => {
    const use = agentModel();
    const log: string[] = [];
    const engine = engineFor(agent(use, log, true));
    engine.begin();
    for (;;) {
      await quiet(engine);
      const ops = engine.submissions[0]?.commands.map(({ op }) => op) ?? [];
      if (ops.includes('completeInference')) break;
      engine.commit();
    }
    // The answer is there as a whole, and somebody might still lose it.
    expect([use.paid, log]).toEqual([1, []]);
    dies(engine);
    await drained(engine);
    expect(log).toEqual(['Lima', 'Oslo', 'ada']);
    expect(output(engine)).toEqual(expected);
  });

  it('does not tell the model that a tool has failed of which nobody knows what it did', async () => {
    const use = agentModel();
    const log: string[] = [];
    const engine = engineFor(agent(use, log, true));
    engine.begin();
    for (;;) {
      await quiet(engine);
      if (log.includes('ada')) break;
      engine.commit();
    }
    // It has sent, and dies before that is recorded.
    dies(engine);
    await drained(engine);
    expect(engine.last).toMatchObject({ type: 'run.failed', data: { failure: { code: 'EFFECT_AMBIGUOUS' } } });
    expect([use.paid, log]).toEqual([2, ['Lima', 'Oslo', 'ada']]);
    engine.redrive();
    engine.begin();
    await drained(engine);
    expect(output(engine)).toEqual(expected);
    expect([use.paid, log]).toEqual([3, ['Lima', 'Oslo', 'ada', 'ada']]);
  });

  it('keeps calls that go side by side apart, the same ones too', async () => {
    let n = 0;
    const use = fakeModel(async (call) => {
      const { content } = call.prompt[0] ?? { content: [] };
      const [{ text }] = content as [{ text: string }];
      // The first to be asked is the last to answer.
      await settled(text === 'a' ? 8 : 1);
      return `${text}${++n}`;
    });
    const writer = writerOf(use);
    const body = (ctx: Ctx): unknown =>
      ctx.ai('draft', async (ai) => {
        const asked = ['a', 'b', 'b', 'c'].map((prompt) => generateText({ model: ai.model(writer), prompt }));
        return (await Promise.all(asked)).map(({ text }) => text);
      });
    const engine = await ran(body);
    const answers = output(engine) as string[];
    expect(answers.map((text) => text[0])).toEqual(['a', 'b', 'b', 'c']);
    expect(new Set(answers).size).toBe(4);
    expect(new Set(engine.paths('inference.completed')).size).toBe(4);
    // All are recorded, and the end of the program is not.
    const end = engine.events.findIndex(({ type }) => type === 'step.completed');
    const again = engineFor(body);
    again.events.splice(0, again.events.length, ...engine.events.slice(0, end));
    const activation = again.begin(end);
    await quiet(again);
    const ops = again.submissions.flatMap(({ commands }) => commands);
    expect(ops.map(({ op }) => op)).toEqual(['completeStep']);
    expect(JSON.stringify(ops)).toContain(JSON.stringify(JSON.stringify(answers)).slice(1, -1));
    activation.abort('lease_lost');
    expect(use.paid).toBe(4);
  });

  it('begins the program anew where an answer broke off that it had begun to read', async () => {
    let first = true;
    const use = fakeModel(() => {
      const cutAfter = first ? { cutAfter: 5 } : {};
      first = false;
      return { text: 'one two three', ...cutAfter };
    });
    const writer = writerOf(use);
    let lives = 0;
    const engine = engineFor(async (ctx) => {
      const { text } = await ctx.ai('draft', (ai) => {
        lives += 1;
        return streamText({ model: ai.model(writer), prompt: 'go' });
      });
      return text;
    });
    engine.begin();
    await drained(engine);
    const [paused] = engine.timers();
    expect(paused).toMatch(/^:retry:draft\/stream/);
    engine.fire(paused ?? '');
    await drained(engine);
    expect(output(engine)).toBe('one two three');
    expect([lives, use.paid]).toEqual([2, 2]);
    // Readers are told: the second life writes the stream from its beginning.
    const attempts = ofType(engine, 'stream.appended').map(({ data }) => data.attempt);
    expect(attempts.at(0)).toBe(1);
    expect(attempts.at(-1)).toBe(2);
  });

  it('leaves memory while it waits for leave, and hears nothing of it', async () => {
    const use = agentModel();
    const log: string[] = [];
    const engine = engineFor(agent(use, log, true));
    engine.holdsInferences = true;
    engine.begin();
    await drained(engine);
    for (let i = 0; i < 3; i++) {
      expect(use.paid).toBe(i);
      expect(engine.activation?.waiting).toBe(true);
      engine.time.advance(engine.parkAfterMs);
      await drained(engine);
      expect(await engine.activation?.ended).toBe('parked');
      const held = [...engine.state.units].filter(([, unit]) => unit.kind === 'inference' && unit.status === 'held');
      engine.admit(held[0]?.[0] ?? '');
      engine.begin();
      await drained(engine);
    }
    expect(output(engine)).toEqual(expected);
    expect([use.paid, log]).toEqual([3, ['Lima', 'Oslo', 'ada']]);
  });

  it('gives up what an earlier life has asked for, where it asks for something else now', async () => {
    const use = fakeModel(() => 'fine');
    const writer = writerOf(use);
    let life = 0;
    const engine = engineFor((ctx) =>
      ctx.ai('draft', async (ai) => {
        const prompt = `It is ${(life += 1)} o'clock.`;
        return (await generateText({ model: ai.model(writer), prompt })).text;
      }),
    );
    const inferences = (): unknown[] =>
      [...engine.state.units.values()].flatMap((unit) => (unit.kind === 'inference' ? [unit.status] : []));
    const paths = (): string[] =>
      [...engine.state.units].flatMap(([path, { kind }]) => (kind === 'inference' ? [path] : []));
    engine.holdsInferences = true;
    engine.begin();
    await drained(engine);
    engine.time.advance(engine.parkAfterMs);
    await drained(engine);
    expect(await engine.activation?.ended).toBe('parked');
    engine.admit(paths()[0] ?? '');
    engine.begin();
    await drained(engine);
    expect(inferences()).toEqual(['admitted', 'held']);
    // Nobody waits for the first any more, and the second may be waiting for its slot.
    engine.time.advance(engine.parkAfterMs);
    await drained(engine);
    expect(inferences()).toEqual(['failed', 'held']);
    engine.admit(paths()[1] ?? '');
    await drained(engine);
    expect([output(engine), use.paid, life]).toEqual(['fine', 1, 2]);
    expect(ofType(engine, 'inference.failed').map(({ data }) => data.failure.code)).toEqual(['INFERENCE_UNWANTED']);
  });

  it('leaves nothing open that an earlier life has called, and that nobody asks for any more', async () => {
    const use = fakeModel(() => 'fine');
    const writer = writerOf(use);
    let life = 0;
    const engine = engineFor((ctx) =>
      ctx.ai('draft', async (ai) => {
        const prompt = `It is ${(life += 1)} o'clock.`;
        return (await generateText({ model: ai.model(writer), prompt })).text;
      }),
    );
    engine.begin();
    await commits(engine, 1);
    await quiet(engine);
    dies(engine);
    await drained(engine);
    expect([output(engine), use.paid, life]).toEqual(['fine', 2, 2]);
    expect(ofType(engine, 'inference.ambiguous').map(({ data }) => data.policy)).toEqual(['dead-letter']);
    expect(engine.state.spend.ambiguous).toBe(1);
  });

  it('ends with the run that is cancelled, without another word to the program', async () => {
    const use = fakeModel(() => new Promise<string>(() => undefined));
    const writer = writerOf(use);
    const heard: string[] = [];
    const engine = engineFor(async (ctx) => {
      try {
        return await ctx.ai('draft', async (ai) => {
          try {
            return await generateText({ model: ai.model(writer), prompt: 'go' });
          } catch (error) {
            heard.push(String(error));
            throw error;
          }
        });
      } finally {
        heard.push('cleaned up');
      }
    });
    engine.begin();
    await drained(engine);
    engine.cancel();
    await drained(engine);
    expect(engine.last.type).toBe('run.cancelled');
    expect(heard).toEqual(['cleaned up']);
  });

  it('fails with what the inference has failed with, the same in a replay; no retries of the SDK come on top', async () => {
    const use = fakeModel(() => {
      throw new Terminal('CONTENT_REFUSED');
    });
    const writer = writerOf(use);
    for (const streams of [false, true]) {
      const before = use.paid;
      const body = async (ctx: Ctx): Promise<unknown> => {
        try {
          return await ctx.ai('draft', (ai) => {
            const asked = { model: ai.model(writer), prompt: 'go' };
            return streams ? streamText(asked) : generateText(asked);
          });
        } catch (error) {
          if (!isStepError(error)) throw error;
          return [error.code, error.path];
        }
      };
      const engine = await ran(body);
      expect(output(engine)).toEqual(['CONTENT_REFUSED', 'draft']);
      expect(use.paid - before).toBe(1);
    }
  });

  it('gives a program the failure of a model, so that it can ask another', async () => {
    const busy = writerOf(
      fakeModel(() => {
        throw new Transient('busy');
      }),
    );
    const engine = await ran(async (ctx) => {
      const { text } = await ctx.ai('draft', async (ai) => {
        try {
          return await generateText({ model: ai.model(busy, { retry: { attempts: 1 } }), prompt: 'go' });
        } catch {
          return await generateText({
            model: ai.model(model('other', { versions: { v1: { use: fakeModel('yes') } } })),
            prompt: 'go',
          });
        }
      });
      return text;
    });
    expect(output(engine)).toBe('yes');
  });

  it('shows readers the messages of the SDK, however large their chunks are', async () => {
    const large = 'x'.repeat(30_000);
    const use = fakeModel((call) =>
      turnsHad(call) === 0 ? { toolCalls: [{ name: 'look', input: {}, id: 'c' }] } : 'Seen.',
    );
    const writer = writerOf(use);
    const engine = await ran(async (ctx) => {
      const { text } = await ctx.ai('draft', (ai) => {
        const look = tool({ inputSchema: z.object({}), execute: () => large });
        return streamText({
          model: ai.model(writer),
          tools: ai.tools({ look }),
          stopWhen: stepCountIs(2),
          prompt: 'go',
        });
      });
      return text;
    });
    const reader = new FrameReader();
    const chunks = ofType(engine, 'stream.appended').flatMap(({ payload }) => {
      if (payload === undefined || !('text' in payload)) throw new Error('a blob');
      return (JSON.parse(payload.text) as unknown[]).flatMap((frame) => reader.read(frame) ?? []);
    }) as { readonly type: string; readonly output?: unknown }[];
    expect(chunks.map(({ type }) => type)).toEqual(
      expect.arrayContaining(['start', 'tool-input-available', 'tool-output-available', 'text-delta', 'finish']),
    );
    expect(chunks.find(({ type }) => type === 'tool-output-available')?.output).toBe(large);
    expect(output(engine)).toBe('Seen.');
  });

  it('refuses what it cannot do, at once and with names', async () => {
    const use = fakeModel('x');
    const writer = writerOf(use);
    const faultOf = async (fn: (ctx: Ctx) => unknown): Promise<unknown> => {
      const { last } = await ran(fn);
      return last.type === 'run.failed' ? last.data.failure.message : last.type;
    };
    expect(await faultOf((ctx) => ctx.ai('a', () => 1, { retries: 2 } as object))).toContain('"retries"');
    expect(await faultOf((ctx) => ctx.ai('a', (ai) => ai.model('nobody')))).toContain('nobody');
    expect(await faultOf((ctx) => ctx.ai('a', (ai) => ai.model(writer, { polcy: 'ask' } as object)))).toContain(
      'policy',
    );
    const each = { sned: { effect: 'external' } } as object;
    expect(await faultOf((ctx) => ctx.ai('a', (ai) => ai.tools(toolsOf([]), { each })))).toContain('"sned"');
    const v4 = fakeModel('x', { specificationVersion: 'v4' });
    const mixed = model('mixed', { versions: { a: { use }, b: { use: v4 } } });
    expect(await faultOf((ctx) => ctx.ai('a', (ai) => ai.model(mixed)))).toContain('specification versions');
    expect(use.paid).toBe(0);
  });
});
