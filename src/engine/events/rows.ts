/** Reading the rows of a run's history back into its events. */
import type { Envelope } from '../../core/envelope.js';
import type { RunEvent } from '../../core/run/events.js';
import type { EventRow } from '../../store/contract.js';
import { parseEnvelope, payloadOf } from './envelope-writer.js';

/** An event with what only its envelope knows. */
export interface StoredRunEvent {
  readonly event: RunEvent;
  readonly envelope: Envelope;
}

export function readRunEvent(row: EventRow): StoredRunEvent {
  const envelope = parseEnvelope(row.envelope);
  const payload = payloadOf(envelope, row.payload);
  // The log holds only what this engine wrote through NewRunEvent; `doctor` verifies it against the commitments.
  const event = {
    type: row.type,
    data: envelope.data,
    seq: row.seq,
    at: row.at,
    ...(payload === null ? {} : { payload }),
  } as RunEvent;
  return { event, envelope };
}
