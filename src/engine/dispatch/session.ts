/**
 * A worker session as this engine sees it: the line it is connected by, its credit, and the assignments it holds.
 * Messages are collected over a turn of the event loop and leave in the order assign, deliver, results, abort, so that
 * the events of a submission always come before its result.
 */
import { limits } from '../../core/limits.js';
import type { LeaseKey, TaskRow } from '../../store/contract.js';
import type { Ports } from '../../core/ports.js';
import type { AbortReason, Assignment, JournalEntry, ServerMessage, SubmissionResult } from '../../protocol/worker.js';
import type { WorkerChannel } from '../api.js';

/** One task in the hands of a worker. */
export interface Held {
  readonly number: number;
  /** `runKey` of the run. */
  readonly key: string;
  readonly lease: LeaseKey;
  readonly kind: TaskRow['kind'];
  readonly queue: string;
  readonly deadlineMs: number;
  /** Head of the run at the claim: events up to it led to this lease and cannot end it. 0 where it is not known. */
  readonly claimHead: number;
  /** Last event handed over; -1 while the assignment has not been sent yet and events are kept back. */
  sentSeq: number;
  /** Events committed before the assignment was sent. */
  readonly early: JournalEntry[];
  /** Monotonic time of the last sign of progress; the deadline counts from there. */
  movedAtMs: number;
}

/** The lease under which a claimed task is held. */
export function leaseOf(task: TaskRow): LeaseKey {
  return { tenant: task.tenant, run: task.run, task: task.task, token: task.token };
}

export interface SessionDescription {
  readonly session: string;
  readonly worker: string;
  readonly app: string;
  /** Hash of the manifest that the worker was started with. */
  readonly manifest: string;
  readonly slots: number;
  readonly queues: readonly string[];
  readonly host: string | null;
  readonly pid: number | null;
  /** The worker lives in the process of the server that has opened the session. */
  readonly inProcess: boolean;
}

export class Session {
  readonly description: SessionDescription;
  /** Actor of what the worker commits. */
  readonly actor: string;
  readonly openedAt: number;
  /** By assignment number. */
  readonly held = new Map<number, Held>();
  channel: WorkerChannel | null = null;
  /** Highest assignment number the worker takes. */
  creditUpTo = 0;
  nextAssignment = 1;
  claiming = false;
  draining = false;
  /** Its worker comes by single requests: it is there though no line is open. */
  byRequests = false;
  /** A claim or a release has failed: the store may have leases of this session that are not in `held`. */
  unsure = false;
  /** No more than a name: it was reaped, or it said goodbye. */
  ended = false;
  counter = 0;
  received = 0;
  /** Submissions that have not been answered yet. */
  #underWay = 0;
  #onSettled: (() => void)[] = [];

  readonly #ports: Ports;
  readonly #mayTell: () => boolean;
  #assign: Assignment[] = [];
  #deliver = new Map<number, JournalEntry[]>();
  #results: SubmissionResult[] = [];
  #abort: { assignment: number; reason: AbortReason }[] = [];
  #flushing = false;

  /** `mayTell` says, before anything is sent, whether this server has been awake enough to be believed. */
  constructor(description: SessionDescription, openedAt: number, ports: Ports, mayTell: () => boolean) {
    this.description = description;
    this.actor = `worker:${description.worker}`;
    this.openedAt = openedAt;
    this.#ports = ports;
    this.#mayTell = mayTell;
  }

  /** Assignments that may be made now. */
  get credit(): number {
    if (this.channel === null || this.draining || this.ended) return 0;
    const credit = Math.max(0, this.creditUpTo - this.nextAssignment + 1);
    // Who does not take what was sent gets no more until it does; others may have the work.
    return credit > 0 && this.channel.bufferedBytes() > limits.workerBufferBytesMax ? 0 : credit;
  }

  /** A submission is being decided on; `answered` must follow. */
  taken(): void {
    this.#underWay += 1;
  }

  answered(): void {
    this.#underWay -= 1;
    if (this.#underWay > 0) return;
    for (const settle of this.#onSettled.splice(0)) settle();
  }

  /** Resolves when every submission that was taken is answered. */
  settled(): Promise<void> {
    return this.#underWay === 0 ? Promise.resolve() : new Promise((resolve) => this.#onSettled.push(resolve));
  }

  /** Sends what was collected, then this, at once: the last words on this line. */
  sendLast(message: ServerMessage): void {
    this.#send();
    this.send(message);
  }

  assign(assignment: Assignment): void {
    this.#assign.push(assignment);
    this.#schedule();
  }

  deliver(assignment: number, entry: JournalEntry): void {
    const entries = this.#deliver.get(assignment);
    if (entries === undefined) this.#deliver.set(assignment, [entry]);
    else entries.push(entry);
    this.#schedule();
  }

  answer(result: SubmissionResult): void {
    this.#results.push(result);
    this.#schedule();
  }

  abort(assignment: number, reason: AbortReason): void {
    this.#abort.push({ assignment, reason });
    this.#schedule();
  }

  /** Sends at once; for messages outside of the batches. */
  send(message: ServerMessage): void {
    this.channel?.send(message);
  }

  /** What was collected for a line that is gone is of no use to the next: resuming rebuilds it from the record. */
  disconnect(): void {
    this.channel = null;
    this.#assign = [];
    this.#deliver.clear();
    this.#results = [];
    this.#abort = [];
  }

  #schedule(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    this.#ports.timers.turn(() => this.#flush());
  }

  #flush(): void {
    this.#flushing = false;
    this.#send();
  }

  #send(): void {
    const { channel } = this;
    if (channel === null) return this.disconnect();
    if (!this.#mayTell()) {
      // What is said after a long sleep may be done with by others: the worker asks the next server instead.
      channel.close('This server stood still.');
      return this.disconnect();
    }
    if (this.#assign.length > 0) {
      channel.send({ t: 'assign', items: this.#assign });
      this.#assign = [];
    }
    if (this.#deliver.size > 0) {
      channel.send({ t: 'deliver', items: [...this.#deliver].map(([assignment, events]) => ({ assignment, events })) });
      this.#deliver.clear();
    }
    if (this.#results.length > 0) {
      channel.send({ t: 'results', items: this.#results });
      this.#results = [];
    }
    if (this.#abort.length > 0) {
      channel.send({ t: 'abort', items: this.#abort });
      this.#abort = [];
    }
  }
}
