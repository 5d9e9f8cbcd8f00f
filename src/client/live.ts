/**
 * Streams over one WebSocket in place of a connection each: a `fetch` for clients and pages that subscribes on a live socket
 * where a stream of a run or a topic is asked for, and passes on everything else. What reads streams knows nothing of it:
 * it is given the same messages, cursors and problems, and asks again after the last cursor when a stream is cut.
 *
 * Invariant: where there is no socket to be had, streams come as they would without this.
 */
import { clientError } from '../core/client-errors.js';
import { liveSubprotocol, type LiveMessage, type LiveRequest, type LiveSubscribe } from '../protocol/live.js';
import { headerNames } from '../protocol/route-paths.js';
import { asError, type Pace, systemPace } from './pace.js';

/** What is used of a `WebSocket`; that of browsers is one, that of `ws` too. */
export interface LiveWebSocket {
  send(text: string): void;
  close(): void;
  addEventListener(type: 'open' | 'close' | 'error', listener: () => void): void;
  addEventListener(type: 'message', listener: (event: { readonly data: unknown }) => void): void;
}

/** Options of `createLive`. */
export interface LiveOptions {
  /** That of the client or page: an absolute URL, or a path of the page's own origin. */
  readonly url: string;
  /** Default: the global one. Node has it from 22 on; before, that of the package `ws` will do. */
  readonly webSocket?: new (
    url: string,
    protocols: string[],
  ) => LiveWebSocket;
  /** For everything that is no stream. Default: the global `fetch`. */
  readonly fetch?: typeof globalThis.fetch;
  /** Timers; for tests. */
  readonly pace?: Pace;
}

/** Streams of a page or program over one WebSocket. */
export interface Live {
  /** The option `fetch` of clients and pages. */
  readonly fetch: typeof globalThis.fetch;
  /** Streams that are open on the socket. */
  readonly size: number;
  /** Closes the socket. Streams that are open are cut, and come back over another one. */
  close(): void;
}

const optionNames = ['url', 'webSocket', 'fetch', 'pace'];
/** A socket without streams is closed after so long. */
const lingerMs = 5_000;
/** A socket that has not opened by then is not waited for. */
const openMs = 10_000;
/** Where the first socket does not open, none is tried for so long. */
const avoidMs = 60_000;
/** A socket that is silent for so many beats is dead. */
const silentBeats = 3;
/** What a stream may have waiting for whoever reads it; beyond, it is cut, and asked for again when that was read. */
const waitingBytesMax = 1024 * 1024;
const heartbeat = ':\n\n';

/** Makes it. Opens nothing; the socket comes with the first stream and goes with the last. Fails with OPTIONS_INVALID. */
export function createLive(options: LiveOptions): Live {
  const faults = Object.keys(options)
    .filter((name) => !optionNames.includes(name))
    .map((name) => `${name} is not an option; there are ${optionNames.join(', ')}`);
  if (typeof options.url !== 'string' || options.url === '') faults.push('url is not an address');
  if (faults.length > 0) throw clientError('OPTIONS_INVALID', { what: 'createLive', faults });
  const pace = options.pace ?? systemPace;
  const plain: typeof globalThis.fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
  let line: LiveLine | null = null;
  let hasOpened = false;
  let avoidedUntil = 0;

  function lineOver(base: string): LiveLine | null {
    if (line !== null && !line.isOver) return line;
    if (performance.now() < avoidedUntil) return null;
    const WebSocketClass = options.webSocket ?? (globalThis as { WebSocket?: LiveOptions['webSocket'] }).WebSocket;
    if (WebSocketClass === undefined) return null;
    line = new LiveLine(
      new WebSocketClass(`${base.replace(/^http/, 'ws')}/v1/live`, [liveSubprotocol]),
      pace,
      (isOpen) => {
        hasOpened ||= isOpen;
        // Later it is the server that is away, and what is asked of it by `fetch` will say so.
        if (!hasOpened) avoidedUntil = performance.now() + avoidMs;
      },
    );
    return line;
  }

  return {
    async fetch(input, init) {
      const base = new URL(options.url, globalThis.location?.href).href.replace(/\/+$/, '');
      const asked = typeof input === 'object' && 'method' in input ? null : streamOf(base, String(input), init);
      if (asked === null) return await plain(input, init);
      return (await lineOver(base)?.open(asked, init?.signal ?? null)) ?? (await plain(input, init));
    },
    get size() {
      return line?.size ?? 0;
    },
    close: () => line?.close(),
  };
}

