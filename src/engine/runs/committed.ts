/** What is told to everybody who follows runs, after a commit and only then. */
import type { RunEvent } from '../../core/run/events.js';
import type { RunState } from '../../core/run/state.js';

export interface CommittedChange {
  /** `runKey` of the run. */
  readonly key: string;
  readonly tenant: string;
  readonly run: string;
  /** State after the change; not to be kept, it moves on. */
  readonly state: RunState;
  readonly events: readonly RunEvent[];
  /** Actor of the events, as in their envelopes; null = they have several, and only the store knows which. */
  readonly actor: string | null;
  /** Task under whose lease the commands came; null for requests from outside. */
  readonly task: string | null;
  /** False for what another server has written, or what came of a commit that was answered with an error. */
  readonly own: boolean;
}

export type CommitListener = (change: CommittedChange) => void;

/** Key of a run in maps. Tenants never contain a slash. */
export function runKey(tenant: string, run: string): string {
  return `${tenant}/${run}`;
}
