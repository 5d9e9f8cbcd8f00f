/**
 * What an error of ours is, whatever its code: the entry that describes it, the class that carries it, and how it is
 * recognised. The entries are elsewhere, because a page of a user needs few of them (`client-errors.ts`) and the text of
 * all of them is larger than a client (`errors.ts`).
 *
 * Invariant: nothing here reads the catalogue when it runs.
 */
import type { ErrorCode, SpineError } from './errors.js';

/** What a caller may do about an error. */
export type ErrorKind = 'invalid' | 'conflict' | 'notFound' | 'transient' | 'terminal' | 'internal';

/** What stands in the catalogue under a code. */
export interface Entry<D> {
  readonly kind: ErrorKind;
  readonly status: number;
  readonly message: (detail: D) => string;
  /** What the reader can do about it. */
  readonly mend: string;
}

/** An entry, with the type of its details. */
export function entry<D>(e: Entry<D>): Entry<D> {
  return e;
}

const brand = Symbol.for('eventspine.error');

/** An error with its entry. What throws names the code alone: `SpineError`, or `clientError` where a page may run it. */
export class CatalogueError<C extends string, D> extends Error {
  readonly [brand] = true;
  readonly code: C;
  readonly kind: ErrorKind;
  readonly status: number;
  readonly mend: string;
  readonly detail: D;

  constructor(code: C, found: Entry<D>, detail: D, options?: { readonly cause?: unknown }) {
    super(found.message(detail), options);
    this.name = 'SpineError';
    this.code = code;
    this.kind = found.kind;
    this.status = found.status;
    this.mend = found.mend;
    this.detail = detail;
  }

  toJSON(): { code: C; kind: ErrorKind; message: string; mend: string } {
    return { code: this.code, kind: this.kind, message: this.message, mend: this.mend };
  }
}

/** True for an error of ours, whatever copy of this package made it. */
export function isSpineError(value: unknown): value is SpineError {
  return typeof value === 'object' && value !== null && (value as { [brand]?: unknown })[brand] === true;
}

/** True for an error of ours with this code, whatever copy of this package made it; its details then have their type. */
export function hasCode<C extends ErrorCode>(value: unknown, code: C): value is SpineError<C> {
  return isSpineError(value) && value.code === code;
}
