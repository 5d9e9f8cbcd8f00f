/**
 * Approvals in a page: the inbox of its user, and one request with what the user says of it. Who may see and decide is the
 * server's to say, at each request, by the session of the page or by a token that was made for it.
 *
 * Invariant: what is shown is what the server has said last; a word of the user changes it by being recorded there.
 */
import type { ApprovalDetail, ApprovalsApi, ApprovalView, CallOptions } from '../client/index.js';
import { hasCode } from '../core/catalogue-error.js';
import { Reading, type Read, type ReadingSettings } from './reading.js';

/** A request as it is listed, with the names of the app's workflows. */
export interface PageApproval<Name extends string = string> extends Omit<ApprovalView, 'workflow'> {
  readonly workflow: Name;
}

/** A request with what the person is to look at. `Show` is the type of what the body shows, which its code says. */
export interface PageApprovalDetail<Name extends string = string, Show = unknown>
  extends Omit<ApprovalDetail, 'workflow' | 'show'> {
  readonly workflow: Name;
  readonly show: Show;
}

/** The inbox as a page shows it; `phase` says what there is. */
export interface InboxSnapshot<Name extends string = string> {
  /** `loading`: nothing is known yet. `unavailable`: it cannot be read, `error` says why. */
  readonly phase: 'loading' | 'ready' | 'unavailable';
  /** Open ones, oldest first. */
  readonly approvals: readonly PageApproval<Name>[];
  /** There are more than are listed. */
  readonly hasMore: boolean;
  /** Why the last reading has failed; null = it has not. While `ready` the list is as it was before. */
  readonly error: Error | null;
}

/** One request as a page shows it; `phase` says what there is. */
export type ApprovalSnapshot<Name extends string = string, Show = unknown> =
  /** None is named. */
  | { readonly phase: 'none'; readonly approval: null; readonly error: null }
  /** Nothing is known yet. */
  | { readonly phase: 'loading'; readonly approval: null; readonly error: null }
  /** It can be decided. `error`: why the last reading has failed; null = it has not. */
  | { readonly phase: 'open'; readonly approval: PageApprovalDetail<Name, Show>; readonly error: Error | null }
  /** It was decided, or nobody waits for it any more: `approval.state` says which, `approval.by` who. */
  | { readonly phase: 'settled'; readonly approval: PageApprovalDetail<Name, Show>; readonly error: Error | null }
  /** No such request, or none that is put to this user. */
  | { readonly phase: 'unavailable'; readonly approval: null; readonly error: Error };

/** A request by its id, or with a token that decides it (`readToken({ decides: true })`) where the page has no session. */
export type ApprovalLike = string | { readonly approval: string; readonly token?: string };

/** Which open approvals an inbox holds. */
export interface InboxQuery {
  /** Of the user's own addresses, these alone: `role:editor`. Default: all that are put to the user or the user's roles. */
  readonly to?: string | readonly string[];
  /** At most so many, 1 to 500. Default 50. */
  readonly limit?: number;
}

/** Options of `approve`. */
export interface PageApproveOptions<Form = unknown> extends CallOptions {
  /** What the form asks for. */
  readonly form?: Form;
  readonly comment?: string;
}

/** Options of `reject`. */
export interface PageRejectOptions extends CallOptions {
  readonly comment?: string;
}

/** The inbox before anything is known of it; always the same one. */
export const emptyInbox: InboxSnapshot<never> = { phase: 'loading', approvals: [], hasMore: false, error: null };

/** Of no request; always the same one. */
export const noApproval: ApprovalSnapshot<never, never> = { phase: 'none', approval: null, error: null };

/** Of one that nothing is known of yet; always the same one. */
export const unheardApproval: ApprovalSnapshot<never, never> = { phase: 'loading', approval: null, error: null };

/** The open approvals of a page's user, as they are now. */
export class InboxWatch<Name extends string = string> {
  readonly #reading: Reading<{ readonly items: readonly ApprovalView[]; readonly next: string | null }>;
  #from: unknown = null;
  #snapshot: InboxSnapshot<Name> = emptyInbox;

