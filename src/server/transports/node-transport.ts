/**
 * The API on `node:http`, without `Request` and `Response` objects: bytes in, one write out. Intake is measured against
 * an empty server, and streams write straight to their sockets, so that ten thousand of them stay cheap. A thin shell
 * around the core; nothing is decided here but how long a client may take.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { SpineError, type ErrorCode } from '../../core/errors.js';
import { problemOf } from '../../protocol/problem.js';
import type { Answer, StreamSink } from '../answer.js';
import type { Api, Routed } from '../api.js';
import type { BodyShare } from './large-bodies.js';
import type { HttpHead } from '../api-request.js';
import type { ServerLimits } from '../options.js';

const nothing = new Uint8Array(0);
const headerBytesMax = 16 * 1024;
/** Answers below this size fit into the buffers of a connection, and nobody waits for their reader. */
const stalledBytesMin = 16 * 1024;
/** How often Node looks for connections that are too slow. Costs a walk over the open ones. */
const slowCheckMs = 1_000;

/** Makes a node server for the core; it does not listen yet. */
export function createNodeServer(api: Api, limits: ServerLimits): Server {
  const server = createServer({
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    connectionsCheckingInterval: slowCheckMs,
    maxHeaderSize: headerBytesMax,
  });
  server.maxConnections = limits.connectionsMax;
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    serveNode(api, request, response, () => server.listening);
  };
  server.on('request', handle);
  // Who asks before sending a body is told to go on only when the body will be read.
  server.on('checkContinue', handle);
  server.on('clientError', refuseConnection);
  return server;
}

/** The head of a node request. */
export function headOf(request: IncomingMessage): HttpHead {
  return new NodeHead(request);
}

/** A class, so that a request costs one object and no closures. */
class NodeHead implements HttpHead {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly #headers: IncomingMessage['headers'];

  constructor(request: IncomingMessage) {
    // Where Express mounts something it takes the path of the mount away from `url`.
    const url = (request as { readonly originalUrl?: string }).originalUrl ?? request.url ?? '/';
    const mark = url.indexOf('?');
    this.method = request.method ?? 'GET';
    this.path = mark === -1 ? url : url.slice(0, mark);
    this.query = mark === -1 ? '' : url.slice(mark + 1);
    this.#headers = request.headers;
  }

