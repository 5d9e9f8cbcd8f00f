/**
 * Holds the process while something that was asked for is under way. The timers of engine and worker hold nothing, so
 * that an idle spine lets its host application end; without this, an application that awaits its last call, above all
 * `close`, would end in the middle of it.
 * Invariant: nothing is held any more once the work is settled.
 */

/** Works under way, and what holds the process for all of them: an armed timer is work that the event loop waits for. */
let underWay = 0;
let hold: NodeJS.Timeout | null = null;

/** Keeps the process alive until `work` is settled. Gives `work` back. */
export function keepAlive<T>(work: Promise<T>): Promise<T> {
  underWay += 1;
  // What it does is to exist. Long enough to cost nothing.
  hold ??= setInterval(() => undefined, holdMs);
  work.then(release, release);
  return work;
}

function release(): void {
  underWay -= 1;
  if (underWay > 0 || hold === null) return;
  clearInterval(hold);
  hold = null;
}

const holdMs = 3_600_000;
