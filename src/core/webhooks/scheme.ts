/**
 * How the sender of a webhook proves that it is the sender, as data: it stands in manifests and in stored sources, and says
 * nothing of secrets. What checks a request after it is `src/webhooks`.
 *
 * Invariant: which algorithm is used is said here and never by a request.
 */
import { durationMs, type Duration } from '../duration.js';
import { limits } from '../limits.js';
import { shown } from '../shown.js';

/** Standard Webhooks 1.0 (`v1` and `v1a`), and the same under the older header names of Svix. */
export interface StandardScheme {
  readonly kind: 'standard' | 'svix';
  /** How far the request's clock may be from ours, before or behind. Default: 5 minutes. */
  readonly window?: Duration;
}

/** HMAC-SHA256 of the body in `x-hub-signature-256`. It has no time in it: a request counts once, by `x-github-delivery`. */
export interface GithubScheme {
  readonly kind: 'github';
}

/** HMAC-SHA256 of `t.body` in `stripe-signature`, or of `v0:ts:body` in `x-slack-signature`. */
export interface StripeOrSlackScheme {
  readonly kind: 'stripe' | 'slack';
  /** How far the request's clock may be from ours, before or behind. Default: 5 minutes. */
  readonly window?: Duration;
}

/** Any other sender that signs with an HMAC. */
export interface HmacScheme {
  readonly kind: 'hmac';
  /** The header that the signature is in, such as `x-shop-hmac-sha256`. */
  readonly header: string;
  /** What stands in the header before the signature, such as `sha256=`. Default: nothing. */
  readonly prefix?: string;
  /** Default `hex`. */
  readonly encoding?: 'hex' | 'base64' | 'base64url';
  /** Default `sha256`. */
  readonly hash?: 'sha256' | 'sha384' | 'sha512';
  /** How the bytes of the key are written in the secret. Default `text`: they are its characters. */
  readonly secretEncoding?: 'text' | 'hex' | 'base64';
  /** What is signed: text in which `{body}`, `{timestamp}` and `{id}` stand for those. Default `{body}`. */
  readonly content?: string;
  /** The header of the time, in seconds since 1970. Needed where `content` has `{timestamp}`. */
  readonly timestampHeader?: string;
  /** The header of the id of the delivery. Needed where `content` has `{id}`. */
  readonly idHeader?: string;
  /** How far the request's clock may be from ours, before or behind, where there is a time. Default: 5 minutes. */
  readonly window?: Duration;
}

/** HTTP message signatures (RFC 9421), with the digest of the body (RFC 9530). */
export interface HttpSignatureScheme {
  readonly kind: 'http-signature';
  /** With `hmac-sha256` a secret is base64 of the key, with `ed25519` it is a public key: PEM, or base64 of its 32 bytes. */
  readonly algorithm: 'hmac-sha256' | 'ed25519';
  /**
   * What the sender must have signed, at the least: names of headers, and `@method`, `@authority`, `@scheme`, `@target-uri`,
   * `@request-target`, `@path`, `@query`. Default: `@method`, `@path` and `content-digest`. Without `content-digest` the body
   * is not signed.
   */
  readonly components?: readonly string[];
  /** How old a signature may be by its `created`, which it must have. Default: 5 minutes. */
  readonly window?: Duration;
}

/** How the sender of a webhook proves that it is the sender. */
export type WebhookScheme = StandardScheme | GithubScheme | StripeOrSlackScheme | HmacScheme | HttpSignatureScheme;

/** Components of a request that a signature may cover and that are no headers (RFC 9421, section 2.2). */
export const derivedComponents = [
  '@method',
  '@authority',
  '@scheme',
  '@target-uri',
  '@request-target',
  '@path',
  '@query',
] as const;

