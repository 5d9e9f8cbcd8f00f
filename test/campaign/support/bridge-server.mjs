// A server with a bridge in and a bridge out, and nothing else to do: `bridge-server.mjs <store> <brokers>`.
import { engineOf, manifest, names, openBus, openStore, partitions } from './bridge-app.mjs';

const [, , place, brokers] = process.argv;
const bridge = { bus: 'kafka', tenant: 'default', topic: names.inside, batchMax: 100, from: 'oldest' };
const open = () => openBus(brokers);
const store = await opened();
const engine = await engineOf(store, {
  log: (record) => console.error(JSON.stringify({ at: Date.now(), ...record })),
  bridges: [
    {
      bridge: {
        ...bridge,
        direction: 'in',
        name: 'orders-in',
        outside: names.cameIn,
        group: names.group,
        accepts: 'cloudevents',
      },
      open,
    },
    {
      bridge: {
        ...bridge,
        direction: 'out',
        name: 'orders-out',
        outside: names.wentOut,
        mode: 'binary',
        partitions: partitions.outside,
      },
      open,
    },
  ],
});
await engine.start();
await engine.register(manifest);
process.once('SIGTERM', () => void engine.stop().then(() => process.exit(0)));
void store.failed.then((error) => {
  console.error(`failed: ${String(error)}`);
  process.exit(3);
});
setInterval(() => console.log(`facts ${JSON.stringify(engine.bridgeFacts())}`), 250).unref();
console.log('ready');

/** The file of a server that was killed a moment ago may still be held by what the system has to do for it. */
async function opened() {
  for (;;) {
    try {
      return await openStore(place);
    } catch (error) {
      console.error(String(error));
      await new Promise((wake) => setTimeout(wake, 100));
    }
  }
}
