/** What goes with an event into its topic, and may refuse it at its commit: the writer's epoch, the state of its source. */
import type { EntryWrite } from '../../store/contract.js';

export interface PublicationGuard {
  readonly entries: readonly EntryWrite[];
  /** The transition was refused because of one of the entries, or for another reason: what was believed is forgotten. */
  readonly refused: () => void;
}
