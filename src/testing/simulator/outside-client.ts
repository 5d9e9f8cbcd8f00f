/**
 * The client outside: starts runs, publishes events, cancels, redrives and makes a schedule, over a connection that may lose a request or
 * an answer. It repeats what was not answered under the same key, and sometimes what was. It writes down what it was
 * told; an unanswered request is unknown, never failed.
 */
import { isSpineError } from '../../core/errors.js';
import type { Engine, Origin } from '../../engine/api.js';
import { payloadOfJson } from '../../core/codec.js';
import { readSchedule, type ScheduleOptions } from '../../core/schedule/spec.js';
import type { FaultMeter } from './fault-meter.js';
import type { History, Operation } from './history.js';
import { makeGraphInput } from './graph-program.js';
import { simAgent, simSubscriptions } from './manifest.js';
import { makeProgram, programSignals, type Program, type ProgramTaste } from './program.js';
import type { Prng } from './prng.js';
import { SimProcess } from './process.js';
import { watchProgram } from './scripted-body.js';
import type { Cluster } from './cluster.js';
import type { World } from './world.js';

/** What one request came to. */
type Answer = { readonly ok: true; readonly named: readonly string[] } | { readonly ok: false; readonly code: string };

/** How the outside client behaves. */
export interface ClientPlan {
  readonly requests: number;
  /** Over how long they are spread, ms. */
  readonly spreadMs: number;
  readonly cancels: boolean;
  readonly redrives: boolean;
  /** All dead letters are redriven, in the middle and once more at the end. */
  readonly sweeps: boolean;
  /** What a schedule does, where there is to be one. */
  readonly schedule: ScheduleOptions | null;
  /** Subscriptions are paused now and then. */
  readonly pauses: boolean;
  /** There are versions to migrate to. */
  migrates: boolean;
  /** Probability that a request or its answer is lost. */
  loss: number;
  readonly taste: ProgramTaste;
  /** Messages to the agent; 0 = there is none. */
  readonly messages: number;
}

/** What the client needs. */
export interface OutsideClientOptions {
  readonly world: World;
  readonly cluster: Cluster;
  readonly history: History;
  readonly meter: FaultMeter;
  readonly plan: ClientPlan;
  /** Told of each run that was acknowledged. */
  readonly onRun: (tenant: string, run: string) => void;
}

/** The tenants of a world. */
export const tenants = ['acme', 'bolt'] as const;

/** See the head of this file. */
export class OutsideClient {
  readonly #options: OutsideClientOptions;
  readonly #prng: Prng;
  readonly #process: SimProcess;
  readonly #runs: { tenant: string; run: string }[] = [];
  /** The request for the schedule, once it was sent. */
  #scheduling: Operation | null = null;
  /** Logical requests that are not finished yet. */
  pending = 0;

  constructor(options: OutsideClientOptions) {
    this.#options = options;
    this.#prng = options.world.prng.fork('client');
    this.#process = new SimProcess(options.world, 'client');
    this.#process.start();
  }

  /** Plans all requests. */
  start(): void {
    const { plan } = this.#options;
    for (let i = 0; i < plan.requests; i++) {
      this.pending += 1;
      this.#process.after(this.#prng.next() * plan.spreadMs, 'request', () => this.#request(i));
    }
    const mail = this.#options.world.prng.fork('mail');
    for (let i = 0; i < plan.messages; i++) {
      this.pending += 1;
      this.#process.after(mail.next() * plan.spreadMs, 'message', () => this.#tell(mail, i));
    }
    if (plan.sweeps) this.#sweepLater(plan.spreadMs * 0.7);
    if (plan.pauses) this.#pauseLater(plan.spreadMs);
    if (plan.schedule === null) return;
    const { schedule } = plan;
    this.pending += 1;
    this.#process.after(plan.spreadMs / 20, 'schedule', () => this.#schedule(schedule));
  }

