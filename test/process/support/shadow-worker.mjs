// A worker whose model has a shadow. `shadow-worker.mjs <url>`; MODEL_PRIMARY and MODEL_SHADOW are endpoints of models.
import { openaiCompatible } from '../../../dist/models/index.js';
import { defineApp, model, signal, workflow } from '../../../dist/spine/index.js';
import { createWorker } from '../../../dist/worker/index.js';

const { MODEL_PRIMARY = '', MODEL_SHADOW = '' } = process.env;
const price = { input: 1, output: 1 };
const writer = model('writer', {
  versions: {
    v1: { use: openaiCompatible({ baseUrl: MODEL_PRIMARY, model: 'm' }), price },
    v2: { use: openaiCompatible({ baseUrl: MODEL_SHADOW, model: 'm' }), price },
  },
  shadow: { version: 'v2', share: 1, concurrency: 4, perDay: 5 },
});
const go = signal('go');
const write = workflow('write', { signals: [go] }, async (ctx, { tag }) => {
  const first = await ctx.infer('first', { model: writer, prompt: `first #${tag}` });
  await ctx.waitFor(go);
  const second = await ctx.infer('second', { model: writer, prompt: `second #${tag}` });
  return [first.text, second.text];
});

const app = defineApp({ name: 'shadows', workflows: [write], models: [writer] });
const worker = createWorker({ app, url: process.argv[2], slots: 8 });
await worker.start();
process.on('SIGTERM', () => void worker.drain().then(() => process.exit(0)));
console.log('ready');
