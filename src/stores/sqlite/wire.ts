/**
 * How work travels to the writer and back: one JSON text for all that is small and structured, and one buffer for
 * envelopes, payloads and blobs, which is transferred and not copied. The writer binds slices of that buffer as they
 * are, so texts are encoded once, on this side, and never decoded on the other. Structured clone of the same objects
 * costs several times as much.
 *
 * Invariant: encoder and decoder walk the same parts in the same order; lengths are in the JSON, bytes in the buffer.
 */
import type { RunRow } from '../../core/run/state.js';
import type {
  ClaimedTask,
  ClaimRequest,
  DedupeWrite,
  DeadLetterWrite,
  ExpireCounts,
  LeaseKey,
  ManifestRow,
  NewSession,
  NewTask,
  Outcome,
  SessionBeat,
  SessionRow,
  StoredPayload,
  TaskKey,
  TaskRow,
  TimerWrite,
  Transition,
} from '../../store/index.js';
import { kindCode, payloadKind, statusCode } from './codes.js';

/** What can be asked of the writer. */
export type WriteRequest =
  | { readonly op: 'apply'; readonly transitions: readonly Transition[] }
  | { readonly op: 'claim'; readonly claim: ClaimRequest }
  | { readonly op: 'release'; readonly leases: readonly LeaseKey[] }
  | { readonly op: 'promoteDue'; readonly limit: number }
  | { readonly op: 'openSession'; readonly session: NewSession }
  | { readonly op: 'takeSession'; readonly session: string }
  | { readonly op: 'beat'; readonly beats: readonly SessionBeat[] }
  | { readonly op: 'closeSession'; readonly session: string }
  | { readonly op: 'putBlob'; readonly tenant: string; readonly hash: string; readonly bytes: Uint8Array }
  | { readonly op: 'saveManifest'; readonly row: ManifestRow }
  | { readonly op: 'expire'; readonly limit: number };

/** What the writer answers, by kind of request. */
export interface WriteResults {
  apply: Outcome[];
  claim: ClaimedTask[];
  release: number;
  promoteDue: number;
  openSession: null;
  takeSession: SessionRow | null;
  beat: string[];
  closeSession: null;
  putBlob: null;
  saveManifest: null;
  expire: ExpireCounts;
}

/** The answer to one request; `refused` = this request alone could not be carried out. */
export type WriteResult =
  | { readonly tag: 'done'; readonly value: WriteResults[keyof WriteResults] }
  | { readonly tag: 'refused'; readonly reason: string };

