/**
 * What the demo knows of a run from its event stream alone: a fold over the same events that everybody else can read.
 */
import type { RunEventView, RunViewState } from './api-types.ts';

/** A step or call that has finished. */
export interface Finished {
  readonly path: string;
  readonly attempt: number;
}

/** The state of one run, as its stream tells it. */
export interface RunTrack {
  readonly id: string;
  readonly state: RunViewState;
  readonly ended: boolean;
  readonly events: number;
  readonly finished: ReadonlyMap<string, Finished>;
  /** The last progress report. */
  readonly progress: Readonly<Record<string, unknown>>;
  /** Attempts that were lost or failed and are made again. */
  readonly retries: number;
  /** Activations after the first one: times that the body began again from its record. */
  readonly reactivations: number;
}

/** A run of which nothing was heard yet. */
export function newTrack(id: string): RunTrack {
  return {
    id,
    state: 'queued',
    ended: false,
    events: 0,
    finished: new Map(),
    progress: {},
    retries: 0,
    reactivations: 0,
  };
}

/** The track after one more event. */
export function track(before: RunTrack, event: RunEventView): RunTrack {
  const after = { ...before, events: Math.max(before.events, event.seq) };
  const data = recordOf(event.data);
  switch (event.type) {
    case 'step.completed':
    case 'call.completed': {
      const finished = { path: String(data['path']), attempt: Number(data['attempt'] ?? 1) };
      return { ...after, finished: new Map([...before.finished, [finished.path, finished]]) };
    }
    case 'progress.reported':
      return { ...after, progress: recordOf(event.payload) };
    case 'step.retrying':
    case 'call.retrying':
      return { ...after, retries: before.retries + 1 };
    case 'activation.retrying':
      return { ...after, reactivations: before.reactivations + 1 };
    default:
      return after;
  }
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}
