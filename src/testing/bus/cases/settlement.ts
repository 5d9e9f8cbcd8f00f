/** What becomes of what was acknowledged, put back, or is dead; and of what a client took with it when it died. */
import assert from 'node:assert/strict';
import type { BusCase } from '../bus-case.js';
import { ack, Consumer, Ledger, messages, publishAll } from '../consumer.js';

const concern = 'settlement';

export const settlementCases: readonly BusCase[] = [
  {
    concern,
    name: 'goes on behind what was acknowledged when its consumer comes again',
    run: async (world) => {
      const { bus, topics } = world;
      await publishAll(
        bus,
        messages(topics.one, 6, () => 'k'),
      );
      const first = await world.open();
      const before = await Consumer.open(world, first, { topics: [topics.one] });
      await before.until('Delivery of 6', () => before.deliveries.length === 6);
      await before.close();
      await first.close();
      await publishAll(
        bus,
        messages(topics.one, 2, () => 'k', 'b'),
      );
      const after = await Consumer.open(world, await world.open(), { topics: [topics.one] });
      await after.has(['b-0', 'b-1']);
      assert.deepEqual(after.ids, ['b-0', 'b-1']);
    },
  },
  {
    concern,
    name: 'brings again what was put back, not before its time, and keeps the order of the rest',
    run: async (world) => {
      const { bus, topics } = world;
      await publishAll(
        bus,
        messages(topics.one, 5, () => 'k'),
      );
      const done: (string | null)[] = [];
      let putBackAtMs = 0;
      let backAfterMs = 0;
      const consumer = await Consumer.open(world, bus, { topics: [topics.one] }, (delivery) => {
        if (delivery.id === 'a-2' && putBackAtMs === 0) {
          putBackAtMs = performance.now();
          return { tag: 'retry', afterMs: 200 };
        }
        // A bus that settles prefixes puts back what follows too, whatever is said of it.
        if (putBackAtMs > 0 && backAfterMs === 0 && delivery.id !== 'a-2' && bus.caps.settle === 'prefix') return ack;
        if (delivery.id === 'a-2') backAfterMs = performance.now() - putBackAtMs;
        done.push(delivery.id);
        return ack;
      });
      await consumer.until('The end', () => done.includes('a-2') && new Set(done).size === 5);
      assert(backAfterMs >= 190, `it came again after ${backAfterMs} ms`);
      if (bus.caps.settle === 'prefix') assert.deepEqual(done, ['a-0', 'a-1', 'a-2', 'a-3', 'a-4']);
      await consumer.close();
      await publishAll(
        bus,
        messages(topics.one, 1, () => 'k', 'b'),
      );
      const after = await Consumer.open(world, bus, { topics: [topics.one] });
      await after.has(['b-0']);
      assert.deepEqual(after.ids, ['b-0'], 'all of it is settled');
    },
  },
  {
    concern,
    name: 'takes what a handler throws as all of it put back',
    run: async (world) => {
      const { bus, topics } = world;
      await publishAll(
        bus,
        messages(topics.one, 4, () => 'k'),
      );
      let thrown = false;
      const ledger = new Ledger();
      const consumer = await Consumer.open(world, bus, { topics: [topics.one] }, (delivery) => {
        if (!thrown && delivery.id === 'a-1') {
          thrown = true;
          throw new Error('The store cannot be reached.');
        }
        ledger.take(delivery);
        return ack;
      });
      await consumer.until('Effects of 4', () => ledger.effects.size === 4);
      assert.equal(consumer.ids.filter((id) => id === 'a-1').length, 2);
      assert.deepEqual(consumer.failures, []);
    },
  },
  {
    concern,
    name: 'counts deliveries, where it counts',
    run: async (world) => {
      const { bus, topics } = world;
      await publishAll(bus, messages(topics.one, 1));
      const attempts: (number | null)[] = [];
      const consumer = await Consumer.open(world, bus, { topics: [topics.one] }, ({ attempt }) => {
        attempts.push(attempt);
        return attempts.length < 3 ? { tag: 'retry', afterMs: 0 } : ack;
      });
      await consumer.until('Three deliveries', () => attempts.length === 3);
      if (attempts[0] === null) assert.deepEqual(attempts, [null, null, null]);
      else assert.deepEqual(attempts, [1, 2, 3]);
    },
  },
  {
    concern,
    name: 'is done with what is dead, and brings what comes after it',
    run: async (world) => {
      const { bus, topics } = world;
      await publishAll(
        bus,
        messages(topics.one, 5, () => 'k'),
      );
      const consumer = await Consumer.open(world, bus, { topics: [topics.one] }, ({ id }) =>
        id === 'a-1' ? { tag: 'dead', reason: 'not JSON' } : ack,
      );
      await consumer.has(['a-4']);
      await consumer.close();
      await publishAll(
        bus,
        messages(topics.one, 1, () => 'k', 'b'),
      );
      const after = await Consumer.open(world, bus, { topics: [topics.one] });
      await after.has(['b-0']);
      assert.deepEqual([...consumer.ids, ...after.ids], ['a-0', 'a-1', 'a-2', 'a-3', 'a-4', 'b-0']);
    },
  },
  {
    concern,
    name: 'brings again what a client had done and not acknowledged when it was killed',
    fault: 'kill',
    run: async (world) => {
      const { bus, topics, faults } = world;
      const all = messages(topics.one, 6, () => 'k');
      await publishAll(bus, all);
      const ledger = new Ledger();
      const dying = await world.open();
      const first = await Consumer.open(world, dying, { topics: [topics.one], batchMax: 3 }, async (delivery) => {
        ledger.take(delivery);
        // It dies with the effect done and nothing said.
        return new Promise(() => undefined);
      });
      await first.until('A batch', () => first.deliveries.length > 0);
      await faults.kill(dying);
      const second = await Consumer.open(world, bus, { topics: [topics.one] }, (delivery) => {
        ledger.take(delivery);
        return ack;
      });
      await second.until('The effects', () => ledger.effects.size === all.length);
      assert.equal(second.deliveries[0]?.id, 'a-0');
      assert.deepEqual(second.deliveries[0]?.position, first.deliveries[0]?.position, 'the same, at the same place');
      assert.deepEqual(
        [...ledger.effects.keys()],
        all.map(({ id }) => id),
      );
    },
  },
];
