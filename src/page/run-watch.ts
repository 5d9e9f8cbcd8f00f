/**
 * Watches one run for a page: reads what the server knows, follows the stream from there, and goes on over lost
 * connections, restarts of the server, tokens that end, and a page that is hidden for a while. It has one value at any
 * time and tells when it changes, which is the shape that every framework of views can use.
 *
 * It is at work while somebody listens and a moment longer, so that a view that is taken away and put back at once
 * (React does that in its strict mode, routers between pages) keeps its connection.
 *
 * Its events are kept once somebody has asked for them; the connection then begins at the first one. Whoever looks at the
 * run in whatever way shares it.
 *
 * Invariant: at most one connection at a time; once the run has ended the value does not change any more.
 */
import {
  hasCode,
  isRemoteError,
  type Backoff,
  type Pace,
  type RunHandle,
  type RunStreamItem,
  type RunView,
} from '../client/index.js';
import { createPageClient } from '../client/page-client.js';
import type { Attention } from './attention.js';
import { type EventLog, noEvents, withEvents } from './event-log.js';
import type { RunRef } from './run-ref.js';
import { type PageLink, type PendingRun, type RunSnapshot, unheard, withItem, withView } from './run-snapshot.js';

/** What a watch needs of the page around it. */
export interface WatchSettings {
  readonly url: () => string;
  readonly fetch: typeof globalThis.fetch | undefined;
  readonly pace: Pace;
  readonly attention: Attention;
  /** A page that is hidden for so long lets go of its connection, ms. */
  readonly hiddenMs: number;
  /** Pauses between tries; it never gives up while the page is looked at. */
  readonly reconnect: Omit<Backoff, 'attempts'>;
  readonly streamIdleMs: number;
  /** A new token of the run, by the session of the page. */
  readonly renew: (run: string, signal: AbortSignal) => Promise<RunRef>;
  /** Events kept for `events`, once they are asked for. */
  readonly eventsMax: number;
}

/** How long a watch goes on without listeners, ms. */
const lingerMs = 1_000;

/** After so long a line counts as good, and the next failure as the first, ms. */
const steadyMs = 5_000;

/** A run that a page follows, as it is now: state, events and streams. */
export class RunWatch<Output = unknown> {
  readonly #settings: WatchSettings;
  readonly #listeners = new Set<() => void>();
  #ref: RunRef;
  #snapshot: RunSnapshot<Output>;
  #events: EventLog = noEvents;
  /** Ends what is under way; null = nothing is. */
  #work: AbortController | null = null;
  #cancelLinger: (() => void) | null = null;
  /** Wakes whoever pauses or waits for the page to be looked at. */
  #wake: (() => void) | null = null;
  #cursor: string | null = null;
  /** Up to this `seq` the snapshot has taken in what has happened, by the view or event by event. */
  #seen = 0;
  #keepsEvents = false;
  /** Whether what is under way, or was, began at the first event. */
  #isFromFirst = false;
  /** Everything has been read, up to the end of the run. */
  #isRead = false;
  /** Ends the connection, for another one. */
  #cut: (() => void) | null = null;
  /** Connections in a row that came to nothing. */
  #failures = 0;
  /** False after a renewal, until the new token was seen to work. */
  #mayRenew = true;

  constructor(ref: RunRef, settings: WatchSettings) {
    this.#ref = ref;
    this.#settings = settings;
    this.#snapshot = unheard(ref.run);
  }

  /** The run, with its token as of now. */
  get ref(): RunRef {
    return this.#ref;
  }

  /** The run as it is known now; the same object until something changes. */
  readonly get = (): RunSnapshot<Output> => this.#snapshot;

  /** What has happened, from the first event, where somebody has asked for it (`keepEvents`). */
  readonly events = (): EventLog => this.#events;

  /** Has events kept, from the first; they are read when the watch is next listened to. Twice is once. */
  keepEvents(): this {
    this.#keepsEvents = true;
    return this;
  }

