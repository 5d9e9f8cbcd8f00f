/**
 * Brings the events of a topic of ours out to a bus. The log is the outbox: one server at a time reads each partition from
 * where the bridge stands, has one batch of it with the bus, and moves on behind what the bus says it has taken. A crash in
 * between sends events again, with the same id.
 *
 * Invariant: the position of a partition stands behind an event only when the bus has taken it or it is a dead event; what
 * is sent again begins with the first event that is not behind it, so that a key keeps its order.
 */
import type { OutboundBridge } from '../../core/topics/bridge.js';
import type { Bus, BusMessage, BusPublished } from '../../bus/port.js';
import { SpineError } from '../../core/errors.js';
import { topicStream, type EventRow, type Transition } from '../../store/contract.js';
import type { CommitAnswer } from '../runs/committer.js';
import { deadEventWrites, withAdded } from '../topics/dead-events.js';
import { readLow } from '../topics/low-water.js';
import { HeldDuty } from '../upkeep/held-duty.js';
import type { BridgeDeps } from './inbound.js';
import { deathOfEvent, messageOf } from './outgoing.js';
import { Pauses } from './pauses.js';
import { Positions } from './positions.js';
import { BridgeTally } from './tally.js';

/** An event and its message, or why it has none. */
interface Sending {
  readonly row: EventRow;
  readonly message: BusMessage | Error;
}

export class Outbound {
  readonly tally: BridgeTally;
  readonly #deps: BridgeDeps;
  readonly #bridge: OutboundBridge;
  readonly #open: () => Promise<Bus>;
  readonly #positions: Positions;
  readonly #pauses: Pauses;
  readonly #duty: HeldDuty;
  /** The positions are those of the store, as far as this server can know. */
  #fresh = false;
  #bus: Bus | null = null;
  #wake: (() => void) | null = null;
  #moved = true;
  #running: Promise<void> | null = null;
  #stopped = false;

