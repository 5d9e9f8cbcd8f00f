/** From a message of a bus to the event that it is, or to what is left of one that is none. Pure, but for ids by a digest. */
import { encodeValue, jsonOf, payloadOfJson } from '../../core/codec.js';
import { isSpineError, SpineError } from '../../core/errors.js';
import type { Hash } from '../../core/ports.js';
import type { InboundBridge } from '../../core/topics/bridge.js';
import type { DeadEventRecord } from '../../core/topics/dead-event.js';
import type { BusDelivery, BusPosition } from '../../bus/port.js';
import { decodeEventMessage, eventMessageMode } from '../../protocol/cloudevents-messages.js';
import { parseJson } from '../../protocol/json-body.js';
import { readTraceparent } from '../../protocol/traceparent.js';
import type { Origin } from '../api.js';
import { checkedKey, publishRequestOf } from '../intake/event-request.js';
import type { TopicEvent } from '../topics/publication.js';

/** An event on its way in. */
export interface Incoming {
  readonly event: TopicEvent;
  readonly origin: Origin;
}

/** The name under which a partition has its position. */
export function refOf({ topic, topicId, partition }: Omit<BusPosition, 'offset'>): string {
  return `${topicId === '' ? topic : topicId}/${partition}`;
}

/**
 * The event that a message carries.
 *
 * @throws CLOUDEVENT_INVALID, BODY_NOT_JSON, VALUE_UNSTORABLE, REQUEST_INVALID, BUS_MESSAGE_UNREADABLE ...
 */
export function readDelivery(bridge: InboundBridge, delivery: BusDelivery, hash: Hash): Incoming {
  const isEvent = eventMessageMode(delivery.headers) !== null;
  if (!isEvent && bridge.accepts === 'cloudevents')
    throw new SpineError('BUS_MESSAGE_UNREADABLE', { reason: 'it is no CloudEvent, and the bridge accepts no other' });
  const request = isEvent
    ? publishRequestOf(bridge.topic, decodeEventMessage(delivery))
    : plainRequestOf(bridge, delivery, hash);
  const { traceparent, correlationid } = request.attributes ?? {};
  const { data } = request;
  return {
    event: { ...request, value: data === null || 'blob' in data ? null : jsonOf(data) },
    origin: {
      tenant: bridge.tenant,
      actor: `bridge:${bridge.name}`,
      traceparent: typeof traceparent === 'string' ? readTraceparent(traceparent) : null,
      correlation: typeof correlationid === 'string' ? correlationid : null,
    },
  };
}

/** JSON alone has no id: it gets one by where it is, which every repeat of the delivery has too. */
function plainRequestOf(bridge: InboundBridge, delivery: BusDelivery, hash: Hash): TopicEvent {
  const { position, id, key, body, topic } = delivery;
  const value = body.byteLength === 0 ? null : parseJson(body);
  return {
    topic: bridge.topic,
    id: id ?? idOf(delivery, hash),
    source: `bus:${bridge.bus}/${encodeURIComponent(position?.topic ?? topic)}`,
    type: bridge.topic,
    ...(key === null || key === '' ? {} : { key: checkedKey(key) }),
    data: value === null ? null : payloadOfJson(value),
    value,
  };
}

function idOf({ position }: BusDelivery, hash: Hash): string {
  if (position === null)
    throw new SpineError('BUS_MESSAGE_UNREADABLE', { reason: 'it has no id, and the bus keeps no positions' });
  return hash.sha256(`${refOf(position)}/${position.offset}`).slice(0, 32);
}

/** What is recorded of a message that cannot become an event. */
export function deathOf(bridge: InboundBridge, delivery: BusDelivery, error: unknown): DeadEventRecord {
  const { position, headers, key, body } = delivery;
  const isKnown = isSpineError(error);
  return {
    source: `bridge:${bridge.name}`,
    position: position === null ? null : { ...position, offset: String(position.offset) },
    class: 'poison',
    code: isKnown ? error.code : 'BUS_MESSAGE_UNREADABLE',
    message: error instanceof Error ? error.message : String(error),
    attempts: delivery.attempt ?? 1,
    event: {
      id: delivery.id ?? headers['ce_id'] ?? null,
      type: headers['ce_type'] ?? null,
      source: headers['ce_source'] ?? null,
      key,
      attributes: headers,
    },
    data: body.byteLength === 0 ? null : encodeValue(body),
  };
}
