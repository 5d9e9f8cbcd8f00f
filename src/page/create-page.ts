/**
 * What a page of a web application needs of Eventspine, without any framework: start work, watch runs live, and find them
 * again after a reload. The hooks of `eventspine/react` are a thin layer over this; other frameworks need no more.
 *
 * Invariant: making a page opens nothing and touches neither document nor network, so that servers may render with it.
 */
import {
  type ApprovalsApi,
  type InputFor,
  type Pace,
  randomId,
  type ResultFor,
  systemPace,
  type UntypedApp,
  type WorkflowFor,
} from '../client/index.js';
import { type Duration, parseDuration } from '../core/duration.js';
import { clientError } from '../core/client-errors.js';
import { createPageClient, type PageClient } from '../client/page-client.js';
import { type ApprovalLike, ApprovalWatch, type InboxQuery, InboxWatch } from './approvals.js';
import { type Attention, documentAttention } from './attention.js';
import { type PageStorage, Remembered, tabStorage } from './remembered.js';
import { refOf, refWith, type RunLike, type RunRef } from './run-ref.js';
import { RunWatch, type WatchSettings } from './run-watch.js';

/** Options of a page. */
export interface PageOptions {
  /** Where the mount is: a path of the page's own origin, or an absolute URL. Default `/spine`. */
  readonly url?: string;
  /** Bearer token of the user, where the session is not a cookie. Read tokens are sent without it. */
  readonly token?: string | (() => string | Promise<string>);
  /** Default: the global `fetch`, which sends cookies to the page's own origin. */
  readonly fetch?: typeof globalThis.fetch;
  /** A page in the background lets go of its connections after this long. Longer holds connections for nobody. Default 60 s. */
  readonly hidden?: Duration;
  /** How often approvals are read while somebody looks at them. Shorter asks more of the server. Default 10 s. */
  readonly refresh?: Duration;
  /** Events that `events` of a run keeps, the latest ones. Default 1,000. */
  readonly eventsMax?: number;
  /** Where runs are remembered over a reload. Default: `sessionStorage`. */
  readonly storage?: PageStorage;
  /** Timers and chance; for tests. */
  readonly pace?: Pace;
  /** Whether the page is looked at; for tests. */
  readonly attention?: Attention;
}

