/**
 * One round of a scenario: a fresh database and cluster, a load, faults, and in the end every check. Rounds are short, so
 * that a campaign can be stopped between any two of them and goes on from what its report says.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Cluster, type ClusterOptions } from './cluster.js';
import { Database, type DatabaseOptions } from './database.js';
import { unrecorded, violationsIn, type Evidence, type Violation } from './evidence.js';
import { Traffic, type TrafficOptions } from './traffic.js';

/** What a round did, in numbers that add up over rounds, and what was wrong. */
export interface Round {
  /** Faults that were injected and proved that they fired, by kind. */
  readonly faults: Readonly<Record<string, number>>;
  /** What was looked at: acknowledgements, executions and the like. */
  readonly counts: Readonly<Record<string, number>>;
  /** The worst of its kind, in ms; the report keeps the highest. */
  readonly longestMs?: Readonly<Record<string, number>>;
  readonly violations: readonly Violation[];
}

/** How much of a scenario; 1 = a minute or so. */
export interface RoundSize {
  /** Faults of the round, where a scenario counts them. */
  readonly faults: number;
}

export interface Stage {
  readonly database: Database;
  readonly cluster: Cluster;
  readonly traffic: Traffic;
  /** Counts a fault that has fired. */
  fired(kind: string, times?: number): void;
  /** Notes a time; the longest is kept. */
  took(what: string, ms: number): void;
}

export interface StageOptions {
  readonly database?: Omit<DatabaseOptions, 'folder'>;
  readonly cluster?: Partial<ClusterOptions>;
  readonly traffic?: Partial<TrafficOptions>;
  readonly clocksAgree?: boolean;
  /** Puts something between the servers and the database; it is ended after them. */
  readonly between?: (database: Database) => Promise<{ readonly url: string; end(): Promise<void> }>;
  /** Called with the evidence, before it is judged: to look at it, or to tamper with it. */
  readonly judge?: (evidence: Evidence) => readonly Violation[];
}

/** Sets the stage, lets `act` do its harm, heals nothing by itself, and judges. */
export async function playRound(options: StageOptions, act: (stage: Stage) => Promise<void>): Promise<Round> {
  const folder = mkdtempSync(join(tmpdir(), 'eventspine-round-'));
  const database = await Database.make({ folder, ...options.database });
  const faults: Record<string, number> = {};
  const longestMs: Record<string, number> = {};
  let cluster: Cluster | null = null;
  let between: { readonly url: string; end(): Promise<void> } | undefined;
  try {
    await database.start();
    between = await options.between?.(database);
    cluster = await Cluster.begin({ database: between?.url ?? database.url, ...options.cluster });
    const traffic = new Traffic({ urls: cluster.urls, ...options.traffic });
    await traffic.progress(20);
    const took = (what: string, ms: number): void => {
      longestMs[what] = Math.max(longestMs[what] ?? 0, Math.round(ms));
    };
    await act({
      database,
      cluster,
      traffic,
      fired: (kind, times = 1) => (faults[kind] = (faults[kind] ?? 0) + times),
      took,
    });
    // Whole again: the last starts must come through, at every server.
    await traffic.progress(10);
    await cluster.whole();
    return await concluded(cluster, traffic, faults, longestMs, options);
  } catch (error) {
    throw new Error(`${String(error)}\n${cluster?.lastWords() ?? ''}`, { cause: error });
  } finally {
    await cluster?.end();
    await between?.end();
    await database.end();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A process that ends by itself, whatever happens to others, is a finding. */
export function deathsOf({ deaths }: Pick<Cluster, 'deaths'>): Violation[] {
  return deaths.map((detail) => ({ property: 'P30', detail }));
}

/** Waits for everything that is open and judges it. */
export async function concluded(
  cluster: Cluster,
  traffic: Traffic,
  faults: Readonly<Record<string, number>>,
  longestMs: Record<string, number>,
  { clocksAgree = true, judge = violationsIn }: Pick<StageOptions, 'clocksAgree' | 'judge'> = {},
): Promise<Round> {
  const begun = performance.now();
  const evidence = await traffic.evidence({
    executions: () => cluster.executions(),
    standstills: cluster.standstills,
    clocksAgree,
  });
  const { acknowledged, unanswered, streamConnections, longestStartMs } = traffic.counts;
  return {
    faults,
    counts: {
      acknowledged,
      unanswered,
      executions: evidence.executions.length,
      redone: unrecorded(evidence).length,
      histories: evidence.histories.size,
      streams: evidence.readings.length,
      streamConnections,
    },
    longestMs: { ...longestMs, start: longestStartMs, untilAllEnded: Math.round(performance.now() - begun) },
    violations: [...judge(evidence), ...deathsOf(cluster)],
  };
}
