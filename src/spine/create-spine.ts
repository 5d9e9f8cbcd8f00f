/**
 * The embedded spine: client, engine, worker and server in the process of the host application. It is made
 * synchronously and opens nothing until it is first used, so importing the module that makes it is free of effects.
 * Invariant: two spines on one store location in one process are two views of one host; the newest app is served.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import {
  type CallOptions,
  type Client,
  type CloudEvent,
  createClientOver,
  type InputFor,
  type Published,
  type PublishOptions,
  type RemoteError,
  type ResultFor,
  type RunHandle,
  type StartManyItem,
  type StartManyOutcome,
  type StartOptions,
  streamSettings,
  type TopicDataFor,
  type TopicFor,
  type WorkflowFor,
} from '../client/index.js';
import { SpineError } from '../core/errors.js';
import type { Ports } from '../core/ports.js';
import type { Engine, EngineLog, EngineSettings } from '../engine/index.js';
import { nodePorts } from '../runtime/index.js';
import {
  type Authorize,
  createServer,
  type PageOptions,
  type ServerAddress,
  type ServerOptions,
  type SpineServer,
} from '../server/index.js';
import { problemOf, problemType } from '../protocol/problem.js';
import type { CallerTransaction } from '../store/caller-transaction.js';
import type { StoreFactory } from '../store/factory.js';
import { createInProcessTransport, createWorker, type WorkerSettings } from '../worker/index.js';
import type { AnyApp } from '../workflow/index.js';
import type { HostedWorker, Service } from './host.js';
import { leaseHost } from './hosts.js';
import { keepAlive } from './keep-alive.js';
import { localGateway } from './local-gateway.js';

/** Options of the worker in this process: those of `createWorker` without the way to the server, which is known. */
export type SpineWorkerOptions = Omit<WorkerSettings, 'ports'>;

/** Options of a spine. */
export interface SpineOptions {
  /** Where everything is recorded: `sqlite({ file: "spine.db" })`, `memory()`. */
  readonly store: StoreFactory;
  /** Run the app's workflows and handlers in this process too. Default true; false leaves the work to other processes. */
  readonly worker?: boolean | SpineWorkerOptions;
  /** Tenant of everything that this spine starts and reads. Default `default`. */
  readonly tenant?: string;
  /** For `fetch` and `listen`: base path, `authorize`, CORS, bounds, default host and port. */
  readonly server?: Omit<ServerOptions, 'engine'>;
  /** Timing of leases, retention and health. */
  readonly engine?: Partial<EngineSettings>;
  /** Where faults and notable facts go. Default: warnings and errors as lines on the standard error output. */
  readonly log?: EngineLog;
  /** Clock, timers and randomness; for tests. */
  readonly ports?: Ports;
}

/** For calls that record something: in a transaction of the caller's own. */
export interface WithinTransaction {
  /**
   * An open transaction on the database of the store, of `pg`, Drizzle, Kysely or Prisma (`postgres` store only). What is
   * recorded comes to be with its commit, and work begins soon after it; rolled back, it never was. The ids that the call
   * gives are known before. TRANSACTION_INVALID, TRANSACTION_UNSUPPORTED; what the database throws comes through as it is.
   * Default: a transaction of the store's own, committed when the call resolves.
   */
  readonly tx?: CallerTransaction;
}

/** For whom something is done: what `authorize` says of a request. */
export interface Acting {
  readonly tenant: string;
  readonly user: string;
}

/** Options of `pages`. */
export interface PagesOptions extends PageOptions {
  /**
   * Says who is asking, by the session of the host application; null = nobody it knows. Default: user `anonymous` of tenant
   * `default`, and only for requests to a loopback name.
   */
  readonly authorize?: Authorize | readonly Authorize[];
  /** Where it is mounted. Default: `server.basePath` of the spine. */
  readonly basePath?: string;
  /** Origins of pages that may ask although they come from elsewhere; behind a proxy that changes the host, your own. */
  readonly origins?: readonly string[];
}

/** What can be mounted into a host application. */
export interface Mountable {
  /** Answers an HTTP request. */
  readonly fetch: (request: Request) => Promise<Response>;
  /** The same for a request of a node server. */
  readonly handle: (request: IncomingMessage, response: ServerResponse) => void;
  /** Takes over an upgrade to a WebSocket, for live streams, from a node server: `server.on('upgrade', pages.upgrade)`. */
  readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
}

