/**
 * An assignment that is worked on at an endpoint: a call in one request, a body in as many turns as it takes.
 *
 * Invariant: what the endpoint is not known to have begun goes back uncounted; everything else ends in a command.
 */
import { errorCatalogue, type ErrorCode } from '../../core/errors.js';
import { failure, type Failure } from '../../core/failure.js';
import { limits } from '../../core/limits.js';
import { isBlobPayload, type InlinePayload, type Payload } from '../../core/payload.js';
import { asksForIntent, isEnd, type BodyCommand } from '../../core/run/commands.js';
import { isIntent } from '../../core/run/journal.js';
import type { CallChunks, PushedTurn, PushRequest } from '../../protocol/push.js';
import { pushProtocol } from '../../protocol/push.js';
import type {
  ActivationAssignment,
  Assignment,
  CallAssignment,
  JournalEntry,
  Submission,
  SubmissionResult,
} from '../../protocol/worker.js';
import { leaseIsGone, type Work, type WorkHost } from '../work.js';
import type { EndpointHealth } from './endpoint-health.js';
import type { EndpointReply, EndpointSender } from './endpoint-reply.js';

export interface PushedWorkOptions {
  readonly client: EndpointSender;
  readonly health: EndpointHealth;
  /** Time of one request. */
  readonly timeoutMs: number;
}

/** Part of a lease's time that is kept for the way back. */
const marginShare = 0.05;
/** Pause before a turn that must not be given back is sent again, ms. */
const againMs = 250;

/** Begins in a later micro-task. */
export function beginPushed(assignment: Assignment, host: WorkHost, options: PushedWorkOptions): Work {
  return assignment.kind === 'call'
    ? new PushedCallWork(assignment, host, options)
    : new PushedBodyWork(assignment, host, options);
}

abstract class PushedWork {
  readonly waiting = false;
  readonly idle: Promise<void>;
  protected readonly host: WorkHost;
  protected readonly options: PushedWorkOptions;
  protected readonly timeoutMs: number;
  #dead = false;
  readonly #abort = new AbortController();
  readonly #answers = new Map<number, (result: SubmissionResult) => void>();

  constructor({ deadlineMs }: Assignment, host: WorkHost, options: PushedWorkOptions) {
    this.host = host;
    this.options = options;
    this.timeoutMs = Math.floor(Math.min(options.timeoutMs, deadlineMs * (1 - marginShare)));
    this.idle = Promise.resolve()
      .then(() => this.work())
      .catch((error: unknown) => host.log('error', 'a pushed task failed here', { error: String(error) }));
  }

  get dead(): boolean {
    return this.#dead;
  }

  settle({ i }: Submission, result: SubmissionResult): void {
    if (!result.ok && leaseIsGone(result.code)) this.#dead = true;
    this.#answers.get(i)?.(result);
    this.#answers.delete(i);
  }

