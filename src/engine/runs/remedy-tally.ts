/**
 * Remedies taken, counted by this engine since it was started, for metrics. Only what it has committed itself: the sum over the
 * servers of an installation is the whole.
 *
 * Invariant: classes and remedies are closed lists, so there is a bound on how many are told apart.
 */
import { isFailedAttempt, type RunEvent } from '../../core/run/events.js';
import type { RemedyCount } from '../api.js';

/** See the top of the module. */
export class RemedyTally {
  readonly #counts = new Map<string, RemedyCount>();

  note(events: readonly RunEvent[]): void {
    for (const event of events) {
      if (isFailedAttempt(event)) {
        if (event.data.remedy !== undefined) this.#add(event.data.failure.class, event.data.remedy.name);
      } else if (event.type === 'decision.recorded' && event.data.remedy !== undefined) {
        this.#add('invalid_output', event.data.remedy.name);
      }
    }
  }

  /** In the order of their names. */
  counts(): RemedyCount[] {
    return [...this.#counts.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, count]) => count);
  }

  #add(failureClass: RemedyCount['class'], remedy: RemedyCount['remedy']): void {
    const key = `${failureClass}/${remedy}`;
    const count = this.#counts.get(key)?.count ?? 0;
    this.#counts.set(key, { class: failureClass, remedy, count: count + 1 });
  }
}
