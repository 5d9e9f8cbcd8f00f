// A consumer that writes down what it does: `consumer.mjs <url> <name> <file>`. Lines are `worked`, `settled` or `fenced`, and the event.
import { appendFileSync } from 'node:fs';
import { createClient } from '../../../dist/client/index.js';

const [, , url, name, file] = process.argv;
const { subscriptions } = createClient({ url, retry: { attempts: 1 } });
const note = (what, { event }) => appendFileSync(file, `${what} ${event.id}\n`);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
console.log('ready');
for (;;) {
  try {
    const { events } = await subscriptions.pull('group', name, { max: 10, wait: '1s', lease: '1s' });
    for (const event of events) {
      await pause(5);
      note('worked', event);
      try {
        const { settled } = await subscriptions.ack('group', name, [event]);
        if (settled === 1) note('settled', event);
      } catch (error) {
        if (error.code !== 'CONSUMER_FENCED') throw error;
        note('fenced', event);
        // What came with it is not its own any more, either, or will be refused as this was.
      }
    }
  } catch {
    // The server is down; what is in hand comes again when its lease is over.
    await pause(50);
  }
}
