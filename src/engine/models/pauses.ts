/**
 * Pauses that the endpoints of models have asked for: by `Retry-After`, or by saying that nothing is left of a limit of their
 * own. Each is one entry of the store, which all servers read, so that nobody is called again by a run that did not hear it.
 *
 * Invariant: a pause is only ever made longer, until it is over or an operator ends it.
 */
import { toldPauseMs } from '../../core/admission/feedback.js';
import { isoOf } from '../../core/instant.js';
import { limits } from '../../core/limits.js';
import { isRefusal, saidWith } from '../../core/run/tickets.js';
import type { EngineContext } from '../context.js';
import type { Catalog } from '../intake/catalog.js';
import { readSpace } from '../admission/counter-rows.js';
import type { CommittedChange } from '../runs/committed.js';
import { systemTenant } from '../system-tenant.js';
import { changeValue, engineActor } from './shared-value.js';

/** Space of pauses. Key: the endpoint. */
export const pauseSpace = 'endpoint-pauses';

interface StoredPause {
  readonly until: number;
}

/** What a pause grows by less than this is kept in memory alone. */
const slackMs = 100;
/** Whoever waits for its end comes back at some time in this span, so that not all of them come at once. */
const spreadMs = 1_000;

export class Pauses {
  readonly #context: EngineContext;
  readonly #catalog: Catalog;
  /** Until when, by endpoint. */
  readonly #known = new Map<string, number>();
  /** What of it is in the store, as far as is known here. */
  readonly #stored = new Map<string, number>();
  /** What is under way, by endpoint: one at a time. */
  readonly #moving = new Map<string, Promise<void>>();
  readonly #refused = new Map<string, number>();
  #stopped = false;

  constructor(context: EngineContext, catalog: Catalog) {
    this.#context = context;
    this.#catalog = catalog;
  }

  /** Until when an endpoint is not to be called; null = it may be. */
  until(endpoint: string): number | null {
    const until = this.#known.get(endpoint);
    if (until === undefined) return null;
    // A clock that was set back makes none longer than it may be.
    const now = this.#context.store.now();
    return until <= now ? null : Math.min(until, now + limits.endpointPauseMsMax);
  }

  /** When somebody who finds it paused asks again; null = it may be called now. */
  shutUntil(endpoint: string): number | null {
    const until = this.until(endpoint);
    if (until !== null) this.#refused.set(endpoint, this.refused(endpoint) + 1);
    return until === null ? null : until + Math.floor(this.#context.ports.random.next() * spreadMs);
  }

  /** How many endpoints pause now. */
  get size(): number {
    return [...this.#known.keys()].filter((endpoint) => this.until(endpoint) !== null).length;
  }

  /** Endpoints that pause, or of which somebody was told to come back later. */
  endpoints(): string[] {
    return [...new Set([...this.#known.keys(), ...this.#refused.keys()])];
  }

  /** How often somebody was told to come back later, since the engine was started. */
  refused(endpoint: string): number {
    return this.#refused.get(endpoint) ?? 0;
  }

  /** Calls that have ended here: what their endpoints have said of themselves. */
  committed({ state, events, own }: CommittedChange): void {
    if (!own) return;
    for (const event of events) {
      const isFailure = event.type === 'inference.retrying' || event.type === 'inference.failed';
      if (!isFailure && event.type !== 'inference.completed') continue;
      const { path, attempt, feedback = null } = event.data;
      const said = isFailure ? saidWith(event.data.failure, feedback) : feedback;
      const unit = state.units.get(path);
      if (said === null || unit?.kind !== 'inference' || unit.grant === null || unit.attempt !== attempt) continue;
      const pauseMs = toldPauseMs(said, isFailure && isRefusal(event.data.failure));
      if (pauseMs > 0) this.#pause(unit.grant.endpoint, event.at + pauseMs);
    }
  }

  /** Reads what all servers have heard. */
  async refresh(): Promise<void> {
    const before = new Map(this.#stored);
    const rows = await readSpace(this.#context.store, systemTenant, pauseSpace);
    const read = new Map(rows.map(({ key, value }) => [key, (JSON.parse(value) as StoredPause).until]));
    // What was ended elsewhere; not what was written, or is still to be, since the store was asked.
    for (const [endpoint, stored] of this.#stored)
      if (!read.has(endpoint) && before.get(endpoint) === stored && !this.#isAhead(endpoint)) this.#forget(endpoint);
    for (const [endpoint, until] of read) {
      if (this.#moving.has(endpoint)) continue;
      this.#stored.set(endpoint, until);
      this.#known.set(endpoint, Math.max(until, this.#known.get(endpoint) ?? 0));
    }
  }

  /** Drops what is over, and reads what neighbours have heard. */
  async tick(): Promise<void> {
    for (const endpoint of this.#known.keys())
      if (this.until(endpoint) === null || this.#isAhead(endpoint)) this.#write(endpoint);
    await Promise.all(this.#moving.values());
    await this.refresh();
  }

  /** An operator says that the endpoint may be called again. */
  async reset(endpoint: string, actor: string): Promise<void> {
    await this.#moving.get(endpoint);
    this.#forget(endpoint);
    await this.#change(endpoint, actor, () => null);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#moving.values());
  }

  #pause(endpoint: string, until: number): void {
    this.#known.set(endpoint, Math.max(until, this.#known.get(endpoint) ?? 0));
    if (this.#isAhead(endpoint)) this.#write(endpoint);
  }

  /** It is known here, and nowhere else. */
  #isAhead(endpoint: string): boolean {
    return (this.#known.get(endpoint) ?? 0) > (this.#stored.get(endpoint) ?? 0) + slackMs;
  }

  /** While one write is under way, what comes is gathered for the next. */
  #write(endpoint: string): void {
    if (this.#stopped || this.#moving.has(endpoint)) return;
    const known = this.#known.get(endpoint) ?? 0;
    const moved = this.#change(endpoint, engineActor, (until, now) => {
      const longest = Math.max(until ?? 0, known);
      return longest <= now ? null : longest;
    })
      .catch((error: unknown) => this.#context.fault('pauses', error))
      .then(() => {
        this.#moving.delete(endpoint);
        const next = this.#known.get(endpoint) ?? 0;
        if (next > known + slackMs) this.#write(endpoint);
      });
    this.#moving.set(endpoint, moved);
  }

  async #change(
    endpoint: string,
    actor: string,
    change: (until: number | null, now: number) => number | null,
  ): Promise<void> {
    const place = { space: pauseSpace, key: endpoint, ref: '' };
    const stored = await changeValue<StoredPause>(
      { context: this.#context, catalog: this.#catalog },
      place,
      actor,
      (value, now) => {
        const until = change(value?.until ?? null, now);
        if (until === (value?.until ?? null)) return null;
        // That one is over by itself everybody knows; that one has begun, or was ended, nobody else does.
        const isOver = until === null && value !== null && value.until <= now;
        const told = { change: 'pause', endpoint, until: until === null ? null : isoOf(until), by: actor };
        return { value: until === null ? null : { until }, event: isOver ? null : told };
      },
    );
    if (stored === null) {
      this.#stored.delete(endpoint);
      if (this.until(endpoint) === null) this.#known.delete(endpoint);
      return;
    }
    this.#stored.set(endpoint, stored.until);
    this.#known.set(endpoint, Math.max(stored.until, this.#known.get(endpoint) ?? 0));
  }

  #forget(endpoint: string): void {
    this.#known.delete(endpoint);
    this.#stored.delete(endpoint);
  }
}
