/**
 * A topic whose events are pulled: somebody publishes to it, and a few consumers pull, work, settle, give back, die and
 * freeze. Some events are poison and kill whoever works on them. What each consumer says and hears is written down.
 */
import { payloadOfJson } from '../../core/codec.js';
import type { Manifest } from '../../core/manifest.js';
import { subscriptionCursorSpace } from '../../core/topics/subscription.js';
import { stateOf, type PullCursor } from '../../core/topics/pull-cursor.js';
import type { PulledEvent } from '../../core/topics/consume.js';
import type { Origin } from '../../engine/api.js';
import type { Store } from '../../store/index.js';
import type { Cluster } from './cluster.js';
import type { FaultMeter } from './fault-meter.js';
import type { History } from './history.js';
import { LossyRequests } from './lossy-requests.js';
import type { Prng } from './prng.js';
import { SimProcess } from './process.js';
import type { World } from './world.js';

export const pulledTopic = 'pulled';
export const pulledGroup = 'pullers';
const tenant = 'acme';
/** Deliveries of an event before it is a dead event. */
const deliveriesMax = 4;

/** The app that brings the topic. */
export const pulledManifest: Manifest = {
  format: 1,
  app: 'pulled',
  topics: [{ name: pulledTopic, schema: null, key: 'key', partitions: 2 }],
  workflows: [],
  capabilities: [],
  subscriptions: [
    {
      name: pulledGroup,
      topic: pulledTopic,
      filter: { not: { exact: { 'data.kind': 'noise' } } },
      from: 'oldest',
      order: 'key',
      windowMax: 8,
      lagMax: null,
      dead: null,
      workflow: null,
      deliveriesMax,
    },
  ],
};

export interface PullersOptions {
  readonly world: World;
  readonly cluster: Cluster;
  readonly history: History;
  readonly meter: FaultMeter;
  readonly events: number;
  readonly spreadMs: number;
  /** Probability that a request or its answer is lost, as it is now. */
  readonly loss: () => number;
}

/** An event as its publisher knows it. */
interface SimEvent {
  readonly id: string;
  readonly value: { readonly key: string; readonly kind: 'plain' | 'noise' | 'poison' };
}

/** See the head of this file. */
export class Pullers {
  readonly #options: PullersOptions;
  readonly #prng: Prng;
  readonly #requests: LossyRequests;
  readonly #publisher: SimProcess;
  readonly #consumers: SimProcess[];
  #isHealed = false;
  /** Events that are not known to be published. */
  pending = 0;

  constructor(options: PullersOptions) {
    this.#options = options;
    this.#prng = options.world.prng.fork('pullers');
    const { cluster, loss } = options;
    this.#requests = new LossyRequests({ cluster, prng: this.#prng, loss });
    this.#publisher = new SimProcess(options.world, 'publisher');
    this.#consumers = ['c0', 'c1', 'c2'].map((name) => new SimProcess(options.world, name));
  }

