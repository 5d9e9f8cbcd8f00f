/**
 * What a store accepts: the checks of a transition that need no look at the data. Every backend applies them before
 * anything else, so that all answer `unstorable` to the same items and none changes a value in silence.
 *
 * Text must be well-formed Unicode (a lone surrogate has no UTF-8 form) and, where it is a column, free of NUL
 * (PostgreSQL refuses it, SQLite drivers cut the text there). Envelopes and payload texts are stored as bytes and may
 * hold NUL. Integers must be safe integers; ranks any finite number but those next to zero, which a driver was
 * seen to change.
 */
import type { RunRow } from '../core/run/state.js';
import { utf8Length } from '../core/utf8.js';
import {
  entryKeyBytesMax,
  trimOffsetsMax,
  type EntryWrite,
  type NewTask,
  type StoredPayload,
  type Transition,
} from './contract.js';

const notColumnText = /[\0\p{Surrogate}]/u;
const notText = /\p{Surrogate}/u;

/** True when the text can be a column in every store. Keys for which it is false name nothing that is stored. */
export function isColumnText(text: string): boolean {
  return !notColumnText.test(text);
}

/** True when the text has a UTF-8 form. */
export function isWellFormedText(text: string): boolean {
  return !notText.test(text);
}

/** Why the transition cannot be stored, whatever the state of the store; null = it can, as far as can be seen here. */
export function findUnstorable(transition: Transition): string | null {
  const check = new Check();
  check.text('tenant', transition.tenant);
  checkRuns(check, transition);
  checkSchedules(check, transition);
  checkGuards(check, transition);
  checkEvents(check, transition);
  checkTables(check, transition);
  return check.fault;
}

/** Collects the first fault. */
class Check {
  fault: string | null = null;

  refuse(reason: string): void {
    this.fault ??= reason;
  }

  text(name: string, value: string): void {
    if (!isColumnText(value)) this.refuse(`${name} holds NUL or a lone surrogate`);
  }

  textOrNull(name: string, value: string | null): void {
    if (value !== null) this.text(name, value);
  }

  encoded(name: string, value: string): void {
    if (!isWellFormedText(value)) this.refuse(`${name} holds a lone surrogate`);
  }

  integer(name: string, value: number): void {
    if (!Number.isSafeInteger(value)) this.refuse(`${name} is not a safe integer`);
  }

  integerOrNull(name: string, value: number | null): void {
    if (value !== null) this.integer(name, value);
  }

  tenant(transition: Transition, tenant: string): void {
    if (tenant !== transition.tenant) this.refuse('a part belongs to another tenant');
  }

  payload(payload: StoredPayload | null): void {
    if (payload === null) return;
    if ('blob' in payload) this.text('blob', payload.blob);
    else this.encoded('payload', payload.text);
  }
}

function checkRuns(check: Check, transition: Transition): void {
  const { runs } = transition;
  if (runs === undefined) return;
  const written = new Set<string>();
  for (const { expected, row } of runs) {
    check.tenant(transition, row.tenant);
    checkRun(check, row);
    check.integer('expected', expected);
    if (written.has(row.run)) check.refuse('a run is written twice');
    written.add(row.run);
  }
}

function checkRun(check: Check, row: RunRow): void {
  check.text('run', row.run);
  // A run id is a stream of its own; `topic/partition` is the other kind of stream.
  if (row.run.includes('/')) check.refuse('run holds a slash');
  check.text('workflow', row.workflow);
  check.textOrNull('version', row.version);
  check.integer('head', row.head);
  check.integer('priority', row.priority);
  check.integer('startedAt', row.startedAt);
  check.integer('updatedAt', row.updatedAt);
  check.integerOrNull('expiresAt', row.expiresAt);
  check.textOrNull('failureClass', row.failureClass);
  check.textOrNull('failureCode', row.failureCode);
  check.textOrNull('failureMessage', row.failureMessage);
  if (row.labels === null) return;
  for (const [name, value] of Object.entries(row.labels)) {
    check.text('label name', name);
    check.text('label value', value);
  }
}

function checkSchedules(check: Check, transition: Transition): void {
  const written = new Set<string>();
  for (const { name, expected, row } of transition.schedules ?? []) {
    check.text('schedule', name);
    check.integer('expected', expected);
    if (written.has(name)) check.refuse('a schedule is written twice');
    written.add(name);
    if (row === null) continue;
    check.tenant(transition, row.tenant);
    if (row.name !== name) check.refuse('a schedule is written under another name');
    check.integer('version', row.version);
    if (row.version <= expected) check.refuse('a schedule does not move on');
    check.integerOrNull('dueAt', row.dueAt);
    check.text('body', row.body);
  }
}

