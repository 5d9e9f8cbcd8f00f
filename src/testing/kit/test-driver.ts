/**
 * Drives an app under test: makes turns until nothing is at work, and moves the clock where an operation says so.
 * Operations that move the clock take turns with each other; those that do not may come at any time.
 */
import { SpineError } from '../../core/errors.js';
import type { UserWork } from './user-work.js';
import { realPause, type VirtualTime } from './virtual-time.js';

/** What a driver needs. */
export interface DriverOptions {
  readonly time: VirtualTime;
  readonly work: UserWork;
  /** Longest real time that user code is waited for, ms. */
  readonly patienceMs: number;
  /** What was found wrong and nobody was told of; the next operation takes it out and rejects with it. */
  readonly faults: Error[];
  /** Whether a body that awaits something foreign is a fault. */
  readonly trapsForeign: boolean;
}

/** Empty turns after which nothing more comes by itself. */
const quietTurns = 2;
/** Empty turns that are made at once while user code is at work; then real pauses are made between them. */
const eagerTurns = 50;
/** How long a body may await something that is not of ctx (a module to load) before it counts as lost, real ms. */
const foreignMs = 300;

/** See the top of the module. */
export class TestDriver {
  readonly #options: DriverOptions;
  /** The last operation that moves the clock. */
  #moving: Promise<unknown> = Promise.resolve();
  #hasTold = false;

  constructor(options: DriverOptions) {
    this.#options = options;
  }

  /** Makes turns until `promise` is settled. `moves`: the clock goes on where only that helps. */
  async through<T>(promise: Promise<T>, moves = false): Promise<T> {
    const { time } = this.#options;
    let settled = false;
    const note = (): void => {
      settled = true;
    };
    promise.then(note, note);
    for (let quiet = 0; !settled; quiet++) {
      if (time.hasTurns) quiet = 0;
      await time.turnRound();
      if (moves && quiet > eagerTurns) time.fireNext();
    }
    return await promise;
  }

  /** Somebody was told that something is wrong. */
  get hasTold(): boolean {
    return this.#hasTold;
  }

  /** Everything that can happen without time passing has happened. */
  async settle(): Promise<void> {
    try {
      await this.#settle();
    } catch (error) {
      this.#hasTold = true;
      throw error;
    }
  }

  async #settle(): Promise<void> {
    const { time, work, patienceMs, faults } = this.#options;
    let quiet = 0;
    let waitedSinceMs: number | null = null;
    for (;;) {
      const isBusy = time.hasTurns;
      await time.turnRound();
      if (isBusy || time.hasTurns) {
        quiet = 0;
        waitedSinceMs = null;
        continue;
      }
      if (++quiet < quietTurns) continue;
      const atWork = work.atWork();
      const foreign = work.foreign();
      if (atWork.length === 0 && foreign.length === 0) break;
      if (quiet < eagerTurns) continue;
      waitedSinceMs ??= performance.now();
      const waitedMs = performance.now() - waitedSinceMs;
      if (atWork.length > 0 && waitedMs > patienceMs) throw slow(atWork, patienceMs);
      if (atWork.length === 0 && waitedMs > Math.min(foreignMs, patienceMs)) throw this.#foreign(foreign);
      await realPause(1);
    }
    const fault = faults.shift();
    if (fault === undefined) return;
    faults.length = 0;
    throw fault;
  }

  /** Lets `ms` pass, with all that is due on the way. */
  advance(ms: number): Promise<void> {
    return this.#move(async () => {
      const { time } = this.#options;
      const untilMs = time.nowMs + ms;
      for (;;) {
        await this.settle();
        const { nextAt } = time;
        if (nextAt === null || nextAt > untilMs) break;
        time.fireNext();
      }
      time.moveTo(untilMs);
    });
  }

  /** Lets time pass until `done`; where nothing is due any more, TEST_STUCK with `why`. */
  skipUntil(done: () => Promise<boolean>, why: () => Promise<string>): Promise<void> {
    return this.#move(async () => {
      const { time } = this.#options;
      const untilMs = time.nowMs + skipMsMax;
      for (;;) {
        await this.settle();
        if (await done()) return;
        const { nextAt } = time;
        if (nextAt === null || nextAt > untilMs) throw new SpineError('TEST_STUCK', { reason: await why() });
        time.fireNext();
      }
    });
  }

  #move<T>(act: () => Promise<T>): Promise<T> {
    const result = this.#moving.then(act, act);
    this.#moving = result.catch(() => undefined);
    return result;
  }

  #foreign(bodies: ReturnType<UserWork['foreign']>): Error {
    const [first] = bodies;
    const { workflow, run } = first ?? { workflow: '', run: '' };
    const what = 'awaits a promise that is not of ctx';
    const use = 'Await only what ctx gives you; put other work into ctx.step.';
    if (this.#options.trapsForeign) return new SpineError('BODY_NOT_DETERMINISTIC', { workflow, run, what, use });
    return new SpineError('TEST_STUCK', { reason: `the body of "${workflow}" (run ${run}) ${what}` });
  }
}

/** Nearer than the deadlines and duties that are to come in no test, and further than any wait is meant to be. */
const skipMsMax = 99 * 365 * 86_400_000;

function slow(atWork: readonly string[], patienceMs: number): Error {
  const reason = `${atWork.slice(0, 3).join(', ')} did not return within ${patienceMs} ms of real time`;
  return new SpineError('TEST_STUCK', { reason });
}