/** The stream that a request asks for; null = it asks for something else, or for what a socket cannot say. */
function streamOf(base: string, url: string, init: RequestInit | undefined): Omit<LiveSubscribe, 't' | 'sub'> | null {
  if ((init?.method ?? 'GET') !== 'GET' || !url.startsWith(`${base}/v1/`)) return null;
  const { pathname, searchParams } = new URL(url.slice(base.length), 'http://localhost');
  const [, kind, name] = /^\/v1\/(runs|topics)\/([^/]+)\/stream$/.exec(pathname) ?? [];
  const headers = new Headers(init?.headers);
  if (name === undefined || headers.has('eventspine-tenant')) return null;
  const token = /^bearer +(\S+)$/i.exec(headers.get('authorization') ?? '')?.[1];
  if (token === undefined && headers.has('authorization')) return null;
  const cursor = headers.get(headerNames.lastEventId) ?? searchParams.get('cursor');
  const partitions = searchParams.getAll('partition').map(Number);
  const [key, from, at] = ['key', 'from', 'at'].map((parameter) => searchParams.get(parameter));
  return {
    ...(kind === 'runs' ? { run: decodeURIComponent(name) } : { topic: decodeURIComponent(name) }),
    ...(cursor === null ? {} : { cursor }),
    ...(partitions.length === 0 ? {} : { partitions }),
    ...(key === null ? {} : { key }),
    ...(from === null ? {} : { from: from as 'newest' }),
    ...(at === null ? {} : { at }),
    ...(token === undefined ? {} : { token }),
  };
}

/** One stream of a line: asked for until it is answered, then a body that is written to. */
interface Subscription {
  answer(response: Response | Error): void;
  body: ReadableStreamDefaultController<Uint8Array> | null;
}

/** One socket, until it is closed. */
class LiveLine {
  readonly #socket: LiveWebSocket;
  readonly #pace: Pace;
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #opened: Promise<boolean>;
  #settle: (isOpen: boolean) => void = () => undefined;
  #isSettled = false;
  #names = 0;
  #subscriptionsMax = Number.POSITIVE_INFINITY;
  #isOver = false;
  #beatMs = openMs;
  #cancelSilence: () => void;
  #cancelLinger: (() => void) | null = null;

