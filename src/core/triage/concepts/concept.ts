/**
 * What failures are called in words, by concept and not by provider. A concept looks at the words of a failure (lower case,
 * names taken apart, no quotes, `·` for a point inside of a name or a number) and counts for a class, and where it settles
 * something, against others.
 *
 * Invariant: every expression is linear: gaps are bounded, nothing repeats what repeats.
 */
import type { FailureClass } from '../../failure.js';
import type { Treatment } from '../remedies.js';

/** A concept. */
export interface Concept {
  readonly label: FailureClass;
  /** 6 settles the class alone, 4 is strong, 2.5 needs a little help, 1 is a hint. */
  readonly weight: number;
  /** What it says, for people: completes "It says this: ...". */
  readonly says: string;
  /** Classes that this speaks against, and how strongly. */
  readonly against?: Partial<Record<FailureClass, number>>;
  /** What to do, where it differs from what the class does. */
  readonly treatment?: Treatment;
  /** Any of these is enough. */
  readonly patterns: readonly RegExp[];
}
