// A server that tells every 100 ms how long it held up its own event loop and how much memory it has.
// `watched-server.mjs <file> [worker] [requestTimeoutMs]`. Lines: `ready <url>`, then `{"delayMs", "rssMb", "heapMb"}`.
import { readFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { createEngine } from '../../../dist/engine/index.js';
import { nodePorts } from '../../../dist/runtime/index.js';
import { createServer } from '../../../dist/server/index.js';
import { sqlite } from '../../../dist/stores/sqlite/index.js';
import { createInProcessTransport, createWorker } from '../../../dist/worker/index.js';
import { app } from './plain-app.mjs';

const [, , file, worker = 'worker', requestTimeoutMs = '60000'] = process.argv;
const store = await sqlite({ file }).open();
const engine = createEngine({ store, ports: nodePorts, log: (record) => console.error(JSON.stringify(record)) });
await engine.start();
await engine.register(app.manifest);
const origin = { tenant: 'default', actor: 'test', traceparent: null, correlation: null };
await engine.addWebhookSecret(origin, 'noted', { secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' });
const server = createServer({
  engine,
  port: 0,
  limits: {
    streamStallMs: 2_000,
    heartbeatMs: 500,
    headersTimeoutMs: 4_000,
    requestTimeoutMs: Number(requestTimeoutMs),
  },
  log: (entry) => console.error(`${entry.level} ${entry.reference} ${entry.message} ${entry.error?.stack ?? ''}`),
});
const { url } = await server.listen();
if (worker === 'worker') await createWorker({ app, connect: createInProcessTransport(engine) }).start();
console.log(`ready ${url}`);

const delay = monitorEventLoopDelay({ resolution: 10 });
delay.enable();

/** How long this thread could run and was not let, ms: the doing of other processes. 0 where the system does not say. */
function waitedMs() {
  try {
    return Number(readFileSync('/proc/self/schedstat', 'utf8').split(' ')[1]) / 1e6;
  } catch {
    return 0;
  }
}

let waitedBefore = waitedMs();
setInterval(() => {
  const waited = waitedMs();
  const { rss, heapUsed } = process.memoryUsage();
  // The resolution is part of what is measured.
  const delayMs = Math.max(0, delay.max / 1e6 - 10 - (waited - waitedBefore));
  waitedBefore = waited;
  console.log(JSON.stringify({ delayMs, rssMb: rss / 2 ** 20, heapMb: heapUsed / 2 ** 20 }));
  delay.reset();
}, 100);
