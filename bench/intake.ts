/**
 * What HTTP intake costs: requests/s of `POST /v1/workflows/noop/runs` with a durable commit before the 202, beside an
 * empty `node:http` server that answers 202 to the same request. Both are child processes on this machine; the load is
 * `wrk` with 64 connections; rounds are interleaved and the ratio is taken round by round.
 *
 *   npm run bench -- intake [rounds=3] [seconds=6]
 */
import { fork, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { report, spreadOf } from './support/figures.js';

const options = new Map(process.argv.slice(2).map((arg) => arg.split('=', 2) as [string, string]));
const rounds = Number(options.get('rounds') ?? 3);
const seconds = Number(options.get('seconds') ?? 6);

if (spawnSync('wrk', ['--version'], { stdio: 'ignore' }).error !== undefined) {
  console.error('Left out: wrk is not installed.');
} else {
  const folder = mkdtempSync(join(tmpdir(), 'eventspine-intake-'));
  try {
    const script = join(folder, 'post.lua');
    const body = JSON.stringify({ id: 1, text: 'x'.repeat(170) });
    writeFileSync(
      script,
      `wrk.method = "POST"\nwrk.body = '${body}'\nwrk.headers["content-type"] = "application/json"\n`,
    );
    const empty: number[] = [];
    const intake: number[] = [];
    const p99: number[] = [];
    for (let round = 0; round < rounds; round++) {
      empty.push((await measure('empty', folder, script)).perSecond);
      const measured = await measure('intake', folder, script);
      intake.push(measured.perSecond);
      p99.push(measured.p99Ms);
    }
    report('intake', {
      connections: 64,
      emptyPerSecond: spreadOf(empty),
      intakePerSecond: spreadOf(intake),
      intakeP99Ms: spreadOf(p99, 1),
      ratio: spreadOf(
        intake.map((value, i) => value / (empty[i] ?? Number.NaN)),
        2,
      ),
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measure(
  kind: 'empty' | 'intake',
  folder: string,
  script: string,
): Promise<{ perSecond: number; p99Ms: number }> {
  const child = fork(
    fileURLToPath(new URL('./support/intake-server.ts', import.meta.url)),
    [kind, join(folder, `${kind}-${Date.now()}.db`)],
    { execArgv: ['--import', 'tsx'] },
  );
  const url = await new Promise<string>((resolve, reject) => {
    child.once('message', (message) => resolve(String(message)));
    child.once('exit', (code) => reject(new Error(`the ${kind} server ended with ${code}`)));
  });
  const target = kind === 'empty' ? url : `${url}/v1/workflows/noop/runs`;
  run(target, script, 1);
  const output = run(target, script, seconds);
  child.kill('SIGTERM');
  await new Promise((resolve) => child.once('exit', resolve));
  if (/Non-2xx/.test(output)) throw new Error(`the ${kind} server refused requests:\n${output}`);
  const perSecond = Number(/Requests\/sec:\s+([\d.]+)/.exec(output)?.[1] ?? Number.NaN);
  const [, value = '', unit = ''] = /99%\s+([\d.]+)(us|ms|s)/.exec(output) ?? [];
  return { perSecond, p99Ms: Number(value) * (unit === 's' ? 1000 : unit === 'us' ? 0.001 : 1) };
}

function run(url: string, script: string, forSeconds: number): string {
  return spawnSync('wrk', ['-t1', '-c64', `-d${forSeconds}s`, '--latency', '-s', script, url], { encoding: 'utf8' })
    .stdout;
}
