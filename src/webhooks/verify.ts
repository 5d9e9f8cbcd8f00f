/**
 * `verify`: what a receiver of webhooks calls before it believes anything. Each function gives back what is known of a genuine
 * request and throws for every other, so that whoever forgets to look at the answer is safe.
 */
import type { Duration } from '../core/duration.js';
import { SpineError } from '../core/errors.js';
import type { HmacScheme, HttpSignatureScheme, WebhookScheme } from '../core/webhooks/scheme.js';
import type { GenuineWebhook, ReceivedWebhook } from './request.js';
import type { Secrets } from './secrets.js';
import { webhookVerdict } from './verdict.js';

/** What every check is told. */
export interface VerifyOptions {
  /** The secret that sender and receiver share (`whpk_…` or PEM where the sender has a key pair); several while one is replaced. */
  readonly secret: Secrets;
  /** Now, epoch ms. Default: the clock of the machine. */
  readonly nowMs?: number;
}

/** The same, for schemes with a time. */
export interface TimedVerifyOptions extends VerifyOptions {
  /** How far the clock of the sender may be from ours, before or behind. Default: 5 minutes. */
  readonly window?: Duration;
}

/**
 * Checks of signatures, by sender. All work on the bytes that were received, compare in constant time and take several secrets.
 * All fail with SIGNATURE_INVALID, whose `detail.fault` is a `SignatureFault`, and with OPTIONS_INVALID where a secret is none.
 *
 * ```ts
 * import { verify } from 'eventspine/webhooks';
 *
 * export async function receive(request: Request): Promise<Response> {
 *   const body = new Uint8Array(await request.arrayBuffer());
 *   const { id } = verify.standard({ headers: request.headers, body }, { secret: process.env.WEBHOOK_SECRET ?? '' });
 *   return Response.json({ received: id });
 * }
 * ```
 */
export const verify = {
  /** Standard Webhooks 1.0: `webhook-id`, `webhook-timestamp`, `webhook-signature` with `v1` or, for `whpk_` keys, `v1a`. */
  standard: (request: ReceivedWebhook, options: TimedVerifyOptions): GenuineWebhook =>
    genuine({ kind: 'standard', ...windowOf(options) }, request, options),
  /** The same under `svix-id`, `svix-timestamp`, `svix-signature`. */
  svix: (request: ReceivedWebhook, options: TimedVerifyOptions): GenuineWebhook =>
    genuine({ kind: 'svix', ...windowOf(options) }, request, options),
  /** `x-hub-signature-256`. There is no time in it: let each `id` count once. */
  github: (request: ReceivedWebhook, options: VerifyOptions): GenuineWebhook =>
    genuine({ kind: 'github' }, request, options),
  /** `stripe-signature`. The id of the event is in the body. */
  stripe: (request: ReceivedWebhook, options: TimedVerifyOptions): GenuineWebhook =>
    genuine({ kind: 'stripe', ...windowOf(options) }, request, options),
  /** `x-slack-signature` and `x-slack-request-timestamp`. */
  slack: (request: ReceivedWebhook, options: TimedVerifyOptions): GenuineWebhook =>
    genuine({ kind: 'slack', ...windowOf(options) }, request, options),
  /** Any HMAC in a header. */
  hmac: (request: ReceivedWebhook, options: VerifyOptions & Omit<HmacScheme, 'kind'>): GenuineWebhook => {
    const { secret: _secret, nowMs: _nowMs, ...scheme } = options;
    return genuine({ kind: 'hmac', ...scheme }, request, options);
  },
  /** HTTP message signatures (RFC 9421). The request needs its `url`. */
  httpSignature: (
    request: ReceivedWebhook,
    options: VerifyOptions & Omit<HttpSignatureScheme, 'kind'>,
  ): GenuineWebhook => {
    const { secret: _secret, nowMs: _nowMs, ...scheme } = options;
    return genuine({ kind: 'http-signature', ...scheme }, request, options);
  },
} as const;

function genuine(scheme: WebhookScheme, request: ReceivedWebhook, options: VerifyOptions): GenuineWebhook {
  const verdict = webhookVerdict(scheme, options.secret, request, options.nowMs ?? Date.now());
  if (verdict.tag === 'refused') throw new SpineError('SIGNATURE_INVALID', { fault: verdict.fault });
  return { id: verdict.id, atMs: verdict.atMs };
}

function windowOf({ window }: TimedVerifyOptions): { readonly window?: Duration } {
  return window === undefined ? {} : { window };
}
