/**
 * What a caller must be allowed for each route, as data. The server asks it before the handler runs (`server/access/gate.ts`); a
 * route that is not here does not compile.
 *
 * Invariant: null stands only where the access of the route is public or a role, which needs no permission beside it.
 */
import type { AccessAction, AccessKind } from '../core/access/permission.js';
import type { RouteId } from './route-paths.js';

/** Things that a path names by an id, and whose workflow or topic is looked up to decide. */
export type NeededThing = 'run' | 'approval' | 'deadLetter' | 'redrive' | 'subscription' | 'deadEvent';

/** What a route needs: one of these actions on the thing that the request is about. */
export interface RouteNeeds {
  readonly action: AccessAction | readonly AccessAction[];
  readonly kind: AccessKind;
  /**
   * Segment of the path that says which: the name itself, or the id of `of`. Absent: the request is about several, and its
   * handler leaves out what the caller may not have; the route is refused only to those who have the action on no name.
   */
  readonly segment?: string;
  /**
   * The segment is the id of such a thing; the name is the workflow or topic that it belongs to. Forbidden ids answer as
   * absent ones.
   */
  readonly of?: NeededThing;
  /** Without a segment: this will do as well. */
  readonly or?: Pick<RouteNeeds, 'action' | 'kind'>;
  /** The route changes nothing although it is no GET, so that whoever only reads may use it. */
  readonly reads?: true;
}

type TopicAction = AccessAction<'topic'>;
type WorkflowAction = AccessAction<'workflow'>;

const topic = (action: TopicAction | readonly TopicAction[], segment = 'topic'): RouteNeeds => ({
  action,
  kind: 'topic',
  segment,
});
const run = (action: WorkflowAction): RouteNeeds => ({ action, kind: 'workflow', segment: 'id', of: 'run' });
const runs = (action: WorkflowAction): RouteNeeds => ({ action, kind: 'workflow' });
const letter = (action: WorkflowAction): RouteNeeds => ({
  action,
  kind: 'workflow',
  segment: 'id',
  of: 'deadLetter',
});
const redrive = (action: WorkflowAction): RouteNeeds => ({ action, kind: 'workflow', segment: 'id', of: 'redrive' });
const approval = (action: AccessAction<'approval'>): RouteNeeds => ({
  action,
  kind: 'approval',
  segment: 'id',
  of: 'approval',
});
const agent = (action: AccessAction<'agent'> | readonly AccessAction<'agent'>[]): RouteNeeds => ({
  action,
  kind: 'agent',
  segment: 'agent',
});
const subscription = (action: TopicAction | readonly TopicAction[]): RouteNeeds => ({
  action,
  kind: 'topic',
  segment: 'name',
  of: 'subscription',
});
const deadEvent: RouteNeeds = { action: 'manage', kind: 'topic', segment: 'id', of: 'deadEvent' };
const schedule = (action: AccessAction<'schedule'>): RouteNeeds => ({ action, kind: 'schedule', segment: 'name' });

const webhook = (action: AccessAction<'webhook'>): RouteNeeds => ({ action, kind: 'webhook', segment: 'name' });

