import { describe, expect, it } from 'vitest';
import { bridgeFaults, type Witness } from './support/bridge-ledger.js';

const pair = (n: number): readonly [string, number] => [`order-${n}`, n];
/** Numbers 0 and 97 are of one key. */
const events = 98;
const numbers = Array.from({ length: events }, (_, n) => n);
const whole: Witness = { inside: [numbers.map(pair)], outside: [numbers.map(pair)], runs: events, behind: 0 };
const without = (n: number): Witness['inside'] => [numbers.filter((one) => one !== n).map(pair)];
const swapped: Witness['inside'] = [[97, ...numbers.slice(0, -1)].map(pair)];

describe('the ledger of bridges', () => {
  it('finds nothing where all is well, repeats outside included', () => {
    expect(bridgeFaults(events, whole)).toEqual([]);
    const repeated = [[...numbers, 3, 4, 5, 97].map(pair)];
    expect(bridgeFaults(events, { ...whole, outside: repeated })).toEqual([]);
  });

  it.each<[string, Partial<Witness>, RegExp]>([
    ['an effect that is there twice', { inside: [[...numbers, 5].map(pair)] }, /1 events are in our topic twice/],
    ['an event that was lost', { inside: without(5) }, /98 events were sent, 97 are in our topic/],
    ['a run that was not started', { runs: events - 1 }, /98 events were sent, 97 runs/],
    ['a run too many', { runs: events + 1 }, /98 events were sent, 99 runs/],
    ['an event that did not go out', { outside: without(5) }, /1 events are not outside, order-5/],
    [
      'an event that nobody has sent',
      { outside: [[...numbers, 500].map(pair)] },
      /1 events outside are none of ours, order-500/,
    ],
    ['a key out of order inside', { inside: swapped }, /inside: order-0 is behind a later one of its key/],
    ['a key out of order outside', { outside: swapped }, /outside: order-0 is behind a later one of its key/],
    ['a group that Kafka believes to be behind', { behind: 3 }, /3 messages behind/],
  ])('finds %s', (_, wrong, fault) => {
    expect(bridgeFaults(events, { ...whole, ...wrong }).join()).toMatch(fault);
  });
});
