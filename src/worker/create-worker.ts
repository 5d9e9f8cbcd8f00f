/**
 * The public way to a worker: options checked all at once, defaults settled, transport chosen.
 */
import { hostname } from 'node:os';
import { SpineError } from '../core/errors.js';
import { limits } from '../core/limits.js';
import type { Ports } from '../core/ports.js';
import { nodePorts } from '../runtime/index.js';
import type { BeginActivation } from '../workflow/activation-contract.js';
import type { AnyApp } from '../workflow/app.js';
import { beginActivation } from '../workflow/index.js';
import { offerFaults, registryOf, type AppRegistry } from './app-registry.js';
import type { WorkerTransport } from './transport.js';
import { createWebSocketTransport } from './web-socket-transport.js';
import { workerOf, type Worker } from './worker.js';
import { holdGlobalTraps } from './traps/global-traps.js';
import { trappedActivation, type TrapFault } from './traps/trapped-activation.js';
import { workerLog, type WorkerLog, type WorkerLogRecord } from './worker-log.js';

/** What may be said about a worker, apart from its app and its server. */
export interface WorkerSettings {
  /**
   * Bodies and calls that may run at the same time. Few keep a burst from one machine; many keep slow model calls from
   * waiting for each other. Default: `limits.workerSlotsDefault`; at most `limits.workerSlotsMax`.
   */
  readonly slots?: number;
  /** Names of the workflows that this process runs. Default: all of the app. */
  readonly workflows?: readonly string[];
  /** Names of the capabilities that this process serves. Default: all that the app implements. */
  readonly capabilities?: readonly string[];
  /** Name under which the worker is listed. Default: a new id. */
  readonly name?: string;
  /**
   * How long a body that only waits stays in memory. Long saves replays, short saves memory and slots. Default:
   * `limits.parkAfterMs`.
   */
  readonly parkAfterMs?: number;
  /** How long a drain waits for what is in flight. Default: `limits.drainGraceMs`. */
  readonly drainGraceMs?: number;
  /** Stops the worker at once when aborted; for an orderly end call `drain`. */
  readonly signal?: AbortSignal;
  /** Takes the log lines of the worker and of user code. Default: none. */
  readonly log?: (record: WorkerLogRecord) => void;
  /** Clock, timers, randomness and hashing. Default: those of Node. */
  readonly ports?: Ports;
  /**
   * Watches bodies for what a replay would not repeat (clock, chance, timers and network outside of steps, foreign
   * promises) and writes a warning to the log. For development: it costs time, and wraps globals of the process. Default
   * false; `eventspine dev` sets it.
   */
  readonly traps?: boolean;
}

/** Where the server is: a URL, or several of which each will do, with headers for each request; or a transport. */
export type WorkerServer =
  | { readonly url: string | readonly string[]; readonly headers?: Readonly<Record<string, string>> }
  | { readonly connect: WorkerTransport };

/**
 * Makes a worker that runs the workflows and handlers of an app for a server; `start` connects it. Fails with
 * OPTIONS_INVALID, naming all faults.
 */
export function createWorker(options: { readonly app: AnyApp } & WorkerSettings & WorkerServer): Worker {
  const registry = registryOf(options.app);
  if (options.traps !== true) return createWorkerOf(registry, beginActivation, options);
  const begin = trappedActivation(beginActivation, { throws: false, report: reportOnce(workerLog(options.log)) });
  const worker = createWorkerOf(registry, begin, options);
  void worker.stopped.then(holdGlobalTraps());
  return worker;
}

/** Most faults remembered as told, so that a loop does not fill the log. */
const toldMax = 1_000;

function reportOnce(log: WorkerLog): (fault: TrapFault) => void {
  const told = new Set<string>();
  return (fault) => {
    const { workflow, what, use } = fault.detail;
    const key = `${workflow} ${what}`;
    if (told.has(key) || told.size >= toldMax) return;
    told.add(key);
    log('warn', `the body of "${workflow}" ${what}`, { use, stack: fault.stack });
  };
}

/** A worker for what a registry holds; `createWorker` is this over an app. Fails with OPTIONS_INVALID. */
export function createWorkerOf(
  registry: AppRegistry,
  begin: BeginActivation,
  options: WorkerSettings & WorkerServer,
): Worker {
  const offer = { workflows: options.workflows ?? null, capabilities: options.capabilities ?? null };
  const slots = options.slots ?? limits.workerSlotsDefault;
  const parkAfterMs = options.parkAfterMs ?? limits.parkAfterMs;
  const drainGraceMs = options.drainGraceMs ?? limits.drainGraceMs;
  const faults = [
    ...(Number.isInteger(slots) && slots >= 1 && slots <= limits.workerSlotsMax
      ? []
      : [`slots must be a whole number from 1 to ${limits.workerSlotsMax}`]),
    ...notNegative('parkAfterMs', parkAfterMs),
    ...notNegative('drainGraceMs', drainGraceMs),
    ...('url' in options || 'connect' in options ? [] : ['one of url, connect is needed']),
    ...offerFaults(registry.manifest, offer),
  ];
  if (faults.length > 0) throw new SpineError('OPTIONS_INVALID', { what: 'the worker', faults });
  const ports = options.ports ?? nodePorts;
  const worker = workerOf({
    registry,
    offer,
    begin,
    ports,
    slots,
    parkAfterMs,
    drainGraceMs,
    transport: transportOf(options, ports),
    name: options.name,
    log: options.log,
    host: hostname(),
    pid: process.pid,
  });
  stopOn(options.signal, worker);
  return worker;
}

function notNegative(name: string, value: number): string[] {
  return Number.isFinite(value) && value >= 0 ? [] : [`${name} must be a number of ms, not below 0`];
}

function transportOf(server: WorkerServer, ports: Ports): WorkerTransport {
  if ('connect' in server) return server.connect;
  const { url, headers } = server;
  return createWebSocketTransport({ url, timers: ports.timers, ...(headers === undefined ? {} : { headers }) });
}

function stopOn(signal: AbortSignal | undefined, worker: Worker): void {
  if (signal === undefined) return;
  const stop = (): void => void worker.stop();
  if (signal.aborted) return stop();
  signal.addEventListener('abort', stop, { once: true });
  void worker.stopped.then(() => signal.removeEventListener('abort', stop));
}
