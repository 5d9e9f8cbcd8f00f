import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  acked,
  cursorOf,
  handOut,
  isFreeFor,
  leasedTo,
  nacked,
  pendingOf,
  released,
  renewed,
  reopened,
  stateOf,
  withoutLost,
  type PullState,
} from './pull-cursor.js';
import { rendezvous } from './spread.js';
import type { DeliveryOrder } from './subscription.js';

const ms = 1_000;

/** One partition with keys that take turns, and consumers that pull it. */
class Bench {
  now = 0;
  #tokens = 0;
  #text: string;
  readonly order: DeliveryOrder;
  readonly keys: readonly number[];
  readonly deliveriesMax: number;

  constructor(keys: readonly number[], order: DeliveryOrder = 'key', deliveriesMax = 5) {
    this.keys = keys;
    this.order = order;
    this.deliveriesMax = deliveriesMax;
    this.#text = JSON.stringify({ next: 0 });
  }

  /** As it would be read from a store. */
  get state(): PullState {
    return stateOf(JSON.parse(this.#text) as { readonly next: number });
  }

  set state(state: PullState) {
    this.#text = JSON.stringify(cursorOf(state));
  }

  pull(consumer: string, max = 10, windowMax = 64) {
    const before = withoutLost(this.state, this.now);
    if (!isFreeFor(before, consumer, this.now)) return { token: '', offsets: [], deliveries: [], dead: [] };
    const token = `t${++this.#tokens}`;
    const fresh = this.keys.flatMap((key, offset) =>
      offset < before.read ? [] : [{ offset, key: String(key), isWanted: true }],
    );
    const { state, out, dead } = handOut(leasedTo(before, consumer, this.now, ms), fresh, {
      order: this.order,
      delivery: { token, until: this.now + ms },
      now: this.now,
      max,
      windowMax,
      deliveriesMax: this.deliveriesMax,
    });
    this.state = state;
    return {
      token,
      offsets: out.map(({ offset }) => offset),
      deliveries: out.map(({ deliveries }) => deliveries),
      dead: dead.map(({ offset }) => offset),
    };
  }

  ack(consumer: string, token: string, ...offsets: number[]) {
    const positions = offsets.map((offset) => ({ offset, token }));
    const outcome = acked(this.state, consumer, positions, { order: this.order, now: this.now });
    if (outcome.tag === 'settled') this.state = outcome.state;
    return outcome.tag === 'settled' ? outcome.events.length : outcome.tag;
  }

  nack(consumer: string, token: string, offsets: readonly number[], isDead = false) {
    const outcome = nacked(
      this.state,
      consumer,
      offsets.map((offset) => ({ offset, token })),
      {
        order: this.order,
        now: this.now,
        deliveriesMax: this.deliveriesMax,
        delayMs: () => 100,
        isDead,
        why: 'no',
      },
    );
    if (outcome.tag === 'settled') this.state = outcome.state;
    return outcome.tag === 'settled' ? { again: outcome.events.length, dead: outcome.dead.length } : outcome.tag;
  }
}

describe('a partition that is pulled', () => {
  it('is handed out in order, and its cursor stands behind what is settled', () => {
    const bench = new Bench([1, 2, 3]);
    const { token, offsets } = bench.pull('a', 2);
    expect(offsets).toEqual([0, 1]);
    expect(bench.ack('a', token, 1)).toBe(1);
    expect(cursorOf(bench.state).next).toBe(0);
    expect(bench.ack('a', token, 0)).toBe(1);
    expect(cursorOf(bench.state).next).toBe(2);
    expect(pendingOf(bench.state, 3)).toBe(1);
  });

  it('hands out nothing of a key while an earlier event of it is in hand', () => {
    const bench = new Bench([1, 1, 2, 1]);
    const first = bench.pull('a', 1);
    expect(first.offsets).toEqual([0]);
    expect(bench.pull('a').offsets).toEqual([2]);
    bench.ack('a', first.token, 0);
    expect(bench.pull('a').offsets).toEqual([1, 3]);
  });

  it('with order "partition" hands out nothing at all meanwhile, with order "none" everything', () => {
    const strict = new Bench([1, 2, 3], 'partition');
    strict.pull('a', 1);
    expect(strict.pull('a').offsets).toEqual([]);
    const loose = new Bench([1, 1, 1], 'none');
    loose.pull('a', 1);
    expect(loose.pull('a').offsets).toEqual([1, 2]);
  });

  it('stays with its consumer while that has something in hand, and no longer than its lease', () => {
    const bench = new Bench([1, 2]);
    const first = bench.pull('a', 1);
    expect(bench.pull('b').offsets).toEqual([]);
    bench.now = ms;
    const second = bench.pull('b');
    expect([second.offsets, second.deliveries]).toEqual([
      [0, 1],
      [2, 1],
    ]);
    expect(bench.ack('a', first.token, 0)).toBe('fenced');
    expect(bench.nack('a', first.token, [0])).toBe('fenced');
    expect(bench.ack('b', second.token, 0, 1)).toBe(2);
    expect(bench.ack('a', first.token, 0)).toBe('fenced');
  });

  it('does not take the word of a delivery that is over, though the consumer is the same', () => {
    const bench = new Bench([1]);
    const first = bench.pull('a');
    bench.now = ms;
    const second = bench.pull('a');
    expect(second.offsets).toEqual([0]);
    expect(bench.ack('a', first.token, 0)).toBe('fenced');
    expect(bench.ack('a', second.token, 0)).toBe(1);
    expect(bench.ack('a', first.token, 0)).toBe('fenced');
  });

  it('takes a repeat of the same word, whose answer was lost', () => {
    const bench = new Bench([1]);
    const { token } = bench.pull('a');
    expect([bench.ack('a', token, 0), bench.ack('a', token, 0)]).toEqual([1, 0]);
  });

  it('settles nothing where one of several is not in hand', () => {
    const bench = new Bench([1, 2, 3]);
    const { token } = bench.pull('a', 2);
    expect(bench.ack('a', token, 0, 2)).toBe('fenced');
    expect(bench.ack('a', token, 0, 1)).toBe(2);
  });

  it('settles events of one key in their order', () => {
    const bench = new Bench([1, 1, 1]);
    const { token } = bench.pull('a');
    expect(bench.ack('a', token, 1)).toBe('early');
    expect(bench.ack('a', token, 1, 0)).toBe(2);
    expect(bench.ack('a', token, 2)).toBe(1);
  });

  it('takes back what follows an event of the same key that was given back', () => {
    const bench = new Bench([1, 2, 1]);
    const { token } = bench.pull('a');
    expect(bench.nack('a', token, [0])).toEqual({ again: 1, dead: 0 });
    expect(bench.ack('a', token, 2)).toBe('fenced');
    expect(bench.ack('a', token, 1)).toBe(1);
    expect(bench.pull('a').offsets).toEqual([]);
    bench.now = 100;
    const again = bench.pull('a');
    expect([again.offsets, again.deliveries]).toEqual([
      [0, 2],
      [2, 1],
    ]);
  });

  it('gives up on an event that was delivered often enough, and the last time it goes alone', () => {
    const bench = new Bench([1, 2, 3, 4], 'key', 3);
    for (let delivery = 1; delivery <= 2; delivery++) {
      expect(bench.pull('a').offsets).toEqual([0, 1, 2, 3]);
      bench.now += ms;
    }
    const dead: number[] = [];
    for (const offset of [0, 1, 2, 3]) {
      const { token, offsets, dead: given } = bench.pull('a');
      expect(offsets).toEqual([offset]);
      dead.push(...given);
      expect(bench.pull('a').offsets).toEqual([]);
      if (offset === 1) bench.now += ms;
      else bench.ack('a', token, offset);
    }
    expect(dead).toEqual([1]);
    expect(cursorOf(bench.state)).toMatchObject({ next: 4 });
  });

  it('gives up at once on what nobody is to try again', () => {
    const bench = new Bench([1, 1]);
    const { token } = bench.pull('a');
    expect(bench.nack('a', token, [0], true)).toEqual({ again: 0, dead: 1 });
    expect(bench.ack('a', token, 1)).toBe(1);
    expect(cursorOf(bench.state)).toMatchObject({ next: 2 });
  });

  it('is released uncounted by a consumer that goes', () => {
    const bench = new Bench([1]);
    const first = bench.pull('a');
    bench.state = released(bench.state);
    const second = bench.pull('b');
    expect([first.deliveries, second.deliveries]).toEqual([[1], [1]]);
    expect(bench.ack('a', first.token, 0)).toBe('fenced');
  });

  it('is kept by a consumer that says it is at work', () => {
    const bench = new Bench([1]);
    const { token } = bench.pull('a');
    bench.now = ms - 1;
    const { state, tokens } = renewed(bench.state, 'a', [token, 'other'], bench.now, ms);
    bench.state = state;
    expect(tokens).toEqual([token]);
    bench.now = ms + 10;
    expect(bench.pull('b').offsets).toEqual([]);
    expect(bench.ack('a', token, 0)).toBe(1);
  });

  it('hands out again what was brought back, before what follows it under its key', () => {
    const bench = new Bench([1, 1, 1]);
    const first = bench.pull('a', 2);
    bench.nack('a', first.token, [0], true);
    bench.ack('a', first.token, 1);
    const back = reopened(bench.state, 0, '1');
    expect(reopened(bench.state, 2, '1')).toBeNull();
    if (back === null) throw new Error('not brought back');
    bench.state = back;
    expect(cursorOf(bench.state).next).toBe(0);
    const again = bench.pull('a');
    expect([again.offsets, again.deliveries]).toEqual([
      [0, 2],
      [1, 1],
    ]);
  });

  it('opens no more events than its window has room for', () => {
    const bench = new Bench([1, 2, 3, 4, 5], 'none');
    expect(bench.pull('a', 10, 2).offsets).toEqual([0, 1]);
    expect(bench.pull('a', 10, 2).offsets).toEqual([]);
  });

  it('whatever consumers do, settles each event once, in the order of its key, and leaves none behind', () => {
    const step = fc.record({
      consumer: fc.constantFrom('a', 'b', 'c'),
      what: fc.constantFrom('pull', 'ack', 'ack one', 'nack', 'sleep', 'leave', 'poison'),
      max: fc.integer({ min: 1, max: 4 }),
      old: fc.integer({ min: 0, max: 3 }),
    });
    const order = fc.constantFrom<DeliveryOrder>('key', 'partition', 'none');
    const keys = fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(keys, order, fc.array(step, { maxLength: 60 }), (events, kept, steps) => {
        const bench = new Bench(events, kept, 4);
        const ended = new Map<number, string>();
        const hands: { consumer: string; token: string; offsets: number[]; at: number }[] = [];
        const end = (offset: number, how: string): void => {
          expect(ended.has(offset)).toBe(false);
          ended.set(offset, how);
        };
        const pull = (consumer: string, max: number): number => {
          const { token, offsets, dead } = bench.pull(consumer, max);
          for (const offset of dead) end(offset, 'dead');
          for (const offset of offsets) {
            expect(ended.has(offset)).toBe(false);
            for (let before = 0; before < offset; before++) {
              const isSame = kept === 'partition' || (kept === 'key' && events[before] === events[offset]);
              // Ended before, or in the same delivery.
              if (isSame) expect(ended.has(before) || offsets.includes(before)).toBe(true);
            }
          }
          if (offsets.length > 0) hands.unshift({ consumer, token, offsets: [...offsets], at: bench.now });
          return offsets.length + dead.length;
        };
        for (const { consumer, what, max, old } of steps) {
          const hand = hands.filter((one) => one.consumer === consumer)[old];
          if (what === 'pull') pull(consumer, max);
          else if (what === 'sleep') bench.now += 400;
          else if (what === 'leave') {
            if (bench.state.lease?.consumer === consumer) bench.state = released(bench.state);
          } else if (hand !== undefined) {
            const offsets = what === 'ack one' ? hand.offsets.slice(0, 1) : hand.offsets;
            if (what === 'nack' || what === 'poison') {
              const before = bench.state.open.map(({ offset }) => offset);
              const outcome = bench.nack(consumer, hand.token, offsets, what === 'poison');
              if (typeof outcome === 'object') {
                const left = bench.state.open.map(({ offset }) => offset);
                for (const offset of before) if (!left.includes(offset)) end(offset, 'dead');
              }
              continue;
            }
            const open = bench.state.open.map(({ offset }) => offset);
            const settled = bench.ack(consumer, hand.token, ...offsets);
            if (typeof settled === 'number') for (const o of offsets) if (open.includes(o)) end(o, 'acked');
          }
        }
        // Then everything heals, and all of it comes to an end.
        for (let round = 0; round < 200 && ended.size < events.length; round++) {
          bench.now += 2 * ms;
          const found = pull('d', 10);
          const [hand] = hands;
          if (found > 0 && hand?.consumer === 'd' && hand.at === bench.now) {
            expect(bench.ack('d', hand.token, ...hand.offsets)).toBe(hand.offsets.length);
            for (const offset of hand.offsets) end(offset, 'acked');
          }
        }
        expect(ended.size).toBe(events.length);
        expect(cursorOf(bench.state)).toMatchObject({ next: events.length });
      }),
      { numRuns: 300 },
    );
  });
});

describe('the partitions of a topic', () => {
  const partitions = Array.from({ length: 96 }, (_, i) => i);

  it('are shared out evenly, and one that comes or goes moves its own share only', () => {
    const three = ['a', 'b', 'c'];
    const before = partitions.map((one) => rendezvous(three, one));
    const counts = three.map((consumer) => before.filter((owner) => owner === consumer).length);
    expect(Math.min(...counts)).toBeGreaterThan(20);
    const after = partitions.map((one) => rendezvous(['b', 'c'], one));
    for (const [i, owner] of before.entries()) if (owner !== 'a') expect(after[i]).toBe(owner);
    expect(rendezvous([], 1)).toBeNull();
  });

  it('go to the same consumer, whoever asks', () => {
    expect(partitions.map((one) => rendezvous(['c', 'a', 'b'], one))).toEqual(
      partitions.map((one) => rendezvous(['b', 'c', 'a'], one)),
    );
  });
});
