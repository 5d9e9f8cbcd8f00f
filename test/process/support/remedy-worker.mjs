// A worker whose inferences fail in ways that have remedies. `remedy-worker.mjs <url>`; MODEL is an endpoint of models.
import { z } from 'zod';
import { openaiCompatible } from '../../../dist/models/index.js';
import { defineApp, model, workflow } from '../../../dist/spine/index.js';
import { createWorker } from '../../../dist/worker/index.js';

const use = (name) =>
  openaiCompatible({ baseUrl: process.env.MODEL ?? '', model: name, supportsIdempotencyKeys: true });

const models = [
  model('main', { versions: { v1: { use: use('main') } } }),
  model('spare', { versions: { v1: { use: use('spare') } } }),
  model('strict', { versions: { v1: { use: use('strict') } } }),
  model('broken', { versions: { v1: { use: use('broken') } }, remedies: { dependency: 'quarantine' } }),
  model('windows', {
    versions: { small: { use: use('small'), window: 100 }, large: { use: use('large'), window: 100_000 } },
  }),
  model('tight', {
    versions: { v1: { use: use('tight'), window: 100 } },
    compact: ({ messages }) => ({
      messages: messages.map((message) => ({
        ...message,
        content: JSON.stringify(message.content).match(/#[\w-]+/)[0],
      })),
    }),
  }),
];

const asks = {
  wait: { model: 'main' },
  reroute: { model: 'windows' },
  compact: { model: 'tight' },
  fallback: { model: 'strict', fallback: ['spare'] },
  repair: { model: 'main', schema: z.object({ n: z.number() }) },
  quarantine: { model: 'broken', fallback: ['spare'] },
};

const ask = workflow('ask', {}, async (ctx, { what, tag }) => {
  const prompt = `${what === 'compact' ? 'PADDING '.repeat(100) : ''}Answer #${tag} please.`;
  const { text, model: by } = await ctx.infer('answer', { ...asks[what], prompt });
  await ctx.sleep('300ms');
  return [text, by.name, by.version];
});

const worker = createWorker({ app: defineApp({ name: 'remedies', workflows: [ask], models }), url: process.argv[2] });
await worker.start();
process.on('SIGTERM', () => void worker.drain().then(() => process.exit(0)));
console.log('ready');
