/**
 * A new version comes while the old one is at work: servers and workers of both side by side over one database, under load,
 * members of either version dying in between, until all are new.
 */
import type { Change } from '../support/builds.js';
import type { Cluster, ClusterOptions, Kind } from '../support/cluster.js';
import { playRound, type Round, type Stage, type StageOptions } from '../support/round.js';
import { pause } from '../support/asking.js';

/** What the next version may do: all of it is added, and none of it has to be understood. */
export const nextVersion: readonly Change[] = [
  {
    file: 'stores/postgres/migrations/migrations.js',
    find: /(export const migrations = \[[^\]]*?),?\s*\]/,
    become:
      '$1, (s) => `ALTER TABLE ${s}.run ADD COLUMN mood text; ALTER TABLE ${s}.event ADD COLUMN mood text; ALTER TABLE ${s}.task ADD COLUMN mood text; CREATE TABLE ${s}.mood (id bigint); CREATE INDEX run_mood ON ${s}.run (mood)`]',
  },
  // Fields that are new in messages both ways, and in what is recorded.
  { file: 'engine/dispatch/admission.js', find: /t: 'welcome',/, become: "t: 'welcome', mood: 'calm'," },
  { file: 'worker/session-link.js', find: /\{ t: 'hello',/, become: "{ t: 'hello', mood: 'calm'," },
  { file: 'core/run/decide.js', find: /(type: 'step\.completed',\s+data: \{)/, become: "$1 mood: 'calm'," },
  // A type of event that is read from this version on and written by none.
  { file: 'core/run/state.js', find: /(case 'step\.completed':)/, become: "case 'run.mooded': break; $1" },
];

export interface Rollout {
  /** Folder of the compiled code, as EVENTSPINE_BUILD has it. */
  readonly from: string;
  readonly to: string;
  /** Who is replaced first. */
  readonly first: Kind;
  /** Whether servers of the old version may start again once one of the new one was there. */
  readonly oldMayStart: boolean;
  readonly options?: Omit<StageOptions, 'cluster'>;
  /** Called while both are there, half-way. */
  readonly halfway?: (stage: Stage) => Promise<void>;
}

/** Which version each member has in its next life. */
export class Versions {
  readonly #builds = new Map<string, string>();
  readonly #from: string;

  constructor(from: string) {
    this.#from = from;
  }

  set(kind: Kind, index: number, build: string): void {
    this.#builds.set(`${kind}${index}`, build);
  }

  readonly place: NonNullable<ClusterOptions['place']> = (kind, index) => ({
    environment: { EVENTSPINE_BUILD: this.#builds.get(`${kind}${index}`) ?? this.#from },
  });
}

/** One member after the other; in between each kind of both versions is killed. */
export function rollOut({ from, to, first, oldMayStart, options = {}, halfway }: Rollout): Promise<Round> {
  const versions = new Versions(from);
  const second: Kind = first === 'server' ? 'worker' : 'server';
  return playRound({ ...options, cluster: { place: versions.place } }, async (stage) => {
    const replace = async (kind: Kind, index: number): Promise<void> => {
      versions.set(kind, index, to);
      const said = stage.cluster.log(kind, index);
      const begun = performance.now();
      const code = await stage.cluster.restart(kind, index);
      stage.took(`replacement of a ${kind}`, performance.now() - begun);
      if (code !== 0) throw new Error(`${kind} ${index} ended with ${String(code)}: ${said.slice(-5).join('\n')}`);
      stage.fired(`${kind} replaced`);
      await stage.traffic.progress(12);
    };
    await replace(first, 0);
    await replace(second, 0);
    // Number 0 of each is new now, number 1 is old. Where a server dies both workers go to the other one.
    for (const [kind, index] of [
      ...(oldMayStart ? ([['server', 1]] as const) : []),
      ['server', 0],
      ['worker', 0],
      ['worker', 1],
    ] as const) {
      await killed(stage, kind, index);
    }
    // Each worker is at the server of its own version now.
    await halfway?.(stage);
    await replace(first, 1);
    await replace(second, 1);
    await stage.traffic.progress(12);
  });
}

async function killed({ cluster, fired, traffic }: Stage, kind: Kind, index: number): Promise<void> {
  await cluster.kill(kind, index);
  fired(`${index === 0 ? 'new' : 'old'} ${kind} killed`);
  await cluster.whole();
  await traffic.progress(20);
  await pause(300);
}

/** Every process of the old version dies at one instant with its work under way; only new ones come back. */
export function takeOver({ from, to }: Pick<Rollout, 'from' | 'to'>): Promise<Round> {
  const versions = new Versions(from);
  return playRound(
    { cluster: { place: versions.place }, traffic: { lanes: 12, pauseMs: 5 } },
    async ({ cluster, traffic, fired }) => {
      await traffic.progress(60);
      for (const [kind, index] of members(cluster)) versions.set(kind, index, to);
      await Promise.all(members(cluster).map(([kind, index]) => cluster.kill(kind, index)));
      fired('all killed');
      await cluster.whole();
      await traffic.progress(20);
    },
  );
}

function members(cluster: Cluster): readonly (readonly [Kind, number])[] {
  return (['server', 'worker'] as const).flatMap((kind) =>
    Array.from({ length: cluster.count(kind) }, (_, index) => [kind, index] as const),
  );
}
