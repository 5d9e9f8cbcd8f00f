/**
 * How many webhooks a second one server delivers: `count` events of a topic to a receiver on this machine, from the first
 * delivery to the last, on SQLite with durable commits; beside a loop of `fetch` that posts and signs the same bodies 32 at a
 * time and records nothing. The receiver is a process of its own; rounds are interleaved.
 *
 *   npm run bench -- webhooks-out [rounds=3] [count=3000] [order=none]
 */
import { fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CloudEvent } from '../src/client/index.js';
import { createSpine } from '../src/spine/index.js';
import { sqlite } from '../src/stores/sqlite/index.js';
import { defineApp, topic } from '../src/workflow/index.js';
import { newSecret, sign } from '../src/webhooks/index.js';
import { report, spreadOf } from './support/figures.js';

const options = new Map(process.argv.slice(2).map((arg) => arg.split('=', 2) as [string, string]));
const rounds = Number(options.get('rounds') ?? 3);
const count = Number(options.get('count') ?? 3_000);
const order = options.get('order') === 'key' ? 'key' : 'none';
const atOnce = 32;

const folder = mkdtempSync(join(tmpdir(), 'eventspine-webhooks-'));
const receiver = fork(fileURLToPath(new URL('./support/hook-receiver.ts', import.meta.url)), [], {
  execArgv: ['--import', 'tsx'],
});
const port = await new Promise<number>((resolve) => receiver.once('message', (message) => resolve(Number(message))));
const url = `http://127.0.0.1:${port}/hooks`;
const taken = async (): Promise<number> => Number(await (await fetch(url)).text());
const data = (n: number) => ({ id: `o${n}`, text: 'x'.repeat(170) });

try {
  const delivered: number[] = [];
  const posted: number[] = [];
  for (let round = 0; round < rounds; round++) {
    posted.push(await post());
    delivered.push(await deliver(round));
  }
  report('webhooks-out', {
    count,
    order,
    fetchPerSecond: spreadOf(posted),
    deliveredPerSecond: spreadOf(delivered),
    ratio: spreadOf(
      delivered.map((value, i) => value / (posted[i] ?? Number.NaN)),
      2,
    ),
  });
} finally {
  receiver.kill('SIGTERM');
  rmSync(folder, { recursive: true, force: true });
}

async function post(): Promise<number> {
  const secret = newSecret();
  const beganAtMs = performance.now();
  let next = 0;
  const sender = async (): Promise<void> => {
    while (next < count) {
      const n = next++;
      const body = JSON.stringify({ type: 'order', timestamp: new Date().toISOString(), data: data(n) });
      const response = await fetch(url, {
        method: 'POST',
        body,
        headers: { 'content-type': 'application/json', ...sign.standard({ id: `msg_${n}`, body }, secret) },
      });
      await response.arrayBuffer();
    }
  };
  await Promise.all(Array.from({ length: atOnce }, sender));
  return (count / (performance.now() - beganAtMs)) * 1_000;
}

async function deliver(round: number): Promise<number> {
  const orders = topic('orders', { key: 'id', partitions: 4 });
  const spine = createSpine(defineApp({ topics: [orders] }), {
    store: sqlite({ file: join(folder, `${round}.db`) }),
    server: { port: 0, webhooks: { allowLoopback: true } },
  });
  await spine.listen();
  await spine.webhooks.set('log', { url, topics: ['orders'], order, window: 128 });
  const events = Array.from(
    { length: count },
    (_, n): CloudEvent => ({ specversion: '1.0', id: `e${n}`, source: 'bench', type: 'order', data: data(n) }),
  );
  // Shut until all are there, so that the publisher takes no time from the deliveries.
  await spine.webhooks.disable('log');
  for (let from = 0; from < count; from += 500) await spine.publishMany('orders', events.slice(from, from + 500));
  const before = await taken();
  await spine.webhooks.enable('log');
  const beganAtMs = performance.now();
  while ((await taken()) - before < count) await new Promise((wake) => setTimeout(wake, 20));
  const perSecond = (count / (performance.now() - beganAtMs)) * 1_000;
  await spine.close();
  return perSecond;
}