  header(name: string): string | undefined {
    return textOf(this.#headers[name]);
  }

  headers(): Readonly<Record<string, string>> {
    return Object.fromEntries(Object.entries(this.#headers).map(([name, value]) => [name, textOf(value) ?? '']));
  }
}

function textOf(value: string | string[] | undefined): string | undefined {
  return typeof value === 'object' ? value.join(', ') : value;
}

/** Answers a request of some node server. `isListening`: false = it is ending, and takes no further request. */
export function serveNode(
  api: Api,
  request: IncomingMessage,
  response: ServerResponse,
  isListening: () => boolean,
): void {
  const routed = api.route(headOf(request));
  const reply = (answer: Answer): void => {
    try {
      send(isListening(), request, response, answer, api.stallMs);
    } catch {
      // The client must not wait for what cannot be written, and the process must not end for it.
      response.destroy();
    }
  };
  if (routed.tag === 'answered') return reply(routed.answer);
  if (!hasBody(request) || routed.route.body === null) return api.answer(routed, nothing, reply);
  const parsed = parsedBody(request);
  if (parsed !== null) {
    return parsed.byteLength > routed.bodyBytesMax ? reply(api.tooLarge(routed)) : api.answer(routed, parsed, reply);
  }
  readBody(
    request,
    response,
    routed,
    api.large.share(),
    (body, share) =>
      api.answer(routed, body, (answer) => {
        share.release();
        reply(answer);
      }),
    (fault) => reply(fault === 'tooLarge' ? api.tooLarge(routed) : api.noRoom(routed)),
  );
}

function hasBody(request: IncomingMessage): boolean {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
  return encoding !== undefined || (length !== undefined && length !== '0');
}

/** The body where a parser of the host application has read it already (`express.json()` and the like), else null. */
function parsedBody(request: IncomingMessage): Uint8Array | null {
  const { body } = request as { readonly body?: unknown };
  if (body === undefined || !request.readableEnded) return null;
  if (body instanceof Uint8Array) return body;
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
}

function readBody(
  request: IncomingMessage,
  response: ServerResponse,
  routed: Routed,
  share: BodyShare,
  onBody: (body: Uint8Array, share: BodyShare) => void,
  onRefused: (fault: 'tooLarge' | 'noRoom') => void,
): void {
  const length = Number(request.headers['content-length'] ?? 0);
  if (length > routed.bodyBytesMax) return onRefused('tooLarge');
  // Before it is sent, where it says how large it is.
  if (!share.grow(length)) return onRefused('noRoom');
  if (request.headers.expect !== undefined) response.writeContinue();
  let chunks: Buffer[] | null = [];
  let size = 0;
  request.on('data', (chunk: Buffer) => {
    if (chunks === null) return;
    size += chunk.length;
    const fault = size > routed.bodyBytesMax ? 'tooLarge' : share.grow(size) ? null : 'noRoom';
    if (fault === null) chunks.push(chunk);
    else {
      chunks = null;
      share.release();
      onRefused(fault);
    }
  });
  request.on('end', () => {
    if (chunks === null) return;
    const body = chunks.length === 1 ? (chunks[0] ?? nothing) : Buffer.concat(chunks, size);
    // The pieces would be held for as long as the request is.
    chunks = null;
    onBody(body, share);
  });
  // However it ends: what was never answered gives back its share, too.
  response.once('close', () => share.release());
  // A client that goes away in the middle is nobody's business; without a listener it would be an exception.
  request.on('error', () => {
    chunks = null;
  });
}

function send(
  listening: boolean,
  request: IncomingMessage,
  response: ServerResponse,
  answer: Answer,
  stallMs: number,
): void {
  const { headers } = answer;
  // A body that was not read to its end would be taken for the next request; a server that stops takes no next one.
  if (!request.complete || !listening) headers['connection'] = 'close';
  if (answer.kind === 'stream') {
    response.writeHead(answer.status, headers);
    if (request.method === 'HEAD') response.end();
    else answer.open(new SocketSink(response));
    return;
  }
  const { body, status, onSent } = answer;
  if (onSent !== undefined) response.once('close', onSent);
  if (body === null) {
    if (status !== 204) headers['content-length'] = '0';
    response.writeHead(status, headers).end();
    return;
  }
  const length = typeof body === 'string' ? Buffer.byteLength(body) : body.byteLength;
  headers['content-length'] = String(length);
  // Who does not take an answer is cut off as who does not take a stream: it holds memory, and a share of what large ones may.
  if (length >= stalledBytesMin) response.setTimeout(stallMs);
  response.writeHead(status, headers);
  if (request.method !== 'HEAD') {
    // Head and body as one text in one write: `end` with a body would add an empty piece, and two pieces cost more.
    response.write(body);
    response.socket?.uncork();
  }
  response.end();
}

/** A stream straight on the response of a socket. */
class SocketSink implements StreamSink {
  readonly #response: ServerResponse;

  constructor(response: ServerResponse) {
    this.#response = response;
    // Without a listener a reader that goes away would be an exception.
    response.on('error', () => response.destroy());
  }

  write(chunk: Uint8Array): void {
    if (!this.#response.destroyed && !this.#response.writableEnded) this.#response.write(chunk);
  }

  bufferedBytes(): number {
    return this.#response.writableLength;
  }

  onDrain(fn: () => void): void {
    this.#response.once('drain', fn);
  }

  onClose(fn: () => void): void {
    this.#response.once('close', fn);
  }

  end(): void {
    this.#response.end();
  }

  destroy(): void {
    this.#response.destroy();
  }
}

const codeOfClientError: Readonly<Record<string, ErrorCode>> = {
  ERR_HTTP_REQUEST_TIMEOUT: 'REQUEST_TIMEOUT',
  HPE_HEADER_OVERFLOW: 'HEADERS_TOO_LARGE',
};

/** Answers what is not even HTTP, or came too slowly, and closes. */
function refuseConnection(error: Error & { readonly code?: string }, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const code = codeOfClientError[error.code ?? ''];
  const refusal =
    code === 'REQUEST_TIMEOUT' || code === 'HEADERS_TOO_LARGE'
      ? new SpineError(code, {})
      : new SpineError('REQUEST_INVALID', { faults: ['it is not an HTTP/1.1 request'] });
  const body = JSON.stringify(problemOf(refusal, ''));
  socket.end(
    `HTTP/1.1 ${refusal.status} ${refusal.code}\r\nConnection: close\r\nContent-Type: application/problem+json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    () => socket.destroy(),
  );
}
