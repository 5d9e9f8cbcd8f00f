/**
 * `eventspine`: the programming model, and the spine that runs an app inside of another program. Stores that need a
 * driver have entries of their own (`eventspine/sqlite`).
 */
export {
  approvalRequested,
  Cancelled,
  capability,
  defineApp,
  isCancelled,
  isStepError,
  isTerminal,
  isTransient,
  signal,
  StepError,
  Terminal,
  topic,
  Transient,
  workflow,
} from '../workflow/index.js';
export type {
  Address,
  AnyApp,
  AnyWorkflow,
  App,
  AppOptions,
  ApprovalRequested,
  ApproveOptions,
  CallOptionsOf,
  CancelCause,
  Capability,
  CapabilityOptions,
  Ctx,
  DefinedCapability,
  EmitOptions,
  FormOf,
  Handler,
  HandlerContext,
  InputOf,
  Log,
  LogLevel,
  LogRecord,
  MapOptions,
  MatchOf,
  OutputOf,
  RaceBranches,
  RaceResult,
  Received,
  RetryOptions,
  Review,
  RunInfo,
  SelectorOf,
  Signal,
  SignalOptions,
  StartedOptions,
  StepContext,
  StepOptions,
  Topic,
  TopicDataOf,
  TopicNameOf,
  TopicOptions,
  TransientOptions,
  TriggeredOptions,
  WaitForOptions,
  WaitForSignalOptions,
  Workflow,
  WorkflowNameOf,
  WorkflowOptions,
} from '../workflow/index.js';
export { hasCode, isSpineError, SpineError, type ErrorCode, type ErrorKind } from '../core/errors.js';
export type { Duration } from '../core/duration.js';
export type { StandardSchema } from '../core/standard-schema.js';
export type {
  Client,
  CloudEvent,
  PageList,
  Published,
  PublishOptions,
  RunHandle,
  RunStreamItem,
  StartManyOutcome,
  StartOptions,
} from '../client/index.js';
export type { StoreFactory } from '../store/factory.js';
export type {
  CallerTransaction,
  DrizzleTransaction,
  KyselyTransaction,
  PrismaTransaction,
  SqlTransaction,
} from '../store/caller-transaction.js';
export {
  createSpine,
  type Spine,
  type SpineOptions,
  type SpineWorkerOptions,
  type WithinTransaction,
} from './create-spine.js';
export { memory } from './memory.js';
