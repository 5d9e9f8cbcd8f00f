/**
 * Messages of workers as they come from the network: bytes to a `WorkerMessage`, or what is wrong with them. Workers
 * may be written by anybody in any language, so nothing reaches the engine whose shape was not looked at.
 */
import { isSpineError } from '../core/errors.js';
import { limits } from '../core/limits.js';
import type { WorkerMessage } from '../protocol/worker.js';
import { parseJson } from '../protocol/json-body.js';

export type ReadMessage =
  | { readonly ok: true; readonly message: WorkerMessage }
  | { readonly ok: false; readonly fault: string };

type Check = (value: unknown) => boolean;
type Fields = Readonly<Record<string, Check>>;

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
  const fields = Object.hasOwn(messages, value['t']) ? messages[value['t']] : undefined;
  if (fields === undefined) return { ok: false, fault: `There is no message "${value['t'].slice(0, 40)}".` };
  const bad = badField(value, fields);
  if (bad !== null) return { ok: false, fault: `"${bad}" of a message "${value['t']}" is not valid.` };
  return { ok: true, message: value as unknown as WorkerMessage };
}

function badField(record: Readonly<Record<string, unknown>>, fields: Fields): string | null {
  for (const [name, check] of Object.entries(fields)) if (!check(record[name])) return name;
  return null;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const record =
  (fields: Fields): Check =>
  (value) =>
    isRecord(value) && badField(value, fields) === null;
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
const retry = record({ attempts: whole, minMs: amount, maxMs: amount, factor: amount });
const failure = record({
  class: name,
  code: text(limits.nameLengthMax),
  message: text(limits.errorMessageLengthMax),
  retryable: flag,
  retryAfterMs: optional(amount),
  stack: optional(text(limits.errorStackLengthMax)),
});
const effect = oneOf('pure', 'idempotent', 'external');

const commands: Readonly<Record<string, Fields>> = {
  beginStep: { path, attempt: count, effect },
  completeStep: { path, attempt: count, durationMs: amount, withInput: flag, result: payload },
  failStep: { path, attempt: count, failure, retry },
  call: {
    path,
    capability: name,
    input: payload,
    options: record({ retry: optional(retry), deadlineMs: optional(amount), priority: optional(whole) }),
  },
  sleep: { path, ms: amount },
  sleepUntil: { path, at: amount },
  emit: { path, topic: name, event: record({ id: optional(key), key: optional(key), data: payload }) },
  progress: { index: count, value: payload },
  decideRace: { path, winner: path },
  park: { seen: count },
  succeed: { output: payload },
  fail: { failure, path: nullable(path) },
  refuse: { code: name, data: nullable(payload) },
  endCancelled: {},
  abandon: { failure },
  completeTask: { result: payload, durationMs: amount },
  failTask: { failure },
};

const command: Check = (value) => {
  if (!isRecord(value) || typeof value['op'] !== 'string') return false;
  const fields = Object.hasOwn(commands, value['op']) ? commands[value['op']] : undefined;
  return fields !== undefined && badField(value, fields) === null;
};

/** More than the slots of a session, since what is waiting for an answer is repeated after a lost connection. */
const itemsMax = limits.workerSlotsMax * 16;

const messages: Readonly<Record<string, Fields>> = {
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
  drain: {},
  beat: { session: key, n: count, received: count },
  bye: {},
};
