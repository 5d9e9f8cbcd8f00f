/**
 * The events of a run: the only thing the state of a run is made of. `data` is ours (small, bounded, never user
 * content); user content is the payload beside it. Adding an event type or a field is a change of the stored format:
 * see docs/reference/events.md.
 */
import type { Feedback } from '../admission/feedback.js';
import type { Failure } from '../failure.js';
import type { Payload } from '../payload.js';
import type { RemedyPolicy, TakenRemedy } from '../remedies.js';
import type { RetryPolicy } from '../retry.js';
import type { SkipReason } from '../graph/graph.js';
import type { Counted } from '../tools/judge.js';
import type { ToolApproval } from '../tools/policy.js';
import type {
  AmbiguityPolicy,
  CachedFrom,
  DecisionNote,
  InferenceAsk,
  InferenceGrant,
  InferenceHop,
  InferenceOutcome,
  PromptVersion,
  TokenUsage,
} from './inference.js';
import type { AgentIdentity, Mail, SendTarget } from './mail.js';
import type { DeliveryOrder } from '../webhooks/delivery-order.js';
import type { Satisfaction, WaitOn } from './waits.js';

/** What may happen again after a crash in mid-effect: run it again, run it again with the same key, or do not guess. */
export type Effect = 'pure' | 'idempotent' | 'external';

/** Where a child run stands with the run that started it. */
export interface ParentLink {
  readonly run: string;
  /** Path of the child in the parent. */
  readonly path: string;
  /** Cancelled when the parent ends first. */
  readonly attached: boolean;
  /** Parents above: 1 for the child of a run that has none. */
  readonly depth: number;
  /** The id that the child was started with, where it went on in others since. Absent = its own. */
  readonly first?: string;
}

/** The event that started a run. */
export interface RunTrigger {
  readonly topic: string;
  readonly eventId: string;
  /** Id of the schema that the event was written under. Absent = none, or the schema has no versions. */
  readonly schema?: string;
  /** The subscription that has started it, and where the event is. Absent = the workflow is of the topic itself (`on`). */
  readonly subscription?: {
    readonly name: string;
    readonly partition: number;
    readonly offset: number;
    /** Topic that is told if the run becomes a dead letter. Absent = none. */
    readonly dead?: string;
  };
}

/** Who writes a stream: a later attempt, or the same one after a crash, is another, whose chunks may be others. */
export interface StreamWriter {
  readonly attempt: number;
  readonly lease: string;
}

