/**
 * `testSpine`: an app at work in memory, on a clock that the test moves. Engine, worker, store and replay are those of
 * production; what is ours is the time, the fakes in the place of handlers and steps, the crashes and the traps.
 *
 * Invariant: an operation resolves when everything that it set off has come to rest, and time passes only in operations
 * that say so; a trap that was sprung makes the next operation reject.
 */
import { decodeValue, encodeValue } from '../../core/codec.js';
import { parseDuration, type Duration } from '../../core/duration.js';
import { limits } from '../../core/limits.js';
import { SpineError } from '../../core/errors.js';
import { isBlobPayload, type Payload } from '../../core/payload.js';
import type { RunEventData } from '../../core/run/events.js';
import type { ExportedHistory } from '../../core/run/exported-history.js';
import type { CommandOutcome, Engine, Origin, RunFilter, Say, StartRequest } from '../../engine/api.js';
import { createEngine, type EngineLogRecord } from '../../engine/index.js';
import type { AgentFor } from '../../client/agents.js';
import type { ApprovalView, RunEventView, RunFold, RunSummary, TopicEventView } from '../../protocol/http.js';
import { createMemoryStore } from '../../store/memory.js';
import { registryOf } from '../../worker/app-registry.js';
import { createWorkerOf } from '../../worker/create-worker.js';
import { createInProcessTransport } from '../../worker/in-process-transport.js';
import { replayHistory, type Worker } from '../../worker/index.js';
import { holdGlobalTraps } from '../../worker/traps/global-traps.js';
import { trappedActivation, type TrapFault } from '../../worker/traps/trapped-activation.js';
import { beginActivation, type BeginActivation } from '../../workflow/index.js';
import type {
  AnyApp,
  Handler,
  InputOf,
  LogRecord,
  ModelEndpoint,
  OutputOf,
  Signal,
  TopicDataOf,
  TopicNameOf,
  WorkflowNameOf,
} from '../../workflow/index.js';
import { Prng } from '../simulator/prng.js';
import { appUnderTest } from './app-under-test.js';
import { crashingActivation, type CrashPlan } from './crashing-activation.js';
import { doubled } from './doubled-transport.js';
import { testAgent, type TestAgent } from './test-agent.js';
import { TestDriver } from './test-driver.js';
import { UserWork } from './user-work.js';
import { VirtualTime } from './virtual-time.js';
import { watchedBodies, type StepFake } from './watched-bodies.js';

/** Options of `testSpine`. */
export interface TestSpineOptions {
  /** In the place of the app's handlers of the same capabilities, or beside them: `fake(...)`, `capability.implement(...)`. */
  readonly handlers?: readonly Handler[];
  /** In the place of what calls providers, by the name of the model: `{ writer: fakeModel('yes') }`. */
  readonly models?: Readonly<Record<string, ModelEndpoint>>;
  /**
   * In the place of the functions of steps, by path (`publish`, `checks/check`); keys may be left out, so that one fake
   * serves each item of a map. Retries, timeouts and recording stay.
   */
  readonly steps?: Readonly<Record<string, StepFake>>;
  /**
   * `every-await`: each time something is committed for a body, the body is dropped before it hears of it, and begun anew
   * over what is recorded; bodies leave memory at once when they wait; results are sent and told twice. A number: the same,
   * now and then, by this seed. Default: no crashes.
   */
  readonly crash?: 'every-await' | number;
  /** Seed of ids, jitter and of all other chance. Default `1`. */
  readonly seed?: number | string;
  /** Where the clock begins. Default 2026-01-01T00:00:00Z. */
  readonly now?: Date | number | string;
  /** Default `default`. */
  readonly tenant?: string;
  /**
   * Traps what a replay would not repeat: clock, chance, timers and network in bodies, foreign promises, steps that change
   * their input; and replays each ended run once, to see that it comes to the same. Default true.
   */
  readonly traps?: boolean;
  /** How long user code that awaits something real is waited for, in real time. Default 4 s. */
  readonly patience?: Duration;
  /** Takes lines of `ctx.log`. Default: they are dropped. */
  readonly log?: (record: LogRecord) => void;
}