/** A batch on its way to the writer. */
export interface WireBatch {
  readonly header: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** An event as the writer binds it. */
export interface RawEvent {
  readonly type: string;
  readonly at: number;
  readonly envelope: Uint8Array;
  readonly kind: number;
  readonly salt: Uint8Array | null;
  readonly payload: Uint8Array | null;
  readonly blob: string | null;
}

/** The columns of a run after its tenant, in the order of the table. */
export type RunColumns = readonly [
  run: string,
  workflow: string,
  version: string | null,
  status: number,
  head: number,
  priority: number,
  startedAt: number,
  updatedAt: number,
  expiresAt: number | null,
  cancelRequested: number,
  failureClass: string | null,
  failureCode: string | null,
  failureMessage: string | null,
  labels: string | null,
];

/** The columns of a new task, as they travel. */
export type TaskColumns = readonly [
  task: string,
  kind: number,
  queue: string,
  rank: number,
  attempt: number,
  deadlineMs: number,
  inputSeq: number,
  dueAt: number | null,
  limitKey: string | null,
];

export type RawTaskWrite =
  | readonly [op: 'open' | 'requeue', run: string, task: TaskColumns]
  | readonly [op: 'close', run: string, task: string];

/** A transition as the writer works with it: columns and bytes. */
export interface RawTransition {
  readonly tenant: string;
  readonly runs: readonly { readonly expected: number; readonly columns: RunColumns }[];
  readonly lease: LeaseKey | null;
  readonly unleased: TaskKey | null;
  readonly dedupe: readonly DedupeWrite[];
  readonly events: readonly (RawEvent & { readonly run: string; readonly seq: number })[];
  readonly publishes: readonly (RawEvent & { readonly topic: string; readonly partition: number })[];
  readonly tasks: readonly RawTaskWrite[];
  readonly timers: readonly TimerWrite[];
  readonly deadLetters: readonly DeadLetterWrite[];
  readonly blobs: readonly { readonly hash: string; readonly bytes: Uint8Array }[];
}

/** A request as the writer works with it. */
export type RawRequest =
  | { readonly op: 'apply'; readonly transitions: readonly (RawTransition | Unstorable)[] }
  | Exclude<WriteRequest, { op: 'apply' }>;

/** A transition that was found wanting before it was sent. */
export interface Unstorable {
  readonly unstorable: string;
}

/** A claimed task as the writer reads it. */
export interface RawClaim {
  readonly task: TaskRow;
  readonly head: number;
  readonly position: number;
  readonly input: RawEvent;
}

type WireEvent = readonly [
  type: string,
  at: number,
  envelopeLength: number,
  kind: number,
  saltLength: number,
  payloadLength: number,
  blob: string | null,
];
type WireTransition = readonly [
  tenant: string,
  runs: readonly (readonly [expected: number, columns: RunColumns])[],
  lease: LeaseKey | null,
  unleased: TaskKey | null,
  dedupe: readonly DedupeWrite[] | 0,
  events: readonly (readonly [run: string, seq: number, event: WireEvent])[],
  publishes: readonly (readonly [topic: string, partition: number, event: WireEvent])[] | 0,
  tasks: readonly RawTaskWrite[],
  timers: readonly TimerWrite[] | 0,
  deadLetters: readonly DeadLetterWrite[] | 0,
  blobs: readonly (readonly [hash: string, length: number])[] | 0,
];
type WireRequest =
  | readonly [op: 'apply', transitions: readonly (WireTransition | string)[]]
  | readonly [op: 'putBlob', tenant: string, hash: string, length: number]
  | readonly [op: 'other', request: Exclude<WriteRequest, { op: 'apply' } | { op: 'putBlob' }>];

/** A transition with its verdict: null, or why it cannot be stored. */
export interface CheckedTransition {
  readonly transition: Transition;
  readonly unstorable: string | null;
}

/** Collects bytes; grows by doubling. */
class ByteWriter {
  #buffer = Buffer.allocUnsafeSlow(16 * 1024);
  #length = 0;

  /** Appends the UTF-8 form of a text; returns its length in bytes. */
  text(text: string): number {
    // Three bytes a UTF-16 unit is the most that UTF-8 can take.
    this.#reserve(text.length * 3);
    const written = this.#buffer.write(text, this.#length);
    this.#length += written;
    return written;
  }

  bytes(bytes: Uint8Array): number {
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
    return bytes.length;
  }

  /** All that was appended, over a buffer that is the receiver's to keep or transfer. */
  take(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#buffer.buffer, 0, this.#length);
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2));
    grown.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = grown;
  }
}

/** Hands out the bytes in the order in which they were written. */
class ByteReader {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  #at = 0;

  constructor(bytes: Uint8Array<ArrayBuffer>) {
    this.#bytes = bytes;
  }

  take(length: number): Uint8Array {
    const start = this.#at;
    this.#at += length;
    return this.#bytes.subarray(start, this.#at);
  }
}

/** Encodes requests for the writer. `now` is the store's clock for all of them. */
export function encodeBatch(now: number, requests: readonly WriteRequest[], verdicts: Verdicts): WireBatch {
  const out = new ByteWriter();
  const wire = requests.map((request) => encodeRequest(out, request, verdicts));
  return { header: JSON.stringify([now, wire]), bytes: out.take() };
}

