/**
 * The breakers of all endpoints, as this server knows them. Each is one entry of the store, which all servers change from its
 * value as it is; calls that go well are only counted there while something goes wrong.
 *
 * Invariant: while a breaker is open, only the holder of its probe is let through, and the probe is taken by a compare-and-put
 * before anybody is: of all servers one has it, and lets one attempt make it.
 */
import {
  afterProbe,
  closedBreaker,
  endpointSays,
  isIdle,
  probeTime,
  withCalls,
  withoutProbe,
  withProbe,
  type Breaker,
  type BreakerRule,
  type CallCounts,
} from '../../core/models/breaker.js';
import { isoOf } from '../../core/instant.js';
import type { EngineContext } from '../context.js';
import type { Catalog } from '../intake/catalog.js';
import type { CommittedChange } from '../runs/committed.js';
import { systemTenant } from '../system-tenant.js';
import { readSpace } from '../admission/counter-rows.js';
import { callerOf } from './model-door.js';
import { changeValue, engineActor, type ValueChange } from './shared-value.js';

/** Space of breakers. Key: the endpoint. */
export const breakerSpace = 'model-breakers';

/** A probe that this server has taken, and who makes it. */
interface Probe {
  readonly name: string;
  caller: string | null;
}

/** What has come of a breaker since the engine was started; only what this engine has done itself. */
export interface BreakerCounts {
  /** Moves to each state. */
  readonly moves: Readonly<Record<Breaker['state'], number>>;
  /** How often somebody was told to come back later. */
  readonly refused: number;
  /** Probes that were let through. */
  readonly probes: number;
}

interface Counting extends CallCounts {
  /** Since when, monotonic ms. */
  readonly sinceMs: number;
}

/** How long whoever found a probe due waits for it to be taken: it asks again then. */
const probePauseMs = 250;
/** Whoever waits for an endpoint comes back at some time in this span, so that not all of them come at once. */
const spreadMs = 1_000;
/** While somebody probes, the others look this often what came of it. */
const lookAgainMs = 5_000;

export class Breakers {
  readonly #context: EngineContext;
  readonly #catalog: Catalog;
  readonly #rule: BreakerRule;
  /** Those that are not idle. */
  #known = new Map<string, Breaker>();
  readonly #counts = new Map<string, Counting>();
  readonly #probes = new Map<string, Probe>();
  readonly #tallies = new Map<string, { moves: Record<Breaker['state'], number>; refused: number; probes: number }>();
  /** What is under way, by endpoint: one at a time. */
  readonly #moving = new Map<string, Promise<void>>();
  #stopped = false;

  constructor(context: EngineContext, catalog: Catalog) {
    this.#context = context;
    this.#catalog = catalog;
    this.#rule = context.settings.breaker;
  }

  /** The breaker of an endpoint as it was last seen. */
  of(endpoint: string): Breaker {
    return this.#known.get(endpoint) ?? closedBreaker;
  }

