/** `eventspine worker`: one worker process for a server elsewhere. */
import { createWorker } from '../../worker/index.js';
import type { CommandRun } from '../command.js';
import { exitCodes } from '../exit-codes.js';
import { findApp, importApp } from '../load-app.js';
import { announce, untilAborted } from '../long-running.js';
import { watchParent } from '../parent-watch.js';
import { serverUrl } from '../server-client.js';
import { drainGraceOf, drainMsOf, offeredNames, workerSlots } from '../worker-options.js';

/** Works until it is told to stop, then drains. Waits for a server that is not there yet. */
export const runWorker: CommandRun = async ({ flags, io, words }) => {
  const app = await importApp(await findApp(words.one('app'), io.folder));
  const offered = offeredNames(flags.list('only'), app.manifest);
  const named = flags.list('url');
  const url = (named.length > 0 ? named : io.environment.url.split(',')).map(serverUrl);
  const token = flags.text('token') ?? io.environment.token;
  const json = flags.truth('json');
  const drainMs = drainMsOf(flags);
  const worker = createWorker({
    app,
    url,
    ...(token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } }),
    ...workerSlots(flags),
    drainGraceMs: drainGraceOf(drainMs),
    ...offered,
    log: ({ level, message, fields }) => {
      if (level === 'warn' || level === 'error') io.err(`${level}  ${message}  ${JSON.stringify(fields)}`);
    },
  });
  const orphaned = parentGone(flags.number('parent'), drainMs);
  announce(io, json, 'connecting', { url: url.join(', '), app: app.manifest.app });
  const started = worker.start().then(() => announce(io, json, 'working', { pid: process.pid }));
  // A refusal is told by `stopped`; it must not also count as unhandled.
  started.catch(() => undefined);
  const refusal = await Promise.race([untilAborted(io.signal), orphaned, worker.stopped]);
  if (refusal instanceof Error) throw refusal;
  announce(io, json, 'draining', {});
  await worker.drain();
  announce(io, json, 'stopped', {});
  return exitCodes.ok.code;
};

/** Resolves when the process that has to be there is gone, and ends this one when its drain takes longer than it may. */
function parentGone(parent: number | undefined, drainMs: number): Promise<void> {
  return new Promise((resolve) => {
    if (parent !== undefined) watchParent(parent, drainMs, resolve);
  });
}
