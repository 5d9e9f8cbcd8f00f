/** What a subscriber gets, from where, and how much at a time. */
import assert from 'node:assert/strict';
import type { BusCase } from '../bus-case.js';
import { ack, Consumer, gate, messages, publishAll } from '../consumer.js';

const concern = 'delivery';

export const deliveryCases: readonly BusCase[] = [
  {
    concern,
    name: 'brings what was there before, and what comes later',
    run: async (world) => {
      const { bus, topics } = world;
      await publishAll(
        bus,
        messages(topics.three, 5, (i) => `k${i}`),
      );
      const consumer = await Consumer.open(world, await world.open(), { topics: [topics.three] });
      await consumer.has(['a-0', 'a-1', 'a-2', 'a-3', 'a-4']);
      await publishAll(
        bus,
        messages(topics.three, 3, (i) => `k${i}`, 'b'),
      );
      await consumer.has(['b-0', 'b-1', 'b-2']);
      assert.equal(consumer.deliveries.length, 8);
    },
  },
  {
    concern,
    name: 'begins with what comes next where that is asked for',
    run: async (world) => {
      const { bus, topics } = world;
      await publishAll(
        bus,
        messages(topics.one, 3, () => 'k'),
      );
      const consumer = await Consumer.open(world, await world.open(), { topics: [topics.one], from: 'newest' });
      // A bus may take a moment until a new group has its place: what is sent before belongs to neither side.
      for (let i = 0; consumer.deliveries.length === 0; i++) {
        await publishAll(
          bus,
          messages(topics.one, 1, () => 'k', `b${i}`),
        );
        await Promise.race([
          consumer.until('A first delivery', () => consumer.deliveries.length > 0),
          new Promise((resolve) => setTimeout(resolve, 100)),
        ]);
      }
      assert(
        consumer.ids.every((id) => id?.startsWith('b')),
        consumer.ids.join(' '),
      );
    },
  },
  {
    concern,
    name: 'never brings more at once than was asked for',
    run: async (world) => {
      const { bus, topics } = world;
      await publishAll(bus, messages(topics.one, 20));
      const consumer = await Consumer.open(world, bus, { topics: [topics.one], batchMax: 4 });
      await consumer.until('Delivery of 20', () => consumer.deliveries.length === 20);
      assert(Math.max(...consumer.batchSizes) <= 4, consumer.batchSizes.join(' '));
    },
  },
  {
    concern,
    name: 'brings nothing once the subscription is closed, and closes only when the handler is done',
    run: async (world) => {
      const { bus, topics } = world;
      await publishAll(bus, messages(topics.one, 1));
      const held = gate();
      const consumer = await Consumer.open(world, bus, { topics: [topics.one] }, async () => {
        await held.opened;
        return ack;
      });
      await consumer.has(['a-0']);
      let closed = false;
      const closing = consumer.close().then(() => {
        closed = true;
        assert.equal(consumer.running, 0);
      });
      await new Promise((resolve) => setImmediate(resolve));
      assert(!closed, 'its handler still runs');
      held.open();
      await closing;
      await consumer.close();
      await publishAll(
        bus,
        messages(topics.one, 1, () => null, 'b'),
      );
      const next = await Consumer.open(world, bus, { topics: [topics.one] });
      await next.has(['b-0']);
      assert.deepEqual(consumer.ids, ['a-0']);
      assert.deepEqual(next.ids, ['b-0'], 'what was acknowledged at the end is acknowledged');
    },
  },
  {
    concern,
    name: 'reads again for a new group what another has acknowledged',
    of: ({ replay }) => replay,
    run: async (world) => {
      const { bus, topics } = world;
      const all = messages(topics.three, 6, (i) => `k${i}`);
      await publishAll(bus, all);
      const ids = all.map(({ id }) => id);
      const first = await Consumer.open(world, bus, { topics: [topics.three], group: `${topics.three}-g1` });
      await first.has(ids);
      await first.close();
      const second = await Consumer.open(world, bus, { topics: [topics.three], group: `${topics.three}-g2` });
      await second.has(ids);
      assert.equal(second.deliveries.length, all.length);
    },
  },
];
