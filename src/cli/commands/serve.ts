/** `eventspine serve` and `eventspine start`: a server, without or with a worker in the same process. */
import { nodePorts } from '../../runtime/index.js';
import { serviceOf } from '../../spine/create-spine.js';
import type { Service } from '../../spine/host.js';
import type { CommandRun, Invocation } from '../command.js';
import { type ExitCode, exitCodes } from '../exit-codes.js';
import { findApp, importApp } from '../load-app.js';
import { announce, untilAborted } from '../long-running.js';
import { openServedHost } from '../served-host.js';
import { workerSlots } from '../worker-options.js';

/** Serves the API; workers connect from outside. */
export const serve: CommandRun = (invocation) => serveUntilTold(invocation, { manifest: () => null, worker: null });

/** Serves the API and does the work of one app in this process. */
export const start: CommandRun = async (invocation) => {
  const { flags, io, words } = invocation;
  const app = await importApp(await findApp(words.one('app'), io.folder));
  return await serveUntilTold(invocation, serviceOf(app, workerSlots(flags), nodePorts));
};

/** A store that has failed ends the process: a restart recovers what is on disk, going on would not. */
async function serveUntilTold(invocation: Invocation, service: Service): Promise<ExitCode> {
  const { flags, io } = invocation;
  const json = flags.truth('json');
  const host = await openServedHost(invocation, service, 'eventspine.db');
  announce(io, json, 'listening', { url: host.address.url, store: host.file });
  const failure = await Promise.race([untilAborted(io.signal), host.failed]);
  announce(io, json, 'stopping', {});
  await host.close();
  if (failure !== undefined) throw failure;
  announce(io, json, 'stopped', {});
  return exitCodes.ok.code;
}
