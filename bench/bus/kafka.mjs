// Kafka by its own client: one topic with one partition, all replicas (one) acknowledge, offsets committed for each batch.
// Arguments: brokers, count, module of the client.
import { batchSize, measure } from './workload.mjs';

const [brokers, count, module] = process.argv.slice(2);
const { Producer, Consumer, Admin, stringSerializers, stringDeserializers } = await import(module);
const settings = { clientId: 'bench', bootstrapBrokers: brokers.split(',') };
const topic = `bench-${process.pid}`;
const admin = new Admin(settings);
await admin.createTopics({ topics: [topic], partitions: 1, replicas: 1 });
await admin.close();
const producer = new Producer({ ...settings, serializers: stringSerializers });
const consumer = new Consumer({ ...settings, groupId: `${topic}-group`, deserializers: stringDeserializers });
const stream = await consumer.consume({ topics: [topic], mode: 'earliest', autocommit: false, maxWaitTime: 50 });
const messages = stream[Symbol.asyncIterator]();
const send = (bodies) => producer.send({ messages: bodies.map((value) => ({ topic, key: 'k', value })), acks: -1 });

await measure(
  {
    one: (body) => send([body]),
    many: send,
    consume: async (wanted) => {
      for (let i = 1; i <= wanted; i++) {
        const { value } = await messages.next();
        if (i % batchSize === 0 || i === wanted) await value.commit();
      }
    },
  },
  Number(count),
);
process.exit(0);
