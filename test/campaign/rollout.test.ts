/**
 * Versions side by side: an earlier commit of this repository and this checkout, and this checkout and versions to come, which
 * are made by changing a copy of it as the rules of `docs/guides/upgrade.md` allow. Servers and workers of both at work on
 * one database: nothing acknowledged is lost, nothing is done again after its commit.
 */
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';
import { migrations, worksFrom } from '../../src/stores/postgres/migrations/migrations.js';
import type { RunEventView } from '../../src/protocol/http.js';
import { Child, endAll, nightly } from '../process/support/processes.js';
import { describeUnless } from '../skip.js';
import { nextVersion, rollOut, takeOver, Versions } from './scenarios/rollouts.js';
import { changedBuild, earlierBuild, earlierMissing, earlierSchema, thisBuild, type Change } from './support/builds.js';
import { databaseMissing } from './support/database.js';
import { violationsIn } from './support/evidence.js';
import { playRound, type Round } from './support/round.js';

/**
 * The version that is rolled out from. No version is released yet, so it is a commit whose schema this checkout still knows;
 * after the first release it is the last released one.
 */
const earlier = '78a2af4a68ae11e5b9da747cd52de59d9fa21d2b';

/** A version that writes what the one before cannot read: somebody has skipped one. */
const versionAfter: readonly Change[] = [
  ...nextVersion,
  { file: 'core/run/decide.js', find: /type: 'timer\.set'/, become: "type: 'timer.armed'" },
  { file: 'core/run/journal.js', find: /'timer\.set',/, become: "'timer.set', 'timer.armed'," },
  ...['core/run/state.js', 'core/run/effects.js', 'workflow/replay/path-record.js'].map((file) => ({
    file,
    find: /case 'timer\.set':/g,
    become: "case 'timer.armed': case 'timer.set':",
  })),
];

afterAll(endAll);

const missing = databaseMissing();

describeUnless(missing ?? earlierMissing(earlier), 'an earlier version and this one', () => {
  it('work side by side, servers first', async () => {
    // It is from before schemas said who may open them.
    const oldMayStart = earlierSchema(earlier) === migrations.length;
    const round = await rollOut({ from: earlierBuild(earlier), to: thisBuild, first: 'server', oldMayStart });
    expectWhole(round);
  });

  it('hand over at once, with runs in flight', async () => {
    const round = await takeOver({ from: earlierBuild(earlier), to: thisBuild });
    expectWhole(round);
    expect(round.counts['redone']).toBeGreaterThan(0);
  });
});

describeUnless(missing, 'this version and the next', () => {
  it('work side by side, workers first, and an old server may start again', async () => {
    const round = await rollOut({
      from: thisBuild,
      to: changedBuild(nextVersion),
      first: 'worker',
      oldMayStart: true,
      halfway: async ({ database, cluster, traffic }) => {
        expect(await database.sql(schemaSql)).toEqual([
          { key: 'schema', value: String(migrations.length + 1) },
          { key: 'schema_from', value: String(worksFrom) },
        ]);
        // What the new one has added is there, and the old one passes it on.
        const [, old] = cluster.urls;
        const runs = traffic.acknowledged.slice(-20).map(({ run }) => run);
        const histories = await Promise.all(runs.map((run) => historyOf(old ?? '', run)));
        const isNew = ({ data }: RunEventView): boolean => (data as { mood?: unknown }).mood === 'calm';
        expect(histories.flat().filter(isNew).length).toBeGreaterThan(0);
      },
    });
    expectWhole(round);
  });

  it('do not speak with each other where the protocol has another number, and say so', async () => {
    const other = changedBuild([
      { file: 'protocol/worker.js', find: /workerProtocol = \d+/, become: 'workerProtocol = 1000' },
    ]);
    const said: string[] = [];
    const round = await playRound({ traffic: { lanes: 1 } }, async ({ cluster, fired }) => {
      const worker = new Child(process.execPath, [fileURLToPath(workerProgram), ...cluster.urls], {
        EVENTSPINE_BUILD: other,
      });
      expect(await worker.exited).toBe(1);
      said.push(...worker.errors);
      fired('worker refused');
    });
    expect(round.violations).toEqual([]);
    expect(said.join('\n')).toContain('PROTOCOL_MISMATCH');
  });

  it('an old server does not start on a schema that has taken something away, and says so', async () => {
    const breaking = changedBuild([
      ...nextVersion,
      {
        file: 'stores/postgres/migrations/migrations.js',
        find: /worksFrom = \d+/,
        become: `worksFrom = ${migrations.length + 1}`,
      },
    ]);
    const versions = new Versions(breaking);
    let said: readonly string[] = [];
    const round = await playRound(
      { cluster: { place: versions.place }, traffic: { lanes: 1 } },
      async ({ database, fired }) => {
        const args = [fileURLToPath(serverProgram), database.url, '127.0.0.1', '0'];
        const old = new Child(process.execPath, args, { EVENTSPINE_BUILD: thisBuild });
        expect(await old.exited).toBe(4);
        said = old.errors;
        fired('old server refused');
      },
    );
    expect(round.violations).toEqual([]);
    expect(said.join('\n')).toContain(`schema ${migrations.length + 1}`);
  });
});

