/**
 * What a page of a web application needs of Eventspine, without any framework: start work, watch runs live, and find them
 * again after a reload. The hooks of `eventspine/react` are a thin layer over this; other frameworks need no more.
 *
 * Invariant: making a page opens nothing and touches neither document nor network, so that servers may render with it.
 */
import {
  type Client,
  createClient,
  type InputFor,
  type Pace,
  randomId,
  type ResultFor,
  systemPace,
  type UntypedApp,
  type WorkflowFor,
} from '../client/index.js';
import { type Duration, parseDuration } from '../core/duration.js';
import { SpineError } from '../core/errors.js';
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

/** See the top of the module. `App` is the type of the app, by type-only import. */
export interface Page<App = UntypedApp> {
  /** Starts a run; resolves when it is durably recorded, with a reference that holds its read token. As `Client.start`. */
  start<Name extends WorkflowFor<App>>(
    workflow: Name,
    input: InputFor<App, Name>,
    options?: PageStartOptions,
  ): Promise<RunRef>;
  /** The watch of a run; everybody who asks for the same run gets the same one. The name is there for the type of the result. */
  watch<Name extends WorkflowFor<App>>(workflow: Name, run: RunLike): RunWatch<ResultFor<App, Name>>;
  /** The same with its events from the first; `events()` of the watch has the latest of them. */
  watchEvents<Name extends WorkflowFor<App>>(workflow: Name, run: RunLike): RunWatch<ResultFor<App, Name>>;
  /** Runs remembered by name. */
  readonly remembered: Remembered;
}

const optionNames = ['url', 'token', 'fetch', 'hidden', 'eventsMax', 'storage', 'pace', 'attention'];

/** How long an ended watch is kept for who asks for the same run again: as many of them. */
const watchesMax = 100;

/** Token lifetime that pages ask for; the session gives another one when it is over. */
const tokenLife: Duration = '1h';

/** Tries of a start, which can be repeated without doing it twice. A renewal is tried again by the watch that wants it. */
const startAttempts = 4;

/** Makes a page. Opens nothing. Fails with OPTIONS_INVALID. */
export function createPage<App = UntypedApp>(options: PageOptions = {}): Page<App> {
  checkOptions(options);
  const pace = options.pace ?? systemPace;
  const url = (): string => new URL(options.url ?? '/spine', globalThis.location?.href).href;
  const client = (attempts: number): Client<App> =>
    createClient<App>({
      url: url(),
      pace,
      retry: { attempts },
      ...(options.token === undefined ? {} : { token: options.token }),
      ...(options.fetch === undefined ? {} : { fetch: options.fetch }),
    });
  const settings: Omit<WatchSettings, 'eventsMax'> = {
    url,
    fetch: options.fetch,
    pace,
    attention: options.attention ?? documentAttention,
    hiddenMs: parseDuration(options.hidden ?? '60s'),
    reconnect: { minMs: 500, maxMs: 15_000 },
    streamIdleMs: 45_000,
    renew: async (run, signal) => refWith(run, await client(1).run(run).readToken({ expires: tokenLife, signal })),
  };
  const watches = new Map<string, RunWatch>();
  const remembered = new Remembered(() => options.storage ?? tabStorage());

  function watch(run: RunLike, eventsMax: number): RunWatch {
    const ref = refOf(run);
    const key = `${eventsMax === 0 ? 'run' : 'events'} ${ref.run}`;
    let found = watches.get(key);
    if (found === undefined) {
      found = new RunWatch(ref, { ...settings, eventsMax });
      watches.set(key, found);
      forgetOldest(watches);
    } else found.use(ref);
    return found;
  }

  return {
    async start(workflow, input, { remember, ...given } = {}) {
      const key = given.idempotencyKey ?? randomId();
      // Before it is sent: a page that is left before the answer can ask again under the same key.
      if (remember !== undefined) remembered.begin(remember, { workflow, input, key });
      try {
        const handle = await client(startAttempts).start(workflow, input, {
          ...given,
          idempotencyKey: key,
          readToken: tokenLife,
        });
        const ref = refWith(handle.id, await handle.readToken());
        if (remember !== undefined) remembered.set(remember, ref);
        return ref;
      } finally {
        if (remember !== undefined) remembered.begin(remember, null);
      }
    },
    watch: <Name extends WorkflowFor<App>>(_workflow: Name, run: RunLike) =>
      watch(run, 0) as RunWatch<ResultFor<App, Name>>,
    watchEvents: <Name extends WorkflowFor<App>>(_workflow: Name, run: RunLike) =>
      watch(run, options.eventsMax ?? 1_000) as RunWatch<ResultFor<App, Name>>,
    remembered,
  };
}

/** Keeps the newest. One that is still looked at lives on with its views, and is only not shared any more. */
function forgetOldest(watches: Map<string, RunWatch>): void {
  if (watches.size <= watchesMax) return;
  const [oldest] = watches.keys();
  if (oldest !== undefined) watches.delete(oldest);
}

function checkOptions(options: PageOptions): void {
  const faults = Object.keys(options)
    .filter((name) => !optionNames.includes(name))
    .map((name) => `${name} is not an option; there are ${optionNames.join(', ')}`);
  const { eventsMax, hidden } = options;
  if (eventsMax !== undefined && !(Number.isInteger(eventsMax) && eventsMax >= 1)) {
    faults.push('eventsMax must be a whole number of at least 1');
  }
  if (hidden !== undefined && !isDuration(hidden)) faults.push('hidden is not a duration like "60s"');
  if (faults.length > 0) throw new SpineError('OPTIONS_INVALID', { what: 'createPage', faults });
}

function isDuration(given: Duration): boolean {
  try {
    parseDuration(given);
    return true;
  } catch {
    return false;
  }
}