/** Options of `TestSpine.start`. */
export type TestStartOptions = Pick<StartRequest, 'idempotencyKey' | 'labels' | 'priority'>;

/** A started run. */
export interface TestRun<Out = unknown> {
  readonly id: string;
  /** The idempotency key was known: nothing new was started. */
  readonly repeated: boolean;
  /** Types only; never set. */
  readonly types?: { readonly output: Out };
}

/** A run, or its id. */
export type RunRef<Out = unknown> = TestRun<Out> | string;

/** What a person says with a decision. */
export interface ApprovalWord {
  readonly comment?: string;
  /** Name of the user who decides. Default `tester`, who may decide everything. */
  readonly as?: string;
  /** Roles of that user. Default: none, where `as` is given. */
  readonly roles?: readonly string[];
}

/** How a run ended. */
export type TestOutcome<Out = unknown> =
  | { readonly state: 'succeeded'; readonly output: Out }
  | {
      readonly state: 'failed';
      readonly failure: { readonly class: string; readonly code: string; readonly message: string };
    }
  | { readonly state: 'refused'; readonly code: string; readonly data: unknown }
  | { readonly state: 'cancelled'; readonly reason: string | null };

/**
 * An app under test. Every operation first lets all come to rest that can without time passing. BODY_NOT_DETERMINISTIC
 * where a trap was sprung, TEST_STUCK where nothing that is known of can bring a run to its end.
 */
export interface TestSpine<App> extends AsyncDisposable {
  /** Starts a run, and lets it go as far as it comes without time passing. INPUT_INVALID and what else a start is refused with. */
  start<Name extends WorkflowNameOf<App>>(
    workflow: Name,
    input: InputOf<App, Name>,
    options?: TestStartOptions,
  ): Promise<TestRun<OutputOf<App, Name>>>;
  /** Publishes an event; resolves with the runs that it started, those of subscriptions that have begun among them. */
  publish<Name extends TopicNameOf<App>>(
    topic: Name,
    data: TopicDataOf<App, Name>,
    options?: { readonly id?: string; readonly key?: string },
  ): Promise<{ readonly id: string; readonly runs: readonly TestRun[] }>;
  /** Everything that can happen without time passing has happened. */
  idle(): Promise<void>;
  /** Lets time pass, with everything that is due on the way. */
  advance(duration: Duration): Promise<void>;
  /** The instant on the virtual clock. */
  now(): Date;
  /**
   * The result of a run; where it waits, the clock goes on to what is due next until the run has ended. RUN_FAILED,
   * RUN_REFUSED or RUN_CANCELLED where it ends without one.
   */
  result<Out>(run: RunRef<Out>): Promise<Out>;
  /** The same as a value, whatever the end. */
  outcome<Out>(run: RunRef<Out>): Promise<TestOutcome<Out>>;
  /** State, steps, and what it waits for. RUN_NOT_FOUND. */
  view(run: RunRef): Promise<RunFold>;
  /** All events of the run, in order. RUN_NOT_FOUND. */
  history(run: RunRef): Promise<readonly RunEventView[]>;
  /** Runs, newest first, one page of them. */
  runs(filter?: RunFilter): Promise<readonly RunSummary[]>;
  /** Events of a topic, partition by partition, as CloudEvents. */
  events(topic: string): Promise<readonly TopicEventView['event'][]>;
  /** Asks the run to stop. */
  cancel(run: RunRef, options?: { readonly reason?: string; readonly graceMs?: number }): Promise<void>;
  /** Sends a signal to the run, by its value or its name. RUN_ENDED, SIGNAL_UNKNOWN, INPUT_INVALID. */
  signal<In>(
    run: RunRef,
    signal: Signal<string, In> | string,
    data?: In,
    options?: { readonly id?: string },
  ): Promise<void>;
  /** The agent of a key. Asks nothing. */
  agent<Name extends AgentFor<App>>(name: Name, key: string): TestAgent<App, Name>;
  /**
   * What has been written so far to the stream at `path` of the run: the chunks of the latest attempt, those that came before
   * it being no longer meant. RUN_NOT_FOUND.
   */
  chunks(run: RunRef, path: string): Promise<readonly unknown[]>;
  /** Open approvals, oldest first: of the run, or of all. */
  approvals(run?: RunRef): Promise<readonly ApprovalView[]>;
  /** Approves what the run asks, or the approval of that id. The oldest, where it asks for several. TEST_STUCK where it asks nobody now. */
  approve(of: RunRef, word?: ApprovalWord & { readonly form?: unknown }): Promise<void>;
  /** Rejects it. */
  reject(of: RunRef, word?: ApprovalWord): Promise<void>;
  /** Sends a failed or cancelled run back to work from what failed. RUN_NOT_REDRIVABLE. */
  retry(run: RunRef): Promise<void>;
  /** The run as a value that `replayHistory` takes, on this code or on that of next year. RUN_NOT_FOUND. */
  exportHistory(run: RunRef): Promise<ExportedHistory>;
  /**
   * How often the code of each step and handler of a run was begun, by path. What is recorded is never begun again, so
   * under `crash` this says which effects the world outside was asked for more than once.
   */
  executions(run: RunRef): Promise<ReadonlyMap<string, number>>;
  /** How often bodies were dropped by `crash`. */
  readonly crashes: number;
  /** Looks at runs that nobody asked the result of, and lets go of everything. Idempotent. */
  close(): Promise<void>;
}

