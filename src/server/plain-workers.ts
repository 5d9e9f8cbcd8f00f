/**
 * Workers that speak by single HTTP requests. A claim opens a line to the engine, takes up the session on it, waits for
 * assignments, and closes the line with its answer: between two claims nothing is assigned, and any server can serve the
 * next request, since session and leases are in the store.
 *
 * Invariant: what was assigned and did not leave with an answer goes back to its queue, uncounted.
 */
import { decodeValue } from '../core/codec.js';
import { errorCatalogue, isSpineError, SpineError, type ErrorCode } from '../core/errors.js';
import { limits } from '../core/limits.js';
import type { Manifest } from '../core/manifest.js';
import { isBlobPayload } from '../core/payload.js';
import { defaultRetry } from '../core/retry.js';
import type { TaskCommand } from '../core/run/commands.js';
import type { Engine, WorkerLine } from '../engine/api.js';
import { encodeUtf8 } from '../protocol/json-body.js';
import type {
  ClaimAnswer,
  ClaimRequest,
  CompleteAnswer,
  CompleteRequest,
  EndRequest,
  ExtendAnswer,
  ExtendRequest,
  PlainOutcome,
  PlainResult,
  PlainTask,
} from '../protocol/plain-worker.js';
import { workerProtocol, type Assignment, type CallAssignment, type Welcome } from '../protocol/worker.js';
import { nodePorts } from '../runtime/index.js';
import type { Answer, StreamSink } from './answer.js';

