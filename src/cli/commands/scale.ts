/**
 * `eventspine scale`: as many worker processes on this machine as the backlog of their queues wants. It measures, plans
 * and resizes; everything else is the pool's. Invariant: while nothing can be measured, the number of workers stays.
 */
import { availableParallelism } from 'node:os';
import { isRemoteError } from '../../client/index.js';
import { type Duration, parseDuration } from '../../core/duration.js';
import { isSpineError, SpineError } from '../../core/errors.js';
import { limits } from '../../core/limits.js';
import { queuesServed } from '../../core/scale.js';
import type { ScaleView } from '../../protocol/http.js';
import { nodePorts } from '../../runtime/index.js';
import type { CommandRun, Flags, Invocation } from '../command.js';
import { childEnvironment } from '../environment.js';
import { exitCodes } from '../exit-codes.js';
import { type AppFile, findApp, importApp } from '../load-app.js';
import { announce } from '../long-running.js';
import { planned, remember, type WantedLately } from '../scale-plan.js';
import { startScaledWorker } from '../scaled-worker.js';
import { clientFor, serverUrl } from '../server-client.js';
import { WorkerPool } from '../worker-pool.js';
import { drainMsOf, offeredNames } from '../worker-options.js';

/** Scales until it is told to stop, then drains every worker. */
export const scale: CommandRun = async (invocation) => {
  const { flags, io, words } = invocation;
  const json = flags.truth('json');
  const settings = settingsOf(flags);
  const file = await findApp(words.one('app'), io.folder);
  for (const env of flags.list('env-file')) process.loadEnvFile(env);
  // Importing an app opens nothing; an app that cannot be loaded is better told once, here, than by every worker.
  const { manifest } = await importApp(file);
  const only = flags.list('only');
  const offered = offeredNames(only, manifest);
  const group =
    only.length === 0
      ? { app: manifest.app }
      : { queue: queuesServed(manifest, { workflows: [], capabilities: [], ...offered }) };
  const measure = measurer(invocation, { ...group, ...settings.bounds });
  const pool = new WorkerPool({
    max: settings.bounds.max,
    drainMs: settings.drainMs,
    ports: nodePorts,
    spawn: spawner(invocation, file),
    onEvent: ({ event, ...facts }) => announce(io, json, event, facts),
  });
  // However this process ends, short of a kill: a second Ctrl-C, a bug. After a kill the workers notice by themselves.
  const killAll = (): void => pool.kill();
  process.once('exit', killAll);
  const { min, max, target } = settings.bounds;
  announce(io, json, 'scaling', { app: manifest.app, min, max, target });
  try {
    // One worker at first, whatever the backlog: it brings the definitions, without which the server takes no runs.
    let lately: WantedLately = remember([], { atMs: nowMs(), workers: Math.max(1, min) }, settings.windowMs);
    pool.resize(planned(lately));
    let reachable = true;
    while (!io.signal.aborted) {
      const measured = await measure();
      if (io.signal.aborted) break;
      if (measured.tag === 'failed') {
        if (reachable) announce(io, json, 'unmeasured', { reason: measured.reason });
        lately = remember(lately, { atMs: nowMs(), workers: pool.target }, settings.windowMs);
      } else {
        if (!reachable) announce(io, json, 'measured', {});
        const { desired, value, lagMs } = measured.view;
        lately = remember(lately, { atMs: nowMs(), workers: desired }, settings.windowMs);
        const [from, to] = [pool.target, planned(lately)];
        if (from !== to) announce(io, json, 'scaled', { from, to, backlog: value, lagMs: Math.round(lagMs) });
        pool.resize(to);
      }
      reachable = measured.tag === 'measured';
      await pause(settings.everyMs, io.signal);
    }
    announce(io, json, 'stopping', { workers: pool.running + pool.draining });
  } finally {
    await pool.stop();
    process.off('exit', killAll);
  }
  announce(io, json, 'stopped', {});
  return exitCodes.ok.code;
};

