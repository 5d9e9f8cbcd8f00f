/** An event of a topic as it is stored, with what those who consume it ask of it: its key, its attributes, its data. */
import { jsonOf } from '../../core/codec.js';
import type { Envelope } from '../../core/envelope.js';
import { limits } from '../../core/limits.js';
import { isBlobPayload, type Payload } from '../../core/payload.js';
import type { DeadEventRecord } from '../../core/topics/dead-event.js';
import { asksForData, passes, type FilterSubject } from '../../core/topics/filter.js';
import type { Filter } from '../../core/topics/subscription.js';
import type { EventRow, Store } from '../../store/contract.js';
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

/** Whether the event passes a filter. Data that is kept as a blob is fetched where the filter is about it. */
export async function isWantedBy(filter: Filter | null, event: StoredEvent, store: Store): Promise<boolean> {
  if (filter === null) return true;
  const { envelope, key, row } = event;
  const data = asksForData(filter) ? await plainDataOf(event, store) : undefined;
  const subject: FilterSubject = {
    attributes: { ...envelope.attributes, id: envelope.id, type: row.type, partitionkey: key },
    data: () => data,
  };
  return passes(filter, subject);
}

/** The data as plain JSON; undefined = there is none, or it is too large to look into. */
export async function plainDataOf({ row, payload }: StoredEvent, store: Store): Promise<unknown> {
  if (payload === null) return undefined;
  const inline = isBlobPayload(payload) ? await fetched(row.tenant, payload, store) : payload;
  return inline === null ? undefined : jsonOf(inline);
}

/** A payload with its text, where that is not too large to be shown. */
export async function fetched(
  tenant: string,
  { codec, blob, size }: Extract<Payload, { readonly blob: string }>,
  store: Store,
): Promise<Extract<Payload, { readonly text: string }> | null> {
  if (size > limits.payloadBytesMax) return null;
  const bytes = await store.readBlob(tenant, blob);
  return bytes === null ? null : { codec, text: new TextDecoder().decode(bytes) };
}

/** What a dead event says of it. */
export function deadEventOf(
  { envelope, key, payload, row }: StoredEvent,
  topic: string,
  partition: number,
): Pick<DeadEventRecord, 'position' | 'event' | 'data'> {
  const { source, ...attributes } = envelope.attributes ?? {};
  return {
    position: { topic, partition, offset: String(row.seq) },
    event: { id: envelope.id, type: row.type, source: source === undefined ? null : String(source), key, attributes },
    data: payload,
  };
}
