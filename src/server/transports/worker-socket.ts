/**
 * The WebSocket of workers: frames in and out of the engine's worker lines. The transport checks who connects, how
 * large a frame is and what shape its message has; sessions, leases and beats are the engine's.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type RawData, type WebSocket } from 'ws';
import { isSpineError, SpineError } from '../../core/errors.js';
import { limits } from '../../core/limits.js';
import type { Engine, WorkerChannel, WorkerLine } from '../../engine/api.js';
import type { ServerMessage } from '../../protocol/worker.js';
import type { Api } from '../api.js';
import type { ServerLogEntry } from '../options.js';
import type { Caller } from '../access/identity.js';
import { headOf } from './node-transport.js';
import { standingOver } from '../access/standing.js';
import { bytesOf, closeCodes, closeWith, refuseUpgrade } from './web-socket.js';
import { readWorkerMessage } from './worker-message.js';

export interface WorkerSocketsOptions {
  readonly api: Api;
  readonly engine: Engine;
  readonly log: (entry: ServerLogEntry) => void;
}

export class WorkerSockets {
  readonly #options: WorkerSocketsOptions;
  // Frames are JSON of moderate size between machines of one site: compression would cost more than it saves.
  readonly #server = new WebSocketServer({
    noServer: true,
    maxPayload: limits.workerFrameBytesMax,
    perMessageDeflate: false,
  });
  readonly #lines = new Map<WebSocket, WorkerLine>();
  #closed = false;

  constructor(options: WorkerSocketsOptions) {
    this.#options = options;
  }

  /** Takes over a connection that asks for an upgrade. Never throws; what is refused is answered and closed. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const onError = (): void => {
      socket.destroy();
    };
    socket.on('error', onError);
    this.#admit(request).then(
      ({ role, caller }) => {
        socket.off('error', onError);
        this.#server.handleUpgrade(request, socket, head, (webSocket) => {
          const end = (): void => closeWith(webSocket, closeCodes.policyViolation, standingOver);
          webSocket.once('close', this.#options.api.watch('workerSocket', headOf(request), caller, end));
          this.#connect(webSocket, socket, role);
        });
      },
      (error: unknown) => this.#refuse(socket, error),
    );
  }

  /**
   * Answers what workers have submitted, closes all sockets with the hint that the server restarts, and resolves when
   * they are gone. Idempotent.
   */
  async close(): Promise<void> {
    this.#closed = true;
    for (const webSocket of this.#server.clients) {
      const close = (): void => webSocket.close(closeCodes.restart, 'The server is stopping.');
      const line = this.#lines.get(webSocket);
      if (line === undefined) close();
      else line.leave().then(close, close);
    }
    await Promise.all(
      [...this.#server.clients].map(
        (webSocket) => new Promise<void>((resolve) => webSocket.once('close', () => resolve())),
      ),
    );
  }

  /** Ends at once what `close` is still waiting for. */
  terminate(): void {
    for (const webSocket of this.#server.clients) webSocket.terminate();
  }

  async #admit(request: IncomingMessage): Promise<{ readonly role: 'data' | 'beat'; readonly caller: Caller }> {
    if (this.#closed) throw new SpineError('SHUTTING_DOWN', {});
    const { api } = this.#options;
    const head = headOf(request);
    api.checkSource(head);
    const routed = api.route(head);
    if (routed.tag === 'answered' || routed.id !== 'workerSocket') {
      throw new SpineError('ROUTE_NOT_FOUND', { path: head.path.slice(0, 200) });
    }
    const caller = await api.authorize('workerSocket', head);
    const role = new URLSearchParams(head.query).get('role') ?? 'data';
    if (role !== 'data' && role !== 'beat')
      throw new SpineError('REQUEST_INVALID', { faults: ['role is none of data, beat'] });
    return { role, caller };
  }

  #refuse(socket: Duplex, error: unknown): void {
    refuseUpgrade(socket, this.#options.api.problemOf(error, 'worker-socket'));
  }

  #connect(webSocket: WebSocket, socket: Duplex, role: 'data' | 'beat'): void {
    const line = this.#options.engine.connect(channelOf(webSocket, socket));
    webSocket.on('message', (data, isBinary) => this.#receive(webSocket, line, role, data, isBinary));
    this.#lines.set(webSocket, line);
    webSocket.on('close', () => {
      this.#lines.delete(webSocket);
      line.closed();
    });
    // What follows an error is always a close; too large frames and broken UTF-8 are answered by the library.
    webSocket.on('error', () => undefined);
  }

  #receive(webSocket: WebSocket, line: WorkerLine, role: 'data' | 'beat', data: RawData, isBinary: boolean): void {
    if (webSocket.readyState !== webSocket.OPEN) return;
    if (isBinary) return closeWith(webSocket, closeCodes.unsupportedData, 'Messages are JSON text.');
    const read = readWorkerMessage(bytesOf(data));
    if (!read.ok) return closeWith(webSocket, closeCodes.protocolError, read.fault);
    if (role === 'beat' && read.message.t !== 'beat') {
      return closeWith(webSocket, closeCodes.protocolError, 'The beat socket carries beats only.');
    }
    if (read.refused.length > 0) {
      const answer: ServerMessage = { t: 'results', items: read.refused };
      webSocket.send(JSON.stringify(answer));
    }
    try {
      line.receive(read.message);
    } catch (error) {
      this.#options.log({ level: 'error', message: "A worker's message failed.", reference: 'worker-socket', error });
      closeWith(webSocket, closeCodes.internalError, isSpineError(error) ? error.message : 'The server failed.');
    }
  }
}

function channelOf(webSocket: WebSocket, socket: Duplex): WorkerChannel {
  let corked = false;
  return {
    send: (message) => {
      if (webSocket.readyState !== webSocket.OPEN) return;
      // Messages sent one after the other leave in one write.
      if (!corked) {
        corked = true;
        socket.cork();
        process.nextTick(() => {
          corked = false;
          socket.uncork();
        });
      }
      webSocket.send(JSON.stringify(message));
    },
    bufferedBytes: () => webSocket.bufferedAmount,
    close: (reason) => closeWith(webSocket, closeCodes.normal, reason),
  };
}
