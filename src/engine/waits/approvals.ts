/**
 * Approvals as people see them: the inbox of those who are asked, one request with all that was said about it, and the
 * words that settle it. Everything is in the log of the run; the inbox is an index of what is open.
 */
import { jsonOf, payloadOfJson } from '../../core/codec.js';
import { SpineError } from '../../core/errors.js';
import { isoOf } from '../../core/instant.js';
import { limits } from '../../core/limits.js';
import { isBlobPayload, type Payload } from '../../core/payload.js';
import type { ReviewCommand } from '../../core/run/commands.js';
import type { RunEvent } from '../../core/run/events.js';
import { foldRun, isEnded, type RunState } from '../../core/run/state.js';
import { everybody, inboxSpace, type InboxValue, type Person, type WaitUnit } from '../../core/run/waits.js';
import type { ApprovalDetail, ApprovalNote, ApprovalState, ApprovalView, PageView } from '../../protocol/http.js';
import type { EntryRow } from '../../store/contract.js';
import type { ApprovalQuery, CommandOutcome, Origin, Say } from '../api.js';
import type { EngineContext } from '../context.js';
import { readRunEvent, type StoredRunEvent } from '../events/rows.js';
import { Checks } from '../intake/checks.js';
import { runKey } from '../runs/committed.js';
import type { JobOutcome, Lanes } from '../runs/lanes.js';

/** An approval is named by its run and the event that has opened it. */
export function approvalId(run: string, opened: number): string {
  return `${run}.${opened}`;
}

function parseId(id: string): { readonly run: string; readonly opened: number } | null {
  const found = /^(.+)\.(\d{1,9})$/.exec(id);
  return found === null ? null : { run: found[1] ?? '', opened: Number(found[2]) };
}

export class Approvals {
  readonly #context: EngineContext;
  readonly #lanes: Lanes;
  readonly #checks = new Checks();

  constructor(context: EngineContext, lanes: Lanes) {
    this.#context = context;
    this.#lanes = lanes;
  }

  /** Open approvals, oldest first. */
  async list(tenant: string, query: ApprovalQuery): Promise<PageView<ApprovalView>> {
    const limit = Math.min(query.limit ?? limits.pageItemsDefault, limits.pageItemsMax);
    const keys = query.to ?? [everybody];
    const pages = await Promise.all(keys.map((key) => this.#entries(tenant, key, query.cursor ?? '', limit)));
    // One that is put to several of them is there once.
    const found = new Map(pages.flat().map((entry) => [entry.ref, entry]));
    const entries = [...found.values()].sort((a, b) => (a.ref < b.ref ? -1 : 1));
    const items = entries.slice(0, limit);
    const isAll = entries.length === items.length && pages.every((page) => page.length < limit);
    return { items: items.map(viewOfEntry), next: isAll ? null : (items.at(-1)?.ref ?? null) };
  }

  #entries(tenant: string, key: string, after: string, limit: number): Promise<EntryRow[]> {
    return this.#context.store.readEntries({ tenant, space: inboxSpace, key, after: { key, ref: after }, limit });
  }

  /** Null = there is no such approval. */
  async read(tenant: string, id: string): Promise<ApprovalDetail | null> {
    const found = await this.#find(tenant, id);
    if (found === null) return null;
    const { state, opened, path, unit, events } = found;
    const request = (await this.#plain(tenant, opened.payload)) as Request | undefined;
    const notes: ApprovalNote[] = [];
    for (const { event } of events) {
      const note = await this.#noteOf(tenant, path, opened, event);
      if (note !== null) notes.push(note);
    }
    const { on } = opened.data;
    const decided = notes.find(({ what }) => what === 'approved' || what === 'rejected');
    return {
      id,
      run: state.run,
      workflow: state.workflow,
      path,
      title: on.kind === 'approval' ? on.title : path,
      to: unit?.to ?? (on.kind === 'approval' ? on.to : []),
      requestedAt: isoOf(opened.at),
      expiresAt: opened.data.expiresAt === null ? null : isoOf(opened.data.expiresAt),
      state: stateOf(state, unit),
      by: decided?.by ?? null,
      show: request?.show ?? null,
      form: request?.form ?? null,
      notes,
    };
  }

  /** Says something of an approval in the name of a person. */
  async say(origin: Origin, id: string, person: Person, say: Say): Promise<CommandOutcome> {
    const { tenant } = origin;
    try {
      const found = await this.#find(tenant, id);
      if (found === null) throw new SpineError('APPROVAL_NOT_FOUND', { id });
      const command = await this.#commandOf(tenant, found, person, say);
      const outcome = await this.#lanes.submit({
        key: runKey(tenant, found.state.run),
        tenant,
        run: found.state.run,
        commands: [command],
        actor: origin.actor,
        worker: '',
        lease: null,
      });
      return outcomeOf(id, person, outcome);
    } catch (error) {
      return { tag: 'error', error: error instanceof Error ? error : new Error(String(error)) };
    }
  }