interface Settings {
  readonly bounds: {
    readonly target: number;
    readonly min: number;
    readonly max: number;
    readonly activation: number;
  };
  readonly everyMs: number;
  readonly windowMs: number;
  readonly drainMs: number;
}

/** Fails with COMMAND_INVALID, DURATION_INVALID. */
function settingsOf(flags: Flags): Settings {
  const min = flags.number('min') ?? 1;
  const max = flags.number('max') ?? Math.max(min, availableParallelism());
  const target = flags.number('target') ?? flags.number('slots') ?? limits.workerSlotsDefault;
  const activation = flags.number('activation') ?? 0;
  const everyMs = durationOf(flags, 'every', '2s');
  const refuse = (reason: string): SpineError => new SpineError('COMMAND_INVALID', { reason });
  if (max < 1 || max > limits.scaleWorkersMax) throw refuse(`--max must be 1 to ${limits.scaleWorkersMax}.`);
  if (min > max) throw refuse(`--min ${min} is above --max ${max}.`);
  if (target < 1 || target > limits.scaleTargetMax) throw refuse(`--target must be 1 to ${limits.scaleTargetMax}.`);
  if (activation > limits.scaleTargetMax) throw refuse(`--activation must be 0 to ${limits.scaleTargetMax}.`);
  if (everyMs < everyMsMin) throw refuse(`--every must be at least ${everyMsMin}ms.`);
  return {
    bounds: { target, min, max, activation },
    everyMs,
    windowMs: durationOf(flags, 'window', '1m'),
    drainMs: drainMsOf(flags),
  };
}

/** More often would only keep the store busy with counting. */
const everyMsMin = 100;

function durationOf(flags: Flags, name: string, otherwise: Duration): number {
  return parseDuration((flags.text(name) ?? otherwise) as Duration);
}

type Measured =
  | { readonly tag: 'measured'; readonly view: ScaleView }
  | { readonly tag: 'failed'; readonly reason: string };

/** Asks the server. Rejects with what the server says to the first question if asking again cannot help. */
function measurer(
  invocation: Invocation,
  query: Parameters<ReturnType<typeof clientFor>['scale']>[0],
): () => Promise<Measured> {
  const client = clientFor(invocation);
  let answered = false;
  return async () => {
    try {
      const view = await client.scale({ ...query });
      answered = true;
      return { tag: 'measured', view };
    } catch (error) {
      if (invocation.io.signal.aborted) return { tag: 'failed', reason: 'stopping' };
      const known = isRemoteError(error) || isSpineError(error);
      if (!answered && !(known && error.kind === 'transient')) throw error;
      return { tag: 'failed', reason: known ? `${error.code}: ${error.message}` : String(error) };
    }
  };
}

/** Starts workers with the options that this command shares with `eventspine worker`. */
function spawner({ flags, io }: Invocation, file: AppFile): () => ReturnType<typeof startScaledWorker> {
  const url = serverUrl(flags.text('url') ?? io.environment.url);
  const slots = flags.number('slots');
  const drain = flags.text('drain');
  const args = [
    file.path,
    '--url',
    url,
    ...(slots === undefined ? [] : ['--slots', String(slots)]),
    ...(drain === undefined ? [] : ['--drain', drain]),
    ...flags.list('only').flatMap((name) => ['--only', name]),
  ];
  const execArgv = [
    ...flags.list('conditions').map((condition) => `--conditions=${condition}`),
    ...flags.list('env-file').map((env) => `--env-file=${env}`),
  ];
  const environment = childEnvironment(flags.text('token') ?? io.environment.token);
  return () => startScaledWorker({ execArgv, args, folder: io.folder, environment });
}

function nowMs(): number {
  return nodePorts.clock.monotonicMs();
}

/** Sleeps, unless the command is to stop. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end, { once: true });
  });
}
