/**
 * One turn of a workflow body at an endpoint: replays the body from its journal, lets it do what it can without an answer, and
 * returns the commands it came to. The next turn finds their events in its journal.
 *
 * Invariant: an effect declared `external` is tried in the turn after the one that asked to record its beginning, and in no
 * other: where that turn is lost, the journal says that it was begun and the body's policy decides.
 */
import { failure } from '../../core/failure.js';
import { SpineError } from '../../core/errors.js';
import { limits } from '../../core/limits.js';
import type { Ports } from '../../core/ports.js';
import { asksForIntent, type BodyCommand } from '../../core/run/commands.js';
import type { PushedTurn, TurnAnswer } from '../../protocol/push.js';
import type { SubmissionResult } from '../../protocol/worker.js';
import { beginActivation, type LogRecord, type Model } from '../../workflow/index.js';

export interface TurnOptions {
  readonly definition: object;
  readonly ports: Ports;
  /** Time after which the turn is answered with what there is, ms. */
  readonly timeoutMs: number;
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  readonly log: (record: LogRecord) => void;
  readonly model: (name: string) => Model | null;
}

/** Pause between two looks whether the body has come to rest, ms. Nothing of it costs anything while steps run. */
const lookEveryMs = 3;

/** Runs a turn. Never rejects: what goes wrong in the body is a command. */
export function runTurn(turn: PushedTurn, options: TurnOptions): Promise<TurnAnswer> {
  const { ports, definition, timeoutMs, signal, log, model } = options;
  const { journal } = turn;
  const commands: BodyCommand[] = [];
  let submissions = 0;
  let seq = journal.head;
  const isBegun = (command: BodyCommand): boolean =>
    asksForIntent(command) &&
    turn.begun.some(({ data }) => data.path === command.path && data.attempt === command.attempt);

  return new Promise((resolve) => {
    const activation = beginActivation(definition, turn, {
      ports,
      // Parking is the server's to decide: it sees at once that a turn has brought nothing.
      parkAfterMs: limits.pushTimeoutMsMax * 2,
      submit(given) {
        const i = ++submissions;
        const begun = given.filter(isBegun);
        commands.push(...given.filter((command) => !isBegun(command)));
        if (begun.length > 0) ports.timers.turn(() => confirm(i, begun, given.length));
        return i;
      },
      // Everything goes inline; the server makes blobs of what is large.
      store: (payload) => Promise.resolve(payload),
      load: (payload) => Promise.reject(new SpineError('BLOB_NOT_FOUND', { blob: payload.blob })),
      log,
      inTurns: true,
      model,
    });

    /** The beginning is on record since the turn before. */
    function confirm(i: number, begun: readonly BodyCommand[], given: number): void {
      const events = turn.begun
        .filter(({ data }) => begun.some((command) => asksForIntent(command) && command.path === data.path))
        .map((entry) => ({ ...entry, seq: ++seq }));
      activation.deliver(events);
      const answer: SubmissionResult = { i, ok: true, head: seq };
      if (begun.length === given) activation.settle(answer);
    }

    let cancelLook = ports.timers.after(lookEveryMs, look);
    const cancelTimeout = ports.timers.after(timeoutMs, () => {
      if (commands.length === 0) commands.push({ op: 'abandon', failure: tooSlow(timeoutMs) });
      finish();
    });
    signal.addEventListener('abort', finish, { once: true });

    function look(): void {
      if (activation.resting) return finish();
      cancelLook = ports.timers.after(lookEveryMs, look);
    }

    function finish(): void {
      cancelLook();
      cancelTimeout();
      signal.removeEventListener('abort', finish);
      activation.abort('ended');
      resolve({ outcome: 'turn', commands: commands.slice(0, limits.submissionCommandsMax) });
    }
  });
}

function tooSlow(timeoutMs: number) {
  const { code, message } = new SpineError('TASK_TIMEOUT', { deadlineMs: timeoutMs });
  return failure({ class: 'timeout', code, message, retryable: true });
}
