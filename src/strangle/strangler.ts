/**
 * A route between its old handler and the workflow that takes its place: decides for each request which of the two answers, waits for
 * a run as long as the caller may be held, mirrors, compares and counts.
 *
 * Invariant: a request is answered by the old handler or by the event way, never begun by both, unless the options say that the old
 * handler answers where that is not certain. Nothing that goes wrong in here reaches a request that the old handler can answer.
 */
import { isOutcome, isRemoteError, randomId, type RemoteError, type RunHandle } from '../client/index.js';
import { type ErrorCode, SpineError } from '../core/errors.js';
import { mirrorLabel } from '../core/labels.js';
import { limits } from '../core/limits.js';
import type { CancelTimer } from '../core/ports.js';
import { acceptedResponse, failedResponse, isCertain, isOfTheWay, problemResponse, responseOf } from './answers.js';
import { reportedDifference } from './compare.js';
import { type Exchange, type SeenAnswer, type StrangleRequest, valueOfBytes } from './exchange.js';
import type { Choice, StrangleSettings } from './options.js';
import { Orders, sharesOf, type StrangleOrder } from './orders.js';
import { type StrangleReport, Tally, type TallyName, type TimedName } from './report.js';
import { strangleReports, type StrangleReported } from './topics.js';

/** Labels of the runs of a strangled route: its name, and who asked. */
export const routeLabel = 'strangle';
const userLabel = 'strangle-user';

/** After so many failures of the event way in a row it is left alone for so long. */
const failuresMax = 3;
const pauseMs = 5_000;
/** A caller is told to ask again after this share of the time that the run has taken so far, so it loses no more than that. */
const retryAfterShare = 0.1;
const retryAfterSecondsMax = 30;

/** What became of a start. */
type Started =
  | { readonly tag: 'run'; readonly run: RunHandle }
  | { readonly tag: 'failed'; readonly error: unknown; readonly isCertain: boolean };

/** What became of a run while it was waited for. */
type Waited =
  | { readonly tag: 'output'; readonly output: unknown }
  | { readonly tag: 'failed'; readonly error: RemoteError }
  | { readonly tag: 'pending' };

/** A request for the answer of a run. */
interface Asked {
  /** The one that has begun it; not one that asks again. */
  readonly isFirst: boolean;
  /** Whether its answer says how long the run took. */
  readonly isTimed: boolean;
  /** How long the run has been at work already. */
  readonly sinceStartMs: number;
}

/** Which way a request goes. */
type Way = { readonly tag: 'old' } | { readonly tag: 'event' | 'mirror'; readonly taken: Taken };

/** A request that a run is begun for. */
interface Taken {
  readonly request: StrangleRequest;
  /** Its idempotency key. */
  readonly key: string | null;
  /** Null = there is no `user` among the options. */
  readonly who: string | null;
}

export class Strangler {
  readonly #settings: StrangleSettings;
  readonly #orders: Orders;
  readonly #process = randomId().slice(0, 12);
  /** Since the process began, and since the last event. */
  readonly #total: Tally;
  #part: Tally;
  #partFrom: number;
  #cancelReport: CancelTimer | null = null;
  readonly #background = new Set<Promise<unknown>>();
  #mirrors = 0;
  #failures = 0;
  #pausedUntilMs = Number.NEGATIVE_INFINITY;

  constructor(settings: StrangleSettings) {
    const { name, spine, ports } = settings;
    this.#settings = settings;
    this.#total = new Tally(name);
    this.#part = new Tally(name);
    this.#partFrom = ports.clock.now();
    const topics = settings.reportMs === null ? null : spine.topics;
    this.#orders = new Orders(name, topics, ports, (message, error) => this.#tell(message, error));
  }

  get report(): StrangleReport {
    return this.#total.report();
  }

