// Says what has become of the load, when every server has ended: `bridge-witness.mjs <store> <brokers> <file>`.
import { writeFileSync } from 'node:fs';
import { engineOf, names, openBus, openStore, partitions } from './bridge-app.mjs';

const [, , place, brokers, file] = process.argv;
const store = await openStore(place);
const engine = await engineOf(store);
const bus = await openBus(brokers);

/** Numbers in the order of each partition of ours. */
const inside = [];
for (let partition = 0; partition < partitions.inside; partition++) {
  const found = [];
  for (let after = -1; ; ) {
    const { items } = await engine.readTopic('default', names.inside, { partition, after, limit: 500 });
    if (items.length === 0) break;
    for (const { offset, event } of items) {
      found.push([event.id, event.data.n]);
      after = offset;
    }
  }
  inside.push(found);
}

const runs = [];
for (let cursor; ; ) {
  const page = await engine.listRuns('default', { limit: 500, ...(cursor === undefined ? {} : { cursor }) });
  runs.push(...page.items.map(({ id }) => id));
  if (page.next === null) break;
  cursor = page.next;
}

/** The same of each partition outside, repeats included. */
const outside = Array.from({ length: partitions.outside }, () => []);
const wanted = (await bus.lag('nobody', [names.wentOut])).reduce((sum, { count }) => sum + Number(count), 0);
let read = 0;
await new Promise((resolve, reject) => {
  if (wanted === 0) resolve();
  const options = {
    topics: [names.wentOut],
    group: 'witness',
    from: 'oldest',
    batchMax: 500,
    waitMs: 5,
    onFailed: reject,
  };
  bus
    .subscribe(options, async (batch) => {
      for (const { id, position, body } of batch)
        outside[position.partition].push([id, JSON.parse(new TextDecoder().decode(body)).n]);
      read += batch.length;
      if (read >= wanted) resolve();
      return batch.map(() => ({ tag: 'ack' }));
    })
    .catch(reject);
});

const behind = (await bus.lag(names.group, [names.cameIn])).reduce((sum, { count }) => sum + Number(count), 0);
writeFileSync(file, JSON.stringify({ inside, runs: new Set(runs).size, outside, behind }));
await bus.close();
await store.close();
process.exit(0);
