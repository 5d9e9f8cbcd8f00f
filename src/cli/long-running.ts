/** Commands that run until they are told to stop. */
import type { Io } from './io.js';

/** Resolves when the signal is aborted. */
export function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** Says that something is under way, for whoever watches the terminal; programs read `--json` lines instead. */
export function announce(io: Io, json: boolean, event: string, facts: Readonly<Record<string, string | number>>): void {
  if (json) {
    io.out(JSON.stringify({ event, ...facts }));
    return;
  }
  const text = Object.entries(facts).map(([name, value]) => `${name} ${value}`);
  io.err([event, ...text].join('  '));
}