  constructor(socket: LiveWebSocket, pace: Pace, onSettled: (isOpen: boolean) => void) {
    this.#socket = socket;
    this.#pace = pace;
    this.#opened = new Promise((resolve) => {
      this.#settle = (isOpen) => {
        resolve(isOpen);
        if (!this.#isSettled) onSettled(isOpen);
        this.#isSettled = true;
      };
    });
    this.#cancelSilence = pace.after(openMs, () => this.#end());
    socket.addEventListener('open', () => this.#settle(true));
    socket.addEventListener('close', () => this.#end());
    // A close follows.
    socket.addEventListener('error', () => undefined);
    socket.addEventListener('message', ({ data }) => {
      if (this.#isOver) return;
      this.#heard();
      this.#take(JSON.parse(String(data)) as LiveMessage);
    });
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  get size(): number {
    return this.#subscriptions.size;
  }

  close(): void {
    this.#end();
  }

  /** The answer to a request for a stream; null where there is no socket or no room on it. Rejects as `fetch` does. */
  async open(asked: Omit<LiveSubscribe, 't' | 'sub'>, signal: AbortSignal | null): Promise<Response | null> {
    this.#cancelLinger?.();
    this.#cancelLinger = null;
    if (!(await this.#opened)) return null;
    signal?.throwIfAborted();
    if (this.#isOver || this.#subscriptions.size >= this.#subscriptionsMax) return null;
    this.#names += 1;
    const sub = `s${this.#names}`;
    const answered = new Promise<Response>((resolve, reject) => {
      const onAbort = (): void => {
        this.#leave(sub);
        reject(asError(signal?.reason));
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#subscriptions.set(sub, {
        answer(response) {
          signal?.removeEventListener('abort', onAbort);
          if (response instanceof Error) reject(response);
          else resolve(response);
        },
        body: null,
      });
    });
    this.#say({ t: 'subscribe', sub, ...asked });
    return await answered;
  }

  #take(message: LiveMessage): void {
    switch (message.t) {
      case 'hello':
        this.#beatMs = message.beatMs;
        this.#subscriptionsMax = message.subscriptionsMax;
        return this.#heard();
      case 'beat':
        for (const sub of [...this.#subscriptions.keys()]) this.#write(sub, heartbeat);
        return;
      case 'subscribed':
        return this.#begin(message.sub);
      case 'message': {
        const id = message.cursor === null ? '' : `id: ${message.cursor}\n`;
        return this.#write(message.sub, `${id}event: ${message.event}\ndata: ${JSON.stringify(message.data)}\n\n`);
      }
      case 'refused': {
        if (message.sub === null) return;
        const { problem } = message;
        const headers = { 'content-type': 'application/problem+json' };
        return this.#over(message.sub, new Response(JSON.stringify(problem), { status: problem.status, headers }));
      }
      case 'closed':
        return this.#over(message.sub, new Response(null, { status: message.done ? 204 : 200 }));
      case 'authenticated':
        return;
    }
  }

  #begin(sub: string): void {
    const subscription = this.#subscriptions.get(sub);
    if (subscription === undefined) return;
    const body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          subscription.body = controller;
        },
        cancel: () => this.#leave(sub),
      },
      new ByteLengthQueuingStrategy({ highWaterMark: waitingBytesMax }),
    );
    subscription.answer(new Response(body, { status: 200, headers: { 'content-type': 'text/event-stream' } }));
  }

  #write(sub: string, text: string): void {
    const body = this.#subscriptions.get(sub)?.body;
    if (body === undefined || body === null) return;
    body.enqueue(new TextEncoder().encode(text));
    if ((body.desiredSize ?? 0) > 0) return;
    // Sockets of browsers cannot be made to wait. Whoever reads this takes what there is, and asks again from there.
    this.#leave(sub);
    body.close();
  }

  /** The server has no more to say of the stream; `answer` is what it has said where nothing was given yet. */
  #over(sub: string, answer: Response | Error): void {
    const subscription = this.#subscriptions.get(sub);
    if (subscription === undefined) return;
    this.#forget(sub);
    if (subscription.body === null) subscription.answer(answer);
    else subscription.body.close();
  }

  #leave(sub: string): void {
    if (!this.#subscriptions.has(sub)) return;
    this.#forget(sub);
    this.#say({ t: 'unsubscribe', sub });
  }

  #forget(sub: string): void {
    this.#subscriptions.delete(sub);
    if (this.#subscriptions.size === 0 && !this.#isOver)
      this.#cancelLinger = this.#pace.after(lingerMs, () => this.#end());
  }

  #say(message: LiveRequest): void {
    if (!this.#isOver) this.#socket.send(JSON.stringify(message));
  }

  #heard(): void {
    this.#cancelSilence();
    this.#cancelSilence = this.#pace.after(silentBeats * this.#beatMs, () => this.#end());
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#settle(false);
    this.#cancelSilence();
    this.#cancelLinger?.();
    const cut = new TypeError('The live socket is closed.');
    for (const sub of [...this.#subscriptions.keys()]) this.#over(sub, cut);
    this.#socket.close();
  }
}
