/** What TypeScript sees of graphs. */
import { z } from 'zod';
import { describe, expectTypeOf, it } from 'vitest';
import { capability, dag, defineApp, topic, type InputOf, type OutputOf } from '../../src/workflow/index.js';

const uploaded = topic('document.uploaded', { schema: z.object({ id: z.string(), pages: z.array(z.string()) }) });
const extract = capability('extract', {
  input: z.string(),
  output: z.object({ body: z.string(), pages: z.array(z.object({ no: z.number(), text: z.string() })) }),
});
const embed = capability('embed', { input: z.object({ text: z.string() }), output: z.array(z.number()) });
const anything = capability('anything');

const ingest = dag('ingest', {
  on: uploaded,
  nodes: {
    text: { run: extract, input: 'input.id' },
    embed: { run: embed, input: { text: 'text.body' } },
    pages: { run: embed, map: { over: 'text.pages', key: 'no' }, input: { text: 'item.text' } },
    words: { run: (page: { no: number; text: string }) => page.text.length, map: 'text.pages' },
    index: {
      after: ['text', 'embed'],
      run: (given: { input: { id: string }; text: { body: string }; embed: number[] }) => ({ id: given.input.id }),
    },
  },
  output: { id: 'index.id', vectors: 'pages', counts: 'words' },
});

describe('a graph', () => {
  it('has the input of its topic, and results in its output', () => {
    const app = defineApp({ workflows: [ingest] });
    expectTypeOf<InputOf<typeof app, 'ingest'>>().toEqualTypeOf<{ id: string; pages: string[] }>();
    expectTypeOf<OutputOf<typeof app, 'ingest'>>().toEqualTypeOf<{
      readonly id: string;
      readonly vectors: readonly number[][];
      readonly counts: readonly number[];
    }>();
  });

  it('results in what nobody comes after, which may be missing where it may be skipped', () => {
    const leaves = dag('leaves', {
      input: z.object({ n: z.number() }),
      nodes: {
        a: { run: (n: number) => n, input: 'input.n' },
        b: { run: () => 'b', after: ['a'] },
        c: { run: () => true, when: { path: 'a', gt: 3 } },
      },
    });
    const app = defineApp({ workflows: [leaves] });
    expectTypeOf<OutputOf<typeof app, 'leaves'>>().toEqualTypeOf<{
      readonly b: string;
      readonly c: boolean | undefined;
    }>();
  });

  it('takes values of which nothing is known', () => {
    dag('loose', {
      nodes: {
        a: { run: anything, input: 'input.whatever' },
        b: { run: embed, input: { text: 'a.body.0' } },
        c: { run: (given: { a: { x: number } }) => given.a.x, after: ['a'] },
      },
    });
  });

  it('refuses names that there are not, and paths that lead nowhere', () => {
    const refused = (): void => {
      // @ts-expect-error: there is no node "tex"
      dag('g', { nodes: { text: { run: extract, input: 'input' }, b: { run: () => 1, after: ['tex'] } } });
      // @ts-expect-error: a node does not come after itself
      dag('g', { nodes: { b: { run: () => 1, after: ['b'] } } });
      // @ts-expect-error: "tex" is neither input nor a node
      dag('g', { nodes: { text: { run: extract, input: 'input' }, b: { run: anything, input: 'tex.body' } } });
      // @ts-expect-error: "text.bodi" leads nowhere
      dag('g', { nodes: { text: { run: extract, input: 'input' }, b: { run: anything, input: { t: 'text.bodi' } } } });
      dag('g', {
        nodes: {
          text: { run: extract, input: 'input' },
          // @ts-expect-error: the condition asks about what there is not
          b: { run: () => 1, when: { path: 'text.x', gt: 1 } },
        },
      });
      // @ts-expect-error: the output leads nowhere
      dag('g', { nodes: { text: { run: extract, input: 'input' } }, output: 'text.bodi' });
      // @ts-expect-error: "text.body" is no list
      dag('g', { nodes: { text: { run: extract, input: 'input' }, b: { run: (s: unknown) => s, map: 'text.body' } } });
      // @ts-expect-error: a misspelt option
      dag('g', { nodes: { text: { run: extract, inputs: 'input' } } });
    };
    expectTypeOf(refused).toBeFunction();
  });

  it('refuses to give a node what it does not take', () => {
    const refused = (): void => {
      // @ts-expect-error: a list of numbers where a text is wanted
      dag('g', { nodes: { text: { run: extract, input: 'input' }, b: { run: embed, input: { text: 'text.pages' } } } });
      // @ts-expect-error: the function takes a number
      dag('g', { nodes: { text: { run: extract, input: 'input' }, b: { run: (n: number) => n, input: 'text.body' } } });
      // @ts-expect-error: without input it is given an object of results
      dag('g', { nodes: { text: { run: extract, input: 'input' }, b: { run: (n: number) => n, after: ['text'] } } });
      // @ts-expect-error: items are objects
      dag('g', { nodes: { text: { run: extract, input: 'input' }, b: { run: (n: number) => n, map: 'text.pages' } } });
      dag('g', {
        nodes: {
          text: { run: extract, input: 'input' },
          // @ts-expect-error: what stands in must take the same
          b: { run: (s: string) => s, input: 'text.body', fallback: (n: number) => n },
        },
      });
      dag('g', {
        input: z.object({ id: z.string() }),
        nodes: {
          a: { run: extract, input: 'input.id' },
          // @ts-expect-error: with this join the result may be missing
          b: { run: (s: string) => s, after: ['a'], join: 'settled', input: 'a.body' },
        },
      });
    };
    expectTypeOf(refused).toBeFunction();
  });

  it('refuses circles', () => {
    const refused = (): void => {
      dag('g', {
        nodes: {
          // @ts-expect-error: a -> c -> b -> a
          a: { run: () => 1, after: ['c'] },
          // @ts-expect-error: and this one
          b: { run: (a: number) => a, input: 'a' },
          // @ts-expect-error: and this one
          c: { run: () => 1, after: ['b'] },
        },
      });
    };
    expectTypeOf(refused).toBeFunction();
  });
});
