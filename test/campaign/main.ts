/**
 * The fault campaign in the numbers of a night, in shards that can be stopped at any time and add to one report:
 *
 *     node --import tsx test/campaign/main.ts                    every shard that has not reached its goal, one by one
 *     node --import tsx test/campaign/main.ts --shard network    one
 *         --minutes 20      bound of each shard; what is missing is done by the next call
 *         --report FILE     the report to add to; default campaign.json
 *         --fresh           begin a new report
 *         --list            what there is, and what it has reached
 *
 * Exits with 1 where anything was lost or broken. A shard that cannot run here says why and is counted as left out.
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { parseArgs } from 'node:util';
import { endAll } from '../process/support/processes.js';
import { shards, type Shard } from './shards.js';
import type { Round } from './support/round.js';

interface ShardReport {
  done: number;
  readonly goal: number;
  rounds: number;
  seconds: number;
  faults: Record<string, number>;
  counts: Record<string, number>;
  longestMs: Record<string, number>;
  /** The first of them in full; all are counted. */
  violations: { readonly at: string; readonly property: string; readonly detail: string }[];
  violationsCounted: number;
  /** Why it did not run here; absent where it did. */
  leftOut?: string;
}

interface Report {
  readonly begun: string;
  updated: string;
  readonly machine: { readonly cpus: number; readonly kernel: string; readonly node: string };
  readonly shards: Record<string, ShardReport>;
}

const violationsKept = 50;

const { values } = parseArgs({
  options: {
    shard: { type: 'string', multiple: true },
    minutes: { type: 'string', default: '20' },
    report: { type: 'string', default: 'campaign.json' },
    fresh: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
  },
});

const report = read();
const wanted = values.shard ?? Object.keys(shards);
for (const name of wanted) if (shards[name] === undefined) throw new Error(`there is no shard ${name}`);

if (values.list) {
  for (const [name, { goal, says }] of Object.entries(shards))
    console.log(`${name.padEnd(22)} ${String(report.shards[name]?.done ?? 0).padStart(5)} of ${goal} ${says}`);
} else {
  process.once('SIGINT', () => void leave(130));
  process.once('SIGTERM', () => void leave(143));
  for (const name of wanted) {
    const shard = shards[name];
    if (shard !== undefined) await play(name, shard);
  }
  console.log(JSON.stringify(report, null, 2));
  await leave(Object.values(report.shards).some(({ violationsCounted }) => violationsCounted > 0) ? 1 : 0);
}

async function play(name: string, shard: Shard): Promise<void> {
  const entry = (report.shards[name] ??= {
    done: 0,
    goal: shard.goal,
    rounds: 0,
    seconds: 0,
    faults: {},
    counts: {},
    longestMs: {},
    violations: [],
    violationsCounted: 0,
  });
  const missing = shard.missing();
  if (missing !== null) {
    entry.leftOut = missing;
    console.warn(`LEFT OUT ${name}: ${missing}`);
    save();
    return;
  }
  delete entry.leftOut;
  const until = performance.now() + Number(values.minutes) * 60_000;
  while (entry.done < shard.goal && performance.now() < until) {
    const begun = performance.now();
    const round = await played(shard, entry.rounds);
    entry.seconds = Math.round(entry.seconds + (performance.now() - begun) / 1_000);
    entry.rounds += 1;
    entry.done += shard.unit(round);
    add(entry.faults, round.faults);
    add(entry.counts, round.counts);
    for (const [what, ms] of Object.entries(round.longestMs ?? {}))
      entry.longestMs[what] = Math.max(entry.longestMs[what] ?? 0, ms);
    entry.violationsCounted += round.violations.length;
    const at = new Date().toISOString();
    entry.violations.push(
      ...round.violations.slice(0, violationsKept - entry.violations.length).map((v) => ({ at, ...v })),
    );
    save();
    console.log(`${name}: ${entry.done} of ${shard.goal}, ${entry.violationsCounted} violations, ${entry.seconds} s`);
    for (const { property, detail } of round.violations.slice(0, 3)) console.log(`  ${property} ${detail}`);
  }
}

/** A round that ends with an error, such as nobody answering any more, is a finding and not an end. */
async function played(shard: Shard, number: number): Promise<Round> {
  try {
    return await shard.round(number);
  } catch (error) {
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { faults: {}, counts: {}, violations: [{ property: 'round', detail }] };
  } finally {
    await endAll();
  }
}

function add(to: Record<string, number>, more: Readonly<Record<string, number>>): void {
  for (const [name, count] of Object.entries(more)) to[name] = (to[name] ?? 0) + count;
}

function read(): Report {
  if (!values.fresh && existsSync(values.report)) return JSON.parse(readFileSync(values.report, 'utf8')) as Report;
  const now = new Date().toISOString();
  return {
    begun: now,
    updated: now,
    machine: { cpus: cpus().length, kernel: release(), node: process.version },
    shards: {},
  };
}

function save(): void {
  report.updated = new Date().toISOString();
  writeFileSync(`${values.report}.new`, `${JSON.stringify(report, null, 2)}\n`);
  renameSync(`${values.report}.new`, values.report);
}

/** What is open keeps no test waiting. */
async function leave(code: number): Promise<never> {
  await endAll();
  process.exit(code);
}
