/**
 * JSON Schemas (2020-12) of all that workers and servers say to each other, over whichever way: the WebSocket, plain
 * requests, push. Served at /v1/worker/schema and kept in docs/reference/worker-protocol.schema.json. Each is tied to its
 * TypeScript type, so that neither can change without the other.
 *
 * What is not named here is to be ignored by whoever reads it: the protocol only ever adds.
 */
import type { Feedback, Remaining } from '../core/admission/feedback.js';
import type { LimitSpec } from '../core/admission/limit.js';
import { durationMsMax } from '../core/duration.js';
import { failureClasses, type Failure, type FailureShadow, type FailureTriage } from '../core/failure.js';
import { instantMsMax } from '../core/instant.js';
import { limits } from '../core/limits.js';
import { compatibilityModes } from '../core/manifest.js';
import type {
  Compatibility,
  AgentManifest,
  CapabilityManifest,
  MessageManifest,
  ModelManifest,
  PromptManifest,
  ModelPrice,
  ModelVersionManifest,
  EndpointEntry,
  EndpointTarget,
  JsonSchema,
  Manifest,
  ScheduleManifest,
  ShadowRule,
  ShownValues,
  SignalManifest,
  TopicManifest,
  TopicVersion,
  WorkflowManifest,
} from '../core/manifest.js';
import type { AnswerComparison } from '../core/models/answer-comparison.js';
import type { BlobPayload, InlinePayload } from '../core/payload.js';
import { remedyChoices, type Remediable, type TakenRemedy } from '../core/remedies.js';
import type { RetryPolicy } from '../core/retry.js';
import type { TopicCompaction, TopicRetention } from '../core/topics/retention.js';
import { latePolicies, type SourceRule } from '../core/topics/source-rule.js';
import type { Subscription } from '../core/topics/subscription.js';
import type { WebhookSource } from '../core/webhooks/source.js';
import type { ModelData } from '../core/triage/model.js';
import type { BodyCommand, CallOptions, ChildOptions, EmittedEvent, TaskCommand } from '../core/run/commands.js';
import {
  ambiguityPolicies,
  type CacheAsk,
  type DecidesFor,
  type DecisionAlternative,
  type DecisionNote,
  type InferenceAsk,
  type InferenceChain,
  type InferenceOutcome,
  type PromptVersion,
  type TokenEstimate,
  type TokenUsage,
} from '../core/run/inference.js';
import { journalEventTypes, type Journal, type SubmissionResult } from '../core/run/journal.js';
import type {
  ClaimAnswer,
  ClaimRequest,
  CompleteAnswer,
  CompleteRequest,
  EndRequest,
  ExtendAnswer,
  ExtendRequest,
  PlainCapability,
  PlainBlob,
  PlainOutcome,
  PlainResult,
  PlainTask,
} from './plain-worker.js';
import {
  type CallChunks,
  pushProtocol,
  type DescribeAnswer,
  type PushedCall,
  type PushedQuestion,
  type PushedTurn,
  type TurnAnswer,
} from './push.js';
import { flag, list, nullable, oneOf, record, shape, text } from './schema-shape.js';
import {
  workerProtocol,
  type ActivationAssignment,
  type Beat,
  type CallAssignment,
  type Delivery,
  type Hello,
  type Resume,
  type ServerMessage,
  type ShadowAsk,
  type ShadowEnd,
  type ShadowLeave,
  type ShadowMessage,
  type Submission,
  type Welcome,
  type WorkerMessage,
} from './worker.js';

