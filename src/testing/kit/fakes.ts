/**
 * Fakes: handlers that answer as a test says, and remember what they were asked. They stand in the place of real handlers
 * in the worker, so everything around them (schemas, retries, timeouts, recording) is as in production.
 */
import type { Duration } from '../../core/duration.js';
import { parseDuration } from '../../core/duration.js';
import { SpineError } from '../../core/errors.js';
import type { DefinedCapability, Handler, HandlerContext } from '../../workflow/index.js';

/** A call that a fake has answered, or is about to. */
export interface FakeCall<Given> {
  readonly input: Given;
  /** Attempt of the call, from 1. */
  readonly attempt: number;
  readonly idempotencyKey: string;
  /** Run that called. */
  readonly run: string;
}

/** A handler with a memory. */
export interface FakeHandler<Name extends string = string, Given = unknown> extends Handler<Name> {
  /** All calls so far, in the order in which they came. */
  readonly calls: readonly FakeCall<Given>[];
}

/** How a fake answers: with a value, or with what a function makes of the call. */
export type FakeAnswer<Given, Returned> =
  | Returned
  | ((input: Given, context: HandlerContext) => Returned | Promise<Returned>);

/** Options of `fake`. */
export interface FakeOptions {
  /** How long an answer takes on the virtual clock. Default: no time. */
  readonly takes?: Duration;
}

/** Where a handler can wait on the virtual clock; set on handlers by the test kit. */
export interface VirtualSleeper {
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** Takes of fakes, by handler. A fake used outside of a test spine answers at once. */
export const takesOf = new WeakMap<Handler, number>();

/**
 * A handler of a capability that answers as told: `fake(search, ['a'])`, `fake(search, ({ query }) => [query])`,
 * `fake(search, inTurn(new Transient('busy'), ['a']))`. Put it into `handlers` of `testSpine`. DURATION_INVALID.
 */
export function fake<Name extends string, In, Out, Given, Returned>(
  capability: DefinedCapability<Name, In, Out, Given, Returned>,
  answer: FakeAnswer<NoInfer<Given>, NoInfer<Returned>>,
  options: FakeOptions = {},
): FakeHandler<Name, Given> {
  const calls: FakeCall<Given>[] = [];
  const handler = capability.implement((input, context) => {
    const { attempt, idempotencyKey, run } = context;
    calls.push({ input, attempt, idempotencyKey, run: run.id });
    return isFunction<Given, Returned>(answer) ? answer(input, context) : answer;
  });
  const faked = { ...handler, calls };
  if (options.takes !== undefined) takesOf.set(faked, parseDuration(options.takes));
  return faked;
}

/**
 * Answers one after the other, whatever they are asked: each call takes the next, an `Error` is thrown. More calls than
 * answers are a fault of the test, and fail with TEST_STUCK.
 */
export function inTurn<Answers extends readonly unknown[]>(...answers: Answers): () => Exclude<Answers[number], Error> {
  const rest = answers.values();
  return () => {
    const next = rest.next();
    if (next.done === true)
      throw new SpineError('TEST_STUCK', { reason: `inTurn had ${answers.length} answers, and is asked for more` });
    if (next.value instanceof Error) throw next.value;
    // An `Error` was thrown above.
    return next.value as Exclude<Answers[number], Error>;
  };
}

function isFunction<Given, Returned>(
  answer: FakeAnswer<Given, Returned>,
): answer is (input: Given, context: HandlerContext) => Returned | Promise<Returned> {
  return typeof answer === 'function';
}
