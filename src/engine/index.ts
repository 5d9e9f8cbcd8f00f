export { createEngine, type EngineOptions } from './engine.js';
export { type BridgeSetup } from './bridges/bridges.js';
export type { EngineLog, EngineLogRecord, EngineSettings } from './context.js';
export type {
  CommandOutcome,
  Engine,
  Origin,
  PublishOutcome,
  PublishRequest,
  RunFilter,
  RunResult,
  RunStreamHandlers,
  StartOutcome,
  StartRequest,
  WorkerChannel,
  WorkerLine,
} from './api.js';
