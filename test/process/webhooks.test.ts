/**
 * Servers that send webhooks, killed at work, to a receiver that fails in every way: each event arrives at least once or is
 * visible as given up, under one id, signed over the bytes that were sent, and in the order of its key.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Webhook } from 'standardwebhooks';
import { afterEach, expect, it } from 'vitest';
import { createClient, type CloudEvent } from '../../src/client/index.js';
import { freePort } from '../support/free-port.js';
import { endAll, nightly, script, type Child } from './support/processes.js';
import { until } from './support/until.js';

const folder = mkdtempSync(join(tmpdir(), 'eventspine-webhooks-'));
const count = nightly ? 4_000 : 120;
const faults = nightly ? 40 : 2;
const keys = 20;
/** Events that the receiver can never take. */
const isPoison = (n: number): boolean => n % 60 === 59;

let close = (): void => undefined;
afterEach(async () => {
  close();
  await endAll();
  rmSync(folder, { recursive: true, force: true });
});

interface Message {
  readonly id: string;
  readonly data: { readonly key: string; readonly n: number };
}

it('lose no message when they are killed, and say what was given up', {
  timeout: nightly ? 600_000 : 60_000,
}, async () => {
  const faultsSeen: string[] = [];
  let secrets: readonly string[] = [];
  /** By number of the event: the ids that it came under, and how often it was taken. */
  const ids = new Map<number, Set<string>>();
  const taken = new Map<number, number>();
  let requests = 0;

  /** Takes what it is sent, unless it is one of those moments. */
  const answer = (n: number, response: ServerResponse): void => {
    requests += 1;
    if (isPoison(n)) return void response.writeHead(422).end('never');
    if (requests % 7 === 3) return void response.writeHead(500).end();
    if (requests % 11 === 5) return void response.destroy();
    if (requests % 13 === 6) return void response.writeHead(307, { location: '/elsewhere' }).end();
    taken.set(n, (taken.get(n) ?? 0) + 1);
    const earlier = Array.from({ length: n }, (_, i) => i).filter((i) => i % keys === n % keys && !isPoison(i));
    const missing = earlier.filter((i) => !taken.has(i));
    if (missing.length > 0) faultsSeen.push(`event ${n} came before ${missing.join(', ')} of its key`);
    // Taken, and the answer is lost on its way: it comes again.
    if (requests % 17 === 8) response.destroy();
    else response.end();
  };

  const receiver = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      const headers = request.headers as Record<string, string>;
      try {
        const { data } = new Webhook(secrets[0] ?? '').verify(body, headers) as Message;
        const known = ids.get(data.n) ?? new Set();
        ids.set(data.n, known.add(headers['webhook-id'] ?? ''));
        answer(data.n, response);
      } catch (error) {
        faultsSeen.push(`not believed: ${String(error)}`);
        response.writeHead(401).end();
      }
    });
  });
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  close = () => {
    receiver.closeAllConnections();
    receiver.close();
  };
  const { port: receiverPort } = receiver.address() as AddressInfo;

  const port = String(await freePort());
  const serve = async (): Promise<Child> => {
    const child = script('webhook-server.mjs', [join(folder, 'spine.db'), port], {});
    await child.line((line) => line.startsWith('ready'));
    return child;
  };
  let server = await serve();
  const client = createClient({ url: `http://127.0.0.1:${port}` });
  await client.webhooks.set('log', {
    url: `http://127.0.0.1:${receiverPort}/in`,
    topics: ['noted'],
    retry: { attempts: 50, min: '5ms', max: '100ms' },
  });
  ({ secrets } = await client.webhooks.secrets('log'));
  const events = Array.from({ length: count }, (_, n): CloudEvent => {
    const data = { key: `k${n % keys}`, n };
    return { specversion: '1.0', id: `e${n}`, source: 'test', type: 'noted', data };
  });
  await client.publishMany('noted', events);
  for (let step = 1; step <= faults; step++) {
    await until(`fault ${step}`, async () => (taken.size >= ((step - 0.5) * count) / (faults + 1) ? true : null));
    await server.kill();
    server = await serve();
  }
  const wanted = events.filter((_, n) => !isPoison(n)).length;
  await until('all is delivered', async () => (taken.size >= wanted ? true : null), nightly ? 300_000 : 30_000);
  const givenUp = await until('the rest is given up', async () => {
    const found: string[] = [];
    for await (const one of client.webhooks.deliveries('log', { state: 'failed' })) found.push(one.event?.id ?? '');
    return found.length >= count - wanted ? found : null;
  });
  expect(givenUp.sort()).toEqual(events.flatMap(({ id }, n) => (isPoison(n) ? [id] : [])).sort());
  expect(faultsSeen).toEqual([]);
  expect([...ids].filter(([, of]) => of.size !== 1)).toEqual([]);
  const all = [...ids.values()].flatMap((of) => [...of]);
  expect(new Set(all).size).toBe(count);
  const doctor = await client.doctor();
  expect(doctor.checks.filter(({ ok }) => !ok)).toEqual([]);
});
