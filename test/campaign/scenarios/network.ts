/**
 * Machines that do not hear each other: a server and its database, a worker and its server; both ways or one way, for less
 * and for more than the death of a session; and lines left half open, whose one end died while the other could not hear it.
 */
import { Network } from '../support/network.js';
import { playRound, type Round, type RoundSize } from '../support/round.js';
import { pause } from '../support/asking.js';

type Way = 'both' | 'there' | 'back' | 'half open';

const ways: readonly Way[] = ['both', 'there', 'back', 'half open'];
/** The session's death is 1.5 s, the longest wait for an answer of the database 4 s. */
const cutMs = [1_000, 3_000, 6_000];

export async function networkCuts({ faults }: RoundSize): Promise<Round> {
  const network = new Network();
  try {
    const database = network.add('db');
    const places = new Map<string, { readonly host: string; readonly namespace: string }>();
    for (const name of ['server0', 'server1', 'worker0', 'worker1']) places.set(name, network.add(name));
    return await playRound(
      { database: database, cluster: { place: (kind, i) => places.get(`${kind}${i}`) ?? {} } },
      async ({ cluster, traffic, fired, took }) => {
        for (let i = 0; i < faults; i++) {
          const way = ways[i % ways.length] ?? 'both';
          const server = Math.floor(Math.random() * 2);
          const isDatabase = (i >> 2) % 2 === 0;
          const from = isDatabase ? `server${server}` : `worker${Math.floor(Math.random() * 2)}`;
          const to = isDatabase ? 'db' : `server${server}`;
          const isThere = way !== 'back';
          const isBack = way !== 'there';
          const cutAt = Date.now();
          if (isThere) network.cut(from, to);
          if (isBack) network.cut(to, from);
          if (network.reaches(from, to)) throw new Error(`${from} still reaches ${to}`);
          const ms = cutMs[i % cutMs.length] ?? 0;
          if (way === 'half open') {
            // It dies unheard: what it was connected to goes on believing in it.
            await cluster.killFor(isDatabase ? 'server' : 'worker', Number(from.slice(-1)), ms);
          } else await pause(ms);
          if (isThere) network.heal(from, to);
          if (isBack) network.heal(to, from);
          if (!isDatabase && way !== 'half open') cluster.notReached('worker', Number(from.slice(-1)), cutAt);
          if (!network.reaches(from, to)) throw new Error(`${from} does not reach ${to} again`);
          fired(`${isDatabase ? 'server and database' : 'worker and server'}, ${way}`);
          const healed = performance.now();
          await traffic.roundTrip();
          took('whole run after the network was whole', performance.now() - healed);
          await pause(500);
        }
      },
    );
  } finally {
    network.remove();
  }
}
