/**
 * Problem details (RFC 9457): how every error looks on the wire. A problem is made from the error catalogue and from
 * nothing else, so that no stack, cause or payload of ours or of a user can leak through it.
 */
import { errorCatalogue, isSpineError, SpineError, type ErrorCode } from '../core/errors.js';
import type { Problem } from './http.js';

/** Media type of a problem. */
export const problemType = 'application/problem+json';

/** The `type` member of a problem: a stable name, not an address (`eventspine explain <code>` and docs/reference/errors.md explain it). */
export function problemUri(code: string): string {
  return `urn:eventspine:error:${code}`;
}

/**
 * The problem of an error. A `SpineError` keeps its code, status and mend; anything else becomes `INTERNAL` with the
 * `reference` under which the caller has logged it.
 */
export function problemOf(error: unknown, reference: string): Problem {
  const known = isSpineError(error) ? error : new SpineError('INTERNAL', { reference });
  const detail = known.detail as { readonly faults?: readonly string[]; readonly run?: string };
  return {
    type: problemUri(known.code),
    title: titleOf(known.code),
    status: known.status,
    detail: known.message,
    code: known.code,
    mend: known.mend,
    retryable: known.kind === 'transient',
    kind: known.kind,
    ...(Array.isArray(detail.faults) ? { faults: detail.faults } : {}),
    ...(typeof detail.run === 'string' ? { run: detail.run } : {}),
  };
}

/** Short human title of a code: the same for every occurrence, as RFC 9457 asks. */
export function titleOf(code: ErrorCode): string {
  const words = code.toLowerCase().replaceAll('_', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** True for a code of the catalogue. */
export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(errorCatalogue, code);
}

/** Tells a problem from any other JSON value, as clients need to. */
export function isProblem(value: unknown): value is Problem {
  if (typeof value !== 'object' || value === null) return false;
  const { code, status, detail } = value as Partial<Problem>;
  return typeof code === 'string' && typeof status === 'number' && typeof detail === 'string';
}
