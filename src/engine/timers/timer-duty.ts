/**
 * Fires timers, readies delayed tasks and sees to schedules when they are due on the store's clock. One bounded `tick`, and a loop that
 * sleeps until the next due time but never longer than a second, so that a missed wake-up costs a second and no more.
 */
import { limits } from '../../core/limits.js';
import type { CancelTimer } from '../../core/ports.js';
import { advanceTimer, isErrand } from '../../core/run/effects.js';
import { seqOfSendTimer } from '../../core/run/mail.js';
import { isWorkTimer, waitOfExpiryTimer } from '../../core/run/waits.js';
import type { TimerRow, Transition } from '../../store/contract.js';
import type { EngineContext } from '../context.js';
import { runKey } from '../runs/committed.js';
import type { JobOutcome, Lanes } from '../runs/lanes.js';

/** What timers stand for, beside their place in the state of a run. What is done twice is done once. */
export interface DueWork {
  /** Delayed tasks have become ready. */
  readonly promoted: () => Promise<void>;
  /** Sees to something between two runs; the outcome tells what becomes of the timer. */
  readonly errand: (timer: TimerRow) => Promise<JobOutcome>;
  /** Looks back for an event that a wait may have missed; clears the timer where it stands for that alone. */
  readonly look: (timer: TimerRow) => Promise<void>;
  /** Delivers what a run has sent; clears the timers of what was delivered. */
  readonly send: (timer: TimerRow) => Promise<void>;
  /** Sees to the schedules that are due, and counts them. */
  readonly schedules: () => Promise<number>;
  /** Plans what comes next in a run of a graph; the outcome tells what becomes of the timer. */
  readonly advance: (timer: TimerRow) => Promise<JobOutcome>;
}

export class TimerDuty {
  readonly #context: EngineContext;
  readonly #lanes: Lanes;
  readonly #work: DueWork;
  #cancel: CancelTimer | null = null;
  #wakeAtMs = Number.POSITIVE_INFINITY;
  #ticking: Promise<void> | null = null;
  #running = false;
  readonly #sleepMaxMs: number;

  constructor(context: EngineContext, lanes: Lanes, work: DueWork) {
    this.#context = context;
    this.#lanes = lanes;
    this.#work = work;
    this.#sleepMaxMs = context.settings.lookEveryMs ?? (context.store.shared ? sharedSleepMaxMs : sleepMaxMs);
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#arm(0);
  }

  async stop(): Promise<void> {
    this.#running = false;
    this.#cancel?.();
    this.#cancel = null;
    await this.#ticking;
  }

  /** Transitions were handed to the store; if they set something due before the next wake-up, wake up earlier. */
  opening(transitions: readonly Transition[]): void {
    for (const { timers = none, tasks = none, schedules = none } of transitions) {
      for (const { row } of schedules)
        if (row !== null && row.dueAt !== null) this.#arm(row.dueAt - this.#context.store.now());
      for (const timer of timers) if (timer.op === 'set') this.#arm(timer.fireAt - this.#context.store.now());
      for (const write of tasks)
        if (write.op !== 'close' && write.task.dueAt !== null) this.#arm(write.task.dueAt - this.#context.store.now());
    }
  }

  /** Handles what is due now. Returns how much it handled, a full batch means that more may be due; null = another does. */
  async tick(): Promise<number | null> {
    const { store } = this.#context;
    if (store.shared && !(await store.holdDuty('timers', dutyMs))) return null;
    const due = await store.dueTimers(limits.timerBatchMax);
    const fired = Promise.all(
      due.map(async (timer) => {
        const { tenant, run, name } = timer;
        const outcome = await this.#see(timer);
        if (outcome === null) return;
        if (outcome.tag === 'error') throw outcome.error;
        // Set anew since it was read; its row is another one now.
        if (outcome.tag === 'refused' && outcome.reason === 'stale') return;
        // The run no longer knows the timer: nothing will ever clear its row but this.
        if (outcome.tag !== 'applied') await this.#clear(tenant, run, name, outcome);
      }),
    );
    const [promoted, scheduled] = await Promise.all([this.#promote(), this.#work.schedules(), fired]);
    return Math.max(due.length, promoted, scheduled >= limits.scheduleBatchMax ? limits.timerBatchMax : 0);
  }

  /** What came of the timer; null = it is seen to. */
  async #see(timer: TimerRow): Promise<JobOutcome | null> {
    if (seqOfSendTimer(timer.name) !== null) {
      await this.#work.send(timer);
      return null;
    }
    if (isErrand(timer.name)) return this.#work.errand(timer);
    if (timer.name === advanceTimer) return this.#work.advance(timer);
    const isWork = isWorkTimer(timer.name);
    // The end of a wait for an event looks for the event first.
    if (isWork || waitOfExpiryTimer(timer.name) !== null) await this.#work.look(timer);
    return isWork ? null : this.#fire(timer);
  }

  #fire({ tenant, run, name, fireAt }: TimerRow): Promise<JobOutcome> {
    return this.#lanes.submit({
      key: runKey(tenant, run),
      tenant,
      run,
      commands: [{ op: 'fireTimer', name, fireAt }],
      actor: 'engine',
      worker: '',
      lease: null,
    });
  }

  /** Unless the run has moved on since that was decided: the timer may have been set anew. */
  async #clear(tenant: string, run: string, name: string, outcome: JobOutcome): Promise<void> {
    const { store } = this.#context;
    const row = store.shared || name === advanceTimer ? await store.readRun(tenant, run) : null;
    if (row !== null && (outcome.tag !== 'already' || outcome.head !== row.head)) return;
    const guard = row === null ? {} : { runs: [{ expected: row.head, row }] };
    await store.apply([{ tenant, ...guard, timers: [{ op: 'clear', run, name }] }]);
  }

  async #promote(): Promise<number> {
    const promoted = await this.#context.store.promoteDue(limits.timerBatchMax);
    if (promoted > 0) await this.#work.promoted();
    return promoted;
  }

  #arm(inMs: number): void {
    if (!this.#running) return;
    const { timers, clock } = this.#context.ports;
    const wakeAtMs = clock.monotonicMs() + Math.max(0, Math.min(inMs, this.#sleepMaxMs));
    if (wakeAtMs >= this.#wakeAtMs) return;
    this.#cancel?.();
    this.#wakeAtMs = wakeAtMs;
    this.#cancel = timers.after(Math.max(0, wakeAtMs - clock.monotonicMs()), () => {
      this.#wakeAtMs = Number.POSITIVE_INFINITY;
      if (this.#ticking !== null) return;
      this.#ticking = this.#round().finally(() => {
        this.#ticking = null;
      });
    });
  }

  async #round(): Promise<void> {
    let nextMs = this.#sleepMaxMs;
    try {
      const handled = await this.tick();
      if (handled !== null && handled >= limits.timerBatchMax) nextMs = 0;
      else if (handled !== null) {
        const nextDueAt = await this.#context.store.nextDueAt();
        if (nextDueAt !== null) nextMs = Math.max(1, nextDueAt - this.#context.store.now());
      }
    } catch (error) {
      this.#context.fault('timers', error);
    }
    this.#arm(nextMs);
  }
}

const none: readonly never[] = [];

const sleepMaxMs = 1_000;
/** Where others set timers too: only the store knows of those. */
const sharedSleepMaxMs = 250;
/** A server that no longer renews its duty loses it after this time. */
const dutyMs = 2_000;
