/**
 * Decisions over the inferences of a run. Who grants is asked through the context; everything else follows from the state.
 *
 * Invariant: of one attempt at most one outcome is recorded, and the intent of an attempt is recorded before anybody may
 * call the provider for it.
 */
import type { Feedback } from '../admission/feedback.js';
import { remedyText } from '../remedies.js';
import { limits } from '../limits.js';
import type { BodyCommand, RunCommand } from './commands.js';
import { accept, already, refused, type Decision } from './decision.js';
import type { NewRunEvent } from './events.js';
import { payloadOfJson, jsonOf } from '../codec.js';
import { cachedFrom, chunksOfText, textOfAnswer, type RecalledAnswer } from '../models/prediction.js';
import {
  ambiguousFailure,
  isGranted,
  leadsToRetry,
  nothingKept,
  shutFailureOf,
  type DecidesFor,
  type DecisionNote,
  type InferenceAsk,
  type InferenceGrant,
  type InferenceTicket,
  type InferenceWait,
} from './inference.js';
import { knownTaint } from './decide-tools.js';
import { leftMsOf, remedied } from './remedied.js';
import { hopsBefore, type InferenceUnit, type RunState } from './state.js';

/** What decisions over inferences are told of the world. */
export interface InferenceContext {
  readonly now: number;
  readonly random: number;
  /** The task under whose lease the command comes, and the token of the lease. */
  readonly task: string | null;
  readonly token: number;
  /** Leave to call the model, or what it has to wait for; null = there is no such model. */
  admit(ticket: InferenceTicket): InferenceGrant | InferenceWait | null;
  /** An answer from before that serves; null = there is none. */
  recall(ticket: InferenceTicket): RecalledAnswer | null;
}

type Command<Op extends RunCommand['op']> = Extract<RunCommand, { readonly op: Op }>;

/** The commands of a body that are decided here. */
export type InferenceCommand = Extract<
  BodyCommand,
  {
    readonly op:
      | 'infer'
      | 'beginInference'
      | 'identifyInference'
      | 'completeInference'
      | 'failInference'
      | 'settleAmbiguity';
  }
>;

export function decideInference(state: RunState, command: InferenceCommand, context: InferenceContext): Decision {
  const unit = state.units.get(command.path);
  if (unit !== undefined && unit.kind !== 'inference') return refused('path_in_use');
  if (command.op === 'infer') return decideRequest(state, unit, command, context);
  // The first recorded outcome never changes; and of an attempt that another has followed nothing more is heard.
  if (unit === undefined || isSettled(unit) || unit.attempt !== command.attempt) return already;
  const { path, attempt } = command;
  switch (command.op) {
    case 'beginInference':
      return unit.status === 'admitted' ? accept({ type: 'inference.begun', data: { path, attempt } }) : already;
    case 'identifyInference': {
      const { providerId } = command;
      if (unit.status !== 'begun' || unit.providerId !== null) return already;
      return accept({ type: 'inference.identified', data: { path, attempt, providerId } });
    }
    case 'settleAmbiguity':
      return unit.status === 'begun' ? ambiguous(unit, command) : already;
    case 'completeInference':
      return unit.status === 'begun' ? completed(state, unit, command) : already;
    case 'failInference':
      return decideFailure(state, unit, command, context);
  }
}

function isSettled({ status }: InferenceUnit): boolean {
  return status === 'completed' || status === 'failed' || status === 'cancelled';
}

function decideRequest(
  state: RunState,
  unit: InferenceUnit | undefined,
  { path, attempt, ask, request }: Command<'infer'>,
  context: InferenceContext,
): Decision {
  // Also a repeat of what was answered before.
  if (unit !== undefined && (unit.status !== 'due' || unit.attempt !== attempt)) return already;
  const { tenant, run, workflow, priority } = state;
  const first = unit?.first ?? state.head + 1;
  const pinned = state.arms.get(ask.model) ?? null;
  const ticket: InferenceTicket = { tenant, run, workflow, priority, path, attempt, first, pinned, ask };
  const asked = { path, attempt, ...(unit === undefined ? {} : { first }), ...known(ask) };
  const kept = ask.cache === undefined ? null : context.recall(ticket);
  if (kept !== null) return decideRecalled(state, unit, asked, kept, request, context);
  if (ask.cache?.onlyOf !== undefined)
    return accept(
      { type: 'inference.requested', data: { ...asked, recalled: true, grant: null }, payload: request },
      { type: 'inference.failed', data: { path, attempt, failure: nothingKept, usage: null, costMicros: 0 } },
    );
  const answer = context.admit(ticket);
  if (answer === null) return refused('unknown_model');
  const hops = !isGranted(answer) && answer.until !== null && ask.chain?.isLast === false;
  const requested: NewRunEvent = {
    type: 'inference.requested',
    data: { ...asked, ...(isGranted(answer) ? { grant: answer } : waiting(answer, hops)) },
    payload: request,
  };
  if (!hops) return accept(requested);
  // Somebody else can be asked: it is for that to be tried before anybody waits.
  return accept(requested, {
    type: 'inference.failed',
    data: { path, attempt, failure: shutFailureOf(answer), remedy: { name: 'fallback' }, usage: null, costMicros: 0 },
  });
}

