/**
 * `ctx` over a running body: turns each method into an identity and a piece of work, or into scopes and loops made of
 * these. Nothing here is recorded or delivered in a way of its own.
 */
import { encodeValue } from '../../core/codec.js';
import { parseDuration, type Duration } from '../../core/duration.js';
import { SpineError } from '../../core/errors.js';
import { instantMsMax } from '../../core/instant.js';
import { labelFaults, mirrorLabel } from '../../core/labels.js';
import { modelsTopic } from '../../core/manifest.js';
import { limits } from '../../core/limits.js';
import { pathOf, type PathKey, type PathName } from '../../core/paths.js';
import type { InlinePayload } from '../../core/payload.js';
import { remedyText, type TakenRemedy } from '../../core/remedies.js';
import { defaultRetry, type RetryPolicy } from '../../core/retry.js';
import type { BodyCommand, CallOptions, ChildOptions } from '../../core/run/commands.js';
import type { Effect } from '../../core/run/events.js';
import type { DecidesFor } from '../../core/run/inference.js';
import type { Ai, AiOptions, Told } from '../ai/ai-options.js';
import type { AiToolRun } from '../ai/ai-tools.js';
import { approvalRequestOf, type ApproveOptions, type FormOf, type Review } from '../approval.js';
import { Cancelled, isCancelled } from '../cancelled.js';
import type { Capability } from '../capability.js';
import type {
  CallOptionsOf,
  Child,
  ChildOptionsOf,
  ContextOptions,
  Ctx,
  EmitOptions,
  MapOptions,
  RaceBranches,
  RaceResult,
  RunInfo,
  StartOptionsOf,
  StepContext,
  StepOptions,
  Undo,
} from '../ctx.js';
import {
  inferenceOf,
  nextQuestion,
  questionOf,
  questionOfMemory,
  type AskedInference,
  type ChainedQuestion,
  type Question,
} from '../infer/ask-inference.js';
import { checkedBySchema, doesNotFit, type AnswerCheck } from '../infer/answer-schema.js';
import { chainTimedOut, endsChain, saidInstead, type ChainTrail, type Said } from '../infer/chain-trail.js';
import { compacted, type CompactRequest } from '../infer/compact.js';
import { converse, type ConversationHost, type ToolDone } from '../infer/conversation.js';
import { answerForm, answerOfForm, type Person, type Rule } from '../infer/fallback.js';
import type { InferOptions, InferResult } from '../infer/infer-options.js';
import { askMended, type Can, type Mended, type MendingHost, type RecordedFailure } from '../infer/mended-inference.js';
import type { ToolCall } from '../infer/model-answer.js';
import type { ModelMessage } from '../infer/model-endpoint.js';
import { effectOfTool, toolContext, type Tool } from '../infer/tool.js';
import { jsonSchemaOf } from '../json-schema-of.js';
import { makeLog, type Log } from '../log.js';
import { OptionFaults } from '../options.js';
import { agentKeyFault, isAgentKey } from '../agent-key.js';
import type { AgentRef, AskOptions, TellOptions } from '../agent.js';
import type { AnyMessage } from '../message.js';
import { handleStep, mailSignal, type Mail, type SendTarget } from '../../core/run/mail.js';
import { remedyPolicyOf } from '../remedy-options.js';
import { readRetry, retryPolicyOf, timeoutMsOf } from '../retry-options.js';
import { isStepError, StepError } from '../step-error.js';
import type { StreamWriter } from '../stream-writer.js';
import type { Topic } from '../topic.js';
import type { AnyWorkflow } from '../workflow.js';
import type { Signal } from '../signal.js';
import { waitOnOf, type Received } from '../wait-for.js';
import { AiWork, type AiRequest } from './ai-work.js';
import type { UnitDetail } from './asked-unit.js';
import type { BodyRun } from './body-run.js';
import { effectWithheld } from './effect-withheld.js';
import { InferWork, type InferenceTold, type InferRequest } from './infer-work.js';
import { startOf, type UnitKind } from './path-record.js';
import { Scope } from './scope.js';
import { StepWork, type StepRequest } from './step-work.js';
import { HandleWork, type Handled, type Send } from './handle-work.js';
import { refusalOf, type GatedCall, type Judged } from './tool-gate.js';
import type { Wait, Work } from './wait.js';
import { writtenAs } from '../topic-versions.js';
import { checkedBy, received, reviewed, WaitWork } from './wait-work.js';

/** A failure of an external effect does not prove that nothing happened, so it is not tried again unasked. */
const externalRetry: RetryPolicy = { ...defaultRetry, attempts: 1 };

type AnyFn = (...given: never[]) => unknown;

/** See the top of the module. */
export class BodyCtx implements Ctx {
  readonly #body: BodyRun;
  readonly #scope: Scope;
  /** What people have agreed to, by the path of what had failed. */
  readonly #agreed = new Map<string, TakenRemedy>();

  constructor(body: BodyRun, scope: Scope) {
    this.#body = body;
    this.#scope = scope;
  }

  step<T>(name: PathName, ...rest: readonly unknown[]): Promise<T> {
    const path = this.#claim(name);
    const request = stepRequest(path, rest);
    return this.#withheld(path, request.effect) ?? this.#ask<T>(path, 'step', new StepWork(request, this.#body));
  }

  /** A run that only mirrors what was done elsewhere ends where it would have an effect that others see; null = it may. */
  #withheld(path: string, effect: Effect): Promise<never> | null {
    if (effect !== 'external' || this.#body.info.labels[mirrorLabel] === undefined) return null;
    return quiet(Promise.reject(effectWithheld(path)));
  }

  call<In, Out>(capability: Capability<string, In, Out>, input: In, options: CallOptionsOf = {}): Promise<Out> {
    return this.#callAt(this.#claim(options.as ?? capability.name), capability, input, options);
  }

