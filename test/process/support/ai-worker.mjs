// A worker whose workflows are agents of the AI SDK. `ai-worker.mjs <url>`; MODEL_KEYED and MODEL_PLAIN are endpoints of models
// that honour idempotency keys and that do not; EXECUTIONS names the file into which tools write what they do.
import { appendFileSync } from 'node:fs';
import * as ai6 from 'ai';
import * as ai7 from 'ai7';
import { z } from 'zod';
import { openaiCompatible } from '../../../dist/models/index.js';
import { defineApp, model, workflow } from '../../../dist/spine/index.js';
import { createWorker } from '../../../dist/worker/index.js';

const { MODEL_KEYED = '', MODEL_PLAIN = '', EXECUTIONS = '' } = process.env;

const keyed = openaiCompatible({ baseUrl: MODEL_KEYED, model: 'm', supportsIdempotencyKeys: true });
const plain = openaiCompatible({ baseUrl: MODEL_PLAIN, model: 'm' });
const models = [
  model('keyed', { versions: { v1: { use: keyed } } }),
  model('plain', { versions: { v1: { use: plain } } }),
  model('careful', { versions: { v1: { use: plain } }, policy: 'dead-letter' }),
];

const done = (tool, key) => appendFileSync(EXECUTIONS, `${JSON.stringify({ tool, key })}\n`);
const pause = (ms) => new Promise((wake) => setTimeout(wake, ms));

function agentOf(version, { ToolLoopAgent, tool }) {
  // On a machine with too much to do a body may lose more workers than are killed.
  return workflow(`agent-${version}`, { retry: { attempts: 50 } }, async (ctx, { tag, model: name }) => {
    const { text, steps, toolResults } = await ctx.ai('answer', (ai) => {
      const tools = {
        look: tool({
          inputSchema: z.object({ city: z.string() }),
          execute: async ({ city }, { idempotencyKey }) => {
            await pause(20);
            done('look', idempotencyKey);
            await pause(20);
            return { city, degrees: city.length };
          },
        }),
        send: tool({
          inputSchema: z.object({ to: z.string() }),
          execute: async ({ to }, { idempotencyKey }) => {
            await pause(20);
            done('send', idempotencyKey);
            await pause(20);
            return `sent to ${to}`;
          },
        }),
      };
      return new ToolLoopAgent({
        model: ai.model(name),
        tools: ai.tools(tools, { each: { send: { effect: 'external' } } }),
      }).stream({ prompt: `weather #${tag}` });
    });
    return { text, steps, results: toolResults.map(({ output }) => output) };
  });
}

const app = defineApp({ name: 'agents', workflows: [agentOf(6, ai6), agentOf(7, ai7)], models });
const worker = createWorker({ app, url: process.argv[2], slots: 64 });
await worker.start();
process.on('SIGTERM', () => void worker.drain().then(() => process.exit(0)));
console.log('ready');