  /** Calls `listener` after each change, and keeps the watch at work. Returns what ends that. */
  readonly subscribe = (listener: () => void): (() => void) => {
    // The same function may be given twice, and each time stands for itself.
    const own = (): void => listener();
    this.#listeners.add(own);
    this.#cancelLinger?.();
    this.#cancelLinger = null;
    if (this.#work === null && !this.#isOver()) this.#begin();
    // Who came before wanted to know no more than where the run is.
    else if (this.#work !== null && this.#keepsEvents && !this.#isFromFirst) this.#cut?.();
    return () => {
      if (!this.#listeners.delete(own) || this.#listeners.size > 0) return;
      this.#cancelLinger = this.#settings.pace.after(lingerMs, () => this.#stop());
    };
  };

  /** Resolves with the run when it has ended or cannot be watched, and keeps the watch at work until then. */
  ended(signal?: AbortSignal): Promise<RunSnapshot<Output>> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (this.#snapshot.phase === 'pending') return;
        leave();
        resolve(this.#snapshot);
      };
      const onAbort = (): void => {
        leave();
        reject(signal?.reason as Error);
      };
      const leave = (): void => {
        unsubscribe();
        signal?.removeEventListener('abort', onAbort);
      };
      const unsubscribe = this.subscribe(look);
      signal?.addEventListener('abort', onAbort, { once: true });
      if (signal?.aborted === true) onAbort();
      else look();
    });
  }

  /** Takes over a token that is newer than the one at hand. */
  use(ref: RunRef): void {
    if (ref.token === undefined || ref.token === this.#ref.token) return;
    this.#ref = ref;
    if (this.#snapshot.phase !== 'unavailable') return;
    this.#set({ ...unheard(ref.run), state: this.#snapshot.state });
    if (this.#listeners.size > 0) this.#begin();
  }

  #isOver(): boolean {
    const { phase } = this.#snapshot;
    return phase === 'unavailable' || (phase !== 'pending' && (this.#isRead || !this.#keepsEvents));
  }

  #begin(): void {
    const work = new AbortController();
    this.#work = work;
    const endAttention = this.#settings.attention.onChange(() => this.#wake?.());
    this.#follow(work.signal)
      .catch((error: unknown) => {
        if (work.signal.aborted || this.#snapshot.phase !== 'pending') return;
        const { state, progress, steps, run } = this.#snapshot as PendingRun;
        this.#set({ phase: 'unavailable', run, state, progress, steps, link: 'off', error: asError(error) });
      })
      .finally(() => {
        endAttention();
        if (this.#work === work) this.#work = null;
      });
  }

  #stop(): void {
    this.#work?.abort();
    this.#work = null;
    if (this.#snapshot.phase === 'pending') this.#link('off');
  }

  /** Until the run has ended. Rejects with what no further try can mend. */
  async #follow(signal: AbortSignal): Promise<void> {
    this.#failures = 0;
    while (!signal.aborted) {
      await this.#untilLookedAt(signal);
      this.#link(this.#failures === 0 ? 'connecting' : 'reconnecting');
      const connection = this.#connection(signal);
      let isPauseDue = true;
      try {
        if (await this.#connect(connection.signal)) return;
      } catch (error) {
        signal.throwIfAborted();
        // Where the page was hidden, that is no fault of the line.
        isPauseDue = !connection.signal.aborted && !(await this.#mended(error, signal));
      } finally {
        connection.end();
      }
      if (!isPauseDue) continue;
      this.#failures += 1;
      this.#link('reconnecting');
      await this.#pause(this.#failures, signal);
    }
  }

  /** One connection. True = the run has ended and everything is known of it. */
  async #connect(signal: AbortSignal): Promise<boolean> {
    const handle = await this.#handle(signal);
    if (this.#keepsEvents && !this.#isFromFirst) this.#cursor = null;
    if (this.#cursor === null) {
      const view = await handle.status({ signal });
      this.#takeView(view);
      this.#events = noEvents;
      // Who wants the events reads them from the first; others begin where the run is now.
      this.#isFromFirst = this.#keepsEvents;
      if (!this.#isFromFirst) {
        this.#cursor = view.cursor;
        if (view.endedAt !== null) return await this.#end(handle, signal);
      }
    }
    for await (const item of handle.stream({ signal, ...(this.#cursor === null ? {} : { cursor: this.#cursor }) })) {
      this.#mayRenew = true;
      this.#link('live');
      if (item.event === 'event') this.#failures = 0;
      if (item.cursor !== null) this.#cursor = item.cursor;
      this.#take(item);
      if (item.event === 'gap') this.#takeView(await handle.status({ signal }));
      if (item.event === 'end') return await this.#end(handle, signal);
    }
    signal.throwIfAborted();
    // The stream had nothing more after our cursor: the run has ended, and we had read its end before we were cut off.
    return await this.#end(handle, signal);
  }

  /** What the view has said already is not played through once more. */
  #take(item: RunStreamItem): void {
    if (item.event === 'event') {
      this.#log([item.data]);
      if (item.data.seq <= this.#seen) return;
      this.#seen = item.data.seq;
    }
    this.#pending((snapshot) => withItem(snapshot, item));
  }

  #takeView(view: RunView): void {
    this.#seen = view.events;
    this.#pending((snapshot) => withView(snapshot, view));
  }

  /** Fetches what came of the run. False = it goes on after all: somebody has sent it back to work. */
  async #end(handle: RunHandle, signal: AbortSignal): Promise<boolean> {
    if (this.#snapshot.phase !== 'pending') {
      this.#isRead = this.#isFromFirst;
      return true;
    }
    const view = await handle.status({ signal });
    if (view.endedAt === null) return false;
    this.#takeView(view);
    this.#isRead = this.#isFromFirst;
    const { run, state, progress, steps } = this.#snapshot as PendingRun;
    const common = { run, state, progress, steps, link: 'off' as const };
    try {
      this.#set({ ...common, phase: 'succeeded', result: (await handle.result({ signal })) as Output });
    } catch (error) {
      if (!isOutcome(error)) throw error;
      this.#set({ ...common, phase: 'failed', error: asError(error) });
    }
    return true;
  }

  /** A handle that tries everything once: what comes after a failure is decided here, where the page is known. */
  async #handle(signal: AbortSignal): Promise<RunHandle> {
    const { url, fetch, pace, streamIdleMs, renew } = this.#settings;
    if (this.#ref.token === undefined) this.#ref = await renew(this.#ref.run, signal);
    const { run, token = '' } = this.#ref;
    const once = { attempts: 1, minMs: 0, maxMs: 0 };
    return createPageClient({
      url: url(),
      token,
      pace,
      streamIdleMs,
      retry: once,
      reconnect: once,
      ...(fetch === undefined ? {} : { fetch }),
    }).run(run);
  }

  /** True = what stood in the way is gone; false = it may pass. Rejects with what neither time nor we can mend. */
  async #mended(error: unknown, signal: AbortSignal): Promise<boolean> {
    if (isPassing(error)) return false;
    if (hasCode(error, 'CURSOR_INVALID') && this.#cursor !== null) {
      // After a pause, since a server that refuses what it has just given would be asked without end.
      this.#cursor = null;
      return false;
    }
    const atFault = hasCode(error, 'READ_TOKEN_EXPIRED') || hasCode(error, 'READ_TOKEN_INVALID');
    if (!atFault || !this.#mayRenew) throw error;
    try {
      this.#ref = await this.#settings.renew(this.#ref.run, signal);
      this.#mayRenew = false;
      return true;
    } catch (refusal) {
      if (isPassing(refusal)) return false;
      // That the token is of no use says more than that the page has no session to get another one with.
      throw error;
    }
  }

  /** A signal that ends with the watch, or when the page has been hidden for long enough. */
  #connection(outer: AbortSignal): { readonly signal: AbortSignal; end(): void } {
    const { attention, pace, hiddenMs } = this.#settings;
    const controller = new AbortController();
    const abort = (): void => controller.abort(new DOMException('The page is not looked at.', 'AbortError'));
    let cancelHide: (() => void) | null = null;
    // A line that has held for a while is a good one, though nothing has happened on it.
    const cancelSteady = pace.after(steadyMs, () => {
      if (this.#snapshot.link === 'live') this.#failures = 0;
    });
    const look = (): void => {
      if (!attention.isHidden()) {
        cancelHide?.();
        cancelHide = null;
      } else cancelHide ??= pace.after(hiddenMs, abort);
    };
    this.#wake = look;
    this.#cut = abort;
    outer.addEventListener('abort', abort, { once: true });
    look();
    return {
      signal: controller.signal,
      end: () => {
        cancelHide?.();
        cancelSteady();
        this.#wake = null;
        this.#cut = null;
        outer.removeEventListener('abort', abort);
        // Whatever the connection left open is let go of.
        controller.abort();
      },
    };
  }

  /** Waits while the page is hidden, unless it only just became so. */
  async #untilLookedAt(signal: AbortSignal): Promise<void> {
    const { attention } = this.#settings;
    if (!attention.isHidden() || this.#snapshot.link === 'off') return;
    this.#link('paused');
    await new Promise<void>((resolve, reject) => {
      const onAbort = (): void => {
        this.#wake = null;
        reject(signal.reason as Error);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#wake = () => {
        if (attention.isHidden()) return;
        this.#wake = null;
        signal.removeEventListener('abort', onAbort);
        resolve();
      };
    });
  }

  /** The pause before another try; over at once when the page is shown, or gets its network back. */
  async #pause(failures: number, signal: AbortSignal): Promise<void> {
    const { pace, reconnect } = this.#settings;
    const ceilingMs = Math.min(reconnect.maxMs, reconnect.minMs * 2 ** Math.min(failures - 1, 16));
    const early = new AbortController();
    const wake = (): void => early.abort();
    this.#wake = wake;
    signal.addEventListener('abort', wake, { once: true });
    // Half of it is by chance, so that the pages of a server that comes back do not come back in one instant.
    await pace.sleep(ceilingMs * (0.5 + pace.random() / 2), early.signal).catch(() => undefined);
    this.#wake = null;
    signal.removeEventListener('abort', wake);
    signal.throwIfAborted();
  }

  #log(events: Parameters<typeof withEvents>[1]): void {
    if (!this.#isFromFirst) return;
    this.#events = withEvents(this.#events, events, this.#settings.eventsMax);
    this.#tell();
  }

  #link(link: PageLink): void {
    this.#pending((snapshot) => (snapshot.link === link ? snapshot : { ...snapshot, link }));
  }

  /** Changes a snapshot that is not final. */
  #pending(change: (snapshot: PendingRun) => PendingRun): void {
    const snapshot: RunSnapshot = this.#snapshot;
    if (snapshot.phase !== 'pending') return;
    const changed = change(snapshot);
    if (changed !== snapshot) this.#set(changed);
  }

  #set(snapshot: RunSnapshot<Output>): void {
    this.#snapshot = snapshot;
    this.#tell();
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

/** True for what another try may mend: no answer, a cut stream, a server that is starting or busy. */
export function isPassing(error: unknown): boolean {
  if (isRemoteError(error)) return error.status === 408 || error.status === 429 || error.status >= 500;
  return !(error instanceof SyntaxError);
}

/** True for the codes with which a run, and not the request, has failed. */
function isOutcome(error: unknown): boolean {
  return hasCode(error, 'RUN_FAILED') || hasCode(error, 'RUN_REFUSED') || hasCode(error, 'RUN_CANCELLED');
}

export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
