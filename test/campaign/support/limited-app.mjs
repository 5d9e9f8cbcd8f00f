// An app under limits of every kind, for load that does not fit into them all the time. What its model and its tool do is
// written to a file outside of the system (EXECUTIONS), begin and end.
import { randomUUID } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import { allowed } from './limited-rules.mjs';

const build = process.env.EVENTSPINE_BUILD ?? new URL('../../../dist/', import.meta.url).href;
const { capability, defineApp, limit, model, workflow } = await import(`${build}spine/index.js`);

const limits = new Map(Object.entries(allowed).map(([name, options]) => [name, limit(name, options)]));
const named = (...names) => names.map((name) => limits.get(name));

const file = process.env.EXECUTIONS;

async function executed(what, ms) {
  const mark = randomUUID();
  const note = (phase) =>
    file !== undefined &&
    appendFileSync(file, `${JSON.stringify({ what, phase, mark, at: Date.now(), pid: process.pid })}\n`);
  note('begin');
  await new Promise((wake) => setTimeout(wake, ms));
  note('end');
}

/** A model that is told by its prompt how many tokens it takes, and takes a while for them. */
const use = {
  specificationVersion: 'v3',
  provider: 'campaign',
  modelId: 'm',
  doGenerate: async ({ prompt }) => {
    const [text] = prompt[0].content.map((part) => part.text);
    const { inputTokens, outputTokens } = JSON.parse(text.slice(0, text.indexOf('}') + 1));
    await executed('model', 100 + 8 * outputTokens);
    return { content: [{ type: 'text', text: 'done' }], finishReason: 'stop', usage: { inputTokens, outputTokens } };
  },
  doStream: () => Promise.reject(new Error('Nobody wants it in parts.')),
};

const writer = model('writer', {
  versions: { v1: { use, price: { input: 1, output: 1 } } },
  limits: named('model-slots', 'model-tokens', 'tenant-requests'),
});
const tool = capability('tool', { retry: { attempts: 100 }, limits: named('tool-slots', 'tool-pace') });
const fair = capability('fair', { retry: { attempts: 100 }, limits: named('fair-slots') });

// Workers die so often here that a body which waits for its limits may lose several.
const answer = workflow(
  'answer',
  { retry: { attempts: 100 } },
  async (ctx, { inputTokens, outputTokens, outputMax }) => {
    // As long as what it says it is: an estimate goes by the length of a prompt.
    const prompt = JSON.stringify({ inputTokens, outputTokens }).padEnd(inputTokens * 4, '.');
    await ctx.infer('draft', { model: writer, prompt, maxOutputTokens: outputMax });
    await ctx.call(tool, { ms: 30 });
    return 'done';
  },
);

const look = workflow('look', {}, (ctx, { ms }) => ctx.call(fair, { ms }));
const flood = workflow('flood', {}, async (ctx, { ms, calls }) => {
  const items = Array.from({ length: calls }, (_, i) => i);
  await ctx.map('calls', items, { key: String, concurrency: calls }, (_, inner) => inner.call(fair, { ms }));
});

const done = async ({ ms }) => {
  await executed('tool', ms);
  return 'done';
};

export const app = defineApp({
  name: 'limited',
  workflows: [answer, look, flood],
  models: [writer],
  handlers: [tool.implement(done), fair.implement(done)],
});
