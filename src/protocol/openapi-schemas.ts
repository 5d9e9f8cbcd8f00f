/**
 * JSON Schemas (2020-12) of the shapes of the API, for the OpenAPI document. `shape` ties each to its TypeScript type:
 * a property that is added to a type and forgotten here does not compile.
 */
import { failureClasses } from '../core/failure.js';
import type { JsonSchema, ModelPrice, ShadowRule } from '../core/manifest.js';
import type { ShadowDifference, ShadowEvidence, ShadowRatio } from '../core/models/shadow.js';
import { limits } from '../core/limits.js';
import { runEventTypes } from '../core/webhooks/endpoint.js';
import { toolOrderWords, toolWords } from '../core/tools/policy.js';
import type { ToolOrderView, ToolPoliciesView } from './tools.js';
import { limitDimensions } from '../core/admission/limit.js';
import { catchUps, overlaps } from '../core/schedule/words.js';
import { remedies, type TakenRemedy } from '../core/remedies.js';
import { ambiguityPolicies, type InferenceHop, type Spend, type TokenUsage } from '../core/run/inference.js';
import { exportedHistoryFormat, type ExportedHistory } from '../core/run/exported-history.js';
import {
  runViewStates,
  approvalStates,
  type ApprovalDetail,
  type ApprovalNote,
  type ApprovalView,
  tickOutcomes,
  bridgeStates,
  type BridgeSeekRequest,
  type BridgeView,
  type BulkAnswer,
  type CommandAnswer,
  type DeadLetterCount,
  type AckAnswer,
  type AckRequest,
  type ConsumerView,
  type EventPosition,
  type LeaveRequest,
  type NackAnswer,
  type NackRequest,
  type PullAnswer,
  type PulledEvent,
  type PulledGap,
  type PullRequest,
  type RenewAnswer,
  type RenewRequest,
  type SubscriptionDetail,
  type SubscriptionPartitionView,
  type SubscriptionView,
  type DeadEventDetail,
  type DeadEventView,
  type DeadLetterDetail,
  type DeadLetterFilter,
  type DeadLetterView,
  type RedriveRequest,
  type RedriveView,
  type TrailItem,
  type DefinitionChange,
  type DeployAnswer,
  type DoctorCheck,
  type DoctorView,
  type EndpointView,
  type ModelArmView,
  type ToolVerdictView,
  type ModelComparisonView,
  type ModelReportView,
  type ModelShadowView,
  type ModelVersionView,
  type ModelView,
  type KeyRequest,
  type KeyView,
  type MadeKeyView,
  type AccessEventView,
  type LimitCounterView,
  type LimitView,
  type LimitWait,
  type GraphView,
  type HealthView,
  type Problem,
  type FleetView,
  type QueueView,
  type RunEventView,
  type RunSummary,
  type RunView,
  type ScaleView,
  type AgentReply,
  type AgentSummary,
  type AgentView,
  type MessageAnswer,
  type ScheduleView,
  type ReadTokenRequest,
  type ReadTokenView,
  readTokenSights,
  type ReplayAnswer,
  type SeekAnswer,
  type StartAnswer,
  type StepView,
  type TickView,
  type StrandedWork,
  type TopicEventView,
  type TopicEventPage,
  type TopicPartitionView,
  type SourceView,
  type TopicWriterView,
  type TopicTokenRequest,
  type TopicView,
  type TriageCorrectionsView,
  type TriageVerdictsView,
  type TriageView,
  type ContextView,
  type CacheCleared,
  type CacheModelView,
  type CacheView,
  type DecisionView,
  type EventReference,
  type WaitView,
  type WebhookAnswer,
  type WebhookSecretView,
  type WebhookSeen,
  type WebhookSourceView,
  type WorkerView,
} from './http.js';
import { plainSchemes } from '../core/webhooks/source.js';
import { flag, list, nullable, oneOf, record, shape, text, texts, whole, type Properties } from './schema-shape.js';
import {
  webhookDeliveryStates,
  type WebhookDelivery,
  type WebhookPing,
  type WebhookRedriveAnswer,
  type WebhookSecrets,
  type WebhookView,
} from './webhook-views.js';
import { plainSchemas } from './worker-schemas.js';

const anything = {};
const instant = { type: 'string', format: 'date-time' };
const duration = { anyOf: [{ type: 'string' }, { type: 'number' }] };
const labelMap = { type: 'object', additionalProperties: text };

const webhookScheme = {
  type: 'object',
  properties: { kind: oneOf([...plainSchemes, 'hmac', 'http-signature']) },
  required: ['kind'],
};
const webhookMap = { type: 'object', additionalProperties: text };

function reference(name: string): JsonSchema {
  return { $ref: `#/components/schemas/${name}` };
}

function page(name: string): JsonSchema {
  return {
    type: 'object',
    properties: { items: list(reference(name)), next: nullable(text) },
    required: ['items', 'next'],
  };
}

const startPosition: JsonSchema = {
  oneOf: [
    oneOf(['newest', 'oldest']),
    record({ offset: whole }, ['offset']),
    record({ at: { anyOf: [instant, whole] } }, ['at']),
  ],
};
const seekAnswer: Properties<SeekAnswer> = {
  name: text,
  partitions: list(shape<SeekAnswer['partitions'][number]>({ partition: whole, next: whole, head: whole }, {})),
};
const ambiguityPolicy = oneOf(ambiguityPolicies);
const keyFields = {
  name: text,
  id: text,
  tenant: text,
  state: oneOf(['active', 'expired', 'revoked']),
  roles: texts,
  permissions: nullable(texts),
  clearances: nullable(texts),
  createdAt: instant,
  createdBy: text,
  expiresAt: nullable(instant),
  revokedAt: nullable(instant),
  revokedBy: nullable(text),
  formerUntil: nullable(instant),
  lastUsedAt: nullable(instant),
};
const failureView = record({ class: oneOf(failureClasses), code: text, message: text }, ['class', 'code', 'message']);
const links = record({ self: text, history: text, result: text, stream: text }, [
  'self',
  'history',
  'result',
  'stream',
]);
const state = oneOf(runViewStates);
const failed = record({ error: reference('Problem') }, ['error']);

