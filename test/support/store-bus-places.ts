/** Places for the contract suite of buses over the topics of engines: clients that can be killed, frozen and misled. */
import type { Bus } from '../../src/bus/index.js';
import { storeBus, type StoreBusEngine } from '../../src/buses/store/index.js';
import { SpineError } from '../../src/core/errors.js';
import { nodePorts } from '../../src/runtime/index.js';
import type { BusPlace } from '../../src/testing/bus/index.js';

/** Leases of clients that may be killed: the shortest there are. */
const leaseMs = 1_000;

/** The way of one client to its engine. */
class Line {
  readonly refused = new Set<string>();
  losesAnswer = false;
  #isDead = false;
  #frozen: Promise<void> | null = null;
  #thaw: () => void = () => undefined;

  kill(): void {
    this.#isDead = true;
  }

  freeze(): void {
    this.#frozen = new Promise((resolve) => (this.#thaw = resolve));
  }

  thaw(): void {
    this.#frozen = null;
    this.#thaw();
  }

  /** What is asked over it: of a client that is dead nothing comes back. */
  over(engine: StoreBusEngine): StoreBusEngine {
    const through = async <T>(ask: () => Promise<T>): Promise<T> => {
      await this.#passed();
      const answer = await ask();
      await this.#passed();
      return answer;
    };
    return {
      currentDefinitions: () => through(() => engine.currentDefinitions()),
      register: (manifest) => through(() => engine.register(manifest)),
      publish: (origin, requests) =>
        through(async () => {
          const refused = requests.map(({ id }) => this.refused.delete(id));
          const taken = await engine.publish(
            origin,
            requests.filter((_, i) => !refused[i]),
          );
          if (this.losesAnswer) {
            this.losesAnswer = false;
            throw new Error('The answer was lost.');
          }
          let next = 0;
          return refused.map((isRefused) => {
            const outcome = isRefused
              ? ({ tag: 'error', error: new SpineError('STORE_BUSY', {}) } as const)
              : taken[next++];
            if (outcome === undefined) throw new Error('The engine gave fewer outcomes than it was asked for');
            return outcome;
          });
        }),
      putSubscription: (...asked) => through(() => engine.putSubscription(...asked)),
      readSubscription: (...asked) => through(() => engine.readSubscription(...asked)),
      pullEvents: (...asked) => through(() => engine.pullEvents(...asked)),
      ackEvents: (...asked) => through(() => engine.ackEvents(...asked)),
      nackEvents: (...asked) => through(() => engine.nackEvents(...asked)),
      renewEvents: (...asked) => through(() => engine.renewEvents(...asked)),
      leaveSubscription: (...asked) => through(() => engine.leaveSubscription(...asked)),
    };
  }

  async #passed(): Promise<void> {
    if (this.#isDead) await new Promise(() => undefined);
    while (this.#frozen !== null) await this.#frozen;
  }
}

let places = 0;

/** A place whose clients use the engines in turn. */
export function storeBusPlace(engines: readonly StoreBusEngine[]): BusPlace {
  const lines = new Map<Bus, Line>();
  const lineOf = (bus: Bus): Line => {
    const line = lines.get(bus);
    if (line === undefined) throw new Error('Not a client of this place.');
    return line;
  };
  const leaseOver = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, leaseMs + 50));
  places += 1;
  return {
    prefix: `p${places}`,
    open: async () => {
      const engine = engines[lines.size % engines.length];
      if (engine === undefined) throw new Error('There is no engine.');
      const line = new Line();
      const bus = storeBus({ engine: line.over(engine), ports: nodePorts, leaseMs });
      lines.set(bus, line);
      return bus;
    },
    faults: {
      kill: async (bus) => {
        lineOf(bus).kill();
        await leaseOver();
      },
      freeze: async (bus) => {
        lineOf(bus).freeze();
        await leaseOver();
        return async () => lineOf(bus).thaw();
      },
      refuse: async (bus, ids) => {
        for (const id of ids) lineOf(bus).refused.add(id);
      },
      loseAnswer: async (bus) => {
        lineOf(bus).losesAnswer = true;
      },
    },
    dispose: async () => undefined,
  };
}

/** What such a place can do. */
export const storeBusFaults = ['kill', 'freeze', 'refuse', 'loseAnswer'] as const;
