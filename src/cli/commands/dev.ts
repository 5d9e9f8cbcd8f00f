/**
 * `eventspine dev`: server, engine and an embedded store in this process, workers beside it that are replaced when the
 * code changes. With `--inline` the worker is in this process too, for a debugger.
 */
import { dirname } from 'node:path';
import { open as openInspector } from 'node:inspector';
import { SpineError } from '../../core/errors.js';
import { nodePorts } from '../../runtime/index.js';
import { serviceOf } from '../../spine/create-spine.js';
import { startChildWorker } from '../child-worker.js';
import type { CommandRun, Flags, Invocation } from '../command.js';
import type { ExitCode } from '../exit-codes.js';
import { type AppFile, findApp, importApp } from '../load-app.js';
import { Supervisor } from '../supervisor.js';
import { watchFolder } from '../watch-folder.js';
import { whileServed } from '../while-served.js';
import { workerSlots } from '../worker-options.js';

/** A DATABASE_URL in a developer's shell is that of the app. */
const ownStore = { defaultFile: '.eventspine/dev.db', databaseUrl: false };

/** Runs until it is told to stop, then drains. */
export const dev: CommandRun = async (invocation) => {
  const file = await findApp(invocation.words.one('app'), invocation.io.folder);
  return invocation.flags.truth('inline') ? await devInline(invocation, file) : await devBeside(invocation, file);
};

async function devInline(invocation: Invocation, file: AppFile): Promise<ExitCode> {
  const { flags } = invocation;
  if (flags.list('conditions').length > 0) {
    const reason =
      '--conditions cannot be set for a process that runs already; start it as NODE_OPTIONS=--conditions=...';
    throw new SpineError('COMMAND_INVALID', { reason });
  }
  if (flags.truth('inspect')) openInspector();
  for (const env of flags.list('env-file')) process.loadEnvFile(env);
  const app = await importApp(file);
  const service = serviceOf(app, { ...workerSlots(flags) }, nodePorts);
  return await whileServed(invocation, { service, ...ownStore });
}

async function devBeside(invocation: Invocation, file: AppFile): Promise<ExitCode> {
  return await whileServed(invocation, {
    service: { manifest: () => null, worker: null },
    ...ownStore,
    beside: (host) => startWorkers(invocation, file, host.address.url),
  });
}

async function startWorkers(invocation: Invocation, file: AppFile, url: string): Promise<() => Promise<void>> {
  const { flags, io } = invocation;
  const execArgv = execArgvOf(flags);
  const token = flags.text('token') ?? io.environment.token;
  const tell = (text: string): void => io.err(text);
  const supervisor = new Supervisor({
    workers: flags.number('workers') ?? 1,
    ports: nodePorts,
    tell,
    spawn: (place) =>
      startChildWorker({
        process: { app: file.path, url, ...workerSlots(flags), ...(token === undefined ? {} : { token }) },
        folder: io.folder,
        // Every process needs an inspector port of its own; 0 lets the system choose.
        execArgv: flags.truth('inspect') ? [...execArgv, place === 0 ? '--inspect' : '--inspect=0'] : execArgv,
        tell,
      }),
  });
  supervisor.start();
  const stopWatching = await watchFolder({
    folder: dirname(file.path),
    timers: nodePorts.timers,
    onChange: (changed) => {
      tell(`${changed} has changed; workers are replaced`);
      void supervisor.replace();
    },
    onFault: (reason) => tell(`changes of the code are not noticed: ${reason}`),
  });
  return async () => {
    stopWatching();
    await supervisor.stop();
  };
}

function execArgvOf(flags: Flags): string[] {
  return [
    ...flags.list('conditions').map((condition) => `--conditions=${condition}`),
    ...flags.list('env-file').map((env) => `--env-file=${env}`),
  ];
}
