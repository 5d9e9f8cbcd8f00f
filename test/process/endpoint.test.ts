/** An endpoint and the server that sends to it, as processes, killed by turns while runs are on their way. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import type { EndpointView, PageView, RunEventView, RunView } from '../../src/protocol/http.js';
import { endAll, eventspine, script, type Child } from './support/processes.js';
import { freePort } from '../support/free-port.js';

const folder = mkdtempSync(join(tmpdir(), 'eventspine-endpoint-'));
afterEach(async () => {
  await endAll();
  rmSync(folder, { recursive: true, force: true });
});

const runs = 12;
const pushSecret = `whsec_${Buffer.alloc(32, 3).toString('base64')}`;

it('endpoint and server are killed, nothing is lost, and no recorded step runs again', async () => {
  const [port, endpointPort] = [await freePort(), await freePort()];
  const url = `http://127.0.0.1:${port}`;
  const file = join(folder, 'executions');
  const json = async <T>(method: string, path: string, body?: unknown): Promise<T> => {
    for (let tries = 0; ; tries++) {
      try {
        const answer = await fetch(url + path, {
          method,
          ...(body === undefined
            ? {}
            : {
                body: JSON.stringify(body),
                headers: { 'content-type': 'application/json', 'idempotency-key': JSON.stringify(body) },
              }),
        });
        return (await answer.json()) as T;
      } catch (error) {
        if (tries > 100) throw error;
        await new Promise((wake) => setTimeout(wake, 50));
      }
    }
  };
  const serve = async (): Promise<Child> => {
    const child = eventspine(
      ['serve', '--store', join(folder, 'spine.db'), '--port', String(port), '--push-loopback', '--json'],
      { EVENTSPINE_PUSH_SECRET: pushSecret },
    );
    await child.line((line) => line.includes('listening'));
    return child;
  };
  let server = await serve();
  const secret = eventspine(['endpoints', 'secret', 'function', '--url', url]);
  const given = await secret.line((line) => line.startsWith('whsec_'));
  const begin = async (): Promise<Child> => {
    const child = script('endpoint.mjs', [String(endpointPort), given, file]);
    await child.line((line) => line === 'ready');
    return child;
  };
  let endpoint = await begin();
  const set = eventspine([
    'endpoints',
    'set',
    'function',
    `http://127.0.0.1:${endpointPort}/x`,
    '--timeout',
    '5s',
    '--url',
    url,
  ]);
  expect(await set.exited, set.errors.join('\n')).toBe(0);

  const ids: string[] = [];
  for (let i = 0; i < runs; i++) ids.push((await json<{ id: string }>('POST', '/v1/workflows/counts/runs', i)).id);
  for (let i = 0; i < 4; i++) {
    await new Promise((wake) => setTimeout(wake, 120));
    if (i % 2 === 0) {
      await endpoint.kill();
      endpoint = await begin();
    } else {
      await server.kill();
      server = await serve();
    }
  }

  for (const [i, id] of ids.entries()) {
    let view = await json<RunView>('GET', `/v1/runs/${id}`);
    for (let tries = 0; tries < 900 && view.state !== 'succeeded' && view.state !== 'failed'; tries++) {
      await new Promise((wake) => setTimeout(wake, 100));
      view = await json<RunView>('GET', `/v1/runs/${id}`);
    }
    expect(view.state, JSON.stringify(view.failure)).toBe('succeeded');
    expect(await json('GET', `/v1/runs/${id}/result`)).toBe((i + 1) * 2 + 1);
  }
  // Executions without a record are those that a kill has cut off from it; none may follow a record.
  const executions = readFileSync(file, 'utf8').trim().split('\n');
  const kills = 4;
  for (const id of ids) {
    const { items } = await json<PageView<RunEventView>>('GET', `/v1/runs/${id}/history?limit=500`);
    expect(items.filter(({ type }) => type === 'step.completed')).toHaveLength(2);
    expect(items.filter(({ type }) => type === 'call.completed')).toHaveLength(1);
    for (const what of ['first', 'double', 'last'])
      expect(executions.filter((line) => line === `${id} ${what}`).length).toBeLessThanOrEqual(1 + kills);
  }
  // What was registered has outlived the kills.
  const { items } = await json<PageView<EndpointView>>('GET', '/v1/endpoints');
  expect(items).toMatchObject([{ app: 'function', state: 'serving' }]);
}, 150_000);
