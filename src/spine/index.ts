/**
 * `eventspine`: the programming model, and the spine that runs an app inside of another program. Stores that need a
 * driver have entries of their own (`eventspine/sqlite`).
 */
export {
  Cancelled,
  capability,
  defineApp,
  isCancelled,
  isStepError,
  isTerminal,
  isTransient,
  StepError,
  Terminal,
  topic,
  Transient,
  workflow,
} from '../workflow/index.js';
export type {
  AnyApp,
  AnyWorkflow,
  App,
  AppOptions,
  CallOptionsOf,
  CancelCause,
  Capability,
  CapabilityOptions,
  Ctx,
  DefinedCapability,
  EmitOptions,
  Handler,
  HandlerContext,
  InputOf,
  Log,
  LogLevel,
  LogRecord,
  MapOptions,
  OutputOf,
  RaceBranches,
  RaceResult,
  RetryOptions,
  RunInfo,
  SelectorOf,
  StartedOptions,
  StepContext,
  StepOptions,
  Topic,
  TopicDataOf,
  TopicNameOf,
  TopicOptions,
  TransientOptions,
  TriggeredOptions,
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
  ReadTokenOptions,
  ReadTokenView,
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
  type Acting,
  type Mountable,
  type PagesOptions,
  type Spine,
  type SpineOptions,
  type SpineWorkerOptions,
  type WithinTransaction,
} from './create-spine.js';
export { memory } from './memory.js';
