/**
 * What a topic does with events that come late. Each source counts its events (`sequence`, the CloudEvents extension) or
 * dates them (`time`); the engine remembers how far each has come.
 */

/** What becomes of a late event: appended all the same, answered and forgotten, or kept as a dead event. */
export type LatePolicy = 'accept' | 'drop' | 'dead';

export interface SourceRule {
  readonly late: LatePolicy;
  /** An event is late, too, when its `time` is so long before the newest one of its source; null = never for that. */
  readonly afterMs: number | null;
}

export const latePolicies: readonly LatePolicy[] = ['accept', 'drop', 'dead'];
