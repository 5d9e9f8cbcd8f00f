import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { limits } from '../limits.js';
import { matcherOf, patternFault } from './pattern.js';
import { accessActions, accessKinds, accessOf, permissionFaults, readPermission } from './permission.js';

describe('patterns of names', () => {
  it.each([
    ['orders', 'orders', true],
    ['orders', 'orders.eu', false],
    ['orders', 'Orders', false],
    ['orders.*', 'orders.eu', true],
    ['orders.*', 'orders.eu.north', false],
    ['orders.*', 'orders', false],
    ['orders.**', 'orders.eu.north', true],
    ['orders**', 'orders', true],
    ['*', 'orders', true],
    ['*', 'orders.eu', false],
    ['**', 'orders.eu', true],
    ['*.eu', 'orders.eu', true],
    ['**.eu', 'a.b.eu', true],
    ['a*c', 'abc', true],
    ['a*c', 'ac', true],
    ['a*c', 'a.c', false],
    ['a*b*c', 'a-b-b-c', true],
    ['a**b*c', 'a.b.b-c', true],
    ['a.c', 'abc', false],
    ['a+', 'aa', false],
  ])('%s means %s: %s', (pattern, name, expected) => {
    expect(matcherOf(pattern)(name)).toBe(expected);
  });

  it('agree with what their words say, for any pattern and name', () => {
    const piece = fc.constantFrom('a', 'b', '.', '-');
    const pattern = fc
      .array(fc.oneof(piece, fc.constantFrom('*', '**')), { minLength: 1, maxLength: 8 })
      .map((parts) => parts.join(''))
      .filter((text) => patternFault(text) === null);
    const name = fc.array(piece, { maxLength: 8 }).map((parts) => parts.join(''));
    fc.assert(
      fc.property(pattern, name, (text, given) => {
        const source = text
          .replace(/[.-]/g, '\\$&')
          .replace(/\*\*/g, '\0')
          .replace(/\*/g, '[^.]*')
          .replace(/\0/g, '[^]*');
        expect(matcherOf(text)(given)).toBe(new RegExp(`^${source}$`).test(given));
      }),
      { numRuns: 2_000 },
    );
  });

  it('cost little whatever is written in them', () => {
    const worst = matcherOf('*a'.repeat(64));
    const began = performance.now();
    expect(worst(`${'a'.repeat(limits.keyLengthMax)}!`)).toBe(false);
    expect(performance.now() - began).toBeLessThan(500);
  });
});

describe('permissions', () => {
  it.each(['publish:topic/orders.*', '*:workflow/order', 'read:*', '*:*', 'tell:agent/**'])('%s is one', (text) => {
    expect(readPermission(text)).not.toHaveProperty('fault');
  });

  it.each([
    'publish',
    'publish:topic',
    'publish:topic/',
    'publish:topics/a',
    'start:topic/a',
    'publish:topic/a b',
    'publish:topic/***',
    'publish:topic/\u0000',
    'Publish:topic/a',
    'read:*/a',
    'fly:*',
    `read:workflow/${'a'.repeat(1_000)}`,
    '',
  ])('%j is none', (text) => {
    expect(readPermission(text)).toHaveProperty('fault');
    expect(permissionFaults([text])).toHaveLength(1);
    expect(() => accessOf([text])).toThrow('Permissions of a principal');
  });

  it('are refused as a list where one is no text, or there are too many', () => {
    expect(permissionFaults([1])).toEqual(['a permission is a text']);
    expect(permissionFaults(new Array(limits.permissionsMax + 1).fill('*:*'))).toHaveLength(1);
  });

  it('allow nothing that none of them names', () => {
    const access = accessOf(['publish:topic/orders.*', 'read:workflow/**']);
    expect(access.allows('publish', 'topic', 'orders.eu')).toBe(true);
    expect(access.allows('subscribe', 'topic', 'orders.eu')).toBe(false);
    expect(access.allows('publish', 'topic', 'invoices')).toBe(false);
    expect(access.allows('publish', 'workflow', 'orders.eu')).toBe(false);
    expect(access.allowsSome('publish', 'topic')).toBe(true);
    expect(access.allowsAll('publish', 'topic')).toBe(false);
    expect(access.allowsAll('read', 'workflow')).toBe(true);
    expect(access.allowsSome('cancel', 'workflow')).toBe(false);
    expect(access.isWhole).toBe(false);
  });

  it('of all kinds hold for every kind, those of everything for everything, and an empty list for nothing', () => {
    const [reader, whole, nobody] = [accessOf(['read:*']), accessOf(['*:*']), accessOf([])];
    for (const kind of accessKinds)
      for (const action of accessActions[kind]) {
        expect(reader.allows(action, kind, 'a.b')).toBe(action === 'read');
        expect(whole.allows(action, kind, 'a.b')).toBe(true);
        expect(nobody.allows(action, kind, 'a.b')).toBe(false);
        expect(accessOf(undefined).allows(action, kind, 'a.b')).toBe(true);
      }
  });
});
