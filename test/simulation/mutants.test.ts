/** Every planted bug is found. A simulator that overlooks one of them is the bug. */
import { describe, expect, it } from 'vitest';
import { simulate } from '../../src/testing/simulator/simulation.js';
import { mutants, resetMutants } from './mutants.js';

/** The bound by which every mutant must be dead; in practice the first few dozen seeds are enough. */
const seedsMax = 5_000;

describe('planted bugs', () => {
  it.each(mutants)('is found: $name', async (mutant) => {
    const { flaws, kinds, servers = 1, rollout, property, from = 1 } = mutant;
    const { agents, push, limited, taste, inferences, ai, remedies, shadowed, storms } = mutant;
    const { subscribed, folded, pulled, topics, bridged, keyed } = mutant;
    let killedBy: number | null = null;
    for (let seed = from; killedBy === null && seed < from + seedsMax; seed++) {
      resetMutants();
      const { violations } = await simulate({
        seed,
        servers,
        flaws,
        ...(agents === true ? { agents, workers: 'real' } : {}),
        ...(push === true ? { push, workers: 'real' } : {}),
        ...(kinds === undefined ? {} : { kinds }),
        ...(storms === true ? { storms, workers: 'real', taste: { inferences: true } } : {}),
        ...(topics === undefined ? {} : { topics }),
        ...(rollout === undefined ? {} : { rollout }),
        ...(limited === undefined ? {} : { limited }),
        ...(taste === undefined ? {} : { taste }),
        ...(shadowed === true ? { shadowed, workers: 'real', taste: { inferences: true } } : {}),
        ...(bridged === true ? { bridged } : {}),
        ...(subscribed === true ? { subscribed } : {}),
        ...(folded === true ? { folded } : {}),
        ...(pulled === true ? { pulled } : {}),
        ...(keyed === true ? { keyed } : {}),
        ...(ai === true ? { taste: { ai }, workers: 'real' } : {}),
        ...(inferences === true ? { taste: { inferences } } : {}),
        ...(remedies === true ? { workers: 'real', taste: { inferences: remedies, remedies } } : {}),
      });
      if (violations.some((found) => property === undefined || found.property === property)) killedBy = seed;
    }
    expect(killedBy).not.toBeNull();
    console.log(`found by seed ${killedBy}`);
  });
});
