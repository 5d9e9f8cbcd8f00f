/**
 * The transport of worker processes: a WebSocket on the main thread for data, a second one in a helper thread for
 * beats (docs/adr/0006), plain HTTP for blobs.
 *
 * Invariant: a connection over which nothing comes back is given up after a bounded time, even where no packet ever
 * says so.
 */
import type { Socket } from 'node:net';
import { WebSocket, type RawData } from 'ws';
import { SpineError } from '../core/errors.js';
import { limits } from '../core/limits.js';
import type { CancelTimer, Timers } from '../core/ports.js';
import { workerPath, type ServerMessage } from '../protocol/worker.js';
import { startThreadHeart } from './thread-heart.js';
import type { BlobAddress, WorkerConnection, WorkerTransport } from './transport.js';

/** Options of `createWebSocketTransport`. */
export interface WebSocketTransportOptions {
  /**
   * Base URL of the server: `http:` or `https:`, with its base path if it has one. Of several, any one will do: each
   * new connection tries the next, so that a lost server costs one pause.
   */
  readonly url: string | readonly string[];
  /** Headers of every request, e.g. `authorization`. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly timers: Timers;
  /** Pause between two pings; three without any sign of life end the connection. Default: 5 s. */
  readonly pingMs?: number;
}

/** One blob transfer may take this long before it is tried again. */
const transferMs = 60_000;
const silentPingsMax = 3;

/** Reaches a server over the network. Fails with OPTIONS_INVALID where the URL is none. */
export function createWebSocketTransport(options: WebSocketTransportOptions): WorkerTransport {
  const { timers, headers = {}, pingMs = 5_000 } = options;
  const bases = baseUrls(options.url);
  /** Which of the servers the data line is on, for the heart to follow; -1 = it was never opened. */
  const place = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)).fill(-1);
  const base = (): string => bases[Math.max(0, place[0] ?? 0)] ?? '';
  return {
    open: (onMessage, onClose) => {
      Atomics.store(place, 0, ((place[0] ?? -1) + 1) % bases.length);
      return connect(socketUrl(base()), headers, timers, pingMs, onMessage, onClose);
    },
    putBlob: (address, bytes) => putBlob(base(), headers, address, bytes),
    getBlob: (address) => getBlob(base(), headers, address),
    startHeart: (heart) => {
      const urls = bases.map((one) => `${socketUrl(one)}?role=beat`);
      return startThreadHeart({ ...heart, urls, place: place.buffer, headers });
    },
    keepAlive() {
      // Between two connections nothing else would keep the process from ending by itself.
      const handle = setInterval(() => undefined, 2 ** 31 - 1);
      return () => clearInterval(handle);
    },
  };
}

/** The servers, in the order in which they are tried. */
function baseUrls(url: string | readonly string[]): string[] {
  const bases = (typeof url === 'string' ? [url] : url).map(baseUrl);
  if (bases.length === 0)
    throw new SpineError('OPTIONS_INVALID', { what: 'the worker', faults: ['url names no server'] });
  return bases;
}

/** The base URL without a slash at its end. */
function baseUrl(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  if (parsed === null || (parsed.protocol !== 'http:' && parsed.protocol !== 'https:')) {
    throw new SpineError('OPTIONS_INVALID', { what: 'the worker', faults: [`url "${url}" is not an http(s) URL`] });
  }
  return parsed.origin + parsed.pathname.replace(/\/+$/, '');
}

function socketUrl(base: string): string {
  return base.replace(/^http/, 'ws') + workerPath;
}

