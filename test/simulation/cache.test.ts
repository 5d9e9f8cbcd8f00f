/** Worlds whose runs share answers: none is another tenant's, too old, or of another question; and some are shared at all. */
import { describe, expect, it } from 'vitest';
import { recallsOf } from '../../src/testing/simulator/checkers/predictions.js';
import { simulate } from '../../src/testing/simulator/simulation.js';

const recallsMin = 5;
const seedsMax = 60;

describe.each(['scripted', 'real'] as const)('answers that are kept, of %s workers', (workers) => {
  it('serve whom they may, whatever dies', async () => {
    let recalls = 0;
    // In most worlds nobody asks the same in time.
    for (let seed = 12; recalls < recallsMin && seed < 12 + seedsMax; seed++) {
      const { violations } = await simulate({
        seed,
        workers,
        brief: workers === 'real',
        taste: { inferences: true, caches: true },
        onHistory: (history) => {
          recalls += recallsOf(history);
        },
      });
      expect({ seed, violations }).toEqual({ seed, violations: [] });
    }
    expect(recalls).toBeGreaterThanOrEqual(recallsMin);
  });
});
