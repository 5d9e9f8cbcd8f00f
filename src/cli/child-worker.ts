/** Starts one worker process and shows it to the supervisor as a `Child`. */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { childEnvironment } from './environment.js';
import type { Child, ChildExit } from './supervisor.js';
import type { FromWorkerProcess, ToWorkerProcess, WorkerProcessOptions } from './worker-process-messages.js';

/** What a worker process is started with. */
export interface ChildWorkerOptions {
  readonly process: WorkerProcessOptions;
  /** Folder that the process runs in. */
  readonly folder: string;
  /** Flags of Node: conditions, env file, inspector. */
  readonly execArgv: readonly string[];
  readonly tell: (text: string) => void;
}

const entry = fileURLToPath(new URL('./worker-process.js', import.meta.url));

/** Starts the process; what it prints goes to the terminal. */
export function startChildWorker({ process: options, folder, execArgv, tell }: ChildWorkerOptions): Child {
  const child = fork(entry, [JSON.stringify(options)], {
    cwd: folder,
    env: childEnvironment(),
    execArgv: [...execArgv],
    // The result of a command is on the standard output; what workers print is not part of it.
    stdio: ['ignore', 2, 2, 'ipc'],
  });
  let hopeless = false;
  child.on('message', (message: FromWorkerProcess) => {
    if (message.type === 'ready') {
      tell(`worker ${child.pid} is ready`);
      return;
    }
    hopeless = true;
    tell(message.message);
    if (message.mend !== '') tell(message.mend);
  });
  const exited = new Promise<ChildExit>((resolve) => {
    child.on('exit', (code, signal) => {
      resolve({ hopeless, how: signal === null ? `exit code ${code}` : `signal ${signal}` });
    });
    child.on('error', (error) => resolve({ hopeless, how: error.message }));
  });
  return {
    exited,
    drain() {
      const order: ToWorkerProcess = { type: 'drain' };
      // A process that is on its way out has no channel any more; its exit is all that is waited for.
      if (child.connected) child.send(order, () => undefined);
    },
    kill: () => void child.kill('SIGKILL'),
  };
}
