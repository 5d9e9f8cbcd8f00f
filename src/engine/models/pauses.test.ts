/** Pauses over several servers on one store: who has heard of them, what a restart forgets, and what an operator ends. */
import { describe, expect, it } from 'vitest';
import type { Feedback } from '../../core/admission/feedback.js';
import type { FailureClass } from '../../core/failure.js';
import type { RunEvent } from '../../core/run/events.js';
import type { RunState } from '../../core/run/state.js';
import { nodePorts } from '../../runtime/index.js';
import { createMemoryStore } from '../../store/memory.js';
import type { EngineContext } from '../context.js';
import { EnvelopeWriter } from '../events/envelope-writer.js';
import { Catalog } from '../intake/catalog.js';
import type { CommittedChange } from '../runs/committed.js';
import { Pauses } from './pauses.js';

const endpoint = 'provider/model';

class World {
  now = 1_000_000;
  readonly faults: string[] = [];
  /** How many writes of the store fail. */
  fails = 0;
  readonly #clock = { now: () => this.now, monotonicMs: () => this.now };
  readonly #store = createMemoryStore({ clock: this.#clock });

  server(): Pauses {
    const ports = { ...nodePorts, clock: this.#clock };
    const store = this.#store;
    const context = {
      store: {
        now: () => this.now,
        readEntries: store.readEntries.bind(store),
        apply: async (...args: Parameters<typeof store.apply>) => {
          if (this.fails > 0) {
            this.fails -= 1;
            throw new Error('store');
          }
          return await store.apply(...args);
        },
      },
      settings: { dedupeTtlMs: 60_000 },
      ports,
      envelopes: new EnvelopeWriter(ports, { region: 'test', valueBytesMax: 1_000_000 }, 1),
      fault: (what: string, error: unknown) => this.faults.push(`${what}: ${String(error)}`),
    };
    return new Pauses(context as unknown as EngineContext, new Catalog());
  }

  /** A call that has ended with this word of its endpoint. */
  ended(feedback: Feedback, failed: FailureClass | null = null): CommittedChange {
    const failure = failed === null ? {} : { failure: { class: failed } };
    const data = { path: 'a', attempt: 1, feedback, ...failure };
    const type = failed === null ? 'inference.completed' : 'inference.retrying';
    return {
      key: 'r',
      tenant: 't',
      run: 'r',
      state: { units: new Map([['a', { kind: 'inference', attempt: 1, grant: { endpoint } }]]) } as unknown as RunState,
      events: [{ type, data, at: this.now } as unknown as RunEvent],
      actor: null,
      task: null,
      own: true,
    };
  }
}

const after = (retryAfterMs: number): Feedback => ({ retryAfterMs, requests: null, tokens: null });

describe('a pause that an endpoint has asked for', () => {
  it('holds on every server, after a restart too, until it is over', async () => {
    const world = new World();
    const [a, b] = [world.server(), world.server()];
    a.committed(world.ended(after(60_000), 'rate_limited'));
    expect(a.until(endpoint)).toBe(1_060_000);
    await a.tick();
    await b.refresh();
    const restarted = world.server();
    await restarted.refresh();
    for (const server of [a, b, restarted]) {
      expect(server.until(endpoint)).toBe(1_060_000);
      expect(server.shutUntil(endpoint)).toBeGreaterThanOrEqual(1_060_000);
      expect(server.shutUntil('another')).toBeNull();
    }
    world.now = 1_060_000;
    expect(b.shutUntil(endpoint)).toBeNull();
    await b.tick();
    const late = world.server();
    await late.refresh();
    expect(late.size).toBe(0);
    expect(world.faults).toEqual([]);
  });

  it('is asked for by an answer after which nothing is left, and not by a refusal of another kind', () => {
    const world = new World();
    const server = world.server();
    server.committed(world.ended(after(60_000), 'dependency'));
    server.committed(world.ended(after(60_000)));
    expect(server.until(endpoint)).toBeNull();
    const tokens = { limit: 10, remaining: 0, resetMs: 5_000 };
    server.committed(world.ended({ retryAfterMs: null, requests: null, tokens }));
    expect(server.until(endpoint)).toBe(1_005_000);
  });

  it('is never made shorter by another word', async () => {
    const world = new World();
    const [a, b] = [world.server(), world.server()];
    a.committed(world.ended(after(60_000), 'rate_limited'));
    b.committed(world.ended(after(10_000), 'overloaded'));
    a.committed(world.ended(after(1), 'rate_limited'));
    await Promise.all([a.tick(), b.tick()]);
    await Promise.all([a.tick(), b.tick()]);
    expect([a.until(endpoint), b.until(endpoint)]).toEqual([1_060_000, 1_060_000]);
  });

  it('is written later where the store is in trouble', async () => {
    const world = new World();
    const [a, b] = [world.server(), world.server()];
    world.fails = 1;
    a.committed(world.ended(after(60_000), 'rate_limited'));
    await a.tick();
    expect(world.faults).toHaveLength(1);
    expect(a.until(endpoint)).toBe(1_060_000);
    await a.tick();
    await b.refresh();
    expect(b.until(endpoint)).toBe(1_060_000);
  });

  it('is over on every server when an operator says so', async () => {
    const world = new World();
    const [a, b] = [world.server(), world.server()];
    a.committed(world.ended(after(60_000), 'rate_limited'));
    await a.tick();
    await b.refresh();
    await b.reset(endpoint, 'ops');
    expect(b.until(endpoint)).toBeNull();
    await a.refresh();
    expect(a.until(endpoint)).toBeNull();
  });

  it('lasts a day at most, and no longer after the clock was set back', () => {
    const world = new World();
    const server = world.server();
    server.committed(world.ended(after(1e12), 'rate_limited'));
    expect(server.until(endpoint)).toBe(1_000_000 + 86_400_000);
    world.now = 0;
    expect(server.until(endpoint)).toBe(86_400_000);
  });
});
