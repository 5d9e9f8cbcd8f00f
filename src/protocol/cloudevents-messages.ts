/**
 * CloudEvents 1.0 in the messages of buses, as the Kafka protocol binding (1.0.2) says: binary mode has attributes in headers
 * `ce_<name>` as plain UTF-8 and the data as the body; structured mode has the whole event as the body. The key of a message
 * is the `partitionkey` of its event. Adapters of buses whose binding spells headers in another way translate these.
 */
import {
  attributesOf,
  bytesOf,
  checkAttributes,
  decodeHttpEvent,
  defaultType,
  encodeHttpStructured,
  eventOfParts,
  mediaType,
  type CloudEvent,
} from './cloudevents.js';

/** The part of a message that is about its event: names of headers in lower case, values as text. */
export interface EventMessage {
  readonly key: string | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** What the names of headers with attributes begin with. */
export const messagePrefix = 'ce_';

/** The extension that is the key of the message (partitioning extension). */
export const partitionKeyExtension = 'partitionkey';

/** How a message carries its event; null = it carries none. */
export function eventMessageMode(headers: Readonly<Record<string, string>>): 'structured' | 'binary' | null {
  if (mediaType(headers['content-type']).startsWith('application/cloudevents')) return 'structured';
  return `${messagePrefix}specversion` in headers || `${messagePrefix}id` in headers ? 'binary' : null;
}

/**
 * The event of a message. The key of the message is its `partitionkey`, where it does not name another.
 *
 * @throws CLOUDEVENT_INVALID, BODY_NOT_JSON, VALUE_UNSTORABLE, CONTENT_TYPE_UNSUPPORTED
 */
export function decodeEventMessage(message: EventMessage): CloudEvent {
  const event = eventMessageMode(message.headers) === 'structured' ? decodeHttpEvent(message) : decodeBinary(message);
  const { key } = message;
  if (key === null || key === '' || partitionKeyExtension in event.extensions) return event;
  return { ...event, extensions: { ...event.extensions, [partitionKeyExtension]: key } };
}

/** The message of an event. @throws CLOUDEVENT_INVALID */
export function encodeEventMessage(event: CloudEvent, mode: 'structured' | 'binary'): EventMessage {
  const { [partitionKeyExtension]: partitionKey } = event.extensions;
  const key = partitionKey === undefined ? null : String(partitionKey);
  if (mode === 'structured') return { key, ...encodeHttpStructured(event) };
  checkAttributes(event);
  const headers: Record<string, string> = {};
  for (const [name, value] of attributesOf(event)) {
    if (name === 'datacontenttype') headers['content-type'] = String(value);
    else headers[messagePrefix + name] = String(value);
  }
  if (event.data !== null) headers['content-type'] ??= defaultType[event.data.kind];
  return { key, headers, body: event.data === null ? new Uint8Array(0) : bytesOf(event.data) };
}

function decodeBinary({ headers, body }: EventMessage): CloudEvent {
  const attributes = new Map<string, unknown>();
  const faults: string[] = [];
  for (const [name, value] of Object.entries(headers)) {
    if (!name.startsWith(messagePrefix)) continue;
    const attribute = name.slice(messagePrefix.length);
    attributes.set(attribute, value);
    if (attribute === 'datacontenttype') faults.push('datacontenttype is the content-type header in binary mode');
  }
  return eventOfParts(attributes, headers['content-type'], body, faults);
}
