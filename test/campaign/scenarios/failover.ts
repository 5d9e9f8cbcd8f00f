/**
 * The primary is killed whole and its standby promoted. Synchronous: nothing acknowledged is lost. Asynchronous, with a
 * standby that had stopped following: what was acknowledged meanwhile is lost, and the checks must report it.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../../process/support/until.js';
import { Cluster } from '../support/cluster.js';
import { Database } from '../support/database.js';
import { violationsIn, type Evidence, type Violation } from '../support/evidence.js';
import { Mover } from '../support/mover.js';
import { concluded, type Round } from '../support/round.js';
import { pause } from '../support/asking.js';
import { Traffic } from '../support/traffic.js';

export async function failover(kind: 'synchronous' | 'asynchronous'): Promise<Round> {
  const folder = mkdtempSync(join(tmpdir(), 'eventspine-failover-'));
  // The user of the database walks down to its own folders.
  chmodSync(folder, 0o755);
  const settings = kind === 'synchronous' ? { synchronous_standby_names: 'standby' } : {};
  const primary = await Database.make({ folder: join(folder, 'primary'), settings });
  const standby = await primary.standby(join(folder, 'standby'));
  const mover = await Mover.begin(primary.port);
  let cluster: Cluster | null = null;
  try {
    await primary.start();
    await standby.start();
    await until('the standby follows', async () => {
      const rows = await primary.sql('SELECT state, sync_state FROM pg_stat_replication');
      const wanted = kind === 'synchronous' ? 'sync' : 'async';
      return rows.some((row) => row['state'] === 'streaming' && row['sync_state'] === wanted) ? true : null;
    });
    cluster = await Cluster.begin({ database: mover.url });
    const traffic = new Traffic({ urls: cluster.urls });
    await traffic.progress(40);
    const faults: Record<string, number> = {};
    if (kind === 'asynchronous') {
      // The standby falls behind; nobody waits for it.
      await standby.sql('ALTER SYSTEM SET primary_conninfo = $$host=127.0.0.1 port=1$$');
      await standby.sql('SELECT pg_reload_conf()');
      await until('the standby has lost its primary', async () =>
        (await primary.sql('SELECT 1 FROM pg_stat_replication')).length === 0 ? true : null,
      );
      await traffic.progress(20);
      faults['standby left behind'] = 1;
    }
    const begun = performance.now();
    await primary.killAll();
    faults['primary killed'] = 1;
    const [promoted] = await standby.sql('SELECT pg_promote(true, 30) AS done');
    if (promoted?.['done'] !== true) throw new Error('the standby was not promoted');
    faults['standby promoted'] = 1;
    const promotionMs = Math.round(performance.now() - begun);
    mover.point(standby.port);
    await traffic.roundTrip();
    const dispatchMs = Math.round(performance.now() - begun);
    await pause(1_000);
    await traffic.progress(20);
    if (kind === 'asynchronous') {
      // Every server must have noticed: it says so and begins anew.
      await until('the servers have noticed the loss', () => ((cluster?.storeFailures ?? 0) > 0 ? true : null));
      await cluster.whole();
      await traffic.progress(20);
    }
    if (cluster.storeFailures > 0) faults['server that noticed a loss'] = cluster.storeFailures;
    const tail = new Set(traffic.acknowledged.slice(-10).map(({ run }) => run));
    return await concluded(
      cluster,
      traffic,
      faults,
      { 'kill and promotion': promotionMs, 'whole run after the primary was killed': dispatchMs },
      kind === 'synchronous'
        ? { judge: (evidence) => judgeWhole(evidence, cluster?.storeFailures ?? 0) }
        : { judge: (evidence) => judgeLoss(evidence, tail) },
    );
  } finally {
    await cluster?.end();
    mover.end();
    await primary.end();
    await standby.end();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Nothing is lost, and no server believes that something is. */
function judgeWhole(evidence: Evidence, storeFailures: number): Violation[] {
  const alarm = { property: 'alarm', detail: `${storeFailures} servers believe that the database has lost something` };
  return [...violationsIn(evidence), ...(storeFailures === 0 ? [] : [alarm])];
}

/**
 * What is lost must be reported as lost and nothing else may be wrong: the rest goes on to its end, and what was
 * acknowledged afterwards is there. A run may also have gone back: then what was seen and done since is seen and done
 * again, so that marks, times and readings say nothing about it.
 */
export function judgeLoss(evidence: Evidence, tail: ReadonlySet<string>): Violation[] {
  const found = violationsIn(evidence);
  const lost = found.filter(({ property, detail }) => property === 'P1' && detail.endsWith('is lost'));
  const forgiven = new Set(['P4-late', 'P6', 'P19', 'P2']);
  // Whoever asks again with the key of a lost run gets a new one.
  const renewed = new Set(evidence.askedAgain.map(({ run }) => `${run} was started by nobody`));
  return [
    ...(lost.length > 0
      ? []
      : [{ property: 'P1', detail: 'acknowledged runs must be missing, and none was reported' }]),
    ...lost.filter(({ detail }) => tail.has(detail.split(' ')[0] ?? '')),
    ...found.filter(
      (violation) =>
        !lost.includes(violation) &&
        !forgiven.has(violation.property) &&
        !(violation.property === 'P1-unasked' && renewed.has(violation.detail)),
    ),
  ];
}
