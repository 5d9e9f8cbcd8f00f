/**
 * Servers that reach their database through PgBouncer in transaction mode and by no other way: the pooler dies and comes back,
 * and so do servers, workers, and what is behind it.
 */
import { pgbouncerProgram } from '../../../scripts/pgbouncer.mjs';
import { Pooler } from '../../postgres/pooler.js';
import { playRound, type Round, type RoundSize } from '../support/round.js';
import { pause } from '../support/asking.js';
import { killing } from './kills.js';

/** Why there is no pooler here; null = there is one. */
export function poolerMissing(): string | null {
  const found = pgbouncerProgram();
  return found.program === null ? found.reason : null;
}

/** Kills of the pooler, and as many of all else. */
export async function poolerKills({ faults }: RoundSize): Promise<Round> {
  let pooler: Pooler | null = null;
  const between = async ({ url }: { readonly url: string }): Promise<Pooler> =>
    (pooler = await Pooler.start(pgbouncerProgram(), url, 'transaction', 6));
  return await playRound({ between }, async (stage) => {
    for (let i = 0; i < faults; i++) {
      await killing(stage, 1, i);
      await pause(300 + Math.random() * 700);
      await pooler?.kill();
      await pause(i % 3 === 0 ? 2_000 : 100);
      await pooler?.again();
      stage.fired('pooler killed');
      const back = performance.now();
      await stage.traffic.roundTrip();
      stage.took('whole run after the pooler was back', performance.now() - back);
    }
  });
}
