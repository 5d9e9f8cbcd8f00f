/**
 * The journal: what a run has recorded, in the form in which its body asks for it. Shared by the engine, which makes
 * it, the protocol, which carries it, and the workflow runtime, which replays it. Entries are in `seq` order and each
 * is handed over one time.
 */
import type { Payload } from '../payload.js';
import type { RunEvent, RunEventData } from './events.js';

/** What a run has recorded, as its body needs it. Entries are in `seq` order. */
export interface Journal {
  /** `seq` of the last event of the run, whether or not it concerns the body. */
  readonly head: number;
  /** Number of progress reports so far. */
  readonly progress: number;
  /** Chunks that the body itself has written so far, by the path of the stream. Absent = none. */
  readonly streams?: Readonly<Record<string, number>>;
  /** The version of each prompt that the run has asked by, from the first time on. Absent = none. */
  readonly prompts?: Readonly<Record<string, string>>;
  readonly entries: readonly JournalEntry[];
}

/** An event that concerns the body: what a path came to, or how far it has come. */
export type JournalEntry = {
  [T in JournalEventType]: {
    readonly seq: number;
    readonly at: number;
    readonly type: T;
    readonly data: RunEventData[T];
    /** Absent where the receiver sent it itself. */
    readonly payload?: Payload;
  };
}[JournalEventType];

/** The types of events that a body is told of. */
export const journalEventTypes = [
  'step.started',
  'step.completed',
  'step.retrying',
  'step.due',
  'step.failed',
  'call.scheduled',
  'call.retrying',
  'call.completed',
  'call.failed',
  'inference.requested',
  'inference.admitted',
  'inference.begun',
  'inference.identified',
  'inference.ambiguous',
  'inference.retrying',
  'inference.due',
  'inference.completed',
  'inference.failed',
  'tool.judged',
  'timer.set',
  'timer.fired',
  'event.emitted',
  'child.started',
  'context.put',
  'context.used',
  'context.inherited',
  'child.ended',
  'race.decided',
  'signal.received',
  'wait.opened',
  'wait.satisfied',
  'wait.expired',
  'wait.cancelled',
  'message.sent',
  'message.buried',
  'run.cancel_requested',
  'input.edited',
] as const;
export type JournalEventType = (typeof journalEventTypes)[number];

/** The answer to one submission of commands. */
export type SubmissionResult =
  | { readonly i: number; readonly ok: true; readonly head: number }
  /** `stale`: parking came too late, go on. Anything else ends the work on the assignment. */
  | { readonly i: number; readonly ok: false; readonly code: string; readonly message: string };

/** Why work on an assignment must stop. */
export type AbortReason = 'lease_lost' | 'cancelled' | 'deadline' | 'ended';

/** The intent of an attempt is recorded: what it is for may be done now. */
export type IntentEntry = Extract<
  JournalEntry,
  { readonly type: 'step.started' | 'inference.requested' | 'inference.begun' }
>;

/** True for an intent. A request that has no grant yet is none. */
export function isIntent(entry: JournalEntry): entry is IntentEntry {
  if (entry.type === 'inference.requested') return entry.data.grant !== null;
  return entry.type === 'step.started' || entry.type === 'inference.begun';
}

const journalTypes: ReadonlySet<string> = new Set(journalEventTypes);

/** The event as the body sees it, or null where it is of no concern to it. */
export function journalEntry(event: RunEvent, withPayload: boolean): JournalEntry | null {
  if (!journalTypes.has(event.type)) return null;
  const { seq, at, type, data, payload } = event;
  // The input of a call and the request of an inference are of no use to the body that sent them.
  const isSent = type === 'call.scheduled' || type === 'inference.requested' || type === 'tool.judged';
  const carried = (withPayload || isFromCache(event)) && payload !== undefined && !isSent && !isInputOfBody(event);
  return (carried ? { seq, at, type, data, payload } : { seq, at, type, data }) as JournalEntry;
}

/** The body has asked, and has not got the answer yet. */
function isFromCache(event: RunEvent): boolean {
  return event.type === 'inference.completed' && event.data.cached !== undefined;
}

/** It comes with the assignment. */
function isInputOfBody({ type, data }: RunEvent): boolean {
  return type === 'input.edited' && data.path === null;
}

/** What its body may ask for again, out of the history of a run. A redrive forgets what had failed, so that it is asked for anew. */
export function journalOf(events: readonly RunEvent[]): Journal {
  let entries: JournalEntry[] = [];
  let progress = 0;
  const streams: Record<string, number> = Object.create(null) as Record<string, number>;
  const prompts: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const event of events) {
    // Also of what is forgotten afterwards: a run stays with the version that it has begun with.
    if (event.type === 'inference.requested' && event.data.prompt !== undefined)
      prompts[event.data.prompt.name] ??= event.data.prompt.version;
    if (event.type === 'progress.reported') progress = event.data.index + 1;
    if (event.type === 'stream.appended' && event.data.attempt === 0)
      streams[event.data.path] = event.data.offset + event.data.count;
    if (event.type === 'run.redriven') {
      const forgotten = new Set(event.data.paths);
      const goingOn = new Set(event.data.children ?? []);
      entries = entries.filter(
        (entry) =>
          !(entry.type !== 'input.edited' && 'path' in entry.data && forgotten.has(entry.data.path)) &&
          !(entry.type === 'child.ended' && goingOn.has(entry.data.path)) &&
          entry.type !== 'run.cancel_requested',
      );
      continue;
    }
    const entry = journalEntry(event, true);
    if (entry !== null) entries.push(entry);
  }
  const head = events.at(-1)?.seq ?? 0;
  return {
    head,
    progress,
    ...(Object.keys(streams).length === 0 ? {} : { streams }),
    ...(Object.keys(prompts).length === 0 ? {} : { prompts }),
    entries,
  };
}
