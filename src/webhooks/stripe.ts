/**
 * Signatures of Stripe: `stripe-signature: t=…,v1=…[,v1=…]`, HMAC-SHA256 of `t.body`, hexadecimal. The key is the text of the
 * secret with its prefix, not what it could mean as base64.
 */
import { createHmac } from 'node:crypto';
import { bytesOfHex } from './hmac.js';
import { headerOf, type ReceivedWebhook, refused, timeOf, type Verdict } from './request.js';
import { invalid } from './secrets.js';
import { isSame } from './standard.js';

const headerName = 'stripe-signature';
/** Fields that are looked at in the header. */
const fieldsMax = 20;

/** The header that signs a body, with each of the secrets. */
export function signStripe(
  secrets: readonly string[],
  message: { readonly atMs: number; readonly body: Uint8Array | string },
): Record<string, string> {
  const timestamp = String(Math.floor(message.atMs / 1000));
  const signatures = secrets.map((secret) => `v1=${digestOf(secret, timestamp, message.body).toString('hex')}`);
  return { [headerName]: [`t=${timestamp}`, ...signatures].join(',') };
}

/** Whether a request was signed with one of the secrets, within the window. */
export function stripeVerdict(
  secrets: readonly string[],
  request: ReceivedWebhook,
  at: { readonly nowMs: number; readonly windowMs: number },
): Verdict {
  if (secrets.includes('')) throw invalid('a secret is empty');
  const given = headerOf(request.headers, headerName);
  if (given === null) return refused('missing');
  const fields = given.split(',', fieldsMax).map((field) => field.trim());
  const times = fields.filter((field) => field.startsWith('t='));
  const signatures = fields.flatMap(signatureOf);
  const [timestamp] = times;
  if (timestamp === undefined || times.length > 1 || signatures.length === 0) return refused('malformed');
  const time = timeOf(timestamp.slice(2), at.nowMs, at.windowMs);
  if ('fault' in time) return refused(time.fault);
  const isGenuine = secrets.some((secret) => {
    const expected = digestOf(secret, timestamp.slice(2), request.body);
    return signatures.some((signature) => isSame(signature, expected));
  });
  // The id of the event is in the body only.
  return isGenuine ? { tag: 'genuine', id: null, atMs: time.atMs } : refused('wrong');
}

function digestOf(secret: string, timestamp: string, body: Uint8Array | string): Buffer {
  if (secret === '') throw invalid('a secret is empty');
  return createHmac('sha256', secret).update(`${timestamp}.`).update(body).digest();
}

function signatureOf(field: string): Buffer[] {
  const bytes = field.startsWith('v1=') ? bytesOfHex(field.slice(3)) : null;
  return bytes === null ? [] : [bytes];
}
