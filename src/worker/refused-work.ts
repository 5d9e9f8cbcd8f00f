/**
 * An assignment that this process has no code for, or not in the right version: said at once, so that the task does
 * not wait for its deadline. It counts as an attempt; the next one may meet a worker that has the code.
 */
import type { SpineError } from '../core/errors.js';
import { failureOf } from '../core/failure-of.js';
import type { Assignment } from '../protocol/worker.js';
import type { Work, WorkHost } from './work.js';

/** Submits the refusal and is idle. */
export function refuse(assignment: Assignment, error: SpineError, host: WorkHost): Work {
  const { kind, run, task } = assignment;
  host.log('error', error.message, { run, task, mend: error.mend });
  const failure = { ...failureOf(error), retryable: true };
  host.submit([kind === 'call' ? { op: 'failTask', failure } : { op: 'abandon', failure }]);
  let dead = false;
  return {
    kind,
    seen: kind === 'call' ? 0 : assignment.journal.head,
    waiting: false,
    idle: Promise.resolve(),
    get dead() {
      return dead;
    },
    deliver: () => undefined,
    settle: (_submission, result) => {
      dead ||= !result.ok;
    },
    stop: (reason) => {
      dead ||= reason !== 'drain';
    },
  };
}
