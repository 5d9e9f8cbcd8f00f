/** A server for the routes, on plain Node. In Next.js or Hono you mount `routesOf(spine)` and need none of this. */
import { createServer, type IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createSpine } from 'eventspine';
import { sqlite } from 'eventspine/sqlite';
import { routesOf } from './routes.ts';
import { app } from './spine.ts';

const spine = createSpine(app, { store: sqlite({ file: process.env['SPINE_FILE'] ?? 'chat.db' }) });
const routes = routesOf(spine);
// Work that was left over from before goes on now, not with the first request.
await spine.open();

async function answer(request: Request): Promise<Response> {
  const { pathname } = new URL(request.url);
  const run = /^\/chat\/([\w-]+)$/.exec(pathname)?.[1];
  if (request.method === 'POST' && pathname === '/chat') return routes.POST(request);
  if (request.method === 'GET' && run !== undefined) return routes.GET(request, run);
  return new Response('There is POST /chat and GET /chat/<run>.\n', { status: 404 });
}

const server = createServer((incoming, outgoing) => {
  void (async () => {
    const response = await answer(requestOf(incoming)).catch((error: unknown) => {
      console.error(error);
      return new Response(null, { status: 500 });
    });
    outgoing.writeHead(response.status, Object.fromEntries(response.headers));
    outgoing.flushHeaders();
    // Who has gone away comes back by GET; the run does not care.
    await pipeline(response.body ?? Readable.from([]), outgoing).catch(() => outgoing.destroy());
  })();
});

function requestOf(incoming: IncomingMessage): Request {
  const { method = 'GET', url = '/', headers } = incoming;
  const given = new Headers();
  for (const [name, value] of Object.entries(headers)) if (typeof value === 'string') given.set(name, value);
  const body = method === 'POST' ? { body: Readable.toWeb(incoming) as ReadableStream, duplex: 'half' } : {};
  return new Request(new URL(url, 'http://localhost'), { method, headers: given, ...body });
}

server.listen(Number(process.env['PORT'] ?? 3000), '127.0.0.1', () => {
  const address = server.address();
  console.log(`http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : '?'}/chat`);
});
process.once('SIGTERM', () => {
  server.close();
  server.closeAllConnections();
  void spine.close();
});
