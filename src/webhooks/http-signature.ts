/**
 * HTTP message signatures (RFC 9421) of requests, with HMAC-SHA256 or Ed25519, and the digest of the body (RFC 9530). The
 * verifier's side says which algorithm it is and what must be signed; a message can only sign more.
 *
 * Invariant: a component counts as signed only if its value was made here, from the message; what cannot be made is refused.
 */
import { createHash, createHmac, type KeyObject, sign, verify } from 'node:crypto';
import type { HttpSignatureScheme } from '../core/webhooks/scheme.js';
import { headerOf, type ReceivedWebhook, refused, type SignatureFault, type Verdict } from './request.js';
import { bytesOfBase64, invalid, privateKeyOf, publicKeyOf } from './secrets.js';
import { isSame } from './standard.js';
import { type BareItem, type InnerList, type Item, parseDictionary, textOfList } from './structured-field.js';

const defaultComponents: readonly string[] = ['@method', '@path', 'content-digest'];
/** Signatures of one message that are looked at: hops in between may add theirs. */
const signaturesMax = 4;

/** A message to sign. */
export interface HttpMessage {
  readonly method?: string;
  readonly url: string;
  /** Those that are among the components, but for `content-digest`, which is made. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: Uint8Array | string;
  readonly atMs: number;
  /** Tells the receiver which key it is. */
  readonly keyId?: string;
  /** The name of the signature. Default `sig`. */
  readonly label?: string;
}

/** `content-digest`, `signature-input` and `signature` of a message. The secret of `ed25519` is `whsk_` and base64. */
export function signHttp(
  secrets: readonly string[],
  message: HttpMessage,
  scheme: HttpSignatureScheme,
): Record<string, string> {
  const [secret] = secrets;
  if (secret === undefined) throw invalid('a secret is needed');
  const digest = `sha-256=:${createHash('sha256').update(message.body).digest('base64')}:`;
  const names = scheme.components ?? defaultComponents;
  const parameters = new Map<string, BareItem>([
    ['created', { tag: 'integer', value: Math.floor(message.atMs / 1000) }],
  ]);
  if (message.keyId !== undefined) parameters.set('keyid', { tag: 'string', value: message.keyId });
  const covered: InnerList = {
    items: names.map((value) => ({ item: { tag: 'string', value }, parameters: new Map() })),
    parameters,
  };
  const base = baseOf(covered, { ...message, headers: { ...message.headers, 'content-digest': digest } });
  if (base === null) throw invalid('a component that is to be signed is not there');
  const bytes =
    scheme.algorithm === 'ed25519'
      ? sign(null, Buffer.from(base), privateKeyOf(secret))
      : createHmac('sha256', hmacKeyOf(secret)).update(base).digest();
  const label = message.label ?? 'sig';
  return {
    'content-digest': digest,
    'signature-input': `${label}=${textOfList(covered)}`,
    signature: `${label}=:${bytes.toString('base64')}:`,
  };
}

/** Whether one of the signatures of a request was made with one of the secrets, covers what it must, and is not too old. */
export function httpSignatureVerdict(
  secrets: readonly string[],
  request: ReceivedWebhook,
  at: { readonly nowMs: number; readonly windowMs: number },
  scheme: HttpSignatureScheme,
): Verdict {
  const keys = secrets.map((secret) => (scheme.algorithm === 'ed25519' ? publicKeyOf(secret) : hmacKeyOf(secret)));
  const input = headerOf(request.headers, 'signature-input');
  const given = headerOf(request.headers, 'signature');
  if (input === null || given === null) return refused('missing');
  const inputs = parseDictionary(input);
  const signatures = parseDictionary(given);
  if (inputs === null || signatures === null || inputs.size > signaturesMax) return refused('malformed');
  let first: SignatureFault | null = null;
  for (const [label, covered] of inputs) {
    const verdict = verdictOf(covered, signatures.get(label), { keys, request, at, scheme });
    if (verdict.tag === 'genuine') return verdict;
    first ??= verdict.fault;
  }
  return refused(first ?? 'malformed');
}

interface Checking {
  readonly keys: readonly (Buffer | KeyObject)[];
  readonly request: ReceivedWebhook;
  readonly at: { readonly nowMs: number; readonly windowMs: number };
  readonly scheme: HttpSignatureScheme;
}

