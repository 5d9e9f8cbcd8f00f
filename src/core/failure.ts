/**
 * A failure as it is recorded: what a step, call or run failed with, in a form that survives JSON and carries no
 * payload. The class decides the remedy (DESIGN 8.6).
 */
import { limits } from './limits.js';

/** Every class of failure. Public API: stored in events and dead letters, and what triage answers with. */
export const failureClasses = [
  'context_length_exceeded',
  'rate_limited',
  'quota_exhausted',
  'overloaded',
  'timeout',
  'auth',
  'permission',
  'content_filtered',
  'invalid_request',
  'invalid_output',
  'tool_error',
  'model_not_found',
  'network',
  'payload_too_large',
  'internal',
  'dependency',
  'poison',
  'cancelled',
  'unknown',
] as const;
/** What kind of failure it was; decides the remedy. */
export type FailureClass = (typeof failureClasses)[number];

export interface Failure {
  readonly class: FailureClass;
  /** A stable code: one of ours (`WORKER_LOST`), or the `code`/`name` of the user's error. */
  readonly code: string;
  readonly message: string;
  /** Whether another attempt may help. `false` ends the retries of a step at once. */
  readonly retryable: boolean;
  /** Not before this many ms, as asked by the provider (`Retry-After`). */
  readonly retryAfterMs?: number;
  readonly stack?: string;
  /** What triage made of its words, where they bear the class out. Absent = the class comes from elsewhere. */
  readonly triage?: FailureTriage;
  /** What it would be by the classifier that is asked beside the one in force, which decides nothing. Absent = there is none. */
  readonly shadow?: FailureShadow;
}

/** What another classifier makes of a failure. */
export interface FailureShadow {
  /** Its verdict, and that of the one in force. */
  readonly label: FailureClass;
  readonly against: FailureClass;
  /** The class that the failure would have by it: a verdict decides only where its words are clear. */
  readonly class: FailureClass;
  /** Of that classifier, `rules.model`. */
  readonly version: string;
}

/** The verdict of triage as it is recorded with a failure. */
export interface FailureTriage {
  /** What to do about it, as a word for programs: a `RemedyName`. */
  readonly remedy: string;
  /** Probability of the class, 0..1. */
  readonly confidence: number;
  /** Why, in a sentence or two. */
  readonly reason: string;
  /** Of the classifier, `rules.model`. */
  readonly version: string;
  /** The most that one request may have, and what this one had, where its words say so: tokens, bytes or items. */
  readonly limit?: number;
  readonly used?: number;
}

const known: ReadonlySet<string> = new Set(failureClasses);

/**
 * Makes a failure that fits an envelope: texts are cut to their bounds and freed of what cannot be stored, and a class that
 * a worker of another language or version has made up is `unknown`.
 */
export function failure(f: Failure): Failure {
  return {
    class: classOf(f.class),
    code: storable(f.code, limits.nameLengthMax),
    message: storable(f.message, limits.errorMessageLengthMax),
    retryable: f.retryable,
    ...(f.retryAfterMs === undefined ? {} : { retryAfterMs: f.retryAfterMs }),
    ...(f.stack === undefined ? {} : { stack: storable(f.stack, stackLengthMax(f)) }),
    ...(f.triage === undefined ? {} : { triage: verdictOf(f.triage) }),
    ...(f.shadow === undefined ? {} : { shadow: shadowOf(f.shadow) }),
  };
}

/** All of it together fits an envelope: what is said of the class takes its room from the stack. */
function stackLengthMax({ triage, shadow }: Failure): number {
  const said = triage === undefined ? 0 : limits.triageReasonLengthMax + 2 * triageWordLengthMax;
  return limits.errorStackLengthMax - said - (shadow === undefined ? 0 : 5 * triageWordLengthMax);
}

/** The failure with room for so many characters beside it in its envelope; that is taken from the stack as well. */
export function withRoomBeside(cause: Failure, characters: number): Failure {
  const { stack, triage } = cause;
  const sizes = triage?.limit === undefined && triage?.used === undefined ? 0 : sizesLengthMax;
  const lengthMax = Math.max(0, stackLengthMax(cause) - sizes - characters);
  return stack === undefined || stack.length <= lengthMax ? cause : { ...cause, stack: stack.slice(0, lengthMax) };
}

/** `limit` and `used`, as JSON. */
const sizesLengthMax = 60;

const triageWordLengthMax = 40;

function shadowOf({ label, against, class: kind, version }: FailureShadow): FailureShadow {
  const classes = { label: classOf(label), against: classOf(against), class: classOf(kind) };
  return { ...classes, version: storable(version, triageWordLengthMax) };
}

function classOf(given: FailureClass): FailureClass {
  return known.has(given) ? given : 'unknown';
}

function verdictOf({ remedy, confidence, reason, version, limit, used }: FailureTriage): FailureTriage {
  return {
    remedy: storable(remedy, triageWordLengthMax),
    confidence,
    reason: storable(reason, limits.triageReasonLengthMax),
    version: storable(version, triageWordLengthMax),
    ...(limit === undefined ? {} : { limit }),
    ...(used === undefined ? {} : { used }),
  };
}

/** Control characters other than tab and line ends, and halves of surrogate pairs. */
const unstorable =
  /[\u0000-\u0008\u000b-\u001f\u007f]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

function storable(text: string, lengthMax: number): string {
  return text.slice(0, lengthMax).replace(unstorable, '\ufffd');
}
