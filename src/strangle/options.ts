/** Options of `strangle`, their check, and what is made of them. */
import type { Client, InputFor, RemoteError, ResultFor, WorkflowFor } from '../client/index.js';
import type { Duration } from '../core/duration.js';
import { limits } from '../core/limits.js';
import type { Ports } from '../core/ports.js';
import { nodePorts } from '../runtime/index.js';
import { OptionFaults } from '../workflow/options.js';
import { type Compare, compareBy, type CompareRules } from './compare.js';
import type { StrangleRequest } from './exchange.js';

/** Which requests: all or none, a share of them, or those that a function names. */
export type Choice = boolean | number | ((request: StrangleRequest) => boolean | number | Promise<boolean | number>);

/** When the old handler answers what the event way has not taken. */
export type Fallback = 'always' | 'certain' | 'never';

/** Something that the operator of the route should know. */
export interface StrangleLogEntry {
  readonly name: string;
  readonly message: string;
  readonly error: unknown;
}

/** Options of `strangle`. */
export interface StrangleOptions<App, Name extends WorkflowFor<App> & string> {
  /** A spine, or a client. */
  readonly spine: Client<App>;
  /** The workflow that takes the place of the handler. */
  readonly workflow: Name;
  /** Name of the route, in reports, orders and labels of runs. Default: the workflow. */
  readonly name?: string;
  /** Input of the workflow. `mirrored`: the old handler answers, and nothing that this run does should be seen by anybody. */
  readonly input: (
    request: StrangleRequest,
    how: { readonly mirrored: boolean },
  ) => InputFor<App, Name> | Promise<InputFor<App, Name>>;
  /**
   * The answer that a result means: a `Response`, or a value that is sent as JSON with 200. `request` is the one that is answered,
   * which may be one that asks later. Default: the result.
   */
  readonly output?: (result: ResultFor<App, Name>, request: StrangleRequest) => unknown;
  /** The answer that the failure of a run means, in the same forms; undefined = the default, a problem (RFC 9457). */
  readonly failed?: (error: RemoteError, request: StrangleRequest) => unknown;
  /** Which requests go the event way. Default: none. */
  readonly async?: Choice;
  /** How long a request is held for the result before the answer is 202. Default 2 s. Longer holds more connections. */
  readonly within?: Duration;
  /** Which of the requests that the old handler answers go to the event way as well, after their answer. Default: none. */
  readonly mirror?: Choice;
  /** How answers are compared: rules, or a comparison of your own. Default: status and JSON must be equal. */
  readonly compare?: CompareRules | Compare;
  /**
   * When the old handler answers what the event way has not taken: `certain` (the default) = where it is certain that no run was
   * started; `always` = also where it has not said so in time, and a run that was started after all is cancelled; `never`.
   */
  readonly fallback?: Fallback;
  /** How long the event way may take to say that it has the request. Default 1 s. */
  readonly startWithin?: Duration;
  /**
   * Who is asking, by your own session; null = nobody you know, whom the old handler answers. Keys of one user mean nothing for
   * another. Needed by `status`.
   */
  readonly user?: (request: StrangleRequest) => string | null | Promise<string | null>;
  /** In whose name a request goes: `spine.as({ tenant, user })`, for installations with several tenants. Default: `spine` as it is. */
  readonly as?: (request: StrangleRequest) => Client<App> | Promise<Client<App>>;
  /** Requests of one key go the same way. Default: the idempotency key, where there is one; else each goes by itself. */
  readonly key?: (request: StrangleRequest) => string | null;
  /** Requests of one idempotency key are one request. Default: the header `Idempotency-Key`. */
  readonly idempotency?: (request: StrangleRequest) => string | null;
  /**
   * Where a caller that was answered 202 asks again, with `:run` for the run: `/answers/:run`. Mount `strangled.status` there; it
   * answers as the route does. Default: the run in the API under `api`.
   */
  readonly status?: string;
  /** Base path of the API or of the mount that pages use, for links in answers. Default ``. */
  readonly api?: string;
  /** How long the read token of an answer of 202 is good for; false = none. Default 1 h. */
  readonly readToken?: Duration | false;
  /** Bounds of mirroring: runs under way at one time (default 50), and how long one may take (default 5 min). */
  readonly mirrors?: { readonly most?: number; readonly within?: Duration };
  /** Largest body that is looked at; a request with a larger one is left to the old handler. Default 4 MiB. */
  readonly bodyBytesMax?: number;
  /** Whether reports of differences show the values, shortened. Default false: paths only. */
  readonly showValues?: boolean;
  /**
   * Whether reports go to the topic `strangle.reports`, so often, and orders come from `strangle.orders`; both must be declared in the
   * app (`strangleTopics`). true = every minute. Default false.
   */
  readonly topics?: boolean | { readonly every: Duration };
  /** Takes work that goes on after an answer, where the platform would end it: `waitUntil` of Next and others. */
  readonly waitUntil?: (work: Promise<unknown>) => void;
  /** Default: one line on the standard error output, at most one in ten seconds. */
  readonly log?: (entry: StrangleLogEntry) => void;
  /** Clock, timers and randomness; for tests. */
  readonly ports?: Ports;
}

