/** What a decision over a run comes to. */
import type { NewRunEvent } from './events.js';

export type Refusal =
  /** The run has ended; `status` says how. */
  | 'ended'
  /** The task is not (or no longer) the one that may speak for the run. */
  | 'stale_task'
  /** `park` came too late: something after `seen` concerns the body. Or a timer was set anew since. */
  | 'stale'
  | 'unknown_capability'
  | 'unknown_workflow'
  | 'unknown_agent'
  | 'unknown_model'
  | 'too_many_streams'
  /** Runs that start runs that start runs, deeper than `limits.childDepthMax`. */
  | 'too_deep'
  | 'history_full'
  | 'path_in_use'
  | 'not_redrivable'
  /** What failed has no input that could be another. */
  | 'not_editable'
  | 'not_migratable'
  | 'invalid_path'
  /** There is no such approval, or it is settled. */
  | 'not_open'
  /** The approval is put to others. */
  | 'not_addressed';

export type Decision =
  | { readonly tag: 'accepted'; readonly events: readonly NewRunEvent[] }
  /** What was asked for is already recorded; nothing to do. */
  | { readonly tag: 'already' }
  | { readonly tag: 'refused'; readonly reason: Refusal };

export const already: Decision = { tag: 'already' };
export const refused = (reason: Refusal): Decision => ({ tag: 'refused', reason });
export const accept = (...events: NewRunEvent[]): Decision => ({ tag: 'accepted', events });
