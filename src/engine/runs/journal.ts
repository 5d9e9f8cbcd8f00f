/**
 * The journal of a run: what its body may ask for again, out of its history. A redrive forgets what had failed, so
 * that the body asks for it anew.
 */
import type { RunEvent } from '../../core/run/events.js';
import { journalEventTypes, type Journal, type JournalEntry } from '../../core/run/journal.js';

const journalTypes: ReadonlySet<string> = new Set(journalEventTypes);

/** The event as the body sees it, or null where it is of no concern to it. */
export function journalEntry(event: RunEvent, withPayload: boolean): JournalEntry | null {
  if (!journalTypes.has(event.type)) return null;
  const { seq, at, type, data, payload } = event;
  // The input of a call is of no use to the body that sent it.
  const carried = withPayload && payload !== undefined && type !== 'call.scheduled';
  return (carried ? { seq, at, type, data, payload } : { seq, at, type, data }) as JournalEntry;
}

export function journalOf(events: readonly RunEvent[]): Journal {
  let entries: JournalEntry[] = [];
  let progress = 0;
  const streams: Record<string, number> = Object.create(null) as Record<string, number>;
  for (const event of events) {
    if (event.type === 'progress.reported') progress = event.data.index + 1;
    if (event.type === 'stream.appended' && event.data.attempt === 0)
      streams[event.data.path] = event.data.offset + event.data.count;
    if (event.type === 'run.redriven') {
      const forgotten = new Set(event.data.paths);
      const goingOn = new Set(event.data.children ?? []);
      entries = entries.filter(
        (entry) =>
          !('path' in entry.data && forgotten.has(entry.data.path)) &&
          !(entry.type === 'child.ended' && goingOn.has(entry.data.path)) &&
          entry.type !== 'run.cancel_requested',
      );
      continue;
    }
    const entry = journalEntry(event, true);
    if (entry !== null) entries.push(entry);
  }
  const head = events.at(-1)?.seq ?? 0;
  return Object.keys(streams).length === 0 ? { head, progress, entries } : { head, progress, streams, entries };
}
