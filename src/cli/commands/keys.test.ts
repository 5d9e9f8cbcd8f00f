/** Keys by the command line: the first against a file, the others against the server that lets in with it. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { KeyView, MadeKeyView } from '../../protocol/http.js';
import { commands } from '../commands.js';
import { readEnvironment } from '../environment.js';
import type { Io } from '../io.js';
import { runCli } from '../run-cli.js';

let folder: string;
let ending: AbortController;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'eventspine-keys-'));
  ending = new AbortController();
});
afterEach(() => {
  ending.abort();
  rmSync(folder, { recursive: true, force: true });
});

interface Ran {
  readonly code: number;
  readonly out: string[];
  readonly err: string[];
}

async function cli(typed: string, more: Partial<Io> = {}): Promise<Ran> {
  const out: string[] = [];
  const err: string[] = [];
  const io: Io = {
    out: (line) => void out.push(line),
    err: (line) => void err.push(line),
    terminal: false,
    columns: 80,
    folder,
    environment: readEnvironment({}),
    readInput: () => Promise.resolve(''),
    inputPieces: () => Readable.from([]),
    outHasRoom: () => Promise.resolve(),
    signal: new AbortController().signal,
    ...more,
  };
  return { code: await runCli(typed.split(' '), commands, io), out, err };
}

/** Serves until `ending`; resolves when it listens. */
async function served(flags: string): Promise<{ readonly url: string; readonly ended: Promise<Ran> }> {
  let listening: (url: string) => void;
  const url = new Promise<string>((resolve) => {
    listening = resolve;
  });
  const ended = cli(`serve --port 0 --json ${flags}`, {
    signal: ending.signal,
    out: (line) => {
      const told = JSON.parse(line) as { readonly url?: string };
      if (told.url !== undefined) listening(told.url);
    },
  });
  return { url: await Promise.race([url, ended.then(({ err }) => Promise.reject(new Error(err.join('\n'))))]), ended };
}

const statusOf = async (url: string, token?: string): Promise<number> =>
  (await fetch(`${url}/v1/runs`, token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } })).status;

describe('eventspine keys', () => {
  it('makes the first key of a store, and with it the others of its server', async () => {
    const first = await cli('keys create root --role admin,operator,worker --store spine.db');
    expect([first.code, first.out]).toEqual([0, [expect.stringMatching(/^esk_\w{76}$/)]]);
    expect(first.err.join('\n')).toContain('not shown again');
    const root = first.out[0] ?? '';
    const { url, ended } = await served('--keys --store spine.db');
    expect([await statusOf(url), await statusOf(url, root)]).toEqual([401, 200]);

    const at = `--url ${url} --token ${root}`;
    const made = await cli(`keys create web --allow read:workflow/** --expires 30d --tenant acme --json ${at}`);
    const { key: web, ...view } = JSON.parse(made.out.join('')) as MadeKeyView;
    expect(view).toMatchObject({ tenant: 'acme', permissions: ['read:workflow/**'], createdBy: 'client:key:root' });
    expect(await statusOf(url, web)).toBe(200);

    const listed = await cli(`keys --tenant acme --json ${at}`);
    expect(listed.out.map((line) => (JSON.parse(line) as KeyView).name)).toEqual(['web']);
    expect((await cli(`keys ${at}`)).out.join('\n')).toMatch(/root +active +admin, operator, worker +everything/);
    expect((await cli(`keys show web --tenant acme ${at}`)).out.join('\n')).toContain('read:workflow/**');

    const rotated = await cli(`keys rotate web --overlap 0s --tenant acme ${at}`);
    expect([await statusOf(url, web), await statusOf(url, rotated.out[0])]).toEqual([401, 200]);
    expect((await cli(`keys revoke web --tenant acme ${at}`)).code).toBe(0);
    expect(await statusOf(url, rotated.out[0])).toBe(401);
    expect(await cli(`keys show other ${at}`)).toMatchObject({
      code: 4,
      err: [expect.stringContaining('KEY_NOT_FOUND'), expect.anything()],
    });
    ending.abort();
    expect((await ended).code).toBe(0);
  });

  it('is where a server sends whoever starts it for other machines and lets everybody in', async () => {
    const { code, err } = await cli('serve --host 0.0.0.0 --port 0 --store spine.db');
    expect([code, err.join('\n')]).toEqual([
      2,
      expect.stringMatching(/other machines.*eventspine keys create.*--token.*--access/),
    ]);
    expect(existsSync(join(folder, 'spine.db'))).toBe(false);
  });
});
