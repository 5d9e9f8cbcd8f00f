/**
 * Ends this process when the one that started it is gone, whatever the main thread is doing. A thread of its own looks
 * at the parent, because a user's code may block the main one; the main thread is told first and may drain, and when
 * that takes too long the thread ends the process.
 * Invariant: the process outlives its parent by no more than `graceMs` and one look.
 */
import { Worker } from 'node:worker_threads';

/** What the thread is started with. */
export interface ParentWatchData {
  readonly parent: number;
  readonly lookMs: number;
  readonly graceMs: number;
}

/** Watches process `parent`; calls `onGone` once when it is gone. Keeps nothing alive. */
export function watchParent(parent: number, graceMs: number, onGone: () => void): void {
  // As a file of its own kind: from our sources it runs only where the runtime strips types by itself.
  const file = import.meta.url.endsWith('.ts') ? './parent-watch-thread.ts' : './parent-watch-thread.js';
  const data: ParentWatchData = { parent, lookMs: 250, graceMs };
  // Loaders and preloads of the user are of no use to the thread and may do work of their own in it.
  const thread = new Worker(new URL(file, import.meta.url), { workerData: data, execArgv: [], env: {} });
  thread.once('message', onGone);
  // Without the thread nobody would notice, so going on would break the promise.
  thread.once('error', onGone);
  thread.unref();
}
