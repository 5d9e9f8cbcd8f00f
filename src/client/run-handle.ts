/**
 * A run as a caller holds it: an id and what can be asked about it or done to it. Handles keep no connection and no
 * state of their own, except an output that came with the answer to the start.
 * Invariant: every answer is the server's at the time of the call.
 */
import { type Duration, parseDuration } from '../core/duration.js';
import { hasCode } from '../core/catalogue-error.js';
import type {
  CommandAnswer,
  PageView,
  ReadTokenRequest,
  ReadTokenSight,
  ReadTokenView,
  RunEventView,
  RunView,
} from '../protocol/http.js';
import { headerNames, pathOf } from '../protocol/route-paths.js';
import type { Signal } from '../workflow/index.js';
import { pauseMs } from './pace.js';
import { pageList, type PageList } from './pages.js';
import { chunksOf, type ChunkOptions, type StreamItem } from './run-chunks.js';
import { randomId } from './random-id.js';
import { followRun, type RunStreamItem, type StreamOptions, type StreamSettings } from './run-stream.js';
import type { ApiRequest, Transport } from './transport.js';

/** Options of calls that can be given up. */
export interface CallOptions {
  readonly signal?: AbortSignal;
}

/** Options of `cancel`. */
export interface CancelOptions extends CallOptions {
  /** Why, for the record. */
  readonly reason?: string;
}

/** A signal by its value, or by its name. */
export type SendableSignal<In> = Signal<string, In> | string;

/** Options of `signal`. */
export interface SignalSendOptions extends CallOptions {
  /** A second signal of the same id is the same signal. Default: random, which covers the client's own retries only. */
  readonly id?: string;
}

/** Options of `readToken`. */
export interface ReadTokenOptions extends CallOptions {
  /** 1 s to 30 d. */
  readonly expires?: Duration;
  readonly sees?: ReadTokenSight;
  /**
   * Whether approvals of the run may be decided with it as well, in the name of the user that asks for the token, where they
   * are put to that user by name (`user:ann`): for a link in a mail. It stands for no role. Default false.
   */
  readonly decides?: boolean;
  /** Tags of fields that it shows in clear, of those that the caller is shown. Default: none. */
  readonly clearances?: readonly string[];
}

/** One run of a workflow whose result is `Output`. */
export interface RunHandle<Output = unknown> {
  readonly id: string;
  /** True where the idempotency key was known: the handle is of the run that was started then. */
  readonly repeated: boolean;
  /**
   * Waits for the end and gives the output as plain JSON. Rejects with RUN_FAILED, RUN_REFUSED or RUN_CANCELLED when
   * the run ended otherwise, and with RUN_NOT_FOUND. Has no time limit of its own: pass a `signal`.
   */
  result(options?: CallOptions): Promise<Output>;
  /** The run now: state, steps, what it waits for, what can be done. */
  status(options?: CallOptions): Promise<RunView>;
  /** Events as they happen, from the start of the run or after `cursor`, until it has ended. */
  stream(options?: StreamOptions): AsyncIterable<RunStreamItem>;
  /** The chunks that the step or call at `path` writes to its stream, as they come, until it has ended. */
  chunks(path: string, options?: ChunkOptions): AsyncIterable<StreamItem>;
  /** Sends a signal to the run, which keeps it until it waits for it. RUN_ENDED. */
  signal<In = unknown>(signal: SendableSignal<In>, data?: In, options?: SignalSendOptions): Promise<CommandAnswer>;
  /** Asks the run to stop; its body may clean up for a while. `already` = it had ended or was asked before. */
  cancel(options?: CancelOptions): Promise<CommandAnswer>;
  /** Sends a failed or cancelled run back to work from what failed. RUN_NOT_REDRIVABLE in any other state. */
  retry(options?: CallOptions): Promise<CommandAnswer>;
  /**
   * A token that lets whoever has it read this run and nothing else: for a page to be given. Shows state, progress and
   * outcome unless `sees` is "everything". Good for 24 hours by default. RUN_NOT_FOUND, OUT_OF_SCOPE.
   */
  readToken(options?: ReadTokenOptions): Promise<ReadTokenView>;
  /** Every event so far, in `seq` order. */
  history(options?: CallOptions): PageList<RunEventView>;
}

/** What is already known of a run when its handle is made. */
export interface RunKnown {
  readonly repeated?: boolean;
  readonly readToken?: ReadTokenView;
  /** The outcome, where the answer to the start held it. */
  readonly outcome?: { readonly output: unknown } | { readonly error: Error };
}

