/**
 * `eventspine topics shadow`: what this build would have made of the events of a topic, beside what was made of them. Each run
 * that an event has started is replayed here, without any effect, and its end is compared.
 */
import type { Client } from '../../client/index.js';
import { hasCode, isSpineError } from '../../core/errors.js';
import { versionText } from '../../core/manifest.js';
import type { RunEvent } from '../../core/run/events.js';
import { readExportedHistory } from '../../core/run/exported-history.js';
import { shadowHistory, type ShadowReport } from '../../worker/index.js';
import type { AnyApp } from '../../workflow/index.js';
import type { CommandRun, Invocation } from '../command.js';
import { exitCodes } from '../exit-codes.js';
import { findApp, importApp } from '../load-app.js';
import { instantFlag } from '../moment.js';
import { clientFor } from '../server-client.js';
import { renderTable } from '../table.js';

/** What came of one event: the shadow of its run, or why there is none. */
type Shadowed = ShadowReport | { readonly run: string; readonly verdict: 'unreadable'; readonly reason: string };

/** Runs that are looked at unless `--limit` says otherwise. */
const runsMaxDefault = 1_000;
/** Histories that are fetched and replayed side by side. */
const sideBySide = 8;
/** Words of a difference that are shown. */
const shownMax = 120;

/** Fails when an event would have come to another end. */
export const shadowTopic: CommandRun = async (invocation) => {
  const { words, flags, io } = invocation;
  const app = await importApp(await findApp(words.one('app'), io.folder));
  const found: Shadowed[] = [];
  const client = clientFor(invocation);
  let waiting: Promise<readonly Shadowed[]>[] = [];
  const settle = async (): Promise<void> => {
    for (const some of await Promise.all(waiting)) {
      found.push(...some);
      if (flags.truth('json')) for (const one of some) io.out(JSON.stringify(one));
    }
    waiting = [];
  };
  const limit = flags.number('limit') ?? runsMaxDefault;
  for await (const id of runsOf(client, app, invocation)) {
    if (found.length + waiting.length >= limit) break;
    waiting.push(shadowRun(client, app, id, words.one('topic')));
    if (waiting.length === sideBySide) await settle();
  }
  await settle();
  if (!flags.truth('json')) for (const line of reportText(found)) io.out(line);
  const isOther = found.some(({ verdict }) => verdict === 'different' || verdict === 'unreadable');
  return isOther ? exitCodes.failed.code : exitCodes.ok.code;
};

/** Runs of the workflows that the topic starts, in the order in which they were started. */
async function* runsOf(client: Client, app: AnyApp, { words, flags }: Invocation): AsyncGenerator<string> {
  const now = Date.now();
  const topic = words.one('topic');
  const wanted = flags.text('workflow');
  const { workflows, subscriptions = [] } = app.manifest;
  const names = new Set([
    ...workflows.flatMap(({ name, on }) => (on === topic ? [name] : [])),
    ...subscriptions.flatMap((one) => (one.topic === topic && one.workflow !== null ? [one.workflow] : [])),
  ]);
  const from = instantFlag(flags, 'from', now);
  const to = instantFlag(flags, 'to', now);
  for (const workflow of wanted === undefined ? names : [wanted]) {
    const runs = client.runs.list({
      workflow,
      order: 'oldest',
      limit: 200,
      ...(from === undefined ? {} : { startedFrom: from.toISOString() }),
      ...(to === undefined ? {} : { startedBefore: to.toISOString() }),
    });
    for await (const run of runs) yield run.id;
  }
}

/** Nothing for a run that is gone meanwhile, or that was not started by an event of the topic. */
async function shadowRun(client: Client, app: AnyApp, id: string, topic: string): Promise<readonly Shadowed[]> {
  try {
    const history = readExportedHistory(await client.runs.export(id));
    const [started] = history.events as readonly Extract<RunEvent, { type: 'run.started' }>[];
    return started?.data.trigger?.topic === topic ? [await shadowHistory(app, history)] : [];
  } catch (error) {
    if (hasCode(error, 'RUN_NOT_FOUND')) return [];
    if (!isSpineError(error) || (error.kind !== 'invalid' && error.code !== 'WORKFLOW_UNKNOWN')) throw error;
    return [{ run: id, verdict: 'unreadable', reason: error.message }];
  }
}

const verdicts = {
  same: 'come to the same',
  different: 'come to something else',
  beyond: 'ask for something that nobody has done',
  unfinished: 'are not finished',
  unreadable: 'could not be replayed',
} as const;

function reportText(found: readonly Shadowed[]): string[] {
  const [first] = found;
  if (first === undefined) return ['No run of these events is kept.'];
  const counts = (Object.keys(verdicts) as (keyof typeof verdicts)[]).flatMap((verdict) => {
    const count = found.filter((one) => one.verdict === verdict).length;
    return count === 0 ? [] : [`${count} ${verdicts[verdict]}`];
  });
  const rows = new Map<string, { readonly row: readonly string[]; count: number }>();
  for (const one of found) {
    for (const what of whatOf(one)) {
      const workflow = one.verdict === 'unreadable' ? '?' : `${one.workflow} ${versionText(one.to)}`;
      const key = `${workflow} ${what.key}`;
      const same = rows.get(key);
      if (same === undefined) rows.set(key, { row: [workflow, one.run, what.text], count: 1 });
      else same.count += 1;
    }
  }
  const summary = `Of ${found.length} events, ${counts.join(', ')}.`;
  if (rows.size === 0) return [summary];
  const shown = [...rows.values()].map(({ row: [workflow = '', run = '', text = ''], count }) => [
    String(count),
    workflow,
    run,
    text,
  ]);
  return [summary, '', ...renderTable(['EVENTS', 'WORKFLOW', 'ONE OF THEM', 'WHAT'], shown)];
}

/** What is to be said of one; what many have in common has one key. */
function whatOf(one: Shadowed): { readonly key: string; readonly text: string }[] {
  if (one.verdict === 'unreadable') return [{ key: one.reason, text: one.reason }];
  const said = (text: string): { readonly key: string; readonly text: string } => ({ key: text, text });
  const { recorded, now, values, wouldDo, leftOut, otherInput } = one;
  const ends =
    one.verdict !== 'different'
      ? []
      : now === recorded && values !== null
        ? [{ key: 'value', text: `another value: ${textOf(values.now)} instead of ${textOf(values.recorded)}` }]
        : [said(`${now} instead of ${recorded}`)];
  return [
    ...ends,
    ...wouldDo.map(({ path, kind }) => said(`${kind} "${path}" would be done`)),
    ...leftOut.map((path) => said(`"${path}" is no longer asked for`)),
    ...otherInput.map((path) => said(`"${path}" is asked with another input`)),
  ];
}

function textOf(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > shownMax ? `${text.slice(0, shownMax)}…` : text;
}
