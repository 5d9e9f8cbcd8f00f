/** The contract of buses, over the broker of this repository: with every fault that the suite knows. */
import { afterAll, beforeAll, describe, inject, it } from 'vitest';
import { exerciseBus } from '../../src/testing/bus/index.js';
import { describeUnless } from '../skip.js';
import { FakeBroker } from '../support/kafka/fake-broker.js';
import { UnrulyLink } from '../support/kafka/unruly-link.js';
import { kafkaCaps, kafkaPlace } from './places.js';

const { client, reason } = inject('kafka');

describeUnless(client === null ? reason : null, 'Kafka, with the broker of this repository', () => {
  let broker: FakeBroker;
  let link: UnrulyLink;

  beforeAll(async () => {
    broker = await FakeBroker.start();
    link = await UnrulyLink.start(() => broker.port);
    broker.advertisedPort = link.port;
  });

  afterAll(async () => {
    await link.close();
    await broker.close();
  });

  exerciseBus(
    'contract',
    async () =>
      kafkaPlace({
        brokers: `127.0.0.1:${link.port}`,
        link,
        missed: async (clientId) => broker.expire(clientId),
        faults: {
          refuse: async (_, ids) => {
            for (const id of ids) broker.topics.refused.add(id);
          },
          trim: async (topic, partition, below) => broker.topics.named(topic)?.partitions[partition]?.trim(below),
          recreate: async (topic) => {
            const partitions = broker.topics.named(topic)?.partitions.length ?? 1;
            broker.topics.delete(topic);
            broker.topics.create(topic, partitions);
          },
        },
      }),
    { describe, it },
    { caps: kafkaCaps, faults: ['kill', 'freeze', 'refuse', 'loseAnswer', 'trim', 'recreate'] },
  );
});