const runSummary: Properties<RunSummary> = {
  id: text,
  tenant: text,
  workflow: text,
  version: nullable(text),
  state,
  startedAt: instant,
  updatedAt: instant,
  endedAt: nullable(instant),
  events: whole,
  labels: labelMap,
  failure: nullable(failureView),
};

const remedyShape = record({ name: text, text, redriveMayHelp: flag }, ['name', 'text', 'redriveMayHelp']);

const lagBound = nullable(record({ count: nullable(whole), ageMs: nullable(whole) }, ['count', 'ageMs']));
const deliveryOrder = oneOf(['key', 'partition', 'none']);
const subscriptionView: Properties<SubscriptionView> = {
  name: text,
  topic: text,
  workflow: nullable(text),
  filter: nullable({ type: 'object' }),
  from: startPosition,
  order: deliveryOrder,
  window: whole,
  deliveries: nullable(whole),
  lagMax: lagBound,
  dead: nullable(text),
  declared: flag,
  paused: nullable(record({ by: text, at: instant, reason: nullable(text) }, ['by', 'at', 'reason'])),
  lag: whole,
  ageMs: nullable(whole),
  behind: nullable(text),
};
const eventPosition = shape<EventPosition>({ partition: whole, offset: whole, token: text }, {});

const deadEvent: Properties<DeadEventView> = {
  id: text,
  source: text,
  topic: nullable(text),
  partition: nullable(whole),
  offset: nullable(text),
  event: record({ id: nullable(text), type: nullable(text), source: nullable(text), key: nullable(text) }, [
    'id',
    'type',
    'source',
    'key',
  ]),
  class: oneOf(failureClasses),
  code: text,
  message: text,
  attempts: whole,
  at: instant,
};

const letterFilter = shape<DeadLetterFilter>(
  { class: oneOf(failureClasses), workflow: text, step: text, since: instant, text },
  { class: true, workflow: true, step: true, since: true, text: true },
);

const approvalView: Properties<ApprovalView> = {
  id: text,
  run: text,
  workflow: text,
  path: text,
  title: text,
  to: texts,
  requestedAt: instant,
  expiresAt: nullable(instant),
  state: oneOf(approvalStates),
};

/** Who decides, where an operator passes on the word of somebody else. */
const person = record({ user: text, roles: texts }, ['user']);

/** The schemas by the name that `#/components/schemas` gives them. */
const interval = record({ low: { type: 'number' }, high: { type: 'number' } }, ['low', 'high']);
const shadowRatio = nullable(shape<ShadowRatio>({ n: whole, mean: { type: 'number' }, interval }, {}));
const shadowDifference = nullable(
  shape<ShadowDifference>(
    {
      shadow: { type: 'number' },
      primary: { type: 'number' },
      difference: { type: 'number' },
      interval: nullable(interval),
    },
    {},
  ),
);
const toolOrder = shape<ToolOrderView>(
  {
    name: text,
    tools: list(text),
    by: list(text),
    tenants: list(text),
    verdict: oneOf(toolOrderWords),
    limits: { type: 'object' },
    perRun: { type: 'object' },
    approve: { type: 'object' },
    tainted: oneOf(toolWords),
    reason: nullable(text),
    orderedBy: text,
    isAdmins: { type: 'boolean' },
    at: text,
  },
  { by: true, tenants: true, limits: true, perRun: true, approve: true, tainted: true },
);
const shadowRule: Properties<ShadowRule> = {
  version: text,
  share: { type: 'number', exclusiveMinimum: 0, maximum: 1 },
  concurrency: { ...whole, minimum: 1, maximum: limits.shadowConcurrencyMax },
  perDayMicros: nullable(whole),
};
const modelShadow = nullable(
  shape<ModelShadowView>(
    {
      rule: nullable(shape<ShadowRule>(shadowRule, {})),
      isSet: flag,
      underWay: whole,
      spentTodayMicros: whole,
      evidence: {
        type: 'array',
        items: shape<ShadowEvidence>(
          {
            version: text,
            against: text,
            answers: whole,
            failures: { type: 'object', additionalProperties: whole },
            spentMicros: whole,
            exact: shadowRatio,
            json: shadowRatio,
            similarity: shadowRatio,
            tools: shadowRatio,
            latencyMs: shadowDifference,
            costMicros: shadowDifference,
          },
          {},
        ),
      },
    },
    {},
  ),
);

