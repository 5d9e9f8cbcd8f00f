import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planDelivery, soughtTo, withoutEnded, withRuns, type ArrivedEvent, type DeliveryCursor } from './delivery.js';
import type { DeliveryOrder } from './subscription.js';

const events = (...keys: readonly string[]): ArrivedEvent[] =>
  keys.map((key, offset) => ({ offset, key: key.toLowerCase(), isWanted: key !== '-' }));

const plan = (order: DeliveryOrder, cursor: DeliveryCursor, list: readonly ArrivedEvent[], window = 64, most = 64) => {
  const after = list.filter(({ offset }) => offset >= cursor.next);
  const { begin, ...rest } = planDelivery(
    { order, windowMax: window },
    cursor,
    { events: after, readTo: list.length },
    most,
  );
  return { begin: begin.map(({ offset }) => offset), ...rest };
};

describe('deliveries', () => {
  it('begin everything at once where nothing has to wait, and pass over what is not wanted', () => {
    expect(plan('none', { next: 0 }, events('a', '-', 'a', 'b'))).toEqual({
      begin: [0, 2, 3],
      cursor: { next: 4 },
      isFull: false,
    });
  });

  it('hold back later events of a key, and go past them with those of others', () => {
    const list = events('a', 'a', 'b', 'a', '-');
    const first = plan('key', { next: 0 }, list);
    expect(first).toMatchObject({ begin: [0, 2], cursor: { next: 1, ahead: [2, 4] } });
    const under = withRuns(first.cursor, [
      { offset: 0, run: 'r0', key: 'a' },
      { offset: 2, run: 'r2', key: 'b' },
    ]);
    expect(plan('key', under, list)).toMatchObject({ begin: [], cursor: { next: 1, ahead: [2, 4] } });
    const freed = withoutEnded(under, new Map([['r0', null]]));
    expect(plan('key', freed, list)).toMatchObject({ begin: [1], cursor: { next: 3, ahead: [4] } });
  });

  it('wait for the run that a run goes on in', () => {
    const list = events('a', 'a');
    const under = withRuns({ next: 1 }, [{ offset: 0, run: 'r0', key: 'a' }]);
    const moved = withoutEnded(under, new Map([['r0', 'r1']]));
    expect(moved.runs).toEqual([{ offset: 0, run: 'r1', key: 'a' }]);
    expect(plan('key', moved, list).begin).toEqual([]);
  });

  it('begin one at a time in the order of a partition', () => {
    const list = events('a', 'b', '-');
    const first = plan('partition', { next: 0 }, list);
    expect(first).toMatchObject({ begin: [0], cursor: { next: 1 }, isFull: true });
    const under = withRuns(first.cursor, [{ offset: 0, run: 'r0', key: 'a' }]);
    expect(plan('partition', under, list)).toMatchObject({ begin: [], isFull: true });
    expect(plan('partition', withoutEnded(under, new Map([['r0', null]])), list).begin).toEqual([1]);
  });

  it('have no more under way than their window', () => {
    const list = events('a', 'b', 'c');
    expect(plan('key', { next: 0 }, list, 2)).toMatchObject({ begin: [0, 1], cursor: { next: 2 }, isFull: true });
    expect(plan('none', { next: 0 }, list, 64, 1)).toMatchObject({ begin: [0], isFull: false });
  });

  it('end where a replay ends, and go on behind what was deleted', () => {
    expect(plan('key', { next: 0, end: 2 }, events('a', 'b', 'c'))).toMatchObject({
      begin: [0, 1],
      cursor: { next: 2, end: 2 },
    });
    const { cursor } = planDelivery({ order: 'key', windowMax: 9 }, { next: 3 }, { events: [], readTo: 9 }, 9);
    expect(cursor).toEqual({ next: 9 });
  });

  it('keep what is under way when they are set to another place', () => {
    const under: DeliveryCursor = { next: 7, ahead: [8], runs: [{ offset: 5, run: 'r', key: 'a' }] };
    expect(soughtTo(under, 2)).toEqual({ next: 2, runs: under.runs, seeks: 1 });
    expect(plan('key', soughtTo(under, 0), events('a', 'b')).begin).toEqual([1]);
  });

  it('begin each event once and in order, whatever ends when', () => {
    const orders = fc.constantFrom<DeliveryOrder>('key', 'partition', 'none');
    const list = fc.array(fc.constantFrom('a', 'b', 'c', '-'), { maxLength: 40 }).map((keys) => events(...keys));
    fc.assert(
      fc.property(
        orders,
        list,
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 1, max: 4 }),
        fc.infiniteStream(fc.nat()),
        (order, all, window, most, chance) => {
          let cursor: DeliveryCursor = { next: 0 };
          const begun: number[] = [];
          const under = new Map<number, ArrivedEvent>();
          for (let round = 0; round < 200; round++) {
            // What is remembered is lost now and then: the cursor alone says how it goes on.
            cursor = JSON.parse(JSON.stringify(cursor)) as DeliveryCursor;
            const known = all.slice(0, Number(chance.next().value) % (all.length + 1));
            const arrived = { events: known.filter(({ offset }) => offset >= cursor.next), readTo: known.length };
            const planned = planDelivery({ order, windowMax: window }, cursor, arrived, most);
            for (const event of planned.begin) {
              const earlier = [...under.values()].filter(
                ({ key }) => order === 'partition' || (order === 'key' && key === event.key),
              );
              expect(earlier).toEqual([]);
              expect(event.isWanted).toBe(true);
              under.set(event.offset, event);
              begun.push(event.offset);
            }
            expect(under.size).toBeLessThanOrEqual(window);
            expect(planned.cursor.next).toBeGreaterThanOrEqual(cursor.next);
            const runs = planned.begin.map(({ offset, key }) => ({ offset, run: `r${offset}`, key }));
            cursor = withRuns(planned.cursor, runs);
            const [one] = [...under.keys()].slice(Number(chance.next().value) % 3);
            if (one !== undefined) under.delete(one);
            if (one !== undefined) cursor = withoutEnded(cursor, new Map([[`r${one}`, null]]));
          }
          expect(new Set(begun).size).toBe(begun.length);
          const wanted = all.filter(({ isWanted }) => isWanted).map(({ offset }) => offset);
          expect([...begun].sort((a, b) => a - b)).toEqual(wanted);
          expect(cursor.next).toBe(all.length);
          expect(cursor.ahead).toBeUndefined();
          for (const key of ['a', 'b', 'c']) {
            const ofKey = begun.filter((offset) => all[offset]?.key === key);
            if (order !== 'none') expect(ofKey).toEqual([...ofKey].sort((a, b) => a - b));
          }
        },
      ),
      { numRuns: 100 },
    );
  });
});
