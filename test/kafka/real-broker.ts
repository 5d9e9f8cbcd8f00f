/** The contract of buses over a real broker, by one protocol of groups; the files beside this one run it. */
import { afterAll, beforeAll, describe, inject, it } from 'vitest';
import { loadClient, type ClientAdmin } from '../../src/buses/kafka/client-module.js';
import { exerciseBus } from '../../src/testing/bus/index.js';
import { describeUnless } from '../skip.js';
import { UnrulyLink } from '../support/kafka/unruly-link.js';
import type { RealKafka } from './global-setup.js';
import { kafkaCaps, kafkaPlace, loadKafkaClient, sessionMs } from './places.js';

/** A member is out some time after the end of its session. */
const missedMs = sessionMs + 700;

export function exerciseRealBroker(groupProtocol: 'classic' | 'consumer'): void {
  const { real, reason } = inject('kafka');
  describeUnless(real === null ? reason : null, `Kafka ${real?.version ?? ''}`, () => {
    if (real !== null) exercise(real, groupProtocol);
  });
}

function exercise(real: RealKafka, groupProtocol: 'classic' | 'consumer'): void {
  let link: UnrulyLink | null = null;
  let admin: ClientAdmin & ClientAdminOfTests;

  beforeAll(async () => {
    const { port, linkPort } = real.links?.[groupProtocol] ?? {};
    if (port !== undefined) link = await UnrulyLink.start(() => port, linkPort);
    const { Admin } = await loadClient(loadKafkaClient);
    admin = new Admin({ clientId: 'tests', bootstrapBrokers: [real.brokers] }) as ClientAdmin & ClientAdminOfTests;
  });

  afterAll(async () => {
    await admin.close();
    await link?.close();
  });

  exerciseBus(
    `contract, groups by the ${groupProtocol} protocol`,
    async () =>
      kafkaPlace({
        brokers: link === null ? real.brokers : `127.0.0.1:${link.port}`,
        groupProtocol,
        link,
        missed: () => new Promise((resolve) => setTimeout(resolve, missedMs)),
        faults: {
          trim: async (topic, partition, offset) =>
            admin
              .deleteRecords({ topics: [{ name: topic, partitions: [{ partition, offset }] }] })
              .then(() => undefined),
          recreate: async (topic) => {
            const partitions = (await admin.metadata({ topics: [topic] })).topics.get(topic)?.partitionsCount ?? 1;
            await admin.deleteTopics({ topics: [topic] });
            await createAgain(topic, partitions);
          },
        },
      }),
    { describe, it },
    {
      caps: kafkaCaps,
      faults: ['trim', 'recreate', ...(real.links === null ? [] : (['kill', 'freeze', 'loseAnswer'] as const))],
      patienceMs: 20_000,
    },
  );

  /** A name is free again some time after its topic was deleted. */
  async function createAgain(topic: string, partitions: number): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      try {
        await admin.createTopics({ topics: [{ topic, partitions }], configs: [] });
        return;
      } catch (error) {
        if (attempt > 20) throw error;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  }
}

interface ClientAdminOfTests {
  deleteRecords(options: {
    topics: { name: string; partitions: { partition: number; offset: bigint }[] }[];
  }): Promise<unknown>;
  deleteTopics(options: { topics: string[] }): Promise<void>;
}
