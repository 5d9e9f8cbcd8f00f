/** Which check belongs to which scheme: the one place where a scheme that is data becomes one. */
import { parseDuration } from '../core/duration.js';
import { limits } from '../core/limits.js';
import type { WebhookScheme } from '../core/webhooks/scheme.js';
import { githubScheme, hmacVerdict, slackScheme } from './hmac.js';
import { httpSignatureVerdict } from './http-signature.js';
import type { ReceivedWebhook, Verdict } from './request.js';
import { listOf, type Secrets } from './secrets.js';
import { standardHeaders, standardVerdict, svixHeaders } from './standard.js';
import { stripeVerdict } from './stripe.js';

/**
 * Whether a request was made with one of the secrets, after the scheme. For callers that go on in both cases; others use
 * `verify`, which throws.
 *
 * @param nowMs Now, epoch ms.
 * @throws OPTIONS_INVALID where a secret is none of the scheme
 */
export function webhookVerdict(
  scheme: WebhookScheme,
  secrets: Secrets,
  request: ReceivedWebhook,
  nowMs: number,
): Verdict {
  const list = listOf(secrets);
  const window = 'window' in scheme ? scheme.window : undefined;
  const at = { nowMs, windowMs: window === undefined ? limits.signatureWindowMs : parseDuration(window) };
  switch (scheme.kind) {
    case 'standard':
      return standardVerdict(list, request, at, standardHeaders);
    case 'svix':
      return standardVerdict(list, request, at, svixHeaders);
    case 'github':
      return hmacVerdict(list, request, at, githubScheme);
    case 'slack':
      return hmacVerdict(list, request, at, slackScheme);
    case 'stripe':
      return stripeVerdict(list, request, at);
    case 'hmac':
      return hmacVerdict(list, request, at, scheme);
    case 'http-signature':
      return httpSignatureVerdict(list, request, at, scheme);
  }
}
