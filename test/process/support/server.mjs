// A server with short patience, so that tests need not wait long for the dead. `server.mjs <file> <port>`.
import { createEngine } from '../../../dist/engine/index.js';
import { nodePorts } from '../../../dist/runtime/index.js';
import { createServer } from '../../../dist/server/index.js';
import { sqlite } from '../../../dist/stores/sqlite/index.js';

const [, , file, port] = process.argv;
const store = await sqlite({ file }).open();
const engine = createEngine({
  store,
  ports: nodePorts,
  settings: { sessionDeadMs: 1_500, sessionBeatMs: 300 },
  log: (record) => console.error(JSON.stringify(record)),
});
await engine.start();
const server = createServer({ engine, port: Number(port) });
const { url } = await server.listen();
void store.failed.then((error) => {
  console.error(String(error));
  process.exit(3);
});
process.on(
  'SIGTERM',
  () =>
    void server
      .close()
      .then(() => engine.stop())
      .then(() => process.exit(0)),
);
console.log(`ready ${url}`);