const anything = {};
const object = { type: 'object' };
const count = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER };
const whole = { type: 'integer', minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER };
const amount = { type: 'number', minimum: 0 };
const spanMs = { ...count, maximum: durationMsMax };
const instant = { ...count, maximum: instantMsMax };
const name = upTo(limits.nameLengthMax);
const key = upTo(limits.keyLengthMax);
const path = upTo(limits.pathLengthMax);
const schema = nullable(object);
const effect = oneOf(['pure', 'idempotent', 'external']);
const counts = list(count);
const policy = list(oneOf(ambiguityPolicies));
const taint: JsonSchema = { ...list(upTo(limits.toolTaintLengthMax)), maxItems: limits.toolTaintsMax };
const usage = shape<TokenUsage>({ inputTokens: count, cachedInputTokens: count, outputTokens: count }, {});
const ratio = { ...amount, maximum: 1 };
const digest = { type: 'string', pattern: '^[0-9a-f]{64}$' };

function upTo(maxLength: number): JsonSchema {
  return { type: 'string', maxLength };
}

function constant(value: string | number | boolean): JsonSchema {
  return { const: value };
}

function ref(to: string): JsonSchema {
  return { $ref: `#/$defs/${to}` };
}

const retry = shape<RetryPolicy>(
  {
    attempts: whole,
    minMs: { ...amount, maximum: durationMsMax },
    maxMs: { ...amount, maximum: durationMsMax },
    factor: amount,
  },
  {},
);
const failure = shape<Failure>(
  {
    class: { ...name, description: `One of ${failureClasses.join(', ')}; any other counts as unknown.` },
    code: name,
    message: upTo(limits.errorMessageLengthMax),
    retryable: flag,
    retryAfterMs: spanMs,
    stack: upTo(limits.errorStackLengthMax),
    triage: shape<FailureTriage>(
      {
        remedy: name,
        confidence: amount,
        reason: upTo(limits.errorMessageLengthMax),
        version: name,
        limit: count,
        used: count,
      },
      { limit: true, used: true },
    ),
    shadow: shape<FailureShadow>({ label: name, against: name, class: name, version: name }, {}),
  },
  { retryAfterMs: true, stack: true, triage: true, shadow: true },
);
const left = nullable(
  shape<Remaining>({ limit: nullable(count), remaining: nullable(count), resetMs: nullable(count) }, {}),
);
const feedback = shape<Feedback>({ retryAfterMs: nullable(count), requests: left, tokens: left }, {});
const choice = oneOf(remedyChoices);
const remedyPolicy: JsonSchema = {
  type: 'object',
  propertyNames: oneOf(failureClasses),
  additionalProperties: choice,
};
const remediable = shape<Required<Remediable>>(
  {
    reroute: {
      oneOf: [
        { type: 'object', properties: { version: name }, required: ['version'] },
        { type: 'object', properties: { model: name }, required: ['model'] },
      ],
    },
    compact: constant(true),
    fallback: constant(true),
  },
  { reroute: true, compact: true, fallback: true },
);
const inlinePayload = shape<InlinePayload>({ codec: constant('json/1'), text: upTo(limits.payloadBytesMax) }, {});
const blobHash: JsonSchema = { type: 'string', pattern: '^[0-9a-f]{64}$' };
const blobPayload = shape<BlobPayload>({ codec: constant('json/1'), blob: blobHash, size: count }, {});
const payload = ref('Payload');

