/**
 * A worker that speaks the worker protocol and nothing else: sessions, credit, resuming, repeats of what was not
 * answered, beats from a heart of its own. Written against `protocol/worker.ts`, independently of `src/worker`, so that
 * a misunderstanding shared by engine and worker does not stay hidden.
 *
 * Invariant: it holds what it was assigned until it has submitted the end of it and was answered, or was told to stop.
 */
import { decodeValue, payloadOfJson } from '../../core/codec.js';
import { errorCatalogue, type ErrorCode } from '../../core/errors.js';
import type { Manifest } from '../../core/manifest.js';
import type { Ports } from '../../core/ports.js';
import { endsOrParks, type BodyCommand, type TaskCommand } from '../../core/run/commands.js';
import {
  workerProtocol,
  type ActivationAssignment,
  type Assignment,
  type CallAssignment,
  type ServerMessage,
  type Submission,
  type WorkerMessage,
} from '../../protocol/worker.js';
import type { History } from './history.js';
import { simManifest, versionsOfBuild, type BuildName } from './manifest.js';
import type { Route } from './cluster.js';
import type { Network, WireEnd } from './network.js';
import type { CallNode, Program } from './program.js';
import type { SimProcess } from './process.js';
import type { Provider } from './provider.js';
import { chunkList, programFailure, ScriptedBody, type BodyFlaw } from './scripted-body.js';
import type { SimWorker } from './sim-worker.js';
import { WorkerHost, type WorkerHostOptions } from './worker-host.js';

/** Planted bugs of workers; absent in an honest one. */
export interface WorkerFlaw extends BodyFlaw {
  /** Does not repeat after a lost connection what was not answered. */
  readonly forgetsUnanswered?: boolean;
  /** Says that it has received every assignment, and forgets one in ten. */
  readonly forgetsAssignments?: boolean;
}

interface CallJob {
  readonly assignment: CallAssignment;
  submitted: boolean;
}

/** What a scripted worker needs. */
export interface ScriptedWorkerOptions extends WorkerHostOptions {
  readonly network: Network;
  readonly route: Route;
  /** Where the heart beats, if it does not go where the data line goes. */
  readonly heartRoute: Route | null;
  readonly history: History;
  readonly provider: Provider;
  readonly slots: number;
  readonly parkAfterMs: number;
  /** The build that the process would be started with now. */
  readonly build: () => BuildName;
  /** Whether a capability is limited. */
  readonly limited: boolean;
  /** Whether topics have subscriptions. */
  readonly subscribed: boolean;
  readonly only: { readonly workflows: readonly string[]; readonly capabilities: readonly string[] };
  readonly flaw: WorkerFlaw;
}

/** See the head of this file. */
export class ScriptedWorker implements SimWorker {
  readonly host: WorkerHost;
  readonly #options: ScriptedWorkerOptions;
  #life: WorkerLife | null = null;

  constructor(options: ScriptedWorkerOptions) {
    this.#options = options;
    this.host = new WorkerHost(options, {
      boot: (ports, heart) => {
        this.#life = new WorkerLife(this.#options, this.host, ports, heart);
      },
      died: () => {
        this.#life = null;
      },
    });
  }

  get session(): string | null {
    return this.#life?.session ?? null;
  }
}

/** One life of the process: everything in it is lost with it. */
class WorkerLife {
  session: string | null = null;
  readonly #options: ScriptedWorkerOptions;
  readonly #host: WorkerHost;
  readonly #ports: Ports;
  readonly #heart: SimProcess;
  readonly #build: BuildName;
  readonly #manifest: Manifest;
  readonly #bodies = new Map<number, ScriptedBody>();
  readonly #calls = new Map<number, CallJob>();
  readonly #unanswered = new Map<number, Submission>();
  readonly #onAnswer = new Map<number, () => void>();
  #wire: WireEnd<WorkerMessage> | null = null;
  #heartWire: WireEnd<WorkerMessage> | null = null;
  #welcomed = false;
  #nextSubmission = 1;
  #assigned = 0;
  #received = 0;
  #credit = 0;
  #beats = 0;
  #beatMs = 1_000;

