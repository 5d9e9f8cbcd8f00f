import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { commands } from '../commands.js';
import { readEnvironment } from '../environment.js';
import { runCli } from '../run-cli.js';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'eventspine-schemas-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function cli(...typed: readonly string[]): Promise<{ readonly code: number; readonly out: string[] }> {
  const out: string[] = [];
  const note = (line: string): void => void out.push(line);
  const code = await runCli(typed, commands, {
    out: note,
    err: note,
    terminal: false,
    columns: 80,
    folder,
    environment: readEnvironment({}),
    readInput: () => Promise.resolve(''),
    inputPieces: () => Readable.from([]),
    outHasRoom: () => Promise.resolve(),
    signal: new AbortController().signal,
  });
  return { code, out };
}

const write = (name: string, value: unknown): Promise<void> =>
  writeFile(join(folder, name), typeof value === 'string' ? value : JSON.stringify(value));

const object = (required: readonly string[]): unknown => ({
  type: 'object',
  properties: { id: { type: 'string' }, total: { type: 'number' } },
  required,
});

const topic = (...schemas: readonly unknown[]): unknown => ({
  name: 'orders',
  schema: schemas.at(-1),
  key: 'id',
  partitions: 1,
  unknown: 'refuse',
  versions: schemas.map((schema, i) => ({ version: i + 1, schema, up: false })),
});

describe('asyncapi', () => {
  it('describes the topics of an app without a server', async () => {
    const manifest = { app: 'shop', workflows: [], topics: [topic(object(['id']))] };
    await write('app.mjs', `export default { kind: 'app', workflows: [], manifest: ${JSON.stringify(manifest)} };`);
    const { code, out } = await cli('asyncapi', 'app.mjs', '--json');
    const document: unknown = JSON.parse(out.join(''));
    expect(code).toBe(0);
    expect(document).toMatchObject({
      asyncapi: '3.1.0',
      info: { title: 'shop' },
      channels: { orders: { title: 'orders' } },
    });
  });
});

describe('check --schemas', () => {
  it('holds an app against what was printed of another build', async () => {
    const source = (topics: unknown): string =>
      `export const app = { kind: 'app', name: 'shop', workflows: [], manifest: { app: 'shop', topics: ${JSON.stringify(topics)} } };`;
    await write('old.mjs', source([topic(object(['id']))]));
    await write('good.mjs', source([topic(object(['id']), object([]))]));
    await write('bad.mjs', source([topic(object(['id', 'total']))]));
    const printed = await cli('schemas', 'old.mjs');
    expect(printed.code).toBe(0);
    await write('old.json', printed.out.join('\n'));
    expect(await cli('check', '--schemas', 'old.json', 'good.mjs')).toEqual({
      code: 0,
      out: ['Looked at 1 topics: compatible.'],
    });
    const bad = await cli('check', '--schemas', 'old.json', 'bad.mjs');
    expect(bad).toEqual({
      code: 1,
      out: [
        'topic "orders": version 1 is registered with another schema; a change is a new version',
        'Looked at 1 topics: 1 faults.',
      ],
    });
    const forward = await cli('check', '--schemas', 'old.json', '--compatibility', 'full', 'good.mjs', '--json');
    expect([forward.code, JSON.parse(forward.out[0] ?? '')]).toEqual([
      1,
      {
        topic: 'orders',
        faults: [expect.stringContaining('id is required in version 1, and may be missing in version 2')],
      },
    ]);
  });

  it('holds one JSON Schema against another', async () => {
    await write('old.json', object(['id']));
    await write('new.json', object(['id', 'total']));
    const { code, out } = await cli('check', '--schemas', 'old.json', 'new.json');
    expect([code, out[0]]).toEqual([
      1,
      'topic "schema": the new schema cannot be shown to read what the registered schema wrote: total is required in the new schema, and may be missing in the registered schema',
    ]);
    expect((await cli('check', '--schemas', 'new.json', 'old.json')).code).toBe(0);
  });

  it('complains of what it cannot read', async () => {
    await write('list.json', '1');
    expect((await cli('check', '--schemas', 'none.json', 'list.json')).code).toBe(2);
    await write('old.json', object([]));
    expect((await cli('check', '--schemas', 'old.json', 'list.json')).code).toBe(2);
    expect((await cli('check', '--schemas', 'old.json', 'old.json', '--compatibility', 'up')).code).toBe(2);
  });
});
