/** `sign`: the headers that make a request genuine. For senders, and for tests of receivers. */
import type { HmacScheme, HttpSignatureScheme } from '../core/webhooks/scheme.js';
import { githubScheme, signHmac, slackScheme } from './hmac.js';
import { signHttp, type HttpMessage } from './http-signature.js';
import { listOf, type Secrets } from './secrets.js';
import { signStandard, svixHeaders } from './standard.js';
import { signStripe } from './stripe.js';

/** What is signed. */
export interface SignedMessage {
  /** As it is sent, byte for byte. A text counts as its UTF-8. */
  readonly body: Uint8Array | string;
  /** Epoch ms. Default: now, by the clock of the machine. */
  readonly atMs?: number;
}

/** The same, with the id of the delivery: one id over all attempts, so that the receiver can tell repeats. */
export interface SignedDelivery extends SignedMessage {
  readonly id: string;
}

/**
 * Headers that sign a message, in lower case. Where the scheme has room for several signatures there is one for each secret:
 * while a secret is replaced the receiver may know either. Fails with OPTIONS_INVALID where a secret is none of the scheme.
 */
export const sign = {
  /** Standard Webhooks 1.0: `v1` for `whsec_` secrets, `v1a` for `whsk_` keys. */
  standard: (message: SignedDelivery, secret: Secrets): Record<string, string> =>
    signStandard(listOf(secret), timed(message)),
  /** The same under the names of Svix. */
  svix: (message: SignedDelivery, secret: Secrets): Record<string, string> =>
    signStandard(listOf(secret), timed(message), svixHeaders),
  github: (message: SignedDelivery, secret: Secrets): Record<string, string> =>
    signHmac(listOf(secret), timed(message), githubScheme),
  stripe: (message: SignedMessage, secret: Secrets): Record<string, string> =>
    signStripe(listOf(secret), timed(message)),
  slack: (message: SignedMessage, secret: Secrets): Record<string, string> =>
    signHmac(listOf(secret), timed(message), slackScheme),
  /** Any HMAC in a header. */
  hmac: (
    message: SignedMessage & { readonly id?: string },
    secret: Secrets,
    scheme: Omit<HmacScheme, 'kind' | 'window'>,
  ): Record<string, string> => signHmac(listOf(secret), timed(message), { kind: 'hmac', ...scheme }),
  /** HTTP message signatures (RFC 9421), with `content-digest`. */
  httpSignature: (
    message: Omit<HttpMessage, 'atMs'> & { readonly atMs?: number },
    secret: Secrets,
    scheme: Omit<HttpSignatureScheme, 'kind' | 'window'>,
  ): Record<string, string> => signHttp(listOf(secret), timed(message), { kind: 'http-signature', ...scheme }),
} as const;

function timed<T extends { readonly atMs?: number }>(message: T): T & { readonly atMs: number } {
  return { ...message, atMs: message.atMs ?? Date.now() };
}