  constructor(options: ScriptedWorkerOptions, host: WorkerHost, ports: Ports, heart: SimProcess) {
    this.#options = options;
    this.#host = host;
    this.#ports = ports;
    this.#heart = heart;
    this.#build = options.build();
    this.#manifest = simManifest(this.#build, options.limited, options.subscribed);
    this.#connect();
  }

  // ---------------------------------------------------------------- connection

  #connect(): void {
    const { network, route, slots, only } = this.#options;
    this.#welcomed = false;
    const wire: WireEnd<WorkerMessage> = network.open<WorkerMessage, ServerMessage>(this.#host.main, route.server, {
      onMessage: (message) => {
        if (this.#wire === wire) this.#receive(message);
      },
      onClose: () => {
        if (this.#wire === wire) this.#disconnected();
      },
    });
    this.#wire = wire;
    const resume =
      this.session === null
        ? {}
        : { resume: { session: this.session, received: this.#received, holding: this.#holding() } };
    wire.send({
      t: 'hello',
      protocol: workerProtocol,
      worker: this.#host.name,
      app: this.#manifest.app,
      manifest: this.#manifest,
      slots,
      only,
      ...resume,
    });
    this.#ports.timers.after(handshakeMs, () => {
      if (this.#wire !== wire || this.#welcomed) return;
      wire.close('no welcome');
      this.#disconnected();
    });
  }

  #holding(): { assignment: number; seen: number }[] {
    const holding = new Map<number, number>();
    for (const [assignment, body] of this.#bodies) holding.set(assignment, body.seen);
    for (const assignment of this.#calls.keys()) holding.set(assignment, 0);
    return [...holding].map(([assignment, seen]) => ({ assignment, seen }));
  }

  #disconnected(): void {
    this.#options.route.moveOn();
    this.#wire = null;
    this.#welcomed = false;
    this.#ports.timers.after(this.#ports.random.next() * reconnectMsMax, () => {
      if (this.#wire === null) this.#connect();
    });
  }

  #receive(message: ServerMessage): void {
    switch (message.t) {
      case 'welcome': {
        if (this.session !== null && !message.resumed) this.#loseSession();
        this.session = message.session;
        this.#welcomed = true;
        this.#beatMs = message.beatMs;
        this.#assigned = Math.max(this.#received, message.assigned ?? 0);
        this.#credit = 0;
        for (const assignment of message.lost) this.#forget(assignment);
        if (this.#options.flaw.forgetsUnanswered !== true) this.#repeat();
        this.#grant();
        this.#startHeart();
        break;
      }
      case 'goodbye':
        if (!isTransient(/^[A-Z_]+/.exec(message.reason)?.[0] ?? '')) this.#loseSession();
        break;
      case 'assign':
        for (const assignment of message.items) this.#assign(assignment);
        this.#grant();
        break;
      case 'deliver':
        for (const { assignment, events } of message.items) {
          const body = this.#bodies.get(assignment);
          if (body === undefined) continue;
          this.#feedOf(body)?.push(...events.map((event) => event.seq));
          body.deliver(events);
        }
        break;
      case 'results':
        for (const result of message.items) this.#answered(result);
        this.#grant();
        break;
      case 'abort':
        for (const { assignment } of message.items) {
          // It may name an assignment that was never sent; its number is used up.
          this.#assigned = Math.max(this.#assigned, assignment);
          this.#forget(assignment);
        }
        this.#grant();
        break;
      case 'shadow':
      case 'triage':
        // It asks for no leave, and its failures are what it says.
        break;
    }
  }

  #loseSession(): void {
    for (const body of this.#bodies.values()) body.stop();
    this.#bodies.clear();
    this.#calls.clear();
    this.#unanswered.clear();
    this.session = null;
    this.#received = 0;
    this.#assigned = 0;
    this.#beats = 0;
    this.#heartWire?.close('session over');
    this.#heartWire = null;
  }

  // ---------------------------------------------------------------- heart

