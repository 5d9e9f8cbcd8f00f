/**
 * How work travels to the writer and back: one JSON text for all that is small and structured, and one buffer for
 * packed events and blobs, which is transferred and not copied. The writer binds slices of that buffer as they are, so
 * texts are encoded once, on this side, and never decoded on the other. Structured clone of the same objects costs
 * several times as much. What is rare travels only where it is there, and the run that a transition is about is named
 * once.
 *
 * Invariant: encoder and decoder walk the same parts in the same order; lengths are in the JSON, bytes in the buffer.
 */
import type { RunRow } from '../../core/run/state.js';
import {
  type ClaimedTask,
  type ClaimRequest,
  type DeadLetterWrite,
  type DedupeWrite,
  type EntryWrite,
  type ExpireCounts,
  kindCode,
  type LeaseKey,
  type ManifestRow,
  type NewSession,
  type NewTask,
  type Outcome,
  type SessionBeat,
  type SessionRow,
  statusCode,
  type ScheduleWrite,
  type StoredPayload,
  type TaskKey,
  type TaskRow,
  type TaskWrite,
  type TimerWrite,
  type TopicTrim,
  type Transition,
} from '../../store/index.js';
import { ByteReader, ByteWriter } from './bytes.js';
import { packEvent, unpackEvent } from './event-body.js';

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
  /** See `event-body.ts`. */
  readonly body: Uint8Array;
  /** Hash of the blob that holds the payload. */
  readonly blob: string | null;
}

/** The columns of a run after its tenant. */
export type RunColumns = readonly [
  run: string,
  workflow: string,
  status: number,
  head: number,
  priority: number,
  startedAt: number,
  updatedAt: number,
  expiresAt: number | null,
  rare: RareRunColumns | 0,
];

