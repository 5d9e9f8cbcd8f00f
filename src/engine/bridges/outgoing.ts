/** From an event of a topic of ours to the message that a bus is given. */
import { decodeValue, jsonOf } from '../../core/codec.js';
import { SpineError } from '../../core/errors.js';
import { isoOf } from '../../core/instant.js';
import { isBlobPayload, type Payload } from '../../core/payload.js';
import type { OutboundBridge } from '../../core/topics/bridge.js';
import type { DeadEventRecord } from '../../core/topics/dead-event.js';
import type { BusMessage } from '../../bus/port.js';
import type { CloudEvent, CloudEventData } from '../../protocol/cloudevents.js';
import { encodeEventMessage, partitionKeyExtension } from '../../protocol/cloudevents-messages.js';
import type { EventRow, Store } from '../../store/contract.js';
import { parseEnvelope, payloadOf } from '../events/envelope-writer.js';

/**
 * The message of an event: its CloudEvent, with the key of its partition as `partitionkey`. Data that is larger than the bus
 * takes is referred to by `dataref`. Throws CLOUDEVENT_INVALID, PAYLOAD_UNREADABLE.
 */
export async function messageOf(
  store: Pick<Store, 'readBlob'>,
  bridge: OutboundBridge,
  row: EventRow,
  bytesMax: number,
): Promise<BusMessage> {
  const event = await eventOf(store, row, bytesMax);
  return { id: event.id, topic: bridge.outside, ...encodeEventMessage(event, bridge.mode) };
}

async function eventOf(store: Pick<Store, 'readBlob'>, row: EventRow, bytesMax: number): Promise<CloudEvent> {
  const envelope = parseEnvelope(row.envelope);
  const { source, subject, time, dataschema, datacontenttype, ...extensions } = envelope.attributes ?? {};
  const { key } = envelope.data as { readonly key: string };
  const payload = payloadOf(envelope, row.payload);
  const found = payload === null ? null : await inlineOf(store, row.tenant, payload, bytesMax);
  const optional = { subject, dataschema, datacontenttype };
  return {
    id: envelope.id,
    source: String(source ?? 'eventspine'),
    type: row.type,
    time: String(time ?? isoOf(row.at)),
    ...textsOf(optional),
    extensions: {
      [partitionKeyExtension]: key,
      ...(envelope.traceparent === null ? {} : { traceparent: envelope.traceparent }),
      ...(envelope.correlation === null ? {} : { correlationid: envelope.correlation }),
      ...extensions,
      ...(payload !== null && found === null && isBlobPayload(payload)
        ? { dataref: `/v1/blobs/${row.tenant}/${payload.blob}` }
        : {}),
    },
    data: found === null ? null : dataOf(found),
  };
}

/** Those that there are. */
function textsOf<T extends string>(attributes: Readonly<Record<T, unknown>>): Partial<Record<T, string>> {
  const texts: Partial<Record<T, string>> = {};
  for (const name of Object.keys(attributes) as T[])
    if (attributes[name] !== undefined) texts[name] = String(attributes[name]);
  return texts;
}

/** The data as text; null = it is larger than the bus takes. */
async function inlineOf(
  store: Pick<Store, 'readBlob'>,
  tenant: string,
  payload: Payload,
  bytesMax: number,
): Promise<{ readonly codec: 'json/1'; readonly text: string } | null> {
  if (!isBlobPayload(payload)) return payload;
  if (payload.size > bytesMax - headersBytes) return null;
  const bytes = await store.readBlob(tenant, payload.blob);
  if (bytes === null) throw new SpineError('PAYLOAD_UNREADABLE', { reason: 'its blob is not there any more' });
  return { codec: payload.codec, text: new TextDecoder().decode(bytes) };
}

function dataOf(payload: { readonly codec: 'json/1'; readonly text: string }): CloudEventData {
  const value = decodeValue(payload);
  return value instanceof Uint8Array ? { kind: 'bytes', bytes: value } : { kind: 'json', value: jsonOf(payload) };
}

/** What is recorded of an event that the bus will never take. */
export function deathOfEvent(bridge: OutboundBridge, partition: number, row: EventRow, error: Error): DeadEventRecord {
  const envelope = parseEnvelope(row.envelope);
  const { source, ...attributes } = envelope.attributes ?? {};
  const { key } = envelope.data as { readonly key: string };
  return {
    source: `bridge:${bridge.name}`,
    position: { topic: bridge.topic, partition, offset: String(row.seq) },
    class: 'payload_too_large',
    code: 'BUS_MESSAGE_REFUSED',
    message: error.message,
    attempts: 1,
    event: { id: envelope.id, type: row.type, source: source === undefined ? null : String(source), key, attributes },
    data: payloadOf(envelope, row.payload),
  };
}

/** What the attributes of an event may take of a message, beside its data. */
const headersBytes = 16 * 1024;
