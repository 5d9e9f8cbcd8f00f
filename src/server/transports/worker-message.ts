/**
 * Messages of workers as they come from the network: bytes to a `WorkerMessage`, or what is wrong with them. Workers
 * may be written by anybody in any language, so nothing reaches the engine whose shape was not looked at.
 */
import { durationMsMax } from '../../core/duration.js';
import { SpineError, isSpineError } from '../../core/errors.js';
import { failureClasses } from '../../core/failure.js';
import { instantMsMax } from '../../core/instant.js';
import { labelFaults } from '../../core/labels.js';
import { ambiguityPolicies } from '../../core/run/inference.js';
import { limits } from '../../core/limits.js';
import { isRemedyPolicy, remedyChoices } from '../../core/remedies.js';
import type { BodyCommand, TaskCommand } from '../../core/run/commands.js';
import { isAddress } from '../../core/run/waits.js';
import type { Submission, SubmissionResult, WorkerMessage } from '../../protocol/worker.js';
import { parseJson } from '../../protocol/json-body.js';

export type ReadMessage =
  | {
      readonly ok: true;
      readonly message: WorkerMessage;
      /**
       * Answers to submissions that were taken out of the message because a command of theirs is not valid. Closing the
       * line instead would make the worker send the same again for ever, and one bad run would stop all its work.
       */
      readonly refused: readonly SubmissionResult[];
    }
  | { readonly ok: false; readonly fault: string };

type Check = (value: unknown) => boolean;
type Shape = Readonly<Record<string, Check>>;
/** A shape as a list, made once: every message of every worker is held against it. */
type Fields = readonly (readonly [name: string, check: Check])[];

/** Keys and elements of one frame, which may hold many submissions. */
const framePartsMax = 1_000_000;

/** Reads one frame. */
export function readWorkerMessage(bytes: Uint8Array): ReadMessage {
  let value: unknown;
  try {
    value = parseJson(bytes, framePartsMax);
  } catch (error) {
    return { ok: false, fault: isSpineError(error) ? error.message : 'The frame cannot be read.' };
  }
  if (!isRecord(value) || typeof value['t'] !== 'string')
    return { ok: false, fault: 'A message is an object with "t".' };
  const fields = messages.get(value['t']);
  if (fields === undefined) return { ok: false, fault: `There is no message "${value['t'].slice(0, 40)}".` };
  const bad = badField(value, fields);
  if (bad !== null) return { ok: false, fault: `"${bad}" of a message "${value['t']}" is not valid.` };
  return sorted(value as unknown as WorkerMessage);
}

/** Takes out the submissions that cannot be decided. */
function sorted(message: WorkerMessage): ReadMessage {
  if (message.t !== 'submit') return { ok: true, message, refused: nothing };
  let refused: SubmissionResult[] | null = null;
  for (const submission of message.items) {
    const fault = commandFault(submission);
    if (fault === null) continue;
    refused ??= [];
    const { code, message: text } = new SpineError('REQUEST_INVALID', { faults: [fault] });
    refused.push({ i: submission.i, ok: false, code, message: text });
  }
  if (refused === null) return { ok: true, message, refused: nothing };
  const bad = new Set(refused.map(({ i }) => i));
  return { ok: true, message: { ...message, items: message.items.filter(({ i }) => !bad.has(i)) }, refused };
}

const nothing: readonly SubmissionResult[] = [];

function commandFault({ commands: given }: Submission): string | null {
  for (const command of given) {
    const { op } = command;
    const fields = commands.get(op);
    if (fields === undefined) return `there is no command "${op.slice(0, 40)}"`;
    const bad = badField(command as unknown as Readonly<Record<string, unknown>>, fields);
    if (bad !== null) return `"${bad}" of a command "${op}" is not valid`;
  }
  return null;
}

function badField(record: Readonly<Record<string, unknown>>, fields: Fields): string | null {
  for (const [name, check] of fields) if (!check(record[name])) return name;
  return null;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function fieldsByName(shapes: Readonly<Record<string, Shape>>): ReadonlyMap<string, Fields> {
  return new Map(Object.entries(shapes).map(([name, shape]) => [name, Object.entries(shape)]));
}

const record = (shape: Shape): Check => {
  const fields = Object.entries(shape);
  return (value) => isRecord(value) && badField(value, fields) === null;
};
const optional =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value);
const nullable =
  (check: Check): Check =>
  (value) =>
    value === null || check(value);
const list =
  (check: Check, itemsMax: number): Check =>
  (value) =>
    Array.isArray(value) && value.length <= itemsMax && value.every(check);
const text =
  (lengthMax: number): Check =>
  (value) =>
    typeof value === 'string' && value.length <= lengthMax;
const oneOf =
  (...values: readonly string[]): Check =>
  (value) =>
    typeof value === 'string' && values.includes(value);

