/**
 * Hands the parts of one inference to whoever reads them: text while it comes, tool calls and the end of the answer only once
 * the answer is recorded. A tool that ran for an answer which then was lost would run again for the next answer, under another
 * id.
 *
 * Invariant: a reader gets the parts of one attempt. Where it has had parts of an attempt that came to nothing, or of an answer
 * that is not the recorded one, it gets nothing more, and `onLost` is told that its reader has to begin anew.
 */
type Part = Readonly<Record<string, unknown>>;

/** See the top of the module. */
export class PartRelay {
  readonly #onLost: () => void;
  #attempt = 0;
  /** Of this attempt, in the order in which they came. */
  #parts: unknown[] = [];
  /** The attempt came to an end of its own. */
  #isWhole = false;
  #answer: readonly unknown[] | null = null;
  #failure: { readonly error: unknown } | null = null;
  #reader: Reader | null = null;

  constructor(onLost: () => void) {
    this.#onLost = onLost;
  }

  /**
   * A stream of the parts from the first on; an earlier one gets nothing more. Resolves when there is something in it, and
   * rejects where there will be nothing.
   */
  open(): Promise<ReadableStream<unknown>> {
    this.#reader?.leave();
    const reader = new Reader();
    this.#reader = reader;
    this.#feed();
    return reader.begun;
  }

  /** A part has come from the provider. */
  put(part: unknown, attempt: number): void {
    if (attempt !== this.#attempt) {
      this.#attempt = attempt;
      this.#parts = [];
      this.#isWhole = false;
      this.#leaveMisled();
    }
    this.#parts.push(part);
    if (typeOf(part) === 'finish') this.#isWhole = true;
    this.#feed();
  }

  /** The answer is recorded. */
  complete(answer: readonly unknown[]): void {
    // What came is what was recorded, unless the answer was fetched from the provider, or is an old one.
    if (!this.#isWhole) {
      this.#parts = [];
      this.#leaveMisled();
    }
    this.#answer = this.#isWhole ? this.#parts : answer;
    this.#feed();
  }

  /** There will be no answer. */
  fail(error: unknown): void {
    this.#failure = { error };
    this.#feed();
  }

  #leaveMisled(): void {
    if (this.#reader === null || this.#reader.given === 0) return;
    this.#reader.leave();
    this.#reader = null;
    this.#onLost();
  }

  #feed(): void {
    const reader = this.#reader;
    if (reader === null) return;
    if (this.#answer !== null) {
      for (const part of this.#answer.slice(reader.given)) reader.give(part);
      reader.close();
    } else if (this.#failure !== null) reader.fail(this.#failure.error);
    else {
      const held = this.#parts.findIndex((part) => heldBack.has(typeOf(part)));
      const free = held === -1 ? this.#parts : this.#parts.slice(0, held);
      for (const part of free.slice(reader.given)) reader.give(part);
    }
  }
}

/** What sets something off, or says that all was said. */
const heldBack: ReadonlySet<unknown> = new Set(['tool-call', 'tool-result', 'tool-approval-request', 'finish']);

function typeOf(part: unknown): unknown {
  return typeof part === 'object' && part !== null ? (part as Part)['type'] : undefined;
}

/** One stream of parts. */
class Reader {
  readonly begun: Promise<ReadableStream<unknown>>;
  given = 0;
  #begin: () => void = () => undefined;
  #refuse: (error: unknown) => void = () => undefined;
  #controller: ReadableStreamDefaultController<unknown> | null = null;

  constructor() {
    const stream = new ReadableStream<unknown>({
      start: (controller) => {
        this.#controller = controller;
      },
      cancel: () => this.leave(),
    });
    this.begun = new Promise((resolve, reject) => {
      this.#begin = () => resolve(stream);
      this.#refuse = reject;
    });
  }

  give(part: unknown): void {
    this.given += 1;
    this.#controller?.enqueue(part);
    this.#begin();
  }

  close(): void {
    this.#controller?.close();
    this.#controller = null;
    this.#begin();
  }

  /** Where parts were given, one that says so is the last; the functions of the SDK know that better than a broken stream. */
  fail(error: unknown): void {
    this.#refuse(error);
    if (this.given > 0) this.#controller?.enqueue({ type: 'error', error });
    this.#controller?.close();
    this.#controller = null;
  }

  /** The stream stays open for ever: whoever reads it is given up. */
  leave(): void {
    this.#controller = null;
  }
}
