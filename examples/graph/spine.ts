/**
 * A graph: each uploaded document is read, its passages are embedded side by side, and what came of it is put into an index.
 * Start it with `npx eventspine dev examples/graph/spine.ts`, then
 * `npx eventspine publish document.uploaded '{"id":"d1","text":"Mirrors age. Domes leak."}'`.
 */
import { capability, dag, defineApp, topic } from 'eventspine';
import { z } from 'zod';

export const documentUploaded = topic('document.uploaded', { schema: z.object({ id: z.string(), text: z.string() }) });

const Passages = z.object({ title: z.string(), passages: z.array(z.object({ id: z.string(), text: z.string() })) });

/** A kind of work of its own: another pool of workers could offer it. */
export const embedPassage = capability('embed-passage', { input: z.string(), output: z.array(z.number()) });

export const ingest = dag('ingest', {
  on: documentUploaded,
  nodes: {
    text: {
      input: 'input.text',
      run: (text: string): z.infer<typeof Passages> => {
        const sentences = text.split(/(?<=\.)\s+/);
        return {
          title: sentences[0] ?? '',
          passages: sentences.map((sentence, i) => ({ id: `p${i}`, text: sentence })),
        };
      },
    },
    embed: {
      run: embedPassage,
      map: { over: 'text.passages', key: 'id', concurrency: 8 },
      input: 'item.text',
      retry: { attempts: 5 },
      timeout: '30s',
    },
    summary: {
      run: (text: { title: string }) => `About: ${text.title}`,
      input: 'text',
      when: { path: 'text.passages.1', exists: true },
    },
    index: {
      after: ['embed', 'summary'],
      join: 'settled',
      input: { id: 'input.id', vectors: 'embed', summary: 'summary' },
      run: ({
        id,
        vectors,
        summary = '',
      }: {
        id: string;
        vectors?: readonly number[][] | undefined;
        summary?: string | undefined;
      }) => ({
        id,
        indexed: vectors?.length ?? 0,
        summary,
      }),
    },
  },
  output: 'index',
});

export const app = defineApp({
  name: 'graph',
  topics: [documentUploaded],
  workflows: [ingest],
  handlers: [embedPassage.implement((text) => [text.length, text.split(' ').length])],
});
