/**
 * Limits over three servers: a load of real requests that does not fit into them all the time, while servers and workers are
 * killed; and whether a tenant that floods the installation slows another one down.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import type { LimitView, RunEventView, RunView } from '../../../src/protocol/http.js';
import { Asking, inParallel, pause } from '../support/asking.js';
import { Cluster } from '../support/cluster.js';
import { Database } from '../support/database.js';
import type { Violation } from '../support/evidence.js';
import { allowed } from '../support/limited-rules.mjs';
import { admissionsOf, leakedSlots, limitViolations, rulesOf, type Admissions } from '../support/limit-sweep.js';
import { deathsOf, type Round } from '../support/round.js';

const trace = fileURLToPath(new URL('../../../../shared/data/traces/azure_llm_2023_conv.csv.gz', import.meta.url));

/** Why real requests cannot be played here; null = they can. */
export const traceMissing = existsSync(trace) ? null : 'the trace azure_llm_2023_conv.csv.gz is not in shared/data';

/** A request as it was made to a model, and when, ms after the first. */
interface Request {
  readonly atMs: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
}

interface Started {
  readonly run: string;
  readonly tenant: string;
}

const tenants = 4;
/** Tokens are fewer by this, so that prompts as long as they say do not fill a disk. */
const smaller = 8;
const outputMax = 125;
/** Runs that wait for their limits when the last was started, and for servers that come back. */
const endMsMax = 180_000;
const settleMsMax = 20_000;

/** So many SIGKILLs of servers and workers by turns, spread over so many minutes of the trace. */
export async function limitsUnderKills({
  minutes,
  kills,
}: {
  readonly minutes: number;
  readonly kills: number;
}): Promise<Round> {
  return await onCluster(async (cluster) => {
    const asking = new Asking(cluster.urls);
    const until = performance.now() + minutes * 60_000;
    const faults = { 'server killed': 0, 'worker killed': 0 };
    const harm = (async () => {
      for (let i = 0; i < kills; i++) {
        await pause(((until - performance.now()) / (kills - i)) * (0.5 + Math.random() * 0.5));
        const kind = i % 2 === 0 ? 'worker' : 'server';
        await cluster.kill(kind, (i >> 1) % cluster.count(kind));
        faults[`${kind} killed`] += 1;
      }
    })();
    const started = await played(asking, requests(minutes * 60_000));
    await harm;
    await cluster.whole();
    const rules = rulesOf(allowed);
    const violations: Violation[] = [];
    const admissions: Admissions[] = [];
    let ambiguous = 0;
    await inParallel(started, 8, async ({ run, tenant }) => {
      const headers = { 'x-tenant': tenant };
      const view = await ended(asking, run, headers);
      if (view?.state !== 'succeeded')
        violations.push({
          property: 'P3',
          detail: `${run} is ${String(view?.state)}: ${JSON.stringify(view?.failure ?? view?.waitingFor)}`,
        });
      const history = await historyOf(asking, run, headers);
      ambiguous += history.filter(({ type }) => type === 'inference.ambiguous').length;
      admissions.push(admissionsOf(history, rules));
    });
    violations.push(...limitViolations(admissions, rules));
    const leaked = await leaks(asking);
    violations.push(...deathsOf(cluster));
    for (const one of leaked) violations.push({ property: 'P16-leak', detail: one });
    const taken = admissions.flatMap((one) => one.taken).length;
    console.log(`most at one time, as seen from outside: ${JSON.stringify(mostOutside(cluster))}`);
    const counts = { runs: started.length, taken, ambiguous, leaked: leaked.length, minutes };
    return { faults, counts, longestMs: { start: Math.round(asking.longestStartMs) }, violations };
  });
}

/**
 * A tenant that asks for little, alone and beside one that asks for ever more than there is, by turns. What counts is how long
 * a call of the first takes, wait and all.
 */
export async function floodedTenant({
  turns,
  calls,
}: {
  readonly turns: number;
  readonly calls: number;
}): Promise<Round> {
  return await onCluster(async (cluster) => {
    const asking = new Asking(cluster.urls);
    const ratios: number[] = [];
    const longestMs: Record<string, number> = {};
    const p99 = async (name: string): Promise<number> => {
      const times: number[] = [];
      const looks = Array.from({ length: calls }, async (_, i) => {
        await pause(i * quietEveryMs);
        const headers = { 'x-tenant': 'small' };
        const run = await asking.start('look', `${name}-${i}`, { ms: workMs }, headers);
        await ended(asking, run, headers);
        times.push(callMs(await historyOf(asking, run, headers)));
      });
      await Promise.all(looks);
      return times.sort((a, b) => a - b)[Math.ceil(times.length * 0.99) - 1] ?? 0;
    };
    await p99('warm');
    for (let turn = 0; turn < turns; turn++) {
      const alone = await p99(`alone-${turn}`);
      const headers = { 'x-tenant': 'large' };
      const flood = await Promise.all(
        Array.from({ length: floods }, (_, i) =>
          asking.start('flood', `flood-${turn}-${i}`, { ms: workMs, calls: floodCalls }, headers),
        ),
      );
      await pause(1_000);
      const beside = await p99(`beside-${turn}`);
      ratios.push(beside / alone);
      longestMs['p99 alone'] = Math.max(longestMs['p99 alone'] ?? 0, alone);
      longestMs['p99 beside a flood'] = Math.max(longestMs['p99 beside a flood'] ?? 0, beside);
      await Promise.all(flood.map((run) => asking.cancel(run, headers)));
      for (const run of flood) await ended(asking, run, headers);
    }
    ratios.sort((a, b) => a - b);
    console.log(`p99 beside a flood to alone: ${ratios.map((ratio) => ratio.toFixed(2)).join(', ')}`);
    const median = ratios[ratios.length >> 1] ?? 0;
    const violations = median <= 3 ? [] : [{ property: 'P17', detail: `the median is ${median.toFixed(2)}` }];
    return { faults: { flood: turns }, counts: { calls: turns * calls * 2 }, longestMs, violations };
  });
}