/** Why transitions cannot be stored, for those that cannot. */
export type Verdicts = ReadonlyMap<Transition, string>;

function encodeRequest(out: ByteWriter, request: WriteRequest, verdicts: Verdicts): WireRequest {
  switch (request.op) {
    case 'apply':
      return ['apply', request.transitions.map((t) => verdicts.get(t) ?? encodeTransition(out, t))];
    case 'putBlob':
      return ['putBlob', request.tenant, request.hash, out.bytes(request.bytes)];
    default:
      return ['other', request];
  }
}

function encodeTransition(out: ByteWriter, t: Transition): WireTransition {
  return [
    t.tenant,
    t.runs === undefined ? [] : t.runs.map(({ expected, row }) => [expected, runColumns(row)] as const),
    t.lease ?? null,
    t.unleased ?? null,
    t.dedupe ?? 0,
    t.events === undefined ? [] : t.events.map((e) => [e.run, e.seq, encodeEvent(out, e)] as const),
    t.publishes === undefined ? 0 : t.publishes.map((e) => [e.topic, e.partition, encodeEvent(out, e)] as const),
    t.tasks === undefined
      ? []
      : t.tasks.map((w) =>
          w.op === 'close' ? (['close', w.run, w.task] as const) : ([w.op, w.run, taskColumns(w.task)] as const),
        ),
    t.timers ?? 0,
    t.deadLetters ?? 0,
    t.blobs === undefined ? 0 : t.blobs.map((b) => [b.hash, out.bytes(b.bytes)] as const),
  ];
}

function encodeEvent(
  out: ByteWriter,
  event: {
    readonly type: string;
    readonly at: number;
    readonly envelope: string;
    readonly payload: StoredPayload | null;
  },
): WireEvent {
  const { type, at, payload } = event;
  const envelope = out.text(event.envelope);
  if (payload === null) return [type, at, envelope, payloadKind.none, 0, 0, null];
  const salt = out.bytes(payload.salt);
  if ('blob' in payload) return [type, at, envelope, payloadKind.blob, salt, 0, payload.blob];
  return [type, at, envelope, payloadKind.inline, salt, out.text(payload.text), null];
}

function runColumns(row: RunRow): RunColumns {
  return [
    row.run,
    row.workflow,
    row.version,
    statusCode[row.status],
    row.head,
    row.priority,
    row.startedAt,
    row.updatedAt,
    row.expiresAt,
    row.cancelRequested ? 1 : 0,
    row.failureClass,
    row.failureCode,
    row.failureMessage,
    row.labels === null ? null : JSON.stringify(row.labels),
  ];
}

function taskColumns(task: NewTask): TaskColumns {
  return [
    task.task,
    kindCode[task.kind],
    task.queue,
    task.rank,
    task.attempt,
    task.deadlineMs,
    task.inputSeq,
    task.dueAt,
    task.limitKey,
  ];
}

/** Reads back what `encodeBatch` wrote. The bytes are slices of the batch's buffer. */
export function decodeBatch(batch: WireBatch): { readonly now: number; readonly requests: readonly RawRequest[] } {
  const input = new ByteReader(batch.bytes);
  const [now, wire] = JSON.parse(batch.header) as [number, WireRequest[]];
  return { now, requests: wire.map((request) => decodeRequest(input, request)) };
}

function decodeRequest(input: ByteReader, wire: WireRequest): RawRequest {
  switch (wire[0]) {
    case 'apply':
      return {
        op: 'apply',
        transitions: wire[1].map((t) => (typeof t === 'string' ? { unstorable: t } : decodeTransition(input, t))),
      };
    case 'putBlob':
      return { op: 'putBlob', tenant: wire[1], hash: wire[2], bytes: input.take(wire[3]) };
    default:
      return wire[1];
  }
}

