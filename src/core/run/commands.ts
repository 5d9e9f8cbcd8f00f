/**
 * What may be asked of a run. Body commands come from the worker that holds the activation, task commands from the
 * worker that holds a call, the rest from clients, timers and the reaper. All are idempotent by path: asking twice for
 * the same thing is answered with what was recorded first.
 */
import type { Feedback } from '../admission/feedback.js';
import type { Failure } from '../failure.js';
import type { Payload } from '../payload.js';
import type { Remediable, RemedyChoice, RemedyPolicy } from '../remedies.js';
import type { RetryPolicy } from '../retry.js';
import type { SkipReason } from '../graph/graph.js';
import type { Effect, RunEventData } from './events.js';
import type {
  AmbiguityPolicy,
  DecidesFor,
  DecisionNote,
  InferenceAsk,
  InferenceGrant,
  InferenceOutcome,
  TokenUsage,
} from './inference.js';
import type { Mail, SendTarget } from './mail.js';
import type { Person, TopicEventRef, WaitOn } from './waits.js';

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
      /** The step is a rule that answers in the place of a model. */
      readonly decides?: DecidesFor;
    }
  | {
      readonly op: 'failStep';
      readonly path: string;
      readonly attempt: number;
      readonly failure: Failure;
      readonly retry: RetryPolicy;
      /** What is declared for failures of this class. Absent = `auto`. */
      readonly choice?: RemedyChoice;
      /** The step is given an input. Absent = it has none. */
      readonly withInput?: true;
    }
  | {
      readonly op: 'call';
      readonly path: string;
      readonly capability: string;
      readonly input: Payload;
      readonly options: CallOptions;
    }
  /** Asks for leave to call a model; the intent, where it is granted at once. */
  | {
      readonly op: 'infer';
      readonly path: string;
      readonly attempt: number;
      readonly ask: InferenceAsk;
      readonly request: Payload;
    }
  /** The intent of an inference that had to wait. */
  | { readonly op: 'beginInference'; readonly path: string; readonly attempt: number }
  /** The provider has named its answer. */
  | { readonly op: 'identifyInference'; readonly path: string; readonly attempt: number; readonly providerId: string }
  | {
      readonly op: 'completeInference';
      readonly path: string;
      readonly attempt: number;
      readonly outcome: InferenceOutcome;
      readonly result: Payload;
      readonly note: DecisionNote;
      /** What the provider has said of its own limits with its answer. */
      readonly feedback?: Feedback;
    }
  | {
      readonly op: 'failInference';
      readonly path: string;
      readonly attempt: number;
      readonly failure: Failure;
      readonly usage: TokenUsage | null;
      readonly costMicros: number;
      readonly retry: RetryPolicy;
      readonly feedback?: Feedback;
      /** What is declared for failures of this class, absent = `auto`; and what the body can do beside another attempt. */
      readonly choice?: RemedyChoice;
      readonly can?: Remediable;
    }
  /** An earlier activation has begun the attempt, and nobody knows what came of it. */
  | {
      readonly op: 'settleAmbiguity';
      readonly path: string;
      readonly attempt: number;
      readonly policy: AmbiguityPolicy;
    }
  /**
   * Asks whether a call of a tool may be made, whose work is at `of`. `args`: encoded; null = they are too large to be looked
   * at. `taint`: where untrusted text has come from; `own`: it is all that counts, whatever the run has read beside it.
   * `approval`: path of the approval of the same call.
   */
  | {
      readonly op: 'judgeTool';
      readonly path: string;
      readonly of: string;
      readonly tool: string;
      readonly effect: Effect;
      readonly hash: string;
      readonly args: string | null;
      readonly taint: readonly string[];
      readonly own?: true;
      readonly approval: string | null;
    }
  | { readonly op: 'sleep'; readonly path: string; readonly ms: number }
  | { readonly op: 'sleepUntil'; readonly path: string; readonly at: number }
  | { readonly op: 'emit'; readonly path: string; readonly topic: string; readonly event: EmittedEvent }
  | { readonly op: 'progress'; readonly index: number; readonly value: Payload }
  /** Adds chunks to a stream; `from` counts those of the attempt. */
  | {
      readonly op: 'append';
      readonly path: string;
      readonly attempt: number;
      readonly from: number;
      readonly count: number;
      readonly chunks: Payload;
    }
  | {
      readonly op: 'putContext';
      readonly path: string;
      readonly name: string;
      readonly key: string;
      readonly version: string | null;
      readonly value: Payload;
    }
  | { readonly op: 'useContext'; readonly path: string; readonly name: string; readonly key: string }
  | { readonly op: 'decideRace'; readonly path: string; readonly winner: string }
  /** Starts a run of its own. */
  | {
      readonly op: 'startChild';
      readonly path: string;
      readonly workflow: string;
      readonly input: Payload;
      readonly options: ChildOptions;
    }
  /** Asks for the end of a child that is still at work; it ends as cancelled. */
  | { readonly op: 'cancelChild'; readonly path: string; readonly reason: string | null }
  /** `request`: what an approval shows. `timeoutMs` null = waits for as long as the run lives. */
  | {
      readonly op: 'wait';
      readonly path: string;
      readonly on: WaitOn;
      readonly timeoutMs: number | null;
      readonly request: Payload | null;
    }
  /** The wait is given up. What has satisfied it, and was not handed over, goes back. */
  | { readonly op: 'cancelWait'; readonly path: string }
  /** Sends a message to an agent, or the answer to one. */
  | { readonly op: 'send'; readonly path: string; readonly to: SendTarget; readonly data: Payload }
  /** An agent gives up on the message that event `message` brought. */
  | {
      readonly op: 'bury';
      readonly path: string;
      readonly message: number;
      readonly attempts: number;
      readonly failure: Failure;
    }
  /** Leaves memory; refused with `stale` when an event after `seen` concerns the body. */
  | { readonly op: 'park'; readonly seen: number }
  | { readonly op: 'succeed'; readonly output: Payload }
  | { readonly op: 'fail'; readonly failure: Failure; readonly path: string | null }
  | { readonly op: 'refuse'; readonly code: string; readonly data: Payload | null }
  /** Ends the run and goes on in a new one of the same workflow. */
  | { readonly op: 'continueAsNew'; readonly input: Payload }
  /** The body ended because the run was cancelled. */
  | { readonly op: 'endCancelled' }
  /** The activation could not be run here (code missing, replay failed); it counts as an attempt. */
  | { readonly op: 'abandon'; readonly failure: Failure };

