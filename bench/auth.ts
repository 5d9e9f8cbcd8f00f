/**
 * What it costs to know who asks: requests/s and time of the processor per request, of starts (with a durable commit) and of reads, with a token, an API key, a key with
 * permissions and a token of an issuer, as ratios to a server that asks nobody. Servers are child processes; the load is
 * `wrk` with 32 connections; rounds are interleaved and the ratio is taken round by round.
 *
 *   npm run bench -- auth [rounds=3] [seconds=2]
 */
import { type ChildProcess, fork, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { report, spreadOf } from './support/figures.js';

const options = new Map(process.argv.slice(2).map((arg) => arg.split('=', 2) as [string, string]));
const rounds = Number(options.get('rounds') ?? 3);
const seconds = Number(options.get('seconds') ?? 2);
const kinds = ['none', 'token', 'key', 'permissions', 'jwt'] as const;
const requests = {
  start: { method: 'POST', path: '/v1/workflows/noop/runs' },
  read: { method: 'GET', path: '/v1/definitions' },
} as const;

interface Told {
  readonly url: string;
  readonly credential: string | null;
  readonly freshMicros: number | null;
}

interface Measured {
  readonly perSecond: number;
  /** Of the server, all its threads together. */
  readonly cpuMicros: number;
}

if (spawnSync('wrk', ['--version'], { stdio: 'ignore' }).error !== undefined) {
  console.error('Left out: wrk is not installed.');
} else {
  const folder = mkdtempSync(join(tmpdir(), 'eventspine-auth-'));
  const children: ChildProcess[] = [];
  try {
    const servers = new Map<string, Told & { readonly child: ChildProcess }>();
    for (const kind of kinds) {
      const child = fork(
        fileURLToPath(new URL('./support/auth-server.ts', import.meta.url)),
        [kind, join(folder, `${kind}.db`)],
        { execArgv: ['--import', 'tsx'] },
      );
      children.push(child);
      servers.set(kind, { ...(await told(child)), child });
    }
    for (const [name, request] of Object.entries(requests)) {
      const figures = new Map<string, Measured[]>(kinds.map((kind) => [kind, []]));
      for (let round = -1; round < rounds; round++) {
        for (const kind of kinds) {
          const server = servers.get(kind);
          if (server === undefined) throw new Error(`There is no server of ${kind}`);
          const figure = await measured(server, request, folder, round < 0 ? 1 : seconds);
          if (round >= 0) figures.get(kind)?.push(figure);
        }
      }
      const none = figures.get('none') ?? [];
      const ratios = (kind: string, of: (figure: Measured) => number): number[] =>
        (figures.get(kind) ?? []).map((figure, i) => of(figure) / of(none[i] ?? figure));
      report(`auth ${name}`, {
        connections: 32,
        nonePerSecond: spreadOf(none.map(({ perSecond }) => perSecond)),
        noneCpuMicros: spreadOf(none.map(({ cpuMicros }) => cpuMicros)),
        ...Object.fromEntries(
          kinds.slice(1).map((kind) => [
            kind,
            {
              perSecondRatio: spreadOf(
                ratios(kind, ({ perSecond }) => perSecond),
                2,
              ),
              cpuRatio: spreadOf(
                ratios(kind, ({ cpuMicros }) => cpuMicros),
                2,
              ),
            },
          ]),
        ),
      });
    }
    report('auth jwt', { freshMicros: Math.round(servers.get('jwt')?.freshMicros ?? Number.NaN) });
  } finally {
    for (const child of children) child.kill('SIGTERM');
    await Promise.all(children.map((child) => new Promise((resolve) => child.once('exit', resolve))));
    rmSync(folder, { recursive: true, force: true });
  }
}

function told(child: ChildProcess): Promise<Told> {
  return new Promise((resolve, reject) => {
    child.once('message', (message) => resolve(message as Told));
    child.once('exit', (code) => reject(new Error(`a server ended with ${code}`)));
  });
}

async function measured(
  { url, credential, child }: Told & { readonly child: ChildProcess },
  { method, path }: { readonly method: string; readonly path: string },
  folder: string,
  forSeconds: number,
): Promise<Measured> {
  const script = join(folder, 'request.lua');
  const lines = [
    `wrk.method = "${method}"`,
    ...(method === 'POST' ? [`wrk.body = '{"id":1}'`, 'wrk.headers["content-type"] = "application/json"'] : []),
    ...(credential === null ? [] : [`wrk.headers["authorization"] = "Bearer ${credential}"`]),
  ];
  writeFileSync(script, lines.join('\n'));
  const before = await cpuOf(child);
  const { stdout } = spawnSync('wrk', ['-t1', '-c32', `-d${forSeconds}s`, '-s', script, url + path], {
    encoding: 'utf8',
  });
  if (/Non-2xx/.test(stdout)) throw new Error(`requests were refused:\n${stdout}`);
  const requests = Number(/(\d+) requests in/.exec(stdout)?.[1] ?? Number.NaN);
  return {
    perSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1] ?? Number.NaN),
    cpuMicros: ((await cpuOf(child)) - before) / requests,
  };
}

function cpuOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve) => {
    child.once('message', (message) => resolve((message as { readonly cpuMicros: number }).cpuMicros));
    child.send('cpu');
  });
}
