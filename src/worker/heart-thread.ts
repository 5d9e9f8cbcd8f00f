/**
 * The heartbeat thread: one light socket, one beat each `beatMs`, and nothing of the user. It shares only the pulse
 * with the main thread (see `shared-pulse.ts`), so that no lock or message of a busy thread can hold it up.
 *
 * Invariant: while this thread runs and the network works, the session lives.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { WebSocket } from 'ws';
import type { HeartData, HeartReport } from './thread-heart.js';

const { urls, place, headers, session, beatMs, pulse } = workerData as HeartData;
// The same cells as `SharedPulse`, read here without its module: a thread started from TypeScript sources by plain type
// stripping cannot resolve a `.js` specifier to a `.ts` file.
const cells = new BigInt64Array(pulse);
const received = 0;
const counter = 1;
const places = new Int32Array(place);

const reconnectMsMax = 2_000;
let failures = 0;

connect();

function connect(): void {
  // Where the data line is; a main thread that is blocked cannot move it from a server that is gone, so that others are tried.
  const at = Math.max(0, Atomics.load(places, 0));
  const url = urls[(at + Math.max(0, failures - 1)) % urls.length] ?? '';
  const socket = new WebSocket(url, { headers, perMessageDeflate: false, handshakeTimeout: 5_000 });
  let pongDue = false;
  const hasMoved = (): boolean => Math.max(0, Atomics.load(places, 0)) !== at;
  let timer: NodeJS.Timeout | undefined;
  const beat = (): void => {
    // A socket into nowhere takes beats for minutes; the pong shows that they arrive.
    if (pongDue) return socket.terminate();
    if (hasMoved()) return socket.terminate();
    const n = Number(Atomics.add(cells, counter, 1n)) + 1;
    socket.send(JSON.stringify({ t: 'beat', session, n, received: Number(Atomics.load(cells, received)) }));
    pongDue = true;
    socket.ping();
  };
  socket.on('open', () => {
    failures = 0;
    beat();
    timer = setInterval(beat, beatMs);
  });
  socket.on('pong', () => {
    pongDue = false;
  });
  socket.on('message', (data) => {
    const message = parse((data as Buffer).toString());
    if (message?.t !== 'goodbye') return;
    const report: HeartReport = { sessionOver: message.reason ?? '' };
    parentPort?.postMessage(report);
  });
  // An error is always followed by a close.
  socket.on('error', () => undefined);
  socket.on('close', () => {
    clearInterval(timer);
    if (hasMoved()) failures = 0;
    const ceilingMs = Math.min(reconnectMsMax, 100 * 2 ** Math.min(failures++, 10));
    setTimeout(connect, Math.random() * ceilingMs);
  });
}

function parse(text: string): { t?: string; reason?: string } | null {
  try {
    return JSON.parse(text) as { t?: string; reason?: string };
  } catch {
    return null;
  }
}