  /** One start after all faults: it must be answered and must end. A schedule ticks on for a while, then it rests. */
  probe(): void {
    this.pending += 1;
    this.#startRun('probe');
    // A pause that was on its way may come after the first.
    if (this.#options.plan.pauses) for (const inMs of [0, restAfterMs]) this.#resumeLater(inMs);
    if (this.#options.plan.sweeps) this.#sweepLater(restAfterMs);
    if (this.#scheduling === null) return;
    this.pending += 1;
    this.#process.after(restAfterMs, 'rest', () => this.#rest());
  }

  #schedule(options: ScheduleOptions): void {
    const [tenant] = tenants;
    // Small work: there may be many ticks.
    const program = this.#options.world.prng.fork('scheduled');
    const input = makeProgram(program, {
      ...this.#options.plan.taste,
      maps: false,
      calls: false,
      children: false,
      poison: false,
    });
    const spec = readSchedule('program', { ...options, input }, (fault) => {
      throw new Error(fault);
    });
    this.#scheduling = this.#operation('schedule', tenant, scheduleName, spec.input);
    this.#attempt(this.#scheduling, true, async (engine) => {
      const outcome = await engine.putSchedule(originOf(tenant), scheduleName, spec);
      return outcome.tag === 'error' ? refusal(outcome.error) : { ok: true, named: [outcome.tag] };
    });
  }

