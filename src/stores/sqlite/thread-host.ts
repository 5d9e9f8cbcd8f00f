/**
 * Where threads come from. Production starts one for each use and ends it after; tests may hand out the same threads
 * again, since starting one costs more than a test.
 */
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { Worker, type TransferListItem } from 'node:worker_threads';
import type { FromThread, ToThread } from './thread-messages.js';

/** One thread, in use by one lane. */
export interface StoreThread {
  post(message: ToThread, transfer: readonly TransferListItem[]): void;
  /** Sets who hears what the thread says, and of its death. */
  listen(onMessage: (message: FromThread) => void, onDeath: (reason: string) => void): void;
  /** A busy thread keeps the process alive, an idle one does not. */
  setBusy(busy: boolean): void;
  /** Gives the thread back. It serves no file any more. */
  release(): Promise<void>;
}

export interface ThreadHost {
  start(): StoreThread;
}

/** Threads of their own, ended when they are released. */
export const ownThreads: ThreadHost = { start: startThread };

/** Starts a thread that runs `thread.ts`, from the build as it is. */
function startThread(): StoreThread {
  const here = import.meta.url;
  const worker = here.endsWith('.ts')
    ? startFromSource(new URL('./thread.ts', here))
    : new Worker(new URL('./thread.js', here), { name: threadName });
  worker.unref();
  return {
    post: (message, transfer) => worker.postMessage(message, transfer),
    listen: (onMessage, onDeath) => {
      worker.removeAllListeners('message').removeAllListeners('error').removeAllListeners('exit');
      worker.on('message', onMessage);
      worker.on('error', (error: unknown) => onDeath(error instanceof Error ? error.message : String(error)));
      worker.on('exit', (code) => onDeath(`its thread ended with code ${code}`));
    },
    setBusy: (busy) => (busy ? worker.ref() : worker.unref()),
    release: async () => {
      worker.removeAllListeners('exit');
      await worker.terminate();
    },
  };
}

const threadName = 'eventspine-store';

/** Runs the sources of a checkout, as tests and `tsx` do. Threads do not inherit a loader on every runtime. */
function startFromSource(entry: URL): Worker {
  // `require` finds the package from here, but in its CommonJS form; the other lies beside it.
  const loader = new URL('index.mjs', pathToFileURL(createRequire(import.meta.url).resolve('tsx/esm/api')));
  const body = `import(${JSON.stringify(loader.href)}).then(({ register }) => {
    register();
    return import(${JSON.stringify(entry.href)});
  });`;
  return new Worker(body, { eval: true, execArgv: [], name: threadName });
}
