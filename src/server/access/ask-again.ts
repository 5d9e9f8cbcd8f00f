/**
 * Streams and sockets live longer than what has opened them: a key is revoked, a session ends, a role is taken away. So whoever
 * has one is asked for again from time to time, by the credentials of the request that has opened it.
 */
import { nodePorts } from '../../runtime/index.js';

/**
 * Asks now and then whether somebody may still, until that is denied, once. Returns what ends it.
 *
 * @param everyMs Longest pause; they differ, so that what began together is not asked about together.
 * @param mayStill Never rejects: what cannot be found out takes nothing away.
 */
export function askAgain(everyMs: number, mayStill: () => Promise<boolean>, onDenied: () => void): () => void {
  let isOver = false;
  let cancel: () => void = () => undefined;
  const wait = (): void => {
    cancel = nodePorts.timers.after(everyMs * (0.75 + nodePorts.random.next() / 4), look);
  };
  const look = (): void => {
    void mayStill().then((may) => {
      if (isOver) return;
      if (may) return wait();
      isOver = true;
      onDenied();
    });
  };
  wait();
  return () => {
    isOver = true;
    cancel();
  };
}
