/** Random graphs, and what becomes of their calls. */
import fc from 'fast-check';
import type { Graph, GraphNode, Join } from './graph.js';

/** How the calls of a node end: `fail` for good, `stand` = the call fails and what stands in succeeds. */
export interface Fate {
  readonly ends: 'ok' | 'fail' | 'stand';
  readonly when: boolean;
}

export interface World {
  readonly graph: Graph;
  readonly fates: ReadonlyMap<string, Fate>;
  /** Which of the open calls ends next. */
  readonly picks: readonly number[];
}

export const world: fc.Arbitrary<World> = fc
  .array(
    fc.record({
      after: fc.array(fc.nat(), { maxLength: 3 }),
      join: fc.constantFrom<Join | 'n'>('all', 'all', 'any', 'settled', 'n'),
      map: fc.option(
        fc.record({ length: fc.nat({ max: 5 }), concurrency: fc.integer({ min: 1, max: 3 }), settle: fc.boolean() }),
      ),
      ends: fc.constantFrom<Fate['ends']>('ok', 'ok', 'ok', 'fail', 'stand'),
      when: fc.integer({ min: 0, max: 6 }),
    }),
    { minLength: 1, maxLength: 8 },
  )
  .chain((raw) => {
    const fates = new Map<string, Fate>();
    const nodes = raw.map(({ after, join, map, ends, when }, i): GraphNode => {
      const name = `n${i}`;
      const before = i === 0 ? [] : [...new Set(after.map((n) => `n${n % i}`))];
      fates.set(name, { ends, when: when !== 0 });
      const joined: Join =
        join === 'n' ? (before.length === 0 ? 'all' : { atLeast: Math.min(2, before.length) }) : join;
      return {
        name,
        capability: 'work',
        after: before,
        ...(joined === 'all' ? {} : { join: joined }),
        ...(ends === 'stand' ? { fallback: 'instead' } : {}),
        when: { path: `input.when.${name}`, equals: true },
        ...(map === null
          ? { input: 'input' }
          : {
              map: {
                over: `input.lists.${map.length}`,
                concurrency: map.concurrency,
                onError: map.settle ? ('settle' as const) : ('throw' as const),
              },
            }),
      };
    });
    // Whatever the order in which they are written down.
    return fc
      .tuple(
        fc.shuffledSubarray(nodes, { minLength: nodes.length }),
        fc.array(fc.nat(), { minLength: 5, maxLength: 40 }),
      )
      .map(([shuffled, picks]) => ({ graph: { nodes: shuffled }, fates, picks }));
  });

/** The value of a root, as the nodes of such a graph read it. */
export function valueOf(fates: World['fates'], root: string): unknown {
  if (root !== 'input') return root;
  const lists = Object.fromEntries(Array.from({ length: 6 }, (_, n) => [n, Array.from({ length: n }, (__, i) => i)]));
  return { lists, when: Object.fromEntries([...fates].map(([name, fate]) => [name, fate.when])) };
}
