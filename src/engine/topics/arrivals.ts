/** Events of a topic as subscriptions look at them: what they are kept in order by, and whether a filter lets them pass. */
import { limits } from '../../core/limits.js';
import { isBlobPayload, type Payload } from '../../core/payload.js';
import { schemaUri } from '../../core/schema/schema-id.js';
import type { ArrivedEvent } from '../../core/topics/delivery.js';
import { asksForData, passes } from '../../core/topics/filter.js';
import type { Filter } from '../../core/topics/subscription.js';
import type { EventRow } from '../../store/contract.js';
import type { EngineContext } from '../context.js';
import { parseEnvelope, payloadOf } from '../events/envelope-writer.js';
import { readableJson } from './readable-json.js';

/** What a stored event is to a subscription with this filter. */
export async function arrivedEvent(
  { store, ports }: Pick<EngineContext, 'store' | 'ports'>,
  row: EventRow,
  filter: Filter | null,
): Promise<ArrivedEvent> {
  const envelope = parseEnvelope(row.envelope);
  const { key } = envelope.data as { readonly key: string };
  const isWanted =
    filter === null ||
    passes(filter, {
      attributes: {
        ...(envelope.schema === null ? {} : { dataschema: schemaUri(envelope.schema) }),
        ...envelope.attributes,
        id: envelope.id,
        type: envelope.type,
        partitionkey: key,
      },
      data: asksForData(filter) ? await dataOf(store, row.tenant, payloadOf(envelope, row.payload)) : noData,
    });
  return { offset: row.seq, key: ports.hash.sha256(key).slice(0, keyLength), isWanted };
}

/** Data that is kept as a blob is fetched; where it is very large, servers do not look into it, and its fields match nothing. */
async function dataOf(store: EngineContext['store'], tenant: string, payload: Payload | null): Promise<() => unknown> {
  if (payload === null) return noData;
  if (!isBlobPayload(payload)) return () => readableJson(payload);
  if (payload.size > limits.payloadBytesMax) return noData;
  const bytes = await store.readBlob(tenant, payload.blob);
  if (bytes === null) return noData;
  const text = new TextDecoder().decode(bytes);
  return () => readableJson({ codec: payload.codec, text });
}

const noData = (): unknown => undefined;
/** Characters of the fingerprint of a key: two keys of one partition that share it would wait for each other, and no more. */
const keyLength = 16;
