/** What `publish` answers, and what of a message arrives. */
import assert from 'node:assert/strict';
import type { BusCase } from '../bus-case.js';
import { Consumer, Ledger, ack, messages, publishAll } from '../consumer.js';

const concern = 'publish';

export const publishCases: readonly BusCase[] = [
  {
    concern,
    name: 'answers for each message, in the order in which they were handed over',
    run: async ({ bus, topics }) => {
      const answers = await bus.publish(messages(topics.three, 12, (i) => `k${i % 4}`));
      assert.equal(answers.length, 12);
      const ends = new Map<number, bigint>();
      for (const answer of answers) {
        assert.equal(answer.tag, 'published');
        if (answer.tag !== 'published' || answer.position === null) continue;
        const { topic, partition, offset } = answer.position;
        assert.equal(topic, topics.three);
        assert(offset > (ends.get(partition) ?? -1n), 'offsets of a partition rise');
        ends.set(partition, offset);
      }
    },
  },
  {
    concern,
    name: 'answers an empty list for nothing',
    run: async ({ bus }) => assert.deepEqual(await bus.publish([]), []),
  },
  {
    concern,
    name: 'brings id, key, headers and body as they were',
    run: async (world) => {
      const { bus, topics } = world;
      const sent = [
        {
          id: 'evt_1',
          topic: topics.one,
          key: 'order 7',
          headers: { 'content-type': 'application/json', ce_id: 'evt_1', ce_note: 'Grüße für 5 €, "wörtlich" 100%' },
          body: Uint8Array.from({ length: 256 }, (_, i) => i),
        },
        { id: 'id with spaces / 2', topic: topics.one, key: null, headers: {}, body: new Uint8Array(0) },
      ];
      await publishAll(bus, sent);
      const consumer = await Consumer.open(world, await world.open(), { topics: [topics.one] });
      await consumer.has(sent.map(({ id }) => id));
      for (const [i, message] of sent.entries()) {
        const delivery = consumer.deliveries[i];
        assert(delivery !== undefined);
        assert.equal(delivery.id, message.id);
        assert.equal(delivery.topic, message.topic);
        assert.equal(delivery.key, message.key);
        assert.deepEqual(Uint8Array.from(delivery.body), message.body);
        assert.deepEqual({ ...delivery.headers, ...message.headers }, delivery.headers, 'headers are all there');
      }
    },
  },
  {
    concern,
    name: 'takes the neighbours of a message that it cannot take',
    run: async (world) => {
      const { bus, topics } = world;
      const [first, large, last] = messages(topics.one, 3, () => 'k');
      assert(first !== undefined && large !== undefined && last !== undefined);
      const body = new Uint8Array(bus.caps.bytesMax + 1);
      const answers = await bus.publish([first, { ...large, body }, last]);
      assert.deepEqual(
        answers.map(({ tag }) => tag),
        ['published', 'failed', 'published'],
      );
      assert(answers[1]?.tag === 'failed' && !answers[1].retryable, 'it would be too large the next time too');
      const consumer = await Consumer.open(world, bus, { topics: [topics.one] });
      await consumer.has([first.id, last.id]);
      assert.deepEqual(consumer.ids, [first.id, last.id]);
    },
  },
  {
    concern,
    name: 'says which of several the bus has refused, and takes them when they come again',
    fault: 'refuse',
    run: async (world) => {
      const { bus, topics, faults } = world;
      const all = messages(topics.three, 6, (i) => `k${i}`);
      await faults.refuse(bus, ['a-1', 'a-4']);
      const answers = await bus.publish(all);
      const failed = all.filter((_, i) => answers[i]?.tag === 'failed');
      // What the bus takes or refuses as one is refused with them.
      assert(['a-1', 'a-4'].every((id) => failed.some((message) => message.id === id)));
      assert(answers.every((answer) => answer.tag === 'published' || answer.retryable));
      await publishAll(bus, failed);
      const consumer = await Consumer.open(world, bus, { topics: [topics.three] });
      await consumer.has(all.map(({ id }) => id));
      assert.equal(consumer.deliveries.length, all.length);
    },
  },
  {
    concern,
    name: 'lets nothing of a key overtake what the bus has refused',
    fault: 'refuse',
    of: ({ order }) => order !== 'none',
    run: async (world) => {
      const { bus, topics, faults } = world;
      const all = messages(topics.three, 9, (i) => `k${i % 3}`);
      await faults.refuse(bus, ['a-1']);
      const answers = await bus.publish(all);
      const failed = all.filter((_, i) => answers[i]?.tag === 'failed');
      const ofKey = failed.filter(({ key }) => key === 'k1').map(({ id }) => id);
      assert.deepEqual(ofKey, ['a-1', 'a-4', 'a-7']);
      await publishAll(bus, failed);
      const consumer = await Consumer.open(world, bus, { topics: [topics.three] });
      await consumer.has(all.map(({ id }) => id));
      assert.deepEqual(
        consumer.deliveries.filter(({ key }) => key === 'k1').map(({ id }) => id),
        ['a-1', 'a-4', 'a-7'],
      );
    },
  },
  {
    concern,
    name: 'calls failed what it has not heard of, and a repeat of it is known by its id',
    fault: 'loseAnswer',
    run: async (world) => {
      const { bus, topics, faults } = world;
      const [message, after] = messages(topics.one, 2, () => 'k');
      assert(message !== undefined && after !== undefined);
      await faults.loseAnswer(bus);
      const [answer] = await bus.publish([message]);
      assert(answer?.tag === 'failed' && answer.retryable);
      await publishAll(bus, [message, after]);
      const ledger = new Ledger();
      const consumer = await Consumer.open(world, bus, { topics: [topics.one] }, (delivery) => {
        ledger.take(delivery);
        return ack;
      });
      await consumer.has([message.id, after.id]);
      await consumer.close();
      assert.deepEqual([...ledger.effects.keys()], [message.id, after.id]);
      const times = consumer.ids.filter((id) => id === message.id).length;
      assert.equal(times, bus.caps.dedupeMs > 0 ? 1 : 2);
    },
  },
  {
    concern,
    name: 'sends to several topics at once',
    run: async (world) => {
      const { bus, topics } = world;
      const some = [...messages(topics.one, 2), ...messages(topics.other, 2, () => null, 'b')];
      await publishAll(bus, some);
      const consumer = await Consumer.open(world, bus, { topics: [topics.one, topics.other] });
      await consumer.has(some.map(({ id }) => id));
      for (const { id, topic } of some)
        assert.equal(consumer.deliveries.find((delivery) => delivery.id === id)?.topic, topic);
    },
  },
  {
    concern,
    name: 'leaves topics that are there as they are',
    run: async (world) => {
      const { bus, topics } = world;
      await publishAll(bus, messages(topics.one, 1));
      await (await world.open()).ensure([{ name: topics.one, partitions: 1 }]);
      const consumer = await Consumer.open(world, bus, { topics: [topics.one] });
      await consumer.has(['a-0']);
    },
  },
  {
    concern,
    name: 'says of nothing that it is published once it is closed, however often it is',
    run: async (world) => {
      const bus = await world.open();
      await bus.close();
      await bus.close();
      const answers = await bus.publish(messages(world.topics.one, 1)).catch(() => []);
      assert(answers.every(({ tag }) => tag === 'failed'));
    },
  },
];
