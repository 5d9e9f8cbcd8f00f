import { describe, expect, it } from 'vitest';
import type { Outbox, OutboxEntry, Outcome, Transition } from '../../store/contract.js';
import type { EngineContext } from '../context.js';
import { OutboxDuty } from './outbox-duty.js';

const start = (key: string): Transition => ({
  tenant: 't',
  dedupe: [{ scope: 'start:w', key, hash: `hash of ${key}`, reference: `run_${key}`, expiresAt: 1 }],
});

/** An outbox of entries and what settling each comes to; what `drop` and `refuse` were called with. */
class FakeOutbox implements Outbox {
  readonly cleared: string[] = [];
  reads = 0;
  entries: OutboxEntry[] = [];
  readonly #outcomes: (id: number) => Outcome;

  constructor(outcomes: (id: number) => Outcome) {
    this.#outcomes = outcomes;
  }

  leave(): Promise<{ tag: 'left' }> {
    return Promise.resolve({ tag: 'left' });
  }
  read(limit: number): Promise<OutboxEntry[]> {
    this.reads += 1;
    return Promise.resolve(this.entries.slice(0, limit));
  }
  settle(entries: readonly OutboxEntry[]): Promise<Outcome[]> {
    const outcomes = entries.map(({ id }) => this.#outcomes(id));
    this.entries = this.entries.filter(({ id }) => !['applied', 'fenced'].includes(this.#outcomes(id).tag));
    return Promise.resolve(outcomes);
  }
  drop(id: number): Promise<void> {
    return this.#clear(id, `drop ${id}`);
  }
  refuse(id: number, reason: string): Promise<void> {
    return this.#clear(id, `refuse ${id}: ${reason}`);
  }
  #clear(id: number, what: string): Promise<void> {
    this.entries = this.entries.filter((entry) => entry.id !== id);
    this.cleared.push(what);
    return Promise.resolve();
  }
}

/** Timers that fire when they are told to, in order. */
class HandTimers {
  readonly waiting: { readonly ms: number; readonly fire: () => void }[] = [];
  after = (ms: number, fire: () => void): (() => void) => {
    const timer = { ms, fire };
    this.waiting.push(timer);
    return () => void this.waiting.splice(this.waiting.indexOf(timer), 1);
  };
}

const applied: Outcome = { tag: 'applied', positions: [], offsets: [] };

function duty(outbox: Outbox, holds: () => boolean = () => true) {
  const clock = { ms: 0, asked: 0 };
  const timers = new HandTimers();
  const settled: Transition[] = [];
  const context = {
    store: { shared: true, holdDuty: () => Promise.resolve(holds() && ++clock.asked > 0) },
    ports: { clock: { now: () => clock.ms, monotonicMs: () => clock.ms }, timers },
    log: () => undefined,
    fault: (_: string, error: unknown) => {
      throw error;
    },
  } as unknown as EngineContext;
  return { duty: new OutboxDuty(context, outbox, (list) => settled.push(...list)), clock, timers, settled };
}

describe('OutboxDuty', () => {
  it('carries out what is there, in order, and tells of it', async () => {
    const outbox = new FakeOutbox(() => applied);
    outbox.entries = [1, 2, 3].map((id) => ({ id, transition: start(String(id)) }));
    const { duty: made, settled } = duty(outbox);
    expect(await made.drain()).toBe(3);
    expect(settled).toEqual([start('1'), start('2'), start('3')]);
    expect(outbox.cleared).toEqual([]);
  });

  it('lets nothing that cannot be carried out stand in the way', async () => {
    const taken = { ...start('k').dedupe?.[0], tenant: 't' } as Extract<Outcome, { tag: 'duplicate' }>['found'];
    const outcomes: Record<number, Outcome> = {
      1: { tag: 'unstorable', reason: 'too wide' },
      2: { tag: 'conflict', run: 'run_2', head: 1 },
      3: { tag: 'duplicate', found: taken },
      4: { tag: 'duplicate', found: { ...taken, hash: 'another', reference: 'run_x' } },
      5: { tag: 'duplicate', found: { ...taken, hash: 'another' } },
      6: { tag: 'fenced' },
    };
    const outbox = new FakeOutbox((id) => outcomes[id] ?? applied);
    outbox.entries = [1, 2, 3, 4, 5, 6, 7].map((id) => ({
      id,
      // The fifth is an event: its id says all.
      transition: id === 5 ? { ...start('k'), publishes: [] } : start('k'),
    }));
    const { duty: made, settled } = duty(outbox);
    await made.drain();
    expect(outbox.cleared).toEqual([
      'refuse 1: too wide',
      'refuse 2: run run_2 is there already',
      'drop 3',
      'refuse 4: key k was taken meanwhile by run_x, for another input',
      'drop 5',
    ]);
    expect(settled).toEqual([start('k')]);
  });

  it('looks once more for who asks while it looks, and once for all of them', async () => {
    const outbox = new FakeOutbox(() => applied);
    const { duty: made } = duty(outbox);
    const asked = [made.drain(), made.drain(), made.drain()];
    await Promise.all(asked);
    expect(outbox.reads).toBe(2);
  });

  it('asks for its duty once a second and does nothing without it', async () => {
    let holds = false;
    const outbox = new FakeOutbox(() => applied);
    const { duty: made, clock } = duty(outbox, () => holds);
    await made.tick();
    holds = true;
    await made.tick();
    expect(outbox.reads).toBe(0);
    clock.ms = 1_000;
    await made.tick();
    await made.tick();
    expect([outbox.reads, clock.asked]).toEqual([2, 1]);
  });

  it('looks for what was left here soon, and less and less soon', async () => {
    const outbox = new FakeOutbox(() => applied);
    const { duty: made, timers } = duty(outbox);
    await made.leave({}, start('k'));
    const waited: number[] = [];
    for (let timer = timers.waiting.shift(); timer !== undefined; timer = timers.waiting.shift()) {
      waited.push(timer.ms);
      timer.fire();
    }
    await made.drain();
    expect(waited).toEqual([10, 20, 40, 80, 160]);
    await made.leave({}, start('k'));
    await made.stop();
    expect(timers.waiting).toEqual([]);
  });
});