/** The columns that are empty in nearly all runs; absent where all of them are. */
export type RareRunColumns = readonly [
  version: string | null,
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
  | readonly [op: 'open' | 'requeue' | 'admit', run: string, task: TaskColumns]
  | readonly [op: 'close', run: string, task: string];

/** A transition as the writer works with it: columns and bytes. */
export interface RawTransition {
  readonly tenant: string;
  readonly runs: readonly { readonly expected: number; readonly columns: RunColumns }[];
  readonly lease: LeaseKey | null;
  readonly leases: readonly LeaseKey[];
  readonly unleased: TaskKey | null;
  readonly schedules: readonly ScheduleWrite[];
  readonly dedupe: readonly DedupeWrite[];
  readonly events: readonly (RawEvent & { readonly run: string; readonly seq: number })[];
  readonly publishes: readonly (RawEvent & { readonly topic: string; readonly partition: number })[];
  readonly trims: readonly TopicTrim[];
  readonly tasks: readonly RawTaskWrite[];
  readonly timers: readonly TimerWrite[];
  readonly entries: readonly EntryWrite[];
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

/** The run of an event or a task: 0 = the first of the transition's runs. */
type WireRun = string | 0;

type WireTransition = readonly [
  tenant: string,
  runs: readonly (readonly [expected: number, columns: RunColumns])[],
  events: readonly (readonly [run: WireRun, seq: number, length: number, blob: string | null])[],
  tasks: readonly WireTaskWrite[],
  /** In two parts where it is of the first run. */
  lease: readonly [task: string, token: number] | LeaseKey | 0,
  rare: WireRareParts | 0,
];
type WireTaskWrite =
  | readonly [op: 'open' | 'requeue' | 'admit', run: WireRun, task: TaskColumns]
  | readonly [op: 'close', run: WireRun, task: string];
interface WireRareParts {
  readonly leases?: readonly LeaseKey[];
  readonly unleased?: TaskKey;
  readonly schedules?: readonly ScheduleWrite[];
  readonly dedupe?: readonly DedupeWrite[];
  readonly publishes?: readonly (readonly [topic: string, partition: number, length: number, blob: string | null])[];
  readonly trims?: readonly TopicTrim[];
  readonly timers?: readonly TimerWrite[];
  readonly entries?: readonly EntryWrite[];
  readonly deadLetters?: readonly DeadLetterWrite[];
  readonly blobs?: readonly (readonly [hash: string, length: number])[];
}
type WireRequest =
  | readonly [op: 'apply', transitions: readonly (WireTransition | string)[]]
  | readonly [op: 'putBlob', tenant: string, hash: string, length: number]
  | readonly [op: 'other', request: Exclude<WriteRequest, { op: 'apply' } | { op: 'putBlob' }>];

/** A transition with its verdict: null, or why it cannot be stored. */
export interface CheckedTransition {
  readonly transition: Transition;
  readonly unstorable: string | null;
}

/**
 * Encodes requests for the writer. `now` is the store's clock for all of them; `bytesExpected` is about how long their
 * events and blobs are.
 */
export function encodeBatch(
  now: number,
  requests: readonly WriteRequest[],
  verdicts: Verdicts,
  bytesExpected = 0,
): WireBatch {
  const out = new ByteWriter(bytesExpected);
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
  const { tenant, runs = none, events = none, tasks = none, lease } = t;
  const first = runs[0]?.row.run;
  return [
    tenant,
    runs.map(({ expected, row }) => [expected, runColumns(row)] as const),
    events.map((e) => [e.run === first ? 0 : e.run, e.seq, packEvent(out, e), blobOf(e)] as const),
    tasks.map((write) => encodeTask(first, write)),
    lease === undefined
      ? 0
      : lease.run === first && lease.tenant === tenant
        ? ([lease.task, lease.token] as const)
        : lease,
    encodeRareParts(out, t),
  ];
}

/** Always after the events: the bytes lie in this order. */
function encodeRareParts(out: ByteWriter, t: Transition): WireRareParts | 0 {
  const {
    leases,
    unleased,
    schedules,
    dedupe,
    publishes = none,
    trims,
    timers = none,
    entries,
    deadLetters = none,
    blobs = none,
  } = t;
  const isBare = publishes.length === 0 && timers.length === 0 && deadLetters.length === 0 && blobs.length === 0;
  const isPlain = schedules === undefined && dedupe === undefined && entries === undefined && trims === undefined;
  if (isBare && isPlain && unleased === undefined && leases === undefined) return 0;
  return {
    ...(leases !== undefined && { leases }),
    ...(unleased !== undefined && { unleased }),
    ...(schedules !== undefined && { schedules }),
    ...(dedupe !== undefined && { dedupe }),
    publishes: publishes.map((e) => [e.topic, e.partition, packEvent(out, e), blobOf(e)] as const),
    ...(trims !== undefined && { trims }),
    timers,
    ...(entries !== undefined && { entries }),
    deadLetters,
    blobs: blobs.map((blob) => [blob.hash, out.bytes(blob.bytes)] as const),
  };
}

function encodeTask(first: string | undefined, write: TaskWrite): WireTaskWrite {
  const run = write.run === first ? 0 : write.run;
  return write.op === 'close' ? [write.op, run, write.task] : [write.op, run, taskColumns(write.task)];
}

function blobOf({ payload }: { readonly payload: StoredPayload | null }): string | null {
  return payload !== null && 'blob' in payload ? payload.blob : null;
}

function runColumns(row: RunRow): RunColumns {
  const { run, workflow, status, head, priority, startedAt, updatedAt, expiresAt } = row;
  return [run, workflow, statusCode[status], head, priority, startedAt, updatedAt, expiresAt, rareRunColumns(row)];
}

function rareRunColumns(row: RunRow): RareRunColumns | 0 {
  const { version, cancelRequested, failureClass, failureCode, failureMessage, labels } = row;
  const isFailed = failureClass !== null || failureCode !== null || failureMessage !== null;
  if (version === null && !cancelRequested && !isFailed && labels === null) return 0;
  const labelText = labels === null ? null : JSON.stringify(labels);
  return [version, cancelRequested ? 1 : 0, failureClass, failureCode, failureMessage, labelText];
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
  const [tenant, runs, events, tasks, lease, rare] = wire;
  // Where there is no first run, nothing refers to it.
  const first = runs[0]?.[1][0] ?? '';
  return {
    tenant,
    runs: runs.map(([expected, columns]) => ({ expected, columns })),
    lease: decodeLease(tenant, first, lease),
    // In the order of the bytes: events, publishes, blobs.
    events: events.map(([run, seq, length, blob]) => ({
      run: run === 0 ? first : run,
      seq,
      body: input.take(length),
      blob,
    })),
    tasks: tasks.map((write) => decodeTask(first, write)),
    leases: rare === 0 ? none : (rare.leases ?? none),
    unleased: rare === 0 ? null : (rare.unleased ?? null),
    schedules: rare === 0 ? none : (rare.schedules ?? none),
    dedupe: rare === 0 ? none : (rare.dedupe ?? none),
    publishes: rare === 0 ? none : decodePublishes(input, rare.publishes),
    trims: rare === 0 ? none : (rare.trims ?? none),
    timers: rare === 0 ? none : (rare.timers ?? none),
    entries: rare === 0 ? none : (rare.entries ?? none),
    deadLetters: rare === 0 ? none : (rare.deadLetters ?? none),
    blobs: rare === 0 ? none : (rare.blobs ?? none).map(([hash, length]) => ({ hash, bytes: input.take(length) })),
  };
}

const none: readonly never[] = [];

function decodePublishes(input: ByteReader, wire: WireRareParts['publishes'] = none): RawTransition['publishes'] {
  return wire.map(([topic, partition, length, blob]) => ({ topic, partition, body: input.take(length), blob }));
}

function decodeTask(first: string, write: WireTaskWrite): RawTaskWrite {
  if (write[1] !== 0) return write as RawTaskWrite;
  return write[0] === 'close' ? [write[0], first, write[2]] : [write[0], first, write[2]];
}

function decodeLease(tenant: string, run: string, lease: WireTransition[4]): LeaseKey | null {
  if (lease === 0) return null;
  if ('task' in lease) return lease;
  const [task, token] = lease;
  return { tenant, run, task, token };
}

/** What the writer has for one request before it is encoded: claims still carry bytes. */
export type RawResult =
  | WriteResult
  | { readonly tag: 'applied'; readonly outcomes: readonly Outcome[] }
  | { readonly tag: 'claimed'; readonly claims: readonly RawClaim[] };

type WireResult =
  | WriteResult
  | readonly WireOutcome[]
  | {
      readonly tag: 'claimed';
      readonly claims: readonly (readonly [
        task: TaskRow,
        head: number,
        position: number,
        length: number,
        blob: string | null,
      ])[];
    };

/** A number is the position of the one event that was written: how nearly all transitions end. */
type WireOutcome = Outcome | number;

/** Encodes the results of a batch, in the order of its requests. */
export function encodeResults(results: readonly RawResult[]): WireBatch {
  const out = new ByteWriter(0);
  return { header: JSON.stringify(results.map((result) => encodeResult(out, result))), bytes: out.take() };
}

function encodeResult(out: ByteWriter, result: RawResult): WireResult {
  switch (result.tag) {
    case 'applied':
      return result.outcomes.map(encodeOutcome);
    case 'claimed':
      return {
        tag: 'claimed',
        claims: result.claims.map(({ task, head, position, input }) => [
          task,
          head,
          position,
          out.bytes(input.body),
          input.blob,
        ]),
      };
    default:
      return result;
  }
}

function encodeOutcome(outcome: Outcome): WireOutcome {
  if (outcome.tag !== 'applied' || outcome.offsets.length > 0 || outcome.positions.length !== 1) return outcome;
  return outcome.positions[0] ?? outcome;
}

/** Reads back what `encodeResults` wrote. */
export function decodeResults(batch: WireBatch): WriteResult[] {
  const input = new ByteReader(batch.bytes);
  return (JSON.parse(batch.header) as WireResult[]).map((result) => decodeResult(input, result));
}

function decodeResult(input: ByteReader, result: WireResult): WriteResult {
  if (!('tag' in result)) return { tag: 'done', value: result.map(decodeOutcome) };
  if (result.tag !== 'claimed') return result;
  const value: ClaimedTask[] = result.claims.map(([task, head, position, length, blob]) => ({
    task,
    head,
    input: {
      position,
      tenant: task.tenant,
      stream: task.run,
      seq: task.inputSeq,
      ...unpackEvent(input.take(length), blob),
    },
  }));
  return { tag: 'done', value };
}

function decodeOutcome(outcome: WireOutcome): Outcome {
  return typeof outcome === 'number' ? { tag: 'applied', positions: [outcome], offsets: none } : outcome;
}