const count: Check = (value) => Number.isSafeInteger(value) && Number(value) >= 0;
const whole: Check = (value) => Number.isSafeInteger(value);
const amount: Check = (value) => typeof value === 'number' && Number.isFinite(value) && value >= 0;
// Bounded, so that a sum with an instant is still an instant that a date can show.
const wholeMs: Check = (value) => count(value) && Number(value) <= durationMsMax;
const instant: Check = (value) => count(value) && Number(value) <= instantMsMax;
const priority: Check = (value) => count(value) && Number(value) <= limits.priorityMax;
const flag: Check = (value) => typeof value === 'boolean';
const name = text(limits.nameLengthMax);
const key = text(limits.keyLengthMax);
const path = text(limits.pathLengthMax);

const inlinePayload = record({ codec: oneOf('json/1'), text: text(limits.payloadBytesMax) });
const blobPayload = record({
  codec: oneOf('json/1'),
  blob: (value) => typeof value === 'string' && /^[0-9a-f]{64}$/.test(value),
  size: count,
});
const payload: Check = (value) => inlinePayload(value) || blobPayload(value);
const pauseMs: Check = (value) => amount(value) && Number(value) <= durationMsMax;
const retry = record({ attempts: whole, minMs: pauseMs, maxMs: pauseMs, factor: amount });
const failure = record({
  class: name,
  code: text(limits.nameLengthMax),
  message: text(limits.errorMessageLengthMax),
  retryable: flag,
  retryAfterMs: optional(wholeMs),
  stack: optional(text(limits.errorStackLengthMax)),
  triage: optional(
    record({
      remedy: name,
      confidence: amount,
      reason: text(limits.errorMessageLengthMax),
      version: name,
      limit: optional(count),
      used: optional(count),
    }),
  ),
  shadow: optional(record({ label: name, against: name, class: name, version: name })),
});
const effect = oneOf('pure', 'idempotent', 'external');
const labels: Check = (value) => isRecord(value) && labelFaults(value).length === 0;
const addresses: Check = (value) =>
  list(isAddress, limits.approvalAddressesMax)(value) && Array.isArray(value) && value.length > 0;
const match: Check = (value) =>
  isRecord(value) &&
  Object.keys(value).length <= limits.indexFieldsMax &&
  Object.values(value).every(text(limits.indexValueLengthMax));
const decides = record({ after: path, rule: optional(name) });
const digest: Check = (value) => typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
const taint = list(text(limits.toolTaintLengthMax), limits.toolTaintsMax);
const waitOn: Check = (value) => waits.some((isOne) => isOne(value));
const waits: readonly Check[] = [
  record({ kind: oneOf('event'), topic: name, match }),
  record({ kind: oneOf('signal'), name }),
  record({
    kind: oneOf('approval'),
    title: text(limits.approvalTitleLengthMax),
    to: addresses,
    escalations: list(record({ afterMs: wholeMs, to: addresses }), limits.approvalEscalationsMax),
    decides: optional(decides),
    call: optional(digest),
  }),
];

const sendTarget: Check = (value) => targets.some((isOne) => isOne(value));
const targets: readonly Check[] = [
  record({ kind: oneOf('agent'), agent: name, key, type: name, reply: nullable(path) }),
  record({ kind: oneOf('run'), run: key, name: path, failure: nullable(failure) }),
  record({ kind: oneOf('caller'), id: key, failure: nullable(failure) }),
];

const ratio: Check = (value) => amount(value) && Number(value) <= 1;
const policies = list(oneOf(...ambiguityPolicies), ambiguityPolicies.length);
const usage = record({ inputTokens: count, cachedInputTokens: count, outputTokens: count });
const ask = record({
  model: name,
  fingerprint: digest,
  estimate: record({ inputTokens: count, outputTokens: count }),
  policy: policies,
  streamed: flag,
  deadlineMs: nullable(wholeMs),
  chain: optional(record({ after: nullable(path), isLast: flag, until: optional(path) })),
  reroute: optional(name),
  cache: optional(
    record({
      freshMs: nullable(wholeMs),
      keepMs: wholeMs,
      shown: optional((value) => value === true),
      onlyOf: optional(list(name, limits.inferenceFallbacksMax + 1)),
    }),
  ),
  prompt: optional(record({ name, version: name })),
  taint: optional(taint),
});
const decisionText = text(limits.decisionTextLengthMax);
const note = record({
  confidence: nullable(ratio),
  alternatives: list(record({ text: decisionText, probability: ratio }), limits.decisionAlternativesMax),
  rules: list(decisionText, limits.decisionRulesMax),
  remedy: optional(record({ name: oneOf('repair') })),
});
const choice = oneOf(...remedyChoices);
const remediable = record({
  reroute: optional((value) => record({ version: name })(value) || record({ model: name })(value)),
  compact: optional((value) => value === true),
  fallback: optional((value) => value === true),
});
const inferenceOutcome = record({
  usage,
  costMicros: count,
  finish: name,
  durationMs: amount,
  firstPartMs: nullable(amount),
  providerId: nullable(key),
});

