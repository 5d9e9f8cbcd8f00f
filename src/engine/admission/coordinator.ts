/**
 * The coordinator of admission: one server at a time grants what limits allow, for all of an installation. It hears of
 * tickets from commits, its own and those of its neighbours; writes the counters and who holds what of them from the fence
 * as it left it; and then lets the runs go on. What it has in memory it rebuilds from the store when it takes over.
 *
 * Invariant: no run is let go on before the shares that it takes are committed, and no share is given back twice: of two
 * servers that believe to be the coordinator, one finds the fence moved and writes nothing.
 */
import type { CancelTimer } from '../../core/ports.js';
import { limits } from '../../core/limits.js';
import { runOfTicket, ticketSpace, unbegun, type TicketPhase, type TicketValue } from '../../core/run/tickets.js';
import type { EntryRow, Transition } from '../../store/contract.js';
import type { LimitFacts } from '../api.js';
import type { EngineContext } from '../context.js';
import { runKey } from '../runs/committed.js';
import type { JobOutcome, LaneJob } from '../runs/lanes.js';
import { grantOf } from '../models/admission.js';
import { callerOf } from '../models/model-door.js';
import { systemTenant } from '../system-tenant.js';
import { HeldDuty, renewMs } from '../upkeep/held-duty.js';
import { moveFence, readCounters, readFence, readHolders, readSpace, type Holder } from './counter-rows.js';
import { Desk, type Doors, type Plan } from './desk.js';
import type { LimitRules } from './limit-rules.js';
import {
  readSettledValue,
  readTicketValue,
  type ResolveTicket,
  type SettledTicket,
  type TicketKey,
} from './ticket-rows.js';

export interface CoordinatorOptions {
  readonly context: EngineContext;
  readonly rules: LimitRules;
  readonly resolve: ResolveTicket;
  readonly doors: Doors;
  readonly lanes: { submit(job: LaneJob): Promise<JobOutcome> };
}

export class Coordinator {
  readonly #context: EngineContext;
  readonly #rules: LimitRules;
  readonly #lanes: CoordinatorOptions['lanes'];
  readonly #resolveTicket: ResolveTicket;
  readonly #desk: Desk;
  readonly #doors: Doors;
  /** Value of the fence as this server has written it; null = it has not, and knows nothing. */
  #fence: string | null = null;
  #writes = 0;
  /** There is something in the store that only a coordinator sees to. */
  #isNeeded = false;
  readonly #duty: HeldDuty;
  #sweepAtMs = Number.NEGATIVE_INFINITY;
  #sweepNow = false;
  /** Runs of neighbours that have moved, and were not looked at. */
  readonly #moved = new Map<string, { readonly tenant: string; readonly run: string }>();
  /** Tenants of whom more waits than is kept in memory. */
  readonly #partial = new Set<string>();
  #round: Promise<void> | null = null;
  #again = false;
  #isWoken = false;
  #alarm: CancelTimer | null = null;
  #alarmAtMs = Number.POSITIVE_INFINITY;
  #stopped = false;
  readonly #following = new Set<Promise<void>>();
  /** Something has failed that memory does not know the outcome of. */
  #isInDoubt = false;

  constructor({ context, rules, resolve, doors, lanes }: CoordinatorOptions) {
    this.#context = context;
    this.#rules = rules;
    this.#lanes = lanes;
    this.#doors = doors;
    this.#desk = new Desk(rules, context.ports.hash, resolve, doors);
    this.#resolveTicket = resolve;
    this.#duty = new HeldDuty(context, 'admission');
  }

  /** Whether this server grants at present; for tests and metrics. */
  get isCoordinating(): boolean {
    return this.#fence !== null;
  }

  /** See `Engine.limitFacts`. */
  facts(): readonly LimitFacts[] {
    return this.#fence === null ? none : this.#desk.facts(this.#context.store.now());
  }

