/**
 * Topics that do not keep everything, or do not take everything, with those who write and read them: two writers who fence
 * each other, a source that numbers what it publishes and loses some of it on the way, publishers to a topic with retention
 * and to one that is compacted, and readers who drop their connections and go on from where they were.
 */
import { isSpineError } from '../../core/errors.js';
import { payloadOfJson } from '../../core/codec.js';
import type { Manifest } from '../../core/manifest.js';
import type { Engine, Origin, PublishRequest } from '../../engine/api.js';
import type { Cluster } from './cluster.js';
import type { History, TopicReading } from './history.js';
import type { Prng } from './prng.js';
import { SimProcess } from './process.js';
import type { World } from './world.js';

/** The newest events that the topic `recent` keeps of each partition. */
export const recentEvents = 2;

/** Names of the topics, by what is special about them. */
export const logTopics = { single: 'led', sourced: 'metered', retained: 'recent', compacted: 'table' } as const;

/** The app that declares them. */
export const topicLogManifest: Manifest = {
  format: 1,
  app: 'topic-logs',
  topics: [
    { name: logTopics.single, schema: null, key: null, partitions: 1, writer: 'single' },
    {
      name: logTopics.sourced,
      schema: null,
      key: null,
      partitions: 1,
      sources: { late: 'accept', afterMs: null },
    },
    {
      name: logTopics.retained,
      schema: null,
      key: null,
      partitions: 2,
      retention: { ageMs: null, bytes: null, events: recentEvents, behind: 'gap' },
    },
    {
      name: logTopics.compacted,
      schema: null,
      key: null,
      partitions: 1,
      compaction: { lagMs: 0, tombstoneMs: 1_500 },
    },
  ],
  workflows: [],
  capabilities: [],
};

export interface TopicLogOptions {
  readonly world: World;
  readonly cluster: Cluster;
  readonly history: History;
  /** How lossy the way to the servers is, as it is at the time. */
  readonly client: { readonly loss: number };
  /** World time after which nobody begins anything. */
  readonly untilMs: number;
}

const tenant = 'acme';
const origin: Origin = { tenant, actor: 'client:logs', traceparent: null, correlation: null };

/** What a request came to: its code where it was refused; null = nobody knows. */
type Came = { readonly ok: true } | { readonly ok: false; readonly code: string } | null;

/** See the head of this file. */
export class TopicLogActors {
  readonly #options: TopicLogOptions;
  readonly #prng: Prng;
  readonly #process: SimProcess;
  #events = 0;

  constructor(options: TopicLogOptions) {
    this.#options = options;
    this.#prng = options.world.prng.fork('topic logs');
    this.#process = new SimProcess(options.world, 'logs');
    this.#process.start();
  }

  start(): void {
    for (const name of ['one', 'two']) this.#write(name, null);
    this.#meter(1);
    for (let i = 0; i < 2; i++) {
      this.#again(20, 120, () => this.#publishRecent());
      this.#again(20, 200, () => this.#publishTable());
    }
    for (const [topic, partition] of [
      [logTopics.retained, 0],
      [logTopics.retained, 1],
      [logTopics.compacted, 0],
      [logTopics.single, 0],
    ] as const)
      for (let i = 0; i < 2; i++) {
        const reading: TopicReading = { tenant, topic, partition, items: [] };
        this.#options.history.topicReadings.push(reading);
        this.#process.after(this.#prng.between(0, 500), 'read', () => this.#read(reading));
      }
  }