/** An app at work in this process, with the surface of the client. */
export interface Spine<App> extends Client<App>, AsyncDisposable {
  /** As `Client.start`; with `tx`, in a transaction of the caller's own. */
  start<Name extends WorkflowFor<App>>(
    workflow: Name,
    input: InputFor<App, Name>,
    options?: StartOptions & WithinTransaction,
  ): Promise<RunHandle<ResultFor<App, Name>>>;
  /** As `Client.startMany`; with `tx`, all of them in a transaction of the caller's own. */
  startMany<Name extends WorkflowFor<App>>(
    workflow: Name,
    items: readonly StartManyItem<InputFor<App, Name>>[],
    options?: CallOptions & WithinTransaction,
  ): Promise<readonly StartManyOutcome<ResultFor<App, Name>>[]>;
  /** As `Client.publish`; with `tx`, in a transaction of the caller's own. */
  publish<Name extends TopicFor<App>>(
    topic: Name,
    data: TopicDataFor<App, Name> | CloudEvent,
    options?: PublishOptions & WithinTransaction,
  ): Promise<Published>;
  /** As `Client.publishMany`; with `tx`, all of them in a transaction of the caller's own. */
  publishMany(
    topic: TopicFor<App>,
    events: readonly CloudEvent[],
    options?: CallOptions & WithinTransaction,
  ): Promise<readonly (Published | { readonly error: RemoteError })[]>;
  /**
   * Opens store, engine and worker now instead of on first use, so that work left over from before goes on at once.
   * STORE_OWNED where another process has the file, STORE_TOO_NEW, STORE_UNSUITABLE, STORE_FAILED, DEFINITION_INVALID.
   */
  open(): Promise<void>;
  /** Answers an HTTP request; mount it under `server.basePath` into Hono, a Next.js route handler, or the like. */
  readonly fetch: (request: Request) => Promise<Response>;
  /** The same for a request of a node server: for Express, Fastify and plain `node:http`. */
  readonly handle: (request: IncomingMessage, response: ServerResponse) => void;
  /**
   * The part of the API that pages of users may have: they start the workflows named, and read what they started by read
   * tokens. Mount it with `eventspine/mount`. Opens nothing. Fails with OPTIONS_INVALID on first use.
   */
  pages(options?: PagesOptions): Mountable;
  /**
   * The client's surface in the name of somebody: what it starts and reads is in that tenant, and that user stands in the
   * events. Opens nothing.
   */
  as(acting: Acting): Client<App>;
  /** Takes over an upgrade to a WebSocket, for workers and live streams that connect through the host application's own node server. */
  readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
  /** Listens on a port of its own. Twice is once. */
  listen(): Promise<ServerAddress>;
  /** Ends the server, drains the worker and closes the store, unless a newer spine on the same store goes on with it. */
  close(): Promise<void>;
}

const optionNames = ['store', 'worker', 'tenant', 'server', 'engine', 'log', 'ports'];

/**
 * Makes a spine for an app. Synchronous; opens nothing. A second spine on the same store location in this process (hot
 * reload) takes over: the file stays open and the new app is served. Fails with OPTIONS_INVALID.
 */
