import { describe, expect, it } from 'vitest';
import { mermaidOf } from '../core/graph/drawing.js';
import { isSpineError } from '../core/errors.js';
import { capability } from './capability.js';
import { dag } from './dag.js';
import { defineApp } from './app.js';
import { workflow } from './workflow.js';

const work = capability('work', { retry: { attempts: 7 } });

/** As plain JavaScript would call it. */
const loose = dag as unknown as (name: string, options: unknown) => ReturnType<typeof dag>;

function faultsOf(define: () => unknown): string {
  try {
    define();
  } catch (error) {
    if (isSpineError(error) && error.code === 'OPTIONS_INVALID') return error.message;
    throw error;
  }
  return 'none';
}

describe('dag', () => {
  it('is a workflow with a graph, whose functions are capabilities of the app', () => {
    const ingest = dag('ingest', {
      retain: '1d',
      nodes: {
        text: { run: () => 'text', timeout: '5s', retry: { attempts: 2 } },
        embed: { run: work, input: { text: 'text' }, retry: { max: '1s' }, fallback: () => [] },
        each: { run: work, map: 'input.list', after: ['text'], when: { path: 'embed', exists: true } },
      },
    });
    expect(ingest.graph).toEqual({
      nodes: [
        {
          name: 'text',
          capability: 'ingest.text',
          after: [],
          retry: { attempts: 2, minMs: 500, maxMs: 60_000, factor: 2 },
          deadlineMs: 5_000,
        },
        {
          name: 'embed',
          capability: 'work',
          after: ['text'],
          input: { text: 'text' },
          fallback: 'ingest.embed.fallback',
          retry: { attempts: 7, minMs: 500, maxMs: 1_000, factor: 2 },
        },
        {
          name: 'each',
          capability: 'work',
          after: ['text', 'embed'],
          when: { path: 'embed', exists: true },
          map: { over: 'input.list', concurrency: 16, onError: 'throw' },
        },
      ],
    });
    const other = workflow('other', {}, () => 1);
    const { manifest } = defineApp({ workflows: [other, ingest], handlers: [work.implement(() => 1)] });
    expect(manifest.capabilities.map(({ name, implemented }) => [name, implemented])).toEqual([
      ['ingest.embed.fallback', true],
      ['ingest.text', true],
      ['work', true],
    ]);
    expect(manifest.workflows.map(({ graph }) => graph?.nodes.length)).toEqual([3, undefined]);
  });

  it('names all faults at once, and the way of a circle', () => {
    const circle = { a: { run: work, after: ['c'] }, b: { run: work, input: 'a' }, c: { run: work, map: 'b.list' } };
    expect(faultsOf(() => loose('g', { nodes: circle, outptu: 'a', timeout: 'soon' }))).toMatch(
      /"outptu" is not an option; did you mean "output"\?.*timeout is not a duration.*in a circle: a -> b -> c -> a/,
    );
    const nodes = {
      a: { run: 3, maps: 'x', when: { path: 'a', greater: 1 } },
      b: { run: work, join: 'some', input: { x: 3 }, map: { over: '' } },
    };
    const found = faultsOf(() => loose('g', { nodes }));
    for (const part of [
      'node "a": "maps" is not an option; did you mean "map"?',
      'node "a": run must be a capability or a function',
      'node "a": when must be a condition',
      'node "b": join must be \'all\'',
      'node "b": input must be a path',
      'node "b": map must be the path of a list',
    ])
      expect(found).toContain(part);
  });

  it('refuses a definition that is too large to be kept with every run', () => {
    const nodes = Object.fromEntries(
      Array.from({ length: 140 }, (_, i) => [
        `n${i}`,
        { run: work, input: { [`a-rather-long-name-${i}`]: `input.x.${'y'.repeat(80)}` } },
      ]),
    );
    expect(faultsOf(() => loose('g', { nodes }))).toMatch(/its definition has \d+ characters, of 16384 at most/);
  });

  it('asks for after where a join does without some of those that are read', () => {
    const nodes = { a: { run: work }, b: { run: work }, c: { run: work, after: ['a'], join: 'any', input: 'b.x' } };
    expect(faultsOf(() => loose('g', { nodes }))).toContain('"b.x" is read, but "b" is not in after');
  });

  it('can be drawn', () => {
    const { graph } = dag('g', {
      nodes: {
        a: { run: work },
        b: { run: () => 1, map: 'a.list', after: ['a'] },
        c: { run: () => 1, after: ['a', 'b'], join: 'any', when: { path: 'a.kind', equals: 'pdf' } },
      },
    });
    expect(mermaidOf(graph).split('\n')).toEqual([
      'flowchart TD',
      '  n0["a<br/>work"]',
      '  n1[["b<br/>for each of a.list"]]',
      '  n2{{"c<br/>if a.kind equals #quot;pdf#quot;<br/>any"}}',
      '  n0 --> n1',
      '  n0 -.-> n2',
      '  n1 -.-> n2',
    ]);
  });
});
