/**
 * Followers of runs: each is handed the events of one run in `seq` order, without gap or repetition, from where it
 * wants to begin. What is being committed comes from memory, made into its view once for all followers; what lies
 * further back is read from the store, a page at a time.
 */
import { SpineError } from '../../core/errors.js';
import { isEnded } from '../../core/run/state.js';
import type { RunEventView, RunViewState } from '../../protocol/http.js';
import type { RunStreamHandlers } from '../api.js';
import type { EngineContext } from '../context.js';
import { readRunEvent } from '../events/rows.js';
import { runKey, type CommittedChange } from './committed.js';
import { eventView, storedEventView } from './event-view.js';
import type { PlainValue } from './lanes.js';

interface Follower {
  readonly tenant: string;
  readonly run: string;
  readonly handlers: RunStreamHandlers;
  seen: number;
  /** Reading older events; what is committed meanwhile is read too. */
  catchingUp: boolean;
  /** Something was committed since the last read of the store. */
  behind: boolean;
  stopped: boolean;
}

/** The state to show while a run has not ended; ended states come from the events themselves. */
export type ShownState = (tenant: string, run: string) => Promise<RunViewState | null>;

const pageEvents = 200;

/** `after` of who wants no event and only to hear of the end. */
export const waitsForEnd = Number.MAX_SAFE_INTEGER - 1;

export class Followers {
  readonly #context: EngineContext;
  readonly #plain: PlainValue;
  readonly #shownState: ShownState;
  readonly #byRun = new Map<string, Set<Follower>>();

  constructor(context: EngineContext, plain: PlainValue, shownState: ShownState) {
    this.#context = context;
    this.#plain = plain;
    this.#shownState = shownState;
  }

