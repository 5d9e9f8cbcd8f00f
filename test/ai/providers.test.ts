/** Models of the SDK's own providers, of either version of its specification, behind `ctx.ai` and `ctx.infer`, over real HTTP. */
import { createOpenAICompatible as of6 } from 'ai6-openai-compatible';
import { createOpenAICompatible as of7 } from 'ai7-openai-compatible';
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createSpine, defineApp, memory, model, workflow, type ModelEndpoint } from '../../src/spine/index.js';
import { startModelEndpoint } from '../support/model-endpoint/endpoint.js';
import { sdks } from './sdks.js';

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

const providers: readonly (readonly [6 | 7, string, (baseURL: string) => ModelEndpoint])[] = [
  [6, 'v3', (baseURL) => of6({ baseURL, name: 'p', includeUsage: true })('m')],
  [7, 'v4', (baseURL) => of7({ baseURL, name: 'p', includeUsage: true })('m')],
];

describe.each(providers)('a provider of version %d of the SDK, specification %s', (version, specification, of) => {
  const { generateText, streamText, stepCountIs, tool } = sdks[version];

  it('is a model of an app: whole, streamed, with tools and with pictures', async () => {
    const endpoint = await startModelEndpoint({
      conversations: [
        { match: 'Lima', turns: [{ tools: [{ name: 'look', arguments: { city: 'Lima' } }] }, { text: 'It is warm.' }] },
      ],
    });
    const use = of(endpoint.url);
    expect(use.specificationVersion).toBe(specification);
    const writer = model('writer', { versions: { v1: { use, price: { input: 1, output: 1 } } } });
    const picture = new Uint8Array([137, 80, 78, 71, 13, 10, 26, 10]);
    const all = workflow('all', {}, async (ctx) => {
      const whole = await ctx.ai('whole', (ai) => generateText({ model: ai.model(writer), prompt: 'Hello' }));
      const tools = {
        look: tool({ inputSchema: z.object({ city: z.string() }), execute: ({ city }) => `${city}: 21` }),
      };
      const streamed = await ctx.ai('streamed', (ai) =>
        streamText({
          model: ai.model(writer),
          tools: ai.tools(tools),
          stopWhen: stepCountIs(3),
          messages: [
            {
              role: 'user',
              content: [
                { type: 'text', text: 'Lima' },
                { type: 'file', data: picture, mediaType: 'image/png' },
              ],
            },
          ],
        }),
      );
      const asked = await ctx.infer('asked', { model: writer, prompt: 'Hi' });
      return [whole.text, streamed.text, streamed.toolResults[0]?.output, asked.text];
    });
    const spine = createSpine(defineApp({ workflows: [all], models: [writer] }), { store: memory() });
    ends.push(
      () => spine.close(),
      () => endpoint.close(),
    );
    const run = await spine.start('all', null);
    expect(await run.result()).toEqual(['You said: Hello', 'It is warm.', 'Lima: 21', 'You said: Hi']);
    const { spend } = await run.status();
    expect([spend.calls, spend.costMicros > 0, spend.ambiguous]).toEqual([4, true, 0]);
    expect(endpoint.books().inferences).toHaveLength(4);
  });
});
