/** Approvals over the client: the inbox, one request, and what people say of it. */
import type { ApprovalDetail, ApprovalView, CommandAnswer } from '../protocol/http.js';
import { pathOf, type RouteId } from '../protocol/route-paths.js';
import { pageList, type PageList } from './pages.js';
import { command, get, type CallOptions } from './run-handle.js';
import type { Transport } from './transport.js';

/** In whose name something is said. */
export interface Spokesman {
  readonly user: string;
  readonly roles?: readonly string[];
}

/** Options of what people say. */
export interface SayOptions extends CallOptions {
  /** Whose word it is, where the caller passes it on; only for operators. Default: the caller's own. */
  readonly as?: Spokesman;
}

/** Options of `approve`. */
export interface ApproveCallOptions extends SayOptions {
  /** What the form asks for. */
  readonly form?: unknown;
  readonly comment?: string;
}

/** Options of `reject`. */
export interface RejectOptions extends SayOptions {
  readonly comment?: string;
}

/** Which open approvals to list. */
export interface ApprovalListQuery extends CallOptions {
  /** Addresses, `role:<name>` or `user:<name>`; `*` = all. Default: the caller and the caller's roles; all for an operator. */
  readonly to?: string | readonly string[];
  /** Items of a page: 1 to 500, default 50. */
  readonly limit?: number;
}

/** Requests for the word of a person. */
export interface ApprovalsApi {
  /** Open ones, oldest first. */
  list(query?: ApprovalListQuery): PageList<ApprovalView>;
  /** APPROVAL_NOT_FOUND. */
  get(id: string, options?: CallOptions): Promise<ApprovalDetail>;
  /** The first word counts: APPROVAL_SETTLED for a second one. APPROVAL_NOT_ADDRESSED, INPUT_INVALID. */
  approve(id: string, options?: ApproveCallOptions): Promise<CommandAnswer>;
  reject(id: string, options?: RejectOptions): Promise<CommandAnswer>;
  /** Puts the request to others instead. */
  delegate(id: string, to: string | readonly string[], options?: SayOptions): Promise<CommandAnswer>;
  /** Says something without deciding. A lost answer is not asked for again, so that nothing is said twice. */
  comment(id: string, text: string, options?: SayOptions): Promise<CommandAnswer>;
}

/** Makes the surface; asks nothing. */
export function approvalsApi(transport: Transport): ApprovalsApi {
  const say = (
    route: RouteId,
    id: string,
    body: object,
    options: CallOptions,
    repeatable = true,
  ): Promise<CommandAnswer> => transport.json(command(pathOf(route, { id }), body, repeatable, options));
  return {
    list: ({ signal, ...query } = {}) =>
      pageList((cursor) =>
        transport.json(get(pathOf('listApprovals'), signal === undefined ? {} : { signal }, { ...query, cursor })),
      ),
    get: (id, options) => transport.json(get(pathOf('readApproval', { id }), options)),
    approve: (id, { signal, ...body } = {}) => say('approve', id, body, signal === undefined ? {} : { signal }),
    reject: (id, { signal, ...body } = {}) => say('reject', id, body, signal === undefined ? {} : { signal }),
    delegate: (id, to, { signal, ...body } = {}) =>
      say('delegateApproval', id, { ...body, to: [to].flat() }, signal === undefined ? {} : { signal }),
    comment: (id, text, { signal, ...body } = {}) =>
      say('commentApproval', id, { ...body, text }, signal === undefined ? {} : { signal }, false),
  };
}