function checkGuards(check: Check, transition: Transition): void {
  const { lease, leases = [], unleased, dedupe } = transition;
  if (lease !== undefined) check.tenant(transition, lease.tenant);
  for (const { tenant } of leases) check.tenant(transition, tenant);
  if (unleased !== undefined) check.tenant(transition, unleased.tenant);
  if (dedupe === undefined) return;
  const taken = new Set<string>();
  for (const { scope, key, hash, reference, expiresAt } of dedupe) {
    check.text('scope', scope);
    check.text('key', key);
    check.text('hash', hash);
    check.text('reference', reference);
    check.integer('expiresAt', expiresAt);
    // Neither holds NUL, or it was refused above.
    const name = `${scope}\0${key}`;
    if (taken.has(name)) check.refuse('a dedupe key is taken twice');
    taken.add(name);
  }
}

function checkEvents(check: Check, transition: Transition): void {
  const { runs = [], events = [], publishes = [], trims = [] } = transition;
  for (const event of events) {
    check.text('event type', event.type);
    check.integer('event at', event.at);
    check.encoded('envelope', event.envelope);
    check.payload(event.payload);
  }
  checkGapless(check, runs, events);
  for (const event of publishes) {
    check.text('topic', event.topic);
    check.integer('partition', event.partition);
    if (event.partition < 0) check.refuse('partition is negative');
    check.text('event type', event.type);
    check.integer('event at', event.at);
    check.encoded('envelope', event.envelope);
    check.payload(event.payload);
  }
  let trimmed = 0;
  for (const { topic, partition, offsets } of trims) {
    check.text('topic', topic);
    check.integer('partition', partition);
    for (const offset of offsets) check.integer('offset', offset);
    trimmed += offsets.length;
  }
  if (trimmed > trimOffsetsMax) check.refuse(`more than ${trimOffsetsMax} offsets are trimmed`);
}

/** The events of a run lead from the expected head to the new one, without gap: P11 holds by construction. */
function checkGapless(
  check: Check,
  runs: NonNullable<Transition['runs']>,
  events: NonNullable<Transition['events']>,
): void {
  let matched = 0;
  for (const { expected, row } of runs) {
    let head = expected;
    for (const event of events) {
      if (event.run !== row.run) continue;
      head += 1;
      matched += 1;
      if (event.seq !== head) check.refuse(`event ${event.seq} does not follow ${head - 1}`);
    }
    if (row.head !== head) check.refuse(`the events lead to ${head}, the row says ${row.head}`);
    if (head === 0) check.refuse('a run begins with an event');
  }
  if (matched !== events.length) check.refuse('an event belongs to a run that is not written');
}

function checkTables(check: Check, transition: Transition): void {
  const { tasks = [], timers = [], entries = [], deadLetters = [], blobs = [] } = transition;
  for (const write of tasks) {
    check.text('run', write.run);
    if (write.op === 'close') check.text('task', write.task);
    else checkTask(check, write.task);
  }
  for (const write of timers) {
    check.text('run', write.run);
    check.text('timer name', write.name);
    if (write.op === 'set') check.integer('fireAt', write.fireAt);
  }
  for (const write of entries) checkEntry(check, transition.tenant, write);
  for (const write of deadLetters) {
    if (write.op === 'remove') {
      check.text('dead letter id', write.id);
      continue;
    }
    const { row } = write;
    check.tenant(transition, row.tenant);
    check.text('dead letter id', row.id);
    check.text('run', row.run);
    check.text('workflow', row.workflow);
    check.textOrNull('path', row.path);
    check.text('class', row.class);
    check.text('code', row.code);
    check.text('message', row.message);
    check.integer('attempts', row.attempts);
    check.integer('at', row.at);
  }
  for (const { hash } of blobs) check.text('blob', hash);
}

function checkEntry(check: Check, tenant: string, write: EntryWrite): void {
  const { space, key, ref } = write;
  check.text('space', space);
  check.text('entry key', key);
  check.text('ref', ref);
  if (utf8Length(tenant) + utf8Length(space) + utf8Length(key) + utf8Length(ref) > entryKeyBytesMax)
    check.refuse('the key of an entry is too long');
  if (typeof write.expected === 'string') check.text('expected value', write.expected);
  if (write.op === 'drop') return;
  check.text('entry value', write.value);
  check.text('run', write.run);
  check.integer('at', write.at);
}

function checkTask(check: Check, task: NewTask): void {
  check.text('task', task.task);
  check.text('queue', task.queue);
  if (!isRank(task.rank)) check.refuse('rank is not a finite number, or too near to zero');
  check.integer('attempt', task.attempt);
  check.integer('deadlineMs', task.deadlineMs);
  check.integer('inputSeq', task.inputSeq);
  check.integerOrNull('dueAt', task.dueAt);
  check.textOrNull('limitKey', task.limitKey);
  if (task.dueAt !== null && task.limitKey !== null) check.refuse('a task is either delayed or held');
}

/** Under this a driver was seen to bind zero. */
const rankMin = 1e-9;

function isRank(value: number): boolean {
  return Number.isFinite(value) && (value === 0 || Math.abs(value) >= rankMin);
}