  async #commandOf(tenant: string, found: Found, by: Person, say: Say): Promise<ReviewCommand> {
    const { path, opened } = found;
    const base = { path, opened: opened.seq, by };
    switch (say.what) {
      case 'approve': {
        const request = (await this.#plain(tenant, opened.payload)) as Request | undefined;
        this.#checkForm(path, request?.form ?? null, say.form);
        const comment = say.comment ?? null;
        const answer = payloadOfJson(say.form === undefined ? { comment } : { form: say.form, comment });
        return { ...base, op: 'review', outcome: 'approved', answer };
      }
      case 'reject':
        return { ...base, op: 'review', outcome: 'rejected', answer: payloadOfJson({ comment: say.comment ?? null }) };
      case 'delegate':
        return { ...base, op: 'delegate', to: say.to };
      case 'comment':
        return { ...base, op: 'comment', text: payloadOfJson(say.text) };
    }
  }

  /** @throws INPUT_INVALID */
  #checkForm(path: string, schema: Request['form'], form: unknown): void {
    if (schema === null) return;
    const faults = this.#checks.compile(schema)(form);
    if (faults.length > 0) throw new SpineError('INPUT_INVALID', { name: path, faults });
  }

  /** The approval out of the log of its run. */
  async #find(tenant: string, id: string): Promise<Found | null> {
    const key = parseId(id);
    if (key === null) return null;
    const { run, opened: seq } = key;
    const [rows = []] = await this.#context.store.readHistories([{ tenant, run }]);
    const events = rows.map(readRunEvent);
    const opened = events[seq - 1]?.event;
    if (opened?.type !== 'wait.opened' || opened.data.on.kind !== 'approval') return null;
    const state = foldRun(
      tenant,
      run,
      events.map(({ event }) => event),
    );
    const { path } = opened.data;
    const unit = state.units.get(path);
    return { state, opened, path, unit: unit?.kind === 'wait' && unit.opened === seq ? unit : null, events };
  }

  async #noteOf(tenant: string, path: string, opened: Opened, event: RunEvent): Promise<ApprovalNote | null> {
    if (event.seq < opened.seq || !('path' in event.data) || event.data.path !== path) return null;
    const at = isoOf(event.at);
    switch (event.type) {
      case 'wait.opened':
        return {
          at,
          what: 'requested',
          by: null,
          ...(opened.data.on.kind === 'approval' && { to: opened.data.on.to }),
        };
      case 'approval.delegated':
        return { at, what: 'delegated', by: event.data.by, to: event.data.to };
      case 'approval.escalated':
        return { at, what: 'escalated', by: null, to: event.data.to };
      case 'approval.commented':
        return { at, what: 'commented', by: event.data.by, text: String(await this.#plain(tenant, event.payload)) };
      case 'wait.satisfied': {
        const { by } = event.data;
        if (by.kind !== 'approval') return null;
        const answer = (await this.#plain(tenant, event.payload)) as
          | { readonly form?: unknown; readonly comment?: string | null }
          | undefined;
        const text = answer?.comment ?? null;
        return {
          at,
          what: by.outcome,
          by: by.by,
          ...(text === null ? {} : { text }),
          ...(answer?.form === undefined ? {} : { form: answer.form }),
        };
      }
      case 'wait.expired':
        return { at, what: 'expired', by: null };
      case 'wait.cancelled':
        return { at, what: 'cancelled', by: null };
      default:
        return null;
    }
  }

  async #plain(tenant: string, payload: Payload | undefined): Promise<unknown> {
    if (payload === undefined) return undefined;
    if (!isBlobPayload(payload)) return jsonOf(payload);
    if (payload.size > limits.payloadBytesMax) return undefined;
    const bytes = await this.#context.store.readBlob(tenant, payload.blob);
    return bytes === null ? undefined : jsonOf({ codec: payload.codec, text: new TextDecoder().decode(bytes) });
  }
}

type Opened = Extract<RunEvent, { readonly type: 'wait.opened' }>;

interface Found {
  readonly state: RunState;
  readonly opened: Opened;
  readonly path: string;
  /** Null where the run was sent back to work since and has asked anew. */
  readonly unit: WaitUnit | null;
  readonly events: readonly StoredRunEvent[];
}

interface Request {
  readonly show: unknown;
  readonly form: Readonly<Record<string, unknown>> | null;
}

function stateOf(state: RunState, unit: WaitUnit | null): ApprovalState {
  if (unit?.by?.kind === 'approval') return unit.by.outcome;
  if (unit?.status === 'expired') return 'expired';
  return unit?.status === 'open' && !isEnded(state.status) ? 'open' : 'cancelled';
}

function viewOfEntry({ run, value }: EntryRow): ApprovalView {
  const { opened, path, workflow, title, to, openedAt, expiresAt } = JSON.parse(value) as InboxValue;
  return {
    id: approvalId(run, opened),
    run,
    workflow,
    path,
    title,
    to,
    requestedAt: isoOf(openedAt),
    expiresAt: expiresAt === null ? null : isoOf(expiresAt),
    state: 'open',
  };
}

function outcomeOf(id: string, person: Person, outcome: JobOutcome): CommandOutcome {
  switch (outcome.tag) {
    case 'applied':
      return { tag: 'done' };
    case 'already':
      return { tag: 'already' };
    case 'error':
      return { tag: 'error', error: outcome.error };
    case 'refused': {
      const error =
        outcome.reason === 'not_addressed'
          ? new SpineError('APPROVAL_NOT_ADDRESSED', { id, by: person.name })
          : outcome.reason === 'not_found'
            ? new SpineError('APPROVAL_NOT_FOUND', { id })
            : new SpineError('APPROVAL_SETTLED', { id });
      return { tag: 'error', error };
    }
  }
}
