// Sends the load, some of it twice on purpose: `bridge-feeder.mjs <brokers> <events> <repeats> <events a second>`.
// What the brokers have not taken is sent again before what comes after it, so that each key keeps its order.
import { message, names, openBus, partitions } from './bridge-app.mjs';

const [, , brokers, events, repeats, perSecond] = process.argv;
const batch = 50;
const bus = await openBus(brokers);
await bus.ensure([
  { name: names.cameIn, partitions: partitions.outside },
  { name: names.wentOut, partitions: partitions.outside },
]);
console.log('ready');
const load = numbers(Number(events), Number(repeats));
const begun = performance.now();
let sentAgain = 0;
for (let i = 0; i < load.length; i += batch) {
  let open = load.slice(i, i + batch).map(message);
  while (open.length > 0) {
    const answers = await bus.publish(open);
    const first = answers.findIndex(({ tag }) => tag === 'failed');
    if (first === -1) break;
    open = open.slice(first);
    sentAgain += open.length;
  }
  const dueMs = (1_000 * (i + batch)) / Number(perSecond);
  await new Promise((wake) => setTimeout(wake, Math.max(0, dueMs - (performance.now() - begun))));
}
await bus.close();
console.log(`fed ${JSON.stringify({ records: load.length, sentAgain })}`);

/** Each number once, in order; and so many of them once more, some way behind. */
function numbers(count, twice) {
  const every = Math.floor(count / twice);
  return Array.from({ length: count }, (_, n) => n).flatMap((n) =>
    n % every === every - 1 ? [n, Math.max(0, n - Math.floor(Math.random() * 1_000))] : [n],
  );
}