  #callAt<In, Out>(
    path: string,
    capability: Capability<string, In, Out>,
    input: In,
    options: CallOptionsOf,
  ): Promise<Out> {
    const held = this.#withheld(path, capability.effect);
    if (held !== null) return held;
    const payload = this.#body.encode(input);
    const sent = callOptions(path, capability, options);
    const { name } = capability;
    return this.#ask<Out>(
      path,
      'call',
      this.#sending(payload, { capability: name }, (stored) => ({
        op: 'call',
        path,
        capability: name,
        input: stored,
        options: sent,
      })),
    );
  }

  infer<Out>(name: PathName, options: InferOptions): Promise<InferResult<Out>> {
    const path = this.#claim(name);
    const chained = questionOf(`infer "${path}"`, options, this.#body.surroundings);
    const { question, withinMs } = chained;
    const isPlain = question.chain === null && withinMs === null;
    const had = isPlain ? this.#converse(path, question) : this.#askChain(path, chained, options);
    // What the schema of the options gives back, which is where the type comes from.
    return quiet(had as Promise<InferResult<Out>>);
  }

  outcome(
    answer: Pick<InferResult, 'model'> | InferResult['model'],
    score: number,
    options: { readonly as?: PathName } = {},
  ): Promise<void> {
    const { name: model, version } = 'model' in answer ? answer.model : answer;
    const path = this.#claim(options.as ?? ['outcome', model]);
    if (!(score >= 0 && score <= 1))
      throw new SpineError('OPTIONS_INVALID', {
        what: `outcome "${path}"`,
        faults: ['score is not a number from 0 to 1'],
      });
    const data = encodeValue({ change: 'outcome', model, version, score });
    const topic = modelsTopic.name;
    const work = this.#sending(data, { topic }, (stored) => ({ op: 'emit', path, topic, event: { data: stored } }));
    return this.#ask<void>(path, 'emit', work);
  }

  #converse(path: string, question: Question, messages?: ModelMessage[]): Promise<InferResult> {
    const taint = new Set<string>();
    const host: ConversationHost = {
      ask: (at, asked, check) => this.#askMended(path, at, asked, check, taint),
      runTool: async (at, tool, call, value) => {
        const under = this.#beneath(path, at);
        const held = this.#withheld(under, effectOfTool(tool));
        if (held !== null) return held;
        const gated = {
          tool: call.toolName,
          effect: effectOfTool(tool),
          value,
          taint: [...taint],
          own: question.ownTaint,
        };
        const why = await this.#refusal(under, gated);
        if (why !== null) return { tag: 'refused', why };
        return { tag: 'done', value: await this.#runTool(under, tool, call, value) };
      },
    };
    return converse(path, question, host, messages);
  }

  /** Why the work of a tool at `path`, which is claimed, may not be done; null = it may. */
  #refusal(path: string, call: GatedCall): Promise<string | null> {
    const body = this.#body;
    return refusalOf(path, call, {
      hash: body.host.ports.hash,
      policy: body.host.tools ?? null,
      since: body.since,
      now: () => body.host.ports.clock.now(),
      recordOf: (at) => body.recordOf(at),
      judges: body.host.judges?.() ?? true,
      judge: (command) => {
        body.claim(command.path);
        return this.#ask<Judged>(command.path, 'gate', this.#submitting(command));
      },
      review: (at, options, hash) => {
        body.claim(at);
        return this.#review(at, options, { call: hash });
      },
    });
  }

  #askMended(
    path: string,
    at: string,
    question: Question,
    check: AnswerCheck | null,
    taint: Set<string>,
  ): Promise<Mended> {
    const host: MendingHost = {
      ask: (under, asked, checked, can) => this.#infer(this.#beneath(path, under), asked, checked, can, taint),
      failureAt: (failed) => this.#failureAt(failed),
      compact: (under, hook, request, failure) => {
        const fn = () => compacted(under, hook, request, { failure });
        const step = new StepWork(stepRequest(under, [fn, { effect: 'idempotent' }]), this.#body);
        return this.#ask<CompactRequest | null>(this.#beneath(path, under), 'step', step);
      },
      agrees: async (under, failed, failure, proposed) => {
        const review = await this.#review(this.#beneath(path, under), {
          title: `${failure.class}: ${remedyText(proposed)}?`,
          show: { inference: failed, class: failure.class, why: failure.message, proposed: remedyText(proposed) },
          to: 'role:operator',
        });
        if (review.outcome !== 'approved') return false;
        this.#agreed.set(failed, proposed);
        return true;
      },
    };
    return askMended(at, question, check, host);
  }

  #failureAt(path: string): RecordedFailure {
    const record = this.#body.recordOf(path);
    const outcome = record?.outcome;
    return {
      remedy: outcome?.type === 'inference.failed' ? (outcome.data.remedy ?? null) : null,
      version: record?.inference?.grant?.version ?? null,
      hops: record?.inference?.hops ?? [],
    };
  }

  // ---------------------------------------------------------------- chains of fallbacks

  /** Asks all models in their turn, for as long as there is time, then rules, then people. */
  async #askChain(path: string, chained: ChainedQuestion, options: InferOptions): Promise<InferResult> {
    const { question, others, withinMs } = chained;
    const trail: ChainTrail = { path, messages: [...question.messages], hops: [], last: path, cause: null };
    const answer =
      withinMs === null
        ? await this.#askModels(trail, chained, options)
        : await this.#askInTime(trail, chained, options, withinMs);
    if (answer !== null) return answer;
    for (const [i, other] of others.entries()) {
      const at = this.#beneath(path, pathOf(path, [other.kind, i + 1]));
      if (other.kind === 'cached') {
        const found = await this.#askMemory(at, questionOfMemory(question, chained.models, other, trail.last), trail);
        if (found !== null) return { ...found, hops: [...trail.hops, ...found.hops] };
        continue;
      }
      const said =
        other.kind === 'rule'
          ? await this.#askRule(at, other, question, trail)
          : await this.#askSomebody(at, other, question, trail);
      if (said === null) continue;
      const read = question.schema === null ? null : await checkedBySchema(question.schema, said.value);
      if (read === null || read.ok) return saidInstead(said, read?.value, trail.hops);
      trail.cause = new StepError(at, 1, doesNotFit(said.by, read.faults));
    }
    throw trail.cause ?? new StepError(path, 1, chainTimedOut(withinMs ?? 0));
  }

  /** Null = time was up first. What comes of the loser is of no interest: it is given up. */
  async #askInTime(
    trail: ChainTrail,
    chained: ChainedQuestion,
    options: InferOptions,
    withinMs: number,
  ): Promise<InferResult | null> {
    const { path } = trail;
    const race = this.#beneath(path, pathOf(path, 'within'));
    const until = pathOf(pathOf(race, 'time'), 'time');
    const chain = { after: null, isLast: true, ...chained.question.chain, until };
    const timed = { ...chained, question: { ...chained.question, chain } };
    const { winner, value } = await this.#contestAt(
      race,
      {
        models: (ctx) => (ctx as BodyCtx).#askModels(trail, timed, options),
        time: (ctx) => ctx.sleep('time', withinMs),
      },
      'settled',
    );
    if (winner === 'models') return value as InferResult | null;
    trail.cause = new StepError(path, 1, chainTimedOut(withinMs));
    return null;
  }

  /** Null = none of them has an answer; the trail says why. */
  async #askModels(
    trail: ChainTrail,
    { question, models, others, keepMs }: ChainedQuestion,
    options: InferOptions,
  ): Promise<InferResult | null> {
    const { path, messages } = trail;
    let [at, asked] = [path, question];
    for (let i = 0; ; ) {
      trail.last = at;
      try {
        const answer = await this.#converse(at, asked, messages);
        return { ...answer, hops: [...trail.hops, ...answer.hops] };
      } catch (error) {
        // Of a call that may have been paid for, a person has the say.
        if (!isStepError(error) || isCancelled(error) || endsChain.has(error.code)) throw error;
        const { remedy, hops } = this.#failureAt(error.path);
        const taken = this.#agreed.get(error.path) ?? remedy;
        // Nobody else is to be asked without a person's word.
        if (taken?.name === 'quarantine' || taken?.name === 'person') throw error;
        trail.cause = error;
        trail.last = error.path;
        trail.hops.push(...hops.map((hop) => ({ model: asked.model.name, ...hop })));
        const to = taken?.model === undefined ? -1 : models.findIndex(({ name }, j) => j >= i && name === taken.model);
        if (to > i) i = to;
        const next = models[i];
        if (next === undefined) return null;
        i += 1;
        const later = models.slice(i);
        const isLast = later.length === 0 && others.length === 0;
        const { path: after } = error;
        const place = { model: next, later, after, messages, isLast, keepMs };
        asked = nextQuestion(question, options, this.#body.surroundings, place);
        at = this.#beneath(path, pathOf(path, ['fallback', i]));
      }
    }
  }

  /** What was answered before; null = nothing that serves. */
  async #askMemory(path: string, question: Question, trail: ChainTrail): Promise<InferResult | null> {
    trail.last = path;
    try {
      return await this.#converse(path, question, [...question.messages]);
    } catch (error) {
      if (!isStepError(error) || isCancelled(error)) throw error;
      trail.last = error.path;
      trail.hops.push(...this.#failureAt(error.path).hops.map((hop) => ({ model: question.model.name, ...hop })));
      return null;
    }
  }

  /** What a rule makes of it, recorded as a step with what it stands for; null = it has no answer. */
  async #askRule(
    path: string,
    { name, answer }: Rule,
    { schema }: Question,
    { messages, cause, last }: ChainTrail,
  ): Promise<Said | null> {
    const failure = cause?.failure ?? chainTimedOut(0);
    let fits = false;
    const fn = async (): Promise<unknown> => {
      const said = await answer({ messages, failure });
      fits = said !== undefined && said !== null && (schema === null || (await checkedBySchema(schema, said)).ok);
      return said;
    };
    const request = stepRequest(path, [fn, { effect: 'pure', retry: { attempts: 1 } }]);
    const decides = (): DecidesFor | null => (fits ? { after: last, rule: name.slice(0, limits.nameLengthMax) } : null);
    const step = new StepWork({ ...request, decides }, this.#body);
    const value = await this.#ask<unknown>(path, 'step', step);
    return value === undefined || value === null ? null : { by: name, arm: 'rule', value };
  }

  /** What a person says; null = they have not, or would not. */
  async #askSomebody(
    path: string,
    { to, title, expires }: Person,
    { schema }: Question,
    { messages, cause, last }: ChainTrail,
  ): Promise<Said | null> {
    const options = {
      to,
      ...(title === undefined ? {} : { title }),
      ...(expires === undefined ? {} : { expires }),
      show: { messages, why: cause?.failure.message ?? null },
      form: answerForm(schema),
    };
    const review = await this.#review(path, options, { decides: { after: last } });
    if (review.outcome !== 'approved') return null;
    return { by: review.by, arm: 'person', value: answerOfForm(schema, review.form) };
  }

  /** What the request is tainted by is added to `taint`. */
  #infer(
    path: string,
    question: Question,
    check: AnswerCheck | null,
    can: Can,
    taint: Set<string>,
  ): Promise<InferenceTold> {
    const { host } = this.#body;
    const asked = inferenceOf(path, question, check, can, host.ports.hash, host.tools ?? null);
    for (const label of asked.ask.taint ?? []) taint.add(label);
    const request: InferRequest = { ...asked, askPerson: (attempt) => this.#askAboutInference(asked, attempt) };
    return this.#ask<InferenceTold>(path, 'inference', new InferWork(request, this.#body));
  }

  #runTool(
    path: string,
    { work }: Tool,
    { toolCallId, input }: Pick<ToolCall, 'toolCallId' | 'input'>,
    read: unknown,
  ): Promise<unknown> {
    if (work.kind === 'call') return this.#callAt(path, work.capability, read, {});
    const { run, effect, retry, timeout } = work;
    const held = this.#withheld(path, effect);
    if (held !== null) return held;
    const fn = (_given: unknown, step: StepContext): unknown => run(read, toolContext(step, toolCallId));
    const options = {
      effect,
      ...(retry === undefined ? {} : { retry }),
      ...(timeout === undefined ? {} : { timeout }),
    };
    return this.#ask<unknown>(path, 'step', new StepWork(stepRequest(path, [input, fn, options]), this.#body));
  }

  /** The same for a program of the AI SDK, which has seen that the input fits. */
  async #runAiTool(path: string, call: AiToolRun, taint: readonly string[], own: boolean): Promise<ToolDone> {
    const { name, input, work } = call;
    const effect = work.kind === 'own' ? effectOfTool(work.tool) : work.setting.effect;
    const held = this.#withheld(path, effect);
    if (held !== null) return held;
    const value = work.kind === 'own' ? await readByTool(work.tool, input) : input;
    const why = await this.#refusal(path, { tool: name, effect, value, taint, own });
    if (why !== null) return { tag: 'refused', why };
    if (work.kind === 'own') return { tag: 'done', value: await this.#runTool(path, work.tool, call, value) };
    const { setting, execute } = work;
    const { retry, timeoutMs } = setting;
    const step = { path, fn: execute, input: { value: input }, effect, retry, remedies: {}, timeoutMs };
    return { tag: 'done', value: await this.#ask<unknown>(path, 'step', new StepWork(step, this.#body)) };
  }

  /** A path inside of the thing at `path`; its own was claimed with it. */
  #beneath(path: string, at: string): string {
    if (at !== path) this.#body.claim(at);
    return at;
  }

  ai<T>(name: PathName, fn: (ai: Ai) => T, options: AiOptions = {}): Promise<Told<Awaited<T>>> {
    const path = this.#claim(name);
    const request: AiRequest = {
      ...aiOptions(path, fn, options),
      // In the scope of the program, so that it is given up together with it.
      askPerson: (scope, asked, attempt) => new BodyCtx(this.#body, scope).#askAboutInference(asked, attempt),
      runTool: (scope, at, call, taint) =>
        new BodyCtx(this.#body, scope).#runAiTool(at, call, taint, options.taint === 'own'),
    };
    return this.#ask(path, 'step', new AiWork(request, this.#scope, this.#body));
  }

  /** Whether a call that nobody knows the outcome of is to be made again. */
  async #askAboutInference({ path, ask }: AskedInference, attempt: number): Promise<boolean> {
    const at = pathOf(path, ['ambiguous', attempt]);
    const options: ApproveOptions = {
      title: `Ask model ${ask.model} again?`,
      show: { inference: path, attempt, why: 'Its worker died before the answer was recorded.' },
      to: 'role:operator',
    };
    this.#body.claim(at);
    return (await this.#review(at, options)).outcome === 'approved';
  }

  sleep(...given: readonly [Duration] | readonly [PathName, Duration]): Promise<void> {
    const [name, duration] = given.length === 1 ? [unnamed('sleep', given[0]), given[0]] : given;
    const path = this.#claim(name);
    const ms = parseDuration(duration);
    return this.#ask<void>(path, 'timer', this.#submitting({ op: 'sleep', path, ms }));
  }

  sleepUntil(...given: readonly [Date | number] | readonly [PathName, Date | number]): Promise<void> {
    const until = given.length === 1 ? given[0] : given[1];
    const at = Number(until);
    if (!(Number.isSafeInteger(at) && Math.abs(at) <= instantMsMax)) {
      throw new SpineError('OPTIONS_INVALID', { what: 'ctx.sleepUntil', faults: ['the instant is not a valid one'] });
    }
    const path = this.#claim(given.length === 1 ? unnamed('sleep-until', at) : given[0]);
    return this.#ask<void>(path, 'timer', this.#submitting({ op: 'sleepUntil', path, at: Math.max(0, at) }));
  }

  waitFor<Data>(
    on: Topic<string, never, Data> | Signal<string, never, Data>,
    options: { readonly match?: unknown; readonly as?: PathName; readonly timeout?: Duration } = {},
  ): Promise<Received<Data>> {
    const { match, as = on.name, timeout } = options;
    const path = this.#claim(as);
    // What publishers and senders give is of no concern here.
    const waitOn = waitOnOf(path, on as Topic | Signal, match);
    const timeoutMs = timeout === undefined ? null : parseDuration(timeout);
    const open = (): void => this.#body.submit({ op: 'wait', path, on: waitOn, timeoutMs, request: null });
    const work = new WaitWork(path, this.#body, open, (outcome, value) => received(path, on, outcome, value));
    return this.#ask<Received<Data>>(path, 'wait', work);
  }

  approve<const Options extends ApproveOptions>(name: PathName, options: Options): Promise<Review<FormOf<Options>>> {
    return this.#review(this.#claim(name), options);
  }

  /** `decides`: the word takes the place of the answer of a model. `call`: it is about a call of a tool, by its hash. */
  #review<const Options extends ApproveOptions>(
    path: string,
    options: Options,
    about: { readonly decides?: DecidesFor; readonly call?: string } = {},
  ): Promise<Review<FormOf<Options>>> {
    const held = this.#withheld(path, 'external');
    if (held !== null) return held;
    const { timeoutMs, ...asked } = approvalRequestOf(path, options);
    const form = options.form ?? null;
    const shown = this.#body.encode({ show: options.show ?? null, form: jsonSchemaOf(form, 'input') });
    const open = (): void =>
      this.#body.submitWith(shown, (request) => ({
        op: 'wait',
        path,
        on: { kind: 'approval', ...asked, ...about },
        timeoutMs,
        request,
      }));
    const work = new WaitWork(path, this.#body, open, (outcome, value) => reviewed(path, form, outcome, value));
    return this.#ask<Review<FormOf<Options>>>(path, 'approval', work);
  }

  tell(agent: AgentRef, key: string, message: AnyMessage, data: unknown, options: TellOptions = {}): Promise<void> {
    const name = agentName(agent);
    const path = this.#claim(options.as ?? message.name);
    checkAddress(`tell "${path}"`, name, key);
    return this.#withheld(path, 'external') ?? quiet(this.#tell(path, name, key, message, data));
  }

  async #tell(path: string, agent: string, key: string, message: AnyMessage, data: unknown): Promise<void> {
    await checkedBy(message.name, message.schema, data);
    const to: SendTarget = { kind: 'agent', agent, key, type: message.name, reply: null };
    const work = this.#sending(encodeValue(data, limits.payloadBytesMax), {}, (stored) => ({
      op: 'send',
      path,
      to,
      data: stored,
    }));
    return this.#ask<void>(path, 'message', work);
  }

  ask<Reply>(
    agent: AgentRef,
    key: string,
    message: AnyMessage,
    data: unknown,
    options: AskOptions = {},
  ): Promise<Reply> {
    const name = agentName(agent);
    const path = this.#claim(options.as ?? message.name);
    const question = pathOf(path, 'question');
    this.#body.claim(question);
    checkAddress(`ask "${path}"`, name, key);
    const timeoutMs =
      options.timeout === undefined ? limits.askTimeoutMs : timeoutMsOf(`ask "${path}"`, options.timeout);
    return (
      this.#withheld(path, 'external') ??
      quiet(this.#question<Reply>(path, question, { agent: name, key }, message, data, timeoutMs))
    );
  }

  async #question<Reply>(
    path: string,
    question: string,
    { agent, key }: { readonly agent: string; readonly key: string },
    message: AnyMessage,
    data: unknown,
    timeoutMs: number,
  ): Promise<Reply> {
    await checkedBy(message.name, message.schema, data);
    const payload = encodeValue(data, limits.payloadBytesMax);
    const reply = `:reply:${path}`;
    const to: SendTarget = { kind: 'agent', agent, key, type: message.name, reply };
    // Together: a question without a wait for its answer, or a wait without its question, would be a wait for nothing.
    const open = (wait: Wait): void =>
      this.#body.submitTogether(
        [payload],
        ([stored]) => [
          { op: 'send', path: question, to, data: stored ?? payload },
          { op: 'wait', path, on: { kind: 'signal', name: reply }, timeoutMs, request: null },
        ],
        (cause) => wait.reject(new StepError(path, 1, cause)),
      );
    const schema = message.kind === 'message' ? message.reply : null;
    const work = new WaitWork(path, this.#body, open, (outcome, value) => {
      if (outcome.tag !== 'received') throw new SpineError('ASK_TIMEOUT', { path, agent, key });
      const cause = outcome.signal?.failure ?? null;
      if (cause !== null) throw new SpineError('ASK_FAILED', { agent, key, reason: cause.message });
      return checkedBy(message.name, schema, value);
    });
    return this.#ask<Reply>(path, 'wait', work);
  }

  // ---------------------------------------------------------------- for the body of an agent

  /** The next message, in the order of arrival. */
  nextMail(n: number): Promise<IncomingMail> {
    const path = this.#claim(mailName(n));
    const open = (): void => this.#body.submit(mailWait(n));
    const work = new WaitWork(path, this.#body, open, (outcome, value): IncomingMail => {
      if (outcome.tag !== 'received' || outcome.signal === undefined || outcome.signal.mail === null)
        throw new Error('Invariant broken: the mailbox gave something that is no message');
      const { id, at, signal } = outcome;
      return {
        id,
        at,
        seq: signal.seq,
        mail: signal.mail ?? { type: '', from: { kind: 'caller', reply: false } },
        data: value,
      };
    });
    return this.#ask<IncomingMail>(path, 'wait', work);
  }

  /** Whether the nth message was asked for before: then it may be taken by now, and must be handled here. */
  hasAskedForMail(n: number): boolean {
    return this.#body.recordOf(mailWait(n).path) !== undefined;
  }

  /** Messages that wait for their turn. */
  get unread(): number {
    return this.#body.unread;
  }

  /**
   * Runs the handler of the nth message in a scope of its own, and commits what it came to in one piece: the state as the
   * result, and all that it has sent. Rejects with `StepError` once its attempts are used up.
   */
  async handle<C extends BodyCtx>(n: number, request: HandleRequest<C>): Promise<unknown> {
    const path = this.#claim([handleStep, n]);
    const work = new HandleWork(path, this.#scope, this.#body, request.retry, (scope) => {
      const ctx = request.ctx(this.#body, scope);
      return this.#enteredWith(scope, ctx, request.run);
    });
    try {
      return await this.#ask<unknown>(path, 'step', work);
    } catch (error) {
      // Its clean-up comes to an end before that of the run.
      if (error instanceof Cancelled) await work.rest();
      throw error;
    }
  }

  /** Gives up on the nth message, and sends what follows from that in the same commit. */
  bury(n: number, message: number, cause: StepError, sends: (path: string) => readonly Send[]): Promise<void> {
    const path = this.#claim(['buried', n]);
    const { attempt: attempts, failure } = cause;
    const list = sends(path);
    const bury = { op: 'bury', path, message, attempts, failure } as const;
    return this.#ask<void>(path, 'message', {
      launch: (wait) =>
        this.#body.submitTogether(
          [encodeValue(null), ...list.map(({ data }) => data)],
          ([, ...stored]) => [bury, ...list.map(({ command }, i) => command(stored[i] ?? encodeValue(null)))],
          (refusal) => wait.reject(new StepError(path, 1, refusal)),
        ),
    });
  }

  progress(value: unknown): void {
    this.#body.checkScope(this.#scope);
    this.#body.report(encodeValue(value, limits.payloadBytesMax));
  }

  context<T>(name: string, ...rest: readonly unknown[]): Promise<T> {
    const fetch = rest[rest.length - 1] as (step: StepContext) => T | Promise<T>;
    const options = (rest.length > 1 ? rest[0] : {}) as ContextOptions;
    return quiet(this.#context<T>(name, options, fetch));
  }

  stream(name: PathName): StreamWriter {
    const path = this.#claim(name);
    return this.#body.streamOf(path);
  }

  emit<In>(topic: Topic<string, In>, data: In, options: EmitOptions = {}): Promise<void> {
    const path = this.#claim(options.as ?? topic.name);
    const { id, key } = options;
    checkEventNames(path, id, key);
    const held = this.#withheld(path, 'external');
    if (held !== null) return held;
    const named = { ...(id === undefined ? {} : { id }), ...(key === undefined ? {} : { key }), ...writtenAs(topic) };
    return this.#ask<void>(
      path,
      'emit',
      this.#sending(this.#body.encode(data), { topic: topic.name }, (stored) => ({
        op: 'emit',
        path,
        topic: topic.name,
        event: { ...named, data: stored },
      })),
    );
  }

  scope<T>(name: PathName, ...rest: readonly unknown[]): Promise<T> {
    const body = rest[rest.length - 1] as (ctx: Ctx) => T | Promise<T>;
    const key = rest.length > 1 ? (rest[0] as PathKey) : undefined;
    const path = this.#claim(name, key);
    return this.#within(new Scope(path, this.#scope), body);
  }

  shield<T>(body: (ctx: Ctx) => T | Promise<T>): Promise<T> {
    this.#body.checkScope(this.#scope);
    return this.#within(new Scope(this.#scope.path, this.#scope, 'shielded'), body);
  }

  map<Item, T>(name: PathName, items: readonly Item[], ...rest: readonly unknown[]): Promise<T[]> {
    const body = rest[rest.length - 1] as (item: Item, ctx: Ctx, index: number) => T | Promise<T>;
    const options = rest.length > 1 ? (rest[0] as MapOptions<Item>) : {};
    const {
      key = (_: Item, index: number): PathKey => index,
      concurrency = limits.mapConcurrencyDefault,
      onError = 'throw',
      failuresMax = onError === 'throw' ? 0 : Number.POSITIVE_INFINITY,
    } = options as MapOptions<Item> & { readonly onError?: 'throw' | 'settle'; readonly failuresMax?: number };
    checkMapOptions(concurrency, onError, failuresMax);
    this.#claim(name);
    // All of them now: two items of one key are a fault even if the second is never reached.
    const paths = items.map((item, index) => this.#claim(name, key(item, index)));
    const mapped = this.#mapped(items, paths, Math.min(concurrency, items.length), failuresMax, body);
    const results = onError === 'settle' ? mapped : mapped.then((settled) => settled.map(valueOf<T>));
    return quiet(results as Promise<T[]>);
  }

  race<Branches extends RaceBranches>(name: PathName, branches: Branches): Promise<RaceResult<Branches>> {
    return this.#contest(name, branches, 'settled') as Promise<RaceResult<Branches>>;
  }

  any<Branches extends RaceBranches>(name: PathName, branches: Branches): Promise<RaceResult<Branches>> {
    return this.#contest(name, branches, 'succeeded') as Promise<RaceResult<Branches>>;
  }

  child<Out>(target: AnyWorkflow, input: unknown, options: ChildOptionsOf = {}): Promise<Out> {
    const path = this.#claim(options.as ?? target.name);
    return this.#end<Out>(path, this.#starting(path, target, input, options));
  }

  async start<Out>(target: AnyWorkflow, input: unknown, options: StartOptionsOf = {}): Promise<Child<Out>> {
    const path = this.#claim(options.as ?? target.name);
    this.#body.claim(startOf(path));
    const run = await this.#ask<string>(startOf(path), 'start', this.#starting(path, target, input, options));
    let end: Promise<Out> | null = null;
    return {
      run,
      result: () =>
        (end ??= this.#end<Out>(
          path,
          this.#childWork(path, () => undefined),
        )),
      cancel: (reason) => this.#body.submit({ op: 'cancelChild', path, reason: reason ?? null }),
    };
  }

  continueAsNew(input: unknown): Promise<never> {
    this.#body.checkScope(this.#scope);
    this.#body.continueAsNew(this.#body.encode(input));
    return new Promise(ignore);
  }

  get historyLength(): number {
    return this.#body.historyLength;
  }

  saga<T>(name: PathName, body: (ctx: Ctx, undo: Undo) => T | Promise<T>): Promise<T> {
    const path = this.#claim(name);
    return quiet(this.#saga(path, body));
  }

  get signal(): AbortSignal {
    return this.#scope.signal;
  }

  get log(): Log {
    return makeLog((level, message, fields) => this.#body.log(this.#scope, level, message, fields));
  }

  get run(): RunInfo {
    return this.#body.info;
  }

  now(): number {
    return this.#body.now();
  }

  random(): number {
    return this.#body.randomOf(this.#scope).next();
  }

  uuid(): string {
    return this.#body.randomOf(this.#scope).uuid();
  }

  // ---------------------------------------------------------------- identities and work

  #claim(name: PathName, key?: PathKey): string {
    this.#body.checkScope(this.#scope);
    const path = pathOf(this.#scope.path, name, key);
    this.#body.claim(path);
    return path;
  }

  #ask<T>(path: string, kind: UnitKind, work: Work): Promise<T> {
    // What comes back was put in by this very step or capability, through the codec.
    return this.#body.ask(this.#scope, path, kind, work) as Promise<T>;
  }

  async #context<T>(name: string, options: ContextOptions, fetch: (step: StepContext) => T | Promise<T>): Promise<T> {
    const { key, version, maxAgeMs, as, step } = contextRequest(name, options);
    const path = this.#claim(as);
    const fetchPath = pathOf(path, 'fetch');
    this.#body.claim(fetchPath);
    const bundle = this.#body.bundleOf(name, key);
    const isFresh =
      bundle !== undefined &&
      (version === null || bundle.version === version) &&
      (maxAgeMs === null || this.#body.now() - bundle.at <= maxAgeMs);
    const outcome = this.#body.recordOf(path)?.outcome ?? null;
    // What was fetched then is asked for again, whatever would be fresh now: a replay asks for all that is recorded.
    if (outcome === null ? !isFresh : outcome.type === 'context.put') {
      const value = await this.#ask<T>(
        fetchPath,
        'step',
        new StepWork(stepRequest(fetchPath, [fetch, step]), this.#body),
      );
      const payload = this.#body.encode(value);
      return this.#ask<T>(path, 'context', {
        launch: (wait) => {
          wait.own = payload;
          this.#body.submitWith(payload, (stored) => ({ op: 'putContext', path, name, key, version, value: stored }));
        },
      });
    }
    return this.#ask<T>(path, 'context', this.#submitting({ op: 'useContext', path, name, key }));
  }

  /** The end of the child at `path`. */
  #end<T>(path: string, work: Work): Promise<T> {
    return this.#ask<T>(path, 'child', work);
  }

  #starting(path: string, target: AnyWorkflow, input: unknown, options: StartOptionsOf): Work {
    const payload = this.#body.encode(input);
    const sent = childOptions(path, options);
    return this.#childWork(path, () =>
      this.#body.submitWith(payload, (stored) => ({
        op: 'startChild',
        path,
        workflow: target.name,
        input: stored,
        options: sent,
      })),
    );
  }

  /** A child that lost a race, or whose siblings failed, is told to end; with its run it is told by the engine. */
  #childWork(path: string, launch: () => void): Work {
    return {
      launch,
      abort: (reason) => {
        if (reason instanceof Cancelled && reason.by !== 'run_cancelled')
          this.#body.submit({ op: 'cancelChild', path, reason: reason.message });
      },
    };
  }

  #submitting(command: BodyCommand): Work {
    return { launch: () => this.#body.submit(command) };
  }

  #sending(payload: InlinePayload, about: UnitDetail, command: Parameters<BodyRun['submitWith']>[1]): Work {
    return {
      launch: () => this.#body.submitWith(payload, command),
      detail: () => ({ ...about, input: payload }),
    };
  }

  // ---------------------------------------------------------------- scopes

  /** Runs `body` with the ctx of `scope`. While it is being called, the ctx of every other scope is out of bounds. */
  #within<T>(scope: Scope, body: (ctx: Ctx) => T | Promise<T>): Promise<T> {
    return quiet(this.#entered(scope, body));
  }

  async #entered<T>(scope: Scope, body: (ctx: Ctx) => T | Promise<T>): Promise<T> {
    return this.#enteredWith(scope, new BodyCtx(this.#body, scope), body);
  }

  async #enteredWith<T, C>(scope: Scope, ctx: C, body: (ctx: C) => T | Promise<T>): Promise<T> {
    const outer = this.#body.entering;
    this.#body.entering = scope;
    let result: T | Promise<T>;
    try {
      result = body(ctx);
    } finally {
      this.#body.entering = outer;
    }
    try {
      return await result;
    } finally {
      scope.close();
    }
  }

  async #mapped<Item, T>(
    items: readonly Item[],
    paths: readonly string[],
    lanes: number,
    failuresMax: number,
    body: (item: Item, ctx: Ctx, index: number) => T | Promise<T>,
  ): Promise<PromiseSettledResult<T>[]> {
    const group = new Scope(this.#scope.path, this.#scope);
    const results: PromiseSettledResult<T>[] = [];
    const failures: unknown[] = [];
    const rest = items.entries();
    const lane = async (): Promise<void> => {
      for (const [index, item] of rest) {
        const scope = new Scope(paths[index] ?? '', group);
        try {
          results[index] = { status: 'fulfilled', value: await this.#within(scope, (ctx) => body(item, ctx, index)) };
        } catch (error) {
          results[index] = { status: 'rejected', reason: error };
          failures.push(error);
          // What was given up from above has not failed.
          if (failures.length > failuresMax) group.giveUp(this.#scope.givenUp ?? new Cancelled('sibling_failed'));
        }
        if (group.givenUp !== null) return;
      }
    };
    await Promise.all(Array.from({ length: lanes }, lane));
    group.close();
    if (group.givenUp !== null) throw firstCause(this.#scope.givenUp, failures, group.givenUp);
    return results;
  }

  // ---------------------------------------------------------------- sagas

  async #saga<T>(path: string, body: (ctx: Ctx, undo: Undo) => T | Promise<T>): Promise<T> {
    const undos: { readonly scope: Scope; readonly body: (ctx: Ctx) => unknown }[] = [];
    const shielded = new Scope(this.#scope.path, this.#scope, 'shielded');
    const undo: Undo = (name, body) => {
      const scope = new Scope(pathOf(pathOf(path, 'undo'), name), shielded);
      this.#body.claim(scope.path);
      undos.push({ scope, body });
    };
    let cause: unknown;
    const scope = new Scope(pathOf(path, 'do'), this.#scope, 'settling');
    scope.undoneAt = this.#body.recordOf(path)?.outcome?.seq ?? scope.undoneAt;
    try {
      const result = await this.#within(scope, (ctx) => body(ctx, undo));
      if ((this.#body.recordOf(path)?.outcome ?? null) === null) return result;
      cause = new SpineError('SAGA_UNDONE', { path });
    } catch (error) {
      // What was under way when the run was cancelled, which it no longer is, has come to nothing.
      const isOfThePast = isCancelled(error) && this.#scope.givenUp === null;
      cause = isOfThePast ? new SpineError('SAGA_UNDONE', { path }) : error;
    }
    // Recorded before anything is undone: from here on the saga has failed, even where a redrive would help what failed.
    const decision = { op: 'decideRace', path, winner: 'undo' } as const;
    await this.#body.ask(shielded, path, 'race', this.#submitting(decision));
    const failures: unknown[] = [];
    for (const { scope, body } of undos.toReversed()) {
      try {
        await this.#within(scope, body);
      } catch (error) {
        failures.push(error);
      }
    }
    shielded.close();
    // What could not be undone needs a person more than what failed before it.
    throw failures.length === 0 ? cause : failures[0];
  }

  // ---------------------------------------------------------------- races

  #contest(name: PathName, branches: RaceBranches, until: 'settled' | 'succeeded'): Promise<Contest> {
    return this.#contestAt(this.#claim(name), branches, until);
  }

  #contestAt(path: string, branches: RaceBranches, until: 'settled' | 'succeeded'): Promise<Contest> {
    const arms = Object.entries(branches).map(([branch, body]) => {
      const scope = new Scope(pathOf(path, branch), this.#scope);
      this.#body.claim(scope.path);
      return { branch, scope, result: this.#within(scope, body) };
    });
    return quiet(this.#decided(path, arms, until));
  }

  async #decided(path: string, arms: readonly Arm[], until: 'settled' | 'succeeded'): Promise<Contest> {
    const first = await firstOf(arms, until).catch((error: unknown) => {
      // All failed because all were given up: that is no outcome of the race.
      throw this.#scope.givenUp ?? error;
    });
    // Asked for only now: the decision is made of what the branches came to, and a replay must come to it as well.
    const decision = { op: 'decideRace', path, winner: first.branch } as const;
    const winner = await this.#ask<string>(path, 'race', this.#submitting(decision));
    for (const arm of arms) if (arm.branch !== winner) arm.scope.giveUp(new Cancelled('race_lost'));
    // Another branch than now, where the code was changed since: what is recorded holds.
    const won = arms.find((arm) => arm.branch === winner);
    if (won === undefined) {
      throw new SpineError('PATH_KIND_CHANGED', {
        path,
        recorded: `race won by "${winner}"`,
        asked: 'race without it',
      });
    }
    return { winner, value: await won.result };
  }
}

/** A message as the body of an agent gets it. */
export interface IncomingMail {
  readonly id: string;
  readonly at: number;
  /** The event of the run that brought it. */
  readonly seq: number;
  readonly mail: Mail;
  /** Not checked by any schema yet. */
  readonly data: unknown;
}

/** How a message is handled. */
export interface HandleRequest<C> {
  readonly retry: RetryPolicy;
  /** The context for one attempt. */
  readonly ctx: (body: BodyRun, scope: Scope) => C;
  readonly run: (ctx: C) => Promise<Handled>;
}

function mailName(n: number): PathName {
  return ['mail', n];
}

/** The command that asks for the nth message. */
export function mailWait(n: number): Extract<BodyCommand, { readonly op: 'wait' }> {
  const path = pathOf('', mailName(n));
  return { op: 'wait', path, on: { kind: 'signal', name: mailSignal }, timeoutMs: null, request: null };
}

interface Contest {
  readonly winner: string;
  readonly value: unknown;
}

interface Arm {
  readonly branch: string;
  readonly scope: Scope;
  readonly result: Promise<unknown>;
}

/** The first arm to settle, or to succeed. Rejects with an `AggregateError` where none succeeds or there is none. */
function firstOf(arms: readonly Arm[], until: 'settled' | 'succeeded'): Promise<Arm> {
  return Promise.any(
    arms.map((arm) =>
      arm.result.then(
        () => arm,
        (error: unknown) => {
          if (until === 'settled') return arm;
          throw error;
        },
      ),
    ),
  );
}

function stepRequest(path: string, rest: readonly unknown[]): StepRequest {
  const hasInput = typeof rest[1] === 'function';
  const input = hasInput ? { value: rest[0] } : null;
  const fn = (hasInput ? rest[1] : rest[0]) as AnyFn;
  if (typeof fn !== 'function') {
    throw new SpineError('OPTIONS_INVALID', { what: `step "${path}"`, faults: ['it needs a function to run'] });
  }
  const { effect = 'idempotent', retry, remedies, timeout } = ((hasInput ? rest[2] : rest[1]) ?? {}) as StepOptions;
  const what = `step "${path}"`;
  const base = effect === 'external' ? externalRetry : defaultRetry;
  return {
    path,
    fn: input === null ? (fn as (step: StepContext) => unknown) : withInput(fn),
    input,
    effect,
    retry: retry === undefined ? base : retryPolicyOf(what, retry, base),
    remedies: remedyPolicyOf(what, remedies),
    timeoutMs: timeout === undefined ? null : timeoutMsOf(what, timeout),
  };
}

function aiOptions(
  path: string,
  fn: (ai: Ai) => unknown,
  options: AiOptions,
): Omit<AiRequest, 'askPerson' | 'runTool'> {
  const faults = new OptionFaults(`ai "${path}"`);
  if (typeof fn !== 'function') faults.add('it needs a function to run');
  faults.unknownNames(options, ['retry', 'ui', 'taint']);
  if (options.taint !== undefined && options.taint !== 'run' && options.taint !== 'own')
    faults.add('taint must be "run" or "own"');
  const retry = readRetry(options.retry, faults, { ...defaultRetry, attempts: 1 });
  faults.throwIfAny();
  return { path, fn, retry, ui: options.ui ?? {} };
}

/** A capability reads what it is given where it is done. */
async function readByTool({ input, work }: Tool, given: unknown): Promise<unknown> {
  if (work.kind === 'call') return given;
  const read = await checkedBySchema(input, given);
  return read.ok ? read.value : given;
}

function checkMapOptions(concurrency: number, onError: unknown, failuresMax: number): void {
  const faults = new OptionFaults('ctx.map');
  if (!(Number.isInteger(concurrency) && concurrency >= 1)) faults.add('concurrency must be an integer of at least 1');
  if (onError !== 'throw' && onError !== 'settle') faults.add('onError must be "throw" or "settle"');
  if (onError === 'throw' && failuresMax !== 0) faults.add('failuresMax goes with onError: "settle"');
  const isCount = Number.isInteger(failuresMax) || failuresMax === Number.POSITIVE_INFINITY;
  if (!(isCount && failuresMax >= 0)) faults.add('failuresMax must be an integer of at least 0');
  faults.throwIfAny();
}

/** Why a map was given up: from above, or for the first of its items that failed. */
function firstCause(above: Cancelled | null, failures: readonly unknown[], own: Cancelled): Error {
  return above ?? (failures[0] as Error | undefined) ?? own;
}

/** The value of an item of a map that has thrown before this where any failed. */
function valueOf<T>(settled: PromiseSettledResult<T>): T {
  if (settled.status === 'rejected') throw settled.reason;
  return settled.value;
}

function withInput(fn: AnyFn): StepRequest['fn'] {
  const typed = fn as (input: unknown, step: StepContext) => unknown;
  return (step, input) => typed(input, step);
}

function callOptions(path: string, capability: Capability, options: CallOptionsOf): CallOptions {
  const { retry, remedies, timeout, priority } = options;
  const what = `call "${path}"`;
  if (priority !== undefined) {
    const faults = new OptionFaults(what);
    faults.integer('priority', priority, { min: 0, max: limits.priorityMax });
    faults.throwIfAny();
  }
  return {
    ...(retry === undefined ? {} : { retry: retryPolicyOf(what, retry, capability.retry) }),
    ...(timeout === undefined ? {} : { deadlineMs: timeoutMsOf(what, timeout) }),
    ...(priority === undefined ? {} : { priority }),
    ...(remedies === undefined ? {} : { remedies: remedyPolicyOf(what, remedies) }),
  };
}

function contextRequest(name: string, { key = '', version, maxAge, as, ...step }: ContextOptions) {
  const faults = new OptionFaults(`context "${name}"`);
  faults.name(name);
  for (const [option, text] of Object.entries({ key, version: version ?? '' })) {
    const fits = typeof text === 'string' && text.length <= limits.keyLengthMax && !unstorable.test(text);
    if (!fits) faults.add(`${option} must be a text of at most ${limits.keyLengthMax} characters, without NUL`);
  }
  const maxAgeMs = faults.duration('maxAge', maxAge, null);
  faults.throwIfAny();
  const identity: PathName = as ?? (key === '' ? ['context', name] : ['context', name, key]);
  return { key, version: version ?? null, maxAgeMs, as: identity, step };
}

function childOptions(path: string, { detached = false, priority, labels }: StartOptionsOf): ChildOptions {
  const faults = new OptionFaults(`child "${path}"`);
  faults.integer('priority', priority, { min: 0, max: limits.priorityMax });
  if (labels !== undefined) for (const fault of labelFaults(labels)) faults.add(fault);
  faults.throwIfAny();
  return {
    detached,
    ...(priority === undefined ? {} : { priority }),
    ...(labels === undefined ? {} : { labels }),
  };
}

function agentName(agent: AgentRef): string {
  return typeof agent === 'string' ? agent : agent.name;
}

function checkAddress(what: string, agent: string, key: string): void {
  const faults = new OptionFaults(what);
  faults.name(agent);
  if (!isAgentKey(key)) faults.add(agentKeyFault);
  faults.throwIfAny();
}

/** Id and key of an event become columns of the store. Fails with OPTIONS_INVALID. */
function checkEventNames(path: string, id: string | undefined, key: string | undefined): void {
  const faults = new OptionFaults(`emit "${path}"`);
  for (const [option, value] of [
    ['id', id],
    ['key', key],
  ] as const) {
    if (value === undefined) continue;
    const fits = typeof value === 'string' && value !== '' && value.length <= limits.keyLengthMax;
    if (!fits || unstorable.test(value)) {
      faults.add(
        `${option} must be a text of 1 to ${limits.keyLengthMax} characters, without NUL or half a surrogate pair`,
      );
    }
  }
  faults.throwIfAny();
}

const unstorable = /[\0\p{Surrogate}]/u;

/** The name of a sleep that was given none; two of one length in one scope are told apart by names of their own. */
function unnamed(what: string, length: string | number): PathName {
  return [what, length];
}

/**
 * The same promise, whose rejection nobody has to take notice of: when a scope is given up, what a body left unawaited
 * must not bring down the process that other bodies share.
 */
function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(ignore);
  return promise;
}

function ignore(): void {}