  /** A writer goes on under the epoch that it has; fenced, it takes over anew, now and then. */
  #write(name: string, epoch: number | null): void {
    this.#again(10, 400, () => {
      if (epoch === null) {
        let taken: number | null = null;
        const take = async (engine: Engine): Promise<void> => {
          taken = (await engine.takeOverTopic({ ...origin, actor: name }, logTopics.single)).epoch;
        };
        return this.#ask(take, () => this.#write(name, taken));
      }
      const event = { ...this.#event(logTopics.single), writerEpoch: epoch, attributes: { writerepoch: epoch } };
      this.#publish(event, (came) => {
        const isFenced = came?.ok === false && came.code === 'WRITER_FENCED';
        // Now and then one takes over that was not fenced: the other does not know of it yet.
        this.#write(name, isFenced || this.#prng.chance(0.1) ? null : epoch);
      });
    });
  }

  /** Numbers what it publishes. Some of it comes late, some twice, and some never. */
  #meter(sequence: number): void {
    this.#again(10, 250, () => {
      const send = (number: number, then: () => void): void => {
        const event = { ...this.#event(logTopics.sourced), id: `m${number}`, source: 'meter' };
        this.#publish({ ...event, attributes: { sequence: String(number) } }, then);
      };
      // Several are on their way at the same time.
      const count = this.#prng.int(1, 3);
      const back = this.#prng.chance(0.2) ? Math.max(1, sequence - this.#prng.int(1, 4)) : null;
      const skipped = this.#prng.chance(0.15) ? 1 : 0;
      let left = count + (back === null ? 0 : 1);
      const done = (): void => {
        left -= 1;
        if (left === 0) this.#meter(sequence + count + skipped);
      };
      for (let i = 0; i < count; i++) send(sequence + skipped + i, done);
      if (back !== null) send(back, done);
    });
  }

  #publishRecent(): void {
    this.#publish(this.#event(logTopics.retained), () => this.#again(20, 120, () => this.#publishRecent()));
  }

  #publishTable(): void {
    const key = this.#prng.pick(['a', 'b', 'c']);
    const event = this.#event(logTopics.compacted);
    const data = this.#prng.chance(0.2) ? null : event.data;
    this.#publish({ ...event, key, data }, () => this.#again(20, 200, () => this.#publishTable()));
  }

  #event(topic: string): PublishRequest {
    this.#events += 1;
    return { topic, id: `l${this.#events}`, source: 'logs', type: topic, data: payloadOfJson(this.#events) };
  }

  #publish(event: PublishRequest, then: (came: Came) => void): void {
    this.#ask(async (engine) => {
      const [outcome] = await engine.publish(origin, [event]);
      if (outcome?.tag === 'error') throw outcome.error;
    }, then);
  }

  /** Sends a request once; who asked goes on with what is known of it. */
  #ask(send: (engine: Engine) => Promise<void>, then: (came: Came) => void): void {
    const { cluster } = this.#options;
    let isOpen = true;
    const settle = (came: Came): void => {
      if (!isOpen) return;
      isOpen = false;
      then(came);
    };
    this.#process.after(answerMsMax, 'log timeout', () => settle(null));
    if (this.#isLost()) return;
    const server = cluster.any(this.#prng);
    server.process.after(this.#prng.next() * 20, 'log request', () => {
      const { engine } = server;
      if (engine === null) return;
      const back = (came: Came): void => {
        if (this.#isLost()) return;
        this.#process.after(this.#prng.next() * 20, 'log answer', () => settle(came));
      };
      send(engine).then(
        () => back({ ok: true }),
        (error: unknown) => back({ ok: false, code: isSpineError(error) ? error.code : 'UNEXPECTED' }),
      );
    });
  }

  /** Follows a partition until the connection is dropped, or its server goes; then anew, from where it was. */
  #read(reading: TopicReading): void {
    if (this.#isOver()) return;
    const server = this.#options.cluster.any(this.#prng);
    const { engine } = server;
    const { life } = server.process;
    const again = (): void =>
      void this.#process.after(this.#prng.between(10, 2_500), 'read', () => this.#read(reading));
    if (engine === null) return again();
    const last = reading.items.at(-1);
    const next = last === undefined ? 0 : (last.kind === 'event' ? last.offset : last.to) + 1;
    const { partition } = reading;
    let isOpen = true;
    const finish = (): void => {
      if (!isOpen) return;
      isOpen = false;
      stop?.();
      again();
    };
    let stop: (() => void) | null = null;
    stop = engine.followTopic(tenant, reading.topic, [{ partition, next }], {
      onEvents: (events) => {
        if (!isOpen) return false;
        for (const { offset } of events) {
          reading.items.push({ kind: 'event', offset });
          // The connection is cut in the middle of what came together.
          if (this.#prng.chance(0.04)) {
            finish();
            return false;
          }
        }
        return true;
      },
      onGap: (_, from, to) => {
        if (isOpen) reading.items.push({ kind: 'gap', from, to });
      },
      onError: finish,
    });
    const watch = (): void => {
      if (!isOpen) return;
      if (this.#isOver()) {
        isOpen = false;
        stop?.();
      } else if (server.process.life !== life || server.engine !== engine || this.#prng.chance(0.2)) finish();
      else this.#process.after(300, 'watch', watch);
    };
    this.#process.after(300, 'watch', watch);
  }

  #again(fromMs: number, toMs: number, act: () => void): void {
    if (!this.#isOver()) this.#process.after(this.#prng.between(fromMs, toMs), 'log', act);
  }

  #isOver(): boolean {
    return this.#options.world.nowMs >= this.#options.untilMs;
  }

  #isLost(): boolean {
    const { loss } = this.#options.client;
    return loss > 0 && this.#prng.chance(loss);
  }
}

/** Who has no answer by then goes on, and knows nothing. */
const answerMsMax = 700;