  /** The heart beats from a thread of its own, over a line of its own, as long as the process lives. */
  #startHeart(): void {
    if (this.#heartWire !== null) return;
    const { network, route, heartRoute } = this.#options;
    const { session } = this;
    const wire: WireEnd<WorkerMessage> = network.open<WorkerMessage, ServerMessage>(
      this.#heart,
      (heartRoute ?? route).server,
      {
        onMessage: () => undefined,
        onClose: () => {
          if (this.#heartWire !== wire) return;
          heartRoute?.moveOn();
          this.#heart.after(this.#beatMs / 3, 'heart reconnects', () => {
            if (this.#heartWire !== wire) return;
            this.#heartWire = null;
            if (this.session !== null) this.#startHeart();
          });
        },
      },
    );
    this.#heartWire = wire;
    const beat = (): void => {
      if (this.#heartWire !== wire || session === null || this.session !== session) return;
      this.#beats += 1;
      wire.send({ t: 'beat', session, n: this.#beats, received: this.#received });
      this.#heart.after(this.#beatMs, 'beat', beat);
    };
    beat();
  }

  // ---------------------------------------------------------------- work

  #grant(): void {
    if (!this.#welcomed || this.#wire === null) return;
    const upTo = this.#assigned + Math.max(0, this.#options.slots - this.#bodies.size - this.#calls.size);
    if (upTo <= this.#credit) return;
    this.#credit = upTo;
    this.#wire.send({ t: 'credit', upTo });
  }

  #assign(assignment: Assignment): void {
    this.#received = Math.max(this.#received, assignment.assignment);
    this.#assigned = Math.max(this.#assigned, assignment.assignment);
    // What was received is acknowledged before any of it is begun, so that a crash of user code counts.
    if (this.session !== null) {
      this.#beats += 1;
      this.#wire?.send({ t: 'beat', session: this.session, n: this.#beats, received: this.#received });
    }
    if (this.#options.flaw.forgetsAssignments === true && assignment.assignment % 10 === 3) return;
    if (assignment.kind === 'activation') this.#beginBody(assignment);
    else this.#beginCall(assignment);
  }

  #beginBody(assignment: ActivationAssignment): void {
    const number = assignment.assignment;
    const { history } = this.#options;
    const { tenant, run, workflow, version } = assignment;
    history.bodies.push({
      tenant,
      run,
      session: this.session ?? '',
      assignment: number,
      head: assignment.journal.head,
      version,
      versions: versionsOfBuild(this.#build, workflow),
      seqs: [],
    });
    const body = new ScriptedBody(
      assignment,
      programOf(assignment),
      {
        submit: (commands, answered) => this.#submit(number, commands, answered),
        execute: (node, path, attempt, done) => {
          const session = this.session ?? '';
          const fate = this.#options.provider.begin(node, {
            kind: 'step',
            tenant,
            run,
            path,
            attempt,
            body: JSON.stringify(node),
            session,
            assignment: number,
          });
          this.#ports.timers.after(node.ms, () => {
            if (fate === 'kills') this.#host.crash('poison');
            else done(fate === 'ok' ? null : programFailure);
          });
          return history.executions.length;
        },
        infer: (node, path, key, done) => {
          const session = this.session ?? '';
          const body = JSON.stringify(node);
          const execution = {
            kind: 'infer',
            tenant,
            run,
            path,
            attempt: 0,
            body,
            session,
            assignment: number,
          } as const;
          const fate = this.#options.provider.begin(node, { ...execution, key });
          this.#ports.timers.after(node.ms, () => {
            if (fate === 'kills') this.#host.crash('poison');
            else done(fate === 'ok' ? null : programFailure);
          });
        },
        sha256: (text) => this.#ports.hash.sha256(text),
        parkLater: (park) => this.#ports.timers.after(this.#options.parkAfterMs, park),
      },
      this.#options.flaw,
    );
    this.#bodies.set(number, body);
    // In a later turn, so that everything that came with the assignment is in place.
    this.#ports.timers.turn(() => body.advance());
  }

  #feedOf(body: ScriptedBody): number[] | undefined {
    const { assignment } = body.assignment;
    return this.#options.history.bodies.findLast(
      (feed) => feed.assignment === assignment && feed.session === this.session,
    )?.seqs;
  }

  #beginCall(assignment: CallAssignment): void {
    const number = assignment.assignment;
    const { tenant, run, attempt } = assignment;
    const job: CallJob = { assignment, submitted: false };
    this.#calls.set(number, job);
    const node = decodeValue(textOf(assignment)) as CallNode;
    const path = assignment.idempotencyKey.slice(`${tenant}/${run}/`.length);
    const fate = this.#options.provider.begin(node, {
      kind: 'call',
      tenant,
      run,
      path,
      attempt,
      body: JSON.stringify(node),
      session: this.session ?? '',
      assignment: number,
    });
    const mark = this.#options.history.executions.length;
    const first = node.chunks === 0 ? 0 : 1 + (mark % node.chunks);
    const write = (from: number, to: number): TaskCommand[] =>
      to <= from ? [] : [{ op: 'appendTask', name: null, from, count: to - from, chunks: chunkList(mark, from, to) }];
    // An outcome that overtakes a chunk would leave it out.
    let isWritten = first === 0;
    let finish: (() => void) | null = null;
    const end = (): void => {
      if (this.#calls.get(number) !== job) return;
      job.submitted = true;
      const command: TaskCommand =
        fate === 'ok'
          ? { op: 'completeTask', result: payloadOfJson(path), durationMs: node.ms }
          : { op: 'failTask', failure: programFailure };
      this.#submit(number, [...write(first, node.chunks), command]);
    };
    if (first > 0)
      this.#submit(number, write(0, first), () => {
        isWritten = true;
        finish?.();
      });
    this.#ports.timers.after(node.ms, () => {
      if (fate === 'kills') this.#host.crash('poison');
      else if (isWritten) end();
      else finish = end;
    });
  }

  // ---------------------------------------------------------------- submissions

  #submit(assignment: number, commands: readonly (BodyCommand | TaskCommand)[], answered?: () => void): void {
    const submission: Submission = { i: this.#nextSubmission++, assignment, commands };
    this.#unanswered.set(submission.i, submission);
    if (answered !== undefined) this.#onAnswer.set(submission.i, answered);
    if (this.#welcomed) this.#wire?.send({ t: 'submit', items: [submission] });
  }

  #repeat(): void {
    const items = [...this.#unanswered.values()].sort((a, b) => a.i - b.i);
    if (items.length > 0) this.#wire?.send({ t: 'submit', items });
  }

  #answered(result: Extract<ServerMessage, { t: 'results' }>['items'][number]): void {
    const submission = this.#unanswered.get(result.i);
    if (submission === undefined) return;
    if (!result.ok && isTransient(result.code)) {
      this.#ports.timers.after(this.#ports.random.next() * 500, () => {
        if (this.#unanswered.has(result.i) && this.#welcomed) this.#wire?.send({ t: 'submit', items: [submission] });
      });
      return;
    }
    this.#unanswered.delete(result.i);
    this.#onAnswer.get(result.i)?.();
    this.#onAnswer.delete(result.i);
    const { assignment, commands } = submission;
    const body = this.#bodies.get(assignment);
    const [first] = commands;
    if (first?.op === 'park' && !result.ok && result.code === 'stale') return body?.unparked();
    if (!result.ok || commands.some(endsWork)) this.#forget(assignment);
    else body?.advance();
  }

  #forget(assignment: number): void {
    this.#bodies.get(assignment)?.stop();
    this.#bodies.delete(assignment);
    this.#calls.delete(assignment);
    for (const [i, submission] of this.#unanswered)
      if (submission.assignment === assignment) this.#unanswered.delete(i);
  }
}

const handshakeMs = 5_000;
const reconnectMsMax = 400;

function endsWork(command: BodyCommand | TaskCommand): boolean {
  switch (command.op) {
    case 'completeTask':
    case 'failTask':
      return true;
    case 'appendTask':
      return false;
    default:
      return endsOrParks(command);
  }
}

function isTransient(code: string): boolean {
  return Object.hasOwn(errorCatalogue, code) && errorCatalogue[code as ErrorCode].kind === 'transient';
}

function textOf(assignment: Assignment): string {
  if (!('text' in assignment.input)) throw new Error('Invariant broken: programs are small');
  return assignment.input.text;
}

/** The program of a run: its input, or a part of the event that started it. */
export function programOf(assignment: ActivationAssignment): Program {
  const value = decodeValue(textOf(assignment)) as Program | { readonly program: Program };
  return 'program' in value ? value.program : value;
}