const target = shape<EndpointTarget>({ url: text, concurrency: count, timeoutMs: spanMs, serves: ref('Manifest') }, {});
const endpoint = shape<EndpointEntry>({ app: name, setAt: instant, target: nullable(target) }, {});
const manifest = shape<Manifest>(
  {
    format: constant(1),
    app: name,
    topics: list(
      shape<TopicManifest>(
        {
          name,
          schema,
          key: nullable(text),
          index: list(text),
          partitions: { ...count, minimum: 1 },
          retention: shape<TopicRetention>(
            {
              ageMs: nullable(spanMs),
              bytes: nullable(count),
              events: nullable(count),
              behind: { type: 'string', enum: ['hold', 'gap'] },
            },
            {},
          ),
          compaction: shape<TopicCompaction>({ lagMs: spanMs, tombstoneMs: spanMs }, {}),
          writer: constant('single'),
          sources: shape<SourceRule>({ late: oneOf(latePolicies), afterMs: nullable(spanMs) }, {}),
          versions: list(shape<TopicVersion>({ version: { ...count, minimum: 1 }, schema, up: flag }, {})),
          compatibility: shape<Compatibility>({ mode: oneOf(compatibilityModes), transitive: flag }, {}),
          unknown: oneOf(['strip', 'refuse']),
        },
        {
          index: true,
          retention: true,
          compaction: true,
          writer: true,
          sources: true,
          versions: true,
          compatibility: true,
          unknown: true,
        },
      ),
    ),
    workflows: list(
      shape<WorkflowManifest>(
        {
          name,
          version: nullable(text),
          previous: list(nullable(text)),
          graph: object,
          signals: list(shape<SignalManifest>({ name, schema }, {})),
          input: schema,
          on: nullable(name),
          completes: nullable(name),
          priority: count,
          timeoutMs: nullable(spanMs),
          retainMs: nullable(spanMs),
          deadlineMs: spanMs,
          retry,
          agent: shape<AgentManifest>(
            { messages: list(shape<MessageManifest>({ name, schema, topic: flag }, {})) },
            {},
          ),
          shows: shape<ShownValues>(
            {
              output: constant(true),
              progress: constant(true),
              streams: constant(true),
              failures: constant(true),
              steps: list(text),
            },
            { output: true, progress: true, streams: true, failures: true, steps: true },
          ),
        },
        { signals: true, graph: true, agent: true, shows: true },
      ),
    ),
    capabilities: list(
      shape<CapabilityManifest>(
        {
          name,
          input: schema,
          output: schema,
          effect,
          deadlineMs: spanMs,
          retry,
          implemented: flag,
          limits: list(name),
          remedies: remedyPolicy,
        },
        { limits: true, remedies: true },
      ),
    ),
    limits: list(
      shape<LimitSpec>(
        { name, rule: object, by: list(text), scope: { type: 'string', enum: ['named', 'inferences'] } },
        {},
      ),
    ),
    models: list(
      shape<ModelManifest>(
        {
          name,
          versions: list(
            shape<ModelVersionManifest>(
              {
                version: name,
                endpoint: name,
                weight: count,
                windowTokens: nullable(count),
                outputTokensMax: nullable(count),
                price: nullable(
                  shape<ModelPrice>({ inputMicros: count, outputMicros: count, cachedInputMicros: count }, {}),
                ),
              },
              {},
            ),
          ),
          limits: list(name),
          policy,
          shadow: shape<ShadowRule>(
            { version: name, share: ratio, concurrency: count, perDayMicros: nullable(count) },
            {},
          ),
        },
        { limits: true, shadow: true },
      ),
    ),
    prompts: list(
      shape<PromptManifest>(
        { name, versions: list(shape<PromptManifest['versions'][number]>({ version: name, weight: count }, {})) },
        {},
      ),
    ),
    schedules: list(shape<ScheduleManifest>({ name, tenant: text, spec: object }, {})),
    subscriptions: list(
      shape<Subscription>(
        {
          name,
          topic: name,
          filter: nullable(object),
          from: { oneOf: [oneOf(['newest', 'oldest']), object] },
          order: oneOf(['key', 'partition', 'none']),
          windowMax: { ...count, minimum: 1 },
          lagMax: nullable(
            shape<NonNullable<Subscription['lagMax']>>({ count: nullable(count), ageMs: nullable(spanMs) }, {}),
          ),
          dead: nullable(name),
          workflow: nullable(name),
          deliveriesMax: { ...count, minimum: 1 },
        },
        { deliveriesMax: true },
      ),
    ),
    webhooks: list(
      shape<WebhookSource>(
        { name, topic: name, scheme: object, map: object, once: constant('content') },
        { map: true, once: true },
      ),
    ),
    tools: object,
    endpoint,
  },
  {
    limits: true,
    models: true,
    prompts: true,
    schedules: true,
    subscriptions: true,
    webhooks: true,
    tools: true,
    endpoint: true,
  },
);

