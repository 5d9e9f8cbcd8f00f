/**
 * The work behind `ctx.ai`: runs a program of the AI SDK, whose calls of models are inferences of the run and whose tools are
 * steps of it, then submits what it came to as the result of a step.
 *
 * Invariant: the program runs at a pace of its own, and its order of events is never that of the body. So nothing in it depends
 * on the order in which results come: each inference is found by what it asks, each tool by the id of its call. The program may
 * be begun anew at any moment, after the death of its worker as well as here, and finds again all that was asked before.
 */
import { failureOf } from '../../core/failure-of.js';
import type { Failure } from '../../core/failure.js';
import { limits } from '../../core/limits.js';
import type { InlinePayload, Payload } from '../../core/payload.js';
import { pathOf } from '../../core/paths.js';
import type { RetryPolicy } from '../../core/retry.js';
import type { BodyCommand } from '../../core/run/commands.js';
import type { Effect } from '../../core/run/events.js';
import { unwantedFailure } from '../../core/run/inference.js';
import { aiInference, aiModelSetting, partsOf, type AiModelSetting } from '../ai/ai-inference.js';
import type { Ai, AiModel, AiModelOptions, AiStreamed, AiToolOptions, AiTools, AiToolsOf } from '../ai/ai-options.js';
import { durableTools, refuseUngated, type AiToolRun } from '../ai/ai-tools.js';
import { PartRelay } from '../ai/part-relay.js';
import { recordedOf } from '../ai/sdk-result.js';
import { framesOf } from '../ai/ui-frames.js';
import { Cancelled, isCancelled } from '../cancelled.js';
import type { RunInfo, StepContext } from '../ctx.js';
import type { AskedInference } from '../infer/ask-inference.js';
import type { RecordedAnswer } from '../infer/model-answer.js';
import type { ModelCallNow } from '../infer/model-endpoint.js';
import type { ToolDone } from '../infer/conversation.js';
import { largerWindow, type Can } from '../infer/mended-inference.js';
import { makeLog } from '../log.js';
import type { Model } from '../model.js';
import { isStepError, type StepError } from '../step-error.js';
import { ChunkBatcher, type StreamWriter } from '../stream-writer.js';
import { InferWork, type InferenceTold, type InferRequest } from './infer-work.js';
import type { PathRecord, UnitKind } from './path-record.js';
import { Scope } from './scope.js';
import type { StepHost } from './step-work.js';
import { refusedText, taintOf } from './tool-gate.js';
import type { Wait, Work } from './wait.js';

/** What the work asks of the body that it belongs to. */
export interface AiHost extends StepHost {
  readonly info: RunInfo;
  claim(path: string): void;
  ask(scope: Scope, path: string, kind: UnitKind, work: Work): Promise<unknown>;
  release(path: string): void;
  unaskedInferences(path: string): readonly (readonly [path: string, record: PathRecord])[];
  submitTogether(
    payloads: readonly InlinePayload[],
    commands: (stored: readonly Payload[]) => readonly BodyCommand[],
    onRefused: (cause: Failure) => void,
  ): void;
}

/** What is to be done. */
export interface AiRequest {
  readonly path: string;
  readonly fn: (ai: Ai) => unknown;
  readonly retry: RetryPolicy;
  /** Options for `toUIMessageStream`. */
  readonly ui: object;
  /** Whether a person says that a call nobody knows the outcome of is to be made again. */
  readonly askPerson: (scope: Scope, asked: AskedInference, attempt: number) => Promise<boolean>;
  /** Does the work of a tool, at a path that is claimed. `taint`: of what the model was asked with. */
  readonly runTool: (scope: Scope, path: string, call: AiToolRun, taint: readonly string[]) => Promise<ToolDone>;
}

/** An inference of a program. */
type AskedCall = Omit<AskedInference, 'can'>;

/** An inference that was asked for in this activation. */
interface OpenInference {
  readonly told: Promise<RecordedAnswer>;
  readonly relay: PartRelay;
}

/** See the top of the module. */
export class AiWork implements Work {
  readonly hosts = true;
  readonly #request: AiRequest;
  readonly #outer: Scope;
  readonly #host: AiHost;
  #wait: Wait | null = null;
  #scope: Scope;
  /** The program as it was begun last; what an earlier one does is of no interest. */
  #program: Program | null = null;
  /** How often it was begun here; the number of its stream. */
  #begun = 0;
  #inferences = new Map<string, OpenInference>();
  #tools = new Map<string, Promise<unknown>>();
  /** Of the tools that the program has made durable, by name. */
  readonly #effects = new Map<string, Effect>();
  /** Whether all calls of a tool with an id were refused. */
  readonly #refused = new Map<string, boolean>();
  /** What the inferences of the program were tainted by. */
  readonly #taint = new Set<string>();
  /** The inference that has failed last: what the SDK makes of it says less. */
  #failed: StepError | null = null;
  #isRestarting = false;

