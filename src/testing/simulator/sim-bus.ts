/**
 * The bus outside of a simulated installation, for worlds that have bridges: a broker that never fails by itself, senders
 * that send things twice and send rubbish, and clients that die, stop and lose answers with the servers that they are in.
 *
 * Invariant: what happens in a client of a server happens in the time of that server's process, or not at all.
 */
import type { Bus, BusDelivery, BusPublished } from '../../bus/port.js';
import type { Ports } from '../../core/ports.js';
import {
  bridgeOffsetSpace,
  type BridgePosition,
  type InboundBridge,
  type OutboundBridge,
} from '../../core/topics/bridge.js';
import { deadEventSpace } from '../../core/topics/dead-event.js';
import type { BridgeSetup } from '../../engine/index.js';
import { encodeEventMessage } from '../../protocol/cloudevents-messages.js';
import { topicStream, type EntryRow, type Store } from '../../store/index.js';
import { MemoryBroker, type MemoryBus } from '../bus/memory-bus.js';
import type { FaultMeter } from './fault-meter.js';
import type { BridgedHistory, History, SentMessage } from './history.js';
import type { Prng } from './prng.js';
import type { SimProcess } from './process.js';
import { watchProgram } from './scripted-body.js';
import type { World } from './world.js';

/** Planted bugs of an adapter. */
export type BusFlaw =
  /** Tells the bus how far a batch goes before it is stored. */
  | 'commits first'
  /** Says that everything is published. */
  | 'says yes'
  /** Sends what comes after a message that was refused. */
  | 'overtakes';

/** The tenant of the bridges. */
export const bridgedTenant = 'acme';
const outsideIn = 'shop';
const outsideOut = 'ledger';
/** The topic of ours, whose events start runs: what comes in goes out again, with what clients and runs publish. */
const topicIn = 'seen';
const topicOut = topicIn;
/** Source of what senders send. */
export const outsideSource = '/outside';

const inbound: InboundBridge = {
  direction: 'in',
  name: 'in',
  bus: 'sim',
  tenant: bridgedTenant,
  topic: topicIn,
  outside: outsideIn,
  batchMax: 4,
  group: 'servers',
  from: 'oldest',
  accepts: 'cloudevents',
};
const outbound: OutboundBridge = {
  direction: 'out',
  name: 'out',
  bus: 'sim',
  tenant: bridgedTenant,
  topic: topicOut,
  outside: outsideOut,
  batchMax: 4,
  from: 'oldest',
  mode: 'binary',
  partitions: 2,
};

export interface SimBusOptions {
  readonly world: World;
  readonly meter: FaultMeter;
  readonly history: History;
  /** Over how long messages are sent, ms. */
  readonly spreadMs: number;
  readonly flaw: BusFlaw | null;
}

/** See the head of this file. */
export class SimBus {
  readonly #options: SimBusOptions;
  readonly #prng: Prng;
  readonly #broker: MemoryBroker;
  readonly #sent: SentMessage[] = [];
  readonly #commits: BridgedHistory['commits'][number][] = [];
  readonly #clients = new Map<SimProcess, MemoryBus[]>();
  #healed = false;
  #left = 0;

