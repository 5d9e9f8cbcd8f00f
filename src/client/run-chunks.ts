/**
 * The chunks of one stream of a run, out of the events of the run, so that they come across lost connections as these do:
 * in order, each one time, from the first on for whoever comes late.
 */
import type { RunStreamItem, StreamOptions } from './run-stream.js';

/** Options of a reader of one stream. */
export interface ChunkOptions extends StreamOptions {
  /** With `cursor`: the offset of the last chunk that was seen; it and those before it are left out. */
  readonly after?: number;
}

/** What a reader of a stream is told. Keep `cursor` and `offset` to go on later (`ChunkOptions`). */
export type StreamItem =
  /** `offset` counts the chunks of the stream over all attempts, from 0. */
  | { readonly event: 'chunk'; readonly value: unknown; readonly offset: number; readonly cursor: string | null }
  /** The step was tried again: what came before is no longer meant, the stream begins anew. */
  | { readonly event: 'restart'; readonly attempt: number; readonly cursor: string | null }
  /** Nothing more will come. `ok`: what wrote the stream has succeeded. */
  | { readonly event: 'end'; readonly ok: boolean; readonly cursor: string | null };

/** Ends with the step or call that writes the stream, or with the run. */
export async function* chunksOf(
  items: AsyncIterable<RunStreamItem>,
  path: string,
  after = -1,
): AsyncGenerator<StreamItem, void, undefined> {
  let attempt: number | null = null;
  let before: string | null = null;
  for await (const item of items) {
    const { cursor } = item;
    if (item.event === 'end') {
      yield { event: 'end', ok: item.data.state === 'succeeded', cursor };
      return;
    }
    if (item.event !== 'event') continue;
    const { type, data, payload } = item.data;
    const of = data as { readonly path?: string; readonly attempt?: number; readonly offset?: number };
    if (type === 'stream.appended' && of.path === path) {
      if (attempt !== null && of.attempt !== attempt) yield { event: 'restart', attempt: of.attempt ?? 0, cursor };
      attempt = of.attempt ?? 0;
      const chunks = Array.isArray(payload) ? payload : [];
      for (const [i, value] of chunks.entries()) {
        const offset = (of.offset ?? 0) + i;
        // Whoever goes on from the middle of a batch is given it again, and leaves out what it has seen.
        if (offset > after) yield { event: 'chunk', value, offset, cursor: i === chunks.length - 1 ? cursor : before };
      }
    } else if (endsStream(type, of.path ?? '', path)) {
      yield { event: 'end', ok: type.endsWith('.completed'), cursor };
      return;
    }
    before = cursor;
  }
}

/** Whether an outcome of what is at `of` ends the stream at `path`. */
function endsStream(type: string, of: string, path: string): boolean {
  switch (type) {
    case 'step.completed':
    case 'step.failed':
    case 'call.completed':
    case 'call.failed':
      return path === of || path.startsWith(`${of}/`);
    // What goes on beneath an inference has streams of its own, and comes after it.
    case 'inference.completed':
    case 'inference.failed':
      return path === of;
    default:
      return false;
  }
}