  constructor(request: AiRequest, outer: Scope, host: AiHost) {
    this.#request = request;
    this.#outer = outer;
    this.#host = host;
    this.#scope = new Scope(request.path, outer, 'apart');
  }

  launch(wait: Wait): void {
    this.#wait = wait;
    const { path } = this.#request;
    // An earlier attempt in this activation has asked for the same things; what they came to is recorded.
    this.#host.release(path);
    this.#scope = new Scope(path, this.#outer, 'apart');
    this.#inferences = new Map();
    this.#tools = new Map();
    this.#begin();
  }

  abort(): void {
    this.#program?.leave();
    this.#program = null;
  }

  /**
   * What an earlier life has asked for and this one has not, as where its prompt tells the time, waits for nobody, and must
   * not keep others waiting by what it was given. What was called is left to the end: nobody else waits for that.
   */
  atRest(): boolean {
    const unasked = this.#host
      .unaskedInferences(this.#request.path)
      .filter(([, { begun, attempt }]) => begun < attempt);
    this.#giveUp(unasked);
    return unasked.length > 0;
  }

  #giveUp(unasked: ReturnType<AiHost['unaskedInferences']>): void {
    for (const [path, { begun, attempt }] of unasked) {
      if (begun >= attempt) this.#host.submit({ op: 'settleAmbiguity', path, attempt, policy: 'dead-letter' });
      const nothing = { usage: null, costMicros: 0, retry: this.#request.retry };
      this.#host.submit({ op: 'failInference', path, attempt, failure: unwantedFailure, ...nothing });
    }
  }

  /** The program was given something that is not what is recorded: it is begun anew, and finds what is. */
  readonly #restart = (): void => {
    if (this.#isRestarting) return;
    this.#isRestarting = true;
    this.#program?.leave();
    // Not in the middle of what has told of it.
    Promise.resolve().then(() => this.#begin(), ignore);
  };

  #begin(): void {
    const wait = this.#wait;
    this.#isRestarting = false;
    if (wait?.phase !== 'hosting') return;
    this.#program?.leave();
    this.#failed = null;
    this.#begun += 1;
    const program = new Program(this.#host, this.#request.path, this.#begun);
    this.#program = program;
    const attempt = this.#host.recordOf(this.#request.path)?.attempt ?? 1;
    program
      .run(attempt, () => this.#played(program))
      .then(
        ({ value, durationMs }) => {
          if (program === this.#program) this.#complete(wait, attempt, value, durationMs);
        },
        (error: unknown) => {
          if (program === this.#program) this.#fail(wait, attempt, this.#causeOf(error));
        },
      );
  }

  async #played(program: Program): Promise<unknown> {
    const show = (result: AiStreamed): Promise<void> => this.#show(program, result);
    const recorded = await recordedOf(await this.#request.fn(this.#ai(program, show)), show);
    await program.endStream();
    return recorded;
  }

  /** An error of the SDK that wraps or hides that of an inference says less than this. */
  #causeOf(error: unknown): Failure {
    if (isStepError(error)) return error.failure;
    const { name } = error instanceof Error ? error : { name: '' };
    return this.#failed !== null && name.startsWith('AI_') ? this.#failed.failure : this.#failureOf(error);
  }

  #failureOf(error: unknown): Failure {
    return failureOf(error, this.#host.host.ports.clock.now());
  }

  #end(wait: Wait): void {
    this.#program?.leave();
    this.#program = null;
    wait.phase = 'working';
    this.#scope.giveUp(new Cancelled('sibling_failed'));
    this.#scope.close();
    this.#giveUp(this.#host.unaskedInferences(this.#request.path));
  }

  #complete(wait: Wait, attempt: number, value: unknown, durationMs: number): void {
    this.#end(wait);
    const { path } = this.#request;
    let result: InlinePayload;
    try {
      result = this.#host.encode(value);
    } catch (error) {
      return this.#submitFailure(wait, attempt, this.#failureOf(error));
    }
    wait.own = result;
    this.#host.submitTogether(
      [result],
      ([stored]) => [{ op: 'completeStep', path, attempt, durationMs, withInput: false, result: stored ?? result }],
      (cause) => this.#submitFailure(wait, attempt, cause),
    );
  }

  #fail(wait: Wait, attempt: number, cause: Failure): void {
    this.#end(wait);
    this.#submitFailure(wait, attempt, cause);
  }

