/**
 * Errors that a server answered with, rebuilt from their problem details (RFC 9457). They carry the brand of the
 * catalogue, so `isSpineError` and `hasCode` work on them, even for a code that this copy of the package does not know.
 */
import type { ErrorKind } from '../core/catalogue-error.js';
import type { Problem } from '../protocol/http.js';

const brand = Symbol.for('eventspine.error');

/** What a server said. `code`, `kind`, `status`, `mend` and `message` are those of the error catalogue. */
export class RemoteError extends Error {
  readonly [brand] = true;
  readonly code: string;
  readonly kind: ErrorKind;
  readonly status: number;
  readonly mend: string;
  /** The problem as it was received; `faults`, `failure` and `data` are here. */
  readonly problem: Problem;
  /** What the server asked callers to wait, ms; null = it did not say. */
  readonly retryAfterMs: number | null;

  constructor(problem: Problem, retryAfterMs: number | null = null) {
    super(problem.detail);
    this.name = 'SpineError';
    this.code = problem.code;
    this.kind = kindOf(problem);
    this.status = problem.status;
    this.mend = problem.mend;
    this.problem = problem;
    this.retryAfterMs = retryAfterMs;
  }

  /** The problem under the name that `SpineError` uses. No member of its own, or consoles would print everything twice. */
  get detail(): Problem {
    return this.problem;
  }

  toJSON(): { code: string; kind: ErrorKind; message: string; mend: string } {
    return { code: this.code, kind: this.kind, message: this.message, mend: this.mend };
  }
}

/** True for an error that came from a server, whichever copy of this package made it. */
export function isRemoteError(value: unknown): value is RemoteError {
  return typeof value === 'object' && value !== null && brand in value && 'problem' in value;
}

/** The problem of an answer that has none: a proxy in between, or something that is no Eventspine server at all. */
export function problemOfStatus(status: number, text: string): Problem {
  return {
    type: 'about:blank',
    title: `HTTP ${status}`,
    status,
    detail: text === '' ? `The server answered ${status} without saying why.` : text.slice(0, 200),
    code: `HTTP_${status}`,
    mend: 'Check that the URL is that of an Eventspine server and look at the proxies before it.',
    retryable: status === 429 || status >= 500,
  };
}

/** As the server says; what stands between a client and a server says nothing of it. */
function kindOf(problem: Problem): ErrorKind {
  if (problem.kind !== undefined) return problem.kind;
  if (problem.retryable) return 'transient';
  if (problem.status === 404) return 'notFound';
  if (problem.status === 409) return 'conflict';
  return problem.status >= 500 ? 'internal' : 'invalid';
}