/** Longer than any test: duties of a server that lives for years have nothing to do in one. */
const neverMs = 600 * 365 * 86_400_000;
const slots = 1_000;
const origin = (tenant: string): Origin => ({ tenant, actor: 'client:test', traceparent: null, correlation: null });

/** An app at work in memory; see `TestSpine`. Fails with OPTIONS_INVALID, or DEFINITION_INVALID where the app is at fault. */
export async function testSpine<App extends AnyApp>(app: App, options: TestSpineOptions = {}): Promise<TestSpine<App>> {
  const spine = new RunningTest(app, options);
  await spine.open();
  return spine;
}

class RunningTest<App extends AnyApp> implements TestSpine<App> {
  readonly #options: TestSpineOptions;
  readonly #tenant: string;
  readonly #time: VirtualTime;
  readonly #work = new UserWork();
  readonly #driver: TestDriver;
  readonly #engine: Engine;
  readonly #worker: Worker;
  readonly #app: AnyApp;
  readonly #faults: Error[] = [];
  /** Runs that have been replayed once after their end. */
  readonly #checked = new Set<string>();
  readonly #started = new Set<string>();
  #letGo: () => void = () => undefined;
  #crashes = 0;
  #events = 0;
  #signals = 0;
  #messages = 0;
  #closed: Promise<void> | null = null;