export const schemas = {
  Problem: shape<Problem>(
    {
      type: text,
      title: text,
      status: whole,
      detail: text,
      code: text,
      mend: text,
      retryable: flag,
      kind: oneOf(['invalid', 'conflict', 'notFound', 'transient', 'terminal', 'internal']),
      faults: texts,
      run: text,
      failure: failureView,
      data: anything,
    },
    { kind: true, faults: true, run: true, failure: true, data: true },
  ),
  RunSummary: shape<RunSummary>(runSummary, {}),
  RunView: shape<RunView>(
    {
      ...runSummary,
      steps: list(reference('StepView')),
      waitingFor: list(reference('WaitView')),
      served: nullable(flag),
      retry: record({ possible: flag, from: texts }, ['possible', 'from']),
      deadLetter: nullable(text),
      parent: nullable(text),
      continuedBy: nullable(text),
      spend: reference('Spend'),
      context: record({ saved: whole, fetched: whole, bundles: list(reference('ContextView')) }, [
        'saved',
        'fetched',
        'bundles',
      ]),
      progress: anything,
      cursor: text,
      links,
    },
    { progress: true },
  ),
  StepView: shape<StepView>(
    {
      path: text,
      kind: oneOf([
        'step',
        'call',
        'timer',
        'emit',
        'race',
        'gate',
        'child',
        'context',
        'wait',
        'approval',
        'node',
        'message',
        'inference',
      ]),
      status: text,
      attempt: whole,
      capability: text,
      model: text,
      run: text,
    },
    { capability: true, model: true, run: true },
  ),
  Spend: shape<Spend>(
    {
      calls: whole,
      inputTokens: whole,
      outputTokens: whole,
      costMicros: whole,
      ambiguous: whole,
      cached: whole,
      savedMicros: whole,
    },
    { cached: true, savedMicros: true },
  ),
  DecisionView: shape<DecisionView>(
    {
      path: text,
      status: text,
      attempt: whole,
      at: instant,
      model: text,
      version: nullable(text),
      arm: nullable(text),
      endpoint: nullable(text),
      fingerprint: text,
      policy: list(ambiguityPolicy),
      input: reference('EventReference'),
      output: nullable(reference('EventReference')),
      providerId: nullable(text),
      finish: nullable(text),
      usage: nullable(reference('TokenUsage')),
      costMicros: whole,
      latencyMs: nullable(whole),
      firstPartMs: nullable(whole),
      hops: list(reference('InferenceHop')),
      ambiguous: list(record({ attempt: whole, policy: ambiguityPolicy }, ['attempt', 'policy'])),
      confidence: nullable({ type: 'number', minimum: 0, maximum: 1 }),
      alternatives: list(record({ text, probability: { type: 'number' } }, ['text', 'probability'])),
      rules: texts,
      prompt: nullable(record({ name: text, version: text }, ['name', 'version'])),
      cached: nullable(
        record({ model: text, version: text, event: text, at: instant, savedMicros: whole }, [
          'model',
          'version',
          'event',
          'at',
          'savedMicros',
        ]),
      ),
      by: nullable(text),
      comment: nullable(text),
      failure: nullable(failureView),
      tools: list(
        shape<ToolVerdictView>(
          {
            tool: text,
            verdict: oneOf(['allowed', 'refused', 'ask']),
            rule: text,
            why: nullable(text),
            taint: texts,
            event: text,
          },
          {},
        ),
      ),
    },
    { tools: true },
  ),
  EventReference: shape<EventReference>(
    { seq: whole, event: text, blob: nullable(record({ hash: text, size: whole }, ['hash', 'size'])) },
    {},
  ),
  TokenUsage: shape<TokenUsage>({ inputTokens: whole, cachedInputTokens: whole, outputTokens: whole }, {}),
  InferenceHop: shape<InferenceHop>(
    {
      model: text,
      attempt: whole,
      version: text,
      endpoint: text,
      class: oneOf(failureClasses),
      code: text,
      remedy: reference('TakenRemedy'),
    },
    { model: true, remedy: true },
  ),
  TakenRemedy: shape<TakenRemedy>(
    { name: oneOf(remedies), version: text, model: text, proposed: reference('TakenRemedy') },
    { version: true, model: true, proposed: true },
  ),
  ContextView: shape<ContextView>({ name: text, key: text, version: nullable(text), fetchedAt: instant }, {}),
  WaitView: shape<WaitView>(
    {
      kind: oneOf(['queue', 'call', 'timer', 'retry', 'worker', 'limit', 'child', 'event', 'signal', 'approval']),
      path: nullable(text),
      queue: text,
      until: instant,
      run: text,
      limit: shape<LimitWait>(
        {
          key: text,
          limit: text,
          used: { type: 'number' },
          max: { type: 'number' },
          before: whole,
          since: instant,
          expectedAt: nullable(instant),
          paused: text,
        },
        { paused: true },
      ),
      text,
    },
    { queue: true, until: true, run: true, limit: true },
  ),
  RunEventView: shape<RunEventView>(
    {
      seq: whole,
      id: text,
      type: text,
      at: instant,
      actor: text,
      data: anything,
      payload: anything,
      blob: record({ hash: text, size: whole }, ['hash', 'size']),
    },
    { data: true, payload: true, blob: true },
  ),
  StreamEvent: {
    description: 'One event of the stream: its name is in `event`, the JSON below in `data`.',
    anyOf: [
      reference('RunEventView'),
      record({ state }, ['state']),
      record({ from: whole, to: whole }, ['from', 'to']),
    ],
  },
  StartItem: record(
    {
      input: anything,
      idempotencyKey: { type: 'string', maxLength: limits.keyLengthMax },
      notify: { type: 'string', maxLength: limits.webhookUrlLengthMax },
      labels: labelMap,
      priority: whole,
      delay: duration,
      startAt: instant,
    },
    [],
  ),
  StartItems: { ...list(reference('StartItem')), maxItems: limits.batchItemsMax },
  StartAnswer: shape<StartAnswer>(
    { id: text, state, repeated: flag, links, readToken: reference('ReadToken') },
    { readToken: true },
  ),
  ReadToken: shape<ReadTokenView>({ token: text, expiresAt: instant }, {}),
  ReadTokenRequest: shape<ReadTokenRequest>(
    { expiresMs: whole, sees: oneOf([...readTokenSights]), decides: flag, clearances: texts },
    { expiresMs: true, sees: true, decides: true, clearances: true },
  ),
  TopicTokenRequest: shape<TopicTokenRequest>(
    { expiresMs: whole, key: text, past: flag, clearances: texts },
    { expiresMs: true, key: true, past: true, clearances: true },
  ),
  BatchStartAnswer: record({ items: list({ anyOf: [reference('StartAnswer'), failed] }) }, ['items']),
  PublishAnswer: record(
    {
      items: list({
        anyOf: [
          record(
            {
              id: text,
              topic: text,
              duplicate: flag,
              runs: texts,
              late: oneOf(['accepted', 'dropped', 'dead']),
              gap: record({ from: whole, to: whole }, ['from', 'to']),
            },
            ['id', 'topic', 'duplicate', 'runs'],
          ),
          failed,
        ],
      }),
    },
    ['items'],
  ),
  CloudEvent: {
    type: 'object',
    description: 'CloudEvents 1.0 in the JSON event format; extension attributes are further members.',
    properties: {
      specversion: { const: '1.0' },
      id: { type: 'string', minLength: 1 },
      source: { type: 'string', minLength: 1 },
      type: { type: 'string', minLength: 1 },
      subject: text,
      time: instant,
      datacontenttype: text,
      dataschema: { type: 'string', format: 'uri' },
      partitionkey: text,
      data: anything,
      data_base64: { type: 'string', contentEncoding: 'base64' },
    },
    required: ['specversion', 'id', 'source', 'type'],
  },
  CloudEvents: { ...list(reference('CloudEvent')), maxItems: limits.batchItemsMax },
  CancelRequest: record({ reason: text }, []),
  ManyRequest: record({ ids: { ...texts, maxItems: limits.batchItemsMax } }, ['ids']),
  CancelManyRequest: record({ ids: { ...texts, maxItems: limits.batchItemsMax }, reason: text }, ['ids']),
  CommandAnswer: shape<CommandAnswer>({ id: text, outcome: oneOf(['done', 'already']) }, {}),
  BulkAnswer: shape<BulkAnswer>(
    {
      items: list({
        anyOf: [reference('CommandAnswer'), record({ id: text, error: reference('Problem') }, ['id', 'error'])],
      }),
    },
    {},
  ),
  TopicView: shape<TopicView>(
    {
      topic: text,
      partitions: list(shape<TopicPartitionView>({ partition: whole, head: whole, low: whole }, {})),
    },
    {},
  ),
  TopicEventView: shape<TopicEventView>(
    { topic: text, partition: whole, offset: whole, key: nullable(text), hlc: text, event: { type: 'object' } },
    {},
  ),
  SubscriptionView: shape<SubscriptionView>(subscriptionView, {}),
  SubscriptionDetail: shape<SubscriptionDetail>(
    {
      ...subscriptionView,
      partitions: list(
        shape<SubscriptionPartitionView>(
          {
            partition: whole,
            head: whole,
            next: whole,
            lag: whole,
            ageMs: nullable(whole),
            consumer: nullable(text),
            inHand: whole,
          },
          {},
        ),
      ),
      consumers: list(shape<ConsumerView>({ consumer: text, until: instant }, {})),
    },
    {},
  ),
  SubscriptionRequest: record(
    {
      topic: text,
      dead: text,
      filter: { type: 'object' },
      from: startPosition,
      order: deliveryOrder,
      window: whole,
      deliveries: whole,
      lagMax: record({ count: whole, age: { type: ['string', 'integer'] } }, []),
    },
    ['topic'],
  ),
  PullRequest: shape<PullRequest>(
    { consumer: text, max: whole, waitMs: whole, leaseMs: whole },
    { max: true, waitMs: true, leaseMs: true },
  ),
  PullAnswer: shape<PullAnswer>(
    {
      events: list(
        shape<PulledEvent>(
          {
            topic: text,
            partition: whole,
            offset: whole,
            token: text,
            delivery: whole,
            key: text,
            event: { type: 'object' },
          },
          {},
        ),
      ),
      partitions: list(whole),
      isPaused: flag,
      gaps: list(shape<PulledGap>({ partition: whole, from: whole, to: whole }, {})),
    },
    {},
  ),
  AckRequest: shape<AckRequest>({ consumer: text, positions: list(eventPosition) }, {}),
  AckAnswer: shape<AckAnswer>({ settled: whole }, {}),
  NackRequest: shape<NackRequest>(
    { consumer: text, positions: list(eventPosition), delayMs: whole, reason: text, dead: flag },
    { delayMs: true, reason: true, dead: true },
  ),
  NackAnswer: shape<NackAnswer>({ again: whole, dead: whole }, {}),
  RenewRequest: shape<RenewRequest>(
    {
      consumer: text,
      deliveries: list(record({ partition: whole, token: text }, ['partition', 'token'])),
      leaseMs: whole,
    },
    { leaseMs: true },
  ),
  RenewAnswer: shape<RenewAnswer>({ lost: list(text) }, {}),
  LeaveRequest: shape<LeaveRequest>({ consumer: text }, {}),
  BridgeView: shape<BridgeView>(
    {
      name: text,
      direction: oneOf(['in', 'out']),
      bus: text,
      tenant: text,
      topic: text,
      outside: text,
      state: oneOf(bridgeStates),
      error: nullable(text),
      moved: whole,
      duplicates: whole,
      dead: whole,
      missed: whole,
      lag: list(
        record({ partition: nullable(whole), count: whole, ageMs: nullable(whole) }, ['partition', 'count', 'ageMs']),
      ),
      positions: list(record({ partition: text, next: text }, ['partition', 'next'])),
    },
    {},
  ),
  BridgeSeekRequest: shape<BridgeSeekRequest>({ partition: whole, offset: { type: ['integer', 'string'] } }, {}),
  DeadEventView: shape<DeadEventView>(deadEvent, {}),
  DeadEventDetail: shape<DeadEventDetail>(
    { ...deadEvent, attributes: { type: 'object' }, data: {}, dataref: text },
    { data: true, dataref: true },
  ),
  DeadLetterView: shape<DeadLetterView>(
    {
      id: text,
      run: text,
      workflow: text,
      path: nullable(text),
      class: oneOf(failureClasses),
      code: text,
      message: text,
      attempts: whole,
      at: instant,
      remedy: remedyShape,
    },
    {},
  ),
  DeadLetterDetail: shape<DeadLetterDetail>(
    {
      id: text,
      run: text,
      workflow: text,
      path: nullable(text),
      class: oneOf(failureClasses),
      code: text,
      message: text,
      attempts: whole,
      at: instant,
      remedy: remedyShape,
      confidence: nullable({ type: 'number' }),
      reason: nullable(text),
      classifier: nullable(text),
      notEditable: nullable(text),
      trail: list(reference('TrailItem')),
    },
    {},
  ),
  TrailItem: shape<TrailItem>(
    {
      at: instant,
      what: oneOf(['attempt_failed', 'gave_up', 'redriven', 'edited']),
      attempt: nullable(whole),
      failure: nullable(
        record(
          {
            class: oneOf(failureClasses),
            code: text,
            message: text,
            confidence: nullable({ type: 'number' }),
            reason: nullable(text),
            classifier: nullable(text),
          },
          ['class', 'code', 'message', 'confidence', 'reason', 'classifier'],
        ),
      ),
      remedy: nullable(record({ name: oneOf(remedies), text }, ['name', 'text'])),
      retryAt: nullable(instant),
      by: nullable(text),
      reason: nullable(text),
    },
    {},
  ),
  DeadLetterFilter: letterFilter,
  DeadLetterCount: shape<DeadLetterCount>({ count: whole, more: flag }, {}),
  RedriveOneRequest: record({ reason: text }, []),
  EditRequest: record({ input: anything, reason: text }, ['input', 'reason']),
  CorrectionRequest: record({ label: oneOf(failureClasses), reason: text }, ['label']),
  RedriveRequest: shape<RedriveRequest>(
    {
      filter: reference('DeadLetterFilter'),
      ratePerSecond: { type: 'number', exclusiveMinimum: 0, maximum: limits.redriveRateMax },
      reason: text,
    },
    { ratePerSecond: true, reason: true },
  ),
  RedriveView: shape<RedriveView>(
    {
      id: text,
      state: oneOf(['running', 'done', 'cancelled']),
      filter: reference('DeadLetterFilter'),
      ratePerSecond: { type: 'number' },
      by: text,
      reason: nullable(text),
      createdAt: instant,
      endedAt: nullable(instant),
      total: nullable(whole),
      redriven: whole,
      gone: whole,
      refused: whole,
      refusals: list(record({ deadLetter: text, code: text, message: text }, ['deadLetter', 'code', 'message'])),
    },
    {},
  ),
  ApprovalView: shape<ApprovalView>(approvalView, {}),
  ApprovalDetail: shape<ApprovalDetail>(
    { ...approvalView, by: nullable(text), show: anything, form: anything, notes: list(reference('ApprovalNote')) },
    { show: true, form: true },
  ),
  ApprovalNote: shape<ApprovalNote>(
    {
      at: instant,
      what: oneOf(['requested', 'delegated', 'escalated', 'commented', 'approved', 'rejected', 'expired', 'cancelled']),
      by: nullable(text),
      to: texts,
      text,
      form: anything,
    },
    { to: true, text: true, form: true },
  ),
  ApproveRequest: record({ form: anything, comment: text, as: person }, []),
  RejectRequest: record({ comment: text, as: person }, []),
  DelegateRequest: record({ to: { ...texts, maxItems: limits.approvalAddressesMax }, as: person }, ['to']),
  CommentRequest: record({ text, as: person }, ['text']),
  ScheduleRequest: record(
    {
      start: text,
      cron: { type: 'string', maxLength: limits.scheduleCronLengthMax },
      timeZone: text,
      every: duration,
      input: anything,
      catchUp: oneOf(catchUps),
      catchUpMax: { type: 'integer', minimum: 1, maximum: limits.scheduleCatchUpMax },
      jitter: duration,
      overlap: oneOf(overlaps),
      queueMax: { type: 'integer', minimum: 1, maximum: limits.scheduleQueueMax },
      labels: labelMap,
      priority: whole,
    },
    ['start'],
  ),
  PauseRequest: record({ reason: text }, []),
  SeekRequest: record({ to: startPosition, partition: whole }, ['to']),
  SeekAnswer: shape<SeekAnswer>(seekAnswer, {}),
  ReplayRequest: record({ from: startPosition, into: text, workflow: text, dryRun: flag }, ['from']),
  ReplayAnswer: shape<ReplayAnswer>(
    {
      ...seekAnswer,
      into: nullable(text),
      workflow: nullable(text),
      dryRun: flag,
      events: whole,
      wanted: nullable(whole),
      isWhole: flag,
    },
    {},
  ),
  ScheduleView: shape<ScheduleView>(
    {
      name: text,
      tenant: text,
      start: text,
      cron: nullable(text),
      timeZone: nullable(text),
      everyMs: nullable(whole),
      input: anything,
      catchUp: oneOf(catchUps),
      catchUpMax: whole,
      jitterMs: whole,
      overlap: oneOf(overlaps),
      queueMax: whole,
      labels: labelMap,
      priority: nullable(whole),
      app: nullable(text),
      createdAt: instant,
      updatedAt: instant,
      pausedAt: nullable(instant),
      pauseReason: nullable(text),
      next: list(instant),
      waiting: list(instant),
      running: texts,
      counts: record({ started: whole, skipped: whole, missed: whole }, ['started', 'skipped', 'missed']),
      recent: list(reference('TickView')),
    },
    { input: true },
  ),
  TickView: shape<TickView>(
    {
      tick: instant,
      to: instant,
      at: instant,
      outcome: oneOf(tickOutcomes),
      run: nullable(text),
      reason: nullable(text),
    },
    { to: true },
  ),
  FleetView: shape<FleetView>(
    {
      position: whole,
      at: nullable(instant),
      checkpoint: nullable(record({ position: whole, at: instant }, ['position', 'at'])),
      gap: nullable(record({ from: whole, to: whole, missing: whole }, ['from', 'to', 'missing'])),
      doubts: whole,
      runs: list(record({ workflow: text, status: text, count: whole }, ['workflow', 'status', 'count'])),
      queues: list(record({ queue: text, open: whole, held: whole }, ['queue', 'open', 'held'])),
      limits: list(record({ limit: text, waiting: whole, granted: whole }, ['limit', 'waiting', 'granted'])),
      models: list(record({ model: text, waiting: whole, granted: whole }, ['model', 'waiting', 'granted'])),
      waits: list(record({ kind: text, open: whole }, ['kind', 'open'])),
      agents: list(record({ agent: text, keys: whole, unread: whole }, ['agent', 'keys', 'unread'])),
      topics: list(record({ topic: text, events: whole }, ['topic', 'events'])),
      lag: list(record({ subscription: text, topic: text, eventsMax: whole }, ['subscription', 'topic', 'eventsMax'])),
      sample: nullable(
        record(
          {
            at: instant,
            queues: list(
              record({ queue: text, ready: whole, delayed: whole, leased: whole, lagMs: whole }, [
                'queue',
                'ready',
                'delayed',
                'leased',
                'lagMs',
              ]),
            ),
            workers: list(record({ queue: text, sessions: whole, slots: whole }, ['queue', 'sessions', 'slots'])),
          },
          ['at', 'queues', 'workers'],
        ),
      ),
    },
    {},
  ),
  QueueView: shape<QueueView>(
    {
      queue: text,
      ready: whole,
      delayed: whole,
      held: whole,
      leased: whole,
      lagMs: { type: 'number' },
      workers: whole,
      slots: whole,
    },
    {},
  ),
  ScaleView: shape<ScaleView>(
    {
      value: whole,
      desired: whole,
      active: flag,
      ready: whole,
      leased: whole,
      delayed: whole,
      held: whole,
      lagMs: { type: 'number' },
      workers: whole,
      slots: whole,
      target: whole,
      min: whole,
      max: whole,
      activation: whole,
      known: flag,
      queues: texts,
    },
    {},
  ),
  WorkerView: shape<WorkerView>(
    {
      session: text,
      worker: text,
      app: text,
      manifest: nullable(text),
      connected: flag,
      openedAt: instant,
      slots: whole,
      leased: whole,
      queues: texts,
      host: nullable(text),
      pid: nullable(whole),
    },
    {},
  ),
  ModelView: shape<ModelView>(
    {
      name: text,
      policy: { type: 'array', items: oneOf(ambiguityPolicies) },
      versions: {
        type: 'array',
        items: shape<ModelVersionView>(
          {
            version: text,
            endpoint: text,
            weight: whole,
            declaredWeight: whole,
            windowTokens: nullable(whole),
            outputTokensMax: nullable(whole),
            price: nullable(
              shape<ModelPrice>({ inputMicros: whole, outputMicros: whole, cachedInputMicros: whole }, {}),
            ),
            breaker: record({ state: oneOf(['closed', 'open', 'half-open']), probeAt: nullable(instant) }, [
              'state',
              'probeAt',
            ]),
            pausedUntil: nullable(instant),
          },
          {},
        ),
      },
      set: nullable(record({ by: text, at: instant }, ['by', 'at'])),
      steps: whole,
      shadow: modelShadow,
    },
    {},
  ),
  ModelOrder: {
    oneOf: [
      record({ change: oneOf(['weights']), weights: { type: 'object', additionalProperties: whole } }, [
        'change',
        'weights',
      ]),
      record({ change: oneOf(['promote', 'reset-breaker']), version: text }, ['change', 'version']),
      record({ change: oneOf(['shadow']), shadow: nullable(record({ ...shadowRule }, ['version'])) }, [
        'change',
        'shadow',
      ]),
      record({ change: oneOf(['rollback', 'reset']) }, ['change']),
    ],
  },
  OutcomeRequest: record({ model: text, score: { type: 'number', minimum: 0, maximum: 1 }, id: text }, [
    'model',
    'score',
  ]),
  ModelReportView: shape<ModelReportView>(
    {
      model: text,
      against: text,
      alpha: { type: 'number' },
      arms: {
        type: 'array',
        items: shape<ModelArmView>(
          {
            version: text,
            inferences: whole,
            failures: whole,
            latencyMs: nullable({ type: 'number' }),
            costMicros: nullable({ type: 'number' }),
            scores: whole,
            score: nullable({ type: 'number' }),
            comparisons: {
              type: 'array',
              items: shape<ModelComparisonView>(
                {
                  of: oneOf(['failures', 'score', 'latencyMs', 'costMicros']),
                  difference: { type: 'number' },
                  interval: nullable(record({ low: { type: 'number' }, high: { type: 'number' } }, ['low', 'high'])),
                  isShown: { type: 'boolean' },
                },
                {},
              ),
            },
          },
          {},
        ),
      },
      shadow: modelShadow,
    },
    {},
  ),
  CacheView: shape<CacheView>(
    {
      answers: whole,
      bytes: whole,
      answersMax: whole,
      bytesMax: whole,
      oldestAt: nullable(instant),
      models: {
        type: 'array',
        items: shape<CacheModelView>({ model: text, version: text, answers: whole, bytes: whole }, {}),
      },
    },
    {},
  ),
  CacheCleared: shape<CacheCleared>({ cleared: whole }, {}),
  TriageView: shape<TriageView>(
    {
      inForce: text,
      shadow: nullable(text),
      set: nullable(record({ by: text, at: instant }, ['by', 'at'])),
      steps: whole,
      verdicts: nullable(
        shape<TriageVerdictsView>(
          {
            failures: whole,
            same: whole,
            pairs: {
              type: 'array',
              items: record({ class: text, shadow: text, count: whole, changes: whole }, [
                'class',
                'shadow',
                'count',
                'changes',
              ]),
            },
          },
          {},
        ),
      ),
      corrections: shape<TriageCorrectionsView>(
        {
          count: whole,
          inForceRight: whole,
          shadowRight: nullable(whole),
          differences: {
            type: 'array',
            items: record({ label: text, class: text, shadow: text, count: whole }, [
              'label',
              'class',
              'shadow',
              'count',
            ]),
          },
        },
        {},
      ),
    },
    {},
  ),
  TriageOrder: {
    oneOf: [
      record({ change: oneOf(['shadow']), model: nullable({ type: 'object' }) }, ['change', 'model']),
      record({ change: oneOf(['promote', 'rollback']) }, ['change']),
    ],
  },
  AccessEventView: shape<AccessEventView>(
    {
      id: text,
      at: instant,
      outcome: oneOf(['allowed', 'failed', 'refused']),
      actor: nullable(text),
      route: text,
      target: text,
      code: nullable(text),
      reason: nullable(text),
      count: whole,
      request: text,
      since: instant,
    },
    {},
  ),
  ToolOrderView: toolOrder,
  ToolOrderRequest: record(
    {
      tools: { oneOf: [text, list(text)] },
      verdict: oneOf(toolOrderWords),
      by: { oneOf: [text, list(text)] },
      tenants: { oneOf: [text, list(text)] },
      limits: { type: 'object' },
      perRun: { type: 'object' },
      approve: { type: 'object' },
      tainted: oneOf(toolWords),
      reason: nullable(text),
    },
    ['tools', 'verdict'],
  ),
  ToolPoliciesView: shape<ToolPoliciesView>(
    {
      policies: list(shape<ToolPoliciesView['policies'][number]>({ app: text, policy: { type: 'object' } }, {})),
      orders: list(toolOrder),
    },
    {},
  ),
  LimitView: shape<LimitView>(
    {
      name: text,
      kind: oneOf(['concurrency', 'rate', 'budget']),
      options: { type: 'object' },
      declared: { type: 'boolean' },
      set: nullable(record({ by: text, at: instant }, ['by', 'at'])),
      counterCount: whole,
      counters: {
        type: 'array',
        items: shape<LimitCounterView>(
          { key: text, used: { type: 'number' }, limit: { type: 'number' }, resetAt: nullable(instant) },
          {},
        ),
      },
    },
    {},
  ),
  LimitRequest: record(
    {
      concurrency: { type: ['integer', 'object'] },
      rate: { type: 'object' },
      budget: { type: 'object' },
      by: { type: 'array', items: oneOf(limitDimensions) },
      scope: oneOf(['named', 'inferences']),
    },
    [],
  ),
  KeyView: shape<KeyView>(keyFields, {}),
  MadeKeyView: shape<MadeKeyView>({ ...keyFields, key: text }, {}),
  KeyRequest: shape<KeyRequest>(
    {
      name: text,
      roles: texts,
      permissions: texts,
      clearances: texts,
      expires: { type: ['integer', 'string'] },
    },
    { roles: true, permissions: true, clearances: true, expires: true },
  ),
  RotateRequest: record({ overlap: { type: ['integer', 'string'] } }, []),
  EndpointView: shape<EndpointView>(
    {
      app: text,
      url: text,
      concurrency: whole,
      timeoutMs: whole,
      state: oneOf(['serving', 'paused', 'elsewhere']),
      slots: nullable(whole),
      reason: nullable(text),
      pausedForMs: { type: 'number' },
    },
    {},
  ),
  WebhookView: shape<WebhookView>(
    {
      name: text,
      url: text,
      topics: texts,
      events: list(oneOf(runEventTypes)),
      filter: nullable({ type: 'object' }),
      order: oneOf(['key', 'none']),
      window: whole,
      timeoutMs: whole,
      retry: record({ attempts: whole, minMs: whole, maxMs: whole }, ['attempts', 'minMs', 'maxMs']),
      asymmetric: flag,
      clearances: texts,
      disabled: nullable(record({ by: text, at: instant, reason: nullable(text) }, ['by', 'at', 'reason'])),
      secrets: list(record({ number: whole, at: instant, until: nullable(instant) }, ['number', 'at', 'until'])),
      lag: whole,
      ageMs: nullable(whole),
      by: text,
      at: instant,
    },
    {},
  ),
  WebhookRequest: record(
    {
      url: text,
      topics: texts,
      events: list(oneOf(runEventTypes)),
      filter: { type: 'object' },
      order: oneOf(['key', 'none']),
      window: whole,
      timeout: duration,
      retry: record({ attempts: whole, min: duration, max: duration }, []),
      asymmetric: flag,
      clearances: texts,
    },
    ['url'],
  ),
  WebhookSecrets: shape<WebhookSecrets>({ secrets: texts, publicKeys: texts }, {}),
  WebhookRotation: record({ overlap: duration }, []),
  WebhookPing: shape<WebhookPing>(
    { id: text, delivered: flag, status: nullable(whole), reason: nullable(text), ms: whole },
    {},
  ),
  WebhookDelivery: shape<WebhookDelivery>(
    {
      run: text,
      state: oneOf(webhookDeliveryStates),
      message: text,
      type: text,
      event: nullable(record({ topic: text, id: text }, ['topic', 'id'])),
      attempts: whole,
      failure: nullable(failureView),
      nextAt: nullable(instant),
      at: instant,
      endedAt: nullable(instant),
    },
    {},
  ),
  WebhookRedriveAnswer: shape<WebhookRedriveAnswer>({ redriven: whole, more: flag }, {}),
  WebhookReplay: record({ from: startPosition, topic: text, dryRun: flag }, ['from']),
  EndpointRequest: record({ url: text, concurrency: whole, timeoutMs: whole }, ['url']),
  EndpointSecret: record({ secret: text }, ['secret']),
  LiveView: record({ status: { const: 'ok' } }, ['status']),
  HealthView: shape<HealthView>(
    {
      status: oneOf(['ok', 'not_ready']),
      accepts: flag,
      reasons: texts,
      version: text,
      store: text,
      uptimeMs: { type: 'number' },
    },
    {},
  ),
  DoctorView: shape<DoctorView>({ checkedAt: instant, checks: list(reference('DoctorCheck')) }, {}),
  DoctorCheck: shape<DoctorCheck>(
    {
      property: text,
      says: text,
      ok: flag,
      checked: nullable(whole),
      violations: list(record({ tenant: text, subject: text, detail: text }, ['tenant', 'subject', 'detail'])),
    },
    {},
  ),
  ExportedHistory: shape<ExportedHistory>(
    {
      format: { type: 'string', enum: [exportedHistoryFormat] },
      tenant: text,
      run: text,
      events: {
        type: 'array',
        items: { type: 'object', description: 'An event as stored; see docs/reference/events.md.' },
      },
      blobs: { type: 'object', additionalProperties: text },
    },
    {},
  ),
  ...plainSchemas,
  GraphView: shape<GraphView>(
    {
      workflow: text,
      version: nullable(text),
      edges: list(record({ from: text, to: text, needed: flag }, ['from', 'to', 'needed'])),
      graph: { type: 'object', description: 'The nodes as data; see docs/concepts/dag.md.' },
    },
    {},
  ),
  Manifest: { type: 'object', description: 'Definitions of an app; see docs/reference/manifest.md.' },
  DeployRequest: {
    type: 'object',
    properties: { manifest: reference('Manifest'), dryRun: flag, leaveWaiting: flag },
    required: ['manifest'],
  },
  DeployAnswer: shape<DeployAnswer>(
    {
      app: text,
      hash: text,
      outcome: oneOf(['registered', 'unchanged', 'planned']),
      changes: list(reference('DefinitionChange')),
      stranded: list(reference('StrandedWork')),
    },
    {},
  ),
  DefinitionChange: shape<DefinitionChange>(
    {
      kind: oneOf(['topic', 'workflow', 'capability']),
      name: text,
      change: oneOf(['added', 'changed', 'removed']),
      details: texts,
    },
    {},
  ),
  StrandedWork: shape<StrandedWork>(
    { kind: oneOf(['run', 'call']), name: text, version: nullable(text), count: whole, example: nullable(text) },
    {},
  ),
  MigrateRequest: { type: 'object', properties: { to: nullable(text) }, required: ['to'] },
  MigrateManyRequest: { type: 'object', properties: { ids: texts, to: nullable(text) }, required: ['ids', 'to'] },
  RunPage: page('RunSummary'),
  RunEventPage: page('RunEventView'),
  DecisionPage: page('DecisionView'),
  TopicPage: page('TopicView'),
  SubscriptionPage: page('SubscriptionView'),
  TopicEventPage: shape<TopicEventPage>(
    {
      items: list(reference('TopicEventView')),
      next: nullable(text),
      gap: nullable(record({ from: whole, to: whole }, ['from', 'to'])),
    },
    {},
  ),
  SourcePage: page('SourceView'),
  SourceView: shape<SourceView>(
    {
      id: text,
      source: text,
      sequence: nullable(whole),
      missing: list(record({ from: whole, to: whole }, ['from', 'to'])),
      lost: whole,
      late: whole,
      newestAt: nullable(instant),
    },
    {},
  ),
  TopicWriterView: shape<TopicWriterView>({ topic: text, epoch: whole, by: nullable(text), at: nullable(instant) }, {}),
  TopicStreamEvent: {
    description: 'The data of a message, by its event: `event`, `start` and `place`, `gap`.',
    anyOf: [
      reference('TopicEventView'),
      record({ partitions: list(record({ partition: whole, next: whole }, ['partition', 'next'])) }, ['partitions']),
      record({ partition: whole, from: whole, to: whole }, ['partition', 'from', 'to']),
    ],
  },
  WebhookAnswer: shape<WebhookAnswer>({ id: text, topic: text, duplicate: flag }, {}),
  WebhookSourceView: shape<WebhookSourceView>(
    {
      name: text,
      topic: text,
      scheme: webhookScheme,
      map: webhookMap,
      once: oneOf(['id', 'content']),
      declared: flag,
      path: text,
      secrets: list(shape<WebhookSecretView>({ id: text, by: text, at: instant, until: nullable(instant) }, {})),
      seen: shape<WebhookSeen>(
        {
          accepted: whole,
          duplicates: whole,
          refused: whole,
          lastRefusal: nullable(record({ at: instant, fault: text }, ['at', 'fault'])),
        },
        {},
      ),
    },
    {},
  ),
  WebhookSourceRequest: record(
    {
      topic: text,
      scheme: { anyOf: [oneOf(plainSchemes), webhookScheme] },
      map: webhookMap,
      once: oneOf(['id', 'content']),
    },
    ['topic', 'scheme'],
  ),
  WebhookSecretRequest: record({ secret: text, othersExpireIn: duration }, ['secret']),
  WebhookSourcePage: page('WebhookSourceView'),
  BridgePage: page('BridgeView'),
  DeadEventPage: page('DeadEventView'),
  DeadLetterPage: page('DeadLetterView'),
  RedrivePage: page('RedriveView'),
  ApprovalPage: page('ApprovalView'),
  SchedulePage: page('ScheduleView'),
  AgentPage: page('AgentSummary'),
  AgentSummary: shape<AgentSummary>({ agent: text, key: text, run: text, generation: whole }, {}),
  AgentView: shape<AgentView>(
    {
      agent: text,
      key: text,
      run: text,
      generation: whole,
      status: oneOf(['idle', 'busy', 'parked', 'ended']),
      mailbox: whole,
      handled: whole,
      state: {},
      updatedAt: instant,
    },
    { state: true },
  ),
  MessageAnswer: shape<MessageAnswer>({ id: text, outcome: oneOf(['accepted', 'already']) }, {}),
  AgentReply: shape<AgentReply>(
    {
      state: oneOf(['answered', 'failed', 'pending']),
      value: {},
      error: record({ class: text, code: text, message: text }, ['class', 'code', 'message']),
    },
    { value: true, error: true },
  ),
  QueuePage: page('QueueView'),
  WorkerPage: page('WorkerView'),
  EndpointPage: page('EndpointView'),
  WebhookPage: page('WebhookView'),
  WebhookDeliveryPage: page('WebhookDelivery'),
  ReplayPage: page('ReplayAnswer'),
  ModelPage: page('ModelView'),
  ModelEventPage: page('TopicEventView'),
  LimitPage: page('LimitView'),
  KeyPage: page('KeyView'),
  AccessEventPage: page('AccessEventView'),
  ManifestPage: page('Manifest'),
} as const satisfies Record<string, JsonSchema>;

export type SchemaName = keyof typeof schemas;
