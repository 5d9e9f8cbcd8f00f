/**
 * `eventspine check`: replays recorded runs on a new build, without any effect, and says what would become of them. The
 * runs come out of files, or are the unfinished ones of an installation.
 */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Client } from '../../client/index.js';
import { hasCode, isSpineError, SpineError } from '../../core/errors.js';
import { versionText } from '../../core/manifest.js';
import { readExportedHistory, type ExportedHistory } from '../../core/run/exported-history.js';
import type { RunSummary } from '../../protocol/http.js';
import { replayHistory, type ReplayReport } from '../../worker/index.js';
import type { AnyApp } from '../../workflow/index.js';
import type { CommandRun, Invocation } from '../command.js';
import { exitCodes } from '../exit-codes.js';
import { findApp, importApp } from '../load-app.js';
import { checkSchemas } from './schemas.js';
import { clientFor } from '../server-client.js';
import { renderTable } from '../table.js';

/** What came of one recorded run: how it replays, or why it could not be read. */
type Checked = ReplayReport | { readonly run: string; readonly verdict: 'unreadable'; readonly reason: string };

/** Runs of an installation that are looked at unless `--limit` says otherwise. */
const runsMaxDefault = 1_000;
/** Histories that are fetched and replayed side by side. */
const sideBySide = 8;

/** Fails when a run would break, with `--strict` also when it should be looked at. */
export const check: CommandRun = async (invocation) => {
  const { words, flags, io } = invocation;
  const schemas = flags.text('schemas');
  if (schemas !== undefined) return await checkSchemas(invocation, schemas);
  const app = await importApp(await findApp(words.one('app'), io.folder));
  const files = words.all('history');
  const to = targetOf(invocation);
  const checked: Checked[] = [];
  for (const file of files) checked.push(...(await checkFile(app, file, io.folder, to)));
  let more = false;
  if (files.length === 0 || flags.text('url') !== undefined) {
    const found = await checkInstallation(app, invocation, to);
    checked.push(...found.checked);
    more = found.more;
  }
  if (flags.truth('json')) for (const one of checked) io.out(JSON.stringify(one));
  else for (const line of reportText(checked, more)) io.out(line);
  const isFailed = checked.some((one) => fails(one, flags.truth('strict')));
  return isFailed ? exitCodes.failed.code : exitCodes.ok.code;
};

function fails(one: Checked, strict: boolean): boolean {
  if (one.verdict === 'unreadable' || one.verdict === 'breaking') return true;
  return strict && one.changes.some(({ level }) => level === 'warning');
}

/** The version to look at the runs as if they were migrated to it; undefined = in their own. */
function targetOf({ flags }: Invocation): string | null | undefined {
  const version = flags.text('as');
  if (!flags.truth('as-unversioned')) return version;
  if (version === undefined) return null;
  throw new SpineError('COMMAND_INVALID', { reason: 'Give either --as or --as-unversioned.' });
}

async function checkHistory(app: AnyApp, value: unknown, to: string | null | undefined): Promise<Checked> {
  try {
    const history = readExportedHistory(value);
    return await replayHistory(app, to === undefined ? history : asMigrated(history, to));
  } catch (error) {
    if (!isSpineError(error)) throw error;
    const { run } = (value ?? {}) as { readonly run?: unknown };
    return { run: typeof run === 'string' ? run : '?', verdict: 'unreadable', reason: error.message };
  }
}

function asMigrated(history: ExportedHistory, to: string | null): ExportedHistory {
  const { events } = history;
  const seq = events.length + 1;
  const at = events.at(-1)?.at ?? 0;
  return { ...history, events: [...events, { type: 'run.migrated', data: { by: 'check', from: null, to }, seq, at }] };
}

// ---------------------------------------------------------------- files

async function checkFile(
  app: AnyApp,
  given: string,
  folder: string,
  to: string | null | undefined,
): Promise<Checked[]> {
  const path = resolve(folder, given);
  const checked: Checked[] = [];
  for (const file of await filesOf(path, given)) {
    for (const value of valuesOf(await readFile(file, 'utf8'))) checked.push(await checkHistory(app, value, to));
  }
  return checked;
}

/** A file, or all of a folder that end in `.json` or `.jsonl`. */
async function filesOf(path: string, given: string): Promise<string[]> {
  const found = await stat(path).catch(() => null);
  if (found === null) throw new SpineError('COMMAND_INVALID', { reason: `There is no file or folder ${given}.` });
  if (!found.isDirectory()) return [path];
  const names = (await readdir(path)).filter((name) => /\.jsonl?$/.test(name)).sort();
  return names.map((name) => join(path, name));
}

