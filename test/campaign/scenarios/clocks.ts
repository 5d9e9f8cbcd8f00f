/**
 * Wall clocks that jump by two hours and back under running processes: of servers, of workers, of the database, of all of
 * them; while holders of duties are killed, since a duty that was taken by a clock that is two hours ahead must not stay
 * taken for two hours.
 */
import { mkdtempSync, chmodSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { playRound, type Round, type RoundSize } from '../support/round.js';
import { pause } from '../support/asking.js';
import { WrongClock } from '../support/wrong-clock.js';

const twoHours = 7_200;

export async function clockJumps({ faults }: RoundSize): Promise<Round> {
  const folder = mkdtempSync(join(tmpdir(), 'eventspine-clocks-'));
  chmodSync(folder, 0o755);
  const clocks = new Map<string, WrongClock>();
  for (const name of ['database', 'server0', 'server1', 'worker0', 'worker1'])
    clocks.set(name, new WrongClock(folder, name));
  const environmentOf = (name: string): Readonly<Record<string, string>> => clocks.get(name)?.environment ?? {};
  try {
    return await playRound(
      {
        database: { environment: environmentOf('database') },
        cluster: { place: (kind, i) => ({ environment: environmentOf(`${kind}${i}`) }) },
        clocksAgree: false,
      },
      async ({ database, cluster, traffic, fired, took }) => {
        const aheadMs = async (): Promise<number> => {
          const [row] = await database.sql('SELECT extract(epoch FROM clock_timestamp()) * 1000 AS ms');
          return Number(row?.['ms']) - Date.now();
        };
        const kinds = ['database', 'server', 'worker', 'all'] as const;
        for (let i = 0; i < faults; i++) {
          const kind = kinds[i % kinds.length] ?? 'all';
          const seconds = (i >> 2) % 2 === 0 ? twoHours : -twoHours;
          const moved = [...clocks].filter(([name]) => kind === 'all' || name.startsWith(kind));
          for (const [, clock] of moved) clock.set(seconds);
          if (kind === 'database' || kind === 'all') {
            if (Math.abs((await aheadMs()) / 1_000 - seconds) > 60) throw new Error('the clock did not jump');
          }
          fired(`clock of ${kind} ${seconds > 0 ? '+' : '-'}2 h`);
          const jumped = performance.now();
          await traffic.roundTrip();
          took('whole run after a jump', performance.now() - jumped);
          await pause(2_000);
          // A sleep that is set by a clock ahead lasts until that clock is there again; none may be open when it goes back.
          if (seconds > 0) await traffic.quiet();
          for (const [, clock] of moved) clock.set(0);
          // Whoever held a duty dies with the clock that it was taken by.
          if (i % 2 === 0) {
            await Promise.all([cluster.kill('server', 0), cluster.kill('server', 1)]);
            fired('all servers killed after a jump', 1);
          }
          traffic.resume();
          fired(`clock of ${kind} back`);
          const back = performance.now();
          await traffic.roundTrip();
          took('whole run after the clock was back', performance.now() - back);
          await pause(1_000);
        }
      },
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
