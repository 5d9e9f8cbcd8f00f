/** Several servers on one store, for tests of what they change by compare-and-put: writes take a while and overtake each other. */
import type { EngineContext } from '../../src/engine/context.js';
import { EnvelopeWriter } from '../../src/engine/events/envelope-writer.js';
import { nodePorts } from '../../src/runtime/index.js';
import type { Store, Transition } from '../../src/store/contract.js';
import { createMemoryStore } from '../../src/store/memory.js';

/** xorshift32: the same numbers in every run of the tests. */
function chance(seed: number): () => number {
  let x = seed * 2_654_435_761 || 1;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) / 2 ** 32;
  };
}

/** What the servers share. The test moves the clock. */
export class RacingServers {
  now = Date.UTC(2026, 0, 1, 12);
  readonly store: Store;
  readonly random: () => number;
  readonly faults: string[] = [];

  /** `change`: what the store makes of each transition, to plant a bug. Default: nothing. */
  constructor(seed: number, change: (transition: Transition) => Transition = (transition) => transition) {
    this.random = chance(seed);
    const store = createMemoryStore({ clock: this.#clock() });
    const apply: Store['apply'] = async (transitions) => {
      await this.turns(Math.floor(this.random() * 4));
      return store.apply(transitions.map(change));
    };
    const bound = {
      now: store.now.bind(store),
      readEntries: store.readEntries.bind(store),
      readEvents: store.readEvents.bind(store),
      readBlob: store.readBlob.bind(store),
      listTopics: store.listTopics.bind(store),
    };
    this.store = { ...bound, apply } as unknown as Store;
  }

  /** The context of one more server, as far as offices of models look at it. */
  context(settings: Partial<EngineContext['settings']> = {}): EngineContext {
    const random = {
      next: this.random,
      bytes: (n: number) => Uint8Array.from({ length: n }, () => this.random() * 256),
    };
    const ports = { ...nodePorts, clock: this.#clock(), random };
    const context = {
      store: this.store,
      settings: { dedupeTtlMs: 60_000, ...settings },
      ports,
      envelopes: new EnvelopeWriter(ports, { region: 'test', valueBytesMax: 1_000_000 }, 1),
      log: () => undefined,
      fault: (what: string, error: unknown) => this.faults.push(`${what}: ${String(error)}`),
    };
    return context as unknown as EngineContext;
  }

  /** Lets so many turns of the event loop pass. */
  async turns(n: number): Promise<void> {
    for (let i = 0; i < n; i++) await new Promise<void>((resolve) => setImmediate(resolve));
  }

  #clock(): { now: () => number; monotonicMs: () => number } {
    return { now: () => this.now, monotonicMs: () => this.now };
  }
}
