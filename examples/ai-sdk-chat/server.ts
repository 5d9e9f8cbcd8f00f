/**
 * Serves the route on plain Node. Frameworks that hand on a `Request` need none of this. `node --import tsx
 * examples/ai-sdk-chat/server.ts`, and kill it whenever you like.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { DELETE, GET, POST } from './route.ts';

const handlers = { DELETE, GET, POST };

const server = createServer((incoming, outgoing) => {
  serve(incoming, outgoing).catch(() => outgoing.destroy());
});

async function serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const { method = 'GET', url = '/', headers } = incoming;
  const handler = Object.hasOwn(handlers, method) ? handlers[method as keyof typeof handlers] : undefined;
  if (handler === undefined) return void outgoing.writeHead(405).end();
  const body = Buffer.concat((await incoming.toArray()) as Buffer[]);
  const user = String(headers['x-user'] ?? '');
  const request = new Request(`http://localhost${url}`, {
    method,
    headers: { 'x-user': user },
    ...(body.length === 0 ? {} : { body }),
  });
  const response = await handler(request);
  outgoing.writeHead(response.status, Object.fromEntries(response.headers));
  for await (const piece of response.body ?? []) {
    // The page has gone; its answer goes on.
    if (outgoing.destroyed) return;
    outgoing.write(piece);
  }
  outgoing.end();
}

server.listen(Number(process.env['PORT'] ?? 8788), '127.0.0.1');
await once(server, 'listening');
const address = server.address();
console.log(`http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/api/chat`);
