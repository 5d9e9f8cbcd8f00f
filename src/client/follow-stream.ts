/**
 * Reads a stream of server-sent events across lost connections. Each connection goes on after the last event that was
 * handed out (`Last-Event-ID`).
 * Invariant: an item is handed out once; what the server says between two connections is never skipped.
 */
import { clientError } from '../core/client-errors.js';
import { headerNames } from '../protocol/route-paths.js';
import { type Backoff, pauseMs } from './pace.js';
import { RemoteError } from './remote-error.js';
import { createSseParser } from './sse.js';
import type { Transport } from './transport.js';

/** How a stream behaves when it is cut. */
export interface StreamSettings {
  /** `attempts` counts connections in a row that brought nothing. */
  readonly reconnect: Backoff;
  /** A connection that is silent for longer than this is taken for dead. Servers send a comment every 15 s. */
  readonly idleMs: number;
}

/** What is followed. */
export interface Followed<Item> {
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  /** Begin after this cursor. */
  readonly cursor: string | null;
  readonly signal: AbortSignal | undefined;
  /** Turns a message into an item; null = it was handed out before, or is of a kind that this version does not know. */
  readonly read: (event: string, data: unknown, cursor: string | null) => Item | null;
  /** Whether nothing comes after the item. */
  readonly isLast: (item: Item) => boolean;
}

/** Follows until the stream has ended, the signal is aborted or the caller leaves the loop. */
export async function* followStream<Item>(
  transport: Transport,
  followed: Followed<Item>,
  settings: StreamSettings,
): AsyncGenerator<Item, void, undefined> {
  const { signal } = followed;
  const place: Place = { cursor: followed.cursor, retryMs: null };
  for (let failures = 0; ; ) {
    let connection: Connection<Item> | null = null;
    try {
      connection = await connect(transport, followed, place, settings);
      if (connection === null) return;
      for await (const item of connection.items()) {
        failures = 0;
        yield item;
        if (followed.isLast(item)) return;
      }
    } catch (error) {
      signal?.throwIfAborted();
      if (!isPassing(error) || failures + 1 >= settings.reconnect.attempts) throw error;
    } finally {
      connection?.close();
    }
    failures++;
    if (failures >= settings.reconnect.attempts) {
      throw clientError('SERVER_UNREACHABLE', { url: transport.url, reason: 'the stream is cut again and again' });
    }
    await transport.pace.sleep(pauseMs(settings.reconnect, failures, place.retryMs, transport.pace), signal);
  }
}

/** How far the reader has come. Survives connections. */
interface Place {
  cursor: string | null;
  retryMs: number | null;
}

interface Connection<Item> {
  items(): AsyncGenerator<Item, void, undefined>;
  close(): void;
}

/** Opens one connection; null = there is nothing after the cursor, and never will be (204). */
async function connect<Item>(
  transport: Transport,
  followed: Followed<Item>,
  place: Place,
  settings: StreamSettings,
): Promise<Connection<Item> | null> {
  const { path, query, signal } = followed;
  const headers: Record<string, string> = { accept: 'text/event-stream' };
  if (place.cursor !== null) headers[headerNames.lastEventId] = place.cursor;
  const response = await transport.exchange(
    { method: 'GET', path, headers, repeatable: true, signal, ...(query === undefined ? {} : { query }) },
    (r) => r,
  );
  if (response.status === 204 || response.body === null) return null;
  return readConnection(response.body, followed, place, transport, settings);
}

function readConnection<Item>(
  body: ReadableStream<Uint8Array>,
  { signal, read }: Followed<Item>,
  place: Place,
  transport: Transport,
  settings: StreamSettings,
): Connection<Item> {
  const reader = body.getReader();
  // Cancelling makes a pending `read` resolve as done, so no promise is left hanging whoever closes first.
  const close = (): void => void reader.cancel().catch(() => undefined);
  signal?.addEventListener('abort', close, { once: true });

  async function* items(): AsyncGenerator<Item, void, undefined> {
    const decoder = new TextDecoder();
    const ready: Item[] = [];
    const parse = createSseParser({
      onEvent: (event) => {
        if (event.id !== null) place.cursor = event.id;
        const item = read(event.event, JSON.parse(event.data), place.cursor);
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

/** True for what another connection may cure: no answer, a cut stream, a server that is starting or busy. */
function isPassing(error: unknown): boolean {
  if (error instanceof RemoteError) return error.status === 429 || error.status >= 500;
  return !(error instanceof SyntaxError || error instanceof RangeError);
}