  /** Fails with OPTIONS_INVALID. */
  turn(order: StrangleOrder): void {
    const shares = sharesOf(order, this.#orders.shares);
    if (shares === null)
      throw new SpineError('OPTIONS_INVALID', { what: 'turn', faults: ['async and mirror are shares from 0 to 1'] });
    this.#orders.turn(shares);
  }

  /** True where nothing but the old handler has a part in the next request, which then costs a count. */
  get isAside(): boolean {
    this.#count('requests');
    const { async, mirror } = this.#orders.shares;
    const isAside = (async === 0 || isNone(this.#settings.async)) && (mirror === 0 || isNone(this.#settings.mirror));
    if (isAside) this.#count('old');
    return isAside;
  }

  /** Answers a request that was counted; gives what the framework is to be given. */
  async handle(exchange: Exchange): Promise<unknown> {
    const way = await this.#wayOf(exchange);
    switch (way.tag) {
      case 'old':
        return this.#old(exchange);
      case 'mirror':
        return this.#watchedOld(exchange, way.taken);
      case 'event':
        return this.#event(exchange, way.taken);
    }
  }

  /** Answers a caller that was answered 202 and asks again. */
  async handleStatus(exchange: Exchange): Promise<unknown> {
    const { user, as, name, withinMs } = this.#settings;
    if (user === null || this.#settings.status === null)
      throw new SpineError('OPTIONS_INVALID', {
        what: 'strangled.status',
        faults: ['there is no status among the options'],
      });
    const request: StrangleRequest = { ...(await exchange.head), body: undefined };
    const who = await user(request);
    if (who === null) return exchange.reply(problemResponse(new SpineError('UNAUTHENTICATED', {}), null));
    const id = request.params['run'] ?? decodeURIComponent(request.path.split('/').at(-1) ?? '');
    const run = (await as(request)).run(id);
    try {
      const view = await run.status();
      // Another's run answers as one that is not there.
      if (view.labels[routeLabel] !== name || view.labels[userLabel] !== this.#userLabel(who))
        throw new SpineError('RUN_NOT_FOUND', { run: id });
      const { clock } = this.#settings.ports;
      const sinceStartMs = Math.max(0, clock.now() - Date.parse(view.startedAt));
      // One that has ended is asked for again at any time, which says nothing of how long it took.
      const isTimed = view.endedAt === null;
      const waitMs = isTimed ? Math.min(withinMs, preferredWaitMs(request) ?? 0) : withinMs;
      return await this.#answer(exchange, request, run, waitMs, { isFirst: false, isTimed, sinceStartMs });
    } catch (error) {
      return exchange.reply(problemResponse(error, isOfTheWay(error) ? 1 : null));
    }
  }

  /** Lets mirrored runs that are under way be compared, and publishes what was not yet. */
  async close(): Promise<void> {
    this.#orders.close();
    await Promise.allSettled(this.#background);
    await this.#publish().catch((error: unknown) => this.#tell('the last report could not be published', error));
  }

  // ---------------------------------------------------------------- which way

  async #wayOf(exchange: Exchange): Promise<Way> {
    const { bodyBytesMax, key, idempotency, user, async, mirror, ports, name } = this.#settings;
    try {
      const { shares } = this.#orders;
      const head = await exchange.head;
      const read = await exchange.readBody(bodyBytesMax);
      if (read.tag === 'unreadable') {
        this.#count('unreadable');
        return { tag: 'old' };
      }
      const request: StrangleRequest = { ...head, body: read.body };
      const repeatKey = idempotency(request);
      const group = key(request) ?? repeatKey;
      const place = (salt: string): number =>
        group === null ? ports.random.next() : shareOf(ports.hash.sha256(`${name}\n${salt}\n${group}`));
      const tag = (await this.#isChosen(async, shares.async, request, place('async')))
        ? 'event'
        : (await this.#isChosen(mirror, shares.mirror, request, place('mirror')))
          ? 'mirror'
          : 'old';
      if (tag === 'old') return { tag };
      const who = user === null ? null : await user(request);
      // What nobody gets is for the old handler to say.
      if (user === null || who !== null) return { tag, taken: { request, key: repeatKey, who } };
    } catch (error) {
      this.#fault('a request was left to the old handler', error);
    }
    return { tag: 'old' };
  }

  /** `place`: where the request stands between 0 and 1. What is declared is chosen from, and of it the share that is ordered. */
  async #isChosen(choice: Choice, share: number, request: StrangleRequest, place: number): Promise<boolean> {
    if (share === 0 || isNone(choice)) return false;
    const chosen = typeof choice === 'function' ? await choice(request) : choice;
    return place < Math.min(share, typeof chosen === 'number' ? chosen : chosen ? 1 : 0);
  }

  // ---------------------------------------------------------------- the old way

  async #old(exchange: Exchange): Promise<unknown> {
    this.#count('old');
    return this.#called(exchange, () => exchange.old());
  }

  /** What the old handler throws is the framework's, as ever; what it gives is not waited for here. */
  async #called(exchange: Exchange, call: () => unknown): Promise<unknown> {
    let result: unknown;
    try {
      result = call();
    } catch (error) {
      return exchange.fail(error);
    }
    return await result;
  }

  async #watchedOld(exchange: Exchange, taken: Taken): Promise<unknown> {
    this.#count('old');
    const since = this.#settings.ports.clock.monotonicMs();
    return this.#called(exchange, () => {
      const { result, answer } = exchange.watchedOld(limits.strangleAnswerBytesMax);
      this.#keep(
        answer.then((old) => {
          const tookMs = this.#settings.ports.clock.monotonicMs() - since;
          this.#time('old', tookMs);
          return this.#mirror(taken, old);
        }),
      );
      return result;
    });
  }

