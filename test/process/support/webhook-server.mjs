// A server that sends webhooks to this machine: `webhook-server.mjs <store> <port>`.
import { createSpine } from '../../../dist/spine/index.js';
import { sqlite } from '../../../dist/stores/sqlite/index.js';
import { defineApp, topic, workflow } from '../../../dist/workflow/index.js';

const [, , file, port] = process.argv;
const noted = topic('noted', { key: 'key', partitions: 4 });
const echo = workflow('echo', {}, async (_, input) => input);
const spine = createSpine(defineApp({ topics: [noted], workflows: [echo] }), {
  store: sqlite({ file }),
  engine: { sessionDeadMs: 1_000, sessionBeatMs: 200 },
  server: { port: Number(port), webhooks: { allowLoopback: true } },
});
await spine.open();
console.log(`ready ${(await spine.listen()).url}`);
// An idle spine does not keep its process alive; a server would.
setInterval(() => undefined, 1_000);