  #submitFailure(wait: Wait, attempt: number, cause: Failure): void {
    wait.own = null;
    const { path, retry } = this.#request;
    const attempts = cause.retryable ? retry.attempts : 1;
    this.#host.submit({ op: 'failStep', path, attempt, failure: cause, retry: { ...retry, attempts } });
  }

  // ---------------------------------------------------------------- what the program is given

  #ai(program: Program, show: (result: AiStreamed) => Promise<void>): Ai {
    return {
      model: (model, options = {}) => this.#model(program, model, options),
      tools: (tools, options = {}) => this.#durable(program, tools, options),
      show,
      signal: this.#scope.signal,
    };
  }

  #model(program: Program, given: Model | string, options: AiModelOptions): AiModel {
    const { host } = this.#host;
    const model = typeof given === 'string' ? (host.model?.(given) ?? null) : given;
    const name = typeof given === 'string' ? given : given.name;
    const setting = aiModelSetting(model, name, options, this.#host.host.remedies);
    const { use } = setting.model.versions[0] ?? {};
    const asked = (call: ModelCallNow, streamed: boolean): OpenInference =>
      this.#infer(program, setting, call, streamed);
    const generate = async (call: ModelCallNow): Promise<unknown> => await asked(call, false).told;
    const stream = async (call: ModelCallNow): Promise<unknown> => {
      const { told, relay } = asked(call, true);
      // Parts may be read before it is told; what is to come of them is waited for all the same.
      program.waitFor(undefined, () => told).catch(ignore);
      return { stream: await relay.open() };
    };
    const made = {
      specificationVersion: setting.specificationVersion,
      provider: use?.provider ?? '',
      modelId: use?.modelId ?? '',
      supportedUrls: (use as { readonly supportedUrls?: unknown } | undefined)?.supportedUrls ?? {},
      doGenerate: (call: ModelCallNow) => program.waitFor(call.abortSignal, () => generate(call)),
      doStream: (call: ModelCallNow) => program.waitFor(call.abortSignal, () => stream(call)),
    };
    return made as unknown as AiModel;
  }

  #durable<Tools extends AiTools>(
    program: Program,
    tools: Tools,
    options: AiToolOptions & { readonly each?: { readonly [Name in keyof Tools]?: AiToolOptions } },
  ): AiToolsOf<Tools> {
    const run = (call: AiToolRun): Promise<unknown> => program.waitFor(undefined, () => this.#tool(program, call));
    return durableTools(tools, options, run, this.#effects);
  }

  // ---------------------------------------------------------------- inferences

  /** The inference of a call: the same one for the same call, also where the program was begun anew in between. */
  #infer(program: Program, setting: AiModelSetting, call: ModelCallNow, streamed: boolean): OpenInference {
    const { hash } = this.#host.host.ports;
    const policy = this.#host.host.tools ?? null;
    if (policy !== null) refuseUngated(call, this.#effects, policy);
    const made = aiInference(setting, call, streamed, this.#effects, hash, (value) => this.#host.encode(value));
    const taint = taintOf(
      made.request.text,
      call.prompt,
      policy,
      (tool, id) => this.#refused.get(JSON.stringify([tool, id])) === true,
    );
    for (const label of taint) this.#taint.add(label);
    const asked = taint.length === 0 ? made : { ...made, ask: { ...made.ask, taint } };
    const { model, fingerprint } = asked.ask;
    const kind = streamed ? 'stream' : 'infer';
    const name = fingerprint.slice(0, fingerprintLength);
    let path: string;
    do path = pathOf(this.#request.path, [kind, model, name, program.next(`${kind} ${model} ${name}`)]);
    while (this.#isUnwanted(path));
    const known = this.#inferences.get(path);
    if (known !== undefined) return known;
    const opened = this.#opened(setting.model, { ...asked, path });
    this.#inferences.set(path, opened);
    return opened;
  }

  /** It was given up when no life seemed to ask for it. Whoever does now asks anew. */
  #isUnwanted(path: string): boolean {
    const outcome = this.#host.recordOf(path)?.outcome;
    return outcome?.type === 'inference.failed' && outcome.data.failure.code === unwantedFailure.code;
  }

  #opened(model: Model, asked: AskedCall): OpenInference {
    const relay = new PartRelay(this.#restart);
    const told = this.#asked(model, asked, relay).then(
      (outcome) => {
        // It was put in by `InferWork`, through the codec.
        const answer = (outcome as InferenceTold).answer as RecordedAnswer;
        relay.complete(partsOf(answer));
        return answer;
      },
      async (error: unknown) => {
        // Suspended and given up are the same to a program: it hears nothing more.
        if (isCancelled(error)) return await never();
        if (isStepError(error) && error.code === unwantedFailure.code) {
          this.#inferences.delete(asked.path);
          this.#restart();
          return await never();
        }
        if (isStepError(error)) this.#failed = error;
        relay.fail(error);
        throw error;
      },
    );
    return { told, relay };
  }

  /** Asks, and where a prompt was too long asks a version with a larger window, as often as there is one. */
  async #asked(model: Model, asked: AskedCall, relay: PartRelay): Promise<unknown> {
    const scope = this.#scope;
    const tried = new Set<string>();
    const alone = { model, later: [] };
    let [at, ask] = [asked.path, asked.ask];
    for (let n = 1; ; n++) {
      const can: Can = (failure, version) => {
        const reroute = n > limits.inferenceRemediesMax ? null : largerWindow(alone, failure, version, tried);
        return reroute === null ? {} : { reroute };
      };
      const now: AskedInference = { ...asked, path: at, ask, can };
      const request: InferRequest = {
        ...now,
        onPart: (part, attempt) => relay.put(part, attempt),
        askPerson: (attempt) => this.#request.askPerson(scope, now, attempt),
      };
      this.#host.claim(at);
      try {
        return await this.#host.ask(scope, at, 'inference', new InferWork(request, this.#host));
      } catch (error) {
        const { outcome = null, inference = null } = this.#host.recordOf(at) ?? {};
        const remedy = outcome?.type === 'inference.failed' ? outcome.data.remedy : undefined;
        if (isCancelled(error) || remedy?.name !== 'reroute' || remedy.version === undefined) throw error;
        const version = inference?.grant?.version;
        if (version !== undefined) tried.add(version);
        ask = { ...asked.ask, reroute: remedy.version, chain: { after: at, isLast: true } };
        at = pathOf(asked.path, ['again', n]);
        while (this.#isUnwanted(at)) at = pathOf(asked.path, ['again', (n += 1)]);
      }
    }
  }

  // ---------------------------------------------------------------- tools

  #tool(program: Program, call: AiToolRun): Promise<unknown> {
    const { name, toolCallId } = call;
    const n = program.next(`tool ${name} ${toolCallId}`);
    const path = pathOf(this.#request.path, n === 1 ? ['tool', name, toolCallId] : ['tool', name, toolCallId, n]);
    let result = this.#tools.get(path);
    if (result === undefined) {
      result = this.#called(path, call);
      this.#tools.set(path, result);
    }
    return result;
  }

  async #called(path: string, call: AiToolRun): Promise<unknown> {
    this.#host.claim(path);
    try {
      const done = await this.#request.runTool(this.#scope, path, call, [...this.#taint]);
      this.#noteEnd(call, done.tag === 'refused');
      if (done.tag === 'refused') throw new Error(refusedText(call.name, done.why));
      return done.value;
    } catch (error) {
      if (isCancelled(error)) return await never();
      // Nobody knows whether it has happened, so the model must not be told that it has not.
      if (isStepError(error) && error.code === 'EFFECT_AMBIGUOUS') return await this.#endedBy(error);
      throw error;
    }
  }

  /** What was refused has no result that is from outside, unless another call of that id has one. */
  #noteEnd({ name, toolCallId }: AiToolRun, isRefused: boolean): void {
    const id = JSON.stringify([name, toolCallId]);
    this.#refused.set(id, isRefused && this.#refused.get(id) !== false);
  }

  #endedBy({ failure }: StepError): Promise<never> {
    const wait = this.#wait;
    if (wait?.phase === 'hosting') {
      this.#fail(wait, this.#host.recordOf(this.#request.path)?.attempt ?? 1, failure);
    }
    return never();
  }

  // ---------------------------------------------------------------- what readers see

  #show(program: Program, result: AiStreamed): Promise<void> {
    const shown = program.shown.get(result) ?? this.#shown(program, result);
    program.shown.set(result, shown);
    return shown;
  }

  async #shown(program: Program, result: AiStreamed): Promise<void> {
    const { path, ui } = this.#request;
    // With these the message has the same id in every life of the program.
    const identity = { originalMessages: [], generateMessageId: () => `${this.#host.run}/${path}` };
    const options = { ...identity, ...ui } as never;
    let error: Error | null = null;
    for await (const chunk of result.toUIMessageStream(options)) {
      if (program !== this.#program) return await never();
      if (isErrorChunk(chunk)) error = this.#failed ?? new Error(chunk.errorText);
      for (const frame of framesOf(chunk)) await program.stream.write(frame);
    }
    if (error !== null) throw error;
  }
}

