/** Request headers with a syntax of their own, read strictly: a header that is there and makes no sense is a fault. */
import { SpineError } from '../../core/errors.js';
import { limits } from '../../core/limits.js';
import { headerNames } from '../../protocol/routes.js';

const quotedPattern = /^"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/;
const barePattern = /^[\x21\x23-\x2b\x2d-\x7e][\x20\x21\x23-\x2b\x2d-\x7e]*$/;

/**
 * The key of an `Idempotency-Key` header: a structured-field string (RFC 8941), or the bare text that many clients
 * send. undefined = no header.
 *
 * @throws REQUEST_INVALID
 */
export function readIdempotencyKey(raw: string | undefined): string | undefined {
  if (raw === undefined) return undefined;
  const quoted = quotedPattern.exec(raw.trim());
  const key = quoted === null ? bareKey(raw.trim()) : (quoted[1] ?? '').replace(/\\(.)/g, '$1');
  if (key === null || key === '' || key.length > limits.keyLengthMax) {
    throw new SpineError('REQUEST_INVALID', {
      faults: [`${headerNames.idempotencyKey} is not one string of 1 to ${limits.keyLengthMax} characters`],
    });
  }
  return key;
}

function bareKey(text: string): string | null {
  return barePattern.test(text) ? text : null;
}

/** Time that `Prefer` (RFC 7240) asks to wait, ms, capped; null = answer at once. Preferences we do not know are ignored. */
export function readPreferWait(raw: string | undefined, waitMsMax: number): number | null {
  if (raw === undefined) return null;
  const preferences = raw.toLowerCase().split(',');
  const wait = preferences
    .map((text) => /^\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:;|$)/.exec(text))
    .find((match) => match !== null);
  return wait === undefined || wait === null ? null : Math.min(Number(wait[1]) * 1_000, waitMsMax);
}

/**
 * The time of the read token that `Prefer` asks for, ms: `read-token=N` seconds; undefined = the default, null = no token
 * is asked for.
 */
export function readPreferToken(raw: string | undefined): number | null | undefined {
  if (raw === undefined) return null;
  const match = /(?:^|,)\s{0,9}read-token\s{0,9}(?:=\s{0,9}"?(\d{1,9})"?\s{0,9})?(?:;|,|$)/.exec(raw.toLowerCase());
  if (match === null) return null;
  return match[1] === undefined ? undefined : Number(match[1]) * 1_000;
}

const requestIdPattern = /^[\w.:/+=-]{1,128}$/;

/** The caller's own request id, where it can be passed on; null = make one. */
export function readRequestId(raw: string | undefined): string | null {
  return raw !== undefined && requestIdPattern.test(raw) ? raw : null;
}
