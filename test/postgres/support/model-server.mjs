// A server on PostgreSQL with a worker beside it, whose runs ask one model. `model-server.mjs <url of the store> <schema> <url
// of the model's endpoint>`. Breakers are quicker than ours, so that a test sees all of their states.
import { createEngine } from '../../../dist/engine/index.js';
import { openaiCompatible } from '../../../dist/models/index.js';
import { nodePorts } from '../../../dist/runtime/index.js';
import { createServer } from '../../../dist/server/index.js';
import { defineApp, model, workflow } from '../../../dist/spine/index.js';
import { openPostgresStore } from '../../../dist/stores/postgres/index.js';
import { createWorker } from '../../../dist/worker/index.js';

const [, , url, schema, endpoint] = process.argv;
const store = await openPostgresStore({ url, schema });
const breaker = {
  windowMs: 30_000,
  callsMin: 6,
  failureRatio: 0.5,
  openMs: 1_500,
  openMsMax: 1_500,
  probeMs: 5_000,
};
const engine = createEngine({
  store,
  ports: nodePorts,
  settings: { sessionDeadMs: 2_000, sessionBeatMs: 400, breaker },
  log: (record) => console.error(JSON.stringify(record)),
});
await engine.start();
const server = createServer({ engine, port: 0 });
const listening = await server.listen();
const writer = model('writer', { versions: { v1: { use: openaiCompatible({ baseUrl: endpoint, model: 'm' }) } } });
const ask = workflow('ask', {}, async (ctx, n) => {
  const retry = { attempts: 100, min: 100, max: 400 };
  return (await ctx.infer('a', { model: writer, prompt: `number ${String(n)}`, retry })).text;
});
const worker = createWorker({
  app: defineApp({ name: 'asks', models: [writer], workflows: [ask] }),
  url: listening.url,
});
await worker.start();
console.log(`ready ${listening.url}`);