/** What is wrong with a scheme that comes from outside, each with its place; nothing where it can be used. */
export function schemeFaults(value: unknown, at = 'scheme'): string[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [`${at} is not an object`];
  const given = value as Readonly<Record<string, unknown>>;
  const { kind } = given;
  const checks = typeof kind === 'string' && Object.hasOwn(checksOf, kind) ? checksOf[kind as Kind] : undefined;
  if (checks === undefined) return [`${at}.kind is ${shown(kind)}; there are ${Object.keys(checksOf).join(', ')}`];
  const faults: string[] = [];
  for (const [name, field] of Object.entries(given)) {
    if (name === 'kind' || field === undefined) continue;
    const check = Object.hasOwn(checks, name) ? checks[name] : undefined;
    const fault = check === undefined ? 'is not a field of this kind' : check(field);
    if (fault !== null) faults.push(`${at}.${name} ${fault}`);
  }
  if (kind === 'http-signature' && given['algorithm'] === undefined) faults.push(`${at}.algorithm is needed`);
  return faults.length > 0 || kind !== 'hmac' ? faults : hmacFaults(given as unknown as HmacScheme, at);
}

type Kind = WebhookScheme['kind'];
type Check = (value: unknown) => string | null;

const window: Check = (value) => {
  const ms = durationMs(value);
  if (ms === null) return 'is not a duration such as "5m"';
  return ms >= 1_000 && ms <= limits.webhookWindowMsMax
    ? null
    : `is not between 1 s and ${limits.webhookWindowMsMax / 3_600_000} hours`;
};

/** A name of a header as it is compared: lower case. */
const headerPattern = /^[a-z0-9!#$%&'*+.^_`|~-]{1,100}$/;
const header: Check = (value) =>
  typeof value === 'string' && headerPattern.test(value) ? null : 'is not the name of a header in lower case';
const oneOf =
  (...texts: readonly string[]): Check =>
  (value) =>
    typeof value === 'string' && texts.includes(value) ? null : `is none of ${texts.join(', ')}`;
const text: Check = (value) =>
  typeof value === 'string' && value.length <= textLengthMax
    ? null
    : `is not a text of at most ${textLengthMax} characters`;
const textLengthMax = 200;

const components: Check = (value) => {
  if (!Array.isArray(value) || value.length === 0 || value.length > componentsMax)
    return `is not a list of 1 to ${componentsMax} components`;
  const names: readonly unknown[] = value;
  const wrong = names.find(
    (name) => !derivedComponents.includes(name as (typeof derivedComponents)[number]) && header(name) !== null,
  );
  return wrong === undefined ? null : `has ${shown(wrong)}, which is no component`;
};
const componentsMax = 20;

const checksOf: Readonly<Record<Kind, Readonly<Record<string, Check>>>> = {
  standard: { window },
  svix: { window },
  github: {},
  stripe: { window },
  slack: { window },
  hmac: {
    header,
    prefix: text,
    encoding: oneOf('hex', 'base64', 'base64url'),
    hash: oneOf('sha256', 'sha384', 'sha512'),
    secretEncoding: oneOf('text', 'hex', 'base64'),
    content: text,
    timestampHeader: header,
    idHeader: header,
    window,
  },
  'http-signature': { algorithm: oneOf('hmac-sha256', 'ed25519'), components, window },
};

function hmacFaults(scheme: HmacScheme, at: string): string[] {
  const faults: string[] = [];
  if (scheme.header === undefined) faults.push(`${at}.header is needed`);
  const content = scheme.content ?? '{body}';
  const places = contentParts(content).filter((part) => typeof part !== 'string');
  if (places.filter(({ field }) => field === 'body').length !== 1) faults.push(`${at}.content has not one {body}`);
  if (places.some(({ field }) => field === 'timestamp') !== (scheme.timestampHeader !== undefined))
    faults.push(`${at}.timestampHeader and {timestamp} in ${at}.content need each other`);
  if (places.some(({ field }) => field === 'id') && scheme.idHeader === undefined)
    faults.push(`${at}.idHeader is needed for {id} in ${at}.content`);
  return faults;
}

/** A place in what is signed. */
export interface ContentField {
  readonly field: 'body' | 'timestamp' | 'id';
}

/** What is signed, as text and places in their order. */
export function contentParts(content: string): (string | ContentField)[] {
  return content
    .split(/(\{(?:body|timestamp|id)\})/)
    .filter((part) => part !== '')
    .map((part) =>
      part === '{body}' || part === '{timestamp}' || part === '{id}'
        ? { field: part.slice(1, -1) as ContentField['field'] }
        : part,
    );
}
