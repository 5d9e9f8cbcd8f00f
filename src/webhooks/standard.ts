/**
 * Standard Webhooks 1.0: a signature over `id.timestamp.body`, as HMAC-SHA256 (`v1`) or Ed25519 (`v1a`), base64, with its
 * version before it. Svix is the same under other names of headers. https://www.standardwebhooks.com/
 *
 * Invariant: what is signed has one reading only. An id that ends in a dot and digits is refused, since its end could be taken
 * for the timestamp and the timestamp for a part of the body.
 */
import { createHmac, sign, timingSafeEqual, verify } from 'node:crypto';
import { fromBase64 } from '../core/base64.js';
import { headerOf, type ReceivedWebhook, refused, timeOf, type Verdict } from './request.js';
import { invalid, type StandardKey, standardKey } from './secrets.js';

/** The names of the three headers. */
export const standardHeaders = {
  id: 'webhook-id',
  timestamp: 'webhook-timestamp',
  signature: 'webhook-signature',
} as const;

/** The same as Svix names them. */
export const svixHeaders = { id: 'svix-id', timestamp: 'svix-timestamp', signature: 'svix-signature' } as const;

type HeaderNames = typeof standardHeaders | typeof svixHeaders;

/** Signatures that are looked at in one header. */
const signaturesMax = 10;
const ambiguousId = /\.\d{1,12}$/;

/** Headers that sign `body`, with each of the secrets: while one is being replaced, the receiver may know either. */
export function signStandard(
  secrets: readonly string[],
  message: { readonly id: string; readonly atMs: number; readonly body: Uint8Array | string },
  names: HeaderNames = standardHeaders,
): Record<string, string> {
  const { id, atMs, body } = message;
  if (id === '' || ambiguousId.test(id)) throw invalid('the id is empty, or ends in a dot and digits');
  const timestamp = String(Math.floor(atMs / 1000));
  const head = `${id}.${timestamp}.`;
  const signatures = secrets.map((secret) => {
    const key = standardKey(secret);
    switch (key.tag) {
      case 'symmetric':
        return `v1,${createHmac('sha256', key.key).update(head).update(body).digest('base64')}`;
      case 'private':
        return `v1a,${sign(null, joined(head, body), key.key).toString('base64')}`;
      case 'public':
        throw invalid('a public key cannot sign');
    }
  });
  return { [names.id]: id, [names.timestamp]: timestamp, [names.signature]: signatures.join(' ') };
}

/** Whether a request was signed with one of the secrets (`whsec_`, or `whpk_` for `v1a`), within the window. */
export function standardVerdict(
  secrets: readonly string[],
  request: ReceivedWebhook,
  at: { readonly nowMs: number; readonly windowMs: number },
  names: HeaderNames = standardHeaders,
): Verdict {
  const keys = secrets.map(standardKey);
  const id = headerOf(request.headers, names.id);
  const timestamp = headerOf(request.headers, names.timestamp);
  const given = headerOf(request.headers, names.signature);
  if (id === null || timestamp === null || given === null || id === '') return refused('missing');
  if (ambiguousId.test(id)) return refused('malformed');
  const time = timeOf(timestamp, at.nowMs, at.windowMs);
  if ('fault' in time) return refused(time.fault);
  const signatures = given.split(' ', signaturesMax).flatMap(signatureOf);
  if (signatures.length === 0) return refused('malformed');
  const head = `${id}.${timestamp}.`;
  const isGenuine = keys.some((key) => isSignedBy(key, head, request.body, signatures));
  return isGenuine ? { tag: 'genuine', id, atMs: time.atMs } : refused('wrong');
}

interface Signature {
  readonly version: 'v1' | 'v1a';
  readonly bytes: Uint8Array;
}

/** Signatures of versions that nobody knows may stand beside ours. */
function signatureOf(text: string): Signature[] {
  const comma = text.indexOf(',');
  const version = text.slice(0, comma);
  if (version !== 'v1' && version !== 'v1a') return [];
  const bytes = fromBase64(text.slice(comma + 1));
  return bytes === null ? [] : [{ version, bytes }];
}

function isSignedBy(
  key: StandardKey,
  head: string,
  body: Uint8Array | string,
  signatures: readonly Signature[],
): boolean {
  if (key.tag === 'symmetric') {
    const expected = createHmac('sha256', key.key).update(head).update(body).digest();
    return signatures.some(({ version, bytes }) => version === 'v1' && isSame(bytes, expected));
  }
  const content = joined(head, body);
  return signatures.some(({ version, bytes }) => version === 'v1a' && verify(null, content, key.key, bytes));
}

/** Compares in a time that tells nothing of where two differ. */
export function isSame(given: Uint8Array, expected: Uint8Array): boolean {
  return given.byteLength === expected.byteLength && timingSafeEqual(given, expected);
}

function joined(head: string, body: Uint8Array | string): Buffer {
  return Buffer.concat([Buffer.from(head), typeof body === 'string' ? Buffer.from(body) : body]);
}
