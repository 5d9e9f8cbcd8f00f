/** The graph of the examples, and those of its page: run as they stand. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, expect, it } from 'vitest';
import type * as Eventspine from '../../src/spine/index.js';
import type { AnyApp, AnyWorkflow, Spine } from '../../src/spine/index.js';
import { describeUnless } from '../skip.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const built = existsSync(join(root, 'dist/spine/index.js'));
const page = readFileSync(join(root, 'docs/concepts/dag.md'), 'utf8');
const programs = [...page.matchAll(/```ts\n([\s\S]*?)```/g)].map((match) => match[1] ?? '');

describeUnless(built ? null : 'the package is not built (npm run build)', 'the graphs of the documents', () => {
  // Inside of the package, because there its own name resolves.
  const place = join(root, 'dist/.dag');
  afterAll(() => rmSync(place, { recursive: true, force: true }));

  async function load<T>(file: string): Promise<T> {
    return (await import(pathToFileURL(file).href)) as T;
  }

  async function program<T>(n: number): Promise<T> {
    mkdirSync(place, { recursive: true });
    const file = join(place, `program${n}.ts`);
    writeFileSync(file, programs[n] ?? '');
    return load<T>(file);
  }

  async function served(app: AnyApp, use: (spine: Spine<AnyApp>) => Promise<void>): Promise<void> {
    const { createSpine, memory } = await load<typeof Eventspine>(join(root, 'dist/spine/index.js'));
    const spine = createSpine(app, { store: memory() });
    try {
      await use(spine);
    } finally {
      await spine.close();
    }
  }

  it('of the examples embeds each passage and indexes the document', async () => {
    const { app } = await load<{ app: AnyApp }>(join(root, 'examples/graph/spine.ts'));
    await served(app, async (spine) => {
      const { runs } = await spine.publish('document.uploaded', { id: 'd1', text: 'Mirrors age. Domes leak.' });
      expect(await spine.run(runs[0] ?? '').result()).toEqual({
        id: 'd1',
        indexed: 2,
        summary: 'About: Mirrors age.',
      });
      const { edges, graph } = await spine.graph('ingest');
      expect(graph.nodes.map(({ name }) => name)).toEqual(['text', 'embed', 'summary', 'index']);
      expect(edges).toContainEqual({ from: 'text', to: 'embed', needed: true });
      await expect(spine.graph('nothing')).rejects.toMatchObject({ code: 'WORKFLOW_UNKNOWN' });
    });
  });

  it('of the page do what the page says', async () => {
    const { app } = await program<{ app: AnyApp }>(0);
    await served(app, async (spine) => {
      const run = await spine.start('ingest', { id: 'd1', text: 'One. Two. Three.' });
      expect(await run.result()).toEqual({ id: 'd1', indexed: 3 });
    });
    const { review } = await program<{ review: AnyWorkflow }>(1);
    const { defineApp } = await load<typeof Eventspine>(join(root, 'dist/spine/index.js'));
    await served(defineApp({ workflows: [review] }), async (spine) => {
      expect(await (await spine.start('review', 'a long text')).result()).toEqual({ letter: 'well done' });
      expect(await (await spine.start('review', 'short')).result()).toEqual({});
    });
  });
});
