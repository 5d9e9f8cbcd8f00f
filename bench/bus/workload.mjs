// What every contender of the bench `bus` is measured on: the same events, in the same windows. A contender is an object with
// `one(body)`, which resolves when the event is acknowledged, `many(bodies)`, the same for a batch, and `consume(count)`, which
// resolves when one consumer has received and acknowledged so many.
import { performance } from 'node:perf_hooks';

export const batchSize = 100;
/** Publishes in flight: of single events, and of batches. */
const singlesAtOnce = 64;
const batchesAtOnce = 4;

/** An event of about 200 bytes. */
export function bodyOf(i) {
  return JSON.stringify({ id: `event-${i}`, amount: i % 977, text: 'x'.repeat(150) });
}

/** Prints one line of JSON: events a second, published one by one, in batches, and consumed. */
export async function measure(contender, count) {
  await publishSingly(contender, Math.min(count, 500), 0);
  await contender.consume(Math.min(count, 500));
  const single = await timed(count, () => publishSingly(contender, count, 1e6));
  await contender.consume(count);
  const batch = await timed(count, () => publishBatches(contender, count, 2e6));
  const consume = await timed(count, () => contender.consume(count));
  console.log(JSON.stringify({ single, batch, consume }));
}

async function timed(count, act) {
  const from = performance.now();
  await act();
  return Math.round((count * 1000) / (performance.now() - from));
}

async function publishSingly({ one }, count, from) {
  let next = 0;
  await Promise.all(
    Array.from({ length: singlesAtOnce }, async () => {
      while (next < count) await one(bodyOf(from + next++));
    }),
  );
}

async function publishBatches({ many }, count, from) {
  let next = 0;
  await Promise.all(
    Array.from({ length: batchesAtOnce }, async () => {
      while (next < count) {
        const size = Math.min(batchSize, count - next);
        const first = from + next;
        next += size;
        await many(Array.from({ length: size }, (_, i) => bodyOf(first + i)));
      }
    }),
  );
}
