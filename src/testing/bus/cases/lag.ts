/** Pause, and how far a group is behind. */
import assert from 'node:assert/strict';
import type { BusLag } from '../../../bus/port.js';
import type { BusCase } from '../bus-case.js';
import { Consumer, eventually, messages, publishAll } from '../consumer.js';

const concern = 'lag';

function sum(lags: readonly BusLag[]): bigint {
  return lags.reduce((total, { count }) => total + count, 0n);
}

export const lagCases: readonly BusCase[] = [
  {
    concern,
    name: 'brings nothing while it is paused, tells how far the group is behind, and makes up for it',
    of: ({ lag }) => lag !== 'none',
    run: async (world) => {
      const { bus, topics } = world;
      const group = `${topics.three}-paused`;
      const consumer = await Consumer.open(world, await world.open(), { topics: [topics.three], group });
      await publishAll(
        bus,
        messages(topics.three, 6, (i) => `k${i}`),
      );
      await consumer.until('Delivery of 6', () => new Set(consumer.ids).size === 6);
      const lag = (): Promise<bigint> => bus.lag(group, [topics.three]).then(sum);
      await eventually(world, lag, (count) => count === 0n);
      consumer.subscription.pause();
      const late = messages(topics.three, 12, (i) => `k${i}`, 'b');
      await publishAll(bus, late);
      await eventually(world, lag, (count) => (bus.caps.lag === 'exact' ? count === 12n : count > 0n));
      assert.equal(new Set(consumer.ids).size, 6, 'it is paused');
      consumer.subscription.resume();
      await consumer.has(late.map(({ id }) => id));
      await eventually(world, lag, (count) => count === 0n);
    },
  },
];
