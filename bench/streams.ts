/**
 * What many SSE readers cost: memory of the server per client, how long one event takes to reach all of them, and how long
 * the server's event loop stands still meanwhile.
 *
 *   npm run bench -- streams [clients=10000]
 */
import { fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createClient } from 'eventspine/client';
import { createWorker } from 'eventspine/worker';
import { report } from './support/figures.js';
import { app } from './support/ticker-app.js';

const options = new Map(process.argv.slice(2).map((arg) => arg.split('=', 2) as [string, string]));
const clients = Number(options.get('clients') ?? 10_000);
/** The listen queue of a socket is short. */
const connectAtOnce = 100;
const folder = mkdtempSync(join(tmpdir(), 'eventspine-streams-'));
const server = fork(
  fileURLToPath(new URL('./support/stream-server.ts', import.meta.url)),
  [join(folder, 'streams.db')],
  { execArgv: ['--import', 'tsx'] },
);
const sockets: Socket[] = [];

interface ServerFigures {
  readonly rssMegabytes: number;
  readonly loopDelayP99Ms: number;
}

try {
  const url = new URL(
    await new Promise<string>((resolve) => server.once('message', (message) => resolve(String(message)))),
  );
  const worker = createWorker({ app, url: url.href });
  await worker.start();
  const run = await createClient<typeof app>({ url: url.href }).start('ticker', undefined);
  const atRest = await ask();
  let arrived = 0;
  const spreads: number[] = [];
  const first = new Map<number, number>();
  let connected = false;
  const heard = (seq: number): void => {
    arrived += 1;
    const now = performance.now();
    // Who comes later is shown the past: that is no fan-out.
    if (!first.has(seq)) first.set(seq, connected ? now : Number.NaN);
    spreads[seq] = now - (first.get(seq) ?? now);
  };
  for (let i = 0; i < clients; i += connectAtOnce) {
    const some = Array.from({ length: Math.min(connectAtOnce, clients - i) }, () => open(url, run.id, heard));
    sockets.push(...(await Promise.all(some)));
  }
  connected = true;
  server.send('reset');
  await until(() => sockets.every((socket) => socket.destroyed || socket.readableEnded), 120_000);
  const loaded = await ask();
  const fanOut = Math.max(...spreads.filter((value) => Number.isFinite(value)));
  report('streams', {
    clients,
    serverAtRestMegabytes: Math.round(atRest.rssMegabytes),
    serverMegabytes: Math.round(loaded.rssMegabytes),
    kilobytesPerClient: Number((((loaded.rssMegabytes - atRest.rssMegabytes) * 1024) / clients).toFixed(1)),
    events: arrived,
    slowestFanOutMs: Math.round(fanOut),
    loopDelayP99Ms: Math.round(loaded.loopDelayP99Ms),
  });
  await worker.stop();
} finally {
  for (const socket of sockets) socket.destroy();
  server.kill('SIGTERM');
  rmSync(folder, { recursive: true, force: true });
}

function open(url: URL, run: string, onEvent: (seq: number) => void): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ host: url.hostname, port: Number(url.port) });
    let greeted = false;
    socket.setEncoding('latin1');
    socket.once('error', reject);
    socket.on('data', (chunk: string) => {
      if (!greeted) {
        greeted = true;
        resolve(socket);
      }
      for (const match of chunk.matchAll(/"seq":(\d+)/g)) onEvent(Number(match[1]));
    });
    socket.write(`GET /v1/runs/${run}/stream HTTP/1.1\r\nhost: ${url.host}\r\naccept: text/event-stream\r\n\r\n`);
  });
}

function ask(): Promise<ServerFigures> {
  return new Promise((resolve) => {
    server.once('message', (message) => resolve(message as ServerFigures));
    server.send('figures');
  });
}

async function until(condition: () => boolean, ms: number): Promise<void> {
  const end = performance.now() + ms;
  while (!condition() && performance.now() < end) await new Promise((wake) => setTimeout(wake, 100));
}