  /** Transitions were applied here: tickets that they have moved are seen to at once. */
  committed(transitions: readonly Transition[]): void {
    let any = false;
    for (const { tenant, entries = none } of transitions)
      for (const write of entries) {
        if (write.space !== ticketSpace) continue;
        any = true;
        if (this.#fence !== null) this.#hear({ tenant, ref: write.ref }, write);
      }
    if (!any) return;
    this.#isNeeded = true;
    this.#wake();
  }

  /** Another server has moved the run. */
  moved(tenant: string, run: string): void {
    if (this.#fence === null || run.includes('/')) return;
    this.#moved.set(runKey(tenant, run), { tenant, run });
    this.#alarmIn(gatherMs);
  }

  /** Limits were changed here. */
  async limitsChanged(): Promise<void> {
    await this.#rules.refresh();
    this.#wake();
  }

  /** A round of the duty; resolves when what can be granted now is granted. */
  async tick(): Promise<void> {
    if (this.#stopped) return;
    if (this.#round === null) {
      this.#round = this.#rounds().finally(() => {
        this.#round = null;
      });
    } else this.#again = true;
    await this.#round;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#alarm?.();
    await this.#round?.catch(() => undefined);
    await Promise.all(this.#following);
  }

  #hear(key: TicketKey, write: { readonly op: 'put' | 'drop'; readonly key: string; readonly value?: string }): void {
    const phase = write.key as TicketPhase;
    if (phase === 'waiting' && write.op === 'put') this.#keep(key, write.value ?? '');
    else if (phase === 'waiting') this.#desk.remove(key);
    else if (phase === 'settled' && write.op === 'put') this.#desk.settle(settledOf(key, write.value ?? ''));
  }

  /** Beyond what is kept of a tenant, the store keeps them. */
  #keep(key: TicketKey, value: string): void {
    if (this.#partial.has(key.tenant) || this.#desk.knows(key)) return;
    this.#desk.add(key, readTicketValue(value));
    if (this.#desk.waiting % partialCheckEvery === 0 && this.#desk.waitingOf(key.tenant) >= limits.admissionTicketsMax)
      this.#partial.add(key.tenant);
  }

  /** What is said in one turn is seen to in one round. */
  #wake(): void {
    if (this.#stopped || this.#isWoken) return;
    this.#isWoken = true;
    this.#context.ports.timers.turn(() => {
      this.#isWoken = false;
      this.#run();
    });
  }

  #run(): void {
    this.tick().catch((error: unknown) => this.#context.fault('admission', error));
  }