/** One value, a list of them, or one on each line. What is no JSON becomes a value that is no history. */
function valuesOf(text: string): unknown[] {
  const whole = parsed(text);
  if (whole !== undefined) return Array.isArray(whole) ? whole : [whole];
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => parsed(line) ?? null);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

// ---------------------------------------------------------------- an installation

async function checkInstallation(
  app: AnyApp,
  invocation: Invocation,
  to: string | null | undefined,
): Promise<{ readonly checked: readonly Checked[]; readonly more: boolean }> {
  const client = clientFor(invocation);
  const limit = invocation.flags.number('limit') ?? runsMaxDefault;
  const wanted = invocation.flags.text('workflow');
  const names = wanted === undefined ? await workflowsOf(client, app) : new Set([wanted]);
  const runs: RunSummary[] = [];
  let more = false;
  const unfinished = client.runs.list({
    state: ['queued', 'running', 'retrying', 'waiting', 'cancelling'],
    ...(wanted === undefined ? {} : { workflow: wanted }),
  });
  for await (const run of unfinished) {
    if (!names.has(run.workflow)) continue;
    more = runs.length >= limit;
    if (more) break;
    runs.push(run);
  }
  const checked: Checked[] = [];
  for (let i = 0; i < runs.length; i += sideBySide) {
    const some = runs.slice(i, i + sideBySide).map(({ id }) => checkRun(client, app, id, to));
    checked.push(...(await Promise.all(some)).flat());
  }
  return { checked, more };
}

/** What the app has, and what it has had until now: a run of a workflow that vanishes is the worst of all. */
async function workflowsOf(client: Client, app: AnyApp): Promise<ReadonlySet<string>> {
  const before = (await client.definitions()).filter((manifest) => manifest.app === app.name);
  return new Set([...before, app.manifest].flatMap(({ workflows }) => workflows.map(({ name }) => name)));
}

/** Nothing for a run that is gone meanwhile. */
async function checkRun(
  client: Client,
  app: AnyApp,
  id: string,
  to: string | null | undefined,
): Promise<readonly Checked[]> {
  try {
    return [await checkHistory(app, await client.runs.export(id), to)];
  } catch (error) {
    if (hasCode(error, 'RUN_NOT_FOUND')) return [];
    throw error;
  }
}

// ---------------------------------------------------------------- report

/** What many runs have in common is said once. */
interface Finding {
  readonly level: string;
  readonly workflow: string;
  readonly text: string;
  readonly example: string;
  runs: number;
}

const order = ['unreadable', 'break', 'warning', 'note'];

function reportText(checked: readonly Checked[], more: boolean): string[] {
  const counts = new Map<string, number>();
  for (const { verdict } of checked) counts.set(verdict, (counts.get(verdict) ?? 0) + 1);
  const parts = ['same', 'compatible', 'breaking', 'unreadable'].flatMap((verdict) => {
    const count = counts.get(verdict);
    return count === undefined ? [] : [`${count} ${verdict}`];
  });
  const summary =
    checked.length === 0 ? 'There was no run to replay.' : `Replayed ${checked.length} runs: ${parts.join(', ')}.`;
  const rest = more ? ['There are more unfinished runs; --limit looks at more of them.'] : [];
  const findings = [...findingsOf(checked).values()].sort((a, b) => order.indexOf(a.level) - order.indexOf(b.level));
  if (findings.length === 0) return [summary, ...rest];
  const rows = findings.map(({ level, runs, workflow, example, text }) => [
    level.toUpperCase(),
    String(runs),
    workflow,
    example,
    text,
  ]);
  return [summary, ...rest, '', ...renderTable(['LEVEL', 'RUNS', 'WORKFLOW', 'ONE OF THEM', 'WHAT'], rows)];
}

function findingsOf(checked: readonly Checked[]): ReadonlyMap<string, Finding> {
  const findings = new Map<string, Finding>();
  const add = (level: string, workflow: string, example: string, text: string): void => {
    const key = JSON.stringify([level, workflow, text]);
    const found = findings.get(key);
    if (found === undefined) findings.set(key, { level, workflow, text, example, runs: 1 });
    else found.runs += 1;
  };
  for (const one of checked) {
    if (one.verdict === 'unreadable') {
      add('unreadable', '?', one.run, one.reason);
      continue;
    }
    const workflow = one.version === null ? one.workflow : `${one.workflow} ${versionText(one.version)}`;
    for (const { level, text } of one.changes) add(level, workflow, one.run, text);
  }
  return findings;
}
