import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { asksForData, filterFaults, passes, type FilterSubject } from './filter.js';
import type { Filter } from './subscription.js';

const subject = (attributes: FilterSubject['attributes'], data: unknown = null): FilterSubject => ({
  attributes,
  data: () => data,
});

const order = subject(
  { id: 'e-1', type: 'order.placed', source: 'shop/eu', subject: 'o-7', priority: 3 },
  { order: { id: 'o-7', total: 12.5, gift: false, lines: [] }, note: null },
);

describe('filters', () => {
  it.each<[Filter, boolean]>([
    [{ exact: { type: 'order.placed' } }, true],
    [{ exact: { type: 'order.placed', source: 'shop/us' } }, false],
    [{ exact: { priority: '3' } }, true],
    [{ prefix: { type: 'order.', source: 'shop/' } }, true],
    [{ prefix: { type: 'Order.' } }, false],
    [{ suffix: { type: '.placed' } }, true],
    [{ suffix: { type: '.cancelled' } }, false],
    [{ exact: { absent: 'x' } }, false],
    [{ not: { prefix: { absent: 'x' } } }, true],
    [{ exact: { 'data.order.id': 'o-7' } }, true],
    [{ exact: { 'data.order.total': '12.5', 'data.order.gift': 'false' } }, true],
    [{ prefix: { 'data.order.lines': 'x' } }, false],
    [{ exact: { 'data.note': 'null' } }, false],
    [{ exact: { 'data.order.toString': 'x' } }, false],
    [{ all: [{ exact: { type: 'order.placed' } }, { not: { suffix: { source: 'us' } } }] }, true],
    [{ any: [{ exact: { type: 'x' } }, { exact: { subject: 'o-7' } }] }, true],
    [{ any: [{ exact: { type: 'x' } }, { exact: { subject: 'o-8' } }] }, false],
  ])('%j of an order: %s', (filter, wanted) => {
    expect(filterFaults(filter)).toEqual([]);
    expect(passes(filter, order)).toBe(wanted);
  });

  it('lets everything pass where there is none', () => {
    expect(passes(null, subject({}))).toBe(true);
  });

  it('asks for the data only where it is about it', () => {
    const trap: FilterSubject = {
      attributes: { type: 'a' },
      data: () => {
        throw new Error('the data was asked for');
      },
    };
    const filter: Filter = { any: [{ not: { exact: { type: 'a' } } }, { prefix: { type: 'a' } }] };
    expect(asksForData(filter)).toBe(false);
    expect(passes(filter, trap)).toBe(true);
    expect(asksForData({ not: { all: [{ exact: { type: 'a' } }, { suffix: { 'data.x': '1' } }] } })).toBe(true);
  });

  it.each<[unknown, string]>([
    [null, 'filter must be an object with one of exact'],
    ['type', 'filter must be an object'],
    [{}, 'filter must be an object'],
    [{ exact: { type: 'a' }, prefix: { type: 'a' } }, 'and nothing else'],
    [{ regex: { type: '.*' } }, 'filter must be an object'],
    [{ exact: {} }, 'filter.exact must name attributes'],
    [{ exact: { type: '' } }, 'filter.exact.type must be a text of 1 to'],
    [{ exact: { type: 7 } }, 'filter.exact.type must be a text'],
    [{ exact: { Type: 'a' } }, 'is neither an attribute'],
    [{ exact: { 'data.': 'a' } }, 'is neither an attribute'],
    [{ exact: { 'data.a..b': 'a' } }, 'is neither an attribute'],
    [{ all: [] }, 'filter.all must be a list of filters that is not empty'],
    [{ any: [{ exact: { type: 'a' } }, 7] }, 'filter.any[1] must be an object'],
    [{ not: { not: { exact: null } } }, 'filter.not.not.exact must name'],
  ])('refuses %j', (filter, fault) => {
    expect(filterFaults(filter).join('\n')).toContain(fault);
  });

  it('names every fault', () => {
    const faults = filterFaults({ all: [{ exact: { Type: 'a', source: '' } }, { any: [] }] });
    expect(faults).toHaveLength(3);
  });

  it('bounds how deep and how large a filter is, before anything else of it costs time', () => {
    let deep: unknown = { exact: { type: 'a' } };
    for (let i = 0; i < 10_000; i++) deep = { not: deep };
    expect(filterFaults(deep).join()).toContain('nested');
    const wide = { any: Array.from({ length: 10_000 }, () => ({ exact: { type: 'a' } })) };
    expect(filterFaults(wide)).toHaveLength(1);
  });

  it('keeps the laws of logic, for whatever filter and event', () => {
    const texts = fc.constantFrom('a', 'ab', 'b', 'abc');
    const names = fc.constantFrom('type', 'source', 'data.x', 'data.y.z');
    const match = fc.dictionary(names, texts, { minKeys: 1, maxKeys: 3 });
    const leaf: fc.Arbitrary<Filter> = fc.oneof(
      match.map((exact) => ({ exact })),
      match.map((prefix) => ({ prefix })),
      match.map((suffix) => ({ suffix })),
    );
    const { filter } = fc.letrec<{ filter: Filter }>((tie) => ({
      filter: fc.oneof(
        { maxDepth: 3 },
        leaf,
        fc.array(tie('filter'), { minLength: 1, maxLength: 3 }).map((all) => ({ all })),
        fc.array(tie('filter'), { minLength: 1, maxLength: 3 }).map((any) => ({ any })),
        tie('filter').map((not) => ({ not })),
      ),
    }));
    const event = fc
      .record({ type: texts, source: texts, x: fc.option(texts), z: fc.option(texts) })
      .map(({ type, source, x, z }) => subject({ type, source }, { x, y: { z } }));
    fc.assert(
      fc.property(filter, filter, event, (a, b, e) => {
        const [pa, pb] = [passes(a, e), passes(b, e)];
        expect(passes({ not: a }, e)).toBe(!pa);
        expect(passes({ all: [a, b] }, e)).toBe(pa && pb);
        expect(passes({ any: [a, b] }, e)).toBe(pa || pb);
        expect(passes({ not: { all: [{ not: a }, { not: b }] } }, e)).toBe(passes({ any: [a, b] }, e));
        // What is exact has itself as prefix and as suffix.
        if ('exact' in a && pa) expect(passes({ prefix: a.exact }, e) && passes({ suffix: a.exact }, e)).toBe(true);
      }),
    );
  });
});