  #alarmIn(ms: number): void {
    if (this.#stopped) return;
    const { clock, timers } = this.#context.ports;
    const atMs = clock.monotonicMs() + Math.max(0, ms);
    if (atMs >= this.#alarmAtMs) return;
    this.#alarm?.();
    this.#alarmAtMs = atMs;
    this.#alarm = timers.after(Math.max(0, ms), () => {
      this.#alarm = null;
      this.#alarmAtMs = Number.POSITIVE_INFINITY;
      this.#run();
    });
  }

  async #rounds(): Promise<void> {
    do {
      this.#again = false;
      if (!(await this.#isWanted())) return;
      if (!(await this.#duty.hold())) return this.#forget();
      try {
        if (this.#isInDoubt) this.#forget();
        if (this.#fence === null && !(await this.#takeOver())) return;
        await this.#look();
        await this.#grant();
      } catch (error) {
        // What was written is not known: all of it is read anew.
        this.#forget();
        throw error;
      }
    } while (this.#again && !this.#stopped);
  }

  /** Where nothing is limited, nothing is asked of the store. */
  async #isWanted(): Promise<boolean> {
    if (this.#isNeeded) return true;
    const nowMs = this.#context.ports.clock.monotonicMs();
    if (this.#rules.inForce.size === 0 && nowMs < this.#sweepAtMs) return false;
    this.#sweepAtMs = nowMs + idleSweepMs;
    await this.#rules.refresh();
    this.#isNeeded = this.#rules.inForce.size > 0 || (await readFence(this.#context.store)) !== null;
    if (this.#isNeeded) this.#sweepAtMs = Number.NEGATIVE_INFINITY;
    return this.#isNeeded;
  }

  #forget(): void {
    this.#fence = null;
    this.#isInDoubt = false;
    this.#desk.clear();
    this.#moved.clear();
    this.#partial.clear();
  }

  /** Moves the fence, after which nobody else can write, and reads what there is. False = somebody was quicker. */
  async #takeOver(): Promise<boolean> {
    const { store } = this.#context;
    this.#forget();
    const fence = this.#nextFence();
    const taken = await store.apply([
      { tenant: systemTenant, entries: [moveFence(await readFence(store), fence, store.now())] },
    ]);
    if (taken[0]?.tag !== 'applied') return false;
    await this.#rules.refresh();
    const [counters, holders] = await Promise.all([readCounters(store), readHolders(store)]);
    for (const counter of counters) this.#desk.restoreCounter(counter);
    for (const holder of holders) this.#desk.restoreHolder(holder);
    // From here on news of commits is taken up; what was committed before is in what is read now.
    this.#fence = fence;
    await this.#sweep(true);
    return true;
  }

  #nextFence(): string {
    this.#writes += 1;
    return `${this.#context.store.epoch}.${this.#writes}`;
  }

  /** Takes up what is news, by word of neighbours or by looking for it. */
  async #look(): Promise<void> {
    const nowMs = this.#context.ports.clock.monotonicMs();
    if (nowMs >= this.#sweepAtMs || this.#sweepNow) {
      this.#moved.clear();
      await this.#rules.refresh();
      await this.#sweep(false);
      return;
    }
    const moved = [...this.#moved.values()];
    this.#moved.clear();
    for (let i = 0; i < moved.length; i += lookAtOnce)
      await Promise.all(moved.slice(i, i + lookAtOnce).map(({ tenant, run }) => this.#lookAt(tenant, run)));
  }

  async #lookAt(tenant: string, run: string): Promise<void> {
    // Only forward: what is not seen to wait any more, is seen granted or settled.
    const waiting = await this.#ticketsOf(tenant, run, 'waiting');
    const settled = await this.#ticketsOf(tenant, run, 'settled');
    const refs = new Set(waiting.map(({ ref }) => ref));
    for (const ticket of this.#desk.ofRun(runKey(tenant, run))) if (!refs.has(ticket.ref)) this.#desk.remove(ticket);
    for (const { ref, value } of waiting) this.#keep({ tenant, ref }, value);
    for (const { ref, value } of settled) this.#desk.settle(settledOf({ tenant, ref }, value));
  }

  async #ticketsOf(tenant: string, run: string, phase: TicketPhase): Promise<EntryRow[]> {
    const found: EntryRow[] = [];
    let ref = `${run}/`;
    for (;;) {
      const page: readonly EntryRow[] = await this.#context.store.readEntries({
        tenant,
        space: ticketSpace,
        key: phase,
        after: { key: phase, ref },
        limit: pageRows,
      });
      const ours = page.filter((row) => runOfTicket(row.ref) === run);
      found.push(...ours);
      ref = page.at(-1)?.ref ?? '';
      if (ours.length < pageRows) return found;
    }
  }

  /**
   * Looks through the tickets of all tenants, for what nobody has told of. `isFirst`: also of what is held it is not known
   * how it stands.
   */
  async #sweep(isFirst: boolean): Promise<void> {
    const { store, ports } = this.#context;
    this.#sweepNow = false;
    this.#sweepAtMs = ports.clock.monotonicMs() + sweepEveryMs;
    const holders = new Map<string, Holder[]>();
    for (const holder of this.#desk.holders())
      holders.set(holder.tenant, [...(holders.get(holder.tenant) ?? []), holder]);
    // What is left of runs that have ended is taken up when the coordinator changes.
    const live = (await store.readTally()).filter(({ kind, state }) => isFirst || (kind === 'run' && isOpen(state)));
    const tenants = new Set([...live.map(({ tenant }) => tenant), ...holders.keys()]);
    for (const tenant of tenants) {
      const waiting = await this.#readWaiting(tenant);
      const granted = isFirst ? await readSpace(store, tenant, ticketSpace, 'granted') : [];
      const settled = await readSpace(store, tenant, ticketSpace, 'settled');
      for (const { ref, value } of settled) this.#desk.settle(settledOf({ tenant, ref }, value));
      if (!isFirst) continue;
      const known = new Set([...granted, ...settled].map(({ ref }) => ref));
      const open = (holders.get(tenant) ?? []).filter(({ ref }) => !known.has(ref));
      const asked = new Map(waiting.map(({ ref, value }) => [ref, value]));
      for (const holder of open) await this.#resume(holder, asked.get(holder.ref));
    }
    this.#desk.tidy(store.now());
    await this.#dropOwned();
  }

  async #readWaiting(tenant: string): Promise<EntryRow[]> {
    const most = limits.admissionTicketsMax;
    const rows = await readSpace(this.#context.store, tenant, ticketSpace, 'waiting', most);
    if (rows.length < most) this.#partial.delete(tenant);
    for (const { ref, value } of rows)
      if (!this.#desk.knows({ tenant, ref })) this.#desk.add({ tenant, ref }, readTicketValue(value));
    if (rows.length >= most) this.#partial.add(tenant);
    return rows;
  }

  /** Somebody has given it shares, and was stopped before it was recorded that the run may go on. */
  async #resume(holder: Holder, value: string | undefined): Promise<void> {
    const [row] = value === undefined ? await this.#ticketAt(holder, 'waiting') : [{ value }];
    if (row === undefined) return this.#follow(this.#resolve(holder));
    this.#admit(holder, readTicketValue(row.value));
  }

  /** Counters of runs that will never ask again. */
  async #dropOwned(): Promise<void> {
    const { store } = this.#context;
    for (const [key, { tenant, run }] of this.#desk.ownedCounters(ownedAtOnce)) {
      const row = await store.readRun(tenant, run);
      if (row === null || row.status === 'succeeded' || row.status === 'refused') this.#desk.dropCounter(key);
    }
  }

  /** Writes what can be decided now, batch by batch. */
  async #grant(): Promise<void> {
    const { store } = this.#context;
    for (;;) {
      if (this.#stopped || this.#fence === null) return;
      const plan = this.#desk.plan(store.now(), limits.admissionBatchMax);
      if (plan.entries.length > 0) {
        const fence = this.#nextFence();
        const [outcome] = await store.apply([
          { tenant: systemTenant, entries: [moveFence(this.#fence, fence, store.now()), ...plan.entries] },
        ]);
        if (outcome?.tag !== 'applied') {
          // Another server has taken over.
          this.#forget();
          this.#duty.doubt();
          return this.#alarmIn(renewMs);
        }
        this.#fence = fence;
      }
      this.#carryOut(plan);
      if (plan.isFull) continue;
      if (plan.nextAt !== null) this.#alarmIn(Math.min(sleepMaxMs, Math.max(1, plan.nextAt - store.now())));
      return;
    }
  }

  #carryOut({ granted, settled }: Plan): void {
    for (const { ticket } of granted) this.#admit(ticket, ticket.value);
    const drops = new Map<string, SettledTicket[]>();
    for (const one of settled) if (one.hasEntry) drops.set(one.tenant, [...(drops.get(one.tenant) ?? []), one]);
    if (drops.size > 0) this.#follow(this.#drop(drops));
    for (const tenant of this.#partial)
      if (this.#desk.waitingOf(tenant) < limits.admissionTicketsMax / 2) this.#sweepNow = this.#again = true;
  }

  /** The counters have them; whoever looks again finds no holder, and drops them as well. */
  async #drop(drops: ReadonlyMap<string, readonly SettledTicket[]>): Promise<void> {
    await this.#context.store.apply(
      [...drops].map(([tenant, tickets]) => ({
        tenant,
        entries: tickets.map(({ ref }) => ({ op: 'drop', space: ticketSpace, key: 'settled', ref }) as const),
      })),
    );
  }

  /** Lets the run go on. */
  #admit(ticket: TicketKey, value: TicketValue): void {
    const { tenant, ref } = ticket;
    const run = runOfTicket(ref);
    const command = this.#commandOf(ticket, value);
    // Nobody knows the model any more. What it was given it keeps until somebody does, or nobody wants it.
    if (command === null) return;
    const submitted = this.#lanes
      .submit({
        key: runKey(tenant, run),
        tenant,
        run,
        commands: [command],
        actor: 'engine',
        worker: '',
        lease: null,
      })
      .then((outcome) => (outcome.tag === 'applied' ? undefined : this.#resolve(ticket)));
    this.#follow(submitted);
  }

  #commandOf(ticket: TicketKey, value: TicketValue): LaneJob['commands'][number] | null {
    const { path, attempt } = value;
    const holder = this.#desk.holderOf(ticket);
    const keys = holder?.shares.map(({ key }) => key) ?? [];
    const reservedAt = holder?.at ?? this.#context.store.now();
    if (value.kind === 'call') return { op: 'admitCall', path, task: value.task, attempt, limits: keys, reservedAt };
    const candidate = this.#resolveTicket(ticket, value)?.candidate ?? null;
    if (candidate === null) return null;
    const caller = callerOf({ tenant: ticket.tenant, run: runOfTicket(ticket.ref), path, attempt });
    const probe = this.#doors.probeOf(candidate.version.endpoint, caller);
    return { op: 'admitInference', path, attempt, grant: grantOf(candidate, keys, probe), reservedAt };
  }

  /** The run has not taken what it was given, or had it already: looks what has become of the ticket. */
  async #resolve(ticket: TicketKey): Promise<void> {
    for (const phase of ['waiting', 'granted', 'settled'] as const) {
      const [row] = await this.#ticketAt(ticket, phase);
      if (row === undefined) continue;
      // It may have been a store in trouble: who waits and has shares is let go on later.
      if (phase === 'waiting') {
        this.#context.ports.timers.after(resumeAfterMs, () => {
          if (this.#fence !== null && !this.#stopped && this.#desk.isHeld(ticket))
            this.#admit(ticket, readTicketValue(row.value));
        });
      }
      return;
    }
    if (this.#fence === null) return;
    this.#desk.settle({ tenant: ticket.tenant, ref: ticket.ref, settlement: unbegun, hasEntry: false });
    this.#wake();
  }

  async #ticketAt({ tenant, ref }: TicketKey, phase: TicketPhase): Promise<EntryRow[]> {
    return (await this.#ticketsOf(tenant, runOfTicket(ref), phase)).filter((row) => row.ref === ref);
  }

  #follow(work: Promise<void>): void {
    const followed = work
      .catch((error: unknown) => {
        this.#context.fault('admission', error);
        // What has become of it is found out when all is read anew.
        this.#isInDoubt = true;
        this.#alarmIn(resumeAfterMs);
      })
      .finally(() => this.#following.delete(followed));
    this.#following.add(followed);
  }
}

function settledOf(key: TicketKey, value: string): SettledTicket {
  return { ...key, settlement: readSettledValue(value), hasEntry: true };
}

function isOpen(state: string): boolean {
  return state === 'active' || state === 'waiting';
}

const none: readonly never[] = [];
const pageRows = 200;
/** Runs of neighbours that are looked at side by side, and how long they are gathered. */
const lookAtOnce = 16;
const gatherMs = 15;
/** How often all is looked through, while there are limits and while there are none. */
const sweepEveryMs = 10_000;
const idleSweepMs = 10_000;
/** The store's clock may be set while somebody sleeps by it. */
const sleepMaxMs = 1_000;
const resumeAfterMs = 250;
const ownedAtOnce = 50;
/** How often it is counted whether a tenant has too many tickets for memory. */
const partialCheckEvery = 256;

/** Pause between two rounds that nothing has asked for. */
export const admissionEveryMs = 1_000;
