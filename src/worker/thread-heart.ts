/**
 * The main thread's side of the heartbeat thread: starts it, hears of the end of the session, stops it.
 *
 * Invariant: the thread never keeps the process alive, and its failure is reported once and harms nothing else.
 */
import { Worker } from 'node:worker_threads';
import type { Heart, HeartOptions } from './transport.js';

export interface ThreadHeartOptions extends HeartOptions {
  /** URLs of the beat sockets, one for each server. */
  readonly urls: readonly string[];
  /** One `Int32` cell: which of them the data line is on now. */
  readonly place: SharedArrayBuffer;
  readonly headers: Readonly<Record<string, string>>;
}

/** What the thread is started with. */
export interface HeartData {
  readonly urls: readonly string[];
  readonly place: SharedArrayBuffer;
  readonly headers: Readonly<Record<string, string>>;
  readonly session: string;
  readonly beatMs: number;
  readonly pulse: SharedArrayBuffer;
}

/** What the thread reports: the server's last word on the session. */
export interface HeartReport {
  readonly sessionOver: string;
}

/** Starts a thread that beats for the session over its own socket, whatever the main thread does. */
export function startThreadHeart(options: ThreadHeartOptions): Heart {
  const { urls, place, headers, session, beatMs, pulse, onSessionOver, onFault } = options;
  let stopped = false;
  const fault = (reason: string): void => {
    if (stopped) return;
    stopped = true;
    onFault(reason);
  };
  const data: HeartData = { urls, place, headers, session, beatMs, pulse: pulse.buffer };
  let thread: Worker;
  try {
    // As a file of its own kind: from our sources it runs only where the runtime strips types by itself.
    const file = import.meta.url.endsWith('.ts') ? './heart-thread.ts' : './heart-thread.js';
    // Loaders and preloads of the user are of no use to the thread and may do work of their own in it.
    thread = new Worker(new URL(file, import.meta.url), { workerData: data, execArgv: [], env: {} });
  } catch (error) {
    // The caller has no heart yet to be told of.
    queueMicrotask(() => fault(error instanceof Error ? error.message : String(error)));
    return { stop: () => (stopped = true) };
  }
  thread.unref();
  thread.on('message', (report: HeartReport) => {
    if (!stopped) onSessionOver(report.sessionOver);
  });
  thread.on('error', (error) => fault(error instanceof Error ? error.message : String(error)));
  thread.on('exit', (code) => fault(`The thread ended with code ${code}.`));
  return {
    stop() {
      if (stopped) return;
      stopped = true;
      thread.terminate().catch(() => undefined);
    },
  };
}
