/**
 * The part of the catalogue that clients throw by themselves, so that it alone goes into users' pages. What a server
 * refuses comes with its texts in the answer.
 *
 * Invariant: all of it is in `errorCatalogue` too, under the same codes.
 */
import { CatalogueError, entry, type Entry } from './catalogue-error.js';
import type { SpineError } from './errors.js';

/** The entries, by their codes. */
export const clientErrors = {
  OPTIONS_INVALID: entry<{ what: string; faults: readonly string[] }>({
    kind: 'invalid',
    status: 400,
    // A fault may end with a question.
    message: (d) => `The options of ${d.what} are not valid: ${d.faults.join('; ')}`.replace(/[^?]$/, '$&.'),
    mend: 'Mend the named options.',
  }),
  DURATION_INVALID: entry<{ value: string }>({
    kind: 'invalid',
    status: 400,
    message: (d) => `${d.value} is not a duration.`,
    mend: 'Give a number of milliseconds >= 0, or text such as "500ms", "30s", "1h30m" or "2d" (up to 100 years).',
  }),
  TRANSACTION_UNSUPPORTED: entry<{ where: string }>({
    kind: 'invalid',
    status: 400,
    message: (d) => `${d.where} cannot take part in a transaction of the caller.`,
    mend: "Call a spine over the `postgres` store that is made in the caller's own process, or leave out `tx`.",
  }),
  ASK_TIMEOUT: entry<{ path: string; agent: string; key: string }>({
    kind: 'terminal',
    status: 504,
    message: (d) => `Agent "${d.agent}", key "${d.key}", has not answered "${d.path}" in time.`,
    mend: 'Raise the timeout of the ask, or look at what the agent is busy with. A late answer is dropped.',
  }),
  ASK_FAILED: entry<{ agent: string; key: string; reason: string }>({
    kind: 'terminal',
    status: 422,
    message: (d) => `Agent "${d.agent}", key "${d.key}", has given up on the question: ${d.reason}`,
    mend: 'Look at the dead letter of the message; redriving it handles the message again, but nobody waits any more.',
  }),
  SERVER_UNREACHABLE: entry<{ url: string; reason: string }>({
    kind: 'transient',
    status: 503,
    message: (d) => `No Eventspine server answers at ${d.url}: ${d.reason}.`,
    mend: 'Start one with `eventspine dev` or `eventspine serve`, or pass --url.',
  }),
} as const;

type ClientErrorCode = keyof typeof clientErrors;

/** An error of these, as `new SpineError` would make it. */
export function clientError<C extends ClientErrorCode>(
  code: C,
  detail: SpineError<C>['detail'],
  options?: { readonly cause?: unknown },
): SpineError<C> {
  return new CatalogueError(code, clientErrors[code] as unknown as Entry<SpineError<C>['detail']>, detail, options);
}