/** Whatever is declared, it is not called without end: it may be what its workers die of, and each call may be paid. */
function ambiguous(unit: InferenceUnit, { path, attempt, policy }: Command<'settleAmbiguity'>): Decision {
  if (!leadsToRetry(policy) || unit.ambiguous + 1 < limits.inferenceAmbiguousMax)
    return accept({ type: 'inference.ambiguous', data: { path, attempt, policy } });
  return accept(
    { type: 'inference.ambiguous', data: { path, attempt, policy: 'dead-letter' } },
    {
      type: 'inference.failed',
      data: { path, attempt, failure: ambiguousFailure(path), usage: null, costMicros: 0 },
    },
  );
}

/** What is known by its name: whatever else a worker may send is not recorded. */
function known({
  model,
  fingerprint,
  estimate,
  policy,
  streamed,
  deadlineMs,
  chain,
  reroute,
  cache,
  prompt,
  taint,
}: InferenceAsk): InferenceAsk {
  return {
    model,
    fingerprint,
    estimate,
    policy,
    streamed,
    deadlineMs,
    ...(chain === undefined ? {} : { chain }),
    ...(reroute === undefined ? {} : { reroute }),
    ...(cache === undefined ? {} : { cache }),
    ...(prompt === undefined ? {} : { prompt }),
    ...(taint === undefined ? {} : { taint: knownTaint(taint) }),
  };
}

type Asked = Omit<Extract<NewRunEvent, { type: 'inference.requested' }>['data'], 'grant'>;

const nothingUsed = { inputTokens: 0, cachedInputTokens: 0, outputTokens: 0 };

/** An answer that is kept takes the place of the call: request, stream, answer and grounds are one commit. */
function decideRecalled(
  state: RunState,
  unit: InferenceUnit | undefined,
  asked: Asked,
  kept: RecalledAnswer,
  request: Command<'infer'>['request'],
  context: InferenceContext,
): Decision {
  const { path, attempt, model, fingerprint, cache, prompt, chain } = asked;
  const { version, endpoint, finish, confidence, alternatives } = kept;
  const cached = cachedFrom(kept);
  // A run stays with the version that it asks; an answer of another one, which serves since nobody else does, changes nothing in that.
  const isOfAny = cache?.onlyOf !== undefined;
  const shown = cache?.shown === true ? shownAnswer(state, path, attempt, kept, context) : [];
  return accept(
    {
      type: 'inference.requested',
      data: { ...asked, ...(isOfAny ? {} : { version }), recalled: true, grant: null },
      payload: request,
    },
    ...shown,
    {
      type: 'inference.completed',
      data: {
        path,
        attempt,
        usage: nothingUsed,
        costMicros: 0,
        finish,
        durationMs: 0,
        firstPartMs: null,
        providerId: null,
        cached,
      },
      payload: kept.answer,
    },
    {
      type: 'decision.recorded',
      data: {
        path,
        attempt,
        model: isOfAny ? kept.model : model,
        version,
        arm: isOfAny ? 'cached' : version,
        endpoint,
        fingerprint,
        input: state.head + 1,
        output: state.head + shown.length + 2,
        finish,
        usage: nothingUsed,
        costMicros: 0,
        latencyMs: 0,
        firstPartMs: null,
        hops: unit?.hops ?? hopsBefore(state, chain?.after ?? null),
        ...(prompt === undefined ? {} : { prompt }),
        cached,
        confidence,
        alternatives,
        rules: [],
      },
    },
  );
}

/** The text of the answer, for the readers of the stream: all of it at once. */
function shownAnswer(
  state: RunState,
  path: string,
  attempt: number,
  { answer }: RecalledAnswer,
  { task, token }: InferenceContext,
): NewRunEvent[] {
  const stream = state.streams.get(path);
  // What nobody could write, nobody can read.
  if (stream === undefined && state.streams.size >= limits.streamsPerRunMax) return [];
  const begun = (stream?.attempt ?? 0) + 1;
  const writer = { attempt, lease: `${task}.${token}` };
  return chunksOfText(textOfAnswer(jsonOf(answer))).map((chunk, i) => ({
    type: 'stream.appended',
    data: { path, attempt: begun, offset: (stream?.next ?? 0) + i, count: 1, writer },
    payload: payloadOfJson([chunk]),
  }));
}

type Waiting = Pick<Extract<NewRunEvent, { type: 'inference.requested' }>['data'], 'version' | 'shut' | 'grant'>;

function waiting({ version, endpoint, until, paused }: InferenceWait, hops: boolean): Waiting {
  if (until === null) return { version, grant: null };
  return {
    version,
    shut: { endpoint, until: hops ? null : until, ...(paused === undefined ? {} : { paused }) },
    grant: null,
  };
}