export interface CallOptions {
  /** Overrides of what the capability's manifest entry says. */
  readonly retry?: RetryPolicy;
  readonly deadlineMs?: number;
  readonly priority?: number;
  readonly remedies?: RemedyPolicy;
}

export interface ChildOptions {
  /** The child lives on when its parent ends first. */
  readonly detached: boolean;
  readonly priority?: number;
  readonly labels?: Readonly<Record<string, string>>;
}

export interface EmittedEvent {
  /** Event id; the deterministic default is made of run and path. */
  readonly id?: string;
  readonly key?: string;
  /** Version of the schema of the topic that the data is of. Default: the newest that it fits. */
  readonly version?: number;
  readonly data: Payload;
}

export type TaskCommand =
  | {
      readonly op: 'completeTask';
      readonly result: Payload;
      readonly durationMs: number;
      /** What whoever the handler has called says of its own limits. */
      readonly feedback?: Feedback;
    }
  | { readonly op: 'failTask'; readonly failure: Failure; readonly feedback?: Feedback }
  /** Adds chunks to the stream of the call, or to the one of that name beneath it. */
  | {
      readonly op: 'appendTask';
      readonly name: string | null;
      readonly from: number;
      readonly count: number;
      readonly chunks: Payload;
    };

/** What a person may say of an approval. `opened`: `seq` of the request that is meant. */
export type ReviewCommand =
  | {
      readonly op: 'review';
      readonly path: string;
      readonly opened: number;
      readonly by: Person;
      readonly outcome: 'approved' | 'rejected';
      /** Form and comment. */
      readonly answer: Payload | null;
    }
  | {
      readonly op: 'delegate';
      readonly path: string;
      readonly opened: number;
      readonly by: Person;
      readonly to: readonly string[];
    }
  | {
      readonly op: 'comment';
      readonly path: string;
      readonly opened: number;
      readonly by: Person;
      readonly text: Payload;
    };

