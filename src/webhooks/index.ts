export {
  type GithubScheme,
  type HmacScheme,
  type HttpSignatureScheme,
  type StandardScheme,
  type StripeOrSlackScheme,
  type WebhookScheme,
} from '../core/webhooks/scheme.js';
export { type HttpMessage } from './http-signature.js';
export {
  type GenuineWebhook,
  type ReceivedWebhook,
  type SignatureFault,
  type Verdict,
  type WebhookHeaders,
} from './request.js';
export { endpointSecret, isSecret, newKeyPair, newSecret, type Secrets } from './secrets.js';
export { sign, type SignedDelivery, type SignedMessage } from './sign.js';
export { standardHeaders } from './standard.js';
export { webhookVerdict } from './verdict.js';
export { verify, type TimedVerifyOptions, type VerifyOptions } from './verify.js';
