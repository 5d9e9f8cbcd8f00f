/**
 * The function on a port of this machine, to try it out:
 *
 *     export EVENTSPINE_PUSH_SECRET="whsec_$(openssl rand -base64 32)"
 *     npx eventspine serve --push-loopback
 *     EVENTSPINE_ENDPOINT_SECRET=$(npx eventspine endpoints secret digests) npx tsx examples/serverless/local.ts
 *     npx eventspine endpoints set digests http://127.0.0.1:8788/
 *     npx eventspine run digest '["One thing. And more.", "Another. And so on."]' --wait
 */
import { createServer, type IncomingMessage } from 'node:http';
import { pathToFileURL } from 'node:url';
import { handler } from './function.js';

/** Serves the function; resolves to its port. */
export async function serve(secret: string, port: number): Promise<{ readonly port: number; close(): void }> {
  const handle = handler(secret);
  const server = createServer((request, response) => {
    bodyOf(request)
      .then((body) => {
        const headers = request.headers as Record<string, string>;
        return handle(new Request('http://127.0.0.1/', { method: request.method ?? 'POST', headers, body }));
      })
      .then(async (answer) => {
        response.writeHead(answer.status, { 'content-type': 'application/json' }).end(await answer.text());
      })
      .catch(() => response.writeHead(500).end());
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const address = server.address();
  return { port: typeof address === 'object' && address !== null ? address.port : port, close: () => server.close() };
}

async function bodyOf(request: IncomingMessage): Promise<Buffer<ArrayBuffer>> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const { port } = await serve(process.env['EVENTSPINE_ENDPOINT_SECRET'] ?? '', 8788);
  console.log(`The function listens on http://127.0.0.1:${port}/`);
}