  start(): void {
    const { events, spreadMs } = this.#options;
    this.#publisher.start();
    for (let i = 0; i < events; i++) {
      const kind = this.#prng.chance(0.15) ? 'noise' : this.#prng.chance(0.08) ? 'poison' : 'plain';
      const event: SimEvent = { id: `p${i}`, value: { key: `k${this.#prng.int(0, 3)}`, kind } };
      this.pending += 1;
      this.#publisher.after(this.#prng.next() * spreadMs, 'publish', () => this.#publish(event));
    }
    for (const consumer of this.#consumers) this.#begin(consumer);
  }

  /** No more faults of their own: those that are down come up, and nobody dies of poison any more but by giving it back. */
  heal(): void {
    this.#isHealed = true;
    for (const consumer of this.#consumers) {
      consumer.resume();
      if (!consumer.up) this.#begin(consumer);
    }
  }

  /** Everything is published and settled. */
  async isQuiet(store: Store): Promise<boolean> {
    if (this.pending > 0) return false;
    for (const { tenant: of, topic, partition, head } of await store.listPartitions({ after: null, limit: 10_000 })) {
      if (topic !== pulledTopic) continue;
      const rows = await store.readEntries({
        tenant: of,
        space: subscriptionCursorSpace,
        key: pulledGroup,
        limit: 100,
      });
      const row = rows.find(({ ref }) => ref === `${topic}/${partition}`);
      const state = row === undefined ? null : stateOf(JSON.parse(row.value) as PullCursor);
      if (state === null || state.read < head || state.open.length > 0) return false;
    }
    return true;
  }

  #publish(event: SimEvent): void {
    const again = (): void => {
      this.#publisher.after(this.#prng.between(50, 500), 'publish again', () => this.#publish(event));
    };
    const request = {
      topic: pulledTopic,
      id: event.id,
      source: 'publisher',
      type: pulledTopic,
      data: payloadOfJson(event.value),
      value: event.value,
    };
    this.#requests.ask(
      this.#publisher,
      (engine) => engine.publish(origin, [request]),
      (outcomes) => {
        if (outcomes?.[0] === undefined || outcomes[0].tag === 'error') again();
        else this.pending -= 1;
      },
    );
  }

  /** A life of a consumer, under a name of its own. */
  #begin(process: SimProcess): void {
    process.start();
    const name = `${process.name}.${process.life}`;
    const leaseMs = this.#prng.pick([1_000, 3_000]);
    const pull = (): void => {
      const request = { consumer: name, max: this.#prng.int(1, 6), waitMs: this.#prng.pick([0, 500]), leaseMs };
      this.#requests.ask(
        process,
        (engine) => engine.pullEvents(origin, pulledGroup, request),
        (answer) => {
          if (answer !== null) for (const event of answer.events) this.#note('pulled', name, event);
          this.#work(process, name, [...(answer?.events ?? [])], () =>
            process.after(this.#prng.int(5, 200), 'pull', pull),
          );
        },
      );
    };
    pull();
  }

  /** Works on events one after the other, as one that keeps their order does. */
  #work(process: SimProcess, name: string, events: PulledEvent[], then: () => void): void {
    const event = events.shift();
    if (event === undefined) return then();
    const { kind } = event.event['data'] as SimEvent['value'];
    const dies = !this.#isHealed && (kind === 'poison' ? this.#prng.chance(0.7) : this.#prng.chance(0.02));
    const freezes = !this.#isHealed && this.#prng.chance(0.05);
    process.after(this.#prng.next() * 100, 'work', () => {
      if (dies) return this.#die(process);
      // Frozen with the work done: its word comes when the event is long another's.
      if (freezes) this.#freeze(process);
      process.after(0, 'say', () =>
        this.#say(process, name, event, kind, () => this.#work(process, name, events, then)),
      );
    });
  }

  #say(process: SimProcess, name: string, event: PulledEvent, kind: string, then: () => void): void {
    const positions = [event];
    const gives = kind === 'poison' || this.#prng.chance(0.1);
    const isDead = gives && this.#prng.chance(0.1);
    const word = gives ? 'nacked' : 'acked';
    this.#note(gives ? 'nacks' : 'acks', name, event);
    const said = (): void =>
      this.#requests.ask(
        process,
        async (engine) => {
          if (!gives) return (await engine.ackEvents(origin, pulledGroup, { consumer: name, positions })).settled;
          const request = { consumer: name, positions, delayMs: this.#prng.int(0, 300), dead: isDead, reason: 'sim' };
          const { again, dead } = await engine.nackEvents(origin, pulledGroup, request);
          return again + dead;
        },
        (settled, code) => {
          if (settled !== null) this.#note(word, name, event);
          else if (code === 'CONSUMER_FENCED') this.#note('fenced', name, event);
          // An ack may be said again; what became of a nack whose answer was lost shows when it comes again.
          else if (!gives && this.#prng.chance(0.7))
            return void process.after(this.#prng.int(20, 400), 'say again', said);
          then();
        },
      );
    said();
  }

  #die(process: SimProcess): void {
    this.#options.meter.count('consumer crash');
    process.kill();
    this.#options.world.after(null, this.#prng.int(50, 2_000), `start ${process.name}`, () => {
      if (!process.up) this.#begin(process);
    });
  }

  #freeze(process: SimProcess): void {
    this.#options.meter.count('consumer pause');
    process.pause();
    this.#options.world.after(null, this.#prng.pick([500, 2_000, 6_000]), `${process.name} goes on`, () =>
      process.resume(),
    );
  }

  #note(what: PullWord['what'], consumer: string, { partition, offset, token, delivery, event }: PulledEvent): void {
    const { history, world } = this.#options;
    history.pulls.push({
      step: world.steps,
      what,
      consumer,
      partition,
      offset,
      token,
      delivery,
      id: String(event['id']),
    });
  }
}

/** What a consumer has said or heard. */
export interface PullWord {
  readonly step: number;
  /** `acks` and `nacks` are said, the others are answers. */
  readonly what: 'pulled' | 'acks' | 'nacks' | 'acked' | 'nacked' | 'fenced';
  readonly consumer: string;
  readonly partition: number;
  readonly offset: number;
  readonly token: string;
  readonly delivery: number;
  readonly id: string;
}

const origin: Origin = { tenant, actor: 'client:puller', traceparent: null, correlation: null };
