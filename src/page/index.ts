/**
 * `eventspine/page`: runs in the user's page, for any framework or none.
 */
export { createPage, type Page, type PageOptions, type PageStartOptions } from './create-page.js';
export {
  type ApprovalLike,
  type ApprovalSnapshot,
  type ApprovalWatch,
  type InboxQuery,
  type InboxSnapshot,
  type InboxWatch,
  noApproval,
  emptyInbox,
  type PageApproval,
  type PageApprovalDetail,
  type PageApproveOptions,
  type PageRejectOptions,
  unheardApproval,
} from './approvals.js';
export { type Attention, documentAttention } from './attention.js';
export { type EventLog, noEvents } from './event-log.js';
export { noStream, type StreamLog, streamOf } from './stream-log.js';
export type { PageStorage, Remembered } from './remembered.js';
export type { RunLike, RunRef } from './run-ref.js';
export { noRun, type PageLink, type PageStep, type RunSnapshot, unheard } from './run-snapshot.js';
export type { RunWatch } from './run-watch.js';