export function createSpine<App extends AnyApp>(app: App, options: SpineOptions): Spine<App> {
  checkOptions(options);
  const log = options.log ?? logToStandardError;
  const ports = options.ports ?? nodePorts;
  const lease = leaseHost(
    {
      store: options.store,
      ports,
      log,
      ...(options.engine === undefined ? {} : { engine: options.engine }),
    },
    serviceOf(app, options.worker ?? true, ports),
    (error) => log({ level: 'error', message: 'the new app could not take over', fields: { error: String(error) } }),
  );
  const engine = async (): Promise<Engine> => (await lease.host.open()).engine;
  const as = ({ tenant, user }: Acting): Client<App> =>
    createClientOver<App>(
      localGateway({
        engine,
        ready: () => lease.host.ready?.engine ?? null,
        tenant,
        user,
        basePath: options.server?.basePath ?? '',
        webhooks: { ...options.server?.webhooks, deliver: options.server === undefined },
        made: (server) => servers.push(() => Promise.resolve(server)),
        ...(options.server?.readTokens === undefined ? {} : { readTokens: options.server.readTokens }),
      }),
      streamSettings({}),
    );
  const client = as({ tenant: options.tenant ?? 'default', user: 'embedded' });

  const servers: (() => Promise<SpineServer | null>)[] = [];
  let closing: Promise<void> | null = null;

  /** A server over the engine, made on first use. */
  function lazyServer(serverOptions: Omit<ServerOptions, 'engine'>): () => Promise<SpineServer> {
    let server: Promise<SpineServer> | null = null;
    servers.push(() => server?.catch(() => null) ?? Promise.resolve(null));
    return () => {
      if (closing !== null) return Promise.reject(new SpineError('SHUTTING_DOWN', {}));
      server ??= engine().then(
        (found) => createServer({ ...serverOptions, engine: found }),
        (error: unknown) => {
          // What kept the store shut may pass; the next request tries again.
          server = null;
          throw error;
        },
      );
      return server;
    };
  }

  const theServer = lazyServer(options.server ?? {});

  function mountable(server: () => Promise<SpineServer>): Mountable {
    return {
      fetch: async (request) => await (await server()).fetch(request),
      handle(request, response) {
        server().then(
          (found) => found.handle(request, response),
          (error: unknown) => {
            log({ level: 'error', message: 'a request could not be answered', fields: { error: String(error) } });
            const problem = problemOf(error, 'embedded');
            response.writeHead(problem.status, { 'content-type': problemType, 'cache-control': 'no-store' });
            response.end(JSON.stringify(problem));
          },
        );
      },
      upgrade(request, socket, head) {
        server().then(
          (found) => found.upgrade(request, socket, head),
          (error: unknown) => {
            log({ level: 'error', message: 'a WebSocket could not be opened', fields: { error: String(error) } });
            socket.destroy();
          },
        );
      },
    };
  }

  async function close(): Promise<void> {
    await Promise.all(servers.map(async (started) => (await started())?.close()));
    await lease.release();
  }

  const spine: Spine<App> = {
    ...client,
    async open() {
      await lease.host.open();
    },
    ...mountable(theServer),
    pages: (pages = {}) => mountable(lazyServer(pageServerOptions(options.server ?? {}, pages))),
    as,
    listen: async () => await (await theServer()).listen(),
    close() {
      closing ??= keepAlive(close());
      return closing;
    },
    [Symbol.asyncDispose]: () => spine.close(),
  };
  return spine;
}

/** Options of a server for pages: those of the spine's own, except for who may do what. */
function pageServerOptions(
  { authorize: _authorize, cors: _cors, ...server }: Omit<ServerOptions, 'engine'>,
  { authorize, basePath, origins, ...page }: PagesOptions,
): Omit<ServerOptions, 'engine'> {
  return {
    ...server,
    page,
    ...(authorize === undefined ? {} : { authorize }),
    ...(basePath === undefined ? {} : { basePath }),
    ...(origins === undefined ? {} : { cors: { origins, credentials: true } }),
  };
}

/** What a host is to serve for an app, with or without a worker of its own. */
export function serviceOf(app: AnyApp, worker: boolean | SpineWorkerOptions, ports: Ports): Service {
  return {
    manifest: () => app.manifest,
    worker:
      worker === false
        ? null
        : (engine): HostedWorker =>
            createWorker({
              ...(worker === true ? {} : worker),
              app,
              connect: createInProcessTransport(engine),
              ports,
            }),
  };
}

function checkOptions(options: SpineOptions): void {
  const faults = Object.keys(options)
    .filter((name) => !optionNames.includes(name))
    .map((name) => `${name} is not an option; there are ${optionNames.join(', ')}`);
  if (typeof (options as Partial<SpineOptions>).store?.open !== 'function') {
    faults.push("store must be a store, e.g. sqlite({ file: 'spine.db' }) or memory()");
  }
  if (options.server !== undefined && 'engine' in options.server) faults.push("server.engine is the spine's own");
  if (faults.length > 0) throw new SpineError('OPTIONS_INVALID', { what: 'createSpine', faults });
}

const logToStandardError: EngineLog = ({ level, message, fields }) => {
  if (level === 'warn' || level === 'error') console.error(`eventspine ${level} ${message}`, fields ?? '');
};
