/**
 * A worker as the whole purpose of a process: signals drain it, uncaught errors end it, the exit code says how it went.
 *
 * Invariant: after an uncaught error nothing more is committed. The process ends without a goodbye, so that the server
 * counts what it held as lost: work that kills its worker must use up its attempts.
 */
import type { AnyApp } from '../workflow/app.js';
import { isCancelled } from '../workflow/cancelled.js';
import { createWorker, type WorkerServer, type WorkerSettings } from './create-worker.js';
import type { Worker } from './worker.js';
import type { WorkerLogRecord } from './worker-log.js';

/** Exit codes of a worker process. */
export const workerExitCodes = {
  /** Drained or stopped in good order. */
  stopped: 0,
  /** An uncaught error, a refusal of the server, or a second signal while draining. */
  failed: 1,
} as const;

/** Time for cleanup of the user's own after the worker has stopped; then open handles no longer hold the process. */
const lingerMs = 5_000;

/**
 * Makes a worker and runs it as this process: `await runWorker(app, { url })` is a whole worker file. Resolves when the
 * worker has stopped, with the exit code. Log lines go to standard error as JSON unless `log` takes them. Fails with
 * OPTIONS_INVALID.
 */
export function runWorker(app: AnyApp, options: WorkerSettings & WorkerServer): Promise<number> {
  const log = options.log ?? logToStderr;
  return runProcess(createWorker({ ...options, app, log }), log);
}

/**
 * Runs the worker until it has stopped. SIGTERM, SIGINT and the loss of a parent process drain it; a second signal ends
 * the process at once. Resolves with the exit code, which is also set on the process.
 */
export async function runProcess(worker: Worker, log: (record: WorkerLogRecord) => void): Promise<number> {
  const unhook = hookProcess(worker, log);
  try {
    // A refusal comes out by `stopped` as well.
    worker.start().catch(() => undefined);
    const error = await worker.stopped;
    const code = error === null ? workerExitCodes.stopped : workerExitCodes.failed;
    process.exitCode = code;
    // Fires only where something else keeps the process alive.
    setTimeout(() => process.exit(), lingerMs).unref();
    return code;
  } finally {
    unhook();
  }
}

function hookProcess(worker: Worker, log: (record: WorkerLogRecord) => void): () => void {
  let signals = 0;
  const onSignal = (signal: NodeJS.Signals): void => {
    log({ level: 'info', message: 'signal received', fields: { signal } });
    if (++signals > 1) process.exit(workerExitCodes.failed);
    void worker.drain();
  };
  const onDisconnect = (): void => {
    log({ level: 'info', message: 'the parent process is gone', fields: {} });
    void worker.drain();
  };
  const onUncaught = (error: unknown, origin: string): void => {
    // A promise of a given-up scope that nobody awaits is no fault.
    if (origin === 'unhandledRejection' && isCancelled(error)) return;
    const stack = error instanceof Error ? error.stack : String(error);
    log({ level: 'error', message: 'uncaught error; the worker ends', fields: { origin, error: stack } });
    process.exit(workerExitCodes.failed);
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  process.on('disconnect', onDisconnect);
  process.on('uncaughtException', onUncaught);
  return () => {
    process.off('SIGTERM', onSignal);
    process.off('SIGINT', onSignal);
    process.off('disconnect', onDisconnect);
    process.off('uncaughtException', onUncaught);
  };
}

/** Writes a log line as JSON to standard error. */
export function logToStderr({ level, message, fields }: WorkerLogRecord): void {
  process.stderr.write(`${JSON.stringify({ at: new Date().toISOString(), level, message, ...fields }, plain)}\n`);
}

/** Fields come from user code: what JSON cannot hold must not cost the line. */
function plain(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  return value instanceof Error ? (value.stack ?? value.message) : value;
}
