/**
 * A run as a page shows it, and how what comes in changes it. Pure: a snapshot and an item go in, a snapshot comes out.
 *
 * Invariant: a snapshot is never changed, and where nothing changes the same one comes out, so that views which compare by
 * identity draw nothing anew.
 */
import type { RunEventView, RunStreamItem, RunView, RunViewState } from '../client/index.js';

/** A step, call or timer of the run, by its path. */
export interface PageStep {
  readonly path: string;
  readonly kind: string;
  /** `started`, `completed`, `retrying` ... (docs/reference/states.md). */
  readonly status: string;
}

/**
 * The line to the server: `off` = nobody looks, or it is over; `paused` = the page is in the background; `reconnecting` =
 * the server does not answer and is asked again.
 */
export type PageLink = 'off' | 'connecting' | 'live' | 'reconnecting' | 'paused';

interface Common {
  readonly link: PageLink;
  /** In the words of docs/reference/states.md; null until it is known. */
  readonly state: RunViewState | null;
  /** The last progress report of the body; undefined until there is one. */
  readonly progress: unknown;
  readonly steps: readonly PageStep[];
}

/** `phase` says what there is to show. */
export type RunSnapshot<Output = unknown> =
  /** No run is named. */
  | (Common & { readonly phase: 'none'; readonly run: null; readonly result?: undefined; readonly error?: undefined })
  /** It goes on, or has not been heard of yet. */
  | (Common & {
      readonly phase: 'pending';
      readonly run: string;
      readonly result?: undefined;
      readonly error?: undefined;
    })
  | (Common & {
      readonly phase: 'succeeded';
      readonly run: string;
      readonly result: Output;
      readonly error?: undefined;
    })
  /** It failed, refused or was cancelled: `state` says which, `error` why (RUN_FAILED, RUN_REFUSED, RUN_CANCELLED). */
  | (Common & { readonly phase: 'failed'; readonly run: string; readonly result?: undefined; readonly error: Error })
  /** It cannot be shown: no such run, no right to it, a token that has expired and cannot be renewed. */
  | (Common & {
      readonly phase: 'unavailable';
      readonly run: string;
      readonly result?: undefined;
      readonly error: Error;
    });

/** One that goes on, or has not been heard of. */
export type PendingRun = RunSnapshot & { readonly phase: 'pending' };

const nothing: Common = { link: 'off', state: null, progress: undefined, steps: [] };

/** Of no run; always the same one. */
export const noRun: RunSnapshot<never> = { ...nothing, phase: 'none', run: null };

/** Of a run that nothing is known of yet; what servers render. */
export function unheard(run: string): PendingRun {
  return { ...nothing, phase: 'pending', run };
}

/** What the server says of the whole run. */
export function withView(snapshot: PendingRun, view: RunView): PendingRun {
  return {
    ...snapshot,
    state: view.state,
    // A view says null where nothing was reported.
    progress: view.progress ?? undefined,
    steps: view.steps.map(({ path, kind, status }) => ({ path, kind, status })),
  };
}

/** What one item of the stream changes. */
export function withItem(snapshot: PendingRun, item: RunStreamItem): PendingRun {
  switch (item.event) {
    case 'state':
    case 'end':
      return item.data.state === snapshot.state ? snapshot : { ...snapshot, state: item.data.state };
    case 'event':
      return withEvent(snapshot, item.data);
    case 'gap':
      return snapshot;
  }
}

function withEvent(snapshot: PendingRun, event: RunEventView): PendingRun {
  if (event.type === 'progress.reported') return { ...snapshot, progress: event.payload };
  const step = stepOf(event);
  if (step === null) return snapshot;
  const at = snapshot.steps.findIndex(({ path }) => path === step.path);
  const known = snapshot.steps[at];
  if (known?.status === step.status && known.kind === step.kind) return snapshot;
  return { ...snapshot, steps: at === -1 ? [...snapshot.steps, step] : snapshot.steps.with(at, step) };
}

const stepKinds: ReadonlySet<string> = new Set(['step', 'call', 'timer']);

/** The step that an event speaks of: `call.completed` at a path is the call there, completed. */
function stepOf({ type, data }: RunEventView): PageStep | null {
  const [kind = '', status = ''] = type.split('.');
  const { path } = (data ?? {}) as { readonly path?: unknown };
  return stepKinds.has(kind) && typeof path === 'string' ? { path, kind, status } : null;
}
