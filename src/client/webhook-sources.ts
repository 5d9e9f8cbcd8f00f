/** The client's surface for sources of webhooks and their secrets. */
import type { Duration } from '../core/duration.js';
import type { WebhookOptions } from '../core/webhooks/source.js';
import type { WebhookSourceView } from '../protocol/http.js';
import { pathOf } from '../protocol/route-paths.js';
import { type CallOptions, command, get } from './run-handle.js';
import type { Transport } from './transport.js';

/** A source as it is asked for. */
export interface WebhookSourceRequest extends WebhookOptions {
  /** Name of the topic that its events are published to. */
  readonly topic: string;
}

/** Options of `webhookSources.addSecret`. */
export interface AddSecretOptions extends CallOptions {
  /** How long the other secrets still count: what a sender needs to change over. Default: until they are removed. */
  readonly othersExpireIn?: Duration;
}

/** Webhooks of other systems: where they arrive, what they become, and the secrets that they are believed by. */
export interface WebhookSourcesApi {
  /** By name, with what the server that answers has seen of each. */
  list(options?: CallOptions): Promise<readonly WebhookSourceView[]>;
  /** WEBHOOK_SOURCE_NOT_FOUND. */
  get(name: string, options?: CallOptions): Promise<WebhookSourceView>;
  /** Makes one or changes it. WEBHOOK_SOURCE_INVALID, WEBHOOK_SOURCE_OWNED, TOPIC_UNKNOWN. */
  put(name: string, source: WebhookSourceRequest, options?: CallOptions): Promise<WebhookSourceView>;
  /** Removes one that was made, with its secrets. WEBHOOK_SOURCE_NOT_FOUND, WEBHOOK_SOURCE_OWNED. */
  delete(name: string, options?: CallOptions): Promise<void>;
  /** Gives it a secret, which is never shown again. WEBHOOK_SOURCE_NOT_FOUND, WEBHOOK_SOURCE_INVALID. */
  addSecret(name: string, secret: string, options?: AddSecretOptions): Promise<WebhookSourceView>;
  /** Takes a secret from it, by its id. WEBHOOK_SOURCE_NOT_FOUND. */
  removeSecret(name: string, id: string, options?: CallOptions): Promise<void>;
}

/** Sources of webhooks over a transport. */
export function webhookSourcesOver(transport: Transport): WebhookSourcesApi {
  const remove = (path: string, options: CallOptions | undefined): Promise<void> =>
    transport.exchange({ ...get(path, options), method: 'DELETE', repeatable: false }, () => undefined);
  return {
    list: async (options) =>
      (
        await transport.json<{ readonly items: readonly WebhookSourceView[] }>(
          get(pathOf('listWebhookSources'), options),
        )
      ).items,
    get: (name, options) => transport.json(get(pathOf('readWebhookSource', { name }), options)),
    put: (name, source, options) =>
      transport.json({ ...command(pathOf('putWebhookSource', { name }), source, true, options), method: 'PUT' }),
    delete: (name, options) => remove(pathOf('deleteWebhookSource', { name }), options),
    addSecret: (name, secret, { othersExpireIn, ...options } = {}) => {
      const body = { secret, ...(othersExpireIn === undefined ? {} : { othersExpireIn }) };
      return transport.json(command(pathOf('addWebhookSecret', { name }), body, true, options));
    },
    removeSecret: (name, id, options) => remove(pathOf('deleteWebhookSecret', { name, secret: id }), options),
  };
}
