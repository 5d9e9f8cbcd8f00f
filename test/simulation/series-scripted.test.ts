/** Series of seeds over the scripted worker, which shares no code with the real one; and over SQLite. */
import { describe, expect, it } from 'vitest';
import { campaigns, itKeepsEveryProperty } from './series.js';

describe('simulation', () => {
  it('looks at 2,000 seeds in all', () => {
    const seeds = Object.values(campaigns).reduce((sum, campaign) => sum + campaign.seeds, 0);
    expect(seeds).toBeGreaterThanOrEqual(2_000);
  });

  itKeepsEveryProperty(campaigns.scriptedMemory);
  itKeepsEveryProperty(campaigns.realSqlite);
});