/** What each route needs. */
export const routeNeeds = {
  startRun: { action: 'start', kind: 'workflow', segment: 'name' },
  startRuns: { action: 'start', kind: 'workflow', segment: 'name' },
  publishEvents: topic('publish'),
  listTopics: { action: ['subscribe', 'replay', 'publish', 'write', 'manage'], kind: 'topic' },
  readTopic: topic('replay'),
  streamTopic: topic('subscribe'),
  createTopicToken: topic('subscribe'),
  readTopicWriter: topic(['subscribe', 'publish', 'write']),
  takeOverTopic: topic('write'),
  listSources: topic(['subscribe', 'publish', 'manage']),
  listRuns: runs('read'),
  readRun: run('read'),
  readHistory: run('read'),
  readDecisions: run('read'),
  exportRun: run('read'),
  readResult: run('read'),
  streamRun: run('read'),
  createReadToken: run('read'),
  cancelRun: run('cancel'),
  retryRun: run('cancel'),
  signalRun: run('signal'),
  listApprovals: { action: ['read', 'decide'], kind: 'approval' },
  readApproval: { ...approval('read'), action: ['read', 'decide'] },
  approve: approval('decide'),
  reject: approval('decide'),
  delegateApproval: approval('decide'),
  commentApproval: approval('decide'),
  listAgents: agent('read'),
  readAgent: agent('read'),
  tellAgent: agent('tell'),
  readAnswer: agent(['tell', 'read']),
  cancelRuns: runs('cancel'),
  retryRuns: runs('cancel'),
  migrateRun: run('cancel'),
  migrateRuns: runs('cancel'),
  listDeadLetters: runs('read'),
  readDeadLetter: letter('read'),
  redriveDeadLetter: letter('cancel'),
  discardDeadLetter: letter('cancel'),
  editDeadLetter: letter('cancel'),
  correctDeadLetter: letter('cancel'),
  countDeadLetters: { ...runs('read'), reads: true },
  beginRedrive: runs('cancel'),
  listRedrives: runs('read'),
  readRedrive: redrive('read'),
  cancelRedrive: redrive('cancel'),
  listSubscriptions: { action: ['subscribe', 'manage'], kind: 'topic' },
  readSubscription: subscription(['subscribe', 'manage']),
  // A new one belongs to no topic yet: its handler asks for the topic in the body.
  putSubscription: { action: 'manage', kind: 'topic' },
  deleteSubscription: subscription('manage'),
  receiveWebhook: null,
  listWebhookSources: { action: ['read', 'manage'], kind: 'webhook' },
  readWebhookSource: { ...webhook('read'), action: ['read', 'manage'] },
  putWebhookSource: webhook('manage'),
  deleteWebhookSource: webhook('manage'),
  addWebhookSecret: null,
  deleteWebhookSecret: null,
  pullEvents: subscription('subscribe'),
  ackEvents: subscription('subscribe'),
  nackEvents: subscription('subscribe'),
  renewEvents: subscription('subscribe'),
  leaveSubscription: subscription('subscribe'),
  pauseSubscription: subscription('manage'),
  resumeSubscription: subscription('manage'),
  seekSubscription: subscription('replay'),
  replaySubscription: subscription('replay'),
  listBridges: null,
  seekBridge: null,
  listDeadEvents: { action: 'manage', kind: 'topic' },
  readDeadEvent: deadEvent,
  redriveDeadEvent: deadEvent,
  discardDeadEvent: deadEvent,
  listSchedules: { action: 'read', kind: 'schedule' },
  readSchedule: schedule('read'),
  putSchedule: schedule('manage'),
  pauseSchedule: schedule('manage'),
  resumeSchedule: schedule('manage'),
  triggerSchedule: schedule('manage'),
  deleteSchedule: schedule('manage'),
  readFleet: null,
  listQueues: null,
  readScale: null,
  metrics: null,
  listWorkers: null,
  readGraph: { action: ['read', 'start'], kind: 'workflow', segment: 'name' },
  listDefinitions: { action: ['read', 'start'], kind: 'workflow' },
  deploy: null,
  doctor: null,
  live: null,
  ready: null,
  openApi: null,
  asyncApi: { action: ['subscribe', 'publish'], kind: 'topic' },
  // The name of a blob is the hash of its bytes: whoever knows it has had the value, or was shown where it is.
  putBlob: { action: ['start', 'signal'], kind: 'workflow', or: { action: 'publish', kind: 'topic' } },
  readBlob: { action: 'read', kind: 'workflow', or: { action: ['subscribe', 'replay'], kind: 'topic' } },
  workerSocket: null,
  // Each of its streams is asked for as by its own route.
  liveSocket: null,
  listModels: null,
  readModel: null,
  changeModel: null,
  reportModel: null,
  readModelEvents: null,
  reportOutcome: run('signal'),
  readCache: null,
  clearCache: null,
  readTriage: null,
  changeTriage: null,
  readTools: null,
  putToolOrder: null,
  dropToolOrder: null,
  listLimits: null,
  readLimit: null,
  putLimit: null,
  resetLimit: null,
  listWebhooks: { action: 'read', kind: 'webhook' },
  readWebhook: webhook('read'),
  putWebhook: webhook('manage'),
  deleteWebhook: webhook('manage'),
  readWebhookSecrets: webhook('manage'),
  rotateWebhook: webhook('manage'),
  disableWebhook: webhook('manage'),
  enableWebhook: webhook('manage'),
  pingWebhook: webhook('manage'),
  listWebhookDeliveries: webhook('read'),
  redriveWebhook: webhook('manage'),
  replayWebhook: webhook('manage'),
  readNotifySecret: runs('start'),
  listEndpoints: null,
  putEndpoint: null,
  deleteEndpoint: null,
  readEndpointSecret: null,
  listKeys: null,
  createKey: null,
  readKey: null,
  rotateKey: null,
  revokeKey: null,
  listAccessEvents: null,
  workerSchema: null,
  claimTasks: null,
  extendTasks: null,
  completeTasks: null,
  endWorker: null,
} as const satisfies Record<RouteId, RouteNeeds | null>;
