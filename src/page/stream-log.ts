/** One stream of a run, out of what has happened in it: what a step or call has written for readers while it works. */
import type { EventLog } from './event-log.js';

/** What a stream of a run has brought so far. */
export interface StreamLog<Chunk = unknown> {
  /** Chunks of the present attempt, in order. */
  readonly chunks: readonly Chunk[];
  /** The attempt that writes it, from 1; 0 = nothing was written yet, or by the body itself. */
  readonly attempt: number;
  /** Nothing more will come: what writes it, or the run, has ended. */
  readonly ended: boolean;
}

/** The stream before anything has come. */
export const noStream: StreamLog<never> = { chunks: [], attempt: 0, ended: false };

const ends: ReadonlySet<string> = new Set(['step.completed', 'step.failed', 'call.completed', 'call.failed']);
/** What goes on beneath an inference has streams of its own, and comes after it. */
const inferenceEnds: ReadonlySet<string> = new Set(['inference.completed', 'inference.failed']);
const runEnds: ReadonlySet<string> = new Set([
  'run.succeeded',
  'run.failed',
  'run.cancelled',
  'run.refused',
  'run.continued',
]);

/** The stream at `path`; a new attempt takes the place of what one before it has written. */
export function streamOf({ events }: EventLog, path: string): StreamLog {
  const chunks: unknown[] = [];
  let attempt = 0;
  let ended = false;
  for (const { type, data, payload } of events) {
    const of = data as { readonly path?: string; readonly attempt?: number };
    if (type === 'stream.appended' && of.path === path) {
      if (of.attempt !== attempt) chunks.length = 0;
      attempt = of.attempt ?? 0;
      if (Array.isArray(payload)) chunks.push(...(payload as readonly unknown[]));
    } else if (ends.has(type)) ended ||= path === of.path || path.startsWith(`${of.path ?? ''}/`);
    else if (inferenceEnds.has(type)) ended ||= path === of.path;
    else if (runEnds.has(type)) ended = true;
    else if (type === 'run.redriven') ended = false;
  }
  return chunks.length === 0 && attempt === 0 && !ended ? noStream : { chunks, attempt, ended };
}
