/**
 * What the user of a page is shown of a run: that it goes on, how far it is and what came of it, without the inputs and
 * results of its steps, which are the installation's business (prompts, documents, other people's data).
 *
 * Invariant: values and failures pass only where the result of the run would show them too, and as progress and streams,
 * which are what bodies and steps write for users to see.
 */
import type { Failure } from '../core/failure.js';
import { nothingSpent } from '../core/run/inference.js';
import type { RunEventData } from '../core/run/events.js';
import type { RunEventView, RunView } from '../protocol/http.js';

/** Fields of `data` that say where a run is and nothing of what it works on. */
const shownFields: ReadonlySet<string> = new Set([
  'path',
  'attempt',
  'offset',
  'count',
  'index',
  'retryAt',
  'fireAt',
  'winner',
  'workflow',
  'version',
  'reason',
  'code',
]);

/** Events whose payload is meant for users, or stands in the result. */
const shownPayloads: ReadonlySet<string> = new Set([
  'progress.reported',
  'stream.appended',
  'run.succeeded',
  'run.refused',
]);

/** The same object for the same event, so that a frame made of it serves all readers. */
const known = new WeakMap<RunEventView, RunEventView>();

/** An event without what is not for users. */
export function pageEventView(event: RunEventView): RunEventView {
  const found = known.get(event);
  if (found !== undefined) return found;
  const { seq, id, type, at } = event;
  const made: RunEventView = {
    seq,
    id,
    type,
    at,
    actor: '',
    data: shownData(event),
    ...(shownPayloads.has(type) && 'payload' in event ? { payload: event.payload } : {}),
  };
  known.set(event, made);
  return made;
}

function shownData({ type, data }: RunEventView): unknown {
  if (typeof data !== 'object' || data === null) return {};
  const shown = Object.fromEntries(Object.entries(data).filter(([name]) => shownFields.has(name)));
  return type === 'run.failed'
    ? { ...shown, failure: shownFailure((data as RunEventData['run.failed']).failure) }
    : shown;
}

/** As the answer for the result has it: no stack. */
function shownFailure({ class: failureClass, code, message }: Failure): unknown {
  return { class: failureClass, code, message };
}

/** A view without labels, without what it has cost, and without the way to the dead letter. */
export function pageRunView(view: RunView): RunView {
  return { ...view, labels: {}, spend: nothingSpent, deadLetter: null };
}
