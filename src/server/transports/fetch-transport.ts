/**
 * The API as one function from `Request` to `Response`: for mounting into Hono, Next.js and others, and for tests
 * without sockets. A thin shell around the core; nothing is decided here.
 */
import type { Answer, StreamAnswer, StreamSink } from '../answer.js';
import type { Api, Routed } from '../api.js';
import type { HttpHead } from '../api-request.js';
import type { BodyShare } from './large-bodies.js';

/** Bytes that the runtime may take before a stream counts as buffered. */
const readAheadBytes = 64 * 1024;
const nothing = new Uint8Array(0);

/** Answers a request. Never rejects for what the request contains. */
export async function fetchAnswer(api: Api, request: Request): Promise<Response> {
  const head = headOf(request);
  const routed = api.route(head);
  if (routed.tag === 'answered') return responseOf(routed.answer, head.method);
  const share = api.large.share();
  try {
    const body = await readBody(request, routed, share);
    if (body === 'tooLarge') return responseOf(api.tooLarge(routed), head.method);
    if (body === 'noRoom') return responseOf(api.noRoom(routed), head.method);
    const answer = await new Promise<Answer>((reply) => api.answer(routed, body, reply));
    return responseOf(answer, head.method);
  } finally {
    share.release();
  }
}

function headOf(request: Request): HttpHead {
  const url = new URL(request.url);
  // `fetch` in process sends no host header; the address says the same.
  const header = (name: string): string | undefined =>
    request.headers.get(name) ?? (name === 'host' ? url.host : undefined);
  return {
    method: request.method,
    path: url.pathname,
    query: url.search.slice(1),
    header,
    headers: () => Object.fromEntries(request.headers),
  };
}

/** The whole body, or why it is not taken. */
async function readBody(
  request: Request,
  routed: Routed,
  share: BodyShare,
): Promise<Uint8Array | 'tooLarge' | 'noRoom'> {
  if (request.body === null || routed.route.body === null) return nothing;
  const length = Number(request.headers.get('content-length') ?? 0);
  if (length > routed.bodyBytesMax) return 'tooLarge';
  if (!share.grow(length)) return 'noRoom';
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body as ReadableStream<Uint8Array> & AsyncIterable<Uint8Array>) {
    size += chunk.byteLength;
    if (size > routed.bodyBytesMax) return 'tooLarge';
    if (!share.grow(size)) return 'noRoom';
    chunks.push(chunk);
  }
  return chunks.length === 1 ? (chunks[0] ?? nothing) : Buffer.concat(chunks, size);
}

function responseOf(answer: Answer, method: string): Response {
  const { status, headers } = answer;
  if (answer.kind === 'stream') {
    return new Response(method === 'HEAD' ? null : streamBody(answer), { status, headers });
  }
  const hasBody = answer.body !== null && method !== 'HEAD';
  // From here on it is the runtime's.
  answer.onSent?.();
  return new Response(hasBody ? (answer.body as ConstructorParameters<typeof Response>[0]) : null, { status, headers });
}

function streamBody(answer: StreamAnswer): ReadableStream<Uint8Array> {
  let sink: WebSink | null = null;
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        sink = new WebSink(controller);
        answer.open(sink);
      },
      pull: () => sink?.drained(),
      cancel: () => sink?.closed(),
    },
    new ByteLengthQueuingStrategy({ highWaterMark: readAheadBytes }),
  );
}

class WebSink implements StreamSink {
  readonly #controller: ReadableStreamDefaultController<Uint8Array>;
  #onDrain: (() => void) | null = null;
  #onClose: (() => void)[] = [];
  #ended = false;

  constructor(controller: ReadableStreamDefaultController<Uint8Array>) {
    this.#controller = controller;
  }

  write(chunk: Uint8Array): void {
    if (!this.#ended) this.#controller.enqueue(chunk);
  }

  bufferedBytes(): number {
    return this.#ended ? 0 : Math.max(0, readAheadBytes - (this.#controller.desiredSize ?? readAheadBytes));
  }

  onDrain(fn: () => void): void {
    this.#onDrain = fn;
  }

  onClose(fn: () => void): void {
    this.#onClose.push(fn);
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#controller.close();
    this.#tellClosed();
  }

  destroy(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#controller.error(new Error('The stream was cut off.'));
    this.#tellClosed();
  }

  /** The reader has taken what was there. */
  drained(): void {
    const fn = this.#onDrain;
    this.#onDrain = null;
    fn?.();
  }

  /** The reader has gone. */
  closed(): void {
    this.#ended = true;
    this.#tellClosed();
  }

  #tellClosed(): void {
    for (const fn of this.#onClose.splice(0)) fn();
  }
}
