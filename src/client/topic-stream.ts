/**
 * Follows a topic over server-sent events.
 * Invariant: events of a partition come in the order of offsets, none twice; what is gone by retention shows as a `gap`.
 */
import type { TopicEventView, TopicStreamEvent } from '../protocol/http.js';
import { pathOf } from '../protocol/route-paths.js';
import { followStream, type StreamSettings } from './follow-stream.js';
import type { Transport } from './transport.js';

/** One item of the stream of a topic. Keep `cursor` to go on later. */
export type TopicStreamItem = Extract<TopicStreamEvent, { readonly event: 'event' | 'gap' }> & {
  /** Opaque. */
  readonly cursor: string | null;
};

/** Options of the stream of a topic. */
export interface TopicFollowOptions {
  /** Begin after this cursor. CURSOR_INVALID if it belongs to another topic, or to other partitions. */
  readonly cursor?: string;
  /** Where to begin without a cursor: an instant (ISO 8601 or a Date), or one end. Default `newest`. */
  readonly from?: 'newest' | 'oldest' | Date | { readonly at: string };
  /** One partition only. Default: all. */
  readonly partition?: number;
  /** Only events of this key. */
  readonly key?: string;
  readonly signal?: AbortSignal;
}

/** Follows a topic until the signal is aborted or the caller leaves the loop. */
export function followTopic(
  transport: Transport,
  topic: string,
  { cursor, from, partition, key, signal }: TopicFollowOptions,
  settings: StreamSettings,
): AsyncGenerator<TopicStreamItem, void, undefined> {
  const seen = new Map<number, number>();
  return followStream<TopicStreamItem>(
    transport,
    {
      path: pathOf('streamTopic', { topic }),
      query: { ...beginningOf(from), partition, key },
      cursor: cursor ?? null,
      signal,
      read: (event, data, at) => itemOf(event, data, at, seen),
      isLast: () => false,
    },
    settings,
  );
}

function beginningOf(from: TopicFollowOptions['from']): Readonly<Record<string, string>> {
  if (from === undefined) return {};
  if (typeof from === 'string') return { from };
  return { at: from instanceof Date ? from.toISOString() : from.at };
}

/** `seen`: the highest offset of each partition that was handed out. */
function itemOf(
  event: string,
  data: unknown,
  cursor: string | null,
  seen: Map<number, number>,
): TopicStreamItem | null {
  if (event === 'event') {
    const view = data as TopicEventView;
    if (view.offset <= (seen.get(view.partition) ?? -1)) return null;
    seen.set(view.partition, view.offset);
    return { event, data: view, cursor };
  }
  if (event !== 'gap') return null;
  const gap = data as { readonly partition: number; readonly from: number; readonly to: number };
  seen.set(gap.partition, Math.max(gap.to, seen.get(gap.partition) ?? -1));
  return { event, data: gap, cursor };
}
