/**
 * Topics whose servers and workers are killed: publishers that ask until they are heard, two writers that fight for one topic,
 * readers that follow over lost connections, and a subscription that starts a run for each event, in the order of its key.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createClient,
  isSpineError,
  type Client,
  type CloudEvent,
  type TopicFollowOptions,
  type TopicStreamItem,
} from '../../../src/client/index.js';
import type { TopicEventView } from '../../../src/protocol/http.js';
import { until } from '../../process/support/until.js';
import { pause } from '../support/asking.js';
import { Cluster } from '../support/cluster.js';
import { Database } from '../support/database.js';
import { deathsOf, type Round } from '../support/round.js';
import {
  topicViolations,
  type HandledEvent,
  type HandledStep,
  type LoggedEvent,
  type TopicEvidence,
  type WriterWord,
} from '../support/topic-ledger.js';

export interface TopicSize {
  /** Events of the ordered topic. */
  readonly events: number;
  readonly kills: number;
  readonly store: 'postgres' | 'sqlite';
}

const keys = 12;
const settleMs = 90_000;

/** `judge` is handed the evidence: to look at it, or to tamper with it. */
export async function topicsUnderKills(size: TopicSize, judge = topicViolations): Promise<Round> {
  const folder = mkdtempSync(join(tmpdir(), 'eventspine-topics-'));
  const database = size.store === 'postgres' ? await Database.make({ folder }) : null;
  const faults: Record<string, number> = {};
  let cluster: Cluster | null = null;
  try {
    await database?.start();
    cluster = await Cluster.begin({
      database: database?.url ?? join(folder, 'topics.db'),
      // A file has one owner.
      servers: database === null ? 1 : 2,
      app: 'topic-app.mjs',
    });
    const drill = new TopicDrill(cluster, size.events);
    const load = drill.run();
    await harm(cluster, drill, size, (kind) => (faults[kind] = (faults[kind] ?? 0) + 1));
    await load;
    await cluster.whole();
    const evidence = await drill.evidence();
    return {
      faults,
      counts: {
        events: evidence.ordered.length,
        runs: evidence.runs.length,
        steps: evidence.steps.length,
        written: evidence.led.length,
        fenced: evidence.words.filter(({ outcome }) => outcome === 'fenced').length,
        unanswered: drill.unanswered,
      },
      violations: [...judge(evidence), ...deathsOf(cluster)],
    };
  } catch (error) {
    throw new Error(`${String(error)}\n${cluster?.lastWords() ?? ''}`, { cause: error });
  } finally {
    await cluster?.end();
    await database?.end();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Faults go by how far the load is, so that there is always some of it under way. */
async function harm(
  cluster: Cluster,
  drill: TopicDrill,
  { events, kills }: TopicSize,
  fired: (kind: string) => void,
): Promise<void> {
  for (let i = 0; i < kills; i++) {
    await until(
      `${i + 1} of ${kills} kills`,
      () => (drill.acknowledged >= ((i + 0.5) * events) / kills ? true : null),
      settleMs,
    );
    const kind = i % 3 === 1 ? 'worker' : 'server';
    await cluster.kill(kind, Math.floor(i / 3) % cluster.count(kind));
    fired(`${kind} killed`);
  }
}

class TopicDrill {
  /** Requests of which nobody has said what became of them. */
  unanswered = 0;
  readonly #cluster: Cluster;
  readonly #events: number;
  readonly #clients: readonly Client[];
  readonly #published: string[] = [];
  readonly #words: WriterWord[] = [];
  readonly #readings: TopicEventView[][] = [];
  readonly #readers: Promise<void>[] = [];
  readonly #left = new AbortController();

  constructor(cluster: Cluster, events: number) {
    this.#cluster = cluster;
    this.#events = events;
    this.#clients = cluster.urls.map((url) => createClient({ url, retry: { attempts: 1 } }));
  }

  get acknowledged(): number {
    return this.#published.length;
  }

  async run(): Promise<void> {
    await until('the topics', async () => ((await this.#client(0).topics.list()).length > 0 ? true : null), settleMs);
    for (const client of this.#clients) this.#readers.push(this.#read(client));
    const done = new AbortController();
    const writers = [this.#write('a', 0, done.signal), this.#write('b', 1, done.signal)];
    await Promise.all(Array.from({ length: keys }, (_, key) => this.#publish(key)));
    done.abort();
    await Promise.all(writers);
  }

  #client(turn: number): Client {
    const client = this.#clients[turn % this.#clients.length];
    if (client === undefined) throw new Error('there is no server');
    return client;
  }

  /** The events of one key, one after the other, each at another server until one has it. */
  async #publish(key: number): Promise<void> {
    for (let n = 0; n < this.#events / keys; n++) {
      const id = `k${key}-${n}`;
      const event = eventOf('ordered', id, { data: { key: `k${key}`, n } });
      for (let turn = n; ; turn++) {
        try {
          await this.#client(turn).publish('ordered', event);
          break;
        } catch (error) {
          if (!isAway(error)) throw error;
          this.unanswered += 1;
          await pause(50);
        }
      }
      this.#published.push(id);
      await pause(15 + Math.random() * 30);
    }
  }

  /** Takes over, writes until another has taken over, and takes over again. */
  async #write(name: string, first: number, done: AbortSignal): Promise<void> {
    let epoch = 0;
    for (let n = 0; !done.aborted; n++) {
      const id = `${name}${n}`;
      try {
        if (epoch === 0) ({ epoch } = await this.#client(first + n).topics.takeOver('led'));
        await this.#client(first + n).publish('led', eventOf('led', id, { writerepoch: epoch }));
        this.#words.push({ id, epoch, outcome: 'acknowledged' });
      } catch (error) {
        if (isSpineError(error) && error.code === 'WRITER_FENCED') {
          this.#words.push({ id, epoch, outcome: 'fenced' });
          epoch = 0;
          await pause(100 + Math.random() * 100);
          continue;
        }
        if (!isAway(error)) throw error;
        this.#words.push({ id, epoch, outcome: 'unknown' });
      }
      await pause(10);
    }
  }

  /** Follows the topic at one server, over as many connections as it takes. */
  async #read(client: Client): Promise<void> {
    const reading: TopicEventView[] = [];
    this.#readings.push(reading);
    const { signal } = this.#left;
    let cursor: string | null = null;
    while (!signal.aborted) {
      try {
        const where: TopicFollowOptions = cursor === null ? { from: 'oldest' } : { cursor };
        const items: AsyncIterable<TopicStreamItem> = client.topics.follow('ordered', { ...where, signal });
        for await (const item of items) {
          if (item.event === 'event') reading.push(item.data);
          cursor = item.cursor ?? cursor;
        }
      } catch {
        if (!signal.aborted) await pause(50);
      }
    }
  }

  /** Waits until every event is handled and shown, and gathers what there is. */
  async evidence(): Promise<TopicEvidence> {
    const client = this.#client(0);
    const ordered = await logged(client, 'ordered');
    await until(
      'the end of all runs',
      async () => {
        const { lag } = await client.subscriptions.get('by-key');
        if (lag > 0) return null;
        const open = await client.runs.list({ state: ['queued', 'running', 'retrying', 'waiting'], limit: 1 }).page();
        return open.items.length === 0 ? true : null;
      },
      settleMs,
    );
    await until(
      'readers that have seen all',
      () => (this.#readings.every((reading) => reading.length >= ordered.length) ? true : null),
      settleMs,
    ).catch(() => undefined);
    this.#left.abort();
    await Promise.all(this.#readers);
    return {
      published: this.#published,
      ordered,
      led: await logged(client, 'led'),
      words: this.#words,
      runs: await handled(client),
      steps: this.#cluster.notes() as HandledStep[],
      readings: this.#readings,
    };
  }
}

function eventOf(type: string, id: string, more: Partial<CloudEvent>): CloudEvent {
  return { specversion: '1.0', id, source: '/drill', type, ...more };
}

/** Nobody has answered, or cannot now; whether it was done is not known. */
function isAway(error: unknown): boolean {
  if (!isSpineError(error)) return true;
  return error.kind === 'transient' || ['SERVER_UNREACHABLE', 'TOPIC_UNKNOWN'].includes(error.code);
}

async function logged(client: Client, topic: string): Promise<LoggedEvent[]> {
  const heads = (await client.topics.list()).find((one) => one.topic === topic)?.partitions ?? [];
  const found: LoggedEvent[] = [];
  for (const { partition } of heads)
    for await (const { offset, event } of client.topics.events(topic, { partition }))
      found.push({
        partition,
        offset,
        id: String(event['id']),
        key: String((event['data'] as { readonly key?: string } | undefined)?.key ?? ''),
        epoch: Number(event['writerepoch'] ?? 0),
      });
  return found;
}

async function handled(client: Client): Promise<HandledEvent[]> {
  const found: HandledEvent[] = [];
  for await (const { id: run, state, startedAt, endedAt } of client.runs.list({ workflow: 'handle', limit: 500 })) {
    const [started] = (await client.runs.history(run).page()).items;
    if (started === undefined) throw new Error(`${run} has no history`);
    const { eventId, subscription } = (started.data as { readonly trigger: Trigger }).trigger;
    found.push({
      run,
      id: eventId,
      partition: subscription.partition,
      offset: subscription.offset,
      key: eventId.slice(0, eventId.lastIndexOf('-')),
      state,
      startedAt: Date.parse(startedAt),
      endedAt: Date.parse(endedAt ?? startedAt),
    });
  }
  return found;
}

interface Trigger {
  readonly eventId: string;
  readonly subscription: { readonly partition: number; readonly offset: number };
}