/** Options with their defaults filled in, and without the types of the app. */
export interface StrangleSettings {
  readonly name: string;
  readonly spine: Client;
  readonly workflow: string;
  readonly input: (request: StrangleRequest, how: { readonly mirrored: boolean }) => unknown;
  readonly output: (result: unknown, request: StrangleRequest) => unknown;
  readonly failed: (error: RemoteError, request: StrangleRequest) => unknown;
  readonly async: Choice;
  readonly withinMs: number;
  readonly mirror: Choice;
  readonly compare: Compare;
  readonly fallback: Fallback;
  readonly startWithinMs: number;
  readonly user: ((request: StrangleRequest) => string | null | Promise<string | null>) | null;
  readonly as: (request: StrangleRequest) => Client | Promise<Client>;
  readonly key: (request: StrangleRequest) => string | null;
  readonly idempotency: (request: StrangleRequest) => string | null;
  readonly status: string | null;
  readonly api: string;
  readonly readToken: Duration | null;
  readonly mirrorsMax: number;
  readonly mirrorMs: number;
  readonly bodyBytesMax: number;
  readonly showValues: boolean;
  /** null = no topics. */
  readonly reportMs: number | null;
  readonly waitUntil: (work: Promise<unknown>) => void;
  readonly log: (entry: StrangleLogEntry) => void;
  readonly ports: Ports;
}

const optionNames = [
  'spine',
  'workflow',
  'name',
  'input',
  'output',
  'failed',
  'async',
  'within',
  'mirror',
  'compare',
  'fallback',
  'startWithin',
  'user',
  'as',
  'key',
  'idempotency',
  'status',
  'api',
  'readToken',
  'mirrors',
  'bodyBytesMax',
  'showValues',
  'topics',
  'waitUntil',
  'log',
  'ports',
];
const fallbacks: readonly Fallback[] = ['always', 'certain', 'never'];
const logEveryMs = 10_000;

