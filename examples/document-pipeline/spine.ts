/**
 * The document pipeline: two workflows over four topics. `ingest` makes an uploaded document searchable; `answer` turns a
 * question into an answer with citations. Both are plain functions; what they have finished is never done again.
 */
import { type Ctx, defineApp, isStepError, topic, workflow } from 'eventspine';
import type { FunctionTool, PromptMessage } from 'eventspine/models';
import {
  calculation,
  dateDiff,
  embedText,
  extractText,
  handlers,
  searchIndex,
  termLookup,
  writeIndex,
} from './capabilities.ts';
import { ask, type ChatAnswer } from './model/ask.ts';
import { offeredTools, promptOf, sourceOf } from './model/prompt.ts';
import type { WireToolCall } from './model/wire.ts';
import { chunk } from './retrieval/chunk.ts';
import { settings } from './settings.ts';
import { completedAnalysis, indexed, requestedAnalysis, uploadedDocument } from './shapes.ts';
import type { ToolResult } from './tools/tool-results.ts';

export const documentUploaded = topic('document.uploaded', { schema: uploadedDocument, key: 'id' });
export const documentIndexed = topic('document.indexed', { schema: indexed, key: 'id' });
export const analysisRequested = topic('ai.analysis.requested', { schema: requestedAnalysis });
export const analysisCompleted = topic('ai.analysis.completed', { schema: completedAnalysis });

/** Passages that a question is answered from. */
const passagesMax = 5;

/** Makes an uploaded document searchable: read, cut, embed each piece, write the index. */
export const ingest = workflow(
  'ingest',
  { on: documentUploaded, completes: documentIndexed, retain: '7d' },
  async (ctx, document) => {
    ctx.progress({ stage: 'reading' });
    const text = await ctx.call(extractText, document);
    const chunks = await ctx.step('chunk', () => chunk(document.id, text));
    let done = 0;
    ctx.progress({ stage: 'embedding', done, total: chunks.length });
    const embedded = await ctx.map('embed', chunks, { key: ({ id }) => id, concurrency: 4 }, async (piece, ctx) => {
      const vector = await ctx.call(embedText, { text: `${piece.heading}\n${piece.text}` });
      done += 1;
      ctx.progress({ stage: 'embedding', done, total: chunks.length });
      return { ...piece, vector };
    });
    const { id, name } = document;
    await ctx.call(writeIndex, { id, name, title: text.title, chunks: embedded });
    ctx.progress({ stage: 'indexed', chunks: chunks.length });
    const headings = [...new Set(chunks.map(({ heading }) => heading))];
    return { id, name, title: text.title, headings, chunks: chunks.length };
  },
);

/** Answers a question: search, ask the model, run the tools that it wants side by side, have it write the answer. */
export const answer = workflow(
  'answer',
  { on: analysisRequested, completes: analysisCompleted, retain: '7d', timeout: '10m' },
  async (ctx, { question }) => {
    ctx.progress({ stage: 'searching' });
    const vector = await ctx.call(embedText, { text: question });
    const passages = await ctx.call(searchIndex, { text: question, vector, limit: passagesMax });
    const prompt = promptOf(question, passages);

    ctx.progress({ stage: 'asking', passages: passages.length });
    const first = await askModel(ctx, 'ask', prompt, offeredTools);
    const results = await runTools(ctx, first.toolCalls);
    const last = results.length === 0 ? first : await askModel(ctx, 'write', [...prompt, ...told(first, results)]);

    ctx.progress({ stage: 'done', text: last.text });
    const cited = passages
      .map((passage, i) => ({ number: i + 1, source: sourceOf(passage) }))
      .filter(({ number }) => last.text.includes(`[${number}]`));
    return { question, answer: last.text, model: last.model, citations: cited, toolCalls: results.length };
  },
);

/**
 * One model call as a step: its answer is recorded, and paid for, one time. While it is under way the text so far is
 * reported after each sentence and its citation. Each report holds all of it: should the worker die, the next attempt
 * begins anew.
 */
function askModel(ctx: Ctx, name: string, messages: readonly PromptMessage[], tools?: readonly FunctionTool[]) {
  return ctx.step(
    name,
    ({ signal, idempotencyKey }): Promise<ChatAnswer> => {
      let text = '';
      const onText = (piece: string): void => {
        if (/[.!?\]]\s*$/.test(text) && !/^\s*[[(]/.test(piece)) ctx.progress({ stage: 'writing', text });
        text += piece;
      };
      const { modelUrl: url } = settings();
      return ask({ url, messages, ...(tools === undefined ? {} : { tools }), idempotencyKey, signal, onText });
    },
    { timeout: '2m', retry: { attempts: 5 } },
  );
}

/** Runs tools side by side. One that fails is told to the model; it does not end the run. */
function runTools(ctx: Ctx, calls: readonly WireToolCall[]) {
  if (calls.length > 0) ctx.progress({ stage: 'tools', tools: calls.map(shown) });
  return ctx.map('tools', calls, { key: ({ id }) => id, concurrency: 4 }, async (call, ctx) => {
    try {
      return { id: call.id, result: await runTool(ctx, call.function.name, argumentsOf(call)) };
    } catch (error) {
      if (!isStepError(error)) throw error;
      return { id: call.id, result: { error: error.failure.message } };
    }
  });
}

async function runTool(ctx: Ctx, name: string, given: Readonly<Record<string, string>>): Promise<ToolResult> {
  const { expression = '', unit = '', from = '', to = '', term = '' } = given;
  switch (name) {
    case 'calculate':
      return await ctx.call(calculation, { expression, unit });
    case 'date_diff':
      return await ctx.call(dateDiff, { from, to });
    case 'lookup_term':
      return await ctx.call(termLookup, { term });
    default:
      return { error: `There is no tool "${name}".` };
  }
}

/** The model's own turn and the results, as the next call repeats them. */
function told(
  turn: ChatAnswer,
  results: readonly { readonly id: string; readonly result: ToolResult }[],
): readonly PromptMessage[] {
  const names = new Map(turn.toolCalls.map((call) => [call.id, call.function.name]));
  return [
    {
      role: 'assistant',
      content: [
        ...(turn.text === '' ? [] : [{ type: 'text' as const, text: turn.text }]),
        ...turn.toolCalls.map((call) => ({
          type: 'tool-call' as const,
          toolCallId: call.id,
          toolName: call.function.name,
          input: argumentsOf(call),
        })),
      ],
    },
    {
      role: 'tool',
      content: results.map(({ id, result }) => ({
        type: 'tool-result' as const,
        toolCallId: id,
        toolName: names.get(id) ?? '',
        output: { type: 'json' as const, value: result },
      })),
    },
  ];
}

/** Arguments as a model wrote them: JSON most of the time, and never to be trusted. */
function argumentsOf(call: WireToolCall): Readonly<Record<string, string>> {
  try {
    const value: unknown = JSON.parse(call.function.arguments);
    if (typeof value !== 'object' || value === null) return {};
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, String(one)]));
  } catch {
    return {};
  }
}

function shown(call: WireToolCall): string {
  return `${call.function.name}(${Object.values(argumentsOf(call)).join(', ')})`;
}

export const app = defineApp({
  name: 'document-pipeline',
  workflows: [ingest, answer],
  handlers,
  topics: [documentUploaded, documentIndexed, analysisRequested, analysisCompleted],
});
export type App = typeof app;