  constructor(api: ApprovalsApi, query: InboxQuery, settings: ReadingSettings) {
    this.#reading = new Reading((signal) => api.list({ ...query, signal }).page(), settings);
  }

  /** The inbox as it is known now; the same object until something changes. */
  readonly get = (): InboxSnapshot<Name> => {
    const read = this.#reading.get();
    if (read !== this.#from) {
      this.#from = read;
      const { value, error } = read;
      this.#snapshot = {
        phase: value !== null ? 'ready' : error === null ? 'loading' : 'unavailable',
        // The names are those of the app whose type was given, as everywhere.
        approvals: (value?.items ?? []) as readonly PageApproval<Name>[],
        hasMore: (value?.next ?? null) !== null,
        error,
      };
      if (value === null && error === null) this.#snapshot = emptyInbox;
    }
    return this.#snapshot;
  };

  /** Calls `listener` after each change, and keeps reading meanwhile. Returns what ends that. */
  readonly subscribe = (listener: () => void): (() => void) => this.#reading.subscribe(listener);

  /** Reads it now, as it does by itself every few seconds. */
  readonly refresh = (): Promise<void> => this.#reading.refresh();

  /** Reads it now if somebody looks at it. */
  readonly look = (): void => {
    if (this.#reading.isWatched) void this.#reading.refresh();
  };
}

/** One approval, as it is now, and the user's word on it. */
export class ApprovalWatch<Name extends string = string, Form = unknown, Show = unknown> {
  readonly id: string;
  readonly #api: ApprovalsApi;
  readonly #reading: Reading<ApprovalDetail>;
  readonly #said: () => void;
  #from: unknown = null;
  #snapshot: ApprovalSnapshot<Name, Show> = unheardApproval;

  /** `said` is called when something was said, since inboxes change by that. */
  constructor(id: string, api: ApprovalsApi, settings: ReadingSettings, said: () => void) {
    this.id = id;
    this.#api = api;
    this.#said = said;
    this.#reading = new Reading(
      (signal) => api.get(id, { signal }),
      settings,
      ({ state }) => state !== 'open',
    );
  }

  /** The request as it is known now; the same object until something changes. */
  readonly get = (): ApprovalSnapshot<Name, Show> => {
    const read = this.#reading.get();
    if (read !== this.#from) {
      this.#from = read;
      this.#snapshot = approvalSnapshot(read);
    }
    return this.#snapshot;
  };

  /** Calls `listener` after each change, and keeps reading until it is settled. Returns what ends that. */
  readonly subscribe = (listener: () => void): (() => void) => this.#reading.subscribe(listener);

  /** Reads it now. */
  readonly refresh = (): Promise<void> => this.#reading.refresh();

  /**
   * Approves; resolves when that is recorded and shown. Rejects with INPUT_INVALID where the form does not fit (`problem.faults`
   * says how), APPROVAL_NOT_ADDRESSED, and APPROVAL_SETTLED where somebody was first.
   */
  readonly approve = (options: PageApproveOptions<Form> = {}): Promise<void> =>
    this.#say(() => this.#api.approve(this.id, options));

  /** Rejects; resolves when that is recorded and shown. Fails as `approve` does. */
  readonly reject = (options: PageRejectOptions = {}): Promise<void> =>
    this.#say(() => this.#api.reject(this.id, options));

  /** Says something without deciding. */
  readonly comment = (text: string, options: CallOptions = {}): Promise<void> =>
    this.#say(() => this.#api.comment(this.id, text, options));

  async #say(word: () => Promise<unknown>): Promise<void> {
    try {
      await word();
    } catch (error) {
      // Somebody was first: the page shows who.
      if (hasCode(error, 'APPROVAL_SETTLED')) await this.refresh();
      throw error;
    }
    this.#said();
    await this.refresh();
  }
}

function approvalSnapshot<Name extends string, Show>({
  value,
  error,
}: Read<ApprovalDetail>): ApprovalSnapshot<Name, Show> {
  if (value !== null) {
    const approval = value as unknown as PageApprovalDetail<Name, Show>;
    return value.state === 'open' ? { phase: 'open', approval, error } : { phase: 'settled', approval, error };
  }
  return error === null ? unheardApproval : { phase: 'unavailable', approval: null, error };
}
