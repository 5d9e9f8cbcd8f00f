/** What a night consists of: each shard with its goal, the round that brings it nearer, and what it needs. */
import { existsSync } from 'node:fs';
import { powerLossMissing } from '../process/support/power.js';
import { killedAgents } from './scenarios/agents.js';
import { bridgesUnderKills, kafkaMissing } from './scenarios/bridges.js';
import { clockJumps } from './scenarios/clocks.js';
import { failover } from './scenarios/failover.js';
import { fullDisk, smallDiskMissing } from './scenarios/full-disk.js';
import { floodedTenant, limitsUnderKills, traceMissing } from './scenarios/limits.js';
import { kills, mixedKills, rollingRestarts, zombies } from './scenarios/kills.js';
import { networkCuts } from './scenarios/network.js';
import { poolerKills, poolerMissing } from './scenarios/pooler.js';
import { eatMyData, powerCuts } from './scenarios/power.js';
import { nextVersion, rollOut } from './scenarios/rollouts.js';
import { databaseRestarts } from './scenarios/restarts.js';
import { heldSnapshot } from './scenarios/snapshot.js';
import { topicsUnderKills } from './scenarios/topics.js';
import { changedBuild, thisBuild } from './support/builds.js';
import { databaseMissing } from './support/database.js';
import { networkMissing } from './support/network.js';
import type { Round } from './support/round.js';
import { faketimeLibrary } from './support/wrong-clock.js';

export interface Shard {
  readonly says: string;
  /** How much is enough, in what `unit` counts. */
  readonly goal: number;
  readonly unit: (round: Round) => number;
  /** Why it cannot run here; null = it can. */
  readonly missing: () => string | null;
  /** One round of some minutes at most. `number` counts the rounds of the shard over all its calls. */
  readonly round: (number: number) => Promise<Round>;
}

/** All faults of the round. */
const faultsOf = ({ faults }: Round): number => Object.values(faults).reduce((sum, times) => sum + times, 0);
/** Faults of these kinds. */
const only =
  (...kinds: readonly string[]) =>
  ({ faults }: Round): number =>
    kinds.reduce((sum, kind) => sum + (faults[kind] ?? 0), 0);

