// BullMQ: a queue, and a worker in the same process that is given 100 jobs at a time. Arguments: port, count, node_modules.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { batchSize, measure } from './workload.mjs';

const [port, count, modules] = process.argv.slice(2);
const { Queue, Worker } = createRequire(join(modules, 'bench.cjs'))('bullmq');
const connection = { host: '127.0.0.1', port: Number(port), maxRetriesPerRequest: null };
const queue = new Queue('bench', { connection });
const options = { removeOnComplete: true };

await measure(
  {
    one: (body) => queue.add('event', JSON.parse(body), options),
    many: (bodies) => queue.addBulk(bodies.map((body) => ({ name: 'event', data: JSON.parse(body), opts: options }))),
    consume: (wanted) =>
      new Promise((resolve, reject) => {
        let left = wanted;
        const worker = new Worker('bench', async () => null, { connection, concurrency: batchSize });
        worker.on('completed', () => {
          left -= 1;
          if (left === 0) worker.close().then(resolve, reject);
        });
        worker.on('error', reject);
      }),
  },
  Number(count),
);
await queue.close();
process.exit(0);