  // ---------------------------------------------------------------- the event way

  async #event(exchange: Exchange, taken: Taken): Promise<unknown> {
    const { ports, name, withinMs, startWithinMs } = this.#settings;
    const since = ports.clock.monotonicMs();
    const spentMs = (): number => ports.clock.monotonicMs() - since;
    if (since < this.#pausedUntilMs) {
      this.#count('paused');
      return this.#notTaken(exchange, new SpineError('STRANGLE_PAUSED', { name }), true);
    }
    const starting = this.#start(taken, false);
    const started = await this.#within(starting, startWithinMs);
    if (started === null) {
      this.#wayFailed();
      return this.#undecided(exchange, starting, taken.key);
    }
    if (started.tag === 'failed') {
      if (isOfTheWay(started.error)) this.#wayFailed();
      return this.#notTaken(exchange, started.error, started.isCertain);
    }
    this.#failures = 0;
    this.#count('event');
    if (started.run.repeated) this.#count('repeated');
    try {
      const sinceStartMs = spentMs();
      const { repeated } = started.run;
      const waitMs = Math.min(withinMs, preferredWaitMs(taken.request) ?? withinMs);
      const known = { isFirst: true, isTimed: !repeated, sinceStartMs };
      return await this.#answer(exchange, taken.request, started.run, waitMs - sinceStartMs, known);
    } finally {
      this.#time('event', spentMs());
    }
  }

  /** Starts the run of a request. Rejects with what the spine says, and with what functions of the options throw. */
  async #start({ request, key, who }: Taken, mirrored: boolean): Promise<RunHandle> {
    const { as, workflow, input, name, ports } = this.#settings;
    const value = await attempted(() => input(request, { mirrored }));
    const client = await attempted(() => as(request));
    const labels: Record<string, string> = mirrored ? { [mirrorLabel]: name } : { [routeLabel]: name };
    if (who !== null) labels[userLabel] = this.#userLabel(who);
    // The scope of a key is the caller and the route, and a mirrored run is another run.
    const scope = ports.hash.sha256(JSON.stringify([name, who, key, mirrored]));
    return await client.start(workflow, value, {
      labels,
      ...(key === null ? {} : { idempotencyKey: `strangle/${scope}` }),
    });
  }

  /** What has come of a start in time; null = nothing yet. */
  async #within(starting: Promise<RunHandle>, ms: number): Promise<Started | null> {
    const outcome = starting.then(
      (run): Started => ({ tag: 'run', run }),
      (error: unknown): Started => ({
        tag: 'failed',
        error,
        isCertain: error instanceof OptionFailure || isCertain(error),
      }),
    );
    const { timers } = this.#settings.ports;
    return await new Promise((resolve) => {
      const cancel = timers.after(ms, () => resolve(null));
      void outcome.then((started) => {
        cancel();
        resolve(started);
      });
    });
  }

  /** Answers with what the run has come to by then, or with 202. */
  async #answer(
    exchange: Exchange,
    request: StrangleRequest,
    run: RunHandle,
    leftMs: number,
    { isFirst, isTimed, sinceStartMs }: Asked,
  ): Promise<unknown> {
    const { output, failed, status, api, readToken, ports } = this.#settings;
    const since = ports.clock.monotonicMs();
    const waited = await this.#wait(run, leftMs, exchange.signal);
    try {
      switch (waited.tag) {
        case 'output': {
          const response = responseOf(await output(waited.output, request));
          if (isFirst) this.#count('answered');
          if (isTimed) this.#time('run', sinceStartMs + ports.clock.monotonicMs() - since);
          return await exchange.reply(response);
        }
        case 'failed': {
          if (isFirst) this.#count('failed');
          const own = await failed(waited.error, request);
          return await exchange.reply(own === undefined ? failedResponse(waited.error, run.id) : responseOf(own));
        }
        case 'pending': {
          if (isFirst) this.#count('accepted');
          const token =
            readToken === null
              ? null
              : await run.readToken({ expires: readToken }).catch((error: unknown) => this.#withoutToken(error));
          const retryAfterSeconds = retryAfterOf(sinceStartMs + ports.clock.monotonicMs() - since);
          const accepted = { run: run.id, state: 'running' as const, repeated: run.repeated, status, api };
          return await exchange.reply(acceptedResponse({ ...accepted, retryAfterSeconds, readToken: token }));
        }
      }
    } catch (error) {
      // The work is done; only its answer could not be made. To do it again the old way would do it twice.
      this.#fault('an answer could not be made', error);
      return exchange.fail(error);
    }
  }

  #withoutToken(error: unknown): null {
    this.#tell('an answer goes without a read token', error);
    return null;
  }

  /** Waits for the end of a run; whatever keeps it from being heard of leaves it pending, since it is recorded. */
  async #wait(run: RunHandle, ms: number, gone: AbortSignal | null): Promise<Waited> {
    if (ms <= 0 || gone?.aborted === true) return { tag: 'pending' };
    const controller = new AbortController();
    const stop = (): void => controller.abort(new DOMException('Waited long enough.', 'AbortError'));
    const cancel = this.#settings.ports.timers.after(ms, stop);
    gone?.addEventListener('abort', stop, { once: true });
    try {
      return { tag: 'output', output: await run.result({ signal: controller.signal }) };
    } catch (error) {
      return isRemoteError(error) && isOutcome(error.code) ? { tag: 'failed', error } : { tag: 'pending' };
    } finally {
      cancel();
      gone?.removeEventListener('abort', stop);
    }
  }

  // ---------------------------------------------------------------- not taken

  /** The event way has said no, or could not be asked. */
  async #notTaken(exchange: Exchange, given: unknown, isCertain: boolean): Promise<unknown> {
    const { fallback } = this.#settings;
    const error = given instanceof OptionFailure ? given.cause : given;
    if (given instanceof OptionFailure) this.#fault('the event way could not be begun', error);
    if (fallback === 'always' || (fallback === 'certain' && isCertain)) {
      this.#count('fellBack');
      return this.#old(exchange);
    }
    this.#count('refused');
    if (given instanceof OptionFailure) return exchange.fail(error);
    return exchange.reply(problemResponse(error, isOfTheWay(error) ? Math.ceil(pauseMs / 1_000) : null));
  }

  /** The event way has said nothing yet, and may still take the request. */
  async #undecided(exchange: Exchange, starting: Promise<RunHandle>, key: string | null): Promise<unknown> {
    const { name, startWithinMs, fallback } = this.#settings;
    // Under a key the caller finds the run when it asks again; nobody would ever look for another.
    if (fallback === 'always' || key === null)
      this.#keep(
        starting.then((run) => run.cancel({ reason: 'It was not started in time, and nobody waits for it.' })),
      );
    return this.#notTaken(exchange, new SpineError('STRANGLE_UNDECIDED', { name, withinMs: startWithinMs }), false);
  }

  #wayFailed(): void {
    this.#failures += 1;
    if (this.#failures < failuresMax) return;
    // One failure more after the pause is enough for the next one.
    this.#failures = failuresMax - 1;
    this.#pausedUntilMs = this.#settings.ports.clock.monotonicMs() + pauseMs;
  }

  // ---------------------------------------------------------------- mirroring

  async #mirror(taken: Taken, old: SeenAnswer | null): Promise<void> {
    const { mirrorsMax, mirrorMs, ports } = this.#settings;
    if (old === null) return this.#count('incomparable');
    if (this.#mirrors >= mirrorsMax) return this.#count('mirrorSkipped');
    this.#mirrors += 1;
    const since = ports.clock.monotonicMs();
    try {
      this.#count('mirrored');
      const run = await this.#start(taken, true);
      const waited = await this.#wait(run, mirrorMs, null);
      this.#time('mirror', ports.clock.monotonicMs() - since);
      await this.#compare(taken.request, old, run, waited);
    } catch (error) {
      const cause = error instanceof OptionFailure ? error.cause : error;
      // What both refuse is no difference.
      if (isRemoteError(cause) && !isOfTheWay(cause) && old.status >= 400 && old.status < 500)
        return this.#count('same');
      this.#count('mirrorFailed');
      this.#tell('a request could not be mirrored', cause);
    } finally {
      this.#mirrors -= 1;
    }
  }

  async #compare(request: StrangleRequest, old: SeenAnswer, run: RunHandle, waited: Waited): Promise<void> {
    const { output, failed, compare, showValues } = this.#settings;
    if (waited.tag === 'pending') {
      await run.cancel({ reason: 'It took longer than a mirrored run may.' });
      return this.#count('mirrorLate');
    }
    if (waited.tag === 'failed' && isWithheld(waited.error)) return this.#count('mirrorWithheld');
    if (waited.tag === 'failed' && old.status < 400) return this.#count('mirrorFailed');
    const response =
      waited.tag === 'output'
        ? responseOf(await output(waited.output, request))
        : responseOf((await failed(waited.error, request)) ?? failedResponse(waited.error, run.id));
    const now: SeenAnswer = {
      status: response.status,
      body: valueOfBytes(new Uint8Array(await response.arrayBuffer())),
    };
    const differences = await compare(old, now);
    this.#count(differences.length === 0 ? 'same' : 'different');
    for (const difference of differences)
      for (const tally of [this.#total, this.#part]) tally.differ(reportedDifference(difference, showValues), run.id);
  }

  // ---------------------------------------------------------------- what is told

  #userLabel(user: string): string {
    return this.#settings.ports.hash.sha256(user).slice(0, 32);
  }

  #count(name: TallyName): void {
    this.#total.count(name);
    this.#part.count(name);
    const { reportMs, ports } = this.#settings;
    if (reportMs === null || this.#cancelReport !== null) return;
    this.#cancelReport = ports.timers.after(reportMs, () => this.#keep(this.#publish()));
  }

  #time(name: TimedName, ms: number): void {
    this.#total.time(name, ms);
    this.#part.time(name, ms);
  }

  async #publish(): Promise<void> {
    const { spine, reportMs, ports } = this.#settings;
    this.#cancelReport?.();
    this.#cancelReport = null;
    if (reportMs === null || this.#part.isEmpty) return;
    const { async, mirror } = this.#orders.shares;
    const part: StrangleReported = {
      ...this.#part.part(),
      process: this.#process,
      order: { async, mirror },
      from: new Date(this.#partFrom).toISOString(),
    };
    this.#part = new Tally(this.#settings.name);
    this.#partFrom = ports.clock.now();
    try {
      await spine.publish(strangleReports.name, part);
    } catch (error) {
      // It goes with the next one.
      this.#part.merge(part);
      throw error;
    }
  }

  /** Work that goes on after an answer. */
  #keep(work: Promise<unknown>): void {
    const kept = work.catch((error: unknown) => this.#tell('something after an answer has failed', error));
    this.#background.add(kept);
    void kept.finally(() => this.#background.delete(kept));
    this.#settings.waitUntil(kept);
  }

  #fault(message: string, error: unknown): void {
    this.#count('faults');
    this.#tell(message, error);
  }

  #tell(message: string, error: unknown): void {
    this.#settings.log({ name: this.#settings.name, message, error });
  }
}

