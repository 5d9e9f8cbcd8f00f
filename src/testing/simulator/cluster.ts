/**
 * The servers of the simulated installation, one or several over one store, and the ways to them: a balancer for
 * requests, and for each worker a list of addresses that it goes through. With one server nothing is left to chance.
 */
import type { Prng } from './prng.js';
import type { SimServer } from './sim-server.js';

/** All servers; none of them is special. */
export class Cluster {
  readonly servers: readonly SimServer[];

  constructor(servers: readonly SimServer[]) {
    this.servers = servers;
  }

  /** Where a request goes: mostly to one that answers, now and then to one that does not. */
  any(prng: Prng): SimServer {
    const [only] = this.servers;
    if (only === undefined) throw new Error('Invariant broken: a cluster without a server');
    if (this.servers.length === 1) return only;
    const answering = this.servers.filter(({ engine }) => engine !== null);
    return prng.pick(answering.length === 0 || prng.chance(0.1) ? this.servers : answering);
  }
}

/** The server that a client with several addresses is on. */
export class Route {
  readonly #cluster: Cluster;
  readonly #prng: Prng;
  #server: SimServer;

  constructor(cluster: Cluster, prng: Prng) {
    this.#cluster = cluster;
    this.#prng = prng;
    this.#server = cluster.any(prng);
  }

  get server(): SimServer {
    return this.#server;
  }

  /** The line was lost or could not be opened: the next attempt goes to another server. */
  moveOn(): void {
    const others = this.#cluster.servers.filter((server) => server !== this.#server);
    if (others.length > 0) this.#server = this.#prng.pick(others);
  }
}
