/** Kept answers over a store: whom they serve and for how long, and what upkeep leaves of them. */
import { describe, expect, it } from 'vitest';
import { encodeValue } from '../../core/codec.js';
import { limits } from '../../core/limits.js';
import type { RunCommand } from '../../core/run/commands.js';
import type { CacheAsk, InferenceAsk, InferenceGrant, InferenceTicket } from '../../core/run/inference.js';
import { emptyState, type RunState } from '../../core/run/state.js';
import { nodePorts } from '../../runtime/index.js';
import { createMemoryStore } from '../../store/memory.js';
import type { EngineContext } from '../context.js';
import { Predictions } from './predictions.js';

const hour = 3_600_000;
const caching: CacheAsk = { freshMs: hour, keepMs: hour };
const usage = { inputTokens: 1, cachedInputTokens: 0, outputTokens: 1 };

class World {
  now = 1_000_000;
  monotonic = 0;
  version = 'v1';
  readonly store = createMemoryStore({ clock: { now: () => this.now, monotonicMs: () => this.now } });
  readonly predictions: Predictions;
  #runs = 0;

  constructor(bounds: { readonly items?: number; readonly bytes?: number } = {}) {
    const settings = {
      predictionsPerTenantMax: bounds.items ?? limits.predictionsPerTenantMax,
      predictionBytesPerTenantMax: bounds.bytes ?? limits.predictionBytesPerTenantMax,
    };
    const ports = { ...nodePorts, clock: { now: () => this.now, monotonicMs: () => this.monotonic } };
    const context = { store: this.store, ports, settings } as unknown as EngineContext;
    this.predictions = new Predictions(context, () => this.version);
  }

  ask(question: string, cache: CacheAsk = caching, model = 'writer'): InferenceAsk {
    const estimate = { inputTokens: 1, outputTokens: 1 };
    const fingerprint = nodePorts.hash.sha256(question);
    return { model, fingerprint, estimate, policy: ['retry'], streamed: false, deadlineMs: null, cache };
  }

  /** A run that has begun an inference. */
  state(tenant: string, ask: InferenceAsk): RunState {
    const state = emptyState(tenant, `run_${++this.#runs}`);
    const grant: InferenceGrant = {
      version: this.version,
      arm: this.version,
      endpoint: 'here',
      idempotencyKey: 'k',
      reserved: { tokens: 0, costMicros: 0 },
      limits: [],
    };
    const unit = { kind: 'inference', status: 'begun', attempt: 1, ask, grant, hops: [], hold: null };
    state.units.set('a', unit as never);
    return state;
  }

  /** The question is answered; resolves with whether that is kept. */
  async answered(
    tenant: string,
    ask: InferenceAsk,
    text: string,
    { rules = [], finish = 'stop' }: { readonly rules?: readonly string[]; readonly finish?: string } = {},
  ): Promise<boolean> {
    const state = this.state(tenant, ask);
    const outcome = { usage, costMicros: 7, finish, durationMs: 1, firstPartMs: null, providerId: null };
    const result = encodeValue({ content: [{ type: 'text', text }] });
    const note = { confidence: null, alternatives: [], rules };
    const command = { op: 'completeInference', path: 'a', attempt: 1, outcome, result, note } as const;
    const commands: RunCommand[] = [command];
    const known = this.predictions.wants(state, commands, null)
      ? await this.predictions.read(state, commands, null)
      : null;
    expect(this.predictions.wants(state, commands, known)).toBe(false);
    const entries = this.predictions.keeping(state, command, 5, this.now, known);
    await this.store.apply([{ tenant, entries }]);
    this.predictions.published([{ tenant, entries }]);
    return entries.length > 0;
  }

  /** What serves a new run that asks; null = it calls. */
  async served(tenant: string, ask: InferenceAsk, laterMs = 0): Promise<string | null> {
    const state = emptyState(tenant, `run_${++this.#runs}`);
    const commands: RunCommand[] = [{ op: 'infer', path: 'a', attempt: 1, ask, request: encodeValue('x') }];
    const known = await this.predictions.read(state, commands, null);
    const ticket = { tenant, path: 'a', ask } as unknown as InferenceTicket;
    const found = this.predictions.recalled(ticket, known, this.now + laterMs);
    const answer = found === null ? null : (JSON.parse(found.answer.text) as { content: { text: string }[] });
    return answer?.content[0]?.text ?? null;
  }

  async entries(tenant: string): Promise<number> {
    const [of, all] = await Promise.all(
      ['predictions', 'prediction-answers'].map((space) => this.store.readEntries({ tenant, space, limit: 500 })),
    );
    expect(of?.length).toBe(all?.length);
    return of?.length ?? 0;
  }

  async sweep(): Promise<void> {
    this.monotonic += limits.predictionSweepMs;
    // A round goes over all tenants, and one more begins anew.
    await this.predictions.sweep();
  }
}

