/**
 * What it costs to take a signed webhook: requests/s of `POST /v1/webhooks/default/github` with a durable commit before the
 * 202, beside plain JSON published to the same topic of the same server. The load is `wrk` with 64 connections; rounds are
 * interleaved and the ratio is taken round by round. Each request is a delivery of its own, with the id in a header.
 *
 *   npm run bench -- webhooks-in [rounds=3] [seconds=4] [bytes=1000]
 */
import { fork, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sign } from 'eventspine/webhooks';
import { report, spreadOf } from './support/figures.js';

const options = new Map(process.argv.slice(2).map((arg) => arg.split('=', 2) as [string, string]));
const rounds = Number(options.get('rounds') ?? 3);
const seconds = Number(options.get('seconds') ?? 4);
const bytes = Number(options.get('bytes') ?? 1_000);
const secret = 'a secret of the benchmark';

if (spawnSync('wrk', ['--version'], { stdio: 'ignore' }).error !== undefined) {
  console.error('Left out: wrk is not installed.');
} else {
  const folder = mkdtempSync(join(tmpdir(), 'eventspine-webhooks-'));
  const child = fork(
    fileURLToPath(new URL('./support/webhooks-server.ts', import.meta.url)),
    [join(folder, 'spine.db'), secret],
    { execArgv: ['--import', 'tsx'] },
  );
  try {
    const url = await new Promise<string>((resolve, reject) => {
      child.once('message', (message) => resolve(String(message)));
      child.once('exit', (code) => reject(new Error(`the server ended with ${code}`)));
    });
    const plainScript = join(folder, 'plain.lua');
    const signedScript = join(folder, 'signed.lua');
    const body = JSON.stringify({ ref: 'main', text: 'x'.repeat(bytes) });
    const { 'x-hub-signature-256': signature = '' } = sign.github({ id: 'any', body }, secret);
    writeFileSync(plainScript, luaOf(body, 'idempotency-key', {}));
    writeFileSync(
      signedScript,
      luaOf(body, 'x-github-delivery', { 'x-hub-signature-256': signature, 'x-github-event': 'push' }),
    );
    const plainUrl = `${url}/v1/topics/arrived/events`;
    const signedUrl = `${url}/v1/webhooks/default/github`;
    const plain: number[] = [];
    const webhooks: number[] = [];
    const p99: number[] = [];
    run(plainUrl, plainScript, 1);
    run(signedUrl, signedScript, 1);
    for (let round = 0; round < rounds; round++) {
      plain.push(run(plainUrl, plainScript, seconds).perSecond);
      const measured = run(signedUrl, signedScript, seconds);
      webhooks.push(measured.perSecond);
      p99.push(measured.p99Ms);
    }
    report('webhooks-in', {
      connections: 64,
      bodyBytes: Buffer.byteLength(body),
      publishPerSecond: spreadOf(plain),
      webhooksPerSecond: spreadOf(webhooks),
      webhookP99Ms: spreadOf(p99, 1),
      ratio: spreadOf(
        webhooks.map((value, i) => value / (plain[i] ?? Number.NaN)),
        2,
      ),
    });
  } finally {
    child.kill('SIGTERM');
    await new Promise((resolve) => child.once('exit', resolve));
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A script of `wrk` in which each request has an id of its own in a header. */
function luaOf(body: string, idHeader: string, headers: Readonly<Record<string, string>>): string {
  const all = { 'content-type': 'application/json', ...headers };
  return [
    `local body = ${JSON.stringify(body)}`,
    'local count = 0',
    'local seed = tostring(os.time()) .. tostring({}):sub(8)',
    'request = function()',
    '  count = count + 1',
    `  return wrk.format("POST", nil, { ${Object.entries(all)
      .map(([name, value]) => `["${name}"] = ${JSON.stringify(value)}`)
      .join(', ')}, ["${idHeader}"] = seed .. "-" .. count }, body)`,
    'end',
    '',
  ].join('\n');
}

function run(url: string, script: string, forSeconds: number): { readonly perSecond: number; readonly p99Ms: number } {
  const { stdout } = spawnSync('wrk', ['-t1', '-c64', `-d${forSeconds}s`, '--latency', '-s', script, url], {
    encoding: 'utf8',
  });
  if (/Non-2xx/.test(stdout)) throw new Error(`${url} refused requests:\n${stdout}`);
  const perSecond = Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1] ?? Number.NaN);
  const [, value = '', unit = ''] = /99%\s+([\d.]+)(us|ms|s)/.exec(stdout) ?? [];
  return { perSecond, p99Ms: Number(value) * (unit === 's' ? 1000 : unit === 'us' ? 0.001 : 1) };
}
