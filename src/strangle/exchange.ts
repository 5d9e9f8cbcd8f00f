/**
 * One request and its answer, whichever framework they are of. The strangler sees no more of a framework than this, and the
 * old handler sees no more of the strangler than its own arguments.
 *
 * Invariant: what the strangler reads of a request the old handler can still read as if nobody had.
 */

/** A request as the functions of the options see it. */
export interface StrangleRequest {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: { get(name: string): string | null };
  /** What the framework found in the path: `id` of `/answers/:id`. */
  readonly params: Readonly<Record<string, string>>;
  /** What a parser before the route has made of the body; else JSON where it is JSON, text where it is not; undefined = none. */
  readonly body: unknown;
  /** What the framework gave: a `Request`, a context of Hono, a request of Express or Fastify. */
  readonly native: unknown;
}

/** A request whose body nobody has looked at yet. */
export type RequestHead = Omit<StrangleRequest, 'body'>;

/** The body of a request, or why there is none to look at. */
export type ReadBody = { readonly tag: 'body'; readonly body: unknown } | { readonly tag: 'unreadable' };

/** What somebody was answered. */
export interface SeenAnswer {
  readonly status: number;
  /** JSON where it is JSON, else text. */
  readonly body: unknown;
}

/** The old handler at work, and what it answers in the end. */
export interface WatchedHandler {
  /** What the framework is to be given. */
  readonly result: unknown;
  /** Once it is sent; null where it cannot be compared: a stream, something compressed, more than the bound, given up. */
  readonly answer: Promise<SeenAnswer | null>;
}

/** A request under way. */
export interface Exchange {
  /** The path parameters may come late. */
  readonly head: RequestHead | Promise<RequestHead>;
  /** Aborted when the caller is gone. */
  readonly signal: AbortSignal;
  /** Reads the body; the old handler can read it again. A body of more than `bytesMax` is left to the old handler. */
  readBody(bytesMax: number): Promise<ReadBody>;
  /** Lets the old handler answer, exactly as the framework would. */
  old(): unknown;
  /** The same, and watches what it says. */
  watchedOld(bytesMax: number): WatchedHandler;
  /** Answers in place of the old handler. */
  reply(response: Response): unknown;
  /** Tells the framework of an error, as a handler would; gives what the framework is to be given. */
  fail(error: unknown): unknown;
}

/** A handler of any of the forms. Its arguments are its framework's; which form they are of shows when it is called. */
export type AnyHandler = (...args: never[]) => unknown;

/** A call of a handler: `this`, and its arguments. */
export interface HandlerCall {
  readonly handler: AnyHandler;
  readonly self: unknown;
  readonly args: readonly unknown[];
}

/** Calls the old handler with what it was called with. */
export function callOld({ handler, self, args }: HandlerCall): unknown {
  return Reflect.apply(handler, self, args);
}

/** The value of bytes: JSON where they are, else text. Undefined where they are no text, or nothing. */
export function valueOfBytes(bytes: Uint8Array): unknown {
  if (bytes.length === 0) return undefined;
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
  return valueOfText(text);
}

/** JSON where it is, else the text. */
export function valueOfText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** What was answered, as bytes; null where it can be compared with nothing. */
export function seenAnswer(status: number, bytes: Uint8Array | null): SeenAnswer | null {
  if (bytes === null || status === 304) return null;
  const body = valueOfBytes(bytes);
  return body === undefined && bytes.length > 0 ? null : { status, body };
}

/** Bytes of a stream up to a bound; null where there are more, or where it broke off. */
export async function boundedBytes(
  stream: ReadableStream<Uint8Array> | null,
  bytesMax: number,
): Promise<Uint8Array | null> {
  if (stream === null) return new Uint8Array(0);
  const reader = stream.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      size += next.value.length;
      if (size > bytesMax) {
        void reader.cancel().catch(() => undefined);
        return null;
      }
      chunks.push(next.value);
    }
  } catch {
    return null;
  }
  return Buffer.concat(chunks);
}

/** Texts of a record of the framework; whatever else is in it is left out. */
export function textsOf(value: unknown): Readonly<Record<string, string>> {
  if (typeof value !== 'object' || value === null) return {};
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, text]) => (typeof text === 'string' ? [[name, text]] : [])),
  );
}