describe('kept answers', () => {
  it('serve the same question in the same tenant, of the same model and version, until their time is over', async () => {
    const world = new World();
    const ask = world.ask('q');
    expect(await world.answered('acme', ask, 'yes')).toBe(true);
    expect(await world.served('acme', ask)).toBe('yes');
    expect(await world.served('bolt', ask)).toBeNull();
    expect(await world.served('acme', world.ask('other'))).toBeNull();
    expect(await world.served('acme', world.ask('q', caching, 'reader'))).toBeNull();
    world.version = 'v2';
    expect(await world.served('acme', ask)).toBeNull();
    world.version = 'v1';
    expect(await world.served('acme', ask, hour - 1)).toBe('yes');
    // It was read in time, and is decided on too late.
    expect(await world.served('acme', ask, hour)).toBeNull();
    // Who asks may want a younger one than was kept.
    world.now += 60_000;
    expect(await world.served('acme', world.ask('q', { freshMs: 60_000, keepMs: 0 }))).toBeNull();
    expect(await world.served('acme', world.ask('q', { freshMs: 60_001, keepMs: 0 }))).toBe('yes');
    world.now += hour - 60_000;
    expect(await world.served('acme', world.ask('q', { freshMs: 30 * hour, keepMs: 0 }))).toBeNull();
  });

  it('are those of the newest answer, and for a chain those of any version of its models', async () => {
    const world = new World();
    const kept = { freshMs: null, keepMs: 24 * hour };
    await world.answered('acme', world.ask('q', kept), 'old');
    world.now += 10;
    await world.answered('acme', world.ask('q', kept), 'newer');
    world.now += 10;
    world.version = 'v2';
    await world.answered('acme', world.ask('q', kept, 'spare'), 'of another');
    world.version = 'v3';
    expect(await world.served('acme', world.ask('q', { freshMs: null, keepMs: hour }))).toBeNull();
    const any = { freshMs: hour, keepMs: 0 };
    expect(await world.served('acme', world.ask('q', { ...any, onlyOf: ['writer'] }))).toBe('newer');
    expect(await world.served('acme', world.ask('q', { ...any, onlyOf: ['writer', 'spare'] }))).toBe('of another');
    expect(await world.served('acme', world.ask('q', { ...any, onlyOf: ['nobody'] }))).toBeNull();
    expect(await world.entries('acme')).toBe(2);
  });

  it('are whole answers that fitted and are not too large', async () => {
    const world = new World();
    const ask = world.ask('q');
    expect(await world.answered('acme', ask, 'x', { finish: 'length' })).toBe(false);
    expect(await world.answered('acme', ask, 'x', { rules: ['does not fit: n'] })).toBe(false);
    expect(await world.answered('acme', ask, 'x'.repeat(limits.predictionBytesMax))).toBe(false);
    expect(await world.answered('acme', world.ask('q', { freshMs: hour, keepMs: 0 }), 'x')).toBe(false);
    expect(await world.entries('acme')).toBe(0);
    expect(await world.answered('acme', ask, 'größer 🙂')).toBe(true);
    expect(await world.served('acme', ask)).toBe('größer 🙂');
  });

  it('go when their time is over, and the oldest where a tenant has too many or too much', async () => {
    const world = new World({ items: 3 });
    await world.answered('bolt', world.ask('q', { freshMs: hour, keepMs: 4 * hour }), 'of another tenant');
    for (let i = 0; i < 5; i++) {
      await world.answered('acme', world.ask(`q${i}`), `a${i}`);
      world.now += 1_000;
    }
    await world.sweep();
    expect(await world.entries('acme')).toBe(3);
    expect([await world.served('acme', world.ask('q1')), await world.served('acme', world.ask('q2'))]).toEqual([
      null,
      'a2',
    ]);
    world.now += hour - 3_000;
    await world.sweep();
    expect(await world.entries('acme')).toBe(2);
    world.now += hour;
    await world.sweep();
    expect([await world.entries('acme'), await world.entries('bolt')]).toEqual([0, 1]);
    expect(world.predictions.counts()).toEqual({
      models: [{ model: 'writer', hits: 0, misses: 0, stored: 6, savedMicros: 0 }],
      expired: 3,
      evicted: 2,
    });
    const small = new World({ bytes: 1_000 });
    for (const text of ['x'.repeat(800), 'y'.repeat(400), 'z']) {
      await small.answered('acme', small.ask(text), text);
      small.now += 1;
    }
    await small.sweep();
    const stats = await small.predictions.stats('acme');
    expect(stats).toMatchObject({ answers: 2, models: [{ answers: 2 }] });
    expect(stats.bytes).toBeLessThan(1_000);
  });

  it('are what is known of them, also where a newer one comes while they are read', async () => {
    const world = new World();
    const ask = world.ask('q');
    await world.answered('acme', ask, 'old');
    const { readEntries } = world.store;
    const read = readEntries.bind(world.store);
    let newer = 0;
    world.store.readEntries = async (query) => {
      if (query.space === 'prediction-answers' && newer < 5) {
        world.now += 10;
        newer += 1;
        await world.answered('acme', ask, `newer ${newer}`);
      }
      return read(query);
    };
    // Of one that never comes to rest nothing is known.
    expect(await world.served('acme', ask)).toBeNull();
    newer = 4;
    expect(await world.served('acme', ask)).toBe('newer 5');
  });

  it('are not dropped by who has read of an older one', async () => {
    const world = new World();
    const ask = world.ask('q');
    await world.answered('acme', ask, 'old');
    const { readEntries } = world.store;
    const read = readEntries.bind(world.store);
    world.store.readEntries = async (query) => {
      const rows = await read(query);
      // Between the look at it and the drop it is answered anew.
      if (query.space === 'predictions' && query.tenant === 'acme') {
        world.store.readEntries = read;
        world.now += 10;
        await world.answered('acme', ask, 'new');
      }
      return rows;
    };
    expect(await world.predictions.clear('acme', null)).toBe(0);
    expect(await world.served('acme', ask)).toBe('new');
  });
});
