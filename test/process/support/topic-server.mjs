// A server with a topic that consumers pull: `topic-server.mjs <store> <port>`.
import { createSpine } from '../../../dist/spine/index.js';
import { sqlite } from '../../../dist/stores/sqlite/index.js';
import { defineApp, subscription, topic } from '../../../dist/workflow/index.js';

const [, , file, port] = process.argv;
const noted = topic('noted', { key: 'key', partitions: 4 });
const group = subscription('group', { topic: noted, from: 'oldest', deliveries: 100 });
const spine = createSpine(defineApp({ topics: [noted], subscriptions: [group] }), {
  store: sqlite({ file }),
  server: { port: Number(port) },
});
await spine.open();
console.log(`ready ${(await spine.listen()).url}`);
// An idle spine does not keep its process alive; a server would.
setInterval(() => undefined, 1_000);
