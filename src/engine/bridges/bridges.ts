/** The bridges of one server: started with its engine, stopped before the store is closed, and told of what is published. */
import { SpineError } from '../../core/errors.js';
import type { Bridge } from '../../core/topics/bridge.js';
import type { DeadEvent } from '../../core/topics/dead-event.js';
import type { Bus } from '../../bus/port.js';
import type { BridgeView } from '../../protocol/http.js';
import type { Transition } from '../../store/contract.js';
import type { BridgeFacts, Origin } from '../api.js';
import type { AddedWrites } from '../topics/dead-events.js';
import { Inbound, type BridgeDeps } from './inbound.js';
import { Outbound } from './outbound.js';

/** A bridge that a server is to run. */
export interface BridgeSetup {
  readonly bridge: Bridge;
  /** Connects a client of the bus, of the bridge's own; called again after failures. */
  readonly open: () => Promise<Bus>;
}

export class Bridges {
  readonly #deps: BridgeDeps;
  readonly #all: readonly (Inbound | Outbound)[];

  constructor(deps: BridgeDeps, setups: readonly BridgeSetup[]) {
    this.#deps = deps;
    this.#all = setups.map(({ bridge, open }) =>
      bridge.direction === 'in' ? new Inbound(deps, bridge, open) : new Outbound(deps, bridge, open),
    );
  }

  get any(): boolean {
    return this.#all.length > 0;
  }

  start(): void {
    for (const one of this.#all) one.start();
  }

  async stop(): Promise<void> {
    await Promise.all(this.#all.map((one) => one.stop()));
  }

  /** Transitions were applied here. */
  published(transitions: readonly Transition[]): void {
    if (this.#all.length === 0) return;
    for (const { tenant, publishes = [] } of transitions) for (const { topic } of publishes) this.#moved(tenant, topic);
  }

  /** A neighbour has added to a stream. */
  moved(tenant: string, stream: string): void {
    const slash = stream.lastIndexOf('/');
    if (slash > 0 && this.#all.length > 0) this.#moved(tenant, stream.slice(0, slash));
  }

  /** Names of the bridges that go out of a topic. */
  outgoing(tenant: string, topic: string): string[] {
    return this.#all.flatMap(({ bridge }) =>
      bridge.direction === 'out' && bridge.tenant === tenant && bridge.topic === topic ? [bridge.name] : [],
    );
  }

  /** Looks how far each is behind. */
  async tick(): Promise<void> {
    const looks = await Promise.allSettled(this.#all.map((one) => one.refresh()));
    for (const [i, look] of looks.entries())
      if (look.status === 'rejected')
        this.#deps.context.log({
          level: 'debug',
          message: `the lag of bridge ${this.#all[i]?.bridge.name ?? ''} is not known`,
          fields: { reason: String(look.reason) },
        });
  }

  list(): BridgeView[] {
    return this.#all.map(viewOf);
  }

  /** Goes on elsewhere. Throws BRIDGE_UNKNOWN, and BRIDGES_INVALID where the partition is not known. */
  async seek(actor: string, name: string, partition: number, offset: bigint): Promise<BridgeView> {
    const found = this.#all.find(({ bridge }) => bridge.name === name);
    if (found === undefined)
      throw new SpineError('BRIDGE_UNKNOWN', { name, known: this.#all.map(({ bridge }) => bridge.name) });
    await found.seek(partition, offset);
    this.#deps.context.log({
      level: 'warn',
      message: `bridge ${name} was set to another offset`,
      fields: { by: actor, partition, offset: String(offset) },
    });
    return viewOf(found);
  }

  facts(): BridgeFacts[] {
    return this.#all.map(({ bridge, tally }) => ({
      bridge: bridge.name,
      direction: bridge.direction,
      state: tally.state,
      moved: tally.moved,
      duplicates: tally.duplicates,
      dead: tally.dead,
      missed: tally.missed,
      lag: tally.lag.reduce((sum, { count }) => sum + Number(count), 0),
      lagAgeMs: Math.max(0, ...tally.lag.map(({ ageMs }) => ageMs ?? 0)),
    }));
  }

  /** Why bridges do not do their work, where they have not for a while. */
  faults(afterMs: number): string[] {
    const nowMs = this.#deps.context.ports.clock.monotonicMs();
    return this.#all
      .filter(({ tally }) => tally.state === 'failed' && nowMs - tally.sinceMs >= afterMs)
      .map(({ bridge, tally }) => `Bridge ${bridge.name} does not work: ${tally.error ?? 'it has failed'}`);
  }

  /** The way back of dead events that came in by a bridge. */
  async redrive(origin: Origin, dead: DeadEvent): Promise<AddedWrites | null> {
    for (const one of this.#all)
      if (one instanceof Inbound && one.bridge.tenant === origin.tenant && dead.source === `bridge:${one.bridge.name}`)
        return one.redrive(dead);
    return null;
  }

  #moved(tenant: string, topic: string): void {
    for (const one of this.#all) if (one instanceof Outbound) one.moved(tenant, topic);
  }
}

function viewOf(one: Inbound | Outbound): BridgeView {
  const { bridge, tally } = one;
  return {
    name: bridge.name,
    direction: bridge.direction,
    bus: bridge.bus,
    tenant: bridge.tenant,
    topic: bridge.topic,
    outside: bridge.outside,
    state: tally.state,
    error: tally.error,
    moved: tally.moved,
    duplicates: tally.duplicates,
    dead: tally.dead,
    missed: tally.missed,
    lag: tally.lag.map(({ partition, count, ageMs }) => ({ partition, count: Number(count), ageMs })),
    positions: one.positions().map(({ ref, next }) => ({ partition: ref, next: String(next) })),
  };
}