  /** Endpoints whose breakers are not idle, or of which something was counted. */
  endpoints(): string[] {
    return [...new Set([...this.#known.keys(), ...this.#tallies.keys()])];
  }

  counts(endpoint: string): BreakerCounts {
    return this.#tallies.get(endpoint) ?? newTally();
  }

  /** When this caller may ask again whether it may call; null = it may call now. */
  shutUntil(endpoint: string, caller: string, now: number): number | null {
    const breaker = this.#known.get(endpoint);
    const at = breaker === undefined ? null : probeTime(breaker, now, this.#rule);
    if (breaker === undefined || at === null) return null;
    const probe = this.#probes.get(endpoint);
    if (breaker.state === 'half-open' && probe?.name === breaker.probe && (probe.caller ?? caller) === caller) {
      // Also where the same attempt is decided over once more.
      if (probe.caller === null) this.#tally(endpoint).probes += 1;
      probe.caller = caller;
      return null;
    }
    this.#tally(endpoint).refused += 1;
    if (at > now) return this.#again(breaker, at, now);
    this.#takeProbe(endpoint);
    return now + probePauseMs + Math.floor(this.#context.ports.random.next() * spreadMs);
  }

  /** The same without taking anybody for the one who probes: null = it may call, or ask to probe. */
  closedUntil(endpoint: string, now: number): number | null {
    const breaker = this.#known.get(endpoint);
    const at = breaker === undefined ? null : probeTime(breaker, now, this.#rule);
    return at === null || at <= now ? null : this.#again(this.of(endpoint), at, now);
  }

  /** The name of the probe that this caller makes; null = it makes none. */
  probeOf(endpoint: string, caller: string): string | null {
    const probe = this.#probes.get(endpoint);
    return probe?.caller === caller ? probe.name : null;
  }

  #again({ state }: Breaker, at: number, now: number): number {
    const spread = Math.floor(this.#context.ports.random.next() * spreadMs);
    return (state === 'open' ? at : Math.min(at, now + lookAgainMs)) + spread;
  }

  /** Calls that have ended here: what they say of their endpoints. */
  committed({ tenant, run, state, events, own }: CommittedChange): void {
    if (!own) return;
    for (const event of events) {
      if (
        event.type !== 'inference.completed' &&
        event.type !== 'inference.retrying' &&
        event.type !== 'inference.failed'
      )
        continue;
      const { path, attempt } = event.data;
      const unit = state.units.get(path);
      if (unit?.kind !== 'inference' || unit.grant === null || unit.attempt !== attempt) continue;
      const says = event.type === 'inference.completed' ? 'good' : endpointSays(event.data.failure.class);
      const { endpoint, probe = this.probeOf(unit.grant.endpoint, callerOf({ tenant, run, path, attempt })) } =
        unit.grant;
      if (probe !== null) this.#probed(endpoint, probe, says);
      else if (says !== null) this.#ended(endpoint, says === 'good');
    }
  }

  /** Writes what was counted, where it matters, and reads what neighbours have written. */
  async tick(): Promise<void> {
    const nowMs = this.#context.ports.clock.monotonicMs();
    for (const [endpoint, { failures, sinceMs }] of this.#counts) {
      if (failures > 0 || this.#known.has(endpoint)) this.#count(endpoint);
      else if (nowMs - sinceMs > this.#rule.windowMs) this.#counts.delete(endpoint);
    }
    await Promise.all(this.#moving.values());
    await this.refresh();
  }

  /** Reads all breakers that are not idle. */
  async refresh(): Promise<void> {
    const rows = await readSpace(this.#context.store, systemTenant, breakerSpace);
    const read = rows.map(({ key, value }) => [key, JSON.parse(value) as Breaker] as const);
    // What is being written here is newer than what was read.
    const kept = [...this.#known].filter(([endpoint]) => this.#moving.has(endpoint));
    this.#known = new Map([...read.filter(([endpoint]) => !this.#moving.has(endpoint)), ...kept]);
  }

  /** An operator says that the endpoint may be called again. */
  async reset(endpoint: string, actor: string): Promise<void> {
    await this.#moving.get(endpoint);
    this.#counts.delete(endpoint);
    await this.#change(endpoint, actor, () => closedBreaker);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#moving.values());
  }

  /** What came of a probe: whichever server it was that had taken it. */
  #probed(endpoint: string, probe: string, says: 'good' | 'bad' | null): void {
    if (this.#probes.get(endpoint)?.name === probe) this.#probes.delete(endpoint);
    this.#move(endpoint, (breaker, now) =>
      says === null ? withoutProbe(breaker, probe, now) : afterProbe(breaker, probe, says === 'good', now, this.#rule),
    );
  }

  #ended(endpoint: string, isGood: boolean): void {
    const nowMs = this.#context.ports.clock.monotonicMs();
    const { calls, failures, sinceMs } = this.#counts.get(endpoint) ?? { calls: 0, failures: 0, sinceMs: nowMs };
    this.#counts.set(endpoint, { calls: calls + 1, failures: failures + (isGood ? 0 : 1), sinceMs });
    if (!isGood) this.#count(endpoint);
  }

  /** While one write is under way, what comes is gathered for the next. */
  #count(endpoint: string): void {
    const counted = this.#counts.get(endpoint);
    if (counted === undefined || this.#moving.has(endpoint)) return;
    this.#counts.delete(endpoint);
    this.#move(endpoint, (breaker, now) => withCalls(breaker, counted, now, this.#rule));
  }

  #takeProbe(endpoint: string): void {
    if (this.#moving.has(endpoint)) return;
    const name = `${this.#context.ports.clock.monotonicMs()}.${this.#context.ports.random.next()}`;
    this.#move(endpoint, (breaker, now) => {
      const probed = withProbe(breaker, name, now, this.#rule);
      if (probed === null) return breaker;
      this.#probes.set(endpoint, { name, caller: null });
      return probed;
    });
  }

  #move(endpoint: string, change: (breaker: Breaker, now: number) => Breaker): void {
    if (this.#stopped) return;
    const before = this.#moving.get(endpoint) ?? Promise.resolve();
    const moved = before
      .then(() => this.#change(endpoint, engineActor, change))
      .catch((error: unknown) => this.#context.fault('breakers', error))
      .then(() => {
        if (this.#moving.get(endpoint) !== moved) return;
        this.#moving.delete(endpoint);
        if ((this.#counts.get(endpoint)?.failures ?? 0) > 0) this.#count(endpoint);
      });
    this.#moving.set(endpoint, moved);
  }

  async #change(endpoint: string, actor: string, change: (breaker: Breaker, now: number) => Breaker): Promise<void> {
    const place = { space: breakerSpace, key: endpoint, ref: '' };
    const moved = new Set<Breaker['state']>();
    const stored = await changeValue<Breaker>(
      { context: this.#context, catalog: this.#catalog },
      place,
      actor,
      (value, now): ValueChange<Breaker> | null => {
        const before = value ?? closedBreaker;
        const after = change(before, now);
        if (after === before) return null;
        const event = after.state === before.state ? null : moveEvent(endpoint, before, after, actor);
        moved.clear();
        if (event !== null) moved.add(after.state);
        return { value: isIdle(after, now, this.#rule) ? null : after, event };
      },
    );
    for (const state of moved) this.#tally(endpoint).moves[state] += 1;
    if (stored === null) this.#known.delete(endpoint);
    else this.#known.set(endpoint, stored);
  }

  /** Endpoints are those of manifests, and few. */
  #tally(endpoint: string) {
    const known = this.#tallies.get(endpoint);
    if (known !== undefined) return known;
    const made = newTally();
    this.#tallies.set(endpoint, made);
    return made;
  }
}

function newTally() {
  return { moves: { closed: 0, open: 0, 'half-open': 0 }, refused: 0, probes: 0 };
}

/** What the event of a move says. */
function moveEvent(endpoint: string, before: Breaker, after: Breaker, by: string): object {
  return {
    change: 'breaker',
    endpoint,
    from: before.state,
    to: after.state,
    by,
    ...(after.state === 'open' ? { probeAt: isoOf(after.probeAt) } : {}),
  };
}
