// What the servers, the feeder and the witness of the Kafka shard share: names, the app, the store and the bus.
const dist = new URL('../../../dist/', import.meta.url).href;
const { kafka } = await import(`${dist}buses/kafka/index.js`);
const { nodePorts } = await import(`${dist}runtime/index.js`);

export const names = { inside: 'orders', cameIn: 'shop.orders', wentOut: 'shipped', group: 'bridge-in' };
export const partitions = { inside: 4, outside: 6 };
export const ports = nodePorts;

/** Every event starts a run: the effect that must be there once. Nobody works on them. */
export const manifest = {
  format: 1,
  app: 'bridged',
  topics: [
    { name: names.inside, schema: { type: 'object', required: ['n'] }, key: null, partitions: partitions.inside },
  ],
  workflows: [
    {
      name: 'fulfil',
      version: null,
      previous: [],
      input: null,
      on: names.inside,
      completes: null,
      priority: 5,
      timeoutMs: null,
      retainMs: null,
      deadlineMs: 30_000,
      retry: { attempts: 1, minMs: 1, maxMs: 1, factor: 1 },
    },
  ],
  capabilities: [],
};

/** `place` is a URL of PostgreSQL or the path of a file. */
export async function openStore(place) {
  if (place.startsWith('postgres://')) {
    const { openPostgresStore } = await import(`${dist}stores/postgres/index.js`);
    return openPostgresStore({ url: place, statementMs: 3_000, lockMs: 2_000, queryMs: 4_000, connectMs: 2_000 });
  }
  const { openSqliteStore } = await import(`${dist}stores/sqlite/index.js`);
  return openSqliteStore({ file: place });
}

export async function engineOf(store, more = {}) {
  const { createEngine } = await import(`${dist}engine/index.js`);
  return createEngine({
    store,
    ports,
    settings: { sessionDeadMs: 1_500, sessionBeatMs: 300, upkeepEveryMs: 1_000 },
    ...more,
  });
}

/** KAFKA_CLIENT is the URL of the client's module, which is no dependency of this package. */
export function openBus(brokers) {
  return kafka({ brokers: [brokers], sessionMs: 1_500, client: () => import(process.env.KAFKA_CLIENT) });
}

/** The CloudEvent `number` of the load, the same whenever it is made; events of a key have rising numbers. */
export function message(number) {
  const key = `customer-${number % 97}`;
  const id = `order-${number}`;
  return {
    id,
    topic: names.cameIn,
    key,
    headers: {
      ce_specversion: '1.0',
      ce_id: id,
      ce_source: '/shop',
      ce_type: 'order.placed',
      ce_partitionkey: key,
      'content-type': 'application/json',
    },
    body: new TextEncoder().encode(JSON.stringify({ n: number, key })),
  };
}
