/**
 * The contract suite of buses: one list of cases, run against every adapter. Written against the port alone; what the bus
 * cannot do by its own word (`caps`) is not asked of it, and which faults its place cannot bring about is told.
 */
import assert from 'node:assert/strict';
import type { Bus, BusCaps } from '../../bus/port.js';
import type { SuiteRunner } from '../conformance/suite.js';
import { busTopics, type BusCase, type BusFaults, type BusPlace } from './bus-case.js';
import { deliveryCases } from './cases/delivery.js';
import { groupCases } from './cases/groups.js';
import { lagCases } from './cases/lag.js';
import { orderCases } from './cases/order.js';
import { positionCases } from './cases/positions.js';
import { publishCases } from './cases/publish.js';
import { settlementCases } from './cases/settlement.js';

/** Every case, by concern. */
export const busCases: readonly BusCase[] = [
  ...publishCases,
  ...deliveryCases,
  ...orderCases,
  ...settlementCases,
  ...groupCases,
  ...positionCases,
  ...lagCases,
];

export interface BusSuiteOptions {
  /** What the bus says of itself; that it does is a case of its own. */
  readonly caps: BusCaps;
  /** What its places can do. */
  readonly faults: readonly (keyof BusFaults)[];
  /** How long anything of one case may take. Default: 10 s. */
  readonly patienceMs?: number;
}

/** Registers the suite for one bus. Each case gets a place of its own. */
export function exerciseBus(
  name: string,
  makePlace: () => Promise<BusPlace>,
  runner: SuiteRunner,
  options: BusSuiteOptions,
): void {
  const cases = busCases.filter(({ of }) => of === undefined || of(options.caps));
  runner.describe(name, () => {
    runner.it('is what it says of itself', async () => {
      await withPlace(makePlace, async (_, bus) => assert.deepEqual(bus.caps, options.caps));
    });
    for (const concern of new Set(cases.map((busCase) => busCase.concern))) {
      runner.describe(concern, () => {
        for (const busCase of cases.filter((candidate) => candidate.concern === concern)) {
          const { fault } = busCase;
          if (fault !== undefined && !options.faults.includes(fault))
            runner.it.skip(`${busCase.name} (skipped: this place has no "${fault}")`, async () => undefined);
          else runner.it(busCase.name, () => runCase(busCase, makePlace, options.patienceMs ?? 10_000));
        }
      });
    }
  });
}

async function runCase(busCase: BusCase, makePlace: () => Promise<BusPlace>, patienceMs: number): Promise<void> {
  await withPlace(makePlace, async (place, bus, open, forget) => {
    const topics = {
      one: `${place.prefix}.one`,
      three: `${place.prefix}.three`,
      other: `${place.prefix}.other`,
    };
    await bus.ensure([
      { name: topics.one, partitions: busTopics.one },
      { name: topics.three, partitions: busTopics.three },
      { name: topics.other, partitions: busTopics.other },
    ]);
    const faults = { ...absent, ...place.faults };
    const kill = async (killed: Bus): Promise<void> => {
      await faults.kill(killed);
      forget(killed);
    };
    await busCase.run({ bus, open, topics, patienceMs, faults: { ...faults, kill } });
  });
}

async function withPlace(
  makePlace: () => Promise<BusPlace>,
  use: (place: BusPlace, bus: Bus, open: () => Promise<Bus>, forget: (bus: Bus) => void) => Promise<void>,
): Promise<void> {
  const place = await makePlace();
  const buses = new Set<Bus>();
  const open = async (): Promise<Bus> => {
    const bus = await place.open();
    buses.add(bus);
    return bus;
  };
  try {
    // One that was killed has handlers that never end.
    await use(place, await open(), open, (bus) => buses.delete(bus));
  } finally {
    for (const bus of buses) await bus.close();
    await place.dispose();
  }
}

const missing = (): never => assert.fail('The case uses a fault that it does not name.');
const absent: Required<BusFaults> = {
  kill: missing,
  freeze: missing,
  refuse: missing,
  loseAnswer: missing,
  trim: missing,
  recreate: missing,
};