function decodeTransition(input: ByteReader, wire: WireTransition): RawTransition {
  const [tenant, runs, lease, unleased, dedupe, events, publishes, tasks, timers, deadLetters, blobs] = wire;
  return {
    tenant,
    runs: runs.map(([expected, columns]) => ({ expected, columns })),
    lease,
    unleased,
    dedupe: dedupe || none,
    events: events.map(([run, seq, event]) => ({ run, seq, ...decodeEvent(input, event) })),
    publishes: (publishes || none).map(([topic, partition, event]) => ({
      topic,
      partition,
      ...decodeEvent(input, event),
    })),
    tasks,
    timers: timers || none,
    deadLetters: deadLetters || none,
    blobs: (blobs || none).map(([hash, length]) => ({ hash, bytes: input.take(length) })),
  };
}

const none: readonly never[] = [];

function decodeEvent(input: ByteReader, wire: WireEvent): RawEvent {
  const [type, at, envelopeLength, kind, saltLength, payloadLength, blob] = wire;
  const envelope = input.take(envelopeLength);
  const salt = kind === payloadKind.none ? null : input.take(saltLength);
  const payload = kind === payloadKind.inline ? input.take(payloadLength) : null;
  return { type, at, envelope, kind, salt, payload, blob };
}

/** What the writer has for one request before it is encoded: claims still carry bytes. */
export type RawResult = WriteResult | { readonly tag: 'claimed'; readonly claims: readonly RawClaim[] };

type WireResult =
  | WriteResult
  | {
      readonly tag: 'claimed';
      readonly claims: readonly (readonly [task: TaskRow, head: number, position: number, event: WireEvent])[];
    };

/** Encodes the results of a batch, in the order of its requests. */
export function encodeResults(results: readonly RawResult[]): WireBatch {
  const out = new ByteWriter();
  const wire: WireResult[] = results.map((result) =>
    result.tag === 'claimed'
      ? {
          tag: 'claimed',
          claims: result.claims.map(({ task, head, position, input }) => [task, head, position, encodeRaw(out, input)]),
        }
      : result,
  );
  return { header: JSON.stringify(wire), bytes: out.take() };
}

function encodeRaw(out: ByteWriter, event: RawEvent): WireEvent {
  return [
    event.type,
    event.at,
    out.bytes(event.envelope),
    event.kind,
    event.salt === null ? 0 : out.bytes(event.salt),
    event.payload === null ? 0 : out.bytes(event.payload),
    event.blob,
  ];
}

/** Reads back what `encodeResults` wrote. */
export function decodeResults(batch: WireBatch): WriteResult[] {
  const input = new ByteReader(batch.bytes);
  return (JSON.parse(batch.header) as WireResult[]).map((result) => {
    if (result.tag !== 'claimed') return result;
    const value: ClaimedTask[] = result.claims.map(([task, head, position, event]) => ({
      task,
      head,
      input: {
        position,
        tenant: task.tenant,
        stream: task.run,
        seq: task.inputSeq,
        ...textOf(decodeEvent(input, event)),
      },
    }));
    return { tag: 'done', value };
  });
}

/** An event with its texts decoded. */
export function textOf(event: RawEvent): {
  readonly type: string;
  readonly at: number;
  readonly envelope: string;
  readonly payload: StoredPayload | null;
} {
  const { type, at, kind, blob } = event;
  return { type, at, envelope: decodeText(event.envelope), payload: payloadOf(kind, event, blob) };
}

function payloadOf(kind: number, event: RawEvent, blob: string | null): StoredPayload | null {
  if (kind === payloadKind.none) return null;
  // An empty value comes back from some drivers as NULL.
  const salt = event.salt === null ? new Uint8Array(0) : new Uint8Array(event.salt);
  if (kind === payloadKind.blob) return { salt, blob: blob ?? '' };
  return { salt, text: event.payload === null ? '' : decodeText(event.payload) };
}

function decodeText(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}
