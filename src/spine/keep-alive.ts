/**
 * Holds the process while something that was asked for is under way. The timers of engine and worker hold nothing, so
 * that an idle spine lets its host application end; without this, an application that awaits its last call, above all
 * `close`, would end in the middle of it.
 * Invariant: nothing is held any more once the work is settled.
 */

/** Keeps the process alive until `work` is settled, and settles as it does. */
export async function keepAlive<T>(work: Promise<T>): Promise<T> {
  // What it does is to exist: an armed timer is work that the event loop waits for. Long enough to cost nothing.
  const hold = setInterval(() => undefined, holdMs);
  try {
    return await work;
  } finally {
    clearInterval(hold);
  }
}

const holdMs = 3_600_000;
