/**
 * Workers: processes, or a part of one, that run the bodies and handlers of an app for a server.
 */
export { createWorker, type WorkerServer, type WorkerSettings } from './create-worker.js';
export {
  createInProcessTransport,
  type InProcessChannel,
  type InProcessLine,
  type InProcessServer,
} from './in-process-transport.js';
export { replayHistory, shadowHistory } from './replay-history.js';
export { SharedPulse } from './shared-pulse.js';
export type { BlobAddress, Heart, HeartOptions, WorkerConnection, WorkerTransport } from './transport.js';
export { createWebSocketTransport, type WebSocketTransportOptions } from './web-socket-transport.js';
export type { WorkerLogRecord } from './worker-log.js';
export { logToStderr, runWorker, workerExitCodes } from './worker-process.js';
export type { Worker, WorkerState, WorkerStats } from './worker.js';
export type { ReplayChange, ReplayLevel, ReplayReport } from '../workflow/replay/replay-report.js';
export type { ShadowReport, ShadowUnit } from '../workflow/replay/shadow-replay.js';
export { exportedHistoryFormat, readExportedHistory, type ExportedHistory } from '../core/run/exported-history.js';