/** Makes a handle; asks nothing. */
export function runHandle<Output>(
  transport: Transport,
  id: string,
  settings: StreamSettings,
  known: RunKnown = {},
): RunHandle<Output> {
  const { outcome } = known;
  return {
    id,
    repeated: known.repeated ?? false,
    async result(options = {}) {
      if (outcome !== undefined) {
        if ('error' in outcome) throw outcome.error;
        return outcome.output as Output;
      }
      return (await awaitResult(transport, id, settings, options.signal)) as Output;
    },
    status: (options) => transport.json<RunView>(get(pathOf('readRun', { id }), options)),
    stream: (options = {}) => followRun(transport, id, options, settings),
    chunks: (path, { after, ...options } = {}) => chunksOf(followRun(transport, id, options, settings), path, after),
    signal: (signal, data, options) => signalRun(transport, id, signal, data, options),
    cancel: (options) => cancelRun(transport, id, options),
    retry: (options) => retryRun(transport, id, options),
    readToken: (options) =>
      known.readToken !== undefined && options === undefined
        ? Promise.resolve(known.readToken)
        : createReadToken(transport, id, options),
    history: (options) => runHistory(transport, id, options),
  };
}

/** A GET of the API. */
export function get(path: string, options?: CallOptions, query?: ApiRequest['query']): ApiRequest {
  return {
    method: 'GET',
    path,
    repeatable: true,
    signal: options?.signal,
    ...(query === undefined ? {} : { query }),
  };
}

/** A POST of the API that carries a command. */
export function command(path: string, body: unknown, repeatable: boolean, options?: CallOptions): ApiRequest {
  return {
    method: 'POST',
    path,
    repeatable,
    signal: options?.signal,
    ...(body === undefined ? {} : { body: JSON.stringify(body), contentType: 'application/json' }),
  };
}

/** See `Client.signal`. Its id makes a repeat harmless, so a lost answer is asked for again. */
export function signalRun(
  transport: Transport,
  id: string,
  signal: SendableSignal<never>,
  data: unknown,
  options: SignalSendOptions = {},
): Promise<CommandAnswer> {
  const name = typeof signal === 'string' ? signal : signal.name;
  return transport.json({
    ...command(pathOf('signalRun', { id, name }), data, true, options),
    headers: { [headerNames.idempotencyKey]: options.id ?? randomId() },
  });
}

/** See `RunHandle.cancel`. Cancelling twice is cancelling once, so a lost answer is asked for again. */
export function cancelRun(transport: Transport, id: string, options?: CancelOptions): Promise<CommandAnswer> {
  const body = options?.reason === undefined ? {} : { reason: options.reason };
  return transport.json(command(pathOf('cancelRun', { id }), body, true, options));
}

/** See `RunHandle.retry`. A second retry may meet the run in its next failure, so a lost answer is not asked for again. */
export function retryRun(transport: Transport, id: string, options?: CallOptions): Promise<CommandAnswer> {
  return transport.json(command(pathOf('retryRun', { id }), undefined, false, options));
}

/** See `RunHandle.readToken`. Nothing is kept of a token, so a lost answer is asked for again. */
function createReadToken(transport: Transport, id: string, options: ReadTokenOptions = {}): Promise<ReadTokenView> {
  const { expires, sees, decides, clearances, ...call } = options;
  const body: ReadTokenRequest = {
    ...(expires === undefined ? {} : { expiresMs: parseDuration(expires) }),
    ...(sees === undefined ? {} : { sees }),
    ...(decides === undefined ? {} : { decides }),
    ...(clearances === undefined ? {} : { clearances }),
  };
  return transport.json(command(pathOf('createReadToken', { id }), body, true, call));
}

/** See `RunHandle.history`. */
export function runHistory(transport: Transport, id: string, options?: CallOptions): PageList<RunEventView> {
  return pageList((cursor) =>
    transport.json<PageView<RunEventView>>(get(pathOf('readHistory', { id }), options, { cursor })),
  );
}

/** How long one request for a result is held open, where the server can hold it. */
const resultWaitMs = 20_000;

/**
 * Asks for the result; while there is none, the server either held the request (and is asked again) or did not, and
 * then the stream of the run tells when to ask again. So a result is never polled for in a loop.
 */
async function awaitResult(
  transport: Transport,
  id: string,
  settings: StreamSettings,
  signal: AbortSignal | undefined,
): Promise<unknown> {
  const request: ApiRequest = {
    ...get(pathOf('readResult', { id }), signal === undefined ? {} : { signal }),
    headers: { [headerNames.prefer]: `wait=${resultWaitMs / 1_000}` },
    timeoutMs: resultWaitMs + 10_000,
  };
  for (let attempt = 1; ; attempt++) {
    const askedAt = performance.now();
    try {
      return await transport.json<unknown>(request);
    } catch (error) {
      if (!hasCode(error, 'RUN_NOT_ENDED')) throw error;
      if (performance.now() - askedAt > resultWaitMs / 2) continue;
      await untilEnd(transport, id, settings, signal);
      // The stream said "ended" and the result still says "not": somebody retried the run. No reason to hurry.
      if (attempt > 1) await transport.pace.sleep(pauseMs(settings.reconnect, attempt, null, transport.pace), signal);
    }
  }
}

async function untilEnd(
  transport: Transport,
  id: string,
  settings: StreamSettings,
  signal: AbortSignal | undefined,
): Promise<void> {
  const options: StreamOptions = signal === undefined ? {} : { signal };
  for await (const item of followRun(transport, id, options, settings)) {
    if (item.event === 'end') return;
  }
  signal?.throwIfAborted();
}
