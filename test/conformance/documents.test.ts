/** The documents that servers make of themselves and of apps, judged by the parsers of their specifications. */
import { beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { documentParsers } from '../../scripts/document-parsers.mjs';
import { asyncApiDocument } from '../../src/protocol/asyncapi.js';
import type { Manifest } from '../../src/core/manifest.js';
import { openApiDocument } from '../../src/protocol/openapi.js';
import { defineApp, subscription, topic, workflow } from '../../src/workflow/index.js';
import { describeUnless } from '../skip.js';

interface Diagnostic {
  readonly severity: number;
  readonly message: string;
  readonly path: readonly (string | number)[];
}
interface AsyncApiParser {
  parse(text: string): Promise<{ readonly document?: object; readonly diagnostics: readonly Diagnostic[] }>;
}
interface OpenApiParser {
  validate(document: object): Promise<object>;
}

const found = documentParsers();

const id = z.string();
const versioned = topic('order.placed', {
  versions: {
    1: z.object({ id, lines: z.tuple([z.string(), z.number()]) }),
    2: { schema: z.object({ id, kind: z.enum(['a', 'b']) }), up: ({ id: old }) => ({ id: old, kind: 'a' as const }) },
  },
  key: 'id',
  partitions: 4,
});
const tree = z.object({
  name: z.string(),
  get children() {
    return z.array(tree);
  },
});
const told = topic('told', { schema: z.union([tree, z.null()]) });
const odd = { ...topic('odd'), name: 'odd name/ü~{x}' };
const place = workflow('place', { on: versioned, completes: told }, async () => Promise.resolve(null));
const look = workflow('look', { input: z.unknown() }, async () => Promise.resolve(null));
const app = defineApp({
  name: 'shop',
  workflows: [place, look],
  topics: [odd],
  subscriptions: [subscription('looks', { topic: told, start: look })],
});
const bare: Manifest = { format: 1, app: 'bare', topics: [], workflows: [], capabilities: [] };

describeUnless(found.asyncApi === null ? found.reason : null, 'documents in the eyes of their parsers', () => {
  let asyncApi: AsyncApiParser;
  let openApi: OpenApiParser;
  beforeAll(async () => {
    if (found.asyncApi === null) return;
    const parsers = (await import(found.asyncApi)) as { readonly Parser: new () => AsyncApiParser };
    asyncApi = new parsers.Parser();
    const { default: parser } = (await import(found.openApi)) as { readonly default: OpenApiParser };
    openApi = parser;
  }, 60_000);

  const judge = async (document: object): Promise<string[]> => {
    const { diagnostics } = await asyncApi.parse(JSON.stringify(document));
    const errors = diagnostics.filter(({ severity }) => severity === 0);
    return errors.map(({ path, message }) => `${path.join('.')}: ${message}`);
  };

  it.each([
    ['an app with topics of all kinds', [app.manifest]],
    ['an app without topics', [bare]],
  ])('has no fault to find in the AsyncAPI document of %s', async (_, manifests) => {
    const server = { protocol: 'https', host: 'spine.example.com' };
    expect(await judge(asyncApiDocument(manifests, { version: '1.2.3', basePath: '', server }))).toEqual([]);
  });

  it('finds faults where there are some', async () => {
    const document = asyncApiDocument([app.manifest], { version: '1.2.3', basePath: '' });
    expect(await judge({ ...document, channels: { told: {} } })).not.toEqual([]);
    await expect(openApi.validate({ openapi: '3.1.0', info: {}, paths: {} })).rejects.toThrow();
  });

  it('has no fault to find in the OpenAPI document', async () => {
    await openApi.validate(structuredClone(openApiDocument({ version: '1.2.3', basePath: '/spine' })));
  });
});
