/** Waits for what cannot be subscribed to: the state of other processes. */

/** Asks again until `done` gives a value, which it passes on; rejects after `ms`. What `done` throws counts as "not yet". */
export async function until<T>(what: string, done: () => Promise<T | null> | T | null, ms = 20_000): Promise<T> {
  const giveUpAt = performance.now() + ms;
  let last: unknown = null;
  for (;;) {
    try {
      const found = await done();
      if (found !== null) return found;
    } catch (error) {
      last = error;
    }
    if (performance.now() > giveUpAt) throw new Error(`not within ${ms} ms: ${what}`, { cause: last });
    await new Promise((wake) => setTimeout(wake, 25));
  }
}
