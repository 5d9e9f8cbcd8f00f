/** Takes whatever it is sent, and says how much that was when it is asked. A process of its own. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

let taken = 0;
const server = createServer((request, response) => {
  if (request.method === 'GET') return void response.end(String(taken));
  request.resume();
  request.on('end', () => {
    taken += 1;
    response.writeHead(204).end();
  });
});
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
process.on('SIGTERM', () => process.exit(0));