/** @throws OPTIONS_INVALID */
export function settingsOf<App, Name extends WorkflowFor<App> & string>(
  options: StrangleOptions<App, Name>,
): StrangleSettings {
  const faults = new OptionFaults('strangle');
  faults.unknownNames(options, optionNames);
  const { spine, workflow, name = workflow, input, fallback = 'certain', status, user } = options;
  const ports = options.ports ?? nodePorts;
  if (typeof (spine as { readonly start?: unknown } | undefined)?.start !== 'function')
    faults.add('spine must be a spine or a client');
  if (typeof workflow !== 'string' || workflow === '') faults.add('workflow must be the name of a workflow');
  faults.name(name);
  if (typeof input !== 'function') faults.add('input must be a function that makes the input of the workflow');
  for (const option of ['output', 'failed', 'user', 'as', 'key', 'idempotency', 'waitUntil', 'log'] as const)
    if (options[option] !== undefined && typeof options[option] !== 'function')
      faults.add(`${option} must be a function`);
  for (const option of ['async', 'mirror'] as const)
    if (!isChoice(options[option] ?? false))
      faults.add(`${option} must be true, false, a share from 0 to 1, or a function`);
  if (!fallbacks.includes(fallback)) faults.add(`fallback must be one of ${fallbacks.join(', ')}`);
  if (status !== undefined && !/^\/.*:run(?:\/|$)/.test(status)) faults.add('status must be a path with ":run" in it');
  if (status !== undefined && user === undefined) faults.add('status needs user, which says whose runs are asked for');
  const { tolerance } = typeof options.compare === 'object' ? options.compare : {};
  if (tolerance !== undefined && !(tolerance >= 0)) faults.add('compare.tolerance must be a number of 0 or more');
  faults.integer('mirrors.most', options.mirrors?.most, { min: 1, max: 10_000 });
  faults.integer('bodyBytesMax', options.bodyBytesMax, { min: 1, max: limits.payloadBytesMax });
  const every = typeof options.topics === 'object' ? options.topics.every : '1m';
  const settings: StrangleSettings = {
    name,
    // What the app is no longer matters here: names and values were checked where the options were written.
    spine: spine as unknown as Client,
    workflow,
    input: input as StrangleSettings['input'],
    output: (options.output as StrangleSettings['output'] | undefined) ?? ((result) => result),
    failed: options.failed ?? (() => undefined),
    async: options.async ?? false,
    withinMs: faults.duration('within', options.within, 2_000),
    mirror: options.mirror ?? false,
    compare: typeof options.compare === 'function' ? options.compare : compareBy(options.compare ?? {}),
    fallback,
    startWithinMs: faults.duration('startWithin', options.startWithin, 1_000, 1),
    user: user ?? null,
    as: (options.as as StrangleSettings['as'] | undefined) ?? (() => spine as unknown as Client),
    key: options.key ?? (() => null),
    idempotency: options.idempotency ?? idempotencyKeyOf,
    status: status ?? null,
    api: (options.api ?? '').replace(/\/$/, ''),
    readToken: options.readToken === false ? null : (options.readToken ?? '1h'),
    mirrorsMax: options.mirrors?.most ?? limits.strangleMirrorsDefault,
    mirrorMs: faults.duration('mirrors.within', options.mirrors?.within, 300_000, 1),
    bodyBytesMax: options.bodyBytesMax ?? limits.bodyBytesMax,
    showValues: options.showValues ?? false,
    reportMs: (options.topics ?? false) === false ? null : faults.duration('topics.every', every, 60_000, 100),
    waitUntil: options.waitUntil ?? (() => undefined),
    log: options.log ?? seldomLog(ports),
    ports,
  };
  faults.throwIfAny();
  return settings;
}

/** The key of the header, in quotes as the draft has it (RFC 9651) or without, as many clients send it. */
function idempotencyKeyOf({ headers }: StrangleRequest): string | null {
  const text = headers.get('idempotency-key')?.trim() ?? '';
  const quoted = /^"(.*)"$/s.exec(text)?.[1];
  return (quoted === undefined ? text : quoted.replace(/\\(.)/g, '$1')) || null;
}

function isChoice(value: unknown): boolean {
  if (typeof value === 'number') return value >= 0 && value <= 1;
  return typeof value === 'boolean' || typeof value === 'function';
}

/** A fault of a busy route would be thousands of lines. */
function seldomLog({ clock }: Ports): StrangleSettings['log'] {
  let nextMs = Number.NEGATIVE_INFINITY;
  return ({ name, message, error }) => {
    if (clock.monotonicMs() < nextMs) return;
    nextMs = clock.monotonicMs() + logEveryMs;
    console.error(`eventspine strangle "${name}": ${message}`, error);
  };
}
