/**
 * React hooks over `eventspine/page`: each is one subscription to a watch, so that views are drawn when what they show
 * has changed. They begin nothing while a view is rendered, neither on a server nor in a browser, and show the same
 * there and in the first rendering of the page.
 *
 * Invariant: all state is in the watch; a view may be taken away and put back at any time (strict mode, suspense, a
 * router) without a second start or a second connection.
 */
import * as installedReact from 'react';
import type { InputFor, ResultFor, UntypedApp, WorkflowFor } from '../client/index.js';
import {
  type ApprovalLike,
  type ApprovalSnapshot,
  createPage,
  emptyInbox,
  type EventLog,
  type InboxQuery,
  type InboxSnapshot,
  noApproval,
  noEvents,
  noRun,
  type Page,
  type PageOptions,
  type PageApproveOptions,
  type PageRejectOptions,
  type PageStartOptions,
  type RunLike,
  type RunRef,
  type RunSnapshot,
  type RunWatch,
  type StreamLog,
  streamOf,
  unheard,
  unheardApproval,
} from '../page/index.js';

/** Options of `useStart`. */
export interface UseStartOptions {
  /** Name under which the run is found again after a reload of the page. Default: it is not. */
  readonly remember?: string;
}

/** What `useStart` gives. */
export interface Starting<App, Name extends WorkflowFor<App>> {
  /**
   * Starts a run and makes it the one of this view. While one is being started another call gives the same promise, so a
   * double click starts one run. Rejects as `Client.start` does; `error` says the same.
   */
  readonly start: (input: InputFor<App, Name>, options?: Omit<PageStartOptions, 'remember'>) => Promise<RunRef>;
  /** The run of this view: started here, or remembered. Null = none. */
  readonly run: RunRef | null;
  readonly starting: boolean;
  /** Why the last start has failed; null = it has not. */
  readonly error: Error | null;
  /** Forgets the run, for the next one. The run goes on. */
  readonly clear: () => void;
}

/** What `useApproval` gives: the request as it is now, and what the user can say of it. */
export type Deciding<App, Form = unknown, Show = unknown> = ApprovalSnapshot<WorkflowFor<App>, Show> & {
  /** Approves; resolves when that is recorded and shown. While a word is under way another call gives the same promise. */
  readonly approve: (options?: PageApproveOptions<Form>) => Promise<void>;
  /** Rejects, in the same way. */
  readonly reject: (options?: PageRejectOptions) => Promise<void>;
  /** A word is under way. */
  readonly deciding: boolean;
  /** Why the last word was not taken: a form that does not fit, somebody who was first; null = it was. */
  readonly refusal: Error | null;
};

/** Of React, what is used. */
export type ReactHooks = Pick<
  typeof installedReact,
  'useCallback' | 'useEffect' | 'useMemo' | 'useRef' | 'useState' | 'useSyncExternalStore'
>;

/** Hooks with the types of an app. */
export interface Hooks<App> {
  /** Starts runs of a workflow from a view. */
  useStart<Name extends WorkflowFor<App>>(workflow: Name, options?: UseStartOptions): Starting<App, Name>;
  /** A run as it is now: state, steps, progress, and its result or what it failed with. No run: phase `none`. */
  useRun<Name extends WorkflowFor<App>>(
    workflow: Name,
    run: RunLike | null | undefined,
  ): RunSnapshot<ResultFor<App, Name>>;
  /** The last progress report of a run alone; drawn anew when it changes. Undefined until there is one. */
  useProgress(workflow: WorkflowFor<App>, run: RunLike | null | undefined): unknown;
  /** The same, as `read` makes of it, which is where what a body reports gets a type. It must be pure. */
  useProgress<T>(
    workflow: WorkflowFor<App>,
    run: RunLike | null | undefined,
    read: (progress: unknown) => T,
  ): T | undefined;
  /** What has happened in a run, from its first event; the latest of them. */
  useEvents(workflow: WorkflowFor<App>, run: RunLike | null | undefined): EventLog;
  /**
   * What the step or call at `path` has written to its stream so far, and whether more may come: tokens as they are made. Of
   * a stream of more batches than a page keeps events (`eventsMax`), the latest.
   */
  useStream<Chunk = unknown>(
    workflow: WorkflowFor<App>,
    run: RunLike | null | undefined,
    path: string,
  ): StreamLog<Chunk>;
  /** The open approvals that are put to the user of the page, for as long as the view is there. */
  useApprovals(query?: InboxQuery): InboxSnapshot<WorkflowFor<App>>;
  /**
   * One approval, to be shown and decided. `Form` is what its form asks for and `Show` what it shows: the code of the workflow
   * says so. No approval: phase `none`.
   */
  useApproval<Form = unknown, Show = unknown>(approval: ApprovalLike | null | undefined): Deciding<App, Form, Show>;
  /** What the hooks stand on, for code outside of views. */
  readonly page: Page<App>;
}

