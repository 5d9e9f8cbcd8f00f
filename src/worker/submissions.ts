/**
 * The submissions of a session that the server has not answered. They keep their numbers and their commands until an
 * answer comes, over any number of connections.
 *
 * Invariant: a submission leaves only by its answer, by the loss of its assignment, or with its session.
 */
import type { Payload } from '../core/payload.js';
import { limits } from '../core/limits.js';
import { SlotMap } from './slot-map.js';
import type { Submission } from '../protocol/worker.js';

/** What is on its way to the record, and what of it still has to be sent over the connection that stands now. */
export class Submissions {
  readonly #unanswered = new SlotMap<number, Submission>();
  readonly #counts = new Map<number, number>();
  #unsent: Submission[] = [];
  #next = 1;

  get size(): number {
    return this.#unanswered.size;
  }

  /** Unanswered submissions of an assignment. */
  count(assignment: number): number {
    return this.#counts.get(assignment) ?? 0;
  }

  /** Assignments that have unanswered submissions. */
  assignments(): IterableIterator<number> {
    return this.#counts.keys();
  }

  /** Numbers the commands and puts them down to be sent. */
  add(assignment: number, commands: Submission['commands']): Submission {
    const submission: Submission = { i: this.#next++, assignment, commands };
    this.#unanswered.set(submission.i, submission);
    this.#counts.set(assignment, this.count(assignment) + 1);
    this.#unsent.push(submission);
    return submission;
  }

  /** Takes a submission out by its number; undefined where nobody waits for it. */
  answer(i: number): Submission | undefined {
    const submission = this.#unanswered.get(i);
    if (submission === undefined) return undefined;
    this.#unanswered.delete(i);
    const left = this.count(submission.assignment) - 1;
    if (left > 0) this.#counts.set(submission.assignment, left);
    else this.#counts.delete(submission.assignment);
    return submission;
  }

  get(i: number): Submission | undefined {
    return this.#unanswered.get(i);
  }

  /** Sends one again that the server could not take just now. */
  again(i: number): void {
    const submission = this.#unanswered.get(i);
    if (submission !== undefined) this.#unsent.push(submission);
  }

  /** The assignment is no longer ours: its submissions would only be refused. */
  forget(assignment: number): void {
    if (!this.#counts.delete(assignment)) return;
    for (const [i, submission] of this.#unanswered)
      if (submission.assignment === assignment) this.#unanswered.delete(i);
    this.#unsent = this.#unsent.filter((submission) => submission.assignment !== assignment);
  }

  /** A new connection of the same session: everything unanswered is sent again, in order. */
  rewind(): void {
    this.#unsent = [...this.#unanswered.values()].sort((a, b) => a.i - b.i);
  }

  /** A new session. Numbers go on, so that a late answer of the old one meets nobody. */
  clear(): void {
    this.#unanswered.clear();
    this.#counts.clear();
    this.#unsent = [];
  }

  /** What has to be sent, in frames of about `limits.submitFrameBytesTarget`. */
  takeUnsent(): Submission[][] {
    const unsent = this.#unsent;
    this.#unsent = [];
    const frames: Submission[][] = [];
    let frame: Submission[] = [];
    let bytes = 0;
    for (const submission of unsent) {
      const size = sizeOf(submission);
      if (frame.length > 0 && bytes + size > limits.submitFrameBytesTarget) {
        frames.push(frame);
        frame = [];
        bytes = 0;
      }
      frame.push(submission);
      bytes += size;
    }
    if (frame.length > 0) frames.push(frame);
    return frames;
  }
}

/** Rough cost of the parts of a command that are not payload. */
const commandBytes = 250;

/** Payload texts make up nearly all of a submission; counting them avoids serialising it twice. */
function sizeOf(submission: Submission): number {
  let bytes = 0;
  for (const command of submission.commands) {
    bytes += commandBytes;
    if ('result' in command) bytes += textLength(command.result);
    else if ('input' in command) bytes += textLength(command.input);
    else if ('chunks' in command) bytes += textLength(command.chunks);
    else if ('value' in command) bytes += textLength(command.value);
    else if ('output' in command) bytes += textLength(command.output);
    else if ('event' in command) bytes += textLength(command.event.data);
    else if ('failure' in command) bytes += command.failure.message.length + (command.failure.stack?.length ?? 0);
  }
  return bytes;
}

function textLength(payload: Payload): number {
  return 'text' in payload ? payload.text.length : 0;
}
