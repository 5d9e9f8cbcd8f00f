/** An event of a topic as it is stored, read once for all who look at it. */
import type { Envelope } from '../../core/envelope.js';
import type { Payload } from '../../core/payload.js';
import { schemaUri } from '../../core/schema/schema-id.js';
import type { DeadEventRecord } from '../../core/topics/dead-event.js';
import type { EventRow } from '../../store/contract.js';
import { parseEnvelope, payloadOf } from '../events/envelope-writer.js';

export interface StoredEvent {
  readonly row: EventRow;
  readonly envelope: Envelope;
  readonly payload: Payload | null;
  /** What it is kept in order by. */
  readonly key: string;
}

export function storedEvent(row: EventRow): StoredEvent {
  const envelope = parseEnvelope(row.envelope);
  const { key } = envelope.data as { readonly key?: string };
  return { row, envelope, payload: payloadOf(envelope, row.payload), key: key ?? envelope.id };
}

/** What a dead event says of it. */
export function deadEventOf(
  { envelope, key, payload, row }: StoredEvent,
  topic: string,
  partition: number,
): Pick<DeadEventRecord, 'position' | 'event' | 'data'> {
  const { source, ...others } = envelope.attributes ?? {};
  // What it was written under is needed again where it is sent back.
  const attributes = envelope.schema === null ? others : { dataschema: schemaUri(envelope.schema), ...others };
  return {
    position: { topic, partition, offset: String(row.seq) },
    event: { id: envelope.id, type: row.type, source: source === undefined ? null : String(source), key, attributes },
    data: payload,
  };
}
