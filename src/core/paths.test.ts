import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hasCode } from './errors.js';
import { pathOf, type PathName } from './paths.js';

describe('pathOf', () => {
  const part = fc.string({
    unit: fc.constantFrom('a', '/', ':', '%', '2', 'F', 'é', '\n'),
    minLength: 1,
    maxLength: 4,
  });
  const name = fc.oneof(part, fc.tuple(part, part), fc.tuple(part, part, part));
  const way = fc.array(name, { minLength: 1, maxLength: 4 });
  const pathOfWay = (names: readonly PathName[]): string =>
    names.reduce<string>((scope, one) => pathOf(scope, one), '');
  const identity = (names: readonly PathName[]): string => JSON.stringify(names.map((one) => [one].flat()));

  it('gives two identities two paths', () => {
    fc.assert(
      fc.property(way, way, (one, other) => {
        expect(pathOfWay(one) === pathOfWay(other)).toBe(identity(one) === identity(other));
      }),
      { numRuns: 3_000 },
    );
  });

  it('never begins with a colon, which names timers of the run itself', () => {
    fc.assert(
      fc.property(way, (names) => {
        expect(pathOfWay(names)).not.toMatch(/^:/);
      }),
    );
  });

  it.each<[string, PathName]>([
    ['an empty name', ''],
    ['a key that is not finite', ['a', Number.NaN]],
    ['half a surrogate pair', '\ud800'],
    ['a name that is too long', 'x'.repeat(513)],
    ['what is not a name', null as unknown as string],
  ])('refuses %s', (_, bad) => {
    let thrown: unknown;
    try {
      pathOf('', bad);
    } catch (error) {
      thrown = error;
    }
    expect(hasCode(thrown, 'PATH_INVALID')).toBe(true);
  });
});
