/**
 * Capabilities as values: a named kind of work that some pool of workers offers, with its own queue and scaling. The
 * definition is shared by callers (`ctx.call`) and by the pool, which joins it to its code with `implement`.
 */
import type { HeaderSource } from '../core/admission/feedback.js';
import type { Duration } from '../core/duration.js';
import { limits } from '../core/limits.js';
import type { PathName } from '../core/paths.js';
import type { RemedyPolicy } from '../core/remedies.js';
import type { RetryPolicy } from '../core/retry.js';
import type { Effect } from '../core/run/events.js';
import type { InferInput, InferOutput, StandardSchema } from '../core/standard-schema.js';
import { doBatch, readBatching, type BatchContext, type Batching, type BatchOptions } from './call-batch.js';
import { readLimits, type Limit } from './limit.js';
import type { Log } from './log.js';
import { OptionFaults } from './options.js';
import { readRemedies } from './remedy-options.js';
import { readRetry, type RetryOptions } from './retry-options.js';
import type { StreamWriter } from './stream-writer.js';

/** Options of `capability`. */
export interface CapabilityOptions<I extends StandardSchema, O extends StandardSchema> {
  /** Schema of the input, checked before the handler runs. Default: anything. */
  readonly input?: I;
  /** Schema of the result, checked after the handler has run. Default: anything. */
  readonly output?: O;
  /** What may happen again after a crash in mid-work. Default `idempotent`: it runs again with the same idempotency key. */
  readonly effect?: Effect;
  /** Longest time of one attempt: the signal is aborted and the attempt fails with class `timeout`. Default 5 min. */
  readonly timeout?: Duration;
  /** Longest time of one attempt under one lease, after which a hung worker loses it. Default: the timeout. */
  readonly deadline?: Duration;
  /** Default: 4 attempts, pauses up to 60 s. */
  readonly retry?: RetryOptions;
  /** What is done about its failures, by class. Default: what the app says, then `auto`. */
  readonly remedies?: RemedyPolicy;
  /** What each attempt has to find room in before it is queued. It waits where there is none. Default: nothing. */
  readonly limits?: readonly Limit[];
}

/** What a handler is given beside its input. */
export interface HandlerContext {
  /** Aborted when the result is no longer wanted: cancellation, timeout, drain, lost lease. */
  readonly signal: AbortSignal;
  /** Attempt of the call, from 1. */
  readonly attempt: number;
  /** The same for every attempt; hand it to whoever performs the effect. */
  readonly idempotencyKey: string;
  readonly log: Log;
  readonly run: { readonly id: string; readonly tenant: string };
  /**
   * A stream that readers of the run follow while the call is at work; unnamed, it is the stream of the call's own path.
   * Asked for twice it is the same. A later attempt begins it anew, which readers are told.
   */
  stream(name?: PathName): StreamWriter;
  /**
   * Says what whoever is called says of its own limits: its headers (`Retry-After`, `x-ratelimit-*`, `anthropic-ratelimit-*`),
   * as `fetch` gives them or as a record. It holds for limits that count by `capability`, and for pauses of all calls of the
   * capability that limits concern; the last word counts. Headers of what the handler throws are read without it.
   */
  readonly feedback: (headers: HeaderSource) => void;
}

/** A capability. `In` and `Out` are what callers give and get. */
export interface Capability<Name extends string = string, In = unknown, Out = unknown> {
  readonly kind: 'capability';
  readonly name: Name;
  readonly input: StandardSchema | null;
  readonly output: StandardSchema | null;
  readonly effect: Effect;
  readonly timeoutMs: number;
  readonly deadlineMs: number;
  readonly retry: RetryPolicy;
  readonly remedies: RemedyPolicy;
  readonly limits: readonly Limit[];
  /** Types only; never set. */
  readonly types?: { readonly input: In; readonly output: Out };
}

/** A capability that can be given its code. `Given` and `Returned` are what the handler gets and may return. */
export interface DefinedCapability<Name extends string, In, Out, Given, Returned> extends Capability<Name, In, Out> {
  /** Joins the capability to the code that does the work. Opens nothing; put the result into `handlers` of an app. */
  implement(handler: (input: Given, context: HandlerContext) => Returned | Promise<Returned>): Handler<Name>;
  /**
   * The same for code that does many calls at once. A worker puts together what comes within a moment; each call keeps its own
   * attempts, key and outcome. An `Error` in the place of a result fails that call alone.
   */
  implementBatch(
    options: BatchOptions,
    handler: (
      inputs: readonly Given[],
      context: BatchContext,
    ) => readonly (Returned | Error)[] | Promise<readonly (Returned | Error)[]>,
  ): Handler<Name>;
}

/** A capability joined to its code. */
export interface Handler<Name extends string = string> {
  readonly kind: 'handler';
  readonly capability: Capability<Name>;
  /** The user's code; its input has passed the schema. */
  readonly handle: (input: unknown, context: HandlerContext) => unknown;
  /** How calls are done together; null = each by itself. */
  readonly batching: Batching | null;
}

/** Defines a capability. Fails with OPTIONS_INVALID, naming all faults. */
export function capability<
  const Name extends string,
  I extends StandardSchema = StandardSchema,
  O extends StandardSchema = StandardSchema,
>(
  name: Name,
  options: CapabilityOptions<I, O> = {},
): DefinedCapability<Name, InferInput<I>, InferOutput<O>, InferOutput<I>, InferInput<O>> {
  const faults = new OptionFaults(`capability "${name}"`);
  const { input, output, effect, timeout, deadline } = options;
  faults.name(name);
  faults.unknownNames(options, ['input', 'output', 'effect', 'timeout', 'deadline', 'retry', 'remedies', 'limits']);
  faults.schema('input', input);
  faults.schema('output', output);
  faults.effect(effect);
  const timeoutMs = faults.duration('timeout', timeout, limits.callDeadlineMs, 1);
  const deadlineMs = faults.duration('deadline', deadline, timeoutMs, 1);
  if (timeout !== undefined && timeoutMs > deadlineMs) faults.add('timeout is longer than deadline');
  const retry = readRetry(options.retry, faults);
  const remedies = readRemedies(options.remedies, faults);
  const named = readLimits(options.limits, faults);
  faults.throwIfAny();
  const defined: Capability<Name, InferInput<I>, InferOutput<O>> = {
    kind: 'capability',
    name,
    input: input ?? null,
    output: output ?? null,
    effect: effect ?? 'idempotent',
    timeoutMs: Math.min(timeoutMs, deadlineMs),
    deadlineMs,
    retry,
    remedies,
    limits: named,
  };
  return {
    ...defined,
    implement(handler) {
      if (typeof handler !== 'function') {
        const misuse = new OptionFaults(`capability "${name}"`);
        misuse.add('implement() takes the function that does the work');
        misuse.throwIfAny();
      }
      // The worker hands over what came through the schema, which is where the types come from.
      return { kind: 'handler', capability: defined, handle: handler as Handler['handle'], batching: null };
    },
    implementBatch(batchOptions, handler) {
      const misuse = new OptionFaults(`batches of capability "${name}"`);
      const batching = readBatching(batchOptions, handler as Batching['handle'], misuse);
      misuse.throwIfAny();
      const handle: Handler['handle'] = (one, context) =>
        new Promise((resolve, reject) => void doBatch(name, batching, [{ input: one, context, resolve, reject }]));
      return { kind: 'handler', capability: defined, handle, batching };
    },
  };
}