describeUnless(
  missing ?? (nightly ? null : 'a rollout that skips a version takes minutes; only nightly'),
  'this version and one after the next',
  () => {
    it('where a version was skipped: the old one says that it cannot read a run, and leaves it to the new one', async () => {
      let refusal: { readonly status: number; readonly problem: unknown } | null = null;
      const round = await rollOut({
        from: thisBuild,
        to: changedBuild(versionAfter),
        first: 'server',
        oldMayStart: true,
        halfway: async ({ cluster, traffic }) => {
          const [, old = ''] = cluster.urls;
          for (let attempt = 0; attempt < 40 && refusal === null; attempt++) {
            // Runs of every third value sleep; some of them do so by the word of the new server.
            for (const { run } of traffic.acknowledged.filter(({ value }) => value % 3 === 0).slice(-12)) {
              const answer = await fetch(`${old}/v1/runs/${run}`);
              if (!answer.ok) refusal = { status: answer.status, problem: await answer.json() };
            }
            await new Promise((wake) => setTimeout(wake, 100));
          }
        },
        options: { judge: (evidence) => violationsIn({ ...evidence, histories: asBefore(evidence.histories) }) },
      });
      expectWhole(round);
      expect(refusal).toMatchObject({ status: 503, problem: { code: 'EVENT_UNKNOWN' } });
    }, 600_000);
  },
);

const serverProgram = new URL('support/server.mjs', import.meta.url);
const workerProgram = new URL('support/worker.mjs', import.meta.url);
const schemaSql = `SELECT key, value FROM eventspine.meta WHERE key LIKE 'schema%' ORDER BY key`;

async function historyOf(url: string, run: string): Promise<readonly RunEventView[]> {
  const answer = await fetch(`${url}/v1/runs/${run}/history?limit=500`);
  return ((await answer.json()) as { readonly items: readonly RunEventView[] }).items;
}

/** Histories in the words of this version. */
function asBefore(
  histories: ReadonlyMap<string, readonly RunEventView[]>,
): ReadonlyMap<string, readonly RunEventView[]> {
  const before = (event: RunEventView): RunEventView =>
    (event.type as string) === 'timer.armed' ? { ...event, type: 'timer.set' } : event;
  return new Map([...histories].map(([run, events]) => [run, events.map(before)]));
}

function expectWhole({ violations, faults, counts, longestMs }: Round): void {
  console.log(JSON.stringify({ faults, counts, longestMs }));
  expect(violations).toEqual([]);
  expect(counts['acknowledged']).toBeGreaterThan(60);
}