function verdictOf(covered: Item | InnerList, signature: Item | InnerList | undefined, checking: Checking): Verdict {
  const { keys, request, at, scheme } = checking;
  if (!('items' in covered) || signature === undefined || 'items' in signature) return refused('malformed');
  if (signature.item.tag !== 'bytes') return refused('malformed');
  const algorithm = covered.parameters.get('alg');
  if (algorithm !== undefined && algorithm.value !== scheme.algorithm) return refused('malformed');
  const time = timesOf(covered, at);
  if ('fault' in time) return refused(time.fault);
  const names = new Set(covered.items.map(({ item }) => item.value));
  if (names.size !== covered.items.length) return refused('malformed');
  if (!(scheme.components ?? defaultComponents).every((name) => names.has(name))) return refused('uncovered');
  const base = baseOf(covered, request);
  if (base === null) return refused('malformed');
  const { value: bytes } = signature.item;
  const content = Buffer.from(base);
  const isGenuine = keys.some((key) =>
    Buffer.isBuffer(key)
      ? isSame(bytes, createHmac('sha256', key).update(content).digest())
      : verify(null, content, key, bytes),
  );
  if (!isGenuine || (names.has('content-digest') && !isDigestOfBody(request))) return refused('wrong');
  const nonce = covered.parameters.get('nonce');
  return { tag: 'genuine', id: nonce?.tag === 'string' ? nonce.value : null, atMs: time.atMs };
}

/** `created` is needed; `expires` counts as well where it is there. */
function timesOf(
  covered: InnerList,
  { nowMs, windowMs }: { readonly nowMs: number; readonly windowMs: number },
): { readonly atMs: number } | { readonly fault: SignatureFault } {
  const created = covered.parameters.get('created');
  const expires = covered.parameters.get('expires');
  if (created?.tag !== 'integer' || (expires !== undefined && expires.tag !== 'integer'))
    return { fault: created === undefined ? 'missing' : 'malformed' };
  const atMs = created.value * 1000;
  if (nowMs - atMs > windowMs || (expires !== undefined && nowMs > expires.value * 1000)) return { fault: 'too old' };
  return atMs - nowMs > windowMs ? { fault: 'too new' } : { atMs };
}

/** The signature base (RFC 9421, section 2.5); null = a component is not there or is none that is known here. */
function baseOf(
  covered: InnerList,
  message: Pick<ReceivedWebhook, 'headers' | 'method' | 'url'> | HttpMessage,
): string | null {
  const lines: string[] = [];
  for (const { item, parameters } of covered.items) {
    // Parameters of components change what is signed (a part of a field, the field of another message): none is known here.
    if (item.tag !== 'string' || parameters.size > 0) return null;
    const value = componentOf(item.value, message);
    if (value === null) return null;
    lines.push(`"${item.value}": ${value}`);
  }
  lines.push(`"@signature-params": ${textOfList(covered)}`);
  return lines.join('\n');
}

function componentOf(
  name: string,
  {
    headers = {},
    method = 'POST',
    url: address,
  }: Pick<ReceivedWebhook, 'method' | 'url'> & Partial<Pick<ReceivedWebhook, 'headers'>>,
): string | null {
  if (!name.startsWith('@')) {
    const value = headerOf(headers, name);
    return value === null || name !== name.toLowerCase() ? null : value.trim();
  }
  if (name === '@method') return method;
  const url = address === undefined || !URL.canParse(address) ? null : new URL(address);
  if (url === null) return null;
  switch (name) {
    case '@authority':
      return url.host.toLowerCase();
    case '@scheme':
      return url.protocol.slice(0, -1);
    case '@target-uri':
      return url.href;
    case '@request-target':
      return url.pathname + url.search;
    case '@path':
      return url.pathname;
    case '@query':
      return url.search === '' ? '?' : url.search;
    default:
      return null;
  }
}

/** Whether a digest that we know says what the body is, and none that we know says otherwise. */
function isDigestOfBody({ headers, body }: ReceivedWebhook): boolean {
  const digests = parseDictionary(headerOf(headers, 'content-digest') ?? '');
  if (digests === null) return false;
  const known = [...digests].filter(([name]) => name === 'sha-256' || name === 'sha-512');
  return (
    known.length > 0 &&
    known.every(([name, member]) => {
      if ('items' in member || member.item.tag !== 'bytes') return false;
      return isSame(member.item.value, createHash(name.replace('-', '')).update(body).digest());
    })
  );
}

function hmacKeyOf(secret: string): Buffer {
  const bytes = bytesOfBase64(secret);
  if (bytes === null) throw invalid('a secret is not base64');
  return bytes;
}
