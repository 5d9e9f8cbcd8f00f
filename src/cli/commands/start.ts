/** `eventspine start`: server and worker in one process. */
import { nodePorts } from '../../runtime/index.js';
import { serviceOf } from '../../spine/create-spine.js';
import type { CommandRun } from '../command.js';
import { findApp, importApp } from '../load-app.js';
import { whileServed } from '../while-served.js';
import { workerSlots } from '../worker-options.js';

/** Serves the API and does the work of one app in this process. */
export const start: CommandRun = async (invocation) => {
  const { flags, io, words } = invocation;
  const app = await importApp(await findApp(words.one('app'), io.folder));
  const service = serviceOf(app, workerSlots(flags), nodePorts);
  return await whileServed(invocation, { service, defaultFile: 'eventspine.db', databaseUrl: true });
};