export interface RunEventData {
  /** Payload: the input. */
  'run.started': {
    readonly workflow: string;
    readonly version: string | null;
    readonly priority: number;
    /** Ms after the start at which the run fails with class `timeout`; null = never. */
    readonly timeoutMs: number | null;
    /** The body does not begin before this instant, from which its timeout counts. Absent = at once. */
    readonly startAt?: number;
    /** How long the ended run is kept; null = for ever. */
    readonly retainMs: number | null;
    /** Topic to which the result is published, if declared. */
    readonly completes: string | null;
    readonly activationDeadlineMs: number;
    readonly activationRetry: RetryPolicy;
    readonly trigger: RunTrigger | null;
    readonly labels: Readonly<Record<string, string>> | null;
    readonly idempotencyKey: string | null;
    /** Id shared by all that follows from one request; inherited by every later event of the run. */
    readonly correlation: string | null;
    /** W3C trace context of the request. */
    readonly traceparent: string | null;
    /** The run that started this one and may be waiting for its end. Absent = none. */
    readonly parent?: ParentLink;
    /** The run that this one goes on from (`ctx.continueAsNew`). Absent = none. */
    readonly continues?: string;
    /** The run has a graph (`graph.started` follows) and no body. Absent = it has a body. */
    readonly graph?: true;
    /** The agent key that the run stands for; the workflow has the name of the agent. Absent = none. */
    readonly agent?: AgentIdentity;
    /** Who is told of the end of the run: a URL. Absent = nobody. */
    readonly notify?: string;
    /** The message that the run is to deliver. Absent = it is no delivery. */
    readonly delivery?: DeliveryOrder;
    /** Where untrusted text has come from that the run which began this one had read. Absent = it had read none. */
    readonly taint?: readonly string[];
  };
  /** Payload: the graph that the run goes by, whatever is deployed later. */
  'graph.started': { readonly nodes: number };
  /** `condition`: its own does not hold. `upstream`: what it comes after was skipped. */
  'node.skipped': { readonly path: string; readonly reason: SkipReason };
  /** The node could not be begun: there is nothing that it could be given, or nobody that could be asked. */
  'node.failed': { readonly path: string; readonly failure: Failure };
  /** The intent of a step with an external effect; recorded before the effect. */
  'step.started': { readonly path: string; readonly attempt: number; readonly effect: Effect };
  /** Payload: the result, or the pair [input, result] where `withInput`. */
  'step.completed': {
    readonly path: string;
    readonly attempt: number;
    readonly durationMs: number;
    readonly withInput: boolean;
  };
  /** `remedy`, here and below: what is done about the failure. Absent = it was recorded before remedies were. */
  'step.retrying': {
    readonly path: string;
    readonly attempt: number;
    readonly retryAt: number;
    readonly failure: Failure;
    readonly remedy?: TakenRemedy;
  };
  /** The pause before the next attempt is over. */
  'step.due': { readonly path: string; readonly attempt: number };
  /** `withInput`: the step is given an input, which a person may edit. Absent = it has none. */
  'step.failed': {
    readonly path: string;
    readonly attempt: number;
    readonly failure: Failure;
    readonly remedy?: TakenRemedy;
    readonly withInput?: true;
  };
  /** Payload: the input. */
  'call.scheduled': {
    readonly path: string;
    readonly capability: string;
    readonly queue: string;
    readonly deadlineMs: number;
    readonly retry: RetryPolicy;
    readonly effect: Effect;
    readonly priority: number;
    /** Limits that it has to be admitted under (`call.admitted`) before it is queued. Absent = none. */
    readonly limits?: readonly string[];
    /** What is done about its failures, where that was declared. */
    readonly remedies?: RemedyPolicy;
  };
  /** Admission has let the attempt go on. `limits`: keys of the counters that it draws on, `reservedAt`: since when. */
  'call.admitted': {
    readonly path: string;
    readonly attempt: number;
    readonly limits: readonly string[];
    readonly reservedAt: number;
  };
  /** `feedback`, of this and all that end an attempt: what the other side says of its own limits; absent = nothing. */
  'call.retrying': {
    readonly path: string;
    readonly attempt: number;
    readonly retryAt: number;
    readonly failure: Failure;
    readonly remedy?: TakenRemedy;
    readonly feedback?: Feedback;
  };
  /** Payload: the result. */
  'call.completed': {
    readonly path: string;
    readonly attempt: number;
    readonly worker: string;
    readonly durationMs: number;
    readonly feedback?: Feedback;
  };
  'call.failed': {
    readonly path: string;
    readonly attempt: number;
    readonly failure: Failure;
    readonly remedy?: TakenRemedy;
    readonly feedback?: Feedback;
  };
  /**
   * A model is to be asked. With a `grant` this is the intent: the provider is called after it is committed. Without one
   * the inference waits for admission, or, where it is `shut`, until the breaker of its endpoint lets it ask again, or
   * the pause that the endpoint has asked for is over (`paused`); null = it does not wait for that. `first`: `seq` of the first request of the path, absent = this is it; `version`: what is to be
   * asked of the model, in the grant where there is one; `recalled`: nobody is called, since an answer that is kept serves, or
   * only such a one would: what it came to is in the same commit. Payload: the request.
   */
  'inference.requested': {
    readonly path: string;
    readonly attempt: number;
    readonly first?: number;
    readonly version?: string;
    readonly shut?: { readonly endpoint: string; readonly until: number | null; readonly paused?: true };
    readonly recalled?: true;
    readonly grant: InferenceGrant | null;
  } & InferenceAsk;
  /**
   * What had to wait may go on; the body says so (`inference.begun`) before it calls the provider. `reservedAt`: since when it
   * draws on the counters that its grant names; absent in events from before that was told.
   */
  'inference.admitted': {
    readonly path: string;
    readonly attempt: number;
    readonly grant: InferenceGrant;
    readonly reservedAt?: number;
  };
  /** The intent of an inference that had to wait: the provider is called after this is committed. */
  'inference.begun': { readonly path: string; readonly attempt: number };
  /** The provider has named the answer that is on its way. */
  'inference.identified': { readonly path: string; readonly attempt: number; readonly providerId: string };
  /** Nobody knows whether the provider was called, or what it said: its worker died. `policy`: what is done about it. */
  'inference.ambiguous': { readonly path: string; readonly attempt: number; readonly policy: AmbiguityPolicy };
  /** Payload: the answer. `cached`: it was given before, and nobody was called. */
  'inference.completed': {
    readonly path: string;
    readonly attempt: number;
    readonly cached?: CachedFrom;
    readonly feedback?: Feedback;
  } & InferenceOutcome;
  /** `usage`: what the failed call has taken all the same; null = nothing is known of it. */
  'inference.retrying': {
    readonly path: string;
    readonly attempt: number;
    readonly retryAt: number;
    readonly failure: Failure;
    readonly remedy?: TakenRemedy;
    readonly usage: TokenUsage | null;
    readonly costMicros: number;
    readonly feedback?: Feedback;
  };
  /** The pause before the next attempt is over. */
  'inference.due': { readonly path: string; readonly attempt: number };
  'inference.failed': {
    readonly path: string;
    readonly attempt: number;
    readonly failure: Failure;
    readonly remedy?: TakenRemedy;
    readonly usage: TokenUsage | null;
    readonly costMicros: number;
    readonly feedback?: Feedback;
  };
  /**
   * What was decided by a model, or by a rule or a person in its place, and on what grounds: for people and auditors. `input`:
   * `seq` of the request of the attempt, `output`: `seq` of the answer. Of a rule or a person `arm` is `rule` or `person`, `path`
   * that of its step or approval, and `model` the one that was asked last.
   */
  'decision.recorded': {
    readonly path: string;
    readonly attempt: number;
    readonly model: string;
    readonly version: string;
    readonly arm: string;
    readonly endpoint: string;
    readonly fingerprint: string;
    readonly input: number;
    readonly output: number;
    readonly finish: string;
    readonly usage: TokenUsage;
    readonly costMicros: number;
    readonly latencyMs: number;
    readonly firstPartMs: number | null;
    /** Attempts before this one, and how they failed. */
    readonly hops: readonly InferenceHop[];
    readonly prompt?: PromptVersion;
    readonly cached?: CachedFrom;
    /** Who has decided, and what they have said of it. Absent = a model. */
    readonly by?: string;
    readonly comment?: string;
  } & DecisionNote;
  /**
   * A verdict on a call of a tool that a model has asked for: `allowed`, `refused`, or `ask`, where a person has the say first.
   * `of`: path of the work; `rule`: by which rule of the app, or order of an operator (`order:<name>`), empty = by none;
   * `hash`: of tool and arguments; `taint`: where untrusted text has come from that may have led to it; `counted`: amounts by
   * rule and argument that count in quotas; `approval`: path of the approval by which it is allowed. Payload: the arguments,
   * absent where they were too large to be looked at.
   */
  'tool.judged': {
    readonly path: string;
    readonly of: string;
    readonly tool: string;
    readonly effect: Effect;
    readonly verdict: 'allowed' | 'refused' | 'ask';
    readonly rule: string;
    readonly hash: string;
    readonly taint: readonly string[];
    readonly why?: string;
    readonly approve?: ToolApproval;
    readonly counted?: Counted;
    readonly approval?: string;
  };
  'timer.set': { readonly path: string; readonly fireAt: number };
  'timer.fired': { readonly path: string };
  'event.emitted': { readonly path: string; readonly topic: string; readonly eventId: string };
  /** Payload: the value. `index` counts the reports of the run from 0. */
  'progress.reported': { readonly index: number };
  /** A run of its own was started in the same commit. `attached`: it is cancelled when this run ends before it. */
  'child.started': {
    readonly path: string;
    readonly run: string;
    readonly workflow: string;
    readonly attached: boolean;
  };
  /** The child is no longer wanted. It is told, and ends when it has cleaned up. */
  'child.cancel_requested': { readonly path: string; readonly reason: string | null };
  /** Payload: the output of a child that succeeded. `failure`: why any other did not. */
  'child.ended': {
    readonly path: string;
    readonly run: string;
    readonly status: 'succeeded' | 'failed' | 'cancelled' | 'refused';
    readonly failure: Failure | null;
    /** Where untrusted text has come from that the child had read. Absent = it had read none. */
    readonly taint?: readonly string[];
  };
  /**
   * A step or call has written to a stream. `attempt` counts how often the stream was begun, 0 where the body itself
   * writes it; one that is higher than the one before: it begins anew, and what came before is no longer meant. `offset`
   * counts the chunks of the stream over all attempts. `writer`: the attempt of the step or call, and the lease (task and
   * token) under which it ran; absent of the body. Payload: the chunks.
   */
  'stream.appended': {
    readonly path: string;
    readonly attempt: number;
    readonly offset: number;
    readonly count: number;
    readonly writer?: StreamWriter;
  };
  /** Something was fetched that others may use as well. Payload: the value. */
  'context.put': {
    readonly path: string;
    readonly name: string;
    readonly key: string;
    readonly version: string | null;
  };
  /** What was fetched before was used again. */
  'context.used': { readonly path: string; readonly name: string; readonly key: string };
  /** Fetched by the run that caused this one, at `fetchedAt`. Payload: the value. */
  'context.inherited': {
    readonly name: string;
    readonly key: string;
    readonly version: string | null;
    readonly fetchedAt: number;
  };
  /** A race between branches was decided; the losers are aborted. */
  'race.decided': { readonly path: string; readonly winner: string };
  /** Sent to the run from outside, whether or not somebody waits for it. Payload: its data. `id` is unique in the run. */
  'signal.received': {
    readonly id: string;
    readonly name: string;
    readonly by: string;
    /** A message to the agent that the run stands for. Absent = a plain signal. */
    readonly mail?: Mail;
    /** An answer that says why there is none. Absent = it is one. */
    readonly failure?: Failure;
    /** Where untrusted text has come from that the run which sent it had read. Absent = it had read none. */
    readonly taint?: readonly string[];
  };
  /** A message, or the answer to one, is on its way. Payload: its data. */
  'message.sent': {
    readonly path: string;
    readonly to: SendTarget;
    /** Where untrusted text has come from that the run had read. Absent = it had read none. */
    readonly taint?: readonly string[];
  };
  /**
   * An agent has given up on a message (event `message` of the run) and goes on without it. It is a dead letter.
   */
  'message.buried': {
    readonly path: string;
    readonly message: number;
    readonly attempts: number;
    readonly failure: Failure;
    readonly deadLetter: string;
  };
  /** Payload of an approval: what is shown, and the schema of its form. `expiresAt`: when the wait gives up; null = never. */
  'wait.opened': { readonly path: string; readonly on: WaitOn; readonly expiresAt: number | null };
  /** Payload: the data of the event, or the form and comment of the decision; that of a signal lies with the signal. */
  'wait.satisfied': { readonly path: string; readonly by: Satisfaction };
  'wait.expired': { readonly path: string };
  /** The body has given the wait up. `returned`: what had satisfied it was never handed over, and is there for others. */
  'wait.cancelled': { readonly path: string; readonly returned: boolean };
  'approval.delegated': { readonly path: string; readonly by: string; readonly to: readonly string[] };
  /** Nobody has decided for so long that others are asked as well. `level` counts from 1. */
  'approval.escalated': { readonly path: string; readonly level: number; readonly to: readonly string[] };
  /** Payload: the text. */
  'approval.commented': { readonly path: string; readonly by: string };
  /** The body left memory; the next event that concerns it opens a new activation. */
  'run.parked': Record<string, never>;
  /** The activation ended without an outcome: its worker died, hung or failed to load. `progressed` resets the count. */
  'activation.retrying': {
    readonly attempt: number;
    readonly retryAt: number;
    readonly progressed: boolean;
    readonly failure: Failure;
  };
  'run.cancel_requested': { readonly reason: string | null; readonly by: string; readonly graceMs: number };
  /** Payload: the output. `taint`, for the run that has started it: where untrusted text has come from that it had read. */
  'run.succeeded': { readonly taint?: readonly string[] };
  /** `path` is the step whose failure ended the run, null where the body itself failed. Ends in a dead letter. */
  'run.failed': { readonly failure: Failure; readonly path: string | null; readonly deadLetter: string };
  'run.cancelled': { readonly reason: string | null; readonly forced: boolean };
  /** The body goes on in another run, which was started in the same commit with a history of its own. */
  'run.continued': { readonly next: string };
  /** The body ended the run on purpose with `Terminal`. Payload: its data. */
  'run.refused': { readonly code: string; readonly taint?: readonly string[] };
  /** A person moved the run to another version of its workflow; null = none. The body begins anew in that version. */
  'run.migrated': { readonly by: string; readonly from: string | null; readonly to: string | null };
  /** A person sent a dead run back to work; the listed steps, of a graph the listed nodes, forget their failure. */
  'run.redriven': {
    readonly by: string;
    readonly paths: readonly string[];
    readonly deadLetter: string;
    /** Paths of children that go on, those that had failed from their own failure. Absent = none. */
    readonly children?: readonly string[];
    /** Why, in the words of whoever did it. Absent = nothing was said. */
    readonly reason?: string;
    /** The redrive of many by a filter that this one is part of. Absent = it was meant alone. */
    readonly bulk?: string;
  };
  /**
   * A person gave what failed another input, in the commit that sends the run back to work. Payload: the input. `path`: the
   * call or step that is given it whenever it is begun from here on; null = the body.
   */
  'input.edited': {
    readonly path: string | null;
    readonly by: string;
    readonly reason: string | null;
    readonly deadLetter: string;
  };
}

