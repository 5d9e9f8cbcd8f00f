/** Handlers of plain `node:http` and of Express, and what those of Fastify share with them: a request and a response of Node. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  callOld,
  type Exchange,
  type HandlerCall,
  type ReadBody,
  type RequestHead,
  type SeenAnswer,
  seenAnswer,
  textsOf,
  valueOfBytes,
  valueOfText,
} from '../exchange.js';

/** What Express adds to a request, as far as it is used. */
interface Parsed {
  readonly originalUrl?: unknown;
  readonly params?: unknown;
  readonly body?: unknown;
}

/** True for the arguments of a handler of `node:http` and of Express. */
export function isNodeCall(args: readonly unknown[]): args is readonly [IncomingMessage, ServerResponse, ...unknown[]] {
  const [request, response] = args as readonly [
    Partial<IncomingMessage> | undefined,
    Partial<ServerResponse> | undefined,
  ];
  return typeof request?.on === 'function' && typeof response?.writeHead === 'function';
}

/** A request of `node:http` or of Express. */
export function nodeExchange(call: HandlerCall, request: IncomingMessage & Parsed, response: ServerResponse): Exchange {
  const next = call.args[2];
  return {
    head: nodeHead(request, request.originalUrl ?? request.url, textsOf(request.params), request),
    signal: goneSignal(response),
    readBody: (bytesMax) => nodeBody(request, request.body, bytesMax),
    old: () => callOld(call),
    watchedOld(bytesMax) {
      const answer = watchResponse(response, bytesMax);
      return { result: callOld(call), answer };
    },
    reply: (answer) => sendResponse(response, answer),
    fail(error) {
      if (typeof next !== 'function') throw error;
      Reflect.apply(next, undefined, [error]);
      return undefined;
    },
  };
}

/** The head of a request of Node. `url` is path and query, as the caller sent them. */
export function nodeHead(
  request: IncomingMessage,
  url: unknown,
  params: RequestHead['params'],
  native: unknown,
): RequestHead {
  const text = typeof url === 'string' ? url : '/';
  const mark = text.indexOf('?');
  return {
    method: request.method ?? 'GET',
    path: mark === -1 ? text : text.slice(0, mark),
    query: new URLSearchParams(mark === -1 ? '' : text.slice(mark + 1)),
    headers: {
      get: (name) => {
        const value = request.headers[name.toLowerCase()];
        return value === undefined ? null : Array.isArray(value) ? value.join(', ') : value;
      },
    },
    params,
    native,
  };
}

/** The body that a parser has made, else that of the stream, which is put back into it. */
export async function nodeBody(request: IncomingMessage, parsed: unknown, bytesMax: number): Promise<ReadBody> {
  if (Buffer.isBuffer(parsed)) return { tag: 'body', body: valueOfBytes(parsed) };
  if (typeof parsed === 'string') return { tag: 'body', body: parsed === '' ? undefined : valueOfText(parsed) };
  const hasBody =
    request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length'] ?? 0) > 0;
  if (!hasBody) return { tag: 'body', body: undefined };
  // An older Express says {} of a body that it has not parsed.
  const isParsed = parsed !== undefined && !(isEmptyObject(parsed) && isUnread(request));
  if (isParsed) return { tag: 'body', body: parsed };
  if (!isUnread(request)) return { tag: 'unreadable' };
  const { bytes, isWhole } = await peek(request, bytesMax);
  return isWhole ? { tag: 'body', body: valueOfBytes(bytes) } : { tag: 'unreadable' };
}

function isEmptyObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}

function isUnread(request: IncomingMessage): boolean {
  return request.readable && !request.readableDidRead && request.readableFlowing === null;
}

/**
 * Reads a stream and puts back what was read, in the same turn in which its last part is taken: a stream that holds something
 * does not end, so whoever comes later finds all of it. Beyond the bound the rest stays in the socket.
 */
function peek(
  request: IncomingMessage,
  bytesMax: number,
): Promise<{ readonly bytes: Uint8Array; readonly isWhole: boolean }> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const settle = (isWhole: boolean): void => {
      request.off('readable', onReadable).off('error', onEnd).off('close', onEnd);
      const bytes = Buffer.concat(chunks);
      if (bytes.length > 0 && !request.readableEnded && !request.destroyed) request.unshift(bytes);
      resolve({ bytes, isWhole });
    };
    const onEnd = (): void => settle(false);
    const onReadable = (): void => {
      while (request.readableLength > 0) {
        const chunk = request.read() as Buffer | string | null;
        if (chunk === null) break;
        chunks.push(Buffer.from(chunk));
        size += chunk.length;
      }
      if (size > bytesMax) settle(false);
      else if (request.complete) settle(true);
    };
    request.on('readable', onReadable).on('error', onEnd).on('close', onEnd);
  });
}

/** Aborted when the caller goes before it has its answer. */
export function goneSignal(response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished) controller.abort(new DOMException('The caller is gone.', 'AbortError'));
  });
  return controller.signal;
}

/** Keeps a copy of what is written, up to a bound, until all of it is sent. */
export function watchResponse(response: ServerResponse, bytesMax: number): Promise<SeenAnswer | null> {
  let chunks: Buffer[] | null = [];
  let size = 0;
  const keep = (chunk: unknown, encoding: unknown): void => {
    if (chunks === null || chunk === null || chunk === undefined || typeof chunk === 'function') return;
    const bytes =
      typeof chunk === 'string'
        ? Buffer.from(chunk, typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8')
        : Buffer.from(chunk as Uint8Array);
    size += bytes.length;
    if (size > bytesMax) chunks = null;
    else chunks.push(bytes);
  };
  for (const method of ['write', 'end'] as const) {
    const original = response[method].bind(response) as (...args: readonly unknown[]) => unknown;
    const watched = (...args: readonly unknown[]): unknown => {
      keep(args[0], args[1]);
      return original(...args);
    };
    response[method] = watched as ServerResponse['write'] & ServerResponse['end'];
  }
  return new Promise((resolve) => {
    response.once('close', () => {
      const isPlain = response.getHeader('content-encoding') === undefined;
      const bytes = chunks === null || !isPlain || !response.writableFinished ? null : Buffer.concat(chunks);
      resolve(seenAnswer(response.statusCode, bytes));
    });
  });
}

/** Sends a `Response` by a response of Node, beside the headers that were set before. */
async function sendResponse(response: ServerResponse, answer: Response): Promise<void> {
  if (response.destroyed || response.headersSent) return;
  response.statusCode = answer.status;
  for (const [name, value] of answer.headers) if (name !== 'set-cookie') response.setHeader(name, value);
  for (const cookie of answer.headers.getSetCookie()) response.appendHeader('set-cookie', cookie);
  const bytes = Buffer.from(await answer.arrayBuffer());
  if (!response.hasHeader('content-length')) response.setHeader('content-length', bytes.length);
  response.end(bytes);
}
