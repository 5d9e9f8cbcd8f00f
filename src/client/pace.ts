/**
 * Waiting and chance, as the client uses them: a browser has no `core/ports` of ours, so the two things that make a
 * client untestable come in as one small value. Invariant: nothing else in this folder sets a timer or draws a number.
 */

/** How a client waits and spreads its attempts. Tests pass their own; `systemPace` is the default. */
export interface Pace {
  /** Resolves after `ms` (>= 0); rejects with the reason of `signal` once that is aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls `fn` once after `ms`, unless the returned function is called first. */
  after(ms: number, fn: () => void): () => void;
  /** A number in [0, 1). */
  random(): number;
}

/** The runtime's own timers and random source. */
export const systemPace: Pace = {
  sleep(ms, signal) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(asError(signal.reason));
        return;
      }
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      }, ms);
      function onAbort(): void {
        clearTimeout(timer);
        reject(asError(signal?.reason));
      }
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  },
  after(ms, fn) {
    const timer = setTimeout(fn, ms);
    return () => clearTimeout(timer);
  },
  random: () => Math.random(),
};

/** How often and how patiently something is tried again. */
export interface Backoff {
  /** Tries in all, the first included. More ride out longer outages; fewer tell the caller sooner. */
  readonly attempts: number;
  readonly minMs: number;
  readonly maxMs: number;
}

/**
 * The pause before try number `attempt + 1` (`attempt` is counted from 1): full jitter, as `core/retry` has it, but
 * never shorter than what the server asked for, which in turn is believed up to `askedMsMax` only.
 */
export function pauseMs(backoff: Backoff, attempt: number, askedMs: number | null, pace: Pace): number {
  const ceilingMs = Math.min(backoff.maxMs, backoff.minMs * 2 ** (attempt - 1));
  return Math.max(Math.floor(pace.random() * ceilingMs), Math.min(askedMs ?? 0, askedMsMax));
}

/** Longest pause that a `Retry-After` or an SSE `retry:` can impose on a caller. */
export const askedMsMax = 30_000;

/** The reason of an aborted signal as an error; a signal may be aborted with any value. */
export function asError(reason: unknown): Error {
  return reason instanceof Error
    ? reason
    : new DOMException(typeof reason === 'string' ? reason : 'The call was aborted.', 'AbortError');
}
