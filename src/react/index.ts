/**
 * `eventspine/react`: hooks that start work from a page and show it live. React 18.2 or newer is a peer.
 */
export {
  createHooks,
  type Deciding,
  type Hooks,
  type ReactHooks,
  type Starting,
  type UseStartOptions,
} from './create-hooks.js';
export type {
  ApprovalLike,
  ApprovalSnapshot,
  EventLog,
  InboxQuery,
  InboxSnapshot,
  Page,
  PageApproval,
  PageApprovalDetail,
  PageApproveOptions,
  PageLink,
  PageOptions,
  PageRejectOptions,
  PageStartOptions,
  PageStep,
  RunLike,
  RunRef,
  RunSnapshot,
  StreamLog,
} from '../page/index.js';
