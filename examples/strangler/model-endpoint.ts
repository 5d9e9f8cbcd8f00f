/**
 * Stands where a provider of models would stand: it takes its time and counts what it was asked. How long it takes is in the
 * question, so that every measurement asks the same; the waits are real.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

/** A running endpoint. */
export interface ModelEndpoint {
  readonly url: string;
  /** Calls that were answered, each of which somebody has paid for. */
  answered(): number;
  close(): Promise<void>;
}

/** Starts it on a free port of this machine. */
export async function startModelEndpoint(): Promise<ModelEndpoint> {
  let answered = 0;
  const server = createServer((request, response) => {
    void (async () => {
      let text = '';
      for await (const chunk of request) text += String(chunk);
      const { prompt, ms } = JSON.parse(text) as { readonly prompt: string; readonly ms: number };
      await pause(ms);
      answered += 1;
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ text: `${prompt}, considered` }));
    })();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    answered: () => answered,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
