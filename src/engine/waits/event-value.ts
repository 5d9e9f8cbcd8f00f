/** The data of a topic event as plain JSON, wherever it is kept. */
import type { Envelope } from '../../core/envelope.js';
import { limits } from '../../core/limits.js';
import { isBlobPayload } from '../../core/payload.js';
import type { EventRow, Store } from '../../store/contract.js';
import { payloadOf } from '../events/envelope-writer.js';
import { readableJson } from '../topics/readable-json.js';

/** Data that is kept as a blob is fetched: its fields are in it. Not where it is very large: nobody waits by its fields. */
export async function eventValue(store: Store, row: EventRow, envelope: Envelope): Promise<unknown> {
  const payload = payloadOf(envelope, row.payload);
  if (payload === null) return undefined;
  if (!isBlobPayload(payload)) return readableJson(payload);
  if (payload.size > limits.payloadBytesMax) return undefined;
  const bytes = await store.readBlob(row.tenant, payload.blob);
  return bytes === null ? undefined : readableJson({ codec: payload.codec, text: new TextDecoder().decode(bytes) });
}
