/** The latest events of a run, for pages that show what has happened and not only where it stands. */
import type { RunEventView } from '../client/index.js';

export interface EventLog {
  /** In order, the oldest first; at most as many as are kept. */
  readonly events: readonly RunEventView[];
  /** Events that are not in the list any more, or that the server has deleted. */
  readonly dropped: number;
}

export const noEvents: EventLog = { events: [], dropped: 0 };

/** With more events at its end, and without the oldest where they are too many. */
export function withEvents(log: EventLog, more: readonly RunEventView[], max: number): EventLog {
  const all = [...log.events, ...more];
  const over = Math.max(0, all.length - max);
  return { events: over === 0 ? all : all.slice(over), dropped: log.dropped + over };
}