function completed(
  { head }: RunState,
  unit: InferenceUnit,
  { path, attempt, outcome, result, note, feedback }: Command<'completeInference'>,
): Decision {
  const { usage, costMicros, finish, durationMs, firstPartMs, providerId } = outcome;
  const { ask, grant, request, hops } = unit;
  return accept(
    {
      type: 'inference.completed',
      data: { path, attempt, usage, costMicros, finish, durationMs, firstPartMs, providerId, ...said(feedback) },
      payload: result,
    },
    {
      type: 'decision.recorded',
      data: {
        path,
        attempt,
        model: ask.model,
        version: grant?.version ?? '',
        arm: grant?.arm ?? '',
        endpoint: grant?.endpoint ?? '',
        fingerprint: ask.fingerprint,
        input: request,
        output: head + 1,
        finish,
        usage,
        costMicros,
        latencyMs: durationMs,
        firstPartMs,
        hops,
        ...(ask.prompt === undefined ? {} : { prompt: ask.prompt }),
        confidence: note.confidence,
        alternatives: note.alternatives.slice(0, limits.decisionAlternativesMax),
        rules: rulesOf(unit, note),
        ...(note.remedy === undefined ? {} : { remedy: note.remedy }),
      },
    },
  );
}

/** Remedies that led to the answer, and what its worker says of it. */
function rulesOf({ hops }: InferenceUnit, note: DecisionNote): readonly string[] {
  const taken = hops.flatMap(({ class: kind, remedy }) =>
    remedy === undefined ? [] : [`${kind}: ${remedyText(remedy)}`.slice(0, limits.decisionTextLengthMax)],
  );
  const repair = note.remedy === undefined ? [] : [`invalid_output: ${remedyText(note.remedy)}`];
  return [...new Set([...note.rules, ...repair, ...taken])].slice(0, limits.decisionRulesMax);
}

/** What was begun may be tried again. What waits or pauses can only be given up, and a failure that is told twice is not that. */
function decideFailure(
  state: RunState,
  unit: InferenceUnit,
  { path, attempt, failure, usage, costMicros, retry, choice, can, feedback }: Command<'failInference'>,
  { now, random }: InferenceContext,
): Decision {
  const isBegun = unit.status === 'begun';
  if (!isBegun && failure.class !== 'cancelled') return already;
  const { chain } = unit.ask;
  const found = {
    failure,
    choice: choice ?? 'auto',
    retry,
    attempt: unit.failures + 1,
    can: can ?? (chain?.isLast === false ? { fallback: true as const } : {}),
    leftMs: leftMsOf(state, now, chain?.until ?? null),
    random,
  };
  const next = remedied(found);
  if (next.tag === 'over' || !isBegun)
    return accept({
      type: 'inference.failed',
      data: { path, attempt, ...next.told, usage, costMicros, ...said(feedback) },
    });
  const retryAt = now + next.delayMs;
  return accept({
    type: 'inference.retrying',
    data: { path, attempt, retryAt, ...next.told, usage, costMicros, ...said(feedback) },
  });
}

function said(feedback: Feedback | undefined): { readonly feedback?: Feedback } {
  return feedback === undefined ? {} : { feedback };
}

/** The ticket of an inference that waits is served. */
export function decideAdmission({ units }: RunState, command: Command<'admitInference'>): Decision {
  const { path, attempt, grant, reservedAt } = command;
  const unit = units.get(path);
  if (unit?.kind !== 'inference' || unit.status !== 'held' || unit.attempt !== attempt) return already;
  return accept({ type: 'inference.admitted', data: { path, attempt, grant, reservedAt } });
}

/**
 * The record of what a rule or a person has decided where no model had an answer. Null = no inference was asked before it.
 * `output`: the event that has their answer.
 */
export function decidedInstead(
  state: RunState,
  path: string,
  { after, rule }: DecidesFor,
  output: number,
  said: { readonly by: string; readonly comment: string | null },
): NewRunEvent | null {
  const unit = state.units.get(after);
  if (unit?.kind !== 'inference') return null;
  const { ask, request } = unit;
  const { by, comment } = said;
  return {
    type: 'decision.recorded',
    data: {
      path,
      attempt: 1,
      model: ask.model,
      version: '',
      arm: rule === undefined ? 'person' : 'rule',
      endpoint: '',
      fingerprint: ask.fingerprint,
      input: request,
      output,
      finish: 'stop',
      usage: nothingUsed,
      costMicros: 0,
      latencyMs: 0,
      firstPartMs: null,
      hops: hopsBefore(state, after),
      ...(ask.prompt === undefined ? {} : { prompt: ask.prompt }),
      by: by.slice(0, limits.nameLengthMax),
      ...(comment === null ? {} : { comment: comment.slice(0, limits.decisionCommentLengthMax) }),
      confidence: null,
      alternatives: [],
      rules: rule === undefined ? [] : [rule.slice(0, limits.decisionTextLengthMax)],
    },
  };
}
