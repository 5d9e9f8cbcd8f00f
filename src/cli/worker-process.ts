/**
 * The main module of the worker processes that `eventspine dev` starts. Its orders come by the channel to its parent;
 * when that closes, however the parent died, the worker drains and ends.
 * Invariant: this process never outlives its parent by more than a drain.
 */
import { isSpineError } from '../core/errors.js';
import { createWorker, type Worker } from '../worker/index.js';
import { findApp, importApp } from './load-app.js';
import type { FromWorkerProcess, ToWorkerProcess, WorkerProcessOptions } from './worker-process-messages.js';

const options = JSON.parse(process.argv[2] ?? '{}') as WorkerProcessOptions;
let worker: Worker | null = null;
let ending = false;

process.on('message', (message: ToWorkerProcess) => {
  if (message.type === 'drain') void end();
});
process.on('disconnect', () => void end());
// Ctrl-C reaches the whole group of processes; the parent decides what it means for its workers.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => void end());

try {
  const app = await importApp(await findApp(options.app, process.cwd()));
  worker = createWorker({
    app,
    url: options.url,
    ...(options.token === undefined ? {} : { headers: { authorization: `Bearer ${options.token}` } }),
    ...(options.slots === undefined ? {} : { slots: options.slots }),
    // Whoever saves a file waits for this before the new code runs.
    drainGraceMs: 10_000,
    // A body that sleeps is not worth waiting for, and is to wake up with the new code.
    parkAfterMs: 250,
    traps: true,
    log: ({ level, message, fields }) => {
      if (level === 'warn' || level === 'error') console.error(`worker ${process.pid} ${level} ${message}`, fields);
    },
  });
  await worker.start();
  tell({ type: 'ready', app: app.manifest.app });
  const refusal = await worker.stopped;
  if (refusal !== null) throw refusal;
} catch (error) {
  if (!ending) {
    const known = isSpineError(error);
    const text = error instanceof Error ? error.message : String(error);
    tell({ type: 'failed', message: known ? `${error.code}: ${text}` : text, mend: known ? error.mend : '' });
    process.exitCode = 1;
  }
}
await end();

async function end(): Promise<void> {
  if (ending) return;
  ending = true;
  await worker?.drain();
  if (process.connected) process.disconnect();
  // User code may hold sockets and timers; the work is done or given back, so nothing is worth waiting for.
  process.exit();
}

function tell(message: FromWorkerProcess): void {
  if (process.connected) process.send?.(message);
}
