/** What befalls a subscription to Kafka in its life, on a broker that can be asked for it. */
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, inject, it, vi } from 'vitest';
import type { Bus, BusDelivery, BusPartition, BusSubscribeOptions } from '../../src/bus/index.js';
import { describeUnless } from '../skip.js';
import { FakeBroker } from '../support/kafka/fake-broker.js';
import { openKafka } from './places.js';

const { client, reason } = inject('kafka');
const soon = { timeout: 15_000, interval: 20 };

describeUnless(client === null ? reason : null, 'a subscription to Kafka', () => {
  let broker: FakeBroker;
  let bus: Bus;
  let topic: string;
  const clientId = `client-${randomUUID()}`;
  const found: BusDelivery[] = [];
  const events: string[] = [];

  beforeEach(async () => {
    broker = await FakeBroker.start();
    bus = await openKafka({ brokers: [`127.0.0.1:${broker.port}`], clientId });
    topic = `topic-${randomUUID()}`;
    await bus.ensure([{ name: topic, partitions: 2 }]);
    found.length = 0;
    events.length = 0;
  });

  afterEach(async () => {
    await bus.close();
    await broker.close();
  });

  const publish = async (from: number, to: number): Promise<void> => {
    for (let i = from; i < to; i++) {
      const message = { id: `e${i}`, topic, key: `k${i % 5}`, headers: {}, body: new Uint8Array(1) };
      await vi.waitFor(async () => expect((await bus.publish([message]))[0]?.tag).toBe('published'), soon);
    }
  };
  const subscribe = (more: Partial<BusSubscribeOptions> = {}): Promise<unknown> =>
    bus.subscribe(
      {
        ...{ topics: [topic], group: 'g', from: 'oldest', batchMax: 10, waitMs: 1 },
        onFailed: (error) => events.push(`failed ${error.message}`),
        ...more,
      },
      async (batch) => {
        found.push(...batch);
        return batch.map(() => ({ tag: 'ack' }));
      },
    );
  const has = (count: number): Promise<void> =>
    vi.waitFor(() => expect(new Set(found.map(({ id }) => id)).size).toBe(count), soon);
  const placesOf = (partitions: readonly BusPartition[]): string =>
    partitions.map(({ partition, topicId }) => `${partition}@${topicId.slice(0, 4)}`).join(' ');

  it('outlives a broker that comes again', async () => {
    await subscribe();
    for (let i = 0; i < 3; i++) {
      await publish(10 * i, 10 * i + 5);
      await broker.restart();
      await publish(10 * i + 5, 10 * i + 10);
    }
    await has(30);
    expect(events).toEqual([]);
  });

  it('comes back when the group has forgotten it', async () => {
    await subscribe({
      onRevoke: async (partitions) => void events.push(`lost ${partitions.length}`),
      onAssign: async (partitions) => {
        events.push(`got ${partitions.length}`);
        return partitions.map(() => null);
      },
    });
    await publish(0, 10);
    await has(10);
    broker.expire(clientId);
    await vi.waitFor(() => expect(broker.group('g').memberCount).toBe(1), soon);
    await publish(10, 20);
    await has(20);
    await vi.waitFor(
      () => expect([...broker.group('g').offsets.values()].reduce((sum, n) => sum + n, 0n)).toBe(20n),
      soon,
    );
  });

  it('takes a topic that was made anew for another one, and begins with its oldest message', async () => {
    await subscribe({
      onRevoke: async (partitions) => void events.push(`lost ${placesOf(partitions)}`),
      onAssign: async (partitions) => {
        events.push(`got ${placesOf(partitions)}`);
        return partitions.map(() => null);
      },
    });
    await publish(0, 20);
    await has(20);
    const before = broker.topics.named(topic)?.id ?? '';
    broker.topics.delete(topic);
    broker.topics.create(topic, 2);
    const after = broker.topics.named(topic)?.id ?? '';
    await publish(20, 23);
    await has(23);
    const places = (id: string): string => `0@${id.slice(0, 4)} 1@${id.slice(0, 4)}`;
    expect(events).toEqual([`got ${places(before)}`, `lost ${places(before)}`, `got ${places(after)}`]);
    expect(new Set(found.slice(20).map(({ position }) => position?.topicId.replaceAll('-', '')))).toEqual(
      new Set([after]),
    );
  });

  it('tells the brokers what only the store knows, although nothing more comes', async () => {
    await publish(0, 20);
    const ends = (broker.topics.named(topic)?.partitions ?? []).map(({ end }) => end);
    await subscribe({ onAssign: async (partitions) => partitions.map(({ partition }) => ends[partition] ?? null) });
    await vi.waitFor(async () => {
      const lag = await bus.lag('g', [topic]);
      expect(lag.map(({ count }) => count)).toEqual([0n, 0n]);
    }, soon);
    expect(found).toEqual([]);
  });

  it('ends, once, when retention has passed it by', async () => {
    await publish(0, 20);
    broker.topics.named(topic)?.partitions[0]?.trim(3n);
    await subscribe({ onAssign: async (partitions) => partitions.map(() => 1n) });
    await vi.waitFor(() => expect(events).toHaveLength(1), soon);
    expect(events[0]).toMatch(/nothing at offset 1 of .*\/0/);
  });

  it('waits for a topic that is gone, and says so when it stays away', async () => {
    await subscribe();
    await publish(0, 3);
    await has(3);
    broker.topics.delete(topic);
    await vi.waitFor(() => expect(events).toHaveLength(1), { timeout: 30_000, interval: 100 });
    expect(events[0]).toMatch(/has no topic/);
  });

  it('is refused where the topic was never there', async () => {
    await expect(subscribe({ topics: ['never'] })).rejects.toMatchObject({ code: 'BUS_TOPIC_MISSING' });
  });
});
