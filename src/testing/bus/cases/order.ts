/** Order of keys, and one batch of a partition at a time. */
import assert from 'node:assert/strict';
import type { BusCase } from '../bus-case.js';
import { ack, Consumer, messages, publishAll } from '../consumer.js';

const concern = 'order';

export const orderCases: readonly BusCase[] = [
  {
    concern,
    name: 'keeps the order of each key',
    of: ({ order }) => order !== 'none',
    run: async (world) => {
      const { bus, topics } = world;
      const keyOf = (i: number): string => `k${i % 7}`;
      const all = messages(topics.three, 70, keyOf);
      await publishAll(bus, all);
      const consumer = await Consumer.open(world, await world.open(), { topics: [topics.three] });
      await consumer.has(all.map(({ id }) => id));
      for (const key of new Set(all.map((message) => message.key)))
        assert.deepEqual(
          consumer.deliveries.filter((delivery) => delivery.key === key).map(({ id }) => id),
          all.filter((message) => message.key === key).map(({ id }) => id),
        );
    },
  },
  {
    concern,
    name: 'keeps a key in one partition',
    of: ({ order, offsets }) => order === 'key' && offsets,
    run: async (world) => {
      const { bus, topics } = world;
      const partitions = new Map<string, Set<number>>();
      for (let round = 0; round < 3; round++) {
        const all = messages(topics.three, 12, (i) => `k${i}`, `r${round}`);
        for (const [i, answer] of (await bus.publish(all)).entries()) {
          assert(answer.tag === 'published' && answer.position !== null);
          const key = all[i]?.key ?? '';
          partitions.set(key, (partitions.get(key) ?? new Set()).add(answer.position.partition));
        }
      }
      assert([...partitions.values()].every((those) => those.size === 1));
      assert(new Set([...partitions.values()].flatMap((those) => [...those])).size > 1, 'keys are spread');
    },
  },
  {
    concern,
    name: 'has never two batches of what it keeps in order with its handler',
    of: ({ order }) => order !== 'none',
    run: async (world) => {
      const { bus, topics } = world;
      await publishAll(
        bus,
        messages(topics.three, 60, (i) => `k${i % 9}`),
      );
      const busy = new Set<string>();
      const partOf = (partition: number | undefined): string => String(partition ?? 'all');
      const consumer = await Consumer.open(world, bus, { topics: [topics.three], batchMax: 3 }, async (delivery) => {
        // What is settled one after the other within a batch shows an overlap as two at a time.
        const part = partOf(delivery.position?.partition);
        assert(!busy.has(part), 'two batches of one partition at a time');
        busy.add(part);
        await new Promise((resolve) => setImmediate(resolve));
        busy.delete(part);
        return ack;
      });
      await consumer.until('Delivery of 60', () => new Set(consumer.ids).size === 60);
      assert.equal(consumer.deliveries.length, 60, 'a failed assertion would have brought repeats');
    },
  },
];
