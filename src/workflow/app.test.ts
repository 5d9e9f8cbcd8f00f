import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { hasCode } from '../core/errors.js';
import type { StandardSchema } from '../core/standard-schema.js';
import { defineApp, findHandler, findWorkflow, isApp, versionsOf } from './app.js';
import { capability } from './capability.js';
import { manifestHash } from './manifest-of.js';
import { topic } from './topic.js';
import { workflow } from './workflow.js';

const Doc = z.object({ id: z.string(), meta: z.object({ tenant: z.string() }) });
const uploaded = topic('document.uploaded', { schema: Doc, key: 'meta.tenant', partitions: 4 });
const done = topic('done');
const parse = capability('parse', { input: Doc, output: z.number(), timeout: '30s', retry: { attempts: 2 } });
const embed = capability('embed', { effect: 'pure' });
const body = async (): Promise<number> => 1;

function faultsOf(make: () => unknown): readonly string[] {
  try {
    make();
  } catch (error) {
    if (hasCode(error, 'OPTIONS_INVALID')) return error.detail.faults;
    throw error;
  }
  return [];
}

/** As a user of plain JavaScript may call it. */
type Untyped = (...given: unknown[]) => unknown;

describe('the manifest of an app', () => {
  const app = defineApp({
    name: 'docs',
    workflows: [
      workflow('ingest', { on: uploaded, completes: done, retain: '30d', timeout: '1h', priority: 5 }, body),
      workflow('answer', { input: Doc, version: '2', previous: [workflow('answer', { version: '1' }, body)] }, body),
    ],
    handlers: [parse.implement(() => 1)],
    capabilities: [embed],
  });

  it('describes all definitions as data, sorted by name', () => {
    const { manifest } = app;
    expect(manifest.topics.map((t) => t.name)).toEqual(['document.uploaded', 'done']);
    expect(manifest.workflows.map((w) => [w.name, w.version, w.previous, w.on, w.completes])).toEqual([
      ['answer', '2', ['1'], null, null],
      ['ingest', null, [], 'document.uploaded', 'done'],
    ]);
    expect(manifest.workflows[1]).toMatchObject({ retainMs: 2_592_000_000, timeoutMs: 3_600_000, priority: 5 });
    expect(manifest.capabilities.map((c) => [c.name, c.implemented, c.effect, c.deadlineMs, c.retry.attempts])).toEqual(
      [
        ['embed', false, 'pure', 300_000, 4],
        ['parse', true, 'idempotent', 30_000, 2],
      ],
    );
    expect(manifest.topics[0]).toMatchObject({ key: 'meta.tenant', partitions: 4, schema: { type: 'object' } });
    expect(manifest.workflows[1]?.input).toMatchObject({ required: ['id', 'meta'] });
    expect(JSON.parse(JSON.stringify(manifest))).toEqual(manifest);
  });

  it('is made once, on first use', () => {
    let described = 0;
    const schema: StandardSchema = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: (value) => ({ value }),
        jsonSchema: { input: () => ({ n: ++described }), output: () => ({}) },
      },
    };
    const lazy = defineApp({ workflows: [workflow('w', { input: schema }, body)] });
    expect(described).toBe(0);
    expect(lazy.manifest).toBe(lazy.manifest);
    expect(described).toBe(1);
  });

  it('has the same hash whatever the order of declaration', () => {
    const hash = {
      sha256: (...parts: readonly (string | Uint8Array)[]) =>
        createHash('sha256').update(String(parts[0])).digest('hex'),
    };
    const a = workflow('a', {}, body);
    const b = workflow('b', {}, body);
    const one = manifestHash(defineApp({ workflows: [a, b] }).manifest, hash);
    expect(one).toBe(manifestHash(defineApp({ workflows: [b, a] }).manifest, hash));
    expect(one).not.toBe(manifestHash(defineApp({ workflows: [a] }).manifest, hash));
  });

  it('leaves to the worker what a schema cannot say of itself', () => {
    const dated = defineApp({ workflows: [workflow('w', { input: z.object({ at: z.date() }) }, body)] });
    expect(dated.manifest.workflows[0]?.input).toBeNull();
  });

  it('lets workers find definitions by name and version', () => {
    expect(findWorkflow(app, 'answer', '2')?.version).toBe('2');
    expect(findWorkflow(app, 'ingest', null)?.name).toBe('ingest');
    // A version says that the code is not compatible with what came before.
    expect(findWorkflow(app, 'answer', null)).toBeUndefined();
    expect(findWorkflow(app, 'answer', '1')?.version).toBe('1');
    expect(findWorkflow(app, 'answer', '0')).toBeUndefined();
    expect(versionsOf(app, 'answer')).toEqual(['2', '1']);
    expect(versionsOf(app, 'nothing')).toBeUndefined();
    expect(findHandler(app, 'parse')?.capability.name).toBe('parse');
    expect(findHandler(app, 'embed')).toBeUndefined();
    expect([isApp(app), isApp({ kind: 'app' }), isApp(null)]).toEqual([true, false, false]);
  });
});