/** True for a run that has ended where it would have had an effect: a body says so where it ends, a graph fails of it. */
function isWithheld({ problem }: RemoteError): boolean {
  if (problem.failure?.code === withheld) return true;
  return typeof problem.data === 'object' && problem.data !== null && 'withheld' in problem.data;
}

const withheld: ErrorCode = 'EFFECT_WITHHELD';

/** A function of the options has thrown: nothing was begun. */
class OptionFailure extends Error {}

async function attempted<T>(fn: () => T | Promise<T>): Promise<T> {
  try {
    return await fn();
  } catch (error) {
    throw new OptionFailure('A function of the options has thrown.', { cause: error });
  }
}

/** Seconds to wait before asking again for a run that has been at work for so long. */
function retryAfterOf(spentMs: number): number {
  return Math.min(retryAfterSecondsMax, Math.max(1, Math.ceil((retryAfterShare * spentMs) / 1_000)));
}

/** How long the caller would wait for a run that has not ended (`Prefer`, RFC 7240), ms; null = it does not say. */
function preferredWaitMs({ headers }: StrangleRequest): number | null {
  const prefer = headers.get('prefer') ?? '';
  const [, seconds] = /(?:^|,) *wait=(\d{1,4})(?:$|[ ,;])/i.exec(prefer) ?? [];
  if (seconds !== undefined) return 1_000 * Number(seconds);
  return /(?:^|,) *respond-async(?:$|[ ,;])/i.test(prefer) ? 0 : null;
}

function isNone(choice: Choice): boolean {
  return choice === false || choice === 0;
}

/** Where a hash stands between 0 and 1: its first 48 bits. */
function shareOf(hash: string): number {
  return Number.parseInt(hash.slice(0, 12), 16) / 2 ** 48;
}
