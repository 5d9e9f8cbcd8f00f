// Starts runs as fast as they are acknowledged and prints each acknowledged id. `writer.mjs <file or URL>`.
import { createEngine } from '../../../dist/engine/index.js';
import { nodePorts } from '../../../dist/runtime/index.js';
import { manifest } from './manifest.mjs';
import { openStore } from './store.mjs';

const store = await openStore(process.argv[2]);
const engine = createEngine({ store, ports: nodePorts });
await engine.start();
await engine.register(manifest);
const origin = { tenant: 'default', actor: 'test', traceparent: null, correlation: null };
console.log('ready');

async function lane(number) {
  for (let i = 0; ; i++) {
    const [outcome] = await engine.startRuns(origin, [
      { workflow: 'noop', input: { codec: 'json/1', text: JSON.stringify({ number, i }) } },
    ]);
    if (outcome.tag !== 'started') {
      console.log(`refused ${outcome.error?.code ?? outcome.error}`);
      if (outcome.error?.code === 'STORE_FAILED') process.exit(3);
      await new Promise((wake) => setTimeout(wake, 20));
      continue;
    }
    console.log(`ack ${outcome.run}`);
  }
}

for (let number = 0; number < 8; number++) void lane(number);
setInterval(() => {}, 1000);
