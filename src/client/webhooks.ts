/** The client's surface for webhooks that go out: endpoints, their secrets, and what was delivered to them. */
import type { StartOption } from '../core/topics/subscription-options.js';
import type { WebhookOptions } from '../core/webhooks/endpoint.js';
import type { Duration } from '../core/duration.js';
import type { PageView, ReplayAnswer } from '../protocol/http.js';
import { pathOf, type RouteId } from '../protocol/route-paths.js';
import type {
  WebhookDelivery,
  WebhookDeliveryState,
  WebhookPing,
  WebhookRedriveAnswer,
  WebhookSecrets,
  WebhookView,
} from '../protocol/webhook-views.js';
import { pageList, type PageList } from './pages.js';
import { type CallOptions, command, get } from './run-handle.js';
import type { PauseOptions } from './schedules.js';
import type { Transport } from './transport.js';

/** Options of `webhooks.deliveries`. */
export interface WebhookDeliveryQuery extends CallOptions {
  /** Default: all. */
  readonly state?: WebhookDeliveryState;
  /** Items of a page: 1 to 500, default 50. */
  readonly limit?: number;
}

/** Options of `webhooks.rotate`. */
export interface WebhookRotateOptions extends CallOptions {
  /** How long the secrets before sign beside the new one. Default a day. */
  readonly overlap?: Duration;
}

/** Options of `webhooks.replay`. */
export interface WebhookReplayOptions extends CallOptions {
  /** Default: all of the endpoint. */
  readonly topic?: string;
  /** Only say what it would send. Default false. */
  readonly dryRun?: boolean;
}

/** Endpoints that are told of events. WEBHOOK_NOT_FOUND. */
export interface WebhooksApi {
  /** By name. */
  list(options?: CallOptions): Promise<readonly WebhookView[]>;
  get(name: string, options?: CallOptions): Promise<WebhookView>;
  /** Makes one or changes it. WEBHOOK_INVALID, ENDPOINT_REFUSED, TOPIC_UNKNOWN, WEBHOOKS_FULL. */
  set(name: string, endpoint: WebhookOptions, options?: CallOptions): Promise<WebhookView>;
  /** Removes it; what is not delivered is given up. */
  remove(name: string, options?: CallOptions): Promise<void>;
  /** What the receiver checks signatures with; without a name, of messages to the `notify` addresses of starts. */
  secrets(name?: string, options?: CallOptions): Promise<WebhookSecrets>;
  /** Gives it a new secret. */
  rotate(name: string, options?: WebhookRotateOptions): Promise<WebhookSecrets>;
  /** Nothing more is begun; events wait. */
  disable(name: string, options?: PauseOptions): Promise<WebhookView>;
  /** What has come meanwhile is sent. */
  enable(name: string, options?: CallOptions): Promise<WebhookView>;
  /** Sends a message that says nothing, and tells what came of it. */
  ping(name: string, options?: CallOptions): Promise<WebhookPing>;
  /** Messages to it, newest first. */
  deliveries(name: string, query?: WebhookDeliveryQuery): PageList<WebhookDelivery>;
  /** Sends messages that were given up once more, up to 200 in a call. */
  redrive(name: string, options?: CallOptions): Promise<WebhookRedriveAnswer>;
  /** Sends the events from a place to the end of its topics once more, under the ids that they had. */
  replay(name: string, from: StartOption, options?: WebhookReplayOptions): Promise<readonly ReplayAnswer[]>;
}

/** Webhooks over a transport. */
export function webhooksOver(transport: Transport): WebhooksApi {
  const order = <T>(id: RouteId, name: string, body: unknown, repeatable: boolean, options?: CallOptions): Promise<T> =>
    transport.json<T>(command(pathOf(id, { name }), body, repeatable, options));
  return {
    list: async (options) => (await transport.json<PageView<WebhookView>>(get(pathOf('listWebhooks'), options))).items,
    get: (name, options) => transport.json(get(pathOf('readWebhook', { name }), options)),
    set: (name, endpoint, options) =>
      transport.json({ ...command(pathOf('putWebhook', { name }), endpoint, true, options), method: 'PUT' }),
    remove: (name, options) =>
      transport.exchange(
        { ...get(pathOf('deleteWebhook', { name }), options), method: 'DELETE', repeatable: false },
        () => undefined,
      ),
    secrets: (name, options) =>
      transport.json(
        get(name === undefined ? pathOf('readNotifySecret') : pathOf('readWebhookSecrets', { name }), options),
      ),
    rotate: (name, { overlap, ...options } = {}) =>
      order('rotateWebhook', name, overlap === undefined ? {} : { overlap }, false, options),
    disable: (name, { reason, ...options } = {}) =>
      order('disableWebhook', name, reason === undefined ? {} : { reason }, true, options),
    enable: (name, options) => order('enableWebhook', name, undefined, true, options),
    ping: (name, options) => order('pingWebhook', name, undefined, false, options),
    deliveries: (name, { signal, ...query } = {}) =>
      pageList((cursor) =>
        transport.json<PageView<WebhookDelivery>>(
          get(pathOf('listWebhookDeliveries', { name }), signal === undefined ? {} : { signal }, { ...query, cursor }),
        ),
      ),
    redrive: (name, options) => order('redriveWebhook', name, undefined, true, options),
    replay: async (name, from, { topic, dryRun = false, ...options } = {}) => {
      const body = { from, dryRun, ...(topic === undefined ? {} : { topic }) };
      return (await order<PageView<ReplayAnswer>>('replayWebhook', name, body, dryRun, options)).items;
    },
  };
}