export class PlainWorkers {
  readonly #engine: Engine;
  readonly #waiting = new Set<() => void>();
  /** What was answered to completions, by session and assignment, oldest first. */
  readonly #answered = new Map<string, Promise<PlainResult>>();
  #closed = false;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Takes tasks; rejects with SESSION_GONE, DEFINITION_INVALID or what else the worker is refused for. */
  async claim(request: ClaimRequest): Promise<Answer> {
    if (this.#closed) throw new SpineError('SHUTTING_DOWN', {});
    const line = new ClaimLine(this.#engine);
    const welcome = await line.open(request);
    return {
      kind: 'stream',
      status: 200,
      headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
      open: (sink) => this.#answerClaim(line, welcome, request, sink),
    };
  }

  /** Counts as a heartbeat; rejects with SESSION_GONE. */
  async extend({ session, holding }: ExtendRequest): Promise<ExtendAnswer> {
    const lost = await this.#engine.beatFor(session, Math.max(0, ...holding), holding);
    if (lost === null) throw new SpineError('SESSION_GONE', { session });
    return { lost };
  }

  /** Records each outcome or says why not; a repeat is answered as the first was. */
  async complete({ session, outcomes }: CompleteRequest): Promise<CompleteAnswer> {
    return { results: await Promise.all(outcomes.map((outcome) => this.#completeOnce(session, outcome))) };
  }

  async end({ session }: EndRequest): Promise<void> {
    await this.#engine.endSession(session);
  }

  /** Answers the claims that wait, with nothing. Idempotent. */
  close(): void {
    this.#closed = true;
    for (const finish of [...this.#waiting]) finish();
  }

  #answerClaim(line: ClaimLine, welcome: Welcome, request: ClaimRequest, sink: StreamSink): void {
    const { session, lost, beatMs, deadMs } = welcome;
    const { waitMs = limits.claimWaitMsDefault, max = 1 } = request;
    let isOver = false;
    const beats = setInterval(() => void this.#engine.beatFor(session, 0, []).catch(() => undefined), beatMs);
    const over = (): boolean => {
      if (isOver) return false;
      isOver = true;
      clearInterval(beats);
      cancel();
      this.#waiting.delete(finish);
      return true;
    };
    const finish = (): void => {
      if (!over()) return;
      const assigned = line.take();
      this.#tasksOf(assigned)
        .then(async (tasks) => {
          // Said before the answer leaves: a worker that dies of a task has tried it.
          await this.#engine.beatFor(session, Math.max(0, ...assigned.map(({ assignment }) => assignment)), []);
          line.close();
          const answer: ClaimAnswer = { session, tasks, lost, beatMs, deadMs };
          sink.write(encodeUtf8(JSON.stringify(answer)));
          sink.end();
        })
        .catch(() => {
          line.giveBack(assigned);
          sink.destroy();
        });
    };
    const cancel = nodePorts.timers.after(waitMs, finish);
    this.#waiting.add(finish);
    sink.onClose(() => {
      if (over()) line.giveBack(line.take());
    });
    line.want(welcome, max, finish);
    if (this.#closed) finish();
  }

  #tasksOf(assigned: readonly CallAssignment[]): Promise<PlainTask[]> {
    return Promise.all(
      assigned.map(async ({ kind: _kind, input, ...task }): Promise<PlainTask> => {
        // What is larger than any other body is fetched by who wants it.
        if (isBlobPayload(input) && input.size > limits.payloadBytesMax)
          return { ...task, input: null, inputBlob: { hash: input.blob, size: input.size } };
        const { text } = isBlobPayload(input) ? await this.#load(task.tenant, input.blob) : input;
        return { ...task, input: JSON.parse(text) as unknown };
      }),
    );
  }

  async #load(tenant: string, hash: string): Promise<{ readonly text: string }> {
    const bytes = await this.#engine.readBlob(tenant, hash);
    if (bytes === null) throw new SpineError('BLOB_NOT_FOUND', { blob: hash });
    return { text: new TextDecoder().decode(bytes) };
  }

  #completeOnce(session: string, outcome: PlainOutcome): Promise<PlainResult> {
    const key = `${session}#${outcome.assignment}`;
    const before = this.#answered.get(key);
    if (before !== undefined) return before;
    const answer = this.#complete(session, outcome);
    this.#answered.set(key, answer);
    const [oldest] = this.#answered.keys();
    if (this.#answered.size > limits.plainOutcomesKept && oldest !== undefined) this.#answered.delete(oldest);
    // Only what is recorded is for ever; another try may bring what was refused for now.
    const forget = (): boolean => this.#answered.delete(key);
    answer.then(({ ok }) => ok || forget(), forget);
    return answer;
  }

  async #complete(session: string, { assignment, ...outcome }: PlainOutcome): Promise<PlainResult> {
    try {
      const command = commandOf(outcome);
      const result = await this.#engine.submitFor(session, { i: 1, assignment, commands: [command] });
      if (result.ok) return { assignment, ok: true };
      return { assignment, ok: false, code: result.code, message: result.message };
    } catch (error) {
      if (!isSpineError(error)) throw error;
      return { assignment, ok: false, code: error.code, message: error.message };
    }
  }
}

function commandOf({ result, resultBlob, failure, durationMs = 0 }: Omit<PlainOutcome, 'assignment'>): TaskCommand {
  if (failure !== undefined) return { op: 'failTask', failure };
  if (resultBlob !== undefined) {
    const { hash, size } = resultBlob;
    return { op: 'completeTask', result: { codec: 'json/1', blob: hash, size }, durationMs };
  }
  const text = JSON.stringify(result ?? null);
  // What cannot be read back must not be recorded.
  decodeValue(text);
  return { op: 'completeTask', result: { codec: 'json/1', text }, durationMs };
}

/** The line of one claim. */
class ClaimLine {
  readonly #engine: Engine;
  readonly #assigned: CallAssignment[] = [];
  #line: WorkerLine | null = null;
  #onWelcome: (welcome: Welcome) => void = () => {};
  #onRefused: (error: Error) => void = () => {};
  #onAssigned: () => void = () => {};

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Takes up the session, or opens one. */
  async open(request: ClaimRequest): Promise<Welcome> {
    const manifest = manifestOf(request);
    // Here, because a line would tell of what is wrong with it in words only.
    if (request.session === undefined) await this.#engine.register(manifest);
    const welcomed = new Promise<Welcome>((resolve, reject) => {
      this.#onWelcome = resolve;
      this.#onRefused = reject;
    });
    const { worker, app, session, holding = [] } = request;
    const line = this.#engine.connect({
      send: (message) => {
        if (message.t === 'welcome') this.#onWelcome(message);
        else if (message.t === 'goodbye') this.#onRefused(refusalOf(message.reason, session ?? ''));
        else if (message.t === 'assign') this.#take(message.items);
      },
      bufferedBytes: () => 0,
      close: () => {
        this.#onRefused(new SpineError('STORE_UNREACHABLE', {}));
        this.#onAssigned();
      },
    });
    this.#line = line;
    const cancel = nodePorts.timers.after(limits.handshakeMs, () =>
      this.#onRefused(new SpineError('STORE_UNREACHABLE', {})),
    );
    line.receive({
      t: 'hello',
      protocol: workerProtocol,
      worker,
      app,
      manifest,
      slots: Math.max(1, holding.length + (request.max ?? 1)),
      ...(session === undefined
        ? {}
        : {
            resume: {
              session,
              received: Math.max(0, ...holding),
              holding: holding.map((assignment) => ({ assignment, seen: 0 })),
            },
          }),
    });
    try {
      return await welcomed;
    } catch (error) {
      this.close();
      throw error;
    } finally {
      cancel();
    }
  }

  /** Asks for up to `max` tasks; `onAssigned` is called when there are some, or when there will be none. */
  want(welcome: Welcome, max: number, onAssigned: () => void): void {
    this.#onAssigned = onAssigned;
    this.#line?.receive({ t: 'credit', upTo: (welcome.assigned ?? 0) + max });
  }

  /** What has arrived, once. */
  take(): CallAssignment[] {
    return this.#assigned.splice(0);
  }

  giveBack(assigned: readonly CallAssignment[]): void {
    if (assigned.length > 0)
      this.#line?.receive({ t: 'release', assignments: assigned.map(({ assignment }) => assignment) });
    this.close();
  }

  close(): void {
    this.#line?.closed();
    this.#line = null;
  }

  #take(items: readonly Assignment[]): void {
    for (const item of items) if (item.kind === 'call') this.#assigned.push(item);
    this.#onAssigned();
  }
}

function manifestOf({ app, capabilities }: ClaimRequest): Manifest {
  return {
    format: 1,
    app,
    topics: [],
    workflows: [],
    capabilities: capabilities.map((capability) => ({
      input: null,
      output: null,
      effect: 'idempotent',
      deadlineMs: limits.callDeadlineMs,
      retry: defaultRetry,
      ...capability,
      implemented: true,
    })),
  };
}

/** A goodbye as the error that its code names. */
function refusalOf(reason: string, session: string): Error {
  const code = /^[A-Z][A-Z_]+/.exec(reason)?.[0] ?? '';
  if (code === 'SESSION_GONE') return new SpineError('SESSION_GONE', { session });
  if (code === 'SHUTTING_DOWN') return new SpineError('SHUTTING_DOWN', {});
  const isTransient = Object.hasOwn(errorCatalogue, code) && errorCatalogue[code as ErrorCode].kind === 'transient';
  return isTransient ? new SpineError('STORE_UNREACHABLE', {}) : new SpineError('WORKER_REFUSED', { reason });
}
