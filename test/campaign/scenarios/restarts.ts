/** The database stopped and started every few seconds, in good order and as after a crash, for longer than the servers wait. */
import { playRound, type Round, type RoundSize, type StageOptions } from '../support/round.js';
import { pause } from '../support/asking.js';

/** Gaps: mostly short ones; some outlast the patience of a session (1.5 s), so that leases are lost with it. */
const downMs = [0, 300, 1_000, 2_500];

export function databaseRestarts({ faults }: RoundSize, options: StageOptions = {}): Promise<Round> {
  return playRound(options, async ({ database, traffic, fired, took }) => {
    for (let i = 0; i < faults; i++) {
      await pause(3_000 + Math.random() * 3_000);
      await database.stop(i % 2 === 0 ? 'fast' : 'immediate');
      await pause(downMs[i % downMs.length] ?? 0);
      await database.start();
      fired(i % 2 === 0 ? 'database stopped' : 'database crashed');
      const back = performance.now();
      await traffic.roundTrip();
      took('whole run after the database was back', performance.now() - back);
    }
  });
}