export const shards: Readonly<Record<string, Shard>> = {
  kills: {
    says: 'SIGKILL of servers, workers and the postmaster; backends ended',
    goal: 1_000,
    unit: only('server killed', 'worker killed', 'postmaster killed'),
    missing: databaseMissing,
    round: () => kills({ faults: 70 }),
  },
  zombies: {
    says: 'servers and workers that stand still past the death of their sessions',
    goal: 200,
    unit: faultsOf,
    missing: databaseMissing,
    round: () => zombies({ faults: 14 }),
  },
  limits: {
    says: 'limits over three servers under an hour of real requests, servers and workers killed; every window is swept',
    goal: 200,
    unit: only('server killed', 'worker killed'),
    missing: () => databaseMissing() ?? traceMissing,
    // The first round is short: what is broken at once is seen at once.
    round: (number) => limitsUnderKills(number === 0 ? { minutes: 2, kills: 40 } : { minutes: 10, kills: 200 }),
  },
  agents: {
    says: 'the worker of agents of the AI SDK (versions 6 and 7) killed, with the endpoint of their models as the witness',
    goal: 200,
    unit: faultsOf,
    missing: () => null,
    round: () => killedAgents(10),
  },
  topics: {
    says: 'topics under kills, on both stores: order by key, slices of readers, single writers',
    goal: 200,
    unit: faultsOf,
    missing: databaseMissing,
    round: (number) => topicsUnderKills({ events: 1_200, kills: 40, store: number % 2 === 0 ? 'postgres' : 'sqlite' }),
  },
  fairness: {
    says: 'a tenant that floods the installation, and another that asks for little',
    goal: 10,
    unit: only('flood'),
    missing: databaseMissing,
    round: () => floodedTenant({ turns: 5, calls: 100 }),
  },
  'rolling-restarts': {
    says: 'servers restarted in good order, one after the other',
    goal: 100,
    unit: faultsOf,
    missing: databaseMissing,
    round: () => rollingRestarts({ faults: 10 }),
  },
  mixed: {
    says: 'kills, zombies and restarts in one round',
    goal: 500,
    unit: faultsOf,
    missing: databaseMissing,
    round: () => mixedKills({ kills: 35, zombies: 8, restarts: 3 }),
  },
  'database-restarts': {
    says: 'database stopped and started every few seconds',
    goal: 200,
    unit: faultsOf,
    missing: databaseMissing,
    round: () => databaseRestarts({ faults: 16 }),
  },
  pooler: {
    says: 'everything by way of PgBouncer in transaction mode, which is killed too',
    goal: 100,
    unit: faultsOf,
    missing: () => databaseMissing() ?? poolerMissing(),
    round: () => poolerKills({ faults: 14 }),
  },
  rollouts: {
    says: 'an older and a newer version side by side, servers and workers replaced one by one and killed in between',
    goal: 40,
    unit: only('server replaced', 'worker replaced'),
    missing: databaseMissing,
    round: (number) =>
      rollOut({
        from: thisBuild,
        to: changedBuild(nextVersion),
        first: number % 2 === 0 ? 'server' : 'worker',
        oldMayStart: true,
      }),
  },
  kafka: {
    says: 'bridges in and out over a real Kafka, servers killed and frozen, Kafka killed; rounds over PostgreSQL and over SQLite',
    goal: 100,
    unit: only('server killed'),
    missing: kafkaMissing,
    round: (number) =>
      bridgesUnderKills({
        events: 20_000,
        repeats: 2_000,
        kills: 50,
        freezes: 4,
        brokerRestarts: 3,
        perSecond: 250,
        store: number % 2 === 0 ? 'postgres' : 'sqlite',
      }),
  },
  power: {
    says: 'power cuts under the database',
    goal: 100,
    unit: faultsOf,
    missing: () => databaseMissing() ?? powerLossMissing(),
    round: () => powerCuts(10),
  },
  'power-control': {
    says: 'power cuts under a careless database, which must lose what it acknowledged',
    goal: 10,
    unit: faultsOf,
    missing: () => databaseMissing() ?? powerLossMissing(),
    round: async (number) => {
      const isLie = number % 2 === 1 && existsSync(eatMyData);
      return mustLose(await powerCuts(1, isLie ? 'lying fsync' : 'fsync=off'));
    },
  },
  'failover-synchronous': {
    says: 'primary killed, synchronous standby promoted: nothing may be lost',
    goal: 30,
    unit: only('standby promoted'),
    missing: databaseMissing,
    round: () => failover('synchronous'),
  },
  'failover-asynchronous': {
    says: 'primary killed, standby promoted that had fallen behind: the loss must be reported',
    goal: 5,
    unit: only('standby promoted'),
    missing: databaseMissing,
    round: () => failover('asynchronous'),
  },
  network: {
    says: 'partitions, one-way cuts and half-open lines between namespaces',
    goal: 200,
    unit: faultsOf,
    missing: () => databaseMissing() ?? networkMissing(),
    round: () => networkCuts({ faults: 24 }),
  },
  clocks: {
    says: 'wall clocks of nodes and database that jump by two hours and back',
    goal: 150,
    unit: faultsOf,
    missing: () => databaseMissing() ?? (faketimeLibrary() === null ? 'libfaketime is not installed' : null),
    // Short and long rounds: what only the last jump has broken must not be mended by the next.
    round: (number) => clockJumps({ faults: 1 + (number % 8) }),
  },
  'full-disk': {
    says: 'disk of the database full for a while',
    goal: 30,
    unit: faultsOf,
    missing: () => databaseMissing() ?? smallDiskMissing,
    round: () => fullDisk({ faults: 5 }),
  },
  snapshot: {
    says: 'a snapshot held for minutes under load',
    goal: 3,
    unit: only('snapshot held'),
    missing: databaseMissing,
    round: () => heldSnapshot(200_000),
  },
};

/** Turns a control round round: a loss is what was to be shown, none is the failure. */
function mustLose(round: Round): Round {
  const lost = round.violations.length;
  return {
    ...round,
    violations:
      lost > 0 ? [] : [{ property: 'control', detail: 'a careless database lost nothing: the cut does not cut' }],
  };
}
