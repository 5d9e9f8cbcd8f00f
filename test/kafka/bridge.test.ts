/** Bridges over a real Kafka, a little: servers killed and Kafka too; the shard `kafka` of the campaign does it at length. */
import { afterEach, describe, expect, inject, it } from 'vitest';
import { bridgesUnderKills } from '../campaign/scenarios/bridges.js';
import { endAll } from '../process/support/processes.js';
import { describeUnless } from '../skip.js';

const { real, reason } = inject('kafka');
const missing = real === null ? reason : real.jars === null ? 'the broker is not ours' : null;

describeUnless(missing, 'bridges over a real Kafka', () => {
  afterEach(endAll);

  describe('over SQLite', () => {
    it('bring each event in once and out in order, although the server and Kafka are killed', {
      timeout: 170_000,
    }, async () => {
      const round = await bridgesUnderKills({
        ...{ events: 1_000, repeats: 100, kills: 3, freezes: 0, brokerRestarts: 1 },
        ...{ perSecond: 150, store: 'sqlite' },
      });
      expect(round.violations).toEqual([]);
      expect(round.counts).toMatchObject({ effects: 1_000, runs: 1_000 });
      expect(round.faults).toEqual({ 'server killed': 3, 'broker killed': 1 });
    });
  });
});
