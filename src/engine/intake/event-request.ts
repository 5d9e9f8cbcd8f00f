/** What the engine is asked for an event that comes as a CloudEvent: over HTTP, in the same process, or over a bridge. */
import { encodeValue, payloadOfJson } from '../../core/codec.js';
import { SpineError } from '../../core/errors.js';
import { limits } from '../../core/limits.js';
import { writerEpochAttribute } from '../../core/topics/writer.js';
import type { Payload } from '../../core/payload.js';
import { partitionKeyExtension } from '../../protocol/cloudevents-messages.js';
import type { CloudEvent } from '../../protocol/cloudevents.js';
import type { PublishRequest } from '../api.js';

/** What the engine is asked for an event that came as a CloudEvent. REQUEST_INVALID, VALUE_UNSTORABLE. */
export function publishRequestOf(topic: string, event: CloudEvent): PublishRequest {
  const { id, source, type, subject, time, dataschema, datacontenttype, extensions, data } = event;
  const { [partitionKeyExtension]: key, ...others } = extensions;
  const writerEpoch = writerEpochOf(others[writerEpochAttribute]);
  const attributes = datacontenttype === undefined ? others : { ...others, datacontenttype };
  return {
    topic,
    id,
    source,
    type,
    ...(subject === undefined ? {} : { subject }),
    ...(time === undefined ? {} : { time }),
    ...(dataschema === undefined ? {} : { dataschema }),
    ...(key === undefined ? {} : { key: checkedKey(String(key)) }),
    ...(writerEpoch === undefined ? {} : { writerEpoch }),
    ...(Object.keys(attributes).length === 0 ? {} : { attributes }),
    data: payloadOfData(data),
  };
}

function payloadOfData(data: CloudEvent['data']): Payload | null {
  switch (data?.kind) {
    case undefined:
      return null;
    case 'json':
      return payloadOfJson(data.value);
    case 'text':
      return payloadOfJson(data.text);
    case 'bytes':
      return encodeValue(data.bytes);
  }
}

/** The epoch that an event is written under, which stays with it as an attribute. REQUEST_INVALID. */
export function writerEpochOf(given: unknown): number | undefined {
  if (given === undefined) return undefined;
  const epoch = Number(given);
  if (Number.isSafeInteger(epoch) && epoch > 0) return epoch;
  throw new SpineError('REQUEST_INVALID', { faults: [`${writerEpochAttribute} is not a whole number above 0`] });
}

/** @throws REQUEST_INVALID */
export function checkedKey(key: string): string {
  if (key !== '' && key.length <= limits.keyLengthMax) return key;
  throw new SpineError('REQUEST_INVALID', {
    faults: [`the partition key has not 1 to ${limits.keyLengthMax} characters`],
  });
}