/** How long a slot is held, and how often the small tenant wants one: a quarter of all that there is. */
const workMs = 150;
const quietEveryMs = 150;
const floods = 4;
const floodCalls = 250;

async function onCluster(play: (cluster: Cluster) => Promise<Round>): Promise<Round> {
  const folder = mkdtempSync(join(tmpdir(), 'eventspine-limits-'));
  const database = await Database.make({ folder });
  let cluster: Cluster | null = null;
  try {
    await database.start();
    cluster = await Cluster.begin({ database: database.url, servers: 3, workers: 3, app: 'limited-app.mjs' });
    return await play(cluster);
  } catch (error) {
    throw new Error(`${String(error)}\n${cluster?.lastWords() ?? ''}`, { cause: error });
  } finally {
    await cluster?.end();
    await database.end();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Starts every request at its time, whatever has become of those before. */
async function played(asking: Asking, all: readonly Request[]): Promise<Started[]> {
  const begun = performance.now();
  return await Promise.all(
    all.map(async ({ atMs, inputTokens, outputTokens }, i) => {
      await pause(Math.max(0, begun + atMs - performance.now()));
      const tenant = `t${i % tenants}`;
      const input = { inputTokens, outputTokens, outputMax };
      return { tenant, run: await asking.start('answer', `request-${i}`, input, { 'x-tenant': tenant }) };
    }),
  );
}

/** The first of an hour of requests to a language model (Azure, 2023). */
function requests(untilMs: number): Request[] {
  const lines = gunzipSync(readFileSync(trace)).toString('utf8').trim().split('\n').slice(1);
  return lines
    .map((line) => {
      const [seconds = 0, context = 0, generated = 0] = line.split(',').map(Number);
      return {
        atMs: seconds * 1_000,
        inputTokens: Math.max(20, Math.round(context / smaller)),
        outputTokens: Math.max(1, Math.min(outputMax, Math.round(generated / smaller))),
      };
    })
    .filter(({ atMs }) => atMs < untilMs);
}

async function ended(asking: Asking, run: string, headers: Readonly<Record<string, string>>): Promise<RunView | null> {
  const until = performance.now() + endMsMax;
  for (;;) {
    const view = (await asking.get(`/v1/runs/${run}`, headers)) as RunView | null;
    if (view === null || view.endedAt !== null || performance.now() > until) return view;
    await pause(100);
  }
}

async function historyOf(
  asking: Asking,
  run: string,
  headers: Readonly<Record<string, string>>,
): Promise<readonly RunEventView[]> {
  const page = (await asking.get(`/v1/runs/${run}/history?limit=500`, headers)) as { readonly items: RunEventView[] };
  return page.items;
}

/** From when the call was asked for to its result, ms. */
function callMs(history: readonly RunEventView[]): number {
  const at = (wanted: string): number => Date.parse(history.find(({ type }) => type === wanted)?.at ?? '');
  return at('call.completed') - at('call.scheduled');
}

/** Slots in use when all is over. What was settled last is counted a moment later. */
async function leaks(asking: Asking): Promise<string[]> {
  const until = performance.now() + settleMsMax;
  for (;;) {
    const { items } = (await asking.get('/v1/limits')) as { readonly items: readonly LimitView[] };
    const leaked = leakedSlots(items);
    if (leaked.length === 0 || performance.now() > until) return leaked;
    await pause(250);
  }
}

interface Note {
  readonly what: 'model' | 'tool';
  readonly phase: 'begin' | 'end';
  readonly mark: string;
  readonly at: number;
  readonly pid: number;
}

/** The most that were seen under way at one time from outside; what was killed ends with its process. */
function mostOutside(cluster: Cluster): Readonly<Record<string, number>> {
  const notes = cluster.notes() as Note[];
  const lastOf = new Map<number, number>();
  for (const { pid, at } of notes) lastOf.set(pid, Math.max(at, lastOf.get(pid) ?? 0));
  const ends = new Map(notes.flatMap(({ phase, mark, at }) => (phase === 'end' ? [[mark, at]] : [])));
  const most: Record<string, number> = { executions: 0 };
  for (const what of ['model', 'tool'] as const) {
    const moves = notes
      .filter((note) => note.what === what && note.phase === 'begin')
      .flatMap(({ mark, at, pid }) => [
        { at, by: 1 },
        { at: ends.get(mark) ?? lastOf.get(pid) ?? at, by: -1 },
      ])
      .sort((a, b) => a.at - b.at || a.by - b.by);
    let count = 0;
    for (const { by } of moves) most[`${what} at once`] = Math.max(most[`${what} at once`] ?? 0, (count += by));
    most['executions'] = (most['executions'] ?? 0) + moves.length / 2;
  }
  return most;
}