/** Enough to tell the calls of one program apart. */
const fingerprintLength = 16;

/** One life of the program. While it waits for nothing of the run it is at work, and its body stays in memory. */
class Program {
  readonly #host: AiHost;
  readonly #path: string;
  readonly #life: number;
  readonly #counts = new Map<string, number>();
  /** Results that readers are shown, one time each. */
  readonly shown = new WeakMap<AiStreamed, Promise<void>>();
  #stream: ChunkBatcher | null = null;
  /** Things of the run that it waits for. */
  #waits = 0;
  #over = false;
  #rest: (() => void) | null = null;

  constructor(host: AiHost, path: string, life: number) {
    this.#host = host;
    this.#path = path;
    this.#life = life;
  }

  async run(
    attempt: number,
    fn: () => Promise<unknown>,
  ): Promise<{ readonly value: unknown; readonly durationMs: number }> {
    const { clock } = this.#host.host.ports;
    const startedMs = clock.monotonicMs();
    this.#work();
    try {
      const { onlooker } = this.#host.host;
      const context = this.#context(attempt);
      const call = { path: this.#path, input: undefined, context, hosts: true, run: fn };
      const value = await (onlooker?.step === undefined ? fn() : onlooker.step(call));
      return { value, durationMs: Math.max(0, Math.round(clock.monotonicMs() - startedMs)) };
    } finally {
      this.leave();
    }
  }

  /** How often the program has asked for the same thing, with this time. */
  next(name: string): number {
    const n = (this.#counts.get(name) ?? 0) + 1;
    this.#counts.set(name, n);
    return n;
  }

  /** What readers follow under the path of the program. */
  get stream(): StreamWriter {
    this.#stream ??= new ChunkBatcher(this.#host.host.ports, (batch) => this.#append(batch));
    return this.#stream;
  }

  /** All of it is recorded. */
  async endStream(): Promise<void> {
    await this.#stream?.end();
  }

  /**
   * Waits for something of the run; rejects with the reason of the program's own signal, where that is aborted first. A life
   * that is over is told nothing.
   */
  async waitFor<T>(signal: AbortSignal | undefined, ask: () => Promise<T>): Promise<T> {
    if (this.#over) return await never();
    if (this.#waits++ === 0) this.#pause();
    try {
      return await (signal === undefined ? ask() : abortable(signal, ask()));
    } finally {
      if (this.#over) await never();
      if (--this.#waits === 0) this.#work();
    }
  }

  /** Nothing that it does matters any more. */
  leave(): void {
    if (this.#over) return;
    this.#over = true;
    this.#pause();
  }

  #append(batch: Parameters<AiHost['append']>[2]): Promise<void> {
    // What is left over of an earlier life is not to stand between the chunks of the present one.
    return this.#host.append(this.#path, this.#life, batch);
  }

  #work(): void {
    if (this.#rest !== null) return;
    this.#host.enter();
    const rest = this.#host.host.onlooker?.busy?.(this.#path);
    this.#rest = () => {
      rest?.();
      this.#host.leave();
    };
  }

  #pause(): void {
    this.#rest?.();
    this.#rest = null;
  }

  /** For who takes the place of the program in a test. */
  #context(attempt: number): StepContext {
    const { host, tenant, run } = this.#host;
    const path = this.#path;
    return {
      attempt,
      signal: new AbortController().signal,
      idempotencyKey: `${tenant}/${run}/${path}`,
      log: makeLog((level, message, fields) => host.log({ level, message, fields, tenant, run, path })),
      stream: () => this.stream,
    };
  }
}

function abortable<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

function isErrorChunk(chunk: unknown): chunk is { readonly errorText: string } {
  return typeof chunk === 'object' && chunk !== null && 'type' in chunk && chunk.type === 'error';
}

/** Suspension: never a rejection, which the SDK would take for a failure and go on from. */
function never(): Promise<never> {
  return new Promise(ignore);
}

function ignore(): void {}