  /** Whatever the reason: what the endpoint still does is of no use, and what was committed is kept. */
  stop(): void {
    if (this.#dead) return;
    this.#dead = true;
    this.#abort.abort();
    const gone: SubmissionResult = { i: 0, ok: false, code: 'LEASE_LOST', message: '' };
    for (const answer of this.#answers.values()) answer(gone);
    this.#answers.clear();
  }

  protected abstract work(): Promise<void>;

  /** The reply, with what it means for the endpoint; null = the task was given back, or is not ours any more. */
  protected async ask(task: PushRequest, mayGiveBack: boolean): Promise<EndpointReply | null> {
    const { health, client } = this.options;
    for (;;) {
      if (health.slots() > 0) {
        const reply = await client.send(task, this.timeoutMs, this.#abort.signal);
        if (this.#dead) return null;
        noted(reply, health);
        if (reply.tag === 'answer' || reply.tag === 'failed') return reply;
      }
      if (mayGiveBack) {
        this.giveBack();
        return null;
      }
      await new Promise<void>((resolve) => this.host.ports.timers.after(againMs, resolve));
      if (this.#dead) return null;
    }
  }

  protected giveBack(): void {
    this.#dead = true;
    this.host.giveBack();
  }

  protected submit(commands: Submission['commands']): Promise<SubmissionResult> {
    return new Promise((resolve) => {
      this.#answers.set(this.host.submit(commands), resolve);
    });
  }

  /** The text itself: an endpoint cannot fetch what lies elsewhere. */
  protected inline(payload: Payload): Promise<InlinePayload> {
    return isBlobPayload(payload) ? this.host.load(payload) : Promise.resolve(payload);
  }

  /** Payloads as they may be submitted. */
  protected async fit(payload: Payload): Promise<Payload> {
    return isBlobPayload(payload) ? payload : this.host.fit(payload);
  }
}

class PushedCallWork extends PushedWork implements Work {
  readonly kind = 'call';
  readonly seen = 0;
  readonly #assignment: CallAssignment;

  constructor(assignment: CallAssignment, host: WorkHost, options: PushedWorkOptions) {
    super(assignment, host, options);
    this.#assignment = assignment;
  }

  deliver(): void {
    // The events of its run are of no concern to a call.
  }

  protected async work(): Promise<void> {
    const { assignment: _number, input, ...task } = this.#assignment;
    const { timeoutMs } = this;
    const call = { ...task, protocol: pushProtocol, timeoutMs, input: await this.inline(input) };
    const reply = await this.ask(call, true);
    if (reply === null) return;
    if (reply.tag === 'failed') return this.#fail(reply.failure);
    const answer = reply.tag === 'answer' ? reply.answer : null;
    if (answer?.outcome === 'completed' || answer?.outcome === 'failed') await this.#append(answer.streams ?? []);
    if (answer?.outcome === 'failed') return this.#fail(answer.failure);
    if (answer?.outcome !== 'completed') return this.#fail(otherAnswer);
    const { durationMs } = answer;
    const result = await this.submit([{ op: 'completeTask', result: await this.fit(answer.result), durationMs }]);
    if (!result.ok && !this.dead) await this.#fail(refusedBy(result));
  }

  /** Not waited for: what is submitted later is committed later. */
  async #append(streams: readonly CallChunks[]): Promise<void> {
    const commands = await Promise.all(
      streams.map(async (one) => ({ op: 'appendTask', ...one, chunks: await this.fit(one.chunks) }) as const),
    );
    for (let i = 0; i < commands.length && !this.dead; i += limits.submissionCommandsMax)
      void this.submit(commands.slice(i, i + limits.submissionCommandsMax));
  }

  async #fail(cause: Failure): Promise<void> {
    if (!this.dead) await this.submit([{ op: 'failTask', failure: cause }]);
  }
}

/** Events after which a body may come further than it was. */
const outcomes: ReadonlySet<JournalEntry['type']> = new Set([
  'step.started',
  'step.completed',
  'step.due',
  'step.failed',
  'call.completed',
  'call.failed',
  'inference.requested',
  'inference.admitted',
  'inference.begun',
  'inference.due',
  'inference.completed',
  'inference.failed',
  'timer.fired',
  'event.emitted',
  'race.decided',
  'tool.judged',
  'child.started',
  'child.ended',
  'context.put',
  'context.used',
  'signal.received',
  'wait.satisfied',
  'wait.expired',
  'run.cancel_requested',
] as const);

class PushedBodyWork extends PushedWork implements Work {
  readonly kind = 'activation';
  readonly #assignment: ActivationAssignment;
  #entries: JournalEntry[];
  #head: number;
  #progress: number;
  readonly #streams: Record<string, number>;
  /** Something was delivered since the last turn that the body may go on from. */
  #moved = false;
  /** Results on their way, by path: their events come back without them. */
  readonly #own = new Map<string, Payload>();

  constructor(assignment: ActivationAssignment, host: WorkHost, options: PushedWorkOptions) {
    super(assignment, host, options);
    this.#assignment = assignment;
    const { entries, head, progress, streams = {} } = assignment.journal;
    this.#streams = { ...streams };
    this.#entries = [...entries];
    this.#head = head;
    this.#progress = progress;
  }

  get seen(): number {
    return this.#head;
  }

  deliver(events: readonly JournalEntry[]): void {
    for (const event of events) {
      if (event.seq <= this.#head) continue;
      this.#head = event.seq;
      this.#moved ||= outcomes.has(event.type);
      const isOwn =
        event.type === 'step.completed' || event.type === 'inference.completed' || event.type === 'context.put';
      const payload = isOwn ? this.#own.get(event.data.path) : undefined;
      this.#entries.push(event.payload === undefined && payload !== undefined ? { ...event, payload } : event);
    }
  }

  protected async work(): Promise<void> {
    let begun: PushedTurn['begun'] = [];
    while (!this.dead) {
      const turn = await this.#turn(begun);
      this.#moved = false;
      // A beginning that is on record can be tried in this turn only, so the turn must not be lost by giving it back.
      const reply = await this.ask(turn, begun.length === 0);
      if (reply === null) return;
      if (reply.tag === 'failed') return this.#end({ op: 'abandon', failure: reply.failure });
      if (reply.tag !== 'answer' || reply.answer.outcome !== 'turn')
        return this.#end({ op: 'abandon', failure: otherAnswer });
      const { commands } = reply.answer;
      const from = this.#entries.length;
      if (commands.length > 0 && !(await this.#commit(commands))) return;
      begun = this.#begunSince(from, commands);
      // Otherwise there is nothing to be told of; the park is refused where something has come meanwhile.
      if (!this.#moved && (await this.#park())) return;
    }
  }

  async #turn(begun: PushedTurn['begun']): Promise<PushedTurn> {
    const { assignment: _number, input, ...task } = this.#assignment;
    const known = this.#entries;
    const inlined = await Promise.all(
      known.map(async (entry): Promise<JournalEntry> => {
        const { payload } = entry;
        return payload === undefined || !isBlobPayload(payload)
          ? entry
          : { ...entry, payload: await this.inline(payload) };
      }),
    );
    // With what has come meanwhile.
    this.#entries = [...inlined, ...known.slice(inlined.length)];
    const beginnings = new Set<JournalEntry>(begun);
    const entries = this.#entries.filter((entry) => !beginnings.has(entry));
    return {
      ...task,
      protocol: pushProtocol,
      timeoutMs: this.timeoutMs,
      input: await this.inline(input),
      journal: {
        ...this.#assignment.journal,
        head: this.#head,
        progress: this.#progress,
        streams: { ...this.#streams },
        entries,
      },
      begun,
      judges: true,
    };
  }

  #begunSince(from: number, commands: readonly BodyCommand[]): PushedTurn['begun'] {
    const paths = new Set(commands.filter(asksForIntent).map(({ path }) => path));
    return this.#entries
      .slice(from)
      .filter(isIntent)
      .filter(({ data }) => paths.has(data.path));
  }

  /** Whether the body goes on after it. */
  async #commit(given: readonly BodyCommand[]): Promise<boolean> {
    const commands = await Promise.all(given.map((command) => this.#fitted(command)));
    for (const command of commands) {
      if (command.op === 'completeStep' || command.op === 'completeInference')
        this.#own.set(command.path, command.result);
      if (command.op === 'putContext') this.#own.set(command.path, command.value);
    }
    const result = await this.submit(commands);
    this.#own.clear();
    if (this.dead) return false;
    if (!result.ok) {
      await this.#refused(result);
      return false;
    }
    for (const command of commands)
      if (command.op === 'progress') this.#progress = Math.max(this.#progress, command.index + 1);
      else if (command.op === 'append' && command.attempt === 0)
        this.#streams[command.path] = command.from + command.count;
    return !commands.some(isEnd);
  }

  async #park(): Promise<boolean> {
    const result = await this.submit([{ op: 'park', seen: this.#head }]);
    if (this.dead || result.ok) return true;
    if (result.code === 'stale') return false;
    await this.#refused(result);
    return true;
  }

  /** The run cannot go on as the body wants it to; what is missing or busy now may be there for the next activation. */
  async #refused({ code, message }: { readonly code: string; readonly message: string }): Promise<void> {
    const known = refusalCodes[code] ?? code;
    const kind = Object.hasOwn(errorCatalogue, known) ? errorCatalogue[known as ErrorCode].kind : 'internal';
    const retryable = kind === 'transient' || kind === 'notFound';
    const cause = failure({ class: retryable ? 'dependency' : 'internal', code: known, message, retryable });
    await this.#end(retryable ? { op: 'abandon', failure: cause } : { op: 'fail', failure: cause, path: null });
  }

  async #end(command: BodyCommand): Promise<void> {
    if (!this.dead) await this.submit([command]);
  }

  async #fitted(command: BodyCommand): Promise<BodyCommand> {
    switch (command.op) {
      case 'infer':
        return { ...command, request: await this.fit(command.request) };
      case 'completeStep':
      case 'completeInference':
        return { ...command, result: await this.fit(command.result) };
      case 'call':
      case 'startChild':
      case 'continueAsNew':
        return { ...command, input: await this.fit(command.input) };
      case 'putContext':
        return { ...command, value: await this.fit(command.value) };
      case 'append':
        return { ...command, chunks: await this.fit(command.chunks) };
      case 'wait':
        return command.request === null ? command : { ...command, request: await this.fit(command.request) };
      case 'succeed':
        return { ...command, output: await this.fit(command.output) };
      case 'progress':
        return { ...command, value: await this.fit(command.value) };
      case 'refuse':
        return command.data === null ? command : { ...command, data: await this.fit(command.data) };
      case 'emit':
        return { ...command, event: { ...command.event, data: await this.fit(command.event.data) } };
      default:
        return command;
    }
  }
}

/** Refusals of decisions, by the codes of the catalogue. */
const refusalCodes: Readonly<Record<string, string>> = {
  history_full: 'HISTORY_FULL',
  invalid_path: 'PATH_INVALID',
  path_in_use: 'PATH_IN_USE',
  unknown_capability: 'CAPABILITY_UNKNOWN',
  unknown_model: 'MODEL_UNKNOWN',
  unknown_workflow: 'WORKFLOW_UNKNOWN',
  too_deep: 'CHILD_TOO_DEEP',
};

const otherAnswer = failure({
  class: 'dependency',
  code: 'ENDPOINT_ANSWER',
  message: 'The endpoint answered another question.',
  retryable: true,
});

function refusedBy({ code, message }: { readonly code: string; readonly message: string }): Failure {
  return failure({ class: 'internal', code, message, retryable: code === 'INTERNAL' });
}

function noted(reply: EndpointReply, health: EndpointHealth): void {
  switch (reply.tag) {
    case 'answer':
      return health.succeeded();
    case 'busy':
      return health.busy(reply.reason, reply.retryAfterMs);
    case 'unreached':
      return health.failed(reply.reason);
    case 'failed':
      return health.failed(reply.failure.message);
  }
}
