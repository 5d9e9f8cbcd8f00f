/**
 * Starts one `eventspine worker` process for the supervisor of a machine. It is the leader of a process group of its own:
 * Ctrl-C at the terminal reaches the supervisor alone, and a kill takes along whatever the user's code has started.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { ChildExit } from './supervisor.js';
import type { PoolChild } from './worker-pool.js';

/** What a worker process is started with. */
export interface ScaledWorkerOptions {
  /** Flags of Node: conditions, env file. */
  readonly execArgv: readonly string[];
  /** What follows `eventspine worker`, without secrets: everybody on the machine can read it. */
  readonly args: readonly string[];
  readonly folder: string;
  readonly environment: NodeJS.ProcessEnv;
}

const program = fileURLToPath(new URL('./main.js', import.meta.url));

/** Starts the process; what it prints goes to the standard error output. */
export function startScaledWorker({ execArgv, args, folder, environment }: ScaledWorkerOptions): PoolChild {
  const parent = ['--parent', String(process.pid)];
  const child = spawn(process.execPath, [...execArgv, program, 'worker', ...args, ...parent], {
    cwd: folder,
    env: environment,
    // The standard output carries the events of the supervisor and nothing else.
    stdio: ['ignore', 2, 2],
    detached: true,
    windowsHide: true,
  });
  const exited = new Promise<ChildExit>((resolve) => {
    child.once('exit', (code, signal) => {
      // What the worker has started itself must not outlive it.
      killGroup(child.pid);
      resolve({ hopeless: false, how: signal === null ? `exit code ${code}` : `signal ${signal}` });
    });
    child.once('error', (error) => resolve({ hopeless: false, how: error.message }));
  });
  return {
    pid: child.pid ?? null,
    exited,
    drain: () => void child.kill('SIGTERM'),
    kill: () => {
      killGroup(child.pid);
      child.kill('SIGKILL');
    },
  };
}

function killGroup(leader: number | undefined): void {
  if (leader === undefined || process.platform === 'win32') return;
  try {
    process.kill(-leader, 'SIGKILL');
  } catch {
    // Nobody is left in it.
  }
}
