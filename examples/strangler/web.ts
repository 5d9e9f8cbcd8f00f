/**
 * The web server with the strangled route. As a program of its own it takes orders from its standard input, so that `measure.ts` can
 * look at its memory: `MODEL_URL=http://... node --import tsx examples/strangler/web.ts spine.db`.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { createSpine, memory, type StoreFactory } from 'eventspine';
import { sqlite } from 'eventspine/sqlite';
import { strangle, type StrangleOrder, type StrangleReport } from 'eventspine/strangle';
import { askAt } from './answer.ts';
import { appOf } from './app.ts';
import { routeBefore } from './route-before.ts';

/** A running server. */
export interface Web {
  readonly url: string;
  /** Which way requests go from now on. */
  turn(order: StrangleOrder): void;
  report(): StrangleReport;
  close(): Promise<void>;
}

/** Starts it on a free port of this machine. It begins with the old route alone. */
export async function startWeb(modelUrl: string, store: StoreFactory, withinMs = 2_000): Promise<Web> {
  const ask = askAt(modelUrl);
  const spine = createSpine(appOf(ask), { store });
  await spine.open();

  const answer = strangle(routeBefore(ask), {
    spine,
    workflow: 'answer',
    input: ({ body }) => body as { text: string; ms: number },
    // Your own session goes here.
    user: ({ headers }) => headers.get('x-user'),
    status: '/answer/:run',
    async: true,
    within: withinMs,
    mirror: true,
  });
  answer.turn('old');

  const server = createServer((request, response) => {
    if (request.method === 'POST' && request.url === '/answer') void answer(request, response);
    else if (request.method === 'GET' && request.url?.startsWith('/answer/') === true)
      void answer.status(request, response);
    else response.writeHead(404).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    turn: (order) => answer.turn(order),
    report: () => answer.report(),
    async close() {
      server.closeAllConnections();
      server.close();
      await answer.close();
      await spine.close();
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const file = process.argv[2];
  const web = await startWeb(process.env['MODEL_URL'] ?? '', file === undefined ? memory() : sqlite({ file }));
  process.on('message', (order: StrangleOrder | 'report' | 'memory' | 'close') => {
    if (order === 'report') process.send?.({ report: web.report() });
    else if (order === 'memory') process.send?.({ bytes: process.memoryUsage.rss() });
    else if (order === 'close') void web.close().then(() => process.disconnect());
    else web.turn(order);
  });
  process.send?.({ url: web.url });
}
