/**
 * Where things are: the paths of the HTTP API by the name of the route, and the names of headers. Apart from the table
 * that describes the routes (`routes.ts`), because this part is what clients need, and what goes into users' pages.
 *
 * Invariant: a route that has no path here does not compile, and neither does a path without a route.
 */
import { workerPath } from './worker.js';

/** Names of request headers of our own and of drafts, in one place. */
export const headerNames = {
  /** draft-ietf-httpapi-idempotency-key-header: a structured-field string; a bare value is accepted too. */
  idempotencyKey: 'idempotency-key',
  /** RFC 7240: `wait=N` seconds, `respond-async`. */
  prefer: 'prefer',
  preferenceApplied: 'preference-applied',
  requestId: 'x-request-id',
  traceparent: 'traceparent',
  lastEventId: 'last-event-id',
} as const;

/** Under the base path of the server; `{name}` stands for one percent-encoded segment. */
export const routePaths = {
  startRun: '/v1/workflows/{name}/runs',
  startRuns: '/v1/workflows/{name}/runs:batch',
  publishEvents: '/v1/topics/{topic}/events',
  listTopics: '/v1/topics',
  readTopic: '/v1/topics/{topic}/events',
  listRuns: '/v1/runs',
  readRun: '/v1/runs/{id}',
  readHistory: '/v1/runs/{id}/history',
  readDecisions: '/v1/runs/{id}/decisions',
  exportRun: '/v1/runs/{id}/export',
  readResult: '/v1/runs/{id}/result',
  streamRun: '/v1/runs/{id}/stream',
  createReadToken: '/v1/runs/{id}/tokens',
  cancelRun: '/v1/runs/{id}/cancel',
  retryRun: '/v1/runs/{id}/retry',
  signalRun: '/v1/runs/{id}/signals/{name}',
  listApprovals: '/v1/approvals',
  readApproval: '/v1/approvals/{id}',
  approve: '/v1/approvals/{id}/approve',
  reject: '/v1/approvals/{id}/reject',
  delegateApproval: '/v1/approvals/{id}/delegate',
  commentApproval: '/v1/approvals/{id}/comments',
  listAgents: '/v1/agents/{agent}',
  readAgent: '/v1/agents/{agent}/{key}',
  tellAgent: '/v1/agents/{agent}/{key}/messages/{type}',
  readAnswer: '/v1/agents/{agent}/{key}/answers/{id}',
  cancelRuns: '/v1/runs:cancel',
  retryRuns: '/v1/runs:retry',
  migrateRun: '/v1/runs/{id}/migrate',
  migrateRuns: '/v1/runs:migrate',
  listDeadLetters: '/v1/dead-letters',
  readDeadLetter: '/v1/dead-letters/{id}',
  redriveDeadLetter: '/v1/dead-letters/{id}/redrive',
  discardDeadLetter: '/v1/dead-letters/{id}',
  editDeadLetter: '/v1/dead-letters/{id}/edit',
  correctDeadLetter: '/v1/dead-letters/{id}/correct',
  countDeadLetters: '/v1/dead-letters:count',
  beginRedrive: '/v1/redrives',
  listRedrives: '/v1/redrives',
  readRedrive: '/v1/redrives/{id}',
  cancelRedrive: '/v1/redrives/{id}/cancel',
  listBridges: '/v1/bridges',
  seekBridge: '/v1/bridges/{name}/seek',
  listDeadEvents: '/v1/dead-events',
  readDeadEvent: '/v1/dead-events/{id}',
  redriveDeadEvent: '/v1/dead-events/{id}/redrive',
  discardDeadEvent: '/v1/dead-events/{id}',
  listSchedules: '/v1/schedules',
  readSchedule: '/v1/schedules/{name}',
  putSchedule: '/v1/schedules/{name}',
  pauseSchedule: '/v1/schedules/{name}/pause',
  resumeSchedule: '/v1/schedules/{name}/resume',
  triggerSchedule: '/v1/schedules/{name}/trigger',
  deleteSchedule: '/v1/schedules/{name}',
  pauseSubscription: '/v1/subscriptions/{name}/pause',
  resumeSubscription: '/v1/subscriptions/{name}/resume',
  seekSubscription: '/v1/subscriptions/{name}/seek',
  replaySubscription: '/v1/subscriptions/{name}/replay',
  readFleet: '/v1/fleet',
  listQueues: '/v1/queues',
  readScale: '/v1/queues/scale',
  metrics: '/metrics',
  listWorkers: '/v1/workers',
  readGraph: '/v1/workflows/{name}/graph',
  listDefinitions: '/v1/definitions',
  deploy: '/v1/definitions',
  doctor: '/v1/doctor',
  live: '/health/live',
  ready: '/health/ready',
  openApi: '/openapi.json',
  putBlob: '/v1/blobs/{tenant}/{hash}',
  readBlob: '/v1/blobs/{tenant}/{hash}',
  workerSocket: workerPath,
  listModels: '/v1/models',
  readModel: '/v1/models/{name}',
  changeModel: '/v1/models/{name}',
  reportModel: '/v1/models/{name}/report',
  readModelEvents: '/v1/model-events',
  reportOutcome: '/v1/runs/{id}/outcomes',
  readCache: '/v1/cache',
  clearCache: '/v1/cache',
  readTriage: '/v1/triage',
  changeTriage: '/v1/triage',
  listLimits: '/v1/limits',
  readLimit: '/v1/limits/{name}',
  putLimit: '/v1/limits/{name}',
  resetLimit: '/v1/limits/{name}',
  listEndpoints: '/v1/endpoints',
  putEndpoint: '/v1/endpoints/{app}',
  deleteEndpoint: '/v1/endpoints/{app}',
  readEndpointSecret: '/v1/endpoints/{app}/secret',
  workerSchema: `${workerPath}/schema`,
  claimTasks: `${workerPath}/claim`,
  extendTasks: `${workerPath}/extend`,
  completeTasks: `${workerPath}/complete`,
  endWorker: `${workerPath}/end`,
} as const;

/** The name of a route, which is its operation id in OpenAPI. */
export type RouteId = keyof typeof routePaths;

/** Fills the segments of a route's path. */
export function pathOf(id: RouteId, segments: Readonly<Record<string, string>> = {}): string {
  return routePaths[id].replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(segments[name] ?? ''));
}
