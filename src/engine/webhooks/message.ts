/**
 * The message that a run of `eventspine.webhook` is born to deliver: put together when it is born, out of the event.
 *
 * Invariant: one event has one message id for all endpoints, attempts, redrives and replays, by which receivers know it again.
 */
import type { BirthRequest } from '../intake/birth.js';
import type { EngineContext } from '../context.js';
import { webhookLabel } from '../../core/webhooks/delivery-order.js';

/** Of an event of a topic, what its message is made of. */
export interface MessageSource {
  readonly id: string;
  readonly type: string;
  /** Epoch ms. */
  readonly at: number;
  readonly attributes?: Readonly<Record<string, string | number | boolean>>;
}

/** What makes a run of a subscription one that delivers to an endpoint. */
export function messageOf(
  context: EngineContext,
  { tenant, topic, webhook }: { readonly tenant: string; readonly topic: string; readonly webhook: string },
  { id, type, at, attributes = {} }: MessageSource,
): Pick<BirthRequest, 'delivery' | 'labels'> {
  const { source, subject } = attributes;
  return {
    labels: { [webhookLabel]: webhook },
    delivery: {
      to: { endpoint: webhook },
      id: messageId(context, tenant, topic, typeof source === 'string' ? source : '', id),
      type,
      at,
      event: {
        id,
        topic,
        ...(typeof source === 'string' ? { source } : {}),
        ...(typeof subject === 'string' ? { subject } : {}),
      },
    },
  };
}

/** An event is known by its topic, source and id; what becomes of that holds no character that has a meaning in a signature. */
export function messageId(
  { ports }: Pick<EngineContext, 'ports'>,
  ...names: readonly [tenant: string, topic: string, source: string, id: string]
): string {
  return `msg_${ports.hash.sha256(JSON.stringify(names)).slice(0, 32)}`;
}