/** Options of a start from a page. */
export interface PageStartOptions {
  /** Name under which the page finds the run again after a reload (`recall`). Default: it does not. */
  readonly remember?: string;
  /** The same key with the same input gives the same run. Default: random, which covers lost answers and nothing else. */
  readonly idempotencyKey?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/**
 * What a page of a web application needs: starts, live views, and runs found again after a reload. `App` is the type of the
 * app, by type-only import.
 */
export interface Page<App = UntypedApp> {
  /** Starts a run; resolves when it is durably recorded, with a reference that holds its read token. As `Client.start`. */
  start<Name extends WorkflowFor<App>>(
    workflow: Name,
    input: InputFor<App, Name>,
    options?: PageStartOptions,
  ): Promise<RunRef>;
  /** The watch of a run; everybody who asks for the same run gets the same one. The name is there for the type of the result. */
  watch<Name extends WorkflowFor<App>>(workflow: Name, run: RunLike): RunWatch<ResultFor<App, Name>>;
  /**
   * The same watch, which from now on keeps the events of the run from the first; `events()` has the latest of them. They share
   * one connection.
   */
  watchEvents<Name extends WorkflowFor<App>>(workflow: Name, run: RunLike): RunWatch<ResultFor<App, Name>>;
  /**
   * The open approvals that are put to the page's user, by the session of the page; the mount must have `approvals: true`.
   * Everybody who asks for the same gets the same watch.
   */
  approvals(query?: InboxQuery): InboxWatch<WorkflowFor<App>>;
  /**
   * One approval, to be shown and decided. `Form` is what its form asks for and `Show` what it shows, which the code of the
   * workflow says.
   */
  approval<Form = unknown, Show = unknown>(approval: ApprovalLike): ApprovalWatch<WorkflowFor<App>, Form, Show>;
  /** Runs remembered by name. */
  readonly remembered: Remembered;
}

const optionNames = ['url', 'token', 'fetch', 'hidden', 'refresh', 'eventsMax', 'storage', 'pace', 'attention'];

/** How long an ended watch is kept for who asks for the same run again: as many of them. */
const watchesMax = 100;

/** Token lifetime that pages ask for; the session gives another one when it is over. */
const tokenLife: Duration = '1h';

/** Tries of a start, which can be repeated without doing it twice. A renewal is tried again by the watch that wants it. */
const startAttempts = 4;

/** Tries of a reading, and of a word on an approval, which is the same word when it is said twice. */
const readAttempts = 2;

/** Makes a page. Opens nothing. Fails with OPTIONS_INVALID. */
export function createPage<App = UntypedApp>(options: PageOptions = {}): Page<App> {
  checkOptions(options);
  const pace = options.pace ?? systemPace;
  const url = (): string => new URL(options.url ?? '/spine', globalThis.location?.href).href;
  const client = (attempts: number, token = options.token): PageClient =>
    createPageClient({
      url: url(),
      pace,
      retry: { attempts },
      ...(token === undefined ? {} : { token }),
      ...(options.fetch === undefined ? {} : { fetch: options.fetch }),
    });
  const settings: WatchSettings = {
    url,
    fetch: options.fetch,
    pace,
    attention: options.attention ?? documentAttention,
    hiddenMs: parseDuration(options.hidden ?? '60s'),
    reconnect: { minMs: 500, maxMs: 15_000 },
    streamIdleMs: 45_000,
    eventsMax: options.eventsMax ?? 1_000,
    renew: async (run, signal) => refWith(run, await client(1).run(run).readToken({ expires: tokenLife, signal })),
  };
  const reading = {
    pace,
    attention: settings.attention,
    everyMs: parseDuration(options.refresh ?? '10s'),
  };
  const watches = new Map<string, RunWatch>();
  const inboxes = new Map<string, InboxWatch<WorkflowFor<App>>>();
  const approvals = new Map<string, ApprovalWatch<WorkflowFor<App>>>();
  const remembered = new Remembered(() => options.storage ?? tabStorage());

  function watch(run: RunLike): RunWatch {
    const ref = refOf(run);
    const found = shared(watches, ref.run, () => new RunWatch(ref, settings));
    found.use(ref);
    return found;
  }

  function approval(given: ApprovalLike): ApprovalWatch<WorkflowFor<App>> {
    const { approval: id, token } = typeof given === 'string' ? { approval: given } : given;
    return shared(approvals, `${id} ${token ?? ''}`, () => {
      const tellInboxes = (): void => {
        for (const inbox of inboxes.values()) inbox.look();
      };
      return new ApprovalWatch(id, approvalsOver(token), reading, tellInboxes);
    });
  }

  /** Addresses are made when something is asked: on a server that renders there is none. */
  function approvalsOver(token?: string): ApprovalsApi {
    const api = (): ApprovalsApi => client(readAttempts, token).approvals;
    return {
      list: (query) => api().list(query),
      get: (id, given) => api().get(id, given),
      approve: (id, given) => api().approve(id, given),
      reject: (id, given) => api().reject(id, given),
      delegate: (id, to, given) => api().delegate(id, to, given),
      comment: (id, text, given) => api().comment(id, text, given),
    };
  }

  return {
    async start(workflow, input, { remember, ...given } = {}) {
      const key = given.idempotencyKey ?? randomId();
      // Before it is sent: a page that is left before the answer can ask again under the same key.
      if (remember !== undefined) remembered.begin(remember, { workflow, input, key });
      try {
        const { labels, signal } = given;
        const item = { input, idempotencyKey: key, labels, priority: undefined, readTokenMs: parseDuration(tokenLife) };
        const handle = await client(startAttempts).start(workflow, item, signal === undefined ? {} : { signal });
        const ref = refWith(handle.id, await handle.readToken());
        if (remember !== undefined) remembered.set(remember, ref);
        return ref;
      } finally {
        if (remember !== undefined) remembered.begin(remember, null);
      }
    },
    watch: <Name extends WorkflowFor<App>>(_workflow: Name, run: RunLike) =>
      watch(run) as RunWatch<ResultFor<App, Name>>,
    watchEvents: <Name extends WorkflowFor<App>>(_workflow: Name, run: RunLike) =>
      watch(run).keepEvents() as RunWatch<ResultFor<App, Name>>,
    approvals: (query = {}) =>
      shared(inboxes, JSON.stringify([query.to ?? null, query.limit ?? null]), () => {
        return new InboxWatch<WorkflowFor<App>>(approvalsOver(), query, reading);
      }),
    approval: <Form, Show>(given: ApprovalLike) => approval(given) as ApprovalWatch<WorkflowFor<App>, Form, Show>,
    remembered,
  };
}

/** The one under the key, made where there is none. One that is forgotten lives on with its views, and is only not shared any more. */
function shared<T>(known: Map<string, T>, key: string, make: () => T): T {
  const found = known.get(key);
  if (found !== undefined) return found;
  const made = make();
  known.set(key, made);
  const [oldest] = known.keys();
  if (known.size > watchesMax && oldest !== undefined) known.delete(oldest);
  return made;
}

function checkOptions(options: PageOptions): void {
  const faults = Object.keys(options)
    .filter((name) => !optionNames.includes(name))
    .map((name) => `${name} is not an option; there are ${optionNames.join(', ')}`);
  const { eventsMax, hidden, refresh } = options;
  if (eventsMax !== undefined && !(Number.isInteger(eventsMax) && eventsMax >= 1)) {
    faults.push('eventsMax must be a whole number of at least 1');
  }
  if (hidden !== undefined && !isDuration(hidden)) faults.push('hidden is not a duration like "60s"');
  if (refresh !== undefined && !isDuration(refresh)) faults.push('refresh is not a duration like "10s"');
  if (faults.length > 0) throw clientError('OPTIONS_INVALID', { what: 'createPage', faults });
}

function isDuration(given: Duration): boolean {
  try {
    parseDuration(given);
    return true;
  } catch {
    return false;
  }
}
