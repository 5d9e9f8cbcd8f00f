/**
 * The life of a command that serves: open, tell where, wait for the end, and take down in order. Invariant: a store that
 * has failed ends the process with an error: a restart recovers what is on disk, going on would not.
 */
import type { Service } from '../spine/host.js';
import type { Invocation } from './command.js';
import { type ExitCode, exitCodes } from './exit-codes.js';
import { announce, untilAborted } from './long-running.js';
import { openServedHost, type ServedHost } from './served-host.js';

/** What a command serves. */
export interface Serving {
  readonly service: Service;
  /** Where the store is unless flag or environment say so. */
  readonly defaultFile: string;
  /** Whether DATABASE_URL names the store; see `StoreSearch`. */
  readonly databaseUrl: boolean;
  /** Starts what works beside the server; the function that it returns ends that, before the server is closed. */
  readonly beside?: (host: ServedHost) => Promise<() => Promise<void>>;
}

/** Serves until the command is told to stop, then drains. Rejects with STORE_FAILED when the store has failed. */
export async function whileServed(invocation: Invocation, serving: Serving): Promise<ExitCode> {
  const { flags, io } = invocation;
  const json = flags.truth('json');
  const host = await openServedHost(invocation, serving.service, serving);
  let failure: Error | undefined;
  try {
    announce(io, json, 'listening', { url: host.address.url, store: host.place });
    const stopBeside = await serving.beside?.(host);
    failure = (await Promise.race([untilAborted(io.signal), host.failed])) ?? undefined;
    announce(io, json, 'stopping', {});
    await stopBeside?.();
  } finally {
    await host.close();
  }
  if (failure !== undefined) throw failure;
  announce(io, json, 'stopped', {});
  return exitCodes.ok.code;
}