  constructor(options: SimBusOptions) {
    const { world, history, flaw } = options;
    this.#options = options;
    this.#prng = world.prng.fork('bus');
    const latencies = this.#prng.fork('latency');
    const turns = this.#prng.fork('turns');
    const ports = {
      clock: { now: () => Math.floor(world.nowMs), monotonicMs: () => world.nowMs },
      timers: {
        after: (ms: number, fn: () => void) => world.after(null, Math.max(1, ms), 'bus', fn),
        turn: (fn: () => void) => void world.after(null, turns.next() * 0.2, 'bus turn', fn),
      },
    };
    this.#broker = new MemoryBroker(ports, {
      latencyMs: () => latencies.between(0.1, 5),
      overtakes: flaw === 'overtakes',
      onCommit: ({ topicId, partition }, next) =>
        this.#commits.push({ afterActions: history.actions.length, ref: `${topicId}/${partition}`, next }),
    });
    this.#broker.ensure([{ name: outsideIn, partitions: 2 }]);
  }

  /** Plans what senders send. */
  start(): void {
    const { world, spreadMs } = this.#options;
    const count = this.#prng.int(8, 40);
    this.#left = count;
    for (let i = 0; i < count; i++)
      world.after(null, this.#prng.next() * spreadMs, 'a message is sent', () => {
        this.#left -= 1;
        this.#send(`m${i}`);
      });
    this.#watch();
  }

  /** The bridges of a server that begins a life. */
  setups(process: SimProcess, ports: Ports): readonly BridgeSetup[] {
    const open = async (): Promise<Bus> => {
      const client = this.#broker.connect();
      this.#clients.set(process, [...(this.#clients.get(process) ?? []), client]);
      return new ClientOfServer(client, ports, this.#options.flaw);
    };
    return [
      { bridge: inbound, open },
      { bridge: outbound, open },
    ];
  }

  /** The process is gone, and its clients with it. */
  died(process: SimProcess): void {
    for (const client of this.#clients.get(process) ?? []) client.kill();
    this.#clients.delete(process);
  }

  /** No more answers are lost. */
  heal(): void {
    this.#healed = true;
  }

  /** Everything is where it was to go. */
  async isAtRest(store: Store): Promise<boolean> {
    if (this.#left > 0) return false;
    const positions = await positionsOf(store);
    const ends = this.#broker.log(outsideIn).map((log) => log.at(-1)?.position);
    if (ends.some((end) => end !== null && end !== undefined && (positions.get(refOf(end)) ?? 0n) <= end.offset))
      return false;
    const heads = (await store.listTopics(bridgedTenant)).filter(({ topic }) => topic === topicOut);
    return heads.every(
      ({ partition, head }) => (positions.get(topicStream(topicOut, partition)) ?? 0n) >= BigInt(head),
    );
  }

  /** What was seen of the bus and of the bridges. */
  async seen(store: Store): Promise<BridgedHistory> {
    return {
      tenant: bridgedTenant,
      topicIn,
      topicOut,
      source: outsideSource,
      sent: this.#sent,
      commits: this.#commits,
      out: this.#broker.log(outsideOut),
      dead: await store.readEntries({ tenant: bridgedTenant, space: deadEventSpace, limit: 10_000 }),
    };
  }

  #send(id: string): void {
    const prng = this.#prng;
    const key = `k${prng.int(0, 3)}`;
    const isRubbish = prng.chance(0.1);
    const event = { id, source: outsideSource, type: 'ordered', extensions: { partitionkey: key } };
    const data = { kind: 'json', value: { n: prng.int(0, 9), program: watchProgram } } as const;
    const { headers, body } = encodeEventMessage({ ...event, data }, prng.pick(['binary', 'structured'] as const));
    const message = {
      id,
      topic: outsideIn,
      key,
      headers: isRubbish ? { 'content-type': 'application/json' } : headers,
      body: isRubbish ? new TextEncoder().encode('{"half') : body,
    };
    this.#note(this.#broker.append(message), id, key, isRubbish);
    // A sender that has heard nothing sends it again.
    for (let repeat = prng.fork(id); repeat.chance(0.25); repeat = repeat.fork('again'))
      this.#options.world.after(null, repeat.between(1, 2_000), 'a message is sent again', () =>
        this.#note(this.#broker.append(message), id, key, isRubbish),
      );
  }

  #note(
    { topicId, partition, offset }: NonNullable<BusDelivery['position']>,
    ...[id, key, isRubbish]: [string, string, boolean]
  ): void {
    this.#sent.push({ ref: `${topicId}/${partition}`, partition, offset, id, key, isRubbish });
  }

  /** Now and then: clients of processes that are stopped are missed, answers are lost, and messages refused. */
  #watch(): void {
    const { world, meter } = this.#options;
    world.after(null, 400, 'the bus looks round', () => {
      for (const [process, clients] of this.#clients)
        for (const client of clients) {
          if (process.paused) client.freeze();
          else client.thaw();
          if (this.#healed) continue;
          if (this.#prng.chance(0.1)) {
            meter.count('bus answer lost');
            client.loseAnswer();
          }
          if (this.#prng.chance(0.3)) client.refuseNext();
        }
      this.#watch();
    });
  }
}

/** A client as a server has it: what it tells the server takes place in that server's process. */
class ClientOfServer implements Bus {
  readonly name = 'sim';
  readonly #client: MemoryBus;
  readonly #ports: Ports;
  readonly #flaw: BusFlaw | null;

  constructor(client: MemoryBus, ports: Ports, flaw: BusFlaw | null) {
    this.#client = client;
    this.#ports = ports;
    this.#flaw = flaw;
  }

  get caps(): Bus['caps'] {
    return this.#client.caps;
  }

  ensure: Bus['ensure'] = (topics) => this.#here(this.#client.ensure(topics));
  lag: Bus['lag'] = (group, topics) => this.#here(this.#client.lag(group, topics));
  close: Bus['close'] = () => this.#here(this.#client.close());

  publish: Bus['publish'] = async (messages) => {
    const answers = await this.#here(this.#client.publish(messages));
    if (this.#flaw !== 'says yes') return answers;
    return answers.map((): BusPublished => ({ tag: 'published', position: null }));
  };

  subscribe: Bus['subscribe'] = (options, handler) => {
    const { onAssign, onRevoke } = options;
    const flawed = this.#flaw === 'commits first';
    return this.#here(
      this.#client.subscribe(
        {
          ...options,
          ...(onAssign === undefined ? {} : { onAssign: (partitions) => this.#there(() => onAssign(partitions)) }),
          ...(onRevoke === undefined ? {} : { onRevoke: (partitions) => this.#there(() => onRevoke(partitions)) }),
          onFailed: (error) => void this.#there(async () => options.onFailed(error)),
        },
        async (batch) => {
          const handled = this.#there(() => handler(batch));
          return flawed ? batch.map(() => ({ tag: 'ack' })) : handled;
        },
      ),
    );
  };

  /** What the bus answers is heard in the process. */
  #here<T>(answer: Promise<T>): Promise<T> {
    const { timers } = this.#ports;
    return new Promise((resolve, reject) => {
      answer.then(
        (value) => timers.turn(() => resolve(value)),
        (error: unknown) => timers.turn(() => reject(error instanceof Error ? error : new Error(String(error)))),
      );
    });
  }

  /** What the bus asks is done in the process; one that is gone never answers. */
  #there<T>(ask: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => this.#ports.timers.turn(() => void ask().then(resolve, reject)));
  }
}

async function positionsOf(store: Store): Promise<ReadonlyMap<string, bigint>> {
  const rows: readonly EntryRow[] = await store.readEntries({
    tenant: bridgedTenant,
    space: bridgeOffsetSpace,
    limit: 1_000,
  });
  return new Map(rows.map(({ ref, value }) => [ref, BigInt((JSON.parse(value) as BridgePosition).next)]));
}

function refOf({ topicId, partition }: NonNullable<BusDelivery['position']>): string {
  return `${topicId}/${partition}`;
}