type Command = BodyCommand | TaskCommand;
type CommandOf<Op extends Command['op']> = Extract<Command, { readonly op: Op }>;

/** A schema for each command: a new one that is not here does not compile. */
const commands: { readonly [Op in Command['op']]: JsonSchema } = {
  beginStep: shape<CommandOf<'beginStep'>>({ op: constant('beginStep'), path, attempt: count, effect }, {}),
  completeStep: shape<CommandOf<'completeStep'>>(
    {
      op: constant('completeStep'),
      path,
      attempt: count,
      durationMs: amount,
      withInput: flag,
      result: payload,
      decides: shape<DecidesFor>({ after: path, rule: name }, { rule: true }),
    },
    { decides: true },
  ),
  failStep: shape<CommandOf<'failStep'>>(
    { op: constant('failStep'), path, attempt: count, failure, retry, choice, withInput: flag },
    { choice: true, withInput: true },
  ),
  call: shape<CommandOf<'call'>>(
    {
      op: constant('call'),
      path,
      capability: name,
      input: payload,
      options: shape<CallOptions>(
        { retry, deadlineMs: spanMs, priority: { ...count, maximum: limits.priorityMax }, remedies: remedyPolicy },
        { retry: true, deadlineMs: true, priority: true, remedies: true },
      ),
    },
    {},
  ),
  infer: shape<CommandOf<'infer'>>(
    {
      op: constant('infer'),
      path,
      attempt: count,
      ask: shape<InferenceAsk>(
        {
          model: name,
          fingerprint: digest,
          estimate: shape<TokenEstimate>({ inputTokens: count, outputTokens: count }, {}),
          policy,
          streamed: flag,
          deadlineMs: nullable(spanMs),
          chain: shape<InferenceChain>({ after: nullable(path), isLast: flag, until: path }, { until: true }),
          reroute: name,
          cache: shape<CacheAsk>(
            { freshMs: nullable(spanMs), keepMs: spanMs, shown: constant(true), onlyOf: list(name) },
            { shown: true, onlyOf: true },
          ),
          prompt: shape<PromptVersion>({ name, version: name }, {}),
          taint,
        },
        { chain: true, reroute: true, cache: true, prompt: true, taint: true },
      ),
      request: payload,
    },
    {},
  ),
  beginInference: shape<CommandOf<'beginInference'>>({ op: constant('beginInference'), path, attempt: count }, {}),
  identifyInference: shape<CommandOf<'identifyInference'>>(
    { op: constant('identifyInference'), path, attempt: count, providerId: key },
    {},
  ),
  completeInference: shape<CommandOf<'completeInference'>>(
    {
      op: constant('completeInference'),
      path,
      attempt: count,
      outcome: shape<InferenceOutcome>(
        {
          usage,
          costMicros: count,
          finish: name,
          durationMs: amount,
          firstPartMs: nullable(amount),
          providerId: nullable(key),
        },
        {},
      ),
      result: payload,
      note: shape<DecisionNote>(
        {
          confidence: nullable(ratio),
          alternatives: list(
            shape<DecisionAlternative>({ text: upTo(limits.decisionTextLengthMax), probability: ratio }, {}),
          ),
          rules: list(upTo(limits.decisionTextLengthMax)),
          remedy: shape<Pick<TakenRemedy, 'name'>>({ name: constant('repair') }, {}),
        },
        { remedy: true },
      ),
      feedback,
    },
    { feedback: true },
  ),
  failInference: shape<CommandOf<'failInference'>>(
    {
      op: constant('failInference'),
      path,
      attempt: count,
      failure,
      usage: nullable(usage),
      costMicros: count,
      retry,
      choice,
      can: remediable,
      feedback,
    },
    { choice: true, can: true, feedback: true },
  ),
  settleAmbiguity: shape<CommandOf<'settleAmbiguity'>>(
    { op: constant('settleAmbiguity'), path, attempt: count, policy: oneOf(ambiguityPolicies) },
    {},
  ),
  judgeTool: shape<CommandOf<'judgeTool'>>(
    {
      op: constant('judgeTool'),
      path,
      of: path,
      tool: key,
      effect,
      hash: digest,
      args: nullable(upTo(limits.toolArgumentsBytesMax)),
      taint,
      own: constant(true),
      approval: nullable(path),
    },
    { own: true },
  ),
  sleep: shape<CommandOf<'sleep'>>({ op: constant('sleep'), path, ms: spanMs }, {}),
  sleepUntil: shape<CommandOf<'sleepUntil'>>({ op: constant('sleepUntil'), path, at: instant }, {}),
  emit: shape<CommandOf<'emit'>>(
    {
      op: constant('emit'),
      path,
      topic: name,
      event: shape<EmittedEvent>(
        { id: key, key, version: count, data: payload },
        { id: true, key: true, version: true },
      ),
    },
    {},
  ),
  progress: shape<CommandOf<'progress'>>({ op: constant('progress'), index: count, value: payload }, {}),
  append: shape<CommandOf<'append'>>(
    { op: constant('append'), path, attempt: count, from: count, count, chunks: payload },
    {},
  ),
  putContext: shape<CommandOf<'putContext'>>(
    { op: constant('putContext'), path, name, key, version: nullable(key), value: payload },
    {},
  ),
  useContext: shape<CommandOf<'useContext'>>({ op: constant('useContext'), path, name, key }, {}),
  startChild: shape<CommandOf<'startChild'>>(
    {
      op: constant('startChild'),
      path,
      workflow: name,
      input: payload,
      options: shape<ChildOptions>(
        { detached: flag, priority: { ...count, maximum: limits.priorityMax }, labels: object },
        { priority: true, labels: true },
      ),
    },
    {},
  ),
  cancelChild: shape<CommandOf<'cancelChild'>>({ op: constant('cancelChild'), path, reason: nullable(text) }, {}),
  wait: shape<CommandOf<'wait'>>(
    { op: constant('wait'), path, on: object, timeoutMs: nullable(spanMs), request: nullable(payload) },
    {},
  ),
  cancelWait: shape<CommandOf<'cancelWait'>>({ op: constant('cancelWait'), path }, {}),
  send: shape<CommandOf<'send'>>({ op: constant('send'), path, to: object, data: payload }, {}),
  bury: shape<CommandOf<'bury'>>({ op: constant('bury'), path, message: count, attempts: count, failure }, {}),
  continueAsNew: shape<CommandOf<'continueAsNew'>>({ op: constant('continueAsNew'), input: payload }, {}),
  decideRace: shape<CommandOf<'decideRace'>>({ op: constant('decideRace'), path, winner: path }, {}),
  park: shape<CommandOf<'park'>>({ op: constant('park'), seen: count }, {}),
  succeed: shape<CommandOf<'succeed'>>({ op: constant('succeed'), output: payload }, {}),
  fail: shape<CommandOf<'fail'>>({ op: constant('fail'), failure, path: nullable(path) }, {}),
  refuse: shape<CommandOf<'refuse'>>({ op: constant('refuse'), code: name, data: nullable(payload) }, {}),
  endCancelled: shape<CommandOf<'endCancelled'>>({ op: constant('endCancelled') }, {}),
  abandon: shape<CommandOf<'abandon'>>({ op: constant('abandon'), failure }, {}),
  completeTask: shape<CommandOf<'completeTask'>>(
    { op: constant('completeTask'), result: payload, durationMs: amount, feedback },
    { feedback: true },
  ),
  failTask: shape<CommandOf<'failTask'>>({ op: constant('failTask'), failure, feedback }, { feedback: true }),
  appendTask: shape<CommandOf<'appendTask'>>(
    { op: constant('appendTask'), name: nullable(path), from: count, count, chunks: payload },
    {},
  ),
};

