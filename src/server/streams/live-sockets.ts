/**
 * Live sockets: many streams of runs and topics over one WebSocket. A subscription is a request of the route of its stream,
 * made in process with the credentials of the socket or its own: who may read what, cursors, gaps, what is shown and what is
 * refused are decided where they are decided for server-sent events, and nowhere here.
 *
 * Invariant: what waits to be sent on a socket is bounded. Streams are fed from the log at the pace of the reader; one that
 * takes nothing is cut off; whoever sends while it does not read is, too.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type RawData, type WebSocket } from 'ws';
import { hasCode, SpineError } from '../../core/errors.js';
import { limits } from '../../core/limits.js';
import type { Problem } from '../../protocol/http.js';
import { liveSubprotocol, type LiveMessage, type LiveRequest, type LiveSubscribe } from '../../protocol/live.js';
import { headerNames, pathOf } from '../../protocol/routes.js';
import { nodePorts } from '../../runtime/index.js';
import type { Answer } from '../answer.js';
import type { Api } from '../api.js';
import type { HttpHead } from '../api-request.js';
import type { EventSink, StreamFrame } from './event-sink.js';
import { readLiveMessage } from './live-message.js';
import { headOf } from '../transports/node-transport.js';
import type { ServerLimits, ServerSettings } from '../options.js';
import { StreamOutput } from './stream-output.js';
import { bytesOf, closeCodes, closeWith, refuseUpgrade } from '../transports/web-socket.js';

export interface LiveSocketsOptions {
  readonly api: Api;
  readonly settings: Pick<ServerSettings, 'basePath' | 'limits'>;
}

/** What a socket may have waiting before pings of its client are not answered any more. */
const pongBytesMax = 16 * 1024;
/** Pause between two streams that go on when a reader has room again, so that the first can fill it. */
const resumeMs = 1;
const noBody = new Uint8Array(0);

