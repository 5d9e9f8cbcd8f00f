/** A gateway as there is one before most services: what has not answered in time is answered 504, whatever goes on behind it. */
import { once } from 'node:events';
import { createServer, request as send } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A running gateway. */
export interface Gateway {
  readonly url: string;
  /** Requests that are open now. */
  open(): number;
  close(): Promise<void>;
}

/** Starts one before a server, on a free port of this machine. */
export async function startGateway(target: string, limitMs: number): Promise<Gateway> {
  let open = 0;
  const server = createServer((incoming, outgoing) => {
    open += 1;
    outgoing.once('close', () => (open -= 1));
    const { method = 'GET', url = '/', headers } = incoming;
    const behind = send(new URL(url, target), { method, headers }, (answer) => {
      clearTimeout(limit);
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    const limit = setTimeout(() => {
      behind.destroy();
      outgoing.writeHead(504).end();
    }, limitMs);
    behind.on('error', () => {
      clearTimeout(limit);
      if (!outgoing.headersSent) outgoing.writeHead(502).end();
    });
    incoming.pipe(behind);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    open: () => open,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