const journalEntry = record({ seq: count, at: count, type: oneOf(journalEventTypes), data: object, payload }, [
  'seq',
  'at',
  'type',
  'data',
]);
const journal = shape<Journal>(
  { head: count, progress: count, streams: object, prompts: object, entries: list(ref('JournalEntry')) },
  { streams: true, prompts: true },
);

const taskBase = {
  tenant: text,
  run: text,
  task: text,
  attempt: count,
  deadlineMs: count,
  traceparent: nullable(text),
} as const;
const assignmentBase = { ...taskBase, assignment: count, input: payload } as const;
const pushedBase = {
  ...taskBase,
  protocol: constant(pushProtocol),
  timeoutMs: count,
  input: ref('InlinePayload'),
} as const;
const callParts = { kind: constant('call'), capability: text, idempotencyKey: text } as const;
const activationParts = {
  kind: constant('activation'),
  event: record({ topic: name, schema: text }, ['topic', 'schema']),
  workflow: text,
  version: nullable(text),
  startedAt: count,
  labels: { type: 'object', additionalProperties: text },
  journal: ref('Journal'),
} as const;

const triageModel = shape<ModelData>(
  {
    version: count,
    labels: list(oneOf(failureClasses)),
    biases: list({ type: 'number' }),
    scales: list({ type: 'number' }),
    mix: shape<ModelData['mix']>({ rules: { type: 'number' }, model: { type: 'number' } }, {}),
    weights: upTo(limits.triageModelLengthMax),
  },
  {},
);
const abortReason = oneOf(['lease_lost', 'cancelled', 'deadline', 'ended']);