/** All live sockets of a server, with the one timer that they share. */
export class LiveSockets {
  readonly #options: LiveSocketsOptions;
  readonly #server = new WebSocketServer({
    noServer: true,
    maxPayload: limits.liveMessageBytesMax,
    perMessageDeflate: false,
    // The library answers each ping, whether its answers are read or not.
    autoPong: false,
    handleProtocols: (offered) => (offered.has(liveSubprotocol) ? liveSubprotocol : false),
  });
  readonly #sockets = new Set<LiveSocket>();
  #cancelBeat: (() => void) | null = null;
  #closed = false;

  constructor(options: LiveSocketsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#sockets.size;
  }

  /** Takes over a connection that asks for an upgrade. Never throws; what is refused is answered and closed. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const { api } = this.#options;
    const onError = (): void => {
      socket.destroy();
    };
    socket.on('error', onError);
    const asked = headOf(request);
    this.#admit(asked).then(
      (isKnown) => {
        socket.off('error', onError);
        this.#server.handleUpgrade(request, socket, head, (webSocket) => this.#connect(webSocket, asked, isKnown));
      },
      (error: unknown) => refuseUpgrade(socket, api.problemOf(error, 'live-socket')),
    );
  }

  /** Closes all sockets with the hint that the server restarts, and resolves when they are gone. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelBeat?.();
    this.#cancelBeat = null;
    const gone = [...this.#server.clients].map(
      (webSocket) => new Promise<void>((resolve) => webSocket.once('close', () => resolve())),
    );
    for (const webSocket of this.#server.clients) closeWith(webSocket, closeCodes.restart, 'The server is stopping.');
    await Promise.all(gone);
  }

  /** Ends at once what `close` is still waiting for. */
  terminate(): void {
    for (const webSocket of this.#server.clients) webSocket.terminate();
  }

  /** Whether the request itself says who is asking. Rejects where it may not have a socket. */
  async #admit(head: HttpHead): Promise<boolean> {
    if (this.#closed) throw new SpineError('SHUTTING_DOWN', {});
    const { api } = this.#options;
    // Refuses pages of foreign origins; what a browser sends along by itself is no word of a page of an origin without leave.
    api.checkSource(head);
    const own = new SocketHead(head, api.trustsAmbient(head), null);
    try {
      await api.identify(own);
      return true;
    } catch (error) {
      if (hasCode(error, 'UNAUTHENTICATED') && own.header('authorization') === undefined) return false;
      throw error;
    }
  }

  #connect(webSocket: WebSocket, head: HttpHead, isKnown: boolean): void {
    const { api, settings } = this.#options;
    const socket = new LiveSocket({
      webSocket,
      head,
      api,
      basePath: settings.basePath,
      limits: settings.limits,
      isKnown,
    });
    this.#sockets.add(socket);
    webSocket.on('close', () => {
      this.#sockets.delete(socket);
      socket.gone();
    });
    // It was asked for before the server began to stop.
    if (this.#closed) return closeWith(webSocket, closeCodes.restart, 'The server is stopping.');
    this.#cancelBeat ??= nodePorts.timers.after(settings.limits.heartbeatMs, () => this.#beat());
  }

  #beat(): void {
    const now = nodePorts.clock.monotonicMs();
    for (const socket of this.#sockets) socket.beat(now);
    this.#cancelBeat =
      this.#sockets.size === 0 || this.#closed
        ? null
        : nodePorts.timers.after(this.#options.settings.limits.heartbeatMs, () => this.#beat());
  }
}

interface LiveSocketParts {
  readonly webSocket: WebSocket;
  /** Of the upgrade. */
  readonly head: HttpHead;
  readonly api: Api;
  readonly basePath: string;
  readonly limits: ServerLimits;
  /** Whether the upgrade says who is asking. */
  readonly isKnown: boolean;
}

/** One socket of one client. */
class LiveSocket {
  readonly #parts: LiveSocketParts;
  readonly #webSocket: WebSocket;
  readonly #output: StreamOutput;
  readonly #subscriptions = new Map<string, LiveSubscription>();
  /** Streams that wait for the reader to have room. */
  readonly #waiting: (() => void)[] = [];
  #isResuming = false;
  #token: string | null = null;
  /** Ends the time that a client has to say who it is; null = it has said so. */
  #cancelDeadline: (() => void) | null = null;

  constructor(parts: LiveSocketParts) {
    const { webSocket, limits: bounds } = parts;
    this.#parts = parts;
    this.#webSocket = webSocket;
    this.#output = new StreamOutput(
      { bufferedBytes: () => this.bufferedBytes(), beat: () => this.tell({ t: 'beat' }) },
      bounds,
    );
    webSocket.on('message', (data, isBinary) => this.#receive(data, isBinary));
    webSocket.on('ping', (data) => {
      if (webSocket.bufferedAmount < pongBytesMax) webSocket.pong(data);
    });
    // What follows an error is always a close; too large frames and broken UTF-8 are answered by the library.
    webSocket.on('error', () => undefined);
    if (!parts.isKnown) {
      this.#cancelDeadline = nodePorts.timers.after(bounds.headersTimeoutMs, () =>
        this.#shut(new SpineError('UNAUTHENTICATED', {})),
      );
    }
    this.tell({
      t: 'hello',
      protocol: 1,
      beatMs: bounds.heartbeatMs,
      subscriptionsMax: limits.liveSubscriptionsMax,
    });
  }

  bufferedBytes(): number {
    return this.#webSocket.bufferedAmount;
  }

  tell(message: LiveMessage): void {
    this.send(JSON.stringify(message));
  }

  send(text: string): void {
    if (this.#webSocket.readyState === this.#webSocket.OPEN) this.#webSocket.send(text, this.#onSent);
  }

  /** Calls `fn` when the reader has taken what waits for it; after others that have asked before. */
  onDrain(fn: () => void): void {
    this.#waiting.push(fn);
  }

  /** Who subscribes is somebody: it has been given a stream. */
  heard(): void {
    this.#cancelDeadline?.();
    this.#cancelDeadline = null;
  }

  forget(subscription: LiveSubscription): void {
    if (this.#subscriptions.get(subscription.name) === subscription) this.#subscriptions.delete(subscription.name);
  }

  beat(nowMs: number): void {
    if (!this.#output.beat(nowMs, true)) this.terminate();
  }

  terminate(): void {
    this.#webSocket.terminate();
  }

  /** The connection is closed, for whatever reason. */
  gone(): void {
    this.heard();
    this.#waiting.length = 0;
    for (const subscription of [...this.#subscriptions.values()]) subscription.gone();
  }

  readonly #onSent = (): void => {
    if (this.#waiting.length > 0 && !this.#isResuming && this.bufferedBytes() === 0) this.#resume();
  };

  /** One after the other, each with a moment to fill what there is: all at once would read the log for nothing. */
  #resume(): void {
    const next = this.bufferedBytes() === 0 ? this.#waiting.shift() : undefined;
    this.#isResuming = next !== undefined;
    if (next === undefined) return;
    nodePorts.timers.after(resumeMs, () => this.#resume());
    next();
  }

  #receive(data: RawData, isBinary: boolean): void {
    const webSocket = this.#webSocket;
    if (webSocket.readyState !== webSocket.OPEN) return;
    // It asks on without taking the answers.
    if (this.bufferedBytes() >= 2 * this.#parts.limits.streamBufferBytesMax) return this.terminate();
    if (isBinary) return closeWith(webSocket, closeCodes.unsupportedData, 'Messages are JSON text.');
    const read = readLiveMessage(bytesOf(data));
    if (read.ok) return this.#take(read.message);
    if (read.sub === null || this.#subscriptions.has(read.sub))
      return closeWith(webSocket, closeCodes.protocolError, read.fault);
    this.#refuse(read.sub, new SpineError('REQUEST_INVALID', { faults: [read.fault] }));
  }

  #take(message: LiveRequest): void {
    switch (message.t) {
      case 'auth':
        return this.#authenticate(message.token);
      case 'subscribe':
        return this.#subscribe(message);
      case 'unsubscribe':
        return this.#subscriptions.get(message.sub)?.leave();
    }
  }

  #authenticate(token: string): void {
    // What is subscribed to from here on brings it, and is judged by itself.
    this.#token = token;
    this.#parts.api.identify(this.#head(token)).then(
      () => {
        this.heard();
        this.tell({ t: 'authenticated' });
      },
      (error: unknown) => this.#shut(error),
    );
  }

  #subscribe(asked: LiveSubscribe): void {
    const { sub } = asked;
    if (this.#subscriptions.has(sub))
      return closeWith(this.#webSocket, closeCodes.protocolError, `"sub" is taken: ${sub}`);
    if (this.#subscriptions.size >= limits.liveSubscriptionsMax) {
      const fault = `a socket has at most ${limits.liveSubscriptionsMax} streams`;
      return this.#refuse(sub, new SpineError('REQUEST_INVALID', { faults: [fault] }));
    }
    const { api, basePath } = this.#parts;
    const subscription = new LiveSubscription(sub, this);
    this.#subscriptions.set(sub, subscription);
    const routed = api.route(this.#head(asked.token ?? this.#token, basePath + pathFor(asked), queryFor(asked)));
    if (routed.tag === 'answered') subscription.answered(routed.answer);
    else api.answer(routed, noBody, (answer) => subscription.answered(answer));
  }

  #head(token: string | null, path?: string, query?: string): SocketHead {
    const { head, api } = this.#parts;
    return new SocketHead(head, api.trustsAmbient(head), token, path, query);
  }

  #refuse(sub: string, error: unknown): void {
    this.tell({ t: 'refused', sub, problem: this.#problemOf(error) });
  }

  /** Ends the socket: nobody is there whom it could belong to. */
  #shut(error: unknown): void {
    const problem = this.#problemOf(error);
    this.tell({ t: 'refused', sub: null, problem });
    closeWith(this.#webSocket, closeCodes.policyViolation, problem.detail);
  }

  #problemOf(error: unknown): Problem {
    return this.#parts.api.problemOf(error, 'live-socket');
  }
}

/** One stream on a socket. Its name is taken until the client was told that it is over. */
class LiveSubscription implements EventSink {
  readonly name: string;
  readonly #socket: LiveSocket;
  readonly #prefix: string;
  readonly #onClose: (() => void)[] = [];
  /** `asked` = it is being decided upon. */
  #state: 'asked' | 'left' | 'open' | 'over' = 'asked';

  constructor(name: string, socket: LiveSocket) {
    this.name = name;
    this.#socket = socket;
    this.#prefix = `{"t":"message","sub":${JSON.stringify(name)},`;
  }

  /** The API has decided. */
  answered(answer: Answer): void {
    if (this.#state === 'over') return;
    if (this.#state === 'left') return this.#close(null);
    if (answer.kind === 'stream') {
      const { openEvents } = answer;
      if (openEvents === undefined)
        throw new Error('Invariant broken: streams of runs and topics are streams of events');
      this.#state = 'open';
      this.#socket.heard();
      return openEvents(this);
    }
    answer.onSent?.();
    if (answer.status === 204) {
      this.#socket.heard();
      return this.#close(null);
    }
    this.#over();
    const problem = JSON.parse(String(answer.body)) as Problem;
    this.#socket.tell({ t: 'refused', sub: this.name, problem });
  }

  /** The client wants no more of it. */
  leave(): void {
    if (this.#state === 'asked') this.#state = 'left';
    else if (this.#state === 'open') this.#close(null);
  }

  /** The socket is closed. */
  gone(): void {
    this.#over();
  }

  hello(): void {
    this.#socket.tell({ t: 'subscribed', sub: this.name });
  }

  send(frame: StreamFrame): void {
    if (this.#state === 'open') this.#socket.send(`${this.#prefix}${frame.members}}`);
  }

  beat(): void {
    // The socket has its own.
  }

  bufferedBytes(): number {
    return this.#socket.bufferedBytes();
  }

  onDrain(fn: () => void): void {
    this.#socket.onDrain(fn);
  }

  onClose(fn: () => void): void {
    this.#onClose.push(fn);
  }

  end(why: string | null): void {
    if (this.#state === 'open') this.#close(why);
  }

  destroy(): void {
    this.#socket.terminate();
  }

  #close(why: string | null): void {
    this.#over();
    this.#socket.tell({ t: 'closed', sub: this.name, done: why === null, reason: why });
  }

  #over(): void {
    this.#state = 'over';
    this.#socket.forget(this);
    for (const fn of this.#onClose.splice(0)) fn();
  }
}

/** Headers of the upgrade that are about the connection, or about one request. */
const ownHeaders: ReadonlySet<string> = new Set([
  headerNames.lastEventId,
  headerNames.requestId,
  headerNames.prefer,
  'upgrade',
  'connection',
]);
/** What browsers send along whoever has made them ask. */
const ambientHeaders: ReadonlySet<string> = new Set(['authorization', 'cookie']);

/** A request that a client of a socket makes for a stream: that of the upgrade, with another address and perhaps a token. */
class SocketHead implements HttpHead {
  readonly method = 'GET';
  readonly path: string;
  readonly query: string;
  readonly #head: HttpHead;
  readonly #trustsAmbient: boolean;
  readonly #token: string | null;

  constructor(head: HttpHead, trustsAmbient: boolean, token: string | null, path = head.path, query = '') {
    this.path = path;
    this.query = query;
    this.#head = head;
    this.#trustsAmbient = trustsAmbient;
    this.#token = token;
  }

  header(name: string): string | undefined {
    if (name === 'authorization' && this.#token !== null) return `Bearer ${this.#token}`;
    return ownHeaders.has(name) || (!this.#trustsAmbient && ambientHeaders.has(name))
      ? undefined
      : this.#head.header(name);
  }

  headers(): Readonly<Record<string, string>> {
    return Object.fromEntries(
      Object.keys(this.#head.headers()).flatMap((name) => {
        const value = this.header(name);
        return value === undefined ? [] : [[name, value]];
      }),
    );
  }
}

function pathFor({ run, topic }: LiveSubscribe): string {
  return run === undefined ? pathOf('streamTopic', { topic: topic ?? '' }) : pathOf('streamRun', { id: run });
}

function queryFor({ cursor, partitions = [], key, from, at }: LiveSubscribe): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries({ cursor, key, from, at }))
    if (value !== undefined) query.set(name, value);
  for (const partition of partitions) query.append('partition', String(partition));
  return query.toString();
}
