/**
 * The work behind the handling of one message by an agent: runs the handler in a scope of its own, then submits its result
 * with everything that it has sent.
 *
 * Invariant: the state, what was sent, and the mark that the message is handled are committed together or not at all.
 */
import { limits } from '../../core/limits.js';
import { encodeValue } from '../../core/codec.js';
import { failureOf } from '../../core/failure-of.js';
import type { Failure } from '../../core/failure.js';
import type { InlinePayload, Payload } from '../../core/payload.js';
import { choiceFor } from '../../core/remedies.js';
import type { RetryPolicy } from '../../core/retry.js';
import type { BodyCommand } from '../../core/run/commands.js';
import { Cancelled } from '../cancelled.js';
import type { ActivationHost } from '../activation-contract.js';
import type { PathRecord } from './path-record.js';
import { Scope } from './scope.js';
import type { Wait, Work } from './wait.js';

/** Something that goes out with a commit. */
export interface Send {
  readonly data: InlinePayload;
  readonly command: (data: Payload) => BodyCommand;
}

/** What a handler came to. */
export interface Handled {
  /** Opens the wait for the next message in the same commit. */
  readonly next: BodyCommand | null;
  readonly state: unknown;
  readonly sends: readonly Send[];
}

/** What the work asks of the body that it belongs to. */
export interface HandleHost {
  readonly host: ActivationHost;
  recordOf(path: string): PathRecord | undefined;
  release(path: string): void;
  submit(command: BodyCommand): void;
  submitTogether(
    payloads: readonly InlinePayload[],
    commands: (stored: readonly Payload[]) => readonly BodyCommand[],
    onRefused: (cause: Failure) => void,
  ): void;
}

/** See the top of the module. */
export class HandleWork implements Work {
  readonly hosts = true;
  readonly #path: string;
  readonly #outer: Scope;
  readonly #host: HandleHost;
  readonly #retry: RetryPolicy;
  readonly #run: (scope: Scope) => Promise<Handled>;
  #resting: Promise<void> = Promise.resolve();

  constructor(
    path: string,
    outer: Scope,
    host: HandleHost,
    retry: RetryPolicy,
    run: (scope: Scope) => Promise<Handled>,
  ) {
    this.#path = path;
    this.#outer = outer;
    this.#host = host;
    this.#retry = retry;
    this.#run = run;
  }

  launch(wait: Wait): void {
    const attempt = this.#host.recordOf(this.#path)?.attempt ?? 1;
    // An earlier attempt in this activation has asked for the same things; what they came to is recorded.
    this.#host.release(this.#path);
    const scope = new Scope(this.#path, this.#outer);
    const { clock } = this.#host.host.ports;
    const startedMs = clock.monotonicMs();
    this.#resting = this.#run(scope).then(
      (handled) => {
        if (wait.phase !== 'hosting') return;
        scope.giveUp(new Cancelled('sibling_failed'));
        this.#complete(wait, attempt, handled, Math.max(0, Math.round(clock.monotonicMs() - startedMs)));
      },
      (error: unknown) => {
        if (wait.phase !== 'hosting') return;
        scope.giveUp(new Cancelled('sibling_failed'));
        this.#fail(wait, attempt, failureOf(error, this.#host.host.ports.clock.now()));
      },
    );
  }

  /** Resolves when the handler that was begun last has come to rest. */
  rest(): Promise<void> {
    return this.#resting;
  }

  #complete(wait: Wait, attempt: number, { next, state, sends }: Handled, durationMs: number): void {
    wait.phase = 'working';
    const path = this.#path;
    let result: InlinePayload;
    try {
      result = encodeValue(state, limits.payloadBytesMax);
    } catch (error) {
      return this.#fail(wait, attempt, failureOf(error, this.#host.host.ports.clock.now()));
    }
    wait.own = result;
    this.#host.submitTogether(
      [result, ...sends.map(({ data }) => data)],
      ([stored, ...data]) => [
        // First: whoever hears that the message is handled knows of it.
        ...(next === null ? [] : [next]),
        { op: 'completeStep', path, attempt, durationMs, withInput: false, result: stored ?? result },
        ...sends.map((send, i) => send.command(data[i] ?? send.data)),
      ],
      (cause) => this.#fail(wait, attempt, cause),
    );
  }

  #fail(wait: Wait, attempt: number, failed: Failure): void {
    wait.phase = 'working';
    wait.own = null;
    const retry = failed.retryable ? this.#retry : { ...this.#retry, attempts: 1 };
    const choice = choiceFor(this.#host.host.remedies, failed.class);
    this.#host.submit({ op: 'failStep', path: this.#path, attempt, failure: failed, retry, choice });
  }
}
