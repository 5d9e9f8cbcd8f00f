// JetStream by its own client: a stream in a file, one durable pull consumer. Arguments: address, count, modules of the client.
import { batchSize, measure } from './workload.mjs';

const [address, count, transport, jetstreamModule] = process.argv.slice(2);
const { connect } = await import(transport);
const { jetstream, jetstreamManager, AckPolicy } = await import(jetstreamModule);
const connection = await connect({ servers: address });
const manager = await jetstreamManager(connection);
await manager.streams.add({ name: 'bench', subjects: ['bench'], storage: 'file' });
await manager.consumers.add('bench', {
  durable_name: 'bench',
  ack_policy: AckPolicy.Explicit,
  max_ack_pending: 10_000,
});
const stream = jetstream(connection);
const consumer = await stream.consumers.get('bench', 'bench');

await measure(
  {
    one: (body) => stream.publish('bench', body),
    many: (bodies) => Promise.all(bodies.map((body) => stream.publish('bench', body))),
    consume: async (wanted) => {
      let left = wanted;
      while (left > 0) {
        const messages = await consumer.fetch({ max_messages: Math.min(left, batchSize), expires: 5_000 });
        let last = null;
        for await (const message of messages) {
          left -= 1;
          message.ack();
          last = message;
        }
        // What is acknowledged is so when the server says it.
        if (last !== null) await connection.flush();
      }
    },
  },
  Number(count),
);
await connection.close();
