/**
 * Follows a run over server-sent events.
 * Invariant: events come in `seq` order, none twice; what the server no longer has shows as a `gap`, never as silence.
 */
import type { RunViewState, StreamEvent } from '../protocol/http.js';
import { pathOf } from '../protocol/route-paths.js';
import { followStream, type StreamSettings } from './follow-stream.js';
import type { Transport } from './transport.js';

export type { StreamSettings } from './follow-stream.js';

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

/** Follows a run until it has ended, the signal is aborted or the caller leaves the loop. */
export function followRun(
  transport: Transport,
  run: string,
  { cursor, signal }: StreamOptions,
  settings: StreamSettings,
): AsyncGenerator<RunStreamItem, void, undefined> {
  const seen = { seq: 0 };
  return followStream<RunStreamItem>(
    transport,
    {
      path: pathOf('streamRun', { id: run }),
      cursor: cursor ?? null,
      signal,
      read: (event, data, at) => itemOf(event, data, at, seen),
      isLast: (item) => item.event === 'end',
    },
    settings,
  );
}

/** Turns a wire event into an item; null for one that was handed out before or that this version does not know. */
function itemOf(event: string, data: unknown, cursor: string | null, seen: { seq: number }): RunStreamItem | null {
  switch (event) {
    case 'event': {
      const view = data as (StreamEvent & { readonly event: 'event' })['data'];
      if (view.seq <= seen.seq) return null;
      seen.seq = view.seq;
      return { event, data: view, cursor };
    }
    case 'gap': {
      const gap = data as { readonly from: number; readonly to: number };
      seen.seq = Math.max(seen.seq, gap.to);
      return { event, data: gap, cursor };
    }
    case 'state':
    case 'end':
      return { event, data: data as { readonly state: RunViewState }, cursor };
    default:
      return null;
  }
}
