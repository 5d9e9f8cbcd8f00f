/**
 * `eventspine/client`: start work, publish events and follow runs over HTTP, from a browser or a server.
 */
export {
  createClient,
  createClientOver,
  type Client,
  type DeadEventListQuery,
  type BridgesApi,
  type DeadEventsApi,
  type DeadLetterListQuery,
  type DeadLettersApi,
  type RedrivesApi,
  type DeployOptions,
  type EndpointsApi,
  type ModelOrder,
  type ModelsApi,
  type CacheApi,
  type TriageApi,
  type TriageOrder,
  type LimitsApi,
  type ToolsApi,
  type EndpointSettings,
  type FleetQuery,
  type Published,
  type PublishOptions,
  type RunListQuery,
  type RunMomentOptions,
  type RunsApi,
  type ScaleQuery,
  type StartManyItem,
  type StartManyOutcome,
  type StartOptions,
  type TopicQuery,
  type TopicTokenOptions,
  type TopicsApi,
} from './client.js';
export { type ClientOptions, streamSettings } from './client-options.js';
export type {
  AgentFor,
  AgentHandle,
  AnswerFor,
  AskCallOptions,
  MessageDataFor,
  MessageFor,
  TellCallOptions,
} from './agents.js';
export type {
  ApprovalListQuery,
  ApprovalsApi,
  ApproveCallOptions,
  RejectOptions,
  SayOptions,
  Spokesman,
} from './approvals.js';
export type { AccessApi, AccessLogOptions } from './access.js';
export type { InputFor, ResultFor, TopicDataFor, TopicFor, UntypedApp, WorkflowFor } from './app-types.js';
export type { CloudEvent, Gateway, StartItem, StartItemAnswer, WaitedAnswer } from './gateway.js';
export { httpGateway, isOutcome } from './http-gateway.js';
export type { JsonOf } from './json-of.js';
export { createLive, type Live, type LiveOptions, type LiveWebSocket } from './live.js';
export { type Backoff, type Pace, systemPace } from './pace.js';
export { randomId } from './random-id.js';
export type { PageList } from './pages.js';
export { isRemoteError, RemoteError } from './remote-error.js';
export type { ChunkOptions, StreamItem } from './run-chunks.js';
export type {
  CallOptions,
  CancelOptions,
  ReadTokenOptions,
  RunHandle,
  SendableSignal,
  SignalSendOptions,
} from './run-handle.js';
export type { KeyOptions, KeysApi, RotateOptions } from './keys.js';
export type {
  PauseOptions,
  ScheduleListQuery,
  ScheduleRequest,
  SchedulesApi,
  TriggerOptions,
} from './schedules.js';
export type { WebhookDeliveryQuery, WebhookReplayOptions, WebhookRotateOptions, WebhooksApi } from './webhooks.js';
export {
  Nack,
  type ConsumedEvent,
  type ConsumeOptions,
  type ConsumersApi,
  type NackOptions,
  type PullOptions,
} from './consumers.js';
export type { ReplayOptions, SeekOptions, SubscriptionRequest, SubscriptionsApi } from './subscriptions.js';
export type { SubscriptionOptions } from '../core/topics/subscription-options.js';
export type { AddSecretOptions, WebhookSourceRequest, WebhookSourcesApi } from './webhook-sources.js';
export type { WebhookMap } from '../core/webhooks/mapping.js';
export type {
  GithubScheme,
  HmacScheme,
  HttpSignatureScheme,
  StandardScheme,
  StripeOrSlackScheme,
  WebhookScheme,
} from '../core/webhooks/scheme.js';
export type { WebhookOptions } from '../core/webhooks/source.js';
export type {
  WebhookAnswer,
  WebhookSecretView,
  WebhookSeen,
  WebhookSourceFacts,
  WebhookSourceView,
} from '../protocol/http.js';
export type {
  AckAnswer,
  ApprovalDetail,
  ApprovalNote,
  ApprovalState,
  ApprovalView,
  BridgeSeekRequest,
  BridgeState,
  BridgeView,
  DeadEventDetail,
  DeadEventView,
  DeadLetterCount,
  DeadLetterDetail,
  DeadLetterFilter,
  DeadLetterView,
  CacheModelView,
  CacheView,
  ConsumerView,
  DecisionView,
  EventPosition,
  NackAnswer,
  PullAnswer,
  PulledEvent,
  PulledGap,
  RenewAnswer,
  SubscriptionDetail,
  SubscriptionPartitionView,
  SubscriptionView,
  FleetGap,
  FleetLag,
  FleetSampleView,
  FleetView,
  ReadTokenView,
  RedriveRequest,
  RedriveView,
  ReplayAnswer,
  SeekAnswer,
  RunEventView,
  RunView,
  RunViewState,
  TrailItem,
} from '../protocol/http.js';
export type { TopicFollowOptions, TopicStreamItem } from './topic-stream.js';
export type { RunStreamItem, StreamOptions, StreamSettings } from './run-stream.js';
export { createTransport, type Transport, type TransportOptions } from './transport.js';
export { hasCode, isSpineError } from '../core/catalogue-error.js';