type FromWorker<T extends WorkerMessage['t']> = Extract<WorkerMessage, { readonly t: T }>;
type FromServer<T extends ServerMessage['t']> = Extract<ServerMessage, { readonly t: T }>;

/** Messages of workers, by `t`. */
const workerMessages: { readonly [T in WorkerMessage['t']]: JsonSchema } = {
  hello: shape<Hello>(
    {
      t: constant('hello'),
      protocol: { ...whole, description: `This is version ${workerProtocol}.` },
      worker: name,
      app: name,
      manifest: ref('Manifest'),
      slots: { ...count, maximum: limits.workerSlotsMax },
      only: record({ workflows: list(name), capabilities: list(name) }, ['workflows', 'capabilities']),
      resume: shape<Resume>(
        {
          session: key,
          received: count,
          holding: list(record({ assignment: count, seen: count }, ['assignment', 'seen'])),
        },
        {},
      ),
      host: key,
      pid: count,
    },
    { only: true, resume: true, host: true, pid: true },
  ),
  credit: shape<FromWorker<'credit'>>({ t: constant('credit'), upTo: count }, {}),
  submit: shape<FromWorker<'submit'>>(
    {
      t: constant('submit'),
      items: list(
        shape<Submission>(
          {
            i: count,
            assignment: count,
            commands: { ...list(ref('Command')), maxItems: limits.submissionCommandsMax },
          },
          {},
        ),
      ),
    },
    {},
  ),
  release: shape<FromWorker<'release'>>({ t: constant('release'), assignments: counts }, {}),
  drain: shape<FromWorker<'drain'>>({ t: constant('drain') }, {}),
  shadow: shape<ShadowMessage>(
    {
      t: constant('shadow'),
      asks: list(shape<ShadowAsk>({ n: count, tenant: key, run: key, path, attempt: count }, {})),
      ends: list(
        shape<ShadowEnd>(
          {
            model: name,
            ticket: key,
            latencyMs: amount,
            costMicros: count,
            usage: nullable(usage),
            failure: nullable(oneOf(failureClasses)),
            comparison: nullable(
              shape<AnswerComparison>(
                { exact: flag, json: nullable(flag), similarity: nullable(ratio), tools: nullable(flag) },
                {},
              ),
            ),
          },
          {},
        ),
      ),
    },
    {},
  ),
  beat: shape<Beat>({ t: constant('beat'), session: key, n: count, received: count }, {}),
  bye: shape<FromWorker<'bye'>>({ t: constant('bye') }, {}),
};

