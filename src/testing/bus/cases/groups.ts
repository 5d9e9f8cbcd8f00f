/** Who shares messages with whom, and two who both believe to have them. */
import assert from 'node:assert/strict';
import type { BusCase } from '../bus-case.js';
import { ack, Consumer, gate, Ledger, messages, publishAll } from '../consumer.js';

const concern = 'groups';

export const groupCases: readonly BusCase[] = [
  {
    concern,
    name: 'brings everything to each group',
    run: async (world) => {
      const { bus, topics } = world;
      const all = messages(topics.three, 9, (i) => `k${i}`);
      const ids = all.map(({ id }) => id);
      const one = await Consumer.open(world, bus, { topics: [topics.three], group: `${topics.three}-g1` });
      const two = await Consumer.open(world, await world.open(), {
        topics: [topics.three],
        group: `${topics.three}-g2`,
      });
      await publishAll(bus, all);
      await Promise.all([one.has(ids), two.has(ids)]);
    },
  },
  {
    concern,
    name: 'shares messages out among those of a group, and loses none when one goes',
    run: async (world) => {
      const { bus, topics } = world;
      const ledger = new Ledger();
      const settle = (delivery: Parameters<Ledger['take']>[0]): typeof ack => {
        ledger.take(delivery);
        return ack;
      };
      const leaving = await world.open();
      const consumers = [
        await Consumer.open(world, bus, { topics: [topics.three] }, settle),
        await Consumer.open(world, leaving, { topics: [topics.three] }, settle),
      ];
      const [first, second] = consumers;
      assert(first !== undefined && second !== undefined);
      await publishAll(
        bus,
        messages(topics.three, 60, (i) => `k${i}`),
      );
      const both = async (count: number): Promise<void> => {
        const enough = (): boolean => ledger.effects.size === count;
        await Promise.any([first.until(`${count} effects`, enough), second.until(`${count} effects`, enough)]);
      };
      await both(60);
      assert(first.deliveries.length + second.deliveries.length < 120, 'they share, and do not each get all');
      await leaving.close();
      await publishAll(
        bus,
        messages(topics.three, 30, (i) => `k${i}`, 'b'),
      );
      await first.until('90 effects', () => ledger.effects.size === 90);
    },
  },
  {
    concern,
    name: 'shows the same message at the same place to two who both believe to have the partition',
    run: async (world) => {
      const { bus, topics } = world;
      const all = messages(topics.three, 20, (i) => `k${i % 5}`);
      await publishAll(bus, all);
      const ledger = new Ledger();
      const zombies = await Promise.all(
        ['g1', 'g2'].map(async (group) =>
          Consumer.open(
            world,
            await world.open(),
            { topics: [topics.three], group: `${topics.three}-${group}` },
            (delivery) => {
              ledger.take(delivery);
              return ack;
            },
          ),
        ),
      );
      await Promise.all(zombies.map((zombie) => zombie.has(all.map(({ id }) => id))));
      for (const zombie of zombies) await zombie.close();
      assert.equal(ledger.effects.size, all.length);
    },
  },
  {
    concern,
    name: 'lets a client that was frozen with a batch in its hands neither undo nor lose what another has done meanwhile',
    fault: 'freeze',
    run: async (world) => {
      const { bus, topics, faults } = world;
      const all = messages(topics.one, 6, () => 'k');
      const ids = all.map(({ id }) => id);
      await publishAll(bus, all);
      const ledger = new Ledger();
      const held = gate();
      const zombie = await world.open();
      const first = await Consumer.open(world, zombie, { topics: [topics.one], batchMax: 3 }, async (delivery) => {
        await held.opened;
        ledger.take(delivery);
        return ack;
      });
      await first.until('A batch', () => first.deliveries.length > 0);
      const thaw = await faults.freeze(zombie);
      const second = await Consumer.open(world, bus, { topics: [topics.one] }, (delivery) => {
        ledger.take(delivery);
        return ack;
      });
      await second.until('The effects', () => ids.every((id) => ledger.effects.has(id)));
      held.open();
      await thaw();
      // Its late word must not set the group back: the two go on with what is new, and nothing old comes again.
      await publishAll(
        bus,
        messages(topics.one, 3, () => 'k', 'b'),
      );
      const both = (): boolean => ['b-0', 'b-1', 'b-2'].every((id) => ledger.effects.has(id));
      await Promise.any([first.until('The rest', both), second.until('The rest', both)]);
      assert.equal(ledger.effects.size, 9);
      await first.close();
      await second.close();
      await publishAll(
        bus,
        messages(topics.one, 1, () => 'k', 'c'),
      );
      const after = await Consumer.open(world, bus, { topics: [topics.one] });
      await after.has(['c-0']);
      assert.deepEqual(after.ids, ['c-0']);
    },
  },
];
