/** Handlers that are given a `Request` and give a `Response`: routes of Next, and whatever else has this form; and those of Hono. */
import { isResponse } from '../answers.js';
import {
  boundedBytes,
  callOld,
  type Exchange,
  type HandlerCall,
  type ReadBody,
  type RequestHead,
  seenAnswer,
  textsOf,
  valueOfBytes,
  valueOfText,
  type WatchedHandler,
} from '../exchange.js';

/** Of a context of Hono, what is used. */
export interface HonoContext {
  readonly req: {
    readonly raw: Request;
    param(): unknown;
    text(): Promise<string>;
  };
}

/** True for a `Request`, by its form: servers and test environments bring classes of their own. */
export function isRequest(value: unknown): value is Request {
  const { clone, method, url, headers } = (value ?? {}) as Partial<Request>;
  return (
    typeof clone === 'function' &&
    typeof method === 'string' &&
    typeof url === 'string' &&
    typeof headers?.get === 'function'
  );
}

/** True for a context of Hono. */
export function isHonoContext(value: unknown): value is HonoContext {
  const { req } = (value ?? {}) as Partial<HonoContext>;
  return req !== undefined && isRequest((req as Partial<HonoContext['req']>).raw);
}

/** A request of Hono. Its context keeps a body that was read by it, so a parser before the route takes nothing away. */
export function honoExchange(call: HandlerCall, context: HonoContext): Exchange {
  const { raw } = context.req;
  return exchangeOf(call, raw, {
    head: headOf(raw, textsOf(context.req.param()), context),
    readBody: async (bytesMax) => {
      if (!raw.bodyUsed) return bodyOf(raw, bytesMax);
      const text = await context.req.text();
      return text.length > bytesMax
        ? { tag: 'unreadable' }
        : { tag: 'body', body: text === '' ? undefined : valueOfText(text) };
    },
  });
}

/** A request as it is. The parameters of a route of Next come beside it, in newer versions as a promise. */
export function fetchExchange(call: HandlerCall, request: Request): Exchange {
  const { params } = (call.args[1] ?? {}) as { readonly params?: unknown };
  return exchangeOf(call, request, {
    head:
      params instanceof Promise
        ? params.then((found) => headOf(request, textsOf(found), request))
        : headOf(request, textsOf(params), request),
    readBody: (bytesMax) => bodyOf(request, bytesMax),
  });
}

function exchangeOf(call: HandlerCall, request: Request, own: Pick<Exchange, 'head' | 'readBody'>): Exchange {
  return {
    ...own,
    signal: request.signal,
    old: () => callOld(call),
    watchedOld: (bytesMax) => watched(call, bytesMax),
    reply: (response) => response,
    fail(error) {
      throw error;
    },
  };
}

function headOf(request: Request, params: RequestHead['params'], native: unknown): RequestHead {
  const { pathname, searchParams } = new URL(request.url);
  return { method: request.method, path: pathname, query: searchParams, headers: request.headers, params, native };
}

async function bodyOf(request: Request, bytesMax: number): Promise<ReadBody> {
  if (request.body === null) return { tag: 'body', body: undefined };
  const declared = Number(request.headers.get('content-length') ?? 0);
  if (request.bodyUsed || declared > bytesMax) return { tag: 'unreadable' };
  const bytes = await boundedBytes(request.clone().body, bytesMax);
  return bytes === null ? { tag: 'unreadable' } : { tag: 'body', body: valueOfBytes(bytes) };
}

function watched(call: HandlerCall, bytesMax: number): WatchedHandler {
  const result = Promise.resolve(callOld(call));
  return {
    result,
    answer: result.then(
      (response) => answerOf(response, bytesMax),
      () => null,
    ),
  };
}

async function answerOf(response: unknown, bytesMax: number): ReturnType<typeof readAnswer> {
  // A stream is read at the pace of its reader and may have no end.
  if (!isResponse(response) || response.bodyUsed || isStream(response)) return null;
  return await readAnswer(response.clone(), bytesMax);
}

async function readAnswer(response: Response, bytesMax: number): Promise<Awaited<WatchedHandler['answer']>> {
  return seenAnswer(response.status, await boundedBytes(response.body, bytesMax));
}

function isStream(response: Response): boolean {
  return (response.headers.get('content-type') ?? '').startsWith('text/event-stream');
}
