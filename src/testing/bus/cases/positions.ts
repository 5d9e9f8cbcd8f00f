/** Subscribers that say themselves where they go on: their store knows better than the bus. */
import assert from 'node:assert/strict';
import type { BusPartition } from '../../../bus/port.js';
import type { BusCase, BusWorld } from '../bus-case.js';
import { ack, Consumer, messages, publishAll } from '../consumer.js';

const concern = 'positions';
const of: NonNullable<BusCase['of']> = ({ offsets }) => offsets;

/** Offsets of the messages in a topic of one partition, as answered by `publish`. */
async function publishedOffsets({ bus, topics }: BusWorld, count: number): Promise<bigint[]> {
  const answers = await bus.publish(messages(topics.one, count, () => 'k'));
  return answers.map((answer) => {
    assert(answer.tag === 'published' && answer.position !== null);
    return answer.position.offset;
  });
}

export const positionCases: readonly BusCase[] = [
  {
    concern,
    of,
    name: 'asks where to go on before it brings anything, and goes on there',
    run: async (world) => {
      const { bus, topics } = world;
      const offsets = await publishedOffsets(world, 8);
      const asked: BusPartition[] = [];
      let delivered = 0;
      let deliveredWhenAsked = 0;
      const consumer = await Consumer.open(
        world,
        bus,
        {
          topics: [topics.one],
          onAssign: async (partitions) => {
            asked.push(...partitions);
            deliveredWhenAsked += delivered;
            return partitions.map(() => offsets[5] ?? null);
          },
        },
        () => {
          delivered += 1;
          return ack;
        },
      );
      await consumer.has(['a-7']);
      assert.equal(deliveredWhenAsked, 0);
      assert.deepEqual(consumer.ids, ['a-5', 'a-6', 'a-7']);
      assert.deepEqual(
        consumer.deliveries.map(({ position }) => position?.offset),
        offsets.slice(5),
      );
      assert.equal(asked[0]?.topic, topics.one);
      assert.equal(asked[0]?.partition, 0);
      assert.equal(asked[0]?.topicId, consumer.deliveries[0]?.position?.topicId);
    },
  },
  {
    concern,
    of,
    name: 'goes back behind what was acknowledged when the store says so',
    run: async (world) => {
      const { bus, topics } = world;
      const offsets = await publishedOffsets(world, 5);
      const before = await Consumer.open(world, bus, { topics: [topics.one] });
      await before.has(['a-4']);
      await before.close();
      const after = await Consumer.open(world, bus, {
        topics: [topics.one],
        onAssign: async (partitions) => partitions.map(() => offsets[2] ?? null),
      });
      await after.has(['a-4']);
      assert.deepEqual(after.ids, ['a-2', 'a-3', 'a-4']);
    },
  },
  {
    concern,
    of,
    name: 'decides itself where the store has no say',
    run: async (world) => {
      const { bus, topics } = world;
      await publishAll(
        bus,
        messages(topics.one, 4, () => 'k'),
      );
      const before = await Consumer.open(world, bus, { topics: [topics.one] });
      await before.has(['a-3']);
      await before.close();
      await publishAll(
        bus,
        messages(topics.one, 1, () => 'k', 'b'),
      );
      const after = await Consumer.open(world, bus, {
        topics: [topics.one],
        onAssign: async (partitions) => partitions.map(() => null),
      });
      await after.has(['b-0']);
      assert.deepEqual(after.ids, ['b-0']);
    },
  },
  {
    concern,
    of,
    name: 'tells of partitions that are taken away before another has them',
    run: async (world) => {
      const { bus, topics } = world;
      const owned = [new Set<number>(), new Set<number>()];
      const open = async (i: 0 | 1): Promise<Consumer> =>
        Consumer.open(world, await world.open(), {
          topics: [topics.three],
          onAssign: async (partitions) => {
            for (const { partition } of partitions) owned[i]?.add(partition);
            return partitions.map(() => null);
          },
          onRevoke: async (partitions) => {
            for (const { partition } of partitions) owned[i]?.delete(partition);
          },
        });
      const first = await open(0);
      await publishAll(
        bus,
        messages(topics.three, 9, (i) => `k${i}`),
      );
      await first.until('Delivery of 9', () => new Set(first.ids).size === 9);
      assert.equal(owned[0]?.size, 3);
      const second = await open(1);
      for (let i = 0; second.deliveries.length === 0; i++) {
        await publishAll(
          bus,
          messages(topics.three, 9, (k) => `k${k}`, `b${i}`),
        );
        await Promise.race([
          second.until('A delivery', () => second.deliveries.length > 0),
          new Promise((resolve) => setTimeout(resolve, 100)),
        ]);
      }
      assert.equal((owned[0]?.size ?? 0) + (owned[1]?.size ?? 0), 3);
      assert.deepEqual(
        [...(owned[0] ?? [])].filter((partition) => owned[1]?.has(partition)),
        [],
      );
    },
  },
  {
    concern,
    of,
    name: 'ends with an error where the position is beyond the end: what the store has seen, the bus has lost',
    run: async (world) => {
      const { bus, topics } = world;
      await publishAll(bus, messages(topics.one, 3));
      const consumer = await Consumer.open(world, bus, {
        topics: [topics.one],
        onAssign: async (partitions) => partitions.map(() => 1_000_000n),
      });
      await consumer.until('A failure', () => consumer.failures.length > 0);
      assert.equal(consumer.failures.length, 1);
      assert.deepEqual(consumer.ids, []);
    },
  },
  {
    concern,
    of,
    fault: 'trim',
    name: 'ends with an error where what is to be read next is gone, and skips nothing silently',
    run: async (world) => {
      const { bus, topics, faults } = world;
      const offsets = await publishedOffsets(world, 6);
      await faults.trim(topics.one, 0, offsets[4] ?? 0n);
      const consumer = await Consumer.open(world, bus, {
        topics: [topics.one],
        onAssign: async (partitions) => partitions.map(() => offsets[2] ?? null),
      });
      await consumer.until('A failure', () => consumer.failures.length > 0);
      assert.equal(consumer.failures.length, 1);
      assert.deepEqual(consumer.ids, []);
    },
  },
  {
    concern,
    of,
    fault: 'recreate',
    name: 'gives a topic that was made anew another id, whose offsets begin again',
    run: async (world) => {
      const { bus, topics, faults } = world;
      await publishAll(
        bus,
        messages(topics.one, 3, () => 'k'),
      );
      const before = await Consumer.open(world, bus, { topics: [topics.one], group: `${topics.one}-g1` });
      await before.has(['a-2']);
      await before.close();
      await faults.recreate(topics.one);
      const fresh = await world.open();
      await publishAll(
        fresh,
        messages(topics.one, 3, () => 'k', 'b'),
      );
      const after = await Consumer.open(world, fresh, { topics: [topics.one], group: `${topics.one}-g2` });
      await after.has(['b-2']);
      assert.deepEqual(after.ids, ['b-0', 'b-1', 'b-2']);
      const ids = [before, after].map(({ deliveries }) => deliveries[0]?.position?.topicId);
      assert(ids[0] !== ids[1], 'their offsets would be taken for those of the topic before');
    },
  },
];