  constructor(app: App, options: TestSpineOptions) {
    const { seed = 1, now = '2026-01-01T00:00:00Z', patience = '4s', tenant = 'default' } = options;
    this.#options = options;
    this.#tenant = tenant;
    this.#time = new VirtualTime(instantOf(now), `test/${seed}`);
    const { ports } = this.#time;
    this.#driver = new TestDriver({
      time: this.#time,
      work: this.#work,
      patienceMs: parseDuration(patience),
      faults: this.#faults,
      trapsForeign: options.traps ?? true,
    });
    this.#app = appUnderTest(app, {
      handlers: options.handlers ?? [],
      models: options.models ?? {},
      time: this.#time,
      work: this.#work,
    });
    this.#engine = createEngine({
      store: createMemoryStore({ clock: ports.clock }),
      ports,
      settings: {
        sessionDeadMs: neverMs,
        sessionBeatMs: neverMs,
        upkeepEveryMs: neverMs,
        stuckAfterMs: neverMs,
        lookEveryMs: neverMs,
        fleet: null,
      },
      log: (record) => this.#heard(record),
    });
    const plan = crashPlan(options.crash);
    this.#worker = createWorkerOf(registryOf(this.#app), this.#begin(plan), {
      connect: doubled(createInProcessTransport(this.#engine), () => plan?.repeats() ?? false),
      ports,
      slots,
      parkAfterMs: plan === null ? limits.parkAfterMs : 0,
    });
  }

  async open(): Promise<void> {
    if (this.#options.traps ?? true) this.#letGo = holdGlobalTraps();
    await this.#driver.through(this.#engine.start());
    await this.#driver.through(this.#engine.register(this.#app.manifest));
    await this.#driver.through(this.#worker.start());
  }

  get crashes(): number {
    return this.#crashes;
  }

  async start<Name extends WorkflowNameOf<App>>(
    workflow: Name,
    input: InputOf<App, Name>,
    options: TestStartOptions = {},
  ): Promise<TestRun<OutputOf<App, Name>>> {
    const request = { workflow, input: encodeValue(input), ...options };
    const [outcome] = await this.#driver.through(this.#engine.startRuns(origin(this.#tenant), [request]));
    if (outcome === undefined) throw new Error('Invariant broken: one request has one outcome');
    if (outcome.tag === 'error') throw outcome.error;
    this.#started.add(outcome.run);
    await this.#driver.settle();
    return { id: outcome.run, repeated: outcome.tag === 'repeated' };
  }

  async publish<Name extends TopicNameOf<App>>(
    topic: Name,
    data: TopicDataOf<App, Name>,
    options: { readonly id?: string; readonly key?: string } = {},
  ): Promise<{ readonly id: string; readonly runs: readonly TestRun[] }> {
    const { id = `test-${++this.#events}`, key } = options;
    const event = {
      topic,
      id,
      source: 'test',
      type: topic,
      data: encodeValue(data),
      ...(key === undefined ? {} : { key }),
    };
    const [outcome] = await this.#driver.through(this.#engine.publish(origin(this.#tenant), [event]));
    if (outcome === undefined) throw new Error('Invariant broken: one request has one outcome');
    if (outcome.tag === 'error') throw outcome.error;
    const runs = outcome.tag === 'published' ? outcome.runs : [];
    for (const run of runs) this.#started.add(run);
    await this.#driver.settle();
    const delivered = outcome.tag === 'duplicate' ? [] : await this.#deliveredOf(topic, id);
    for (const run of delivered) this.#started.add(run);
    return { id: outcome.id, runs: [...runs, ...delivered].map((run) => ({ id: run, repeated: false })) };
  }

  /** The runs that subscriptions have begun for an event. */
  async #deliveredOf(topic: string, event: string): Promise<string[]> {
    const starting = this.#app.subscriptions.flatMap((one) => (one.topic.name === topic ? (one.start ?? []) : []));
    const found: string[] = [];
    for (const workflow of new Set(starting.map(({ name }) => name))) {
      const page = this.#engine.listRuns(this.#tenant, { workflow, startedFrom: this.#time.nowMs, limit: 500 });
      for (const { id } of (await this.#driver.through(page)).items) {
        if (this.#started.has(id)) continue;
        const [first] =
          (await this.#driver.through(this.#engine.readHistory(this.#tenant, id, { after: 0, limit: 1 }))) ?? [];
        const { trigger } = (first?.data ?? {}) as Partial<RunEventData['run.started']>;
        if (trigger?.eventId === event && trigger.subscription !== undefined) found.push(id);
      }
    }
    return found.reverse();
  }

  idle(): Promise<void> {
    return this.#driver.settle();
  }

  advance(duration: Duration): Promise<void> {
    return this.#driver.advance(parseDuration(duration));
  }

  now(): Date {
    return new Date(this.#time.nowMs);
  }

  async result<Out>(run: RunRef<Out>): Promise<Out> {
    const outcome = await this.outcome(run);
    const id = idOf(run);
    switch (outcome.state) {
      case 'succeeded':
        return outcome.output;
      case 'failed': {
        const { class: failureClass, code, message } = outcome.failure;
        throw new SpineError('RUN_FAILED', { run: id, class: failureClass, code, reason: message });
      }
      case 'refused':
        throw new SpineError('RUN_REFUSED', { run: id, code: outcome.code });
      case 'cancelled':
        throw new SpineError('RUN_CANCELLED', { reason: outcome.reason });
      default:
        return outcome satisfies never;
    }
  }

  async outcome<Out>(run: RunRef<Out>): Promise<TestOutcome<Out>> {
    const id = idOf(run);
    await this.#driver.skipUntil(
      async () => (await this.#read(id)).state !== 'pending',
      async () => `run ${id} waits for nothing that is due: ${await this.#waits(id)}`,
    );
    await this.#check(id);
    return await this.#outcomeOf(id);
  }

  async view(run: RunRef): Promise<RunFold> {
    await this.#driver.settle();
    return found(await this.#driver.through(this.#engine.readRun(this.#tenant, idOf(run))), run);
  }

  async history(run: RunRef): Promise<readonly RunEventView[]> {
    await this.#driver.settle();
    const all: RunEventView[] = [];
    for (;;) {
      const query = { after: all.length, limit: historyPage };
      const page = found(await this.#driver.through(this.#engine.readHistory(this.#tenant, idOf(run), query)), run);
      all.push(...page);
      if (page.length < historyPage) return all;
    }
  }

  async runs(filter: RunFilter = {}): Promise<readonly RunSummary[]> {
    await this.#driver.settle();
    return (await this.#driver.through(this.#engine.listRuns(this.#tenant, filter))).items;
  }

  async events(topic: string): Promise<readonly TopicEventView['event'][]> {
    await this.#driver.settle();
    const topics = await this.#driver.through(this.#engine.listTopics(this.#tenant));
    const partitions = topics.find((one) => one.topic === topic)?.partitions ?? [];
    const pages = partitions.map(({ partition, head }) =>
      this.#engine.readTopic(this.#tenant, topic, { partition, after: -1, limit: head + 1 }),
    );
    return (await this.#driver.through(Promise.all(pages))).flatMap(({ items }) => items).map(({ event }) => event);
  }

  async cancel(run: RunRef, options: { readonly reason?: string; readonly graceMs?: number } = {}): Promise<void> {
    await this.#settled(this.#engine.cancel(origin(this.#tenant), idOf(run), options));
  }

  async signal(
    run: RunRef,
    signal: Signal | string,
    data?: unknown,
    options: { readonly id?: string } = {},
  ): Promise<void> {
    const id = options.id ?? `signal-${++this.#signals}`;
    const name = typeof signal === 'string' ? signal : signal.name;
    const payload = data === undefined ? null : encodeValue(data);
    const said = this.#engine.signal(origin(this.#tenant), idOf(run), { id, name, data: payload });
    await this.#settled(said);
  }

  agent<Name extends AgentFor<App>>(name: Name, key: string): TestAgent<App, Name> {
    const nextId = (): string => `message-${++this.#messages}`;
    const valueOf = (payload: Payload): Promise<unknown> => this.#valueOf(payload);
    const context = { engine: this.#engine, driver: this.#driver, origin: origin(this.#tenant), nextId, valueOf };
    return testAgent<App, Name>(context, name, key);
  }

  async chunks(run: RunRef, path: string): Promise<readonly unknown[]> {
    let attempt = 0;
    let chunks: unknown[] = [];
    for (const { type, data, payload } of await this.history(run)) {
      const of = data as { readonly path?: string; readonly attempt?: number };
      if (type !== 'stream.appended' || of.path !== path) continue;
      if (of.attempt !== attempt) chunks = [];
      attempt = of.attempt ?? 0;
      if (Array.isArray(payload)) chunks.push(...(payload as readonly unknown[]));
    }
    return chunks;
  }

  async approvals(run?: RunRef): Promise<readonly ApprovalView[]> {
    await this.#driver.settle();
    const { items } = await this.#driver.through(this.#engine.listApprovals(this.#tenant, { to: null, limit: 500 }));
    return run === undefined ? items : items.filter((approval) => approval.run === idOf(run));
  }

  async approve(of: RunRef, { form, ...word }: ApprovalWord & { readonly form?: unknown } = {}): Promise<void> {
    await this.#decide(of, word, { what: 'approve', ...(form === undefined ? {} : { form }), ...commentOf(word) });
  }

  async reject(of: RunRef, word: ApprovalWord = {}): Promise<void> {
    await this.#decide(of, word, { what: 'reject', ...commentOf(word) });
  }

  async #decide(of: RunRef, { as, roles }: ApprovalWord, say: Say): Promise<void> {
    const id = idOf(of);
    const open = await this.approvals();
    const meant = open.find((approval) => approval.id === id || approval.run === id);
    if (meant === undefined) throw await this.#nobodyAsked(id);
    // No roles at all: who may decide everything.
    const person = { name: `user:${as ?? 'tester'}`, roles: as === undefined ? null : (roles ?? []) };
    await this.#settled(this.#engine.sayOfApproval(origin(this.#tenant), meant.id, person, say));
  }

  async #settled(command: Promise<CommandOutcome>): Promise<void> {
    const outcome = await this.#driver.through(command);
    if (outcome.tag === 'error') throw outcome.error;
    await this.#driver.settle();
  }

  async retry(run: RunRef): Promise<void> {
    this.#checked.delete(idOf(run));
    await this.#settled(this.#engine.redrive(origin(this.#tenant), idOf(run)));
  }

  async exportHistory(run: RunRef): Promise<ExportedHistory> {
    await this.#driver.settle();
    return found(await this.#driver.through(this.#engine.exportHistory(this.#tenant, idOf(run))), run);
  }

  async executions(run: RunRef): Promise<ReadonlyMap<string, number>> {
    await this.#driver.settle();
    return new Map(this.#work.executions(idOf(run)));
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // ---------------------------------------------------------------- what is ours in the worker

  #begin(plan: CrashPlan | null): BeginActivation {
    const report = (fault: TrapFault): void => void this.#faults.push(fault);
    const traps = this.#options.traps ?? true;
    const single = traps ? trappedActivation(beginActivation, { throws: true, report }) : beginActivation;
    const mortal = plan === null ? single : crashingActivation(single, plan, () => this.#crashes++);
    const { steps = {}, log = () => undefined } = this.#options;
    return watchedBodies(mortal, { work: this.#work, time: this.#time, steps, log });
  }

  #heard({ level, message, fields }: EngineLogRecord): void {
    if (level !== 'error') return;
    this.#faults.push(new Error(`The engine reports: ${message}: ${JSON.stringify(fields)}`));
  }

  // ---------------------------------------------------------------- runs

  #read(run: string): ReturnType<TestOutcomeReader> {
    return this.#driver.through(this.#engine.readResult(this.#tenant, run)).then((result) => found(result, run));
  }

  async #outcomeOf<Out>(run: string): Promise<TestOutcome<Out>> {
    const result = await this.#read(run);
    switch (result.state) {
      case 'succeeded':
        // What comes out was put in by the body of this workflow, through the codec.
        return { state: 'succeeded', output: (await this.#valueOf(result.output)) as Out };
      case 'failed':
        return result;
      case 'refused': {
        const data = result.data === null ? undefined : await this.#valueOf(result.data);
        return { state: 'refused', code: result.code, data };
      }
      case 'cancelled':
        return result;
      case 'pending':
        throw new Error('Invariant broken: the run has ended');
      default:
        return result satisfies never;
    }
  }

  async #valueOf(payload: Payload): Promise<unknown> {
    if (!isBlobPayload(payload)) return decodeValue(payload);
    const bytes = await this.#driver.through(this.#engine.readBlob(this.#tenant, payload.blob));
    if (bytes === null) throw new SpineError('BLOB_NOT_FOUND', { blob: payload.blob });
    return decodeValue(new TextDecoder().decode(bytes));
  }

  async #waits(run: string): Promise<string> {
    const view = found(await this.#driver.through(this.#engine.readRun(this.#tenant, run)), run);
    const texts = view.waitingFor.map(({ text }) => text).join(' ');
    return texts === '' ? `its state is ${view.state}` : texts.replace(/\.$/, '');
  }

  /** Most often the test is early: a pause between attempts has moved what comes after it. */
  async #nobodyAsked(id: string): Promise<SpineError> {
    const run = await this.#driver.through(this.#engine.readRun(this.#tenant, id));
    if (run === null) return new SpineError('APPROVAL_NOT_FOUND', { id });
    return new SpineError('TEST_STUCK', { reason: `run ${id} asks nobody for a word now: ${await this.#waits(id)}` });
  }

  /** Replays an ended run once: this very code must come to what it has come to. */
  async #check(run: string): Promise<void> {
    if (!(this.#options.traps ?? true) || this.#checked.has(run)) return;
    this.#checked.add(run);
    const history = found(await this.#driver.through(this.#engine.exportHistory(this.#tenant, run)), run);
    // A redrive leaves results aside that only the failed try asked for.
    if (history.events.some(({ type }) => type === 'run.redriven')) return;
    const { workflow, changes, verdict } = await replayHistory(this.#app, history);
    if (verdict === 'same') return;
    const what = `does not repeat itself: ${changes.map(({ text }) => text).join(' ')}`;
    throw new SpineError('BODY_NOT_DETERMINISTIC', { workflow, run, what, use: replayUse });
  }

  async #checkAll(): Promise<void> {
    await this.#driver.settle();
    for (const run of this.#started) {
      if ((await this.#read(run)).state !== 'pending') await this.#check(run);
    }
  }

  async #close(): Promise<void> {
    try {
      // What is wrong was told already, and what follows from it is not worth a second error.
      if (!this.#driver.hasTold) await this.#checkAll();
    } finally {
      await this.#driver.through(this.#worker.stop(), true);
      await this.#driver.through(this.#engine.stop(), true);
      this.#letGo();
    }
  }
}

type TestOutcomeReader = () => Promise<NonNullable<Awaited<ReturnType<Engine['readResult']>>>>;

const historyPage = 500;
const replayUse =
  'Usual causes: a step that changes variables of the body (give back a result instead), or something read that changes from one moment to the next.';

function crashPlan(crash: TestSpineOptions['crash']): CrashPlan | null {
  if (crash === undefined) return null;
  if (crash === 'every-await') return { dies: () => true, repeats: () => true };
  const prng = new Prng(`crash/${crash}`);
  return { dies: () => prng.chance(0.3), repeats: () => prng.chance(0.3) };
}

function idOf(run: RunRef): string {
  return typeof run === 'string' ? run : run.id;
}

function found<T>(value: T | null, run: RunRef): T {
  if (value === null) throw new SpineError('RUN_NOT_FOUND', { run: idOf(run) });
  return value;
}

function instantOf(now: Date | number | string): number {
  const ms = new Date(now).getTime();
  if (Number.isNaN(ms))
    throw new SpineError('OPTIONS_INVALID', { what: 'testSpine', faults: ['now is not an instant'] });
  return ms;
}

function commentOf({ comment }: ApprovalWord): { readonly comment?: string } {
  return comment === undefined ? {} : { comment };
}
