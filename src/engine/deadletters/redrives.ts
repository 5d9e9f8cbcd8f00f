/**
 * Redrives of many: each is a row that moves with each of its bites, as a schedule does with its ticks, and is kept where
 * schedules are. A bite is written down before it is done, so that whoever comes after a crash does the same letters again,
 * which were redriven at most one time, and counts them as its own.
 *
 * Invariant: a letter that a bite holds is counted one time, and was in the list when the redrive began.
 */
import { isSpineError, SpineError } from '../../core/errors.js';
import { newId } from '../../core/ids.js';
import { isoOf } from '../../core/instant.js';
import { limits } from '../../core/limits.js';
import type { PageView, RedriveView } from '../../protocol/http.js';
import type { ScheduleRow, Transition } from '../../store/contract.js';
import { encodeCursor, type ListKey } from '../../store/cursor.js';
import type { CommandOutcome, Origin } from '../api.js';
import type { EngineContext } from '../context.js';
import { below, findLetters, upTo, type LetterFilter } from './filter.js';
import type { DeadLetters } from './letters.js';

/** What is asked of a redrive of many. */
export interface ManyRequest {
  readonly filter: LetterFilter;
  readonly ratePerSecond: number;
  readonly reason: string | null;
}

/** As it is stored, as JSON. */
interface Job {
  readonly by: string;
  readonly reason: string | null;
  readonly filter: LetterFilter;
  readonly ratePerSecond: number;
  readonly createdAt: number;
  readonly endedAt: number | null;
  readonly total: number | null;
  readonly state: 'running' | 'stopping' | 'done' | 'cancelled';
  /** Below which letters were not looked at; null = there are no others. */
  readonly next: ListKey | null;
  /** Not before this instant may the next bite be taken. */
  readonly paceAt: number;
  /** What is being redriven. `n` counts the bites. */
  readonly bite: Bite | null;
  readonly bites: number;
  readonly redriven: number;
  readonly gone: number;
  readonly refused: number;
  readonly refusals: RedriveView['refusals'];
}

interface Bite {
  readonly n: number;
  readonly letters: readonly { readonly id: string; readonly run: string }[];
}

type LetterEnd =
  | { readonly tag: 'redriven' | 'gone' }
  | { readonly tag: 'refused'; readonly deadLetter: string; readonly code: string; readonly message: string };

/** No schedule has a name like it. */
const prefix = ':redrive/';

/** True for the row of a redrive among those of schedules. */
export function isRedriveRow({ name }: Pick<ScheduleRow, 'name'>): boolean {
  return name.startsWith(prefix);
}

export class Redrives {
  readonly #context: EngineContext;
  readonly #letters: DeadLetters;
  readonly #opening: (transitions: readonly Transition[]) => void;
  readonly #underWay = new Map<string, Promise<void>>();
  #stopped = false;

  /** `opening` is told what may be due earlier than was known. */
  constructor(context: EngineContext, letters: DeadLetters, opening: (transitions: readonly Transition[]) => void) {
    this.#context = context;
    this.#letters = letters;
    this.#opening = opening;
  }

  /** How many letters a filter means now. */
  async count(tenant: string, filter: LetterFilter): Promise<{ readonly count: number; readonly more: boolean }> {
    let count = 0;
    let looked = 0;
    let next: ListKey | null = upTo(this.#context.store.now());
    while (next !== null && looked < limits.redriveCountMax) {
      const found: Awaited<ReturnType<typeof findLetters>> = await findLetters(this.#context.store, tenant, filter, {
        cursor: below(next),
        limit: limits.redriveScanMax,
        scanMax: limits.redriveScanMax,
      });
      count += found.rows.length;
      looked += limits.redriveScanMax;
      next = found.next;
    }
    return { count, more: next !== null };
  }

