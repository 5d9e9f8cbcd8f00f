/** Programs of the AI SDK as workflows: the same code on both versions of it. */
import * as ai6 from 'ai';
import * as ai7 from 'ai7';
import { defineApp, model, workflow, type ModelEndpoint } from '../../src/spine/index.js';
import { z } from 'zod';

/** Both take what is used here in the same way; the types of one stand for both. */
export const sdks = { 6: ai6, 7: ai7 as unknown as typeof ai6 };

/** A version of the SDK. */
export type SdkVersion = keyof typeof sdks;

/** What the tools of a test do. */
export interface ToolBox {
  look(city: string, key: string): unknown;
  send(to: string, key: string): unknown;
}

/** An app whose workflows are programs of the SDK, over one endpoint. */
export function programsOf(version: SdkVersion, use: ModelEndpoint, box: ToolBox) {
  const { generateText, streamText, tool, stepCountIs, Output, ToolLoopAgent } = sdks[version];
  const writer = model('writer', { versions: { v1: { use, price: { input: 1, output: 2 } } } });
  const keyOf = (options: object): string => ('idempotencyKey' in options ? String(options.idempotencyKey) : '');
  const tools = {
    look: tool({
      description: 'Looks at the weather of a city.',
      inputSchema: z.object({ city: z.string() }),
      execute: ({ city }, options) => box.look(city, keyOf(options)),
    }),
    send: tool({
      description: 'Sends the report.',
      inputSchema: z.object({ to: z.string() }),
      execute: ({ to }, options) => box.send(to, keyOf(options)),
    }),
  };
  const report = z.object({ title: z.string(), mood: z.enum(['calm', 'wild']) });

  const whole = workflow('whole', {}, async (ctx, prompt) => {
    const { text, usage } = await ctx.ai('draft', (ai) =>
      generateText({ model: ai.model('writer'), prompt: String(prompt) }),
    );
    return { text, tokens: usage.totalTokens };
  });
  const streamed = workflow('streamed', {}, async (ctx, prompt) => {
    const { text } = await ctx.ai('draft', (ai) => streamText({ model: ai.model('writer'), prompt: String(prompt) }));
    return text;
  });
  const tooled = workflow('tooled', {}, async (ctx, prompt) => {
    const { text, toolResults, messages, steps } = await ctx.ai('draft', (ai) =>
      streamText({
        model: ai.model('writer'),
        tools: ai.tools(tools, { each: { send: { effect: 'external' } } }),
        stopWhen: stepCountIs(8),
        prompt: String(prompt),
      }),
    );
    return { text, steps, results: toolResults.map(({ output }) => output), messages: messages.length };
  });
  const agent = workflow('agent', {}, async (ctx, prompt) => {
    const { text, steps } = await ctx.ai('draft', (ai) =>
      new ToolLoopAgent({
        model: ai.model(writer),
        tools: ai.tools(tools),
        instructions: 'Be brief.',
      }).generate({ prompt: String(prompt) }),
    );
    return { text, steps };
  });
  const parallel = workflow('parallel', {}, async (ctx) => {
    const answers = await ctx.ai('draft', (ai) =>
      Promise.all(['one', 'two', 'two', 'three'].map((prompt) => generateText({ model: ai.model('writer'), prompt }))),
    );
    return answers.map(({ text }) => text);
  });
  const structured = workflow('structured', {}, async (ctx) => {
    const { output } = await ctx.ai('draft', (ai) =>
      generateText({ model: ai.model('writer'), prompt: 'structured', output: Output.object({ schema: report }) }),
    );
    return { mood: output.mood };
  });
  const pictured = workflow('pictured', {}, async (ctx) => {
    const image = new Uint8Array([137, 80, 78, 71, 13, 10, 26, 10]);
    const content = [
      { type: 'text' as const, text: 'pictured' },
      { type: 'image' as const, image },
    ];
    const { text } = await ctx.ai('draft', (ai) =>
      generateText({ model: ai.model('writer'), messages: [{ role: 'user', content }] }),
    );
    return text;
  });
  const workflows = [whole, streamed, tooled, agent, parallel, structured, pictured];
  return defineApp({ name: `programs-${version}`, workflows, models: [writer] });
}
