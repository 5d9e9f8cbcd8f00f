/**
 * The body of a message: `type`, `timestamp` and `data`, as the Standard Webhooks specification has it, and where the event comes
 * from. The one place where what is inside goes outside by a webhook, as somebody with the clearances of the endpoint is shown it.
 *
 * Invariant: the same order, data and declarations give the same bytes, so that every attempt sends what the first has sent.
 */
import { jsonOf } from '../../core/codec.js';
import { isoOf } from '../../core/instant.js';
import type { InlinePayload } from '../../core/payload.js';
import type { Declarations } from '../../core/redaction/declared.js';
import type { Clearance } from '../../core/redaction/tags.js';
import type { DeliveryOrder } from '../../core/webhooks/delivery-order.js';
import { plainJsonOf } from '../plain-json.js';
import { shownCloudEvent } from '../redaction/topic-lens.js';

/** UTF-8, as it is signed and sent. */
export function messageBody(
  order: DeliveryOrder,
  data: InlinePayload,
  declared: Declarations,
  cleared: Clearance,
): Buffer {
  const { type, at, event, ended } = order;
  const head = { type, timestamp: isoOf(at), ...event };
  const json = declared.tags.size === 0 ? jsonTextOf(data) : shownText(order, data, declared, cleared);
  if (ended === undefined) return withMember(head, 'data', json);
  const text = withMember(ended, 'output', ended.state === 'succeeded' ? json : Buffer.from('null'));
  return withMember(head, 'data', text);
}

/** The object with one member more, whose value is JSON already. */
function withMember(object: object, name: string, json: Uint8Array): Buffer {
  const text = JSON.stringify(object).slice(0, -1);
  return Buffer.concat([Buffer.from(`${text},${JSON.stringify(name)}:`), json, Buffer.from('}')]);
}

/** What is tagged is hidden from whoever listens outside. */
function shownText(
  { type, event, ended }: DeliveryOrder,
  data: InlinePayload,
  declared: Declarations,
  cleared: Clearance,
): Uint8Array {
  const value = jsonOf(data);
  const shown =
    ended === undefined
      ? shownCloudEvent(event?.topic ?? '', { type, data: value }, declared, cleared)['data']
      : declared.workflow(ended.workflow).output.shown(value, cleared);
  return Buffer.from(JSON.stringify(shown));
}

function jsonTextOf(data: InlinePayload): Uint8Array {
  return plainJsonOf(Buffer.from(data.text)) ?? Buffer.from(JSON.stringify(jsonOf(data)));
}
