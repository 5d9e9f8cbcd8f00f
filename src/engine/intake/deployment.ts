/**
 * Deploying a build by hand: says what it changes and what unfinished work would be left without code, and registers it
 * as the newest of its app unless that is so. It is in force as soon as a worker has it.
 */
import { SpineError } from '../../core/errors.js';
import { versionText, type Manifest } from '../../core/manifest.js';
import { capabilityQueue } from '../../core/run/state.js';
import type { DeployAnswer, StrandedWork } from '../../protocol/http.js';
import type { DeployOptions } from '../api.js';
import type { EngineContext } from '../context.js';
import { sessionInfo } from '../dispatch/session-info.js';
import { liveVersions } from '../runs/live-versions.js';
import type { Catalog } from './catalog.js';
import { manifestChanges, retiredVersions } from './manifest-changes.js';
import type { Registry } from './registry.js';

export interface Deployment {
  readonly context: EngineContext;
  readonly catalog: Catalog;
  readonly registry: Registry;
}

/** Rejects with DEFINITION_INVALID, DEPLOY_REFUSED. */
export async function deploy(
  { context, catalog, registry }: Deployment,
  manifest: Manifest,
  options: DeployOptions = {},
): Promise<DeployAnswer> {
  catalog.check(manifest);
  const { app } = manifest;
  const hash = registry.hashOf(manifest);
  const { newest, others, mine } = await lookAround(context, app, catalog);
  catalog.checkTopics(manifest, newest === null ? [] : [newest.manifest]);
  const changes = manifestChanges(newest?.manifest ?? null, manifest);
  const stranded = await strandedBy(context, mine, [manifest, ...others]);
  const unchanged = newest?.hash === hash;
  const answer = { app, hash, changes, stranded };
  if (options.dryRun === true) return { ...answer, outcome: unchanged ? 'unchanged' : 'planned' };
  if (stranded.length > 0 && options.leaveWaiting !== true)
    throw new SpineError('DEPLOY_REFUSED', { app, faults: stranded.map(strandedText) });
  if (unchanged) return { ...answer, outcome: 'unchanged' };
  await registry.register(manifest, true);
  return { ...answer, outcome: 'registered' };
}

/** What is registered: the newest of the app, what other apps have in force, and what serves runs of the app now. */
async function lookAround(
  { store }: EngineContext,
  app: string,
  catalog: Catalog,
): Promise<{
  readonly newest: { readonly hash: string; readonly manifest: Manifest } | null;
  readonly others: readonly Manifest[];
  readonly mine: readonly Manifest[];
}> {
  const rows = (await store.listManifests()).filter((row) => row.app === app);
  const live = new Set((await store.listSessions()).map((row) => sessionInfo(row).manifest));
  const last = rows.toSorted((a, b) => a.registeredAt - b.registeredAt || (a.hash < b.hash ? -1 : 1)).at(-1);
  const used = rows.filter((row) => row === last || live.has(row.hash));
  const parsed = new Map(used.map((row) => [row.hash, JSON.parse(row.manifest) as Manifest]));
  const manifest = last === undefined ? undefined : parsed.get(last.hash);
  return {
    newest: last === undefined || manifest === undefined ? null : { hash: last.hash, manifest },
    others: catalog.manifests().filter((other) => other.app !== app),
    mine: [...parsed.values()],
  };
}

/** Unfinished work that somebody can do before, and nobody afterwards. */
async function strandedBy(
  { store }: EngineContext,
  before: readonly Manifest[],
  after: readonly Manifest[],
): Promise<StrandedWork[]> {
  const retired = retiredVersions(before, after);
  const stranded: StrandedWork[] = [];
  if (retired.length > 0) {
    const { versions } = await liveVersions(store, (name) => retired.some(({ workflow }) => workflow === name));
    for (const { workflow, version } of retired) {
      const groups = versions.filter((live) => live.workflow === workflow && live.version === version);
      const count = groups.reduce((sum, { runs }) => sum + runs, 0);
      if (count > 0)
        stranded.push({ kind: 'run', name: workflow, version, count, example: groups[0]?.example ?? null });
    }
  }
  const stays = new Set(implemented(after));
  const gone = [...new Set(implemented(before))].filter((name) => !stays.has(name));
  if (gone.length > 0) {
    const stats = new Map((await store.queueStats()).map((queue) => [queue.queue, queue]));
    for (const name of gone) {
      const found = stats.get(capabilityQueue(name));
      const count = found === undefined ? 0 : found.ready + found.delayed + found.held + found.leased;
      if (count > 0) stranded.push({ kind: 'call', name, version: null, count, example: null });
    }
  }
  return stranded;
}

function implemented(manifests: readonly Manifest[]): string[] {
  return manifests.flatMap((manifest) =>
    manifest.capabilities.filter((one) => one.implemented).map(({ name }) => name),
  );
}

function strandedText({ kind, name, version, count, example }: StrandedWork): string {
  if (kind === 'call') return `${count} calls of capability ${name}, which nothing would implement`;
  return `${count} unfinished runs of ${name} ${versionText(version)}${example === null ? '' : ` (${example}, ...)`}`;
}