/**
 * Makes the hooks of an app: `export const { useStart, useRun } = createHooks<App>()` in a module of its own, with `App`
 * by type-only import. Takes the options of a page, or a page. Opens nothing. Fails with OPTIONS_INVALID.
 *
 * `react` is the React of your views (`import * as React from 'react'`). It has to be given where this package stays outside of
 * the bundle and would find another copy, as with `serverExternalPackages` of Next. Default: the one that is installed.
 */
export function createHooks<App = UntypedApp>(
  given: PageOptions | Page<App> = {},
  react: ReactHooks = installedReact,
): Hooks<App> {
  const { useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } = react;
  const page: Page<App> = isPage<App>(given) ? given : createPage<App>(given);

  function useStart<Name extends WorkflowFor<App>>(workflow: Name, options: UseStartOptions = {}): Starting<App, Name> {
    const { remember } = options;
    const [state, setState] = useState<StartState>(idle);
    const pending = useRef<Promise<RunRef> | null>(null);
    const remembered = useSyncExternalStore(
      useCallback(
        (listener) => (remember === undefined ? nobody : page.remembered.subscribe(remember, listener)),
        [remember],
      ),
      () => (remember === undefined ? null : page.remembered.get(remember)),
      () => null,
    );
    const start = useCallback<Starting<App, Name>['start']>(
      (input, startOptions = {}) => {
        if (pending.current !== null) return pending.current;
        setState((before) => ({ ...before, starting: true, error: null }));
        const started = page
          .start(workflow, input, { ...startOptions, ...(remember === undefined ? {} : { remember }) })
          .then(
            (run) => {
              setState({ run, starting: false, error: null });
              return run;
            },
            (error: unknown) => {
              const shown = error instanceof Error ? error : new Error(String(error));
              setState((before) => ({ ...before, starting: false, error: shown }));
              throw shown;
            },
          )
          .finally(() => {
            pending.current = null;
          });
        // Views show `error`; a handler that awaits nothing must not make a failed start an unhandled rejection.
        started.catch(() => undefined);
        pending.current = started;
        return started;
      },
      [workflow, remember],
    );
    useEffect(() => {
      const begun = remember === undefined ? null : page.remembered.begun(remember);
      if (begun === null || begun.workflow !== workflow) return;
      // As it was given before the reload, by the same view.
      void start(begun.input as InputFor<App, Name>, { idempotencyKey: begun.key }).catch(() => undefined);
    }, [start, workflow, remember]);
    const clear = useCallback(() => {
      setState(idle);
      if (remember !== undefined) page.remembered.set(remember, null);
    }, [remember]);
    const run = remember === undefined ? state.run : remembered;
    return { start, run, starting: state.starting, error: state.error, clear };
  }

  /** The watch of a run, made when it is first listened to, which a server that renders never does. */
  function useWatch<Name extends WorkflowFor<App>>(
    workflow: Name,
    run: RunLike | null | undefined,
    kind: 'watch' | 'watchEvents',
  ): Watched<ResultFor<App, Name>> {
    const id = typeof run === 'string' ? run : (run?.run ?? null);
    const token = typeof run === 'string' ? undefined : run?.token;
    return useMemo(() => {
      if (id === null) return { id, watch: null, subscribe: () => nobody };
      let made: RunWatch<ResultFor<App, Name>> | null = null;
      const watch = (): RunWatch<ResultFor<App, Name>> => {
        made ??= page[kind](workflow, token === undefined ? id : { run: id, token });
        return made;
      };
      return { id, watch, subscribe: (listener: () => void) => watch().subscribe(listener) };
    }, [workflow, id, token, kind]);
  }

  function useRun<Name extends WorkflowFor<App>>(
    workflow: Name,
    run: RunLike | null | undefined,
  ): RunSnapshot<ResultFor<App, Name>> {
    const { id, watch, subscribe } = useWatch(workflow, run, 'watch');
    const atFirst = useMemo<RunSnapshot<ResultFor<App, Name>>>(() => (id === null ? noRun : pendingOf(id)), [id]);
    return useSyncExternalStore<RunSnapshot<ResultFor<App, Name>>>(
      subscribe,
      () => watch?.().get() ?? atFirst,
      () => atFirst,
    );
  }

  function useProgress<T>(
    workflow: WorkflowFor<App>,
    run: RunLike | null | undefined,
    read?: (progress: unknown) => T,
  ): unknown {
    const { watch, subscribe } = useWatch(workflow, run, 'watch');
    const progress = useSyncExternalStore(
      subscribe,
      () => watch?.().get().progress,
      () => undefined,
    );
    return progress === undefined || read === undefined ? progress : read(progress);
  }

  function useEvents(workflow: WorkflowFor<App>, run: RunLike | null | undefined): EventLog {
    const { watch, subscribe } = useWatch(workflow, run, 'watchEvents');
    return useSyncExternalStore(
      subscribe,
      () => watch?.().events() ?? noEvents,
      () => noEvents,
    );
  }

  function useStream<Chunk>(
    workflow: WorkflowFor<App>,
    run: RunLike | null | undefined,
    path: string,
  ): StreamLog<Chunk> {
    const log = useEvents(workflow, run);
    // What a step writes has the type that its code gives it, which is for the caller to say.
    return useMemo(() => streamOf(log, path) as StreamLog<Chunk>, [log, path]);
  }

  function useApprovals({ to, limit }: InboxQuery = {}): InboxSnapshot<WorkflowFor<App>> {
    // A list that is written where it is used is another one with each rendering.
    const key = JSON.stringify([to, limit]);
    const watch = useMemo(
      () => page.approvals({ ...(to === undefined ? {} : { to }), ...(limit === undefined ? {} : { limit }) }),
      [key],
    );
    return useSyncExternalStore(watch.subscribe, watch.get, () => emptyInbox);
  }

  function useApproval<Form, Show>(given: ApprovalLike | null | undefined): Deciding<App, Form, Show> {
    const id = typeof given === 'string' ? given : (given?.approval ?? null);
    const token = typeof given === 'string' ? undefined : given?.token;
    const watch = useMemo(
      () => (id === null ? null : page.approval<Form, Show>(token === undefined ? id : { approval: id, token })),
      [id, token],
    );
    const atFirst: ApprovalSnapshot<WorkflowFor<App>, Show> = id === null ? noApproval : unheardApproval;
    const snapshot = useSyncExternalStore<ApprovalSnapshot<WorkflowFor<App>, Show>>(
      watch?.subscribe ?? nobodyListens,
      () => watch?.get() ?? atFirst,
      () => atFirst,
    );
    const [word, setWord] = useState<Word>(unsaid);
    const pending = useRef<Promise<void> | null>(null);
    const say = useCallback(
      (speak: () => Promise<void>): Promise<void> => {
        if (pending.current !== null) return pending.current;
        setWord({ of: id, deciding: true, refusal: null });
        const said = speak()
          .then(
            () => setWord({ of: id, deciding: false, refusal: null }),
            (error: unknown) => {
              const refusal = error instanceof Error ? error : new Error(String(error));
              setWord({ of: id, deciding: false, refusal });
              throw refusal;
            },
          )
          .finally(() => {
            pending.current = null;
          });
        // Views show `refusal`; a handler that awaits nothing must not make it an unhandled rejection.
        said.catch(() => undefined);
        pending.current = said;
        return said;
      },
      [id],
    );
    const approve = useCallback<Deciding<App, Form, Show>['approve']>(
      (options) => say(() => watch?.approve(options) ?? Promise.reject(new Error('No approval is named.'))),
      [say, watch],
    );
    const reject = useCallback<Deciding<App, Form, Show>['reject']>(
      (options) => say(() => watch?.reject(options) ?? Promise.reject(new Error('No approval is named.'))),
      [say, watch],
    );
    // A word on the approval that the view has shown before is none on this one.
    const { deciding, refusal } = word.of === id ? word : unsaid;
    return { ...snapshot, approve, reject, deciding, refusal };
  }

  return { useStart, useRun, useProgress, useEvents, useStream, useApprovals, useApproval, page };
}

interface StartState {
  readonly run: RunRef | null;
  readonly starting: boolean;
  readonly error: Error | null;
}

/** What the user has said last of an approval. */
interface Word {
  readonly of: string | null;
  readonly deciding: boolean;
  readonly refusal: Error | null;
}

const unsaid: Word = { of: null, deciding: false, refusal: null };

/** A subscription to nothing. */
function nobodyListens(): () => void {
  return nobody;
}

/** A watch for the hooks; null = no run is named. */
interface Watched<Output> {
  readonly id: string | null;
  readonly watch: (() => RunWatch<Output>) | null;
  readonly subscribe: (listener: () => void) => () => void;
}

const idle: StartState = { run: null, starting: false, error: null };

/** Ends a subscription to nothing. */
function nobody(): void {
  return undefined;
}

/** Nothing is known of the run, so there is nothing of any type in it. */
function pendingOf<Output>(run: string): RunSnapshot<Output> {
  return unheard(run);
}

function isPage<App>(given: PageOptions | Page<App>): given is Page<App> {
  return 'watch' in given;
}
