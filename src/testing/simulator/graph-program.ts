/**
 * The simulated graph: every kind of node and join, whose calls are effects of generated roughness. Its shape is fixed, because
 * it is part of the manifest; which of its nodes run, and how they end, the input decides.
 */
import type { Graph } from '../../core/graph/graph.js';
import { programCapabilities, type CallNode, type ProgramTaste } from './program.js';
import type { Prng } from './prng.js';

/** Attempts of every call: those of the capability. */
export const graphAttempts = 3;

export const simGraph: Graph = {
  nodes: [
    { name: 'last', capability: 'gpu', after: ['some', 'soft'], join: 'settled', input: 'input.nodes.last' },
    { name: 'first', capability: 'work', after: [], input: 'input.nodes.first' },
    { name: 'left', capability: 'gpu', after: ['first'], input: 'input.nodes.left', fallback: 'work' },
    {
      name: 'wide',
      capability: 'work',
      after: ['first'],
      when: { path: 'input.isWide', equals: true },
      map: { over: 'input.items', key: 'name', concurrency: 2, onError: 'throw' },
    },
    {
      name: 'soft',
      capability: 'gpu',
      after: [],
      map: { over: 'input.items', concurrency: 3, onError: 'settle' },
      fallback: 'work',
    },
    { name: 'some', capability: 'work', after: ['left', 'wide'], join: 'any', input: 'input.nodes.some' },
    { name: 'narrow', capability: 'gpu', after: ['wide'], input: 'input.nodes.narrow' },
  ],
  output: { last: 'last', soft: 'soft', narrow: 'narrow' },
};

/** The input of one run of it. */
export interface GraphInput {
  readonly isWide: boolean;
  readonly nodes: Readonly<Record<string, CallNode>>;
  readonly items: readonly CallNode[];
}

export function makeGraphInput(prng: Prng, taste: ProgramTaste): GraphInput {
  const call = (name: string): CallNode => ({
    chunks: 0,
    op: 'call',
    name,
    capability: prng.pick(programCapabilities),
    ms: prng.chance(0.8) ? prng.int(1, 200) : prng.int(200, 3_000),
    attempts: graphAttempts,
    fails: taste.failures && prng.chance(0.25) ? prng.int(1, graphAttempts + 1) : 0,
    kills: taste.poison && prng.chance(0.05) ? prng.pick([1, 99]) : 0,
  });
  const single = simGraph.nodes.filter(({ map }) => map === undefined);
  return {
    isWide: prng.chance(0.7),
    nodes: Object.fromEntries(single.map(({ name }) => [name, call(name)])),
    items: Array.from({ length: prng.int(0, 5) }, (_, i) => call(`i${i}`)),
  };
}

/** Paths of all calls that a run with this input may make. */
export function pathsOfGraph({ items }: GraphInput): string[] {
  const paths = simGraph.nodes.flatMap(({ name, map }) =>
    map === undefined ? [name] : items.map((item, i) => `${name}:${map.key === undefined ? i : item.name}`),
  );
  return paths.flatMap((path) => [path, `${path}/fallback`]);
}