  /** Begins to redrive what is in the list now. @throws REDRIVES_FULL */
  async begin(origin: Origin, { filter, ratePerSecond, reason }: ManyRequest): Promise<RedriveView> {
    const { store, ports } = this.#context;
    const { tenant, actor } = origin;
    const others = await this.#rows(tenant);
    if (others.filter((row) => isUnderWay(jobOf(row))).length >= limits.redrivesMax)
      throw new SpineError('REDRIVES_FULL', { max: limits.redrivesMax });
    const { count, more } = await this.count(tenant, filter);
    const now = store.now();
    const job: Job = {
      by: actor,
      reason: reason?.slice(0, limits.errorMessageLengthMax) ?? null,
      filter,
      ratePerSecond,
      createdAt: now,
      endedAt: null,
      total: more ? null : count,
      state: 'running',
      next: upTo(now),
      paceAt: now,
      bite: null,
      bites: 0,
      redriven: 0,
      gone: 0,
      refused: 0,
      refusals: [],
    };
    const name = prefix + newId('redrive', ports);
    if (!(await this.#write(tenant, name, null, job, now))) throw new SpineError('STORE_BUSY', {});
    return viewOf(name, job);
  }

  async read(tenant: string, id: string): Promise<RedriveView | null> {
    const row = await this.#context.store.readSchedule(tenant, prefix + id);
    return row === null ? null : viewOf(row.name, jobOf(row));
  }

  /** Newest first. */
  async list(tenant: string): Promise<PageView<RedriveView>> {
    const rows = await this.#rows(tenant);
    return { items: rows.map((row) => viewOf(row.name, jobOf(row))).reverse(), next: null };
  }

  /** Lets it take no further letters. Those in hand are finished. REDRIVE_NOT_FOUND. */
  async cancel(tenant: string, id: string): Promise<CommandOutcome> {
    const name = prefix + id;
    let done: CommandOutcome = { tag: 'already' };
    const isThere = await this.#change(tenant, name, (job, now) => {
      if (!isUnderWay(job)) return null;
      done = { tag: 'done' };
      return job.bite === null ? ended(job, 'cancelled', now) : { ...job, state: 'stopping' };
    });
    return isThere ? done : { tag: 'error', error: new SpineError('REDRIVE_NOT_FOUND', { id }) };
  }