  /** Number of followers of all runs. */
  get size(): number {
    let size = 0;
    for (const followers of this.#byRun.values()) size += followers.size;
    return size;
  }

  /** Resolves to what stops following, or null where there is no such run. */
  async follow(tenant: string, run: string, after: number, handlers: RunStreamHandlers): Promise<(() => void) | null> {
    const follower: Follower = { tenant, run, handlers, seen: after, catchingUp: true, behind: false, stopped: false };
    this.#add(follower);
    const state = await this.#shownState(tenant, run);
    if (state === null) {
      this.#remove(follower);
      return null;
    }
    this.#catchUp(follower).catch((error: unknown) => this.#fail(follower, error));
    return () => this.#remove(follower);
  }

  committed(change: CommittedChange): void {
    const followers = this.#byRun.get(change.key);
    const [first] = change.events;
    if (followers === undefined || first === undefined) return;
    const lastSeq = change.events.at(-1)?.seq ?? 0;
    const state = liveState(change);
    // Several submissions may share the commit that ends the run; the last of them brings the end.
    const ends = isEnded(change.state.status) && isEndType(change.events.at(-1)?.type);
    // Made when the first follower wants them, and then shared.
    let views: readonly RunEventView[] | null = null;
    for (const follower of [...followers]) {
      follower.behind = true;
      if (follower.catchingUp) continue;
      if (first.seq === follower.seen + 1 && change.actor !== null) {
        const { actor } = change;
        views ??= change.events.map((event) => eventView(event, change.run, actor, this.#plain));
        this.#hand(follower, views, state, ends);
      } else if (lastSeq > follower.seen) {
        this.#catchUp(follower).catch((error: unknown) => this.#fail(follower, error));
      } else if (ends) {
        // Somebody who waits for the end only.
        this.#finish(follower, state);
      }
    }
  }

  /** Another server has written event `seq` of the run: who has not seen it reads it from the store. */
  moved(key: string, seq: number): void {
    for (const follower of this.#byRun.get(key) ?? []) {
      if (follower.seen >= seq && follower.seen < waitsForEnd) continue;
      follower.behind = true;
      if (!follower.catchingUp) this.#catchUp(follower).catch((error: unknown) => this.#fail(follower, error));
    }
  }

  stop(): void {
    for (const followers of this.#byRun.values()) for (const follower of followers) follower.stopped = true;
    this.#byRun.clear();
  }

  async #catchUp(follower: Follower): Promise<void> {
    const { tenant, run } = follower;
    follower.catchingUp = true;
    /** The run had ended before the rows of this round were read, so that they are the last. */
    let hadEnded = follower.seen >= waitsForEnd;
    for (;;) {
      follower.behind = false;
      const rows = await this.#context.store.readEvents({
        tenant,
        stream: run,
        after: follower.seen,
        limit: pageEvents,
      });
      if (follower.stopped) return;
      const state = await this.#shownState(tenant, run);
      if (follower.stopped) return;
      if (state === null) return this.#fail(follower, new SpineError('RUN_NOT_FOUND', { run }));
      const [first] = rows;
      if (first !== undefined) {
        if (first.seq > follower.seen + 1) {
          follower.handlers.onGap(follower.seen + 1, first.seq - 1);
          follower.seen = first.seq - 1;
        }
        const views = rows.map((row) => storedEventView(readRunEvent(row), this.#plain));
        const complete = rows.length < pageEvents && !follower.behind;
        this.#hand(follower, views, state, complete && isEndState(state) && isEndType(rows.at(-1)?.type));
        if (follower.stopped) return;
        // The state that came after them is older or newer than what was handed: a neighbour may not have told yet.
        if (isEndType(rows.at(-1)?.type) !== isEndState(state)) follower.behind = true;
      } else if (isEndState(state) && !follower.behind) {
        if (hadEnded) return this.#finish(follower, state);
        follower.behind = true;
      }
      hadEnded ||= isEndState(state);
      if (rows.length < pageEvents && !follower.behind) {
        follower.catchingUp = false;
        return;
      }
    }
  }

  #hand(follower: Follower, views: readonly RunEventView[], state: RunViewState, last: boolean): void {
    const wants = follower.handlers.onEvents(views, state);
    follower.seen = views.at(-1)?.seq ?? follower.seen;
    if (!wants) this.#remove(follower);
    else if (last) this.#finish(follower, state);
  }

  #finish(follower: Follower, state: RunViewState): void {
    if (follower.stopped) return;
    this.#remove(follower);
    follower.handlers.onEnd(state);
  }

  #fail(follower: Follower, error: unknown): void {
    if (follower.stopped) return;
    this.#remove(follower);
    follower.handlers.onError(error instanceof Error ? error : new Error(String(error)));
  }

  #add(follower: Follower): void {
    const key = runKey(follower.tenant, follower.run);
    const followers = this.#byRun.get(key);
    if (followers === undefined) this.#byRun.set(key, new Set([follower]));
    else followers.add(follower);
  }

  #remove(follower: Follower): void {
    follower.stopped = true;
    const key = runKey(follower.tenant, follower.run);
    const followers = this.#byRun.get(key);
    followers?.delete(follower);
    if (followers?.size === 0) this.#byRun.delete(key);
  }
}

function isEndState(state: RunViewState): boolean {
  return endStates.has(state);
}

function isEndType(type: string | undefined): boolean {
  return type !== undefined && endTypes.has(type);
}

const endStates: ReadonlySet<RunViewState> = new Set([
  'succeeded',
  'failed',
  'cancelled',
  'refused',
  'continued',
] as const);
const endTypes: ReadonlySet<string> = new Set([
  'run.succeeded',
  'run.failed',
  'run.cancelled',
  'run.refused',
  'run.continued',
]);

/** Without a look into the queue: whoever has just committed for an open activation is at work. */
function liveState(change: CommittedChange): RunViewState {
  const { state } = change;
  if (isEnded(state.status)) return state.status as RunViewState;
  if (state.cancel !== null) return 'cancelling';
  if (state.status === 'waiting') return 'waiting';
  return change.task === null && state.head <= state.born ? 'queued' : 'running';
}
