/**
 * The HTTP server: the API on a port of its own, or as a function to mount elsewhere.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, Server as NodeServer, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { SpineError } from '../core/errors.js';
import { nodePorts } from '../runtime/index.js';
import { Api } from './api.js';
import { fetchAnswer } from './transports/fetch-transport.js';
import { PushHost } from './push/push-host.js';
import { LiveSockets } from './streams/live-sockets.js';
import { createNodeServer, headOf, serveNode } from './transports/node-transport.js';
import { settingsOf, type ServerOptions, type ServerSettings } from './options.js';
import { WebhookHost } from './webhooks/webhook-host.js';
import { WorkerSockets } from './transports/worker-socket.js';

/** A server over an engine: a `fetch` function, or on a port of its own. */
export interface SpineServer extends AsyncDisposable {
  /** Answers a request in process: for mounting into another server, and for tests. Never rejects for what is asked. */
  readonly fetch: (request: Request) => Promise<Response>;
  /** The same for a request of a node server: for mounting into Express, Fastify and plain `node:http`. */
  readonly handle: (request: IncomingMessage, response: ServerResponse) => void;
  /** Takes over an upgrade to a WebSocket (workers, live streams) from the node server that this one is mounted in. */
  readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
  /**
   * Listens. Twice is once. Rejects with the error of the system where the port is taken, and with SHUTTING_DOWN after
   * `close`.
   */
  listen(): Promise<ServerAddress>;
  /**
   * Stops accepting, ends streams and sockets with a hint to come back, and waits for answers under way, but not
   * longer than `limits.closeMs`. The engine is its owner's to stop. Idempotent.
   */
  close(): Promise<void>;
}

/** Where a server listens. */
export interface ServerAddress {
  /** Base URL, with the base path. */
  readonly url: string;
  readonly port: number;
}

/**
 * Makes a server for an engine. Opens nothing until `listen`.
 *
 * @throws OPTIONS_INVALID with every fault; among them an address that others can reach without `authorize`
 */
export function createServer(options: ServerOptions): SpineServer {
  return new HttpServer(settingsOf(options));
}

class HttpServer implements SpineServer {
  readonly #settings: ServerSettings;
  readonly #api: Api;
  readonly #workers: WorkerSockets;
  readonly #live: LiveSockets;
  readonly #push: PushHost;
  readonly #webhooks: WebhookHost;
  #node: NodeServer | null = null;
  #listening: Promise<ServerAddress> | null = null;
  #closing: Promise<void> | null = null;

  constructor(settings: ServerSettings) {
    this.#settings = settings;
    const { engine, log, push, webhooks } = settings;
    this.#push = new PushHost({ engine, secrets: push.secrets, rules: push, log });
    this.#webhooks = new WebhookHost({ engine, rules: webhooks, log, delivers: webhooks.deliver });
    this.#api = new Api(settings, randomBytes(6).toString('hex'), this.#push, this.#webhooks);
    this.#workers = new WorkerSockets({
      api: this.#api,
      engine: settings.engine,
      log: settings.log,
    });
    this.#live = new LiveSockets({ api: this.#api, settings });
  }

  readonly fetch = (request: Request): Promise<Response> => {
    this.#push.start();
    this.#webhooks.start();
    return fetchAnswer(this.#api, request);
  };

  readonly handle = (request: IncomingMessage, response: ServerResponse): void =>
    serveNode(this.#api, request, response, () => this.#closing === null);

  readonly upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    const routed = this.#api.route(headOf(request));
    const isLive = routed.tag === 'routed' && routed.id === 'liveSocket';
    (isLive ? this.#live : this.#workers).upgrade(request, socket, head);
  };

  listen(): Promise<ServerAddress> {
    if (this.#closing !== null) return Promise.reject(new SpineError('SHUTTING_DOWN', {}));
    this.#listening ??= this.#listen();
    return this.#listening;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #listen(): Promise<ServerAddress> {
    const { host, port, basePath, limits } = this.#settings;
    const node = createNodeServer(this.#api, limits);
    this.#node = node;
    node.on('upgrade', this.upgrade);
    node.listen(port, host);
    // Rejects with the error event where the port is taken.
    await once(node, 'listening');
    this.#push.start();
    this.#webhooks.start();
    const bound = (node.address() as AddressInfo).port;
    const name = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
    return { url: `http://${name}:${bound}${basePath}`, port: bound };
  }

  async #close(): Promise<void> {
    await this.#listening?.catch(() => undefined);
    const node = this.#node;
    const closed =
      node === null || !node.listening
        ? Promise.resolve()
        : new Promise<void>((resolve) => node.close(() => resolve()));
    this.#api.standing.close();
    this.#api.streams.close();
    this.#api.plainWorkers.close();
    this.#settings.engine.endPulls();
    // Its session is the engine's, which outlives this server: what is under way there is answered as usual.
    const pushed = Promise.all([this.#push.close(), this.#webhooks.close()]);
    const settled = Promise.all([closed, this.#workers.close(), this.#live.close(), pushed]);
    const cancel = nodePorts.timers.after(this.#settings.limits.closeMs, () => {
      this.#workers.terminate();
      this.#live.terminate();
      node?.closeAllConnections();
    });
    await settled;
    await this.#api.flush();
    cancel();
  }
}
