/**
 * The processes that the demo starts: server and workers. Whatever way the demo ends, none of them outlives it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

/** A process that was started. */
export interface Child {
  readonly name: string;
  readonly pid: number;
  /** Resolves when it has ended: its exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>;
  /** True from the end on. */
  readonly hasEnded: () => boolean;
  readonly kill: (signal: 'SIGKILL' | 'SIGTERM') => void;
  /** The last lines that it wrote. */
  readonly lastLines: (count: number) => string;
}

const graceMs = 8_000;
const endWithParent = new URL('./end-with-parent.mjs', import.meta.url).href;

/** Starts and ends the demo's processes; their output goes to one file each in `logFolder`. */
export class Children {
  readonly #logFolder: string;
  readonly #children = new Set<Child>();
  readonly #atExit = (): void => {
    for (const child of this.#children) child.kill('SIGKILL');
  };

  constructor(logFolder: string) {
    this.#logFolder = logFolder;
    process.on('exit', this.#atExit);
  }

  /** Starts Node with the given arguments. */
  start(name: string, args: readonly string[], environment: Readonly<Record<string, string>> = {}): Child {
    const log = join(this.#logFolder, `${name}.log`);
    const output = openSync(log, 'a');
    const started = spawn(process.execPath, ['--import', endWithParent, ...args], {
      // The channel carries nothing; its end tells the child that the demo is gone.
      stdio: ['ignore', output, output, 'ipc'],
      env: { ...process.env, ...environment },
    });
    closeSync(output);
    started.channel?.unref();
    const child = childOf(name, started, log);
    this.#children.add(child);
    void child.ended.then(() => this.#children.delete(child));
    return child;
  }

  /** Asks all to end, workers before the server, and makes them after a while. */
  async stop(): Promise<void> {
    for (const child of [...this.#children].reverse()) {
      child.kill('SIGTERM');
      const late = new AbortController();
      const inTime = child.ended.then(() => true);
      const tooLate = pause(graceMs, false, { signal: late.signal }).catch(() => false);
      if (!(await Promise.race([inTime, tooLate]))) child.kill('SIGKILL');
      late.abort();
      await child.ended;
    }
    process.off('exit', this.#atExit);
  }
}

function childOf(name: string, started: ChildProcess, log: string): Child {
  let hasEnded = false;
  const ended = Promise.race([
    once(started, 'exit').then(([code, signal]: unknown[]) => (typeof code === 'number' ? code : String(signal))),
    once(started, 'error').then(([error]: unknown[]) => String(error)),
  ]).finally(() => {
    hasEnded = true;
  });
  return {
    name,
    pid: started.pid ?? 0,
    ended,
    hasEnded: () => hasEnded,
    kill: (signal) => void started.kill(signal),
    lastLines: (count) => readFileSync(log, 'utf8').trimEnd().split('\n').slice(-count).join('\n'),
  };
}