const left = nullable(record({ limit: nullable(count), remaining: nullable(count), resetMs: nullable(count) }));
const feedback = optional(record({ retryAfterMs: nullable(count), requests: left, tokens: left }));
const shadowAsk = record({ n: count, tenant: key, run: key, path, attempt: count });
const comparison = record({ exact: flag, json: nullable(flag), similarity: nullable(ratio), tools: nullable(flag) });
const shadowEnd = record({
  model: name,
  ticket: key,
  latencyMs: amount,
  costMicros: count,
  usage: nullable(usage),
  failure: nullable(oneOf(...failureClasses)),
  comparison: nullable(comparison),
});

/** Every command that a worker may send; the compiler misses one that is not here. */
const shapes = {
  beginStep: { path, attempt: count, effect },
  completeStep: {
    path,
    attempt: count,
    durationMs: amount,
    withInput: flag,
    result: payload,
    decides: optional(decides),
  },
  failStep: { path, attempt: count, failure, retry, choice: optional(choice), withInput: optional(flag) },
  call: {
    path,
    capability: name,
    input: payload,
    options: record({
      retry: optional(retry),
      deadlineMs: optional(wholeMs),
      priority: optional(priority),
      remedies: optional(isRemedyPolicy),
    }),
  },
  infer: { path, attempt: count, ask, request: payload },
  beginInference: { path, attempt: count },
  identifyInference: { path, attempt: count, providerId: key },
  completeInference: { path, attempt: count, outcome: inferenceOutcome, result: payload, note, feedback },
  failInference: {
    path,
    attempt: count,
    failure,
    usage: nullable(usage),
    costMicros: count,
    retry,
    choice: optional(choice),
    can: optional(remediable),
    feedback,
  },
  settleAmbiguity: { path, attempt: count, policy: oneOf(...ambiguityPolicies) },
  judgeTool: {
    path,
    of: path,
    tool: key,
    effect,
    hash: digest,
    args: nullable(text(limits.toolArgumentsBytesMax)),
    taint,
    own: optional((value) => value === true),
    approval: nullable(path),
  },
  sleep: { path, ms: wholeMs },
  sleepUntil: { path, at: instant },
  emit: {
    path,
    topic: name,
    event: record({ id: optional(key), key: optional(key), version: optional(count), data: payload }),
  },
  progress: { index: count, value: payload },
  append: { path, attempt: count, from: count, count, chunks: payload },
  putContext: { path, name, key, version: nullable(key), value: payload },
  useContext: { path, name, key },
  decideRace: { path, winner: path },
  startChild: {
    path,
    workflow: name,
    input: payload,
    options: record({ detached: flag, priority: optional(priority), labels: optional(labels) }),
  },
  cancelChild: { path, reason: nullable(text(limits.errorMessageLengthMax)) },
  wait: { path, on: waitOn, timeoutMs: nullable(wholeMs), request: nullable(payload) },
  cancelWait: { path },
  send: { path, to: sendTarget, data: payload },
  bury: { path, message: count, attempts: count, failure },
  park: { seen: count },
  succeed: { output: payload },
  fail: { failure, path: nullable(path) },
  refuse: { code: name, data: nullable(payload) },
  continueAsNew: { input: payload },
  endCancelled: {},
  abandon: { failure },
  completeTask: { result: payload, durationMs: amount, feedback },
  failTask: { failure, feedback },
  appendTask: { name: nullable(path), from: count, count, chunks: payload },
} satisfies Readonly<Record<BodyCommand['op'] | TaskCommand['op'], Shape>>;

const commands = fieldsByName(shapes);

/** What a command has besides its `op` is looked at apart, so that a bad one costs its submission and not the line. */
const command = record({ op: (value) => typeof value === 'string' });

/** More than the slots of a session, since what is waiting for an answer is repeated after a lost connection. */
const itemsMax = limits.workerSlotsMax * 16;

const messages = fieldsByName({
  hello: {
    protocol: whole,
    worker: name,
    app: name,
    manifest: isRecord,
    slots: (value) => count(value) && Number(value) <= limits.workerSlotsMax,
    only: optional(record({ workflows: list(name, itemsMax), capabilities: list(name, itemsMax) })),
    resume: optional(
      record({
        session: key,
        received: count,
        holding: list(record({ assignment: count, seen: count }), itemsMax),
      }),
    ),
    host: optional(key),
    pid: optional(count),
  },
  credit: { upTo: count },
  submit: {
    items: list(
      record({ i: count, assignment: count, commands: list(command, limits.submissionCommandsMax) }),
      itemsMax,
    ),
  },
  release: { assignments: list(count, itemsMax) },
  shadow: {
    asks: list(shadowAsk, limits.shadowsPerMessageMax),
    ends: list(shadowEnd, limits.shadowsPerMessageMax),
  },
  drain: {},
  beat: { session: key, n: count, received: count },
  bye: {},
});
