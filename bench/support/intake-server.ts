/** The servers of the intake benchmark: `intake-server.ts empty|intake <file>`; tells its URL to the parent. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createSpine } from 'eventspine';
import { sqlite } from 'eventspine/sqlite';
import { app } from './app.js';

const [, , kind, file = ''] = process.argv;

if (kind === 'empty') {
  const answer = JSON.stringify({ id: 'run_00000000000000000000000000', state: 'queued', repeated: false });
  const server = createServer((request, response) => {
    request.resume();
    request.on('end', () => {
      response.writeHead(202, { 'content-type': 'application/json', 'content-length': answer.length });
      response.end(answer);
    });
  });
  server.listen(0, '127.0.0.1', () => process.send?.(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
  process.on('SIGTERM', () => process.exit(0));
} else {
  const spine = createSpine(app, { store: sqlite({ file }), worker: false, server: { port: 0 } });
  const { url } = await spine.listen();
  process.send?.(url);
  process.on('SIGTERM', () => void spine.close().then(() => process.exit(0)));
}
