/**
 * Follows a run over server-sent events, across lost connections. Each connection goes on after the last event that
 * was handed out (`Last-Event-ID`).
 * Invariant: events come in `seq` order, none twice; what the server no longer has shows as a `gap`, never as silence.
 */
import { clientError } from '../core/client-errors.js';
import type { RunViewState, StreamEvent } from '../protocol/http.js';
import { headerNames, pathOf } from '../protocol/route-paths.js';
import { type Backoff, pauseMs } from './pace.js';
import { RemoteError } from './remote-error.js';
import { createSseParser } from './sse.js';
import type { Transport } from './transport.js';

/** One item of a stream. Keep `cursor` to go on later, e.g. after the page was loaded again. */
export type RunStreamItem = StreamEvent & {
  /** Opaque; `null` until the server has given one. */
  readonly cursor: string | null;
};

/** Options of a stream. */
export interface StreamOptions {
  /** Begin after this cursor instead of at the start of the run. Fails with CURSOR_INVALID if it belongs to another run. */
  readonly cursor?: string;
  readonly signal?: AbortSignal;
}

/** How a stream behaves when it is cut. */
export interface StreamSettings {
  /** `attempts` counts connections in a row that brought nothing. */
  readonly reconnect: Backoff;
  /** A connection that is silent for longer than this is taken for dead. Servers send a comment every 15 s. */
  readonly idleMs: number;
}

/** Follows a run until it has ended, the signal is aborted or the caller leaves the loop. */
export async function* followRun(
  transport: Transport,
  run: string,
  options: StreamOptions,
  settings: StreamSettings,
): AsyncGenerator<RunStreamItem, void, undefined> {
  const place: Place = { cursor: options.cursor ?? null, seq: 0, retryMs: null };
  for (let failures = 0; ; ) {
    let connection: Connection | null = null;
    try {
      connection = await connect(transport, run, place, options.signal, settings);
      if (connection === null) return;
      for await (const item of connection.items()) {
        failures = 0;
        yield item;
        if (item.event === 'end') return;
      }
    } catch (error) {
      options.signal?.throwIfAborted();
      if (!isPassing(error) || failures + 1 >= settings.reconnect.attempts) throw error;
    } finally {
      connection?.close();
    }
    failures++;
    if (failures >= settings.reconnect.attempts) {
      throw clientError('SERVER_UNREACHABLE', { url: transport.url, reason: 'the stream is cut again and again' });
    }
    await transport.pace.sleep(pauseMs(settings.reconnect, failures, place.retryMs, transport.pace), options.signal);
  }
}

/** How far the reader has come. Survives connections. */
interface Place {
  cursor: string | null;
  seq: number;
  retryMs: number | null;
}

interface Connection {
  items(): AsyncGenerator<RunStreamItem, void, undefined>;
  close(): void;
}

/** Opens one connection; null = the run has ended and there is nothing after the cursor (204). */
async function connect(
  transport: Transport,
  run: string,
  place: Place,
  signal: AbortSignal | undefined,
  settings: StreamSettings,
): Promise<Connection | null> {
  const headers: Record<string, string> = { accept: 'text/event-stream' };
  if (place.cursor !== null) headers[headerNames.lastEventId] = place.cursor;
  const path = pathOf('streamRun', { id: run });
  const response = await transport.exchange({ method: 'GET', path, headers, repeatable: true, signal }, (r) => r);
  if (response.status === 204 || response.body === null) return null;
  return readConnection(response.body, place, signal, transport, settings);
}

function readConnection(
  body: ReadableStream<Uint8Array>,
  place: Place,
  signal: AbortSignal | undefined,
  transport: Transport,
  settings: StreamSettings,
): Connection {
  const reader = body.getReader();
  // Cancelling makes a pending `read` resolve as done, so no promise is left hanging whoever closes first.
  const close = (): void => void reader.cancel().catch(() => undefined);
  signal?.addEventListener('abort', close, { once: true });

  async function* items(): AsyncGenerator<RunStreamItem, void, undefined> {
    const decoder = new TextDecoder();
    const ready: RunStreamItem[] = [];
    const parse = createSseParser({
      onEvent: (event) => {
        if (event.id !== null) place.cursor = event.id;
        const item = itemOf(event.event, event.data, place);
        if (item !== null) ready.push(item);
      },
      onRetry: (ms) => {
        place.retryMs = ms;
      },
    });
    for (;;) {
      const cancelTimer = transport.pace.after(settings.idleMs, close);
      const piece = await reader.read().finally(cancelTimer);
      signal?.throwIfAborted();
      if (piece.done) return;
      parse(decoder.decode(piece.value, { stream: true }));
      for (const item of ready.splice(0)) yield item;
    }
  }

  return {
    items,
    close() {
      signal?.removeEventListener('abort', close);
      close();
    },
  };
}

/** Turns a wire event into an item; null for one that was handed out before or that this version does not know. */
function itemOf(event: string, text: string, place: Place): RunStreamItem | null {
  const data: unknown = JSON.parse(text);
  const { cursor } = place;
  switch (event) {
    case 'event': {
      const view = data as (StreamEvent & { readonly event: 'event' })['data'];
      if (view.seq <= place.seq) return null;
      place.seq = view.seq;
      return { event, data: view, cursor };
    }
    case 'gap': {
      const gap = data as { readonly from: number; readonly to: number };
      place.seq = Math.max(place.seq, gap.to);
      return { event, data: gap, cursor };
    }
    case 'state':
    case 'end':
      return { event, data: data as { readonly state: RunViewState }, cursor };
    default:
      return null;
  }
}

/** True for what another connection may cure: no answer, a cut stream, a server that is starting or busy. */
function isPassing(error: unknown): boolean {
  if (error instanceof RemoteError) return error.status === 429 || error.status >= 500;
  return !(error instanceof SyntaxError || error instanceof RangeError);
}