function connect(
  url: string,
  headers: Readonly<Record<string, string>>,
  timers: Timers,
  pingMs: number,
  onMessage: (message: ServerMessage) => void,
  onClose: (reason: string) => void,
): WorkerConnection {
  const socket = new WebSocket(url, {
    headers,
    perMessageDeflate: false,
    handshakeTimeout: limits.handshakeMs,
    // Servers send journals of whole runs; their own bounds (history, payloads) keep frames below this.
    maxPayload: 0,
  });
  let closed = false;
  let early: string[] = [];
  let fault = '';
  let silentPings = 0;
  let cancelPing: CancelTimer | null = null;
  /** The connection under the WebSocket; null until there is one. */
  let stream: Socket | null = null;
  let corked = false;

  const end = (reason: string): void => {
    cancelPing?.();
    if (closed) return;
    closed = true;
    socket.terminate();
    onClose(reason);
  };
  // Counted in pings, not in time: a main thread that was blocked finds one more ping overdue, not the connection dead.
  const ping = (): void => {
    if (silentPings++ >= silentPingsMax) return end('The server has gone silent.');
    socket.ping();
    cancelPing = timers.after(pingMs, ping);
  };
  const alive = (): void => {
    silentPings = 0;
  };

  /** Messages sent one after the other leave in one write. */
  const cork = (): void => {
    if (corked || stream === null) return;
    corked = true;
    stream.cork();
    process.nextTick(() => {
      corked = false;
      stream?.uncork();
    });
  };

  socket.on('upgrade', (response) => {
    stream = response.socket;
  });
  socket.on('open', () => {
    for (const text of early) socket.send(text);
    early = [];
    ping();
  });
  socket.on('message', (data, isBinary) => {
    alive();
    if (closed) return;
    const message = isBinary ? null : parse(data);
    if (message === null) return end('The server sent something that is not a message.');
    onMessage(message);
  });
  socket.on('pong', alive);
  socket.on('error', (error) => {
    fault = error.message;
  });
  socket.on('close', (code, reason) => end(fault || reason.toString() || `closed with code ${code}`));

  return {
    send(message) {
      if (closed) return;
      const text = JSON.stringify(message);
      if (socket.readyState === WebSocket.CONNECTING) early.push(text);
      else if (socket.readyState === WebSocket.OPEN) {
        cork();
        socket.send(text);
      }
    },
    close() {
      if (closed) return;
      closed = true;
      cancelPing?.();
      // A closing handshake with a peer that is gone would hold the process up.
      if (socket.readyState !== WebSocket.OPEN) return socket.terminate();
      socket.close(1000);
      timers.after(1_000, () => socket.terminate());
    },
    bufferedBytes: () => socket.bufferedAmount,
  };
}

/** Text frames come as one buffer with the default `binaryType`. */
function parse(data: RawData): ServerMessage | null {
  try {
    const value: unknown = JSON.parse((data as Buffer).toString());
    const isMessage = typeof value === 'object' && value !== null && 't' in value && typeof value.t === 'string';
    return isMessage ? (value as ServerMessage) : null;
  } catch {
    return null;
  }
}

async function putBlob(
  base: string,
  headers: Readonly<Record<string, string>>,
  address: BlobAddress,
  bytes: Uint8Array,
): Promise<void> {
  const response = await fetch(blobUrl(base, address), {
    method: 'PUT',
    headers: { ...headers, 'content-type': 'application/octet-stream' },
    body: bytes as Uint8Array<ArrayBuffer>,
    signal: AbortSignal.timeout(transferMs),
  });
  await response.arrayBuffer();
  if (!response.ok) throw new TransferError('stored', address, response.status);
}

async function getBlob(
  base: string,
  headers: Readonly<Record<string, string>>,
  address: BlobAddress,
): Promise<Uint8Array> {
  const response = await fetch(blobUrl(base, address), { headers, signal: AbortSignal.timeout(transferMs) });
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (response.status === 404) throw new SpineError('BLOB_NOT_FOUND', { blob: address.hash });
  if (!response.ok) throw new TransferError('read', address, response.status);
  return bytes;
}

function blobUrl(base: string, { blobs, tenant, hash }: BlobAddress): string {
  return `${base}${blobs}/${encodeURIComponent(tenant)}/${hash}`;
}

/** A blob could not be moved; `status` lets `failureOf` say whether trying again may help. */
class TransferError extends Error {
  readonly status: number;

  constructor(done: 'stored' | 'read', { hash }: BlobAddress, status: number) {
    super(`Blob ${hash} could not be ${done}: the server answered ${status}.`);
    this.name = 'TransferError';
    this.status = status;
  }
}