  /** Not before it is known that there is a schedule: what comes later would tick for ever. */
  #rest(): void {
    const [tenant] = tenants;
    const isMade = this.#scheduling?.ackedAtMs !== null;
    const isRefused = this.#scheduling?.refusals.some((code) => !transient.has(code)) === true;
    if (!isMade && !isRefused) return void this.#process.after(restAfterMs, 'rest', () => this.#rest());
    const operation = this.#operation('schedule', tenant, scheduleName, 'pause');
    this.#attempt(operation, true, (engine) =>
      engine.pauseSchedule(originOf(tenant), scheduleName).then(commandAnswer),
    );
  }

  #request(i: number): void {
    const { plan } = this.#options;
    const kind = this.#prng.next();
    if (kind < 0.2) return this.#publish(`e${i}`);
    if (kind > 0.75 && plan.taste.waits && this.#runs.length > 0) return this.#signal(i);
    if (kind > 0.65 && plan.taste.waits) return this.#publish(`e${i}`, 'noted');
    if (kind < 0.32 && plan.cancels && this.#runs.length > 0) return this.#cancel();
    if (kind < 0.42 && plan.redrives && this.#runs.length > 0) return this.#redrive();
    if (plan.migrates && kind < 0.57 && this.#runs.length > 0) return this.#migrate();
    this.#startRun(`k${this.#prng.int(0, plan.requests)}`);
  }

  #startRun(key: string): void {
    const tenant = this.#prng.pick(tenants);
    const keyed = key === 'probe' || this.#prng.chance(0.8);
    // The same key always comes with the same body, whoever uses it first.
    const program: Program = makeProgram(
      keyed ? this.#options.world.prng.fork(`program/${tenant}/${key}`) : this.#prng,
      this.#options.plan.taste,
    );
    const name = keyed ? `${tenant}/${key}` : `${this.#options.history.operations.length}`;
    const graph = this.#options.world.prng.fork(`graph/${name}`);
    const isGraph = key !== 'probe' && graph.chance(0.25);
    const input = payloadOfJson(isGraph ? makeGraphInput(graph, this.#options.plan.taste) : program);
    const operation = this.#operation('start', tenant, keyed ? key : null, input.text);
    const request = { workflow: isGraph ? 'graph' : 'program', input, ...(keyed ? { idempotencyKey: key } : {}) };
    this.#attempt(operation, keyed, async (engine) => {
      const [outcome] = await engine.startRuns(originOf(tenant), [request]);
      if (outcome === undefined) throw new Error('no outcome');
      return outcome.tag === 'error' ? refusal(outcome.error) : { ok: true, named: [outcome.run] };
    });
  }

  /** Some ids are used twice, for the same signal of the same run. */
  #signal(i: number): void {
    const { tenant, run } = this.#prng.pick(this.#runs);
    const id = `s${this.#prng.int(0, i)}`;
    const name = programSignals[id.length % programSignals.length] ?? 'go';
    const operation = this.#operation('signal', tenant, `${run} ${id}`, name);
    this.#attempt(operation, true, (engine) =>
      engine.signal(originOf(tenant), run, { id, name, data: payloadOfJson(id) }).then(commandAnswer),
    );
  }

  /** Some ids are used twice, for the same message. */
  #tell(mail: Prng, i: number): void {
    const [tenant] = tenants;
    const key = String(mail.int(0, 2));
    const id = `t${mail.int(0, 7)}`;
    const operation = this.#operation('tell', tenant, `${key} ${id}`, id);
    const request = { agent: simAgent, key, type: 'add', id, data: payloadOfJson(id), reply: i % 2 === 0 };
    this.#attempt(operation, true, async (engine) => {
      const outcome = await engine.tellAgent(originOf(tenant), request);
      return outcome.tag === 'error' ? refusal(outcome.error) : { ok: true, named: [outcome.tag] };
    });
  }

  #publish(id: string, topic = 'seen'): void {
    const tenant = this.#prng.pick(tenants);
    const data = payloadOfJson({ n: this.#prng.int(0, topic === 'noted' ? 1 : 9), program: watchProgram });
    const operation = this.#operation('publish', tenant, id, data.text, topic);
    const event = { topic, id, source: 'client', type: topic, data };
    this.#attempt(operation, true, async (engine) => {
      const [outcome] = await engine.publish(originOf(tenant), [event]);
      if (outcome === undefined) throw new Error('no outcome');
      return outcome.tag === 'error' ? refusal(outcome.error) : { ok: true, named: [outcome.id] };
    });
  }

  /** One of its runs, or one that runs have started. */
  #anyRun(): { readonly tenant: string; readonly run: string } {
    const { taste } = this.#options.plan;
    if (!(taste.children || taste.chains) || this.#prng.chance(0.6)) return this.#prng.pick(this.#runs);
    const { tenant } = this.#prng.pick(this.#runs);
    const runs = new Set<string>();
    for (const action of this.#options.history.actions)
      if (action.kind === 'apply' && action.outcome.tag === 'applied' && action.transition.tenant === tenant)
        for (const { expected, row } of action.transition.runs ?? [])
          if (expected === 0 && row.workflow === 'program' && row.labels === null) runs.add(row.run);
    // It may have started nothing but graphs.
    return runs.size === 0 ? this.#prng.pick(this.#runs) : { tenant, run: this.#prng.pick([...runs]) };
  }

  #cancel(): void {
    const { tenant, run } = this.#anyRun();
    const operation = this.#operation('cancel', tenant, run, '');
    this.#attempt(operation, true, (engine) =>
      engine.cancel(originOf(tenant), run, { reason: 'no longer wanted', graceMs: cancelGraceMs }).then(commandAnswer),
    );
  }

  #redrive(): void {
    const { tenant, run } = this.#anyRun();
    const operation = this.#operation('redrive', tenant, run, '');
    // Not repeated: a second redrive is another one.
    this.#attempt(operation, false, (engine) => engine.redrive(originOf(tenant), run).then(commandAnswer));
  }

  /** Each is paused and resumed, and the last word is that it goes on. */
  #pauseLater(spreadMs: number): void {
    const prng = this.#options.world.prng.fork('pauses/when');
    for (const tenant of tenants)
      for (const { name } of simSubscriptions) {
        this.pending += 1;
        this.#process.after(prng.next() * spreadMs * 0.4, 'pause', () => {
          const operation = this.#operation('pause', tenant, name, 'pause');
          this.#attempt(operation, false, (engine) =>
            engine.pauseSubscription(originOf(tenant), name, null).then(commandAnswer),
          );
        });
      }
    this.#resumeLater(prng.between(0.4, 0.9) * spreadMs);
  }

  #resumeLater(inMs: number): void {
    for (const tenant of tenants)
      for (const { name } of simSubscriptions) {
        this.pending += 1;
        this.#process.after(inMs, 'resume', () => {
          const operation = this.#operation('pause', tenant, name, 'resume');
          this.#attempt(operation, true, (engine) =>
            engine.resumeSubscription(originOf(tenant), name).then(commandAnswer),
          );
        });
      }
  }

  #sweepLater(inMs: number): void {
    const prng = this.#options.world.prng.fork('sweep');
    for (const tenant of tenants) {
      this.pending += 1;
      this.#process.after(inMs, 'sweep', () => {
        const ratePerSecond = prng.pick([2, 20, 1_000]);
        const operation = this.#operation('sweep', tenant, null, '');
        // Not repeated: a second one is another one.
        this.#attempt(operation, false, async (engine) => {
          const { id } = await engine.beginRedrive(originOf(tenant), { filter: {}, ratePerSecond, reason: null });
          return { ok: true, named: [id] };
        });
      });
    }
  }

  #operation(kind: Operation['kind'], tenant: string, key: string | null, body: string, topic?: string): Operation {
    const calledAtMs = this.#options.world.nowMs;
    const operation: Operation = {
      kind,
      tenant,
      key,
      body,
      calledAtMs,
      ackedAtMs: null,
      answers: [],
      refusals: [],
      ...(topic === undefined ? {} : { topic }),
    };
    this.#options.history.operations.push(operation);
    return operation;
  }
  #migrate(): void {
    const { tenant, run } = this.#prng.pick(this.#runs);
    const to = this.#prng.pick(['1', '2']);
    const operation = this.#operation('migrate', tenant, run, to);
    this.#attempt(operation, true, (engine) => engine.migrate(originOf(tenant), run, to).then(commandAnswer));
  }

  /** Sends the request; where it may be repeated, again and again until there is an answer. */
  #attempt(operation: Operation, repeatable: boolean, send: (engine: Engine) => Promise<Answer>): void {
    const { cluster, meter } = this.#options;
    let open = true;
    const again = (inMs: number): void => {
      this.#process.after(inMs, 'repeat', () => this.#attempt(operation, repeatable, send));
    };
    const settle = (answer: Answer | null): void => {
      if (!open) return;
      open = false;
      if (answer?.ok === true) return this.#accepted(operation, answer.named, repeatable, again);
      const retryable = answer === null || transient.has(answer.code);
      if (answer !== null) operation.refusals.push(answer.code);
      if (retryable && repeatable) again(this.#prng.between(50, 800));
      else this.pending -= 1;
    };
    this.#process.after(answerMsMax, 'request timeout', () => settle(null));
    if (this.#lost()) return meter.count('request lost');
    const server = cluster.any(this.#prng);
    server.process.after(this.#latency(), 'request', () => {
      const { engine } = server;
      if (engine === null) return;
      const back = (answer: Answer): void => {
        if (this.#lost()) return meter.count('answer lost');
        this.#process.after(this.#latency(), 'answer', () => settle(answer));
      };
      send(engine).then(back, (error: unknown) => back(refusal(error)));
    });
  }

  #accepted(operation: Operation, named: readonly string[], repeatable: boolean, again: (ms: number) => void): void {
    const first = operation.ackedAtMs === null;
    operation.ackedAtMs ??= this.#options.world.nowMs;
    operation.answers.push(...named);
    if (operation.kind === 'start' && first) {
      const { tenant } = operation;
      for (const run of named) {
        this.#runs.push({ tenant, run });
        this.#options.onRun(tenant, run);
      }
    }
    // Somebody who is not sure asks again, perhaps much later.
    if (first && repeatable && operation.kind !== 'cancel' && this.#prng.chance(0.25))
      again(this.#prng.between(0, 3_000));
    else this.pending -= 1;
  }

  #lost(): boolean {
    const { plan } = this.#options;
    return plan.loss > 0 && this.#prng.chance(plan.loss);
  }

  #latency(): number {
    return this.#prng.next() * 20;
  }
}

/** The one schedule of a world. */
const scheduleName = 'beat';
/** How long it ticks on in a world that is whole again. */
const restAfterMs = 6_000;

/** Time that a cancelled body has to clean up, ms. */
export const cancelGraceMs = 3_000;
const answerMsMax = 4_000;
const transient: ReadonlySet<string> = new Set([
  'STORE_BUSY',
  'STORE_UNREACHABLE',
  'STORE_CLOSED',
  'SHUTTING_DOWN',
  'STORE_FULL',
]);

function originOf(tenant: string): Origin {
  return { tenant, actor: 'client:outside', traceparent: null, correlation: null };
}

function refusal(error: unknown): Answer {
  return { ok: false, code: isSpineError(error) ? error.code : `UNEXPECTED ${String(error)}` };
}

function commandAnswer(
  outcome: { readonly tag: 'done' | 'already' } | { readonly tag: 'error'; readonly error: Error },
): Answer {
  return outcome.tag === 'error' ? refusal(outcome.error) : { ok: true, named: [outcome.tag] };
}