/** Messages of servers, by `t`. */
const serverMessages: { readonly [T in ServerMessage['t']]: JsonSchema } = {
  welcome: shape<Welcome>(
    {
      t: constant('welcome'),
      session: text,
      resumed: flag,
      assigned: count,
      beatMs: count,
      deadMs: count,
      lost: counts,
      valueBytesMax: count,
      blobs: text,
      shadows: flag,
      judges: flag,
    },
    { assigned: true, valueBytesMax: true, shadows: true, judges: true },
  ),
  assign: shape<FromServer<'assign'>>({ t: constant('assign'), items: list(ref('Assignment')) }, {}),
  results: shape<FromServer<'results'>>({ t: constant('results'), items: list(ref('SubmissionResult')) }, {}),
  deliver: shape<FromServer<'deliver'>>(
    {
      t: constant('deliver'),
      items: list(shape<Delivery>({ assignment: count, events: list(ref('JournalEntry')) }, {})),
    },
    {},
  ),
  abort: shape<FromServer<'abort'>>(
    {
      t: constant('abort'),
      items: list(record({ assignment: count, reason: abortReason }, ['assignment', 'reason'])),
    },
    {},
  ),
  shadow: shape<FromServer<'shadow'>>(
    {
      t: constant('shadow'),
      items: list(shape<ShadowLeave>({ n: count, ticket: nullable(key), ms: count }, {})),
    },
    {},
  ),
  triage: shape<FromServer<'triage'>>(
    { t: constant('triage'), inForce: nullable(triageModel), shadow: nullable(triageModel) },
    {},
  ),
  goodbye: shape<FromServer<'goodbye'>>({ t: constant('goodbye'), reason: text }, {}),
};

/** Shapes of plain requests; complete in themselves, so that the description of the API can hold them too. */
export const plainSchemas = {
  ClaimRequest: shape<ClaimRequest>(
    {
      worker: { ...name, minLength: 1 },
      app: { ...name, minLength: 1 },
      capabilities: {
        ...list(
          shape<PlainCapability>(
            { name, input: schema, output: schema, effect, deadlineMs: spanMs, retry },
            { input: true, output: true, effect: true, deadlineMs: true, retry: true },
          ),
        ),
        minItems: 1,
      },
      max: { type: 'integer', minimum: 1, maximum: limits.workerSlotsMax },
      waitMs: { ...count, maximum: limits.claimWaitMsMax },
      session: key,
      holding: { ...counts, maxItems: limits.workerSlotsMax },
    },
    { max: true, waitMs: true, session: true, holding: true },
  ),
  ClaimAnswer: shape<ClaimAnswer>(
    {
      session: text,
      tasks: list(
        shape<PlainTask>(
          {
            assignment: count,
            tenant: text,
            run: text,
            task: text,
            capability: text,
            attempt: count,
            deadlineMs: count,
            idempotencyKey: text,
            traceparent: nullable(text),
            input: anything,
            inputBlob: shape<PlainBlob>({ hash: text, size: count }, {}),
          },
          { input: true, inputBlob: true },
        ),
      ),
      lost: counts,
      beatMs: count,
      deadMs: count,
    },
    {},
  ),
  ExtendRequest: shape<ExtendRequest>({ session: key, holding: { ...counts, maxItems: limits.workerSlotsMax } }, {}),
  ExtendAnswer: shape<ExtendAnswer>({ lost: counts }, {}),
  CompleteRequest: shape<CompleteRequest>(
    {
      session: key,
      outcomes: {
        ...list({
          ...shape<PlainOutcome>(
            {
              assignment: count,
              result: anything,
              resultBlob: shape<PlainBlob>({ hash: blobHash, size: count }, {}),
              failure,
              durationMs: amount,
            },
            { result: true, resultBlob: true, failure: true, durationMs: true },
          ),
          oneOf: [{ required: ['result'] }, { required: ['resultBlob'] }, { required: ['failure'] }],
        }),
        minItems: 1,
        maxItems: limits.workerSlotsMax,
      },
    },
    {},
  ),
  CompleteAnswer: shape<CompleteAnswer>(
    {
      results: list(
        shape<PlainResult>({ assignment: count, ok: flag, code: text, message: text }, { code: true, message: true }),
      ),
    },
    {},
  ),
  EndRequest: shape<EndRequest>({ session: key }, {}),
} as const satisfies Record<string, JsonSchema>;

