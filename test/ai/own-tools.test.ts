/** Capabilities, tools of MCP servers and embeddings: called by models and bodies, under limits, one time each. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { localEmbedding } from '../../src/models/index.js';
import {
  capability,
  createSpine,
  defineApp,
  embedding,
  limit,
  mcpTools,
  memory,
  model,
  tool,
  workflow,
  type AnyApp,
  type McpClient,
} from '../../src/spine/index.js';
import { fakeModel, inTurn, testSpine } from '../../src/testing/index.js';
import { connectMcp } from '../support/mcp/client.js';
import { sdks } from './sdks.js';

// What the SDK reports of errors that are meant to be.
vi.spyOn(console, 'error').mockImplementation(() => undefined);

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

describe.each([6, 7] as const)('capabilities as tools of version %d of the SDK', (version) => {
  const { generateText, stepCountIs } = sdks[version];
  const done: string[] = [];
  const search = capability('search', {
    input: z.object({ what: z.string().transform((text) => text.toUpperCase()) }),
    effect: 'external',
  });
  const note = tool({ input: z.object({ n: z.number() }), run: ({ n }) => done.push(`note ${n}`) });
  const handler = search.implement(({ what }, { idempotencyKey }) => {
    done.push(`search ${what}`);
    return { found: what, key: idempotencyKey.endsWith('draft/tool:search:c1') };
  });
  const turns = () =>
    fakeModel(
      inTurn(
        {
          toolCalls: [
            { name: 'search', input: { what: 'lima' }, id: 'c1' },
            { name: 'search', input: { what: 7 }, id: 'c2' },
            { name: 'note', input: { n: 3 }, id: 'c3' },
          ],
        },
        'It is there.',
      ),
    );
  const writer = model('writer', { versions: { v1: { use: turns() } } });
  const body = workflow('w', {}, async (ctx) => {
    const { text, toolResults } = await ctx.ai('draft', (ai) =>
      generateText({
        model: ai.model(writer),
        tools: ai.tools({ search, note }),
        stopWhen: stepCountIs(3),
        prompt: 'Where is Lima?',
      }),
    );
    return [text, toolResults.map(({ output }) => output)];
  });
  const app = defineApp({ workflows: [body], models: [writer], handlers: [handler] });

  it('are calls beneath the function, one each, though the body dies at every commit', async () => {
    done.length = 0;
    const use = turns();
    await using t = await testSpine(app, { models: { writer: use }, crash: 'every-await' });
    const run = await t.start('w', null);
    const [text, outputs] = (await t.result(run)) as [string, readonly unknown[]];
    expect(text).toBe('It is there.');
    expect(outputs).toContainEqual({ found: 'LIMA', key: true });
    // What does not fit is told to the model, and nobody is called.
    expect(done.toSorted()).toEqual(['note 3', 'search LIMA']);
    expect(t.crashes).toBeGreaterThan(3);
    const types = (await t.exportHistory(run.id)).events.map(({ type }) => type);
    expect(types.filter((type) => type === 'call.scheduled')).toHaveLength(1);
  });

  it('have their effect and their retries by themselves', () => {
    const wrong = workflow('wrong', {}, (ctx) =>
      ctx.ai('a', (ai) => ai.tools({ search }, { each: { search: { effect: 'pure' } } }) && null),
    );
    const opened = createSpine(defineApp({ workflows: [wrong] }), { store: memory() });
    ends.push(() => opened.close());
    return expect(opened.start('wrong', null).then((run) => run.result())).rejects.toThrow(
      'search: a capability has its effect and its retries by itself',
    );
  });
});

describe('tools of an MCP server', () => {
  /** An app whose model asks for these tools, in turn. */
  function opened(connect: () => Promise<McpClient>, ...calls: readonly (readonly [string, object])[]) {
    const notes = mcpTools('notes', {
      connect,
      limits: [limit('mcp', { concurrency: 1 })],
      tools: {
        count: { description: 'Counts.', input: z.object({ by: z.number() }), effect: 'idempotent' },
        fail: { effect: 'idempotent' },
        die: { effect: 'idempotent' },
      },
      retry: { attempts: 3, min: 1, max: 1 },
    });
    const use = fakeModel(
      inTurn({ toolCalls: calls.map(([name, input], i) => ({ name, input, id: `c${i}` })) }, 'Done.'),
    );
    const writer = model('writer', { versions: { v1: { use } } });
    const asks = workflow('asks', {}, async (ctx) => {
      const { text } = await ctx.infer('a', { model: writer, prompt: 'Go.', tools: notes.tools });
      return [text, await ctx.call(notes.capabilities.count, { by: 2 })];
    });
    const app = defineApp({ models: [writer], workflows: [asks], handlers: notes.handlers });
    const spine = createSpine(app as AnyApp, { store: memory() });
    ends.push(
      () => notes.close(),
      () => spine.close(),
    );
    const told = (): unknown => use.calls.at(-1)?.prompt.at(-1)?.content;
    return { spine, told, use };
  }

  it('are called under limits, keyed, and what they say is told to the model', async () => {
    const { spine, told } = opened(() => connectMcp(), ['count', { by: 5 }], ['fail', {}]);
    const run = await spine.start('asks', null);
    // Two other calls were made before, each under a key of its own.
    expect(await run.result()).toEqual(['Done.', { by: 2, times: 1, calls: 3 }]);
    expect(told()).toMatchObject([
      { toolCallId: 'c0', output: { type: 'json', value: { by: 5, times: 1 } } },
      { toolCallId: 'c1', output: { type: 'error-text', value: 'It cannot be done.' } },
    ]);
    const history = await spine.runs.history(run.id).page();
    const admitted = history.items.filter(({ type }) => type === 'call.admitted');
    expect(admitted.map(({ data }) => (data as { limits: readonly string[] }).limits)).toEqual([
      ['mcp'],
      ['mcp'],
      ['mcp'],
    ]);
  });

  it('are found again after their server has died in the middle of a call', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'mcp-'));
    ends.push(() => rmSync(folder, { recursive: true }));
    let connected = 0;
    const connect = (): Promise<McpClient> => {
      connected += 1;
      return connectMcp(join(folder, 'mark'));
    };
    const { spine, told } = opened(connect, ['die', {}]);
    await (await spine.start('asks', null)).result();
    expect(told()).toMatchObject([{ output: { type: 'text', value: 'alive' } }]);
    expect(connected).toBe(2);
  });

  it('may come from the client of the AI SDK', async () => {
    const executed: unknown[] = [];
    const count = {
      execute: (input: unknown, { toolCallId }: { readonly toolCallId: string }) => {
        executed.push(input);
        return Promise.resolve({ content: [{ type: 'text', text: toolCallId.slice(-4) }] });
      },
    };
    const connect = (): Promise<McpClient> => Promise.resolve({ tools: () => Promise.resolve({ count }) });
    const { spine, told } = opened(connect, ['count', { by: 1 }], ['count', { by: 'x' }], ['fail', {}]);
    expect(await (await spine.start('asks', null)).result()).toEqual(['Done.', 'ount']);
    expect(executed).toEqual([{ by: 1 }, { by: 2 }]);
    expect(told()).toMatchObject([
      { output: { value: 't:c0' } },
      { output: { type: 'error-text' } },
      { output: { type: 'error-text', value: 'The MCP server has no tool "fail".' } },
    ]);
  });
});

describe('embeddings', () => {
  it('are calls under limits, with as many texts at once as the model takes, in their order', async () => {
    const use = localEmbedding();
    const asked: number[] = [];
    const counted = {
      maxEmbeddingsPerCall: 2,
      doEmbed: (options: Parameters<typeof use.doEmbed>[0]) => {
        asked.push(options.values.length);
        return use.doEmbed(options);
      },
    };
    const embed = embedding('embed', { use: counted, limits: [limit('vectors', { concurrency: 1 })] });
    const texts = ['a cat', 'a dog', 'a house'];
    const body = workflow('w', {}, async (ctx) => await ctx.call(embed, texts));
    const app = defineApp({ workflows: [body], handlers: [embed.handler] });
    const spine = createSpine(app as AnyApp, { store: memory() });
    ends.push(() => spine.close());
    const vectors = await (await spine.start('w', null)).result();
    expect(vectors).toEqual((await use.doEmbed({ values: texts })).embeddings);
    expect(asked).toEqual([2, 1]);
  });
});