/** What a graph comes to next, as planned of the `drive` that the run is in. What is there already is left as it is. */
export interface AdvanceCommand {
  readonly op: 'advance';
  readonly drive: number;
  readonly calls: readonly {
    readonly path: string;
    readonly capability: string;
    readonly input: Payload;
    readonly options: CallOptions;
  }[];
  readonly skips: readonly { readonly path: string; readonly reason: SkipReason }[];
  readonly fails: readonly { readonly path: string; readonly failure: Failure }[];
  readonly end:
    | { readonly tag: 'succeeded'; readonly output: Payload }
    | { readonly tag: 'failed'; readonly failure: Failure; readonly path: string | null }
    | null;
}

export type RunCommand =
  | BodyCommand
  | TaskCommand
  | AdvanceCommand
  | { readonly op: 'loseTask'; readonly failure: Failure }
  /** Admission lets an attempt of a call go on that waits. `limits`: keys of the counters that it draws on, `reservedAt`: since when. */
  | {
      readonly op: 'admitCall';
      readonly path: string;
      readonly task: string;
      readonly attempt: number;
      readonly limits: readonly string[];
      readonly reservedAt: number;
    }
  /** A child has come to its end. */
  | {
      readonly op: 'endChild';
      readonly path: string;
      readonly run: string;
      /** The id that it was started with. */
      readonly first: string;
      readonly status: RunEventData['child.ended']['status'];
      readonly output: Payload | null;
      readonly failure: Failure | null;
      readonly taint?: readonly string[];
    }
  /** `id` names the signal within the run: a second one of the same id is the same signal. */
  | {
      readonly op: 'signal';
      readonly id: string;
      readonly name: string;
      readonly by: string;
      readonly data: Payload | null;
      readonly mail?: Mail;
      readonly failure?: Failure;
      readonly taint?: readonly string[];
    }
  /** Admission lets an inference go on that waits. `reservedAt`: since when it draws on the counters that its grant names. */
  | {
      readonly op: 'admitInference';
      readonly path: string;
      readonly attempt: number;
      readonly grant: InferenceGrant;
      readonly reservedAt: number;
    }
  /** An event of a topic for the wait that was opened by event `opened`. */
  | {
      readonly op: 'giveEvent';
      readonly path: string;
      readonly opened: number;
      readonly event: TopicEventRef;
      readonly data: Payload | null;
    }
  | ReviewCommand
  /** `fireAt`: for when it was set, as whoever fires it has seen it; a run may have set it anew since. */
  | { readonly op: 'fireTimer'; readonly name: string; readonly fireAt?: number }
  | { readonly op: 'cancel'; readonly reason: string | null; readonly by: string; readonly graceMs: number }
  /**
   * Sends a run that has failed or was cancelled back to work. `deadLetter`: only where that is the open one of the run, else
   * it was done before. `edit`: with another input for a call, a step, or the body (`path` null).
   */
  | {
      readonly op: 'redrive';
      readonly by: string;
      readonly reason?: string;
      readonly deadLetter?: string;
      readonly bulk?: string;
      readonly edit?: { readonly path: string | null; readonly input: Payload };
    }
  /** Moves the run to another version of its workflow; null = to none. */
  | { readonly op: 'migrate'; readonly to: string | null; readonly by: string };

/** What asks for an intent: it is answered by an `IntentEntry` of its path and attempt, if it may be done at all. */
export type IntentCommand = Extract<BodyCommand, { readonly op: 'beginStep' | 'infer' | 'beginInference' }>;

/** True for a command that asks for an intent. */
export function asksForIntent(command: BodyCommand): command is IntentCommand {
  return command.op === 'beginStep' || command.op === 'infer' || command.op === 'beginInference';
}

/** A command by which a body ends its run, or gives it up. */
export type EndCommand = Extract<
  BodyCommand,
  { readonly op: 'succeed' | 'fail' | 'refuse' | 'continueAsNew' | 'endCancelled' | 'abandon' }
>;

const ends: ReadonlySet<string> = new Set<EndCommand['op']>([
  'succeed',
  'fail',
  'refuse',
  'continueAsNew',
  'endCancelled',
  'abandon',
]);

/** True for a command by which a body ends its run, or gives it up. */
export function isEnd(command: BodyCommand): command is EndCommand {
  return ends.has(command.op);
}

/** True for a command after which the life of the body is over: an end, or leaving memory. */
export function endsOrParks(command: BodyCommand): boolean {
  return command.op === 'park' || isEnd(command);
}