  constructor(deps: BridgeDeps, bridge: OutboundBridge, open: () => Promise<Bus>) {
    const { context } = deps;
    this.#deps = deps;
    this.#bridge = bridge;
    this.#open = open;
    this.#positions = new Positions(context.store, bridge.tenant, bridge.name);
    this.#pauses = new Pauses(context.ports);
    this.tally = new BridgeTally(context, bridge.name);
    this.#duty = new HeldDuty(context, `bridge:${bridge.tenant}:${bridge.name}`, () => {
      // Whoever had it meanwhile has moved the positions on.
      this.#fresh = false;
    });
  }

  get bridge(): OutboundBridge {
    return this.#bridge;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Resolves when no batch is under way and the bus is let go. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#pauses.stop();
    this.#wake?.();
    await this.#running;
    this.tally.is('stopped');
  }

  /** Something was published to the topic. */
  moved(tenant: string, topic: string): void {
    if (tenant !== this.#bridge.tenant || topic !== this.#bridge.topic) return;
    this.#moved = true;
    this.#wake?.();
  }

  /** Sets lag by what is known of heads and positions. */
  async refresh(): Promise<void> {
    const { store } = this.#deps.context;
    const { tenant, topic } = this.#bridge;
    const heads = (await store.listTopics(tenant)).filter((head) => head.topic === topic);
    const refs = heads.map(({ partition }) => topicStream(topic, partition));
    // A reader of its own: those of the relay are moved by it alone.
    const nexts = await new Positions(store, tenant, this.#bridge.name).read(refs);
    this.tally.lag = await Promise.all(
      heads.map(async ({ partition, head }, i) => {
        const next = nexts[i] ?? 0n;
        const count = BigInt(head) > next ? BigInt(head) - next : 0n;
        const stream = topicStream(topic, partition);
        const [oldest] =
          count === 0n ? [] : await store.readEvents({ tenant, stream, after: Number(next) - 1, limit: 1 });
        return { partition, count, ageMs: oldest === undefined ? null : Math.max(0, store.now() - oldest.at) };
      }),
    );
  }

  /** Goes on at another offset of a partition, perhaps sending again what the bus has. */
  async seek(partition: number, offset: bigint): Promise<void> {
    const { store } = this.#deps.context;
    const ref = topicStream(this.#bridge.topic, partition);
    const entries = [this.#positions.set(ref, offset, store.now())];
    const [outcome] = await store.apply([{ tenant: this.#bridge.tenant, entries }]);
    if (outcome?.tag !== 'applied') throw new SpineError('STORE_BUSY', {});
    this.moved(this.#bridge.tenant, this.#bridge.topic);
  }

  positions(): readonly { readonly ref: string; readonly next: bigint }[] {
    return this.#positions.all();
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      try {
        if (!(await this.#duty.hold())) {
          this.tally.is('standby');
          await this.#letGo();
          // What is published is the business of whoever has the duty.
          await this.#pauses.wait(lookEveryMs);
          continue;
        }
        this.#moved = false;
        if (!(await this.#round())) await this.#rest();
        this.#pauses.reset();
      } catch (error) {
        if (this.#stopped) break;
        this.tally.is('failed', error);
        await this.#letGo();
        await this.#pauses.wait(this.#pauses.nextMs());
      }
    }
    await this.#letGo();
  }

  /** One batch of each partition, side by side. False = there was nothing to send. */
  async #round(): Promise<boolean> {
    const { store, ports } = this.#deps.context;
    const { tenant, topic } = this.#bridge;
    if (this.#deps.catalog.topic(topic) === null) {
      this.tally.is('waiting', new SpineError('TOPIC_UNKNOWN', { name: topic, known: [] }));
      await this.#deps.look();
      return false;
    }
    const heads = (await store.listTopics(tenant)).filter((head) => head.topic === topic);
    if (!this.#fresh) await this.#begin(heads);
    const behind = heads.filter(({ partition, head }) => this.#nextOf(partition) < BigInt(head));
    this.tally.is('running');
    if (behind.length === 0) return false;
    this.#bus ??= await this.#connect();
    const bus = this.#bus;
    const untilMs = ports.clock.monotonicMs() + roundMs;
    await Promise.all(
      behind.map(async ({ partition, head }) => {
        while (this.#nextOf(partition) < BigInt(head) && ports.clock.monotonicMs() < untilMs && !this.#stopped)
          if (!(await this.#send(bus, partition))) return;
      }),
    );
    return true;
  }

  async #connect(): Promise<Bus> {
    const { outside, partitions } = this.#bridge;
    const bus = await this.#open();
    try {
      if (partitions !== null) await bus.ensure([{ name: outside, partitions }]);
      return bus;
    } catch (error) {
      await bus.close().catch(() => undefined);
      throw error;
    }
  }

  /** Reads the positions; those of a bridge that begins are written, so that it begins there whenever it is first run. */
  async #begin(heads: readonly { readonly partition: number; readonly head: number }[]): Promise<void> {
    const { store } = this.#deps.context;
    const { tenant, topic, from } = this.#bridge;
    const count = this.#deps.catalog.topic(topic)?.manifest.partitions ?? 0;
    const partitions = [...new Set([...Array(count).keys(), ...heads.map(({ partition }) => partition)])];
    const refs = partitions.map((partition) => topicStream(topic, partition));
    const nexts = await this.#positions.read(refs);
    const at = store.now();
    const starts = partitions.flatMap((partition, i) => {
      if ((nexts[i] ?? null) !== null) return [];
      const head = heads.find((one) => one.partition === partition)?.head ?? 0;
      return [{ ref: topicStream(topic, partition), next: from === 'newest' ? BigInt(head) : 0n }];
    });
    if (starts.length > 0) {
      const entries = starts.map(({ ref, next }) => this.#positions.move(ref, next, at));
      const [outcome] = await store.apply([{ tenant, entries }]);
      if (outcome?.tag !== 'applied') throw new SpineError('STORE_BUSY', {});
      for (const { ref, next } of starts) this.#positions.moved(ref, next);
    }
    this.#fresh = true;
  }

  #nextOf(partition: number): bigint {
    return this.#positions.next(topicStream(this.#bridge.topic, partition)) ?? 0n;
  }

  /** Sends the next batch of a partition and moves on behind what was taken. False = there is none. */
  async #send(bus: Bus, partition: number): Promise<boolean> {
    const { store } = this.#deps.context;
    const { tenant, topic, batchMax } = this.#bridge;
    const stream = topicStream(topic, partition);
    const after = Number(this.#nextOf(partition)) - 1;
    const limit = Math.min(batchMax, bus.caps.batchMax);
    const rows = await store.readEvents({ tenant, stream, after, limit });
    await this.#noteGap(partition, after + 1, rows[0]?.seq);
    const last = rows.at(-1);
    if (last === undefined) return false;
    const sendings = await Promise.all(rows.map((row) => this.#sendingOf(bus, row)));
    const messages = sendings.flatMap(({ message }) => (message instanceof Error ? [] : [message]));
    const answers = messages.length === 0 ? [] : await bus.publish(messages);
    const { taken, dead, failure } = prefixOf(sendings, answers);
    const next = taken === sendings.length ? last.seq + 1 : (sendings[taken]?.row.seq ?? last.seq);
    if (taken > 0) await this.#moveTo(partition, BigInt(next), dead);
    this.tally.moved += taken - dead.length;
    if (failure !== null) throw failure;
    return true;
  }

  /** Offsets have holes where events gave way to later ones of their key. What retention has taken is told of. */
  async #noteGap(partition: number, wanted: number, first: number | undefined): Promise<void> {
    if (first === undefined || first === wanted) return;
    const { store, log } = this.#deps.context;
    const { tenant, topic, name } = this.#bridge;
    const { low } = (await readLow(store, { tenant, topic, partition })).low;
    if (low <= wanted) return;
    const until = Math.min(low, first);
    this.tally.missed += until - wanted;
    log({
      level: 'error',
      message: `events were gone before bridge ${name} had brought them out`,
      fields: { topic, partition, from: wanted, to: until - 1 },
    });
  }

  async #sendingOf(bus: Bus, row: EventRow): Promise<Sending> {
    try {
      return { row, message: await messageOf(this.#deps.context.store, this.#bridge, row, bus.caps.bytesMax) };
    } catch (error) {
      if (error instanceof SpineError && (error.kind === 'invalid' || error.kind === 'terminal'))
        return { row, message: error };
      throw error;
    }
  }

  async #moveTo(partition: number, next: bigint, dead: readonly Dead[]): Promise<void> {
    const { context, catalog, lanes } = this.#deps;
    const { tenant, topic, name } = this.#bridge;
    const ref = topicStream(topic, partition);
    const to = { tenant, actor: `bridge:${name}`, mirror: this.#bridge.dead ?? null };
    const deaths = dead.map(({ row, error }) =>
      deadEventWrites({ context, catalog }, deathOfEvent(this.#bridge, partition, row, error), to),
    );
    const entries = [this.#positions.move(ref, next, context.store.now())];
    const transition: Transition = withAdded({ tenant, entries }, deaths);
    const births = deaths.flatMap((one) => one.births);
    const answer = await new Promise<CommitAnswer>((settle) =>
      lanes.bear({ births, transition, actor: to.actor, settle }),
    );
    if (answer.tag === 'applied') {
      this.#positions.moved(ref, next);
      this.tally.dead += dead.length;
      return;
    }
    // Another has relayed the same, or an operator has moved it: what is there now counts.
    this.#fresh = false;
    this.#duty.doubt();
    if (answer.tag === 'failed') throw answer.error;
    if (answer.tag !== 'conflict') throw new Error(`The position could not be moved: ${JSON.stringify(answer)}`);
    await this.#positions.read([ref]);
  }

  /** Waits for something to send. */
  async #rest(): Promise<void> {
    if (this.#moved || this.#stopped) return;
    await new Promise<void>((resolve) => {
      const cancel = this.#deps.context.ports.timers.after(lookEveryMs, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
    this.#wake = null;
  }

  async #letGo(): Promise<void> {
    const bus = this.#bus;
    this.#bus = null;
    await bus?.close().catch((error: unknown) => this.#deps.context.fault(`bridge ${this.#bridge.name}`, error));
  }
}

interface Dead {
  readonly row: EventRow;
  readonly error: Error;
}

/** How many, from the first on, are taken or dead, and what has failed behind them. */
function prefixOf(
  sendings: readonly Sending[],
  answers: readonly BusPublished[],
): { readonly taken: number; readonly dead: readonly Dead[]; readonly failure: Error | null } {
  const dead: Dead[] = [];
  let answered = 0;
  for (const [i, { row, message }] of sendings.entries()) {
    if (message instanceof Error) {
      dead.push({ row, error: message });
      continue;
    }
    const answer = answers[answered];
    answered += 1;
    if (answer === undefined) return { taken: i, dead, failure: new Error('The bus gave fewer answers than messages') };
    if (answer.tag === 'published') continue;
    if (answer.retryable) return { taken: i, dead, failure: answer.error };
    dead.push({ row, error: answer.error });
  }
  return { taken: sendings.length, dead, failure: null };
}

/** How long one round goes on before the duty is asked for again. */
const roundMs = 1_000;
/** Pause between two looks that nothing has asked for. */
const lookEveryMs = 1_000;