const pushSchemas = {
  PushRequest: { oneOf: [ref('PushedCall'), ref('PushedTurn'), ref('PushedQuestion')] },
  PushedCall: shape<PushedCall>({ ...pushedBase, ...callParts }, {}),
  PushedTurn: shape<PushedTurn>(
    { ...pushedBase, ...activationParts, begun: list(ref('JournalEntry')), judges: flag },
    { event: true, labels: true, judges: true },
  ),
  PushedQuestion: shape<PushedQuestion>({ protocol: constant(pushProtocol), kind: constant('describe') }, {}),
  PushAnswer: { oneOf: [ref('CallAnswer'), ref('TurnAnswer'), ref('DescribeAnswer')] },
  CallAnswer: {
    oneOf: [
      record(
        {
          outcome: constant('completed'),
          result: ref('InlinePayload'),
          durationMs: amount,
          streams: list(ref('CallChunks')),
        },
        ['outcome', 'result', 'durationMs'],
      ),
      record({ outcome: constant('failed'), failure, streams: list(ref('CallChunks')) }, ['outcome', 'failure']),
    ],
  },
  CallChunks: shape<CallChunks>({ name: nullable(path), from: count, count, chunks: ref('InlinePayload') }, {}),
  TurnAnswer: shape<TurnAnswer>(
    {
      outcome: constant('turn'),
      commands: { ...list(ref('Command')), maxItems: limits.submissionCommandsMax },
    },
    {},
  ),
  DescribeAnswer: shape<DescribeAnswer>({ outcome: constant('described'), manifest: ref('Manifest') }, {}),
};

const result: { readonly oneOf: readonly JsonSchema[] } = {
  oneOf: [
    shape<Extract<SubmissionResult, { readonly ok: true }>>({ i: count, ok: constant(true), head: count }, {}),
    shape<Extract<SubmissionResult, { readonly ok: false }>>(
      { i: count, ok: constant(false), code: text, message: text },
      {},
    ),
  ],
};

/**
 * The document: a message over the socket is a `WorkerMessage` or a `ServerMessage` of its `$defs`; the bodies of plain requests
 * and of push are there under the names of their types.
 */
export const workerProtocolSchema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  $id: `urn:eventspine:worker-protocol:${workerProtocol}`,
  title: `Eventspine worker protocol, version ${workerProtocol}`,
  anyOf: [ref('WorkerMessage'), ref('ServerMessage')],
  $defs: {
    WorkerMessage: { oneOf: Object.values(workerMessages) },
    ServerMessage: { oneOf: Object.values(serverMessages) },
    Assignment: {
      oneOf: [
        shape<CallAssignment>({ ...assignmentBase, ...callParts }, {}),
        shape<ActivationAssignment>({ ...assignmentBase, ...activationParts }, { event: true, labels: true }),
      ],
    },
    Command: { oneOf: Object.values(commands) },
    SubmissionResult: result,
    Journal: journal,
    JournalEntry: journalEntry,
    Payload: { oneOf: [ref('InlinePayload'), blobPayload] },
    InlinePayload: inlinePayload,
    Failure: failure,
    Manifest: manifest,
    ...plainSchemas,
    ...pushSchemas,
  },
} as const satisfies JsonSchema;
