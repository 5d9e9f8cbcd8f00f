/** Types of programs of the AI SDK in `ctx.ai`, both versions of it. `tsc` is the judge. */
import * as ai6 from 'ai';
import * as ai7 from 'ai7';
import { describe, expectTypeOf, it } from 'vitest';
import { z } from 'zod';
import { chatHandlers, chatInput } from '../../src/ai-sdk/index.js';
import { createClient } from '../../src/client/index.js';
import { localModel, openaiCompatible } from '../../src/models/index.js';
import { defineApp, model, workflow, type Ai, type AiAnswer, type AiModel } from '../../src/workflow/index.js';

const use = openaiCompatible({ baseUrl: 'https://x.test/v1', model: 'm' });
const writer = model('writer', { versions: { v1: { use }, v2: { use: localModel() } } });
const report = z.object({ title: z.string(), score: z.number() });

const six = workflow('six', {}, async (ctx) => {
  const text = await ctx.ai('text', (ai) => ai6.streamText({ model: ai.model(writer), prompt: 'x' }));
  expectTypeOf(text).toEqualTypeOf<AiAnswer<string>>();
  const object = await ctx.ai('object', (ai) =>
    ai6.generateText({ model: ai.model('writer'), prompt: 'x', output: ai6.Output.object({ schema: report }) }),
  );
  expectTypeOf(object.output).toEqualTypeOf<{ title: string; score: number }>();
  const agent = await ctx.ai('agent', (ai) =>
    new ai6.ToolLoopAgent({ model: ai.model(writer) }).stream({ prompt: 'x' }),
  );
  expectTypeOf(agent.text).toEqualTypeOf<string>();
  return text.text;
});

const seven = workflow('seven', {}, async (ctx) => {
  const text = await ctx.ai('text', (ai) => ai7.streamText({ model: ai.model(writer), prompt: 'x' }));
  expectTypeOf(text).toEqualTypeOf<AiAnswer<string>>();
  const object = await ctx.ai('object', (ai) =>
    ai7.generateText({ model: ai.model('writer'), prompt: 'x', output: ai7.Output.object({ schema: report }) }),
  );
  expectTypeOf(object.output).toEqualTypeOf<{ title: string; score: number }>();
  const agent = await ctx.ai('agent', (ai) =>
    new ai7.ToolLoopAgent({ model: ai.model(writer) }).stream({ prompt: 'x' }),
  );
  expectTypeOf(agent.text).toEqualTypeOf<string>();
  return text.text;
});

const plain = workflow('plain', {}, async (ctx) => {
  const made = await ctx.ai('made', () => ({ n: 1 }));
  expectTypeOf(made).toEqualTypeOf<{ n: number }>();
  const [one, two] = await ctx.ai('several', (ai) =>
    Promise.all([
      ai6.generateText({ model: ai.model(writer), prompt: 'x' }),
      ai6.generateText({ model: ai.model(writer), prompt: 'y', output: ai6.Output.object({ schema: report }) }),
    ]),
  );
  expectTypeOf(one.text).toEqualTypeOf<string>();
  expectTypeOf(two.output).toEqualTypeOf<{ title: string; score: number }>();
});

describe('types of programs of the AI SDK', () => {
  it('of tools stay as they are, and options know their names', () => {
    const tools = { look: ai6.tool({ inputSchema: z.object({ city: z.string() }), execute: ({ city }) => city }) };
    const made = (ai: Ai) => ai.tools(tools, { retry: { attempts: 2 }, each: { look: { effect: 'external' } } });
    expectTypeOf(made).returns.toEqualTypeOf<typeof tools>();
    // @ts-expect-error there is no such tool
    expectTypeOf((ai: Ai) => ai.tools(tools, { each: { lock: {} } })).toBeFunction();
    // @ts-expect-error there is no such effect
    expectTypeOf((ai: Ai) => ai.tools(tools, { effect: 'none' })).toBeFunction();
  });

  it('of models fit both versions', () => {
    expectTypeOf<AiModel>().toExtend<ai6.LanguageModel>();
    expectTypeOf<AiModel>().toExtend<ai7.LanguageModel>();
    expectTypeOf(localModel()).toExtend<ai6.LanguageModel>();
    expectTypeOf(use).toExtend<ai7.LanguageModel>();
  });

  it('of chats know messages and workflows', () => {
    const chat = workflow('chat', { input: chatInput<ai6.UIMessage>() }, (_, { messages }) => {
      expectTypeOf(messages).toEqualTypeOf<ai6.UIMessage[]>();
    });
    const app = defineApp({ workflows: [chat, six, seven, plain], models: [writer] });
    const client = createClient<typeof app>({ url: 'https://x.test' });
    const user = (): string => 'ada';
    expectTypeOf(chatHandlers(client, { workflow: 'chat', stream: 'answer', user })).toHaveProperty('POST');
    // @ts-expect-error there is no such workflow
    chatHandlers(client, { workflow: 'chta', stream: 'answer', user });
  });
});
