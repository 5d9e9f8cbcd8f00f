/**
 * What may be asked of a run. Body commands come from the worker that holds the activation, task commands from the
 * worker that holds a call, the rest from clients, timers and the reaper. All are idempotent by path: asking twice for
 * the same thing is answered with what was recorded first.
 */
import type { Failure } from '../failure.js';
import type { Payload } from '../payload.js';
import type { RetryPolicy } from '../retry.js';
import type { Effect } from './events.js';

export type BodyCommand =
  /** Records the intent of an external effect before it is tried. */
  | { readonly op: 'beginStep'; readonly path: string; readonly attempt: number; readonly effect: Effect }
  | {
      readonly op: 'completeStep';
      readonly path: string;
      readonly attempt: number;
      readonly durationMs: number;
      readonly withInput: boolean;
      readonly result: Payload;
    }
  | {
      readonly op: 'failStep';
      readonly path: string;
      readonly attempt: number;
      readonly failure: Failure;
      readonly retry: RetryPolicy;
    }
  | {
      readonly op: 'call';
      readonly path: string;
      readonly capability: string;
      readonly input: Payload;
      readonly options: CallOptions;
    }
  | { readonly op: 'sleep'; readonly path: string; readonly ms: number }
  | { readonly op: 'sleepUntil'; readonly path: string; readonly at: number }
  | { readonly op: 'emit'; readonly path: string; readonly topic: string; readonly event: EmittedEvent }
  | { readonly op: 'progress'; readonly index: number; readonly value: Payload }
  | { readonly op: 'decideRace'; readonly path: string; readonly winner: string }
  /** Leaves memory; refused with `stale` when an event after `seen` concerns the body. */
  | { readonly op: 'park'; readonly seen: number }
  | { readonly op: 'succeed'; readonly output: Payload }
  | { readonly op: 'fail'; readonly failure: Failure; readonly path: string | null }
  | { readonly op: 'refuse'; readonly code: string; readonly data: Payload | null }
  /** The body ended because the run was cancelled. */
  | { readonly op: 'endCancelled' }
  /** The activation could not be run here (code missing, replay failed); it counts as an attempt. */
  | { readonly op: 'abandon'; readonly failure: Failure };

export interface CallOptions {
  /** Overrides of what the capability's manifest entry says. */
  readonly retry?: RetryPolicy;
  readonly deadlineMs?: number;
  readonly priority?: number;
}

export interface EmittedEvent {
  /** Event id; the deterministic default is made of run and path. */
  readonly id?: string;
  readonly key?: string;
  readonly data: Payload;
}

export type TaskCommand =
  | { readonly op: 'completeTask'; readonly result: Payload; readonly durationMs: number }
  | { readonly op: 'failTask'; readonly failure: Failure };

export type RunCommand =
  | BodyCommand
  | TaskCommand
  | { readonly op: 'loseTask'; readonly failure: Failure }
  /** `fireAt`: for when it was set, as whoever fires it has seen it; a run may have set it anew since. */
  | { readonly op: 'fireTimer'; readonly name: string; readonly fireAt?: number }
  | { readonly op: 'cancel'; readonly reason: string | null; readonly by: string; readonly graceMs: number }
  | { readonly op: 'redrive'; readonly by: string }
  /** Moves the run to another version of its workflow; null = to none. */
  | { readonly op: 'migrate'; readonly to: string | null; readonly by: string };
