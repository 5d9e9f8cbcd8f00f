/**
 * The programming model and its runtime: definitions as values, `ctx`, and activations that workers begin.
 */
export { agent } from './agent.js';
export type {
  Agent,
  AgentHandler,
  AgentHandlers,
  AgentMessage,
  AgentOnError,
  AgentOptions,
  AgentRef,
  AgentSelf,
  AskOptions,
  EscalatedMessage,
  TellOptions,
} from './agent.js';
export type {
  Ai,
  AiAnswer,
  AiModel,
  AiModelOptions,
  AiOptions,
  AiStreamed,
  AiToolCall,
  AiTool,
  AiToolOptions,
  AiTools,
  AiToolsOf,
  AiUsage,
  Told,
} from './ai/ai-options.js';
export { approvalRequested } from './approval.js';
export type { Address, ApprovalRequested, ApproveOptions, FormOf, Review } from './approval.js';
export { beginActivation } from './activation.js';
export type {
  Activation,
  ActivationEnd,
  ActivationHost,
  ActivationInput,
  ActivationOnlooker,
  BeginActivation,
  StepCall,
} from './activation-contract.js';
export { defineApp, findHandler, findModel, findWorkflow, isApp, versionsOf } from './app.js';
export type {
  AgentNameOf,
  AgentOf,
  AnyApp,
  App,
  AppOptions,
  InputOf,
  OutputOf,
  TopicDataOf,
  TopicNameOf,
  WorkflowNameOf,
} from './app.js';
export { Cancelled, isCancelled } from './cancelled.js';
export type { CancelCause } from './cancelled.js';
export type { BatchContext, BatchOptions } from './call-batch.js';
export { capability } from './capability.js';
export type { Capability, CapabilityOptions, DefinedCapability, Handler, HandlerContext } from './capability.js';
export type { LimitOptions } from '../core/admission/limit-options.js';
export { limit } from './limit.js';
export type { Limit } from './limit.js';
export type {
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
  SettledMapOptions,
  StartOptionsOf,
  StepContext,
  StepOptions,
  Undo,
} from './ctx.js';
export { dag } from './dag.js';
export type { Dag, DagOptions } from './dag.js';
export type { DagMap, DagNode, DagNodes, DagOutcome, DagWork } from './dag-types.js';
export { makeLog } from './log.js';
export type { Log, LogLevel, LogRecord } from './log.js';
export { model } from './model.js';
export type { Model, ModelOptions, ModelVersion, ModelVersionOptions, PriceOptions, ShadowOptions } from './model.js';
export type { ModelCall, ModelCallNow, ModelEndpoint, ModelMessage } from './infer/model-endpoint.js';
export type { AnySchema } from './infer/answer-schema.js';
export { prompt } from './prompt.js';
export type {
  AnyPrompt,
  FilledPrompt,
  Prompt,
  PromptOptions,
  PromptText,
  PromptVars,
  PromptVersionEntry,
  PromptVersions,
} from './prompt.js';
export type { CacheOptions } from './infer/cache-options.js';
export { cached, person, rule } from './infer/fallback.js';
export type { Cached, CachedOptions, Fallback, Person, PersonOptions, Rule, RuleRequest } from './infer/fallback.js';
export type { Compact, CompactReason, CompactRequest } from './infer/compact.js';
export { untrusted } from '../core/tools/taint.js';
export type { ArgumentLimit, ToolQuota, ToolWord } from '../core/tools/policy.js';
export type { ToolApprovalOptions } from '../core/tools/read-policy.js';
export type { ToolRuleSaid as ToolRuleOptions, ToolsOptions } from './tool-options.js';
export { tool } from './infer/tool.js';
export type { AnyTool, CapabilityToolOptions, Tool, ToolContext, ToolInput, ToolOptions } from './infer/tool.js';
export type { InferOptions, InferResult, PromptMessage, PromptPart } from './infer/infer-options.js';
export type { ToolCall } from './infer/model-answer.js';
export type { ShownValues } from '../core/manifest.js';
export { manifestHash } from './manifest-of.js';
export { embedding } from './embedding.js';
export type { Embedding, EmbeddingEndpoint, EmbeddingOptions } from './embedding.js';
export { mcpTools } from './mcp.js';
export type { McpAiClient, McpClient, McpOptions, McpSdkClient, McpToolOptions, McpTools } from './mcp.js';
export { message } from './message.js';
export type {
  AnyMessage,
  Message,
  MessageAnswer,
  MessageData,
  MessageIn,
  MessageOptions,
  MessageReply,
} from './message.js';
export type { Remedy, RemedyChoice, RemedyPolicy, TakenRemedy } from '../core/remedies.js';
export type { RetryOptions } from './retry-options.js';
export { signal } from './signal.js';
export type { Signal, SignalOptions } from './signal.js';
export { schedule } from './schedule.js';
export type { Schedule, ScheduleDefinition } from './schedule.js';
export type { SelectorOf } from './selector.js';
export { isStepError, StepError } from './step-error.js';
export type { StreamWriter } from './stream-writer.js';
export { isTerminal, isTransient, Terminal, Transient } from './thrown.js';
export type { TransientOptions } from './thrown.js';
export { subscription } from './subscription.js';
export type { Subscription, SubscriptionDefinition } from './subscription.js';
export { webhook } from './webhook.js';
export type { Webhook, WebhookDefinition } from './webhook.js';
export { tagged } from './tagged.js';
export type { AnnotatedSchema, TagsByPath } from './tagged.js';
export { topic } from './topic.js';
export type { Topic, TopicOptions, UnknownFields, VersionedTopicOptions } from './topic.js';
export { fromJsonSchema } from './from-json-schema.js';
export { upcast } from './topic-versions.js';
export type { CompatibilityOption, SchemaVersion, VersionedTopic, VersionsOption } from './topic-versions.js';
export type { MatchOf, Received, WaitForOptions, WaitForSignalOptions } from './wait-for.js';
export { workflow } from './workflow.js';
export type { AnyWorkflow, StartedOptions, TriggeredOptions, Workflow, WorkflowOptions } from './workflow.js';