describe('options', () => {
  it('are checked all at once, misspelt names with a suggestion', () => {
    expect(
      faultsOf(() =>
        (workflow as Untyped)(
          'bad name!',
          { retrain: '3d', timeout: 'soon', retry: { attempt: 3, factor: 0 }, priority: 1.5 },
          7,
        ),
      ),
    ).toEqual([
      'the name may hold letters, digits, ".", "-" and "_" and must begin with a letter or digit',
      '"retrain" is not an option; did you mean "retain"?',
      'the body must be a function',
      'priority must be an integer from 0 to 9',
      'timeout is not a duration of at least 1 ms, such as "30s" or "2d"',
      '"attempt" is not an option; did you mean "attempts"?',
      'retry.factor must be from 1 to 100',
    ]);
  });

  it('of capabilities and topics are checked too', () => {
    expect(
      faultsOf(() => (capability as Untyped)('c', { effect: 'externl', input: {}, timeout: '9m', deadline: '1m' })),
    ).toEqual([
      'input is not a Standard Schema (zod, valibot, arktype ...)',
      'effect must be one of pure, idempotent, external; did you mean "external"?',
      'timeout is longer than deadline',
    ]);
    expect(faultsOf(() => topic('', { partitions: 0 }))).toEqual([
      'the name must be a non-empty text',
      'partitions must be an integer from 1 to 1024',
    ]);
  });

  it('of versions must make sense together', () => {
    const one = workflow('w', { version: '1' }, body);
    expect(faultsOf(() => workflow('w', { previous: [one] }, body))).toEqual([
      'previous needs a version of its own beside it',
    ]);
    expect(
      faultsOf(() =>
        workflow(
          'w',
          {
            version: '1',
            previous: [one, workflow('x', { version: '0' }, body), workflow('w', {}, body), workflow('w', {}, body)],
          },
          body,
        ),
      ),
    ).toEqual([
      'version "1" is there twice',
      'previous holds "x", which is another workflow',
      'version (none) is there twice',
    ]);
  });

  it('of versions may hold runs from before there were any, and those that earlier ones hold', () => {
    const none = workflow('w', {}, body);
    const one = workflow('w', { version: '1', previous: [none] }, body);
    const app = defineApp({ workflows: [workflow('w', { version: '2', previous: [one, none] }, body)] });
    expect(versionsOf(app, 'w')).toEqual(['2', '1', null]);
    expect(findWorkflow(app, 'w', null)).toBe(none);
    expect(app.manifest.workflows[0]?.previous).toEqual(['1', null]);
  });

  it('of an app name what is there twice, in the wrong list, or selects nothing', () => {
    const twice = workflow('w', {}, body);
    expect(
      faultsOf(() =>
        (defineApp as Untyped)({
          workflow: [],
          workflows: [twice, twice, null],
          handlers: [parse, parse.implement(() => 1), parse.implement(() => 2)],
          topics: [
            topic('t', { schema: z.object({ ident: z.string() }), key: 'ident' }),
            topic('t'),
            topic('u', { schema: Doc, key: 'meta' as 'id' }),
          ],
        }),
      ),
    ).toEqual([
      '"workflow" is not an option; did you mean "workflows"?',
      'workflows[2] is not a workflow',
      'handlers[0] is not a handler; put it into capabilities, or implement() it',
      'topic "t" is defined twice with different content',
      'workflow "w" is there twice',
      'handler of capability "parse" is there twice',
      'key of topic "u": "meta" is an object; select a text or a number',
    ]);
  });
});
