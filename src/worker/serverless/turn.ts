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
import type { RemedyPolicy } from '../../core/remedies.js';
import type { ToolPolicy } from '../../core/tools/policy.js';
import { asksForIntent, isEnd, type BodyCommand } from '../../core/run/commands.js';
import type { PushedTurn, TurnAnswer } from '../../protocol/push.js';
import type { SubmissionResult } from '../../protocol/worker.js';
import { beginActivation, type LogRecord, type Model, type Topic } from '../../workflow/index.js';

export interface TurnOptions {
  readonly definition: object;
  readonly ports: Ports;
  /** Time after which the turn is answered with what there is, ms. */
  readonly timeoutMs: number;
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  readonly log: (record: LogRecord) => void;
  readonly model: (name: string) => Model | null;
  readonly topic: (name: string) => Topic | null;
  /** What the app declares about failures. */
  readonly remedies: RemedyPolicy;
  readonly tools: ToolPolicy | null;
}

/** Pause between two looks whether the body has come to rest, ms. Nothing of it costs anything while steps run. */
const lookEveryMs = 3;

/** Runs a turn. Never rejects: what goes wrong in the body is a command. */
export function runTurn(turn: PushedTurn, options: TurnOptions): Promise<TurnAnswer> {
  const { ports, definition, timeoutMs, signal, log, model, topic, remedies, tools } = options;
  const { journal } = turn;
  const commands: BodyCommand[] = [];
  let submissions = 0;
  /** Beginnings that the body has yet to be told of. */
  let unconfirmed = 0;
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
        const isWriting = given.some(({ op }) => op === 'append');
        if (begun.length > 0) {
          unconfirmed += 1;
          ports.timers.turn(() => confirm(i, begun, given.length, isWriting));
        } else if (isWriting) {
          // They go with the turn, before what comes after them, so who writes to a stream need not wait for them.
          queueMicrotask(() => activation.settle({ i, ok: true, head: seq }));
        }
        return i;
      },
      valueBytesMax: limits.payloadBytesMax,
      // Everything goes inline; the server makes blobs of what is large.
      store: (payload) => Promise.resolve(payload),
      load: (payload) => Promise.reject(new SpineError('BLOB_NOT_FOUND', { blob: payload.blob })),
      log,
      model,
      topic,
      remedies,
      ...(tools === null ? {} : { tools }),
      judges: () => turn.judges === true,
    });

    /** The beginning is on record since the turn before. */
    function confirm(i: number, begun: readonly BodyCommand[], given: number, isWriting: boolean): void {
      unconfirmed -= 1;
      const events = turn.begun
        .filter(({ data }) => begun.some((command) => asksForIntent(command) && command.path === data.path))
        .map((entry) => ({ ...entry, seq: ++seq }));
      activation.deliver(events);
      const answer: SubmissionResult = { i, ok: true, head: seq };
      if (begun.length === given || isWriting) activation.settle(answer);
    }

    let cancelLook = ports.timers.after(lookEveryMs, look);
    const cancelTimeout = ports.timers.after(timeoutMs, () => {
      finish(commands.some(isAdvance) ? commands : [...commands.filter(isKept), tooSlow(timeoutMs)]);
    });
    const hangUp = (): void => finish(commands);
    signal.addEventListener('abort', hangUp, { once: true });

    function look(): void {
      // After a stand-still timers come first: a body that is still to be told that it has begun only seems to rest.
      if (unconfirmed === 0 && activation.resting) return finish(commands);
      cancelLook = ports.timers.after(lookEveryMs, look);
    }

    function finish(answer: readonly BodyCommand[]): void {
      cancelLook();
      cancelTimeout();
      signal.removeEventListener('abort', hangUp);
      activation.abort('ended');
      resolve({ outcome: 'turn', commands: answer.slice(0, limits.submissionCommandsMax) });
    }
  });
}

/**
 * What a body goes on from in the next turn, beside its end. Of a turn that was out of time with none of these a server could not tell that
 * it was not at rest, and would leave the body to wait for nothing.
 */
const advances: ReadonlySet<BodyCommand['op']> = new Set([
  'beginStep',
  'completeStep',
  'infer',
  'beginInference',
  'completeInference',
  'emit',
  'decideRace',
  'judgeTool',
  'startChild',
  'putContext',
  'useContext',
] as const);

function isAdvance(command: BodyCommand): boolean {
  return advances.has(command.op) || isEnd(command);
}

/** Chunks of a step that has come to nothing are written again by its next attempt; as progress they would make that free. */
function isKept({ op }: BodyCommand): boolean {
  return op !== 'append';
}

function tooSlow(timeoutMs: number): BodyCommand {
  const { code, message } = new SpineError('TASK_TIMEOUT', { deadlineMs: timeoutMs });
  return { op: 'abandon', failure: failure({ class: 'timeout', code, message, retryable: true }) };
}
