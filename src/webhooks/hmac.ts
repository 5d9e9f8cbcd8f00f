/**
 * Signatures that are an HMAC in a header: those of GitHub and Slack, and whatever else is declared (`HmacScheme`). Stripe's is
 * one as well, in a header with fields.
 */
import { createHmac } from 'node:crypto';
import { contentParts, type HmacScheme } from '../core/webhooks/scheme.js';
import { headerOf, type ReceivedWebhook, refused, timeOf, type Verdict } from './request.js';
import { bytesOfBase64, invalid } from './secrets.js';
import { isSame } from './standard.js';

/** `x-hub-signature-256`, with the id that GitHub sends beside it. */
export const githubScheme: HmacScheme = {
  kind: 'hmac',
  header: 'x-hub-signature-256',
  prefix: 'sha256=',
  idHeader: 'x-github-delivery',
};

/** `x-slack-signature` over version, time and body. */
export const slackScheme: HmacScheme = {
  kind: 'hmac',
  header: 'x-slack-signature',
  prefix: 'v0=',
  timestampHeader: 'x-slack-request-timestamp',
  content: 'v0:{timestamp}:{body}',
};

/** What is signed in a message, and what goes beside it. */
export interface HmacMessage {
  readonly body: Uint8Array | string;
  /** Epoch ms, for schemes with a time. */
  readonly atMs: number;
  /** For schemes with an id. */
  readonly id?: string;
}

/** Headers that sign a message with the first of the secrets: the header has room for one signature. */
export function signHmac(secrets: readonly string[], message: HmacMessage, scheme: HmacScheme): Record<string, string> {
  const [secret] = secrets;
  if (secret === undefined) throw invalid('a secret is needed');
  const { idHeader, timestampHeader } = scheme;
  const { id = '' } = message;
  if (idHeader !== undefined && id === '') throw invalid('an id is needed');
  const timestamp = String(Math.floor(message.atMs / 1000));
  const bytes = digestOf(secret, scheme, { body: message.body, timestamp, id });
  return {
    [scheme.header]: (scheme.prefix ?? '') + bytes.toString(scheme.encoding ?? 'hex'),
    ...(timestampHeader === undefined ? {} : { [timestampHeader]: timestamp }),
    ...(idHeader === undefined ? {} : { [idHeader]: id }),
  };
}

/** Whether a request was signed with one of the secrets, and within the window where the scheme has a time. */
export function hmacVerdict(
  secrets: readonly string[],
  request: ReceivedWebhook,
  at: { readonly nowMs: number; readonly windowMs: number },
  scheme: HmacScheme,
): Verdict {
  for (const secret of secrets) keyOf(secret, scheme);
  const value = (name: string | undefined): string | null =>
    name === undefined ? null : headerOf(request.headers, name);
  const given = value(scheme.header);
  const timestamp = value(scheme.timestampHeader);
  const id = value(scheme.idHeader);
  if (given === null || (scheme.timestampHeader !== undefined && timestamp === null)) return refused('missing');
  if (scheme.content?.includes('{id}') === true && (id === null || id === '')) return refused('missing');
  const signature = signatureOf(given, scheme);
  if (signature === null) return refused('malformed');
  const time = timestamp === null ? { atMs: null } : timeOf(timestamp, at.nowMs, at.windowMs);
  if ('fault' in time) return refused(time.fault);
  const content = { body: request.body, timestamp: timestamp ?? '', id: id ?? '' };
  const isGenuine = secrets.some((secret) => isSame(signature, digestOf(secret, scheme, content)));
  return isGenuine ? { tag: 'genuine', id: id === '' ? null : id, atMs: time.atMs } : refused('wrong');
}

interface Content {
  readonly body: Uint8Array | string;
  readonly timestamp: string;
  readonly id: string;
}

function digestOf(secret: string, scheme: HmacScheme, content: Content): Buffer {
  const hmac = createHmac(scheme.hash ?? 'sha256', keyOf(secret, scheme));
  for (const part of contentParts(scheme.content ?? '{body}'))
    hmac.update(typeof part === 'string' ? part : content[part.field]);
  return hmac.digest();
}

function keyOf(secret: string, scheme: HmacScheme): string | Buffer {
  if (secret === '') throw invalid('a secret is empty');
  switch (scheme.secretEncoding ?? 'text') {
    case 'text':
      return secret;
    case 'hex': {
      const bytes = bytesOfHex(secret);
      if (bytes === null) throw invalid('a secret is not hexadecimal');
      return bytes;
    }
    case 'base64': {
      const bytes = bytesOfBase64(secret);
      if (bytes === null) throw invalid('a secret is not base64');
      return bytes;
    }
  }
}

function signatureOf(given: string, scheme: HmacScheme): Buffer | null {
  const prefix = scheme.prefix ?? '';
  if (!given.startsWith(prefix)) return null;
  const text = given.slice(prefix.length);
  switch (scheme.encoding ?? 'hex') {
    case 'hex':
      return bytesOfHex(text);
    case 'base64':
      return bytesOfBase64(text);
    case 'base64url':
      return /^[\w-]+={0,2}$/.test(text) ? Buffer.from(text, 'base64url') : null;
  }
}

/** The bytes of hexadecimal digits; null = they are none, or half a byte is missing. */
export function bytesOfHex(text: string): Buffer | null {
  return text.length % 2 === 0 && /^[0-9a-fA-F]+$/.test(text) ? Buffer.from(text, 'hex') : null;
}
