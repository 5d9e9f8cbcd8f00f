/**
 * Processes that die, stand still and are restarted, under load: SIGKILL of servers, workers and the postmaster, backends
 * that are ended, zombies that sleep past the death of their sessions, rolling restarts.
 */
import { playRound, type Round, type RoundSize, type Stage, type StageOptions } from '../support/round.js';
import { pause } from '../support/asking.js';

/** Above `sessionDeadMs` of the servers under test, with the time that a reaper needs to hear of it. */
const freezeMsMin = 2_600;
const freezeMsMax = 6_000;

/** Kills: half of them of workers and servers, some of what lies under them. */
export function kills({ faults }: RoundSize, options: StageOptions = {}): Promise<Round> {
  return playRound(options, (stage) => killing(stage, faults));
}

/** Zombies: servers and workers by turns. */
export function zombies({ faults }: RoundSize, options: StageOptions = {}): Promise<Round> {
  return playRound(options, (stage) => freezing(stage, faults));
}

/** Every server restarted in good order, one after the other. */
export function rollingRestarts({ faults }: RoundSize, options: StageOptions = {}): Promise<Round> {
  return playRound(options, async (stage) => {
    for (let i = 0; i < faults; i++) await rolling(stage);
  });
}

/** All of it in one round: for the sample that every `npm test` takes. */
export function mixedKills(
  amount: { readonly kills: number; readonly zombies: number; readonly restarts: number },
  options: StageOptions = {},
): Promise<Round> {
  return playRound(options, async (stage) => {
    await killing(stage, amount.kills);
    await freezing(stage, amount.zombies);
    for (let i = 0; i < amount.restarts; i++) await rolling(stage);
  });
}

/** Every kind in its turn, `first` being the turn to begin with. */
export async function killing(stage: Stage, times: number, first = 0): Promise<void> {
  const { database, cluster, fired, took } = stage;
  for (let i = first; i < first + times; i++) {
    await pause(150 + Math.random() * 500);
    // Every kind comes in turn, so that a short round has them all.
    const which = i % 7;
    if (which === 0 || which === 3) {
      await cluster.kill('server', i % cluster.count('server'));
      fired('server killed');
    } else if (which === 1 || which === 4) {
      await cluster.kill('worker', i % cluster.count('worker'));
      fired('worker killed');
    } else if (which === 2 || which === 5) {
      fired('backend ended', await database.terminateBackends(0.7).catch(() => 0));
    } else {
      const begun = performance.now();
      await database.killPostmaster();
      fired('postmaster killed');
      await database.start();
      took('database back', performance.now() - begun);
      const back = performance.now();
      await stage.traffic.roundTrip();
      took('whole run after the database was back', performance.now() - back);
    }
  }
}

export async function freezing({ cluster, fired, traffic }: Stage, times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    const kind = i % 2 === 0 ? 'worker' : 'server';
    await cluster.freeze(
      kind,
      (i >> 1) % cluster.count(kind),
      freezeMsMin + Math.random() * (freezeMsMax - freezeMsMin),
    );
    fired(`${kind} frozen`);
    await traffic.progress(5);
  }
}

export async function rolling({ cluster, fired, traffic, took }: Stage): Promise<void> {
  for (let i = 0; i < cluster.count('server'); i++) {
    const begun = performance.now();
    const code = await cluster.restart('server', i);
    took('restart of a server', performance.now() - begun);
    if (code !== 0)
      throw new Error(`server ${i} ended with ${String(code)}: ${cluster.log('server', i).slice(-5).join('\n')}`);
    fired('server restarted');
    await traffic.progress(3);
  }
}