  /** Sees to one that is due: takes its next bite, or that of a server which has died over it. */
  async due(row: ScheduleRow): Promise<void> {
    if (this.#stopped) return;
    const { store } = this.#context;
    const now = store.now();
    const job = jobOf(row);
    // A slow store, and no death.
    if (this.#underWay.has(keyOf(row)))
      return void (await this.#write(row.tenant, row.name, row, job, now + biteLeaseMs));
    if (!isUnderWay(job)) {
      await store.apply([{ tenant: row.tenant, schedules: [{ name: row.name, expected: row.version, row: null }] }]);
      return;
    }
    const taken = job.bite === null ? await this.#take(row.tenant, job, now) : job;
    if (!(await this.#write(row.tenant, row.name, row, taken, taken.bite === null ? now : now + biteLeaseMs))) return;
    const { bite } = taken;
    if (bite === null) return;
    const work = this.#work(row, taken, bite)
      .catch((error: unknown) => this.#context.fault(`redrive ${row.name.slice(prefix.length)}`, error))
      .finally(() => this.#underWay.delete(keyOf(row)));
    this.#underWay.set(keyOf(row), work);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#underWay.values());
  }

  async #take(tenant: string, job: Job, now: number): Promise<Job> {
    if (job.next === null || job.state === 'stopping')
      return ended(job, job.state === 'stopping' ? 'cancelled' : 'done', now);
    const { rows, next } = await findLetters(this.#context.store, tenant, job.filter, {
      cursor: below(job.next),
      limit: Math.min(limits.redriveChunkMax, Math.max(1, Math.ceil(job.ratePerSecond * biteSeconds))),
      scanMax: limits.redriveScanMax,
    });
    if (rows.length === 0) return next === null ? ended(job, 'done', now) : { ...job, next };
    const n = job.bites + 1;
    const paceAt = Math.max(job.paceAt, now) + Math.ceil((rows.length * 1_000) / job.ratePerSecond);
    return { ...job, next, paceAt, bites: n, bite: { n, letters: rows.map(({ id, run }) => ({ id, run })) } };
  }

  async #work({ tenant, name }: ScheduleRow, job: Job, bite: Bite): Promise<void> {
    const origin: Origin = { tenant, actor: job.by, traceparent: null, correlation: null };
    const ends = await Promise.all(bite.letters.map((letter) => this.#redrive(origin, name, job, letter)));
    const refusals = ends.flatMap((end) => (end.tag === 'refused' ? [end] : []));
    await this.#change(tenant, name, (latest, now) => {
      // Somebody who took this one for dead has counted it.
      if (latest.bite?.n !== bite.n) return null;
      const counted: Job = {
        ...latest,
        bite: null,
        redriven: latest.redriven + ends.filter(({ tag }) => tag === 'redriven').length,
        gone: latest.gone + ends.filter(({ tag }) => tag === 'gone').length,
        refused: latest.refused + refusals.length,
        refusals: [
          ...latest.refusals,
          ...refusals.map(({ deadLetter, code, message }) => ({ deadLetter, code, message })),
        ].slice(0, refusalsMax),
      };
      if (latest.state === 'stopping') return ended(counted, 'cancelled', now);
      return latest.next === null ? ended(counted, 'done', now) : counted;
    });
  }

  async #redrive(
    origin: Origin,
    name: string,
    { reason }: Job,
    { id, run }: Bite['letters'][number],
  ): Promise<LetterEnd> {
    const bulk = name.slice(prefix.length);
    const outcome = await this.#letters.redrive(origin, id, { bulk, ...(reason === null ? {} : { reason }) });
    if (outcome.tag === 'done') return { tag: 'redriven' };
    if (outcome.tag === 'already') return this.#endOf(origin.tenant, run, id, bulk);
    const { error } = outcome;
    if (!isSpineError(error) || error.kind === 'transient') throw error;
    if (error.code === 'DEAD_LETTER_NOT_FOUND') return this.#endOf(origin.tenant, run, id, bulk);
    return { tag: 'refused', deadLetter: id, code: error.code, message: error.message };
  }

  /** Of a letter that is gone: whether it was this redrive that did it, before a crash. */
  async #endOf(tenant: string, run: string, id: string, bulk: string): Promise<LetterEnd> {
    const events = await this.#letters.history(tenant, run);
    const isOurs = events.some((event) =>
      event.type === 'run.redriven'
        ? event.data.deadLetter === id && event.data.bulk === bulk
        : event.type === 'message.buried' && event.data.deadLetter === id,
    );
    return { tag: isOurs ? 'redriven' : 'gone' };
  }

  // Rows

  async #rows(tenant: string): Promise<ScheduleRow[]> {
    const rows: ScheduleRow[] = [];
    let cursor: string | null = encodeCursor('schedules', { at: 0, id: prefix });
    while (cursor !== null) {
      const page: Awaited<ReturnType<EngineContext['store']['listSchedules']>> =
        await this.#context.store.listSchedules({ tenant, cursor, limit: limits.scheduleBatchMax });
      rows.push(...page.items.filter(isRedriveRow));
      cursor = page.items.every(isRedriveRow) ? page.next : null;
    }
    return rows;
  }

  /** Reads, decides and writes, again for as long as another was quicker. False = there is none of that name. */
  async #change(tenant: string, name: string, decide: (job: Job, now: number) => Job | null): Promise<boolean> {
    const { store } = this.#context;
    for (let attempt = 0; attempt < conflictsMax; attempt++) {
      const row = await store.readSchedule(tenant, name);
      if (row === null) return false;
      const now = store.now();
      const job = decide(jobOf(row), now);
      if (job === null) return true;
      const dueAt = job.bite === null ? Math.max(now, job.paceAt) : (row.dueAt ?? now);
      if (await this.#write(tenant, name, row, job, dueAt)) return true;
    }
    throw new SpineError('STORE_BUSY', {});
  }

  async #write(tenant: string, name: string, before: ScheduleRow | null, job: Job, at: number): Promise<boolean> {
    const { store } = this.#context;
    const expected = before?.version ?? 0;
    const dueAt = isUnderWay(job) ? at : store.now() + limits.redriveRetainMs;
    const version = Math.max(expected + 1, store.now());
    const row: ScheduleRow = { tenant, name, version, dueAt, body: JSON.stringify(job) };
    const transition: Transition = { tenant, schedules: [{ name, expected, row }] };
    const [outcome] = await store.apply([transition]);
    if (outcome?.tag === 'applied') this.#opening([transition]);
    return outcome?.tag === 'applied';
  }
}

function ended(job: Job, state: 'done' | 'cancelled', now: number): Job {
  return { ...job, state, bite: null, endedAt: now };
}

function isUnderWay({ state }: Job): boolean {
  return state === 'running' || state === 'stopping';
}

function jobOf(row: ScheduleRow): Job {
  return JSON.parse(row.body) as Job;
}

function keyOf({ tenant, name }: ScheduleRow): string {
  return `${tenant}/${name}`;
}

function viewOf(name: string, job: Job): RedriveView {
  const { since, ...filter } = job.filter;
  const { ratePerSecond, by, reason, total, redriven, gone, refused, refusals } = job;
  return {
    id: name.slice(prefix.length),
    state: job.state === 'stopping' ? 'running' : job.state,
    filter: { ...filter, ...(since === undefined ? {} : { since: isoOf(since) }) },
    ratePerSecond,
    by,
    reason,
    createdAt: isoOf(job.createdAt),
    endedAt: job.endedAt === null ? null : isoOf(job.endedAt),
    total,
    redriven,
    gone,
    refused,
    refusals,
  };
}

/** A bite is about what the rate allows in this time. */
const biteSeconds = 0.25;
/** Whoever has taken a bite and says nothing for so long is taken for dead; the bite is done again. */
const biteLeaseMs = 5_000;
const refusalsMax = 20;
const conflictsMax = 20;