export type RunEventType = keyof RunEventData;

/** An event as decided, before it is given its envelope. */
export type NewRunEvent = {
  [T in RunEventType]: { readonly type: T; readonly data: RunEventData[T]; readonly payload?: Payload };
}[RunEventType];

/** An event as read back: decided, numbered and dated. */
export type RunEvent = NewRunEvent & { readonly seq: number; readonly at: number };

/** The types that a workflow body waits for; they wake a parked run. */
const waking: ReadonlySet<RunEventType> = new Set([
  'step.due',
  'call.completed',
  'call.failed',
  'inference.admitted',
  'inference.due',
  'timer.fired',
  'child.ended',
  'wait.satisfied',
  'wait.expired',
  'run.cancel_requested',
  'run.redriven',
] as const);

export function wakes(type: RunEventType): boolean {
  return waking.has(type);
}

/** An attempt of a piece of work that came to nothing, whether it is made again or not. */
export type FailedAttempt = Extract<
  RunEvent,
  { readonly type: `${'step' | 'call' | 'inference'}.${'retrying' | 'failed'}` }
>;

export function isFailedAttempt(event: RunEvent): event is FailedAttempt {
  switch (event.type) {
    case 'step.retrying':
    case 'step.failed':
    case 'call.retrying':
    case 'call.failed':
    case 'inference.retrying':
    case 'inference.failed':
      return true;
    default:
      return false;
  }
}
