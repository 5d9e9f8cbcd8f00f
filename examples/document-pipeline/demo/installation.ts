/**
 * Starts what the demo runs on: the server, and two workers that offer different parts of one app. All are started by the
 * command line of the package, with the words that a reader would type.
 */
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Client, createClient } from 'eventspine/client';
import type { App } from '../spine.ts';
import { type Child, Children } from './child-process.ts';
import type { Workspace } from './workspace.ts';

/** What each worker offers: workflows and capabilities of `spine.ts` by name. */
export const workerParts = {
  library: ['ingest', 'extract', 'index', 'search', 'lookup-term'],
  models: ['answer', 'embed', 'calculate', 'date-diff'],
} as const;
export type WorkerName = keyof typeof workerParts;

/** A server with its workers. */
export interface Installation {
  readonly url: string;
  readonly client: Client<App>;
  readonly server: Child;
  /** Starts a worker; resolves when the server knows it. */
  startWorker(name: WorkerName): Promise<Child>;
  stop(): Promise<void>;
}

const cli = fileURLToPath(new URL('../../../dist/cli/main.js', import.meta.url));
const app = fileURLToPath(new URL('../spine.ts', import.meta.url));
const startMsMax = 20_000;
const pollMs = 25;

/** Starts the server and waits until it answers. Rejects with what it last wrote when it ends instead. */
export async function startInstallation(
  workspace: Workspace,
  options: { readonly port: number; readonly modelUrl: string },
): Promise<Installation> {
  const children = new Children(workspace.logs);
  try {
    const port = options.port === 0 ? await freePort() : options.port;
    const url = `http://127.0.0.1:${port}`;
    const server = children.start('server', [cli, 'serve', '--store', workspace.database, '--port', String(port)]);
    await answering(url, server);
    const client = createClient<App>({ url });
    return {
      url,
      client,
      server,
      startWorker: (name) => startWorker(children, workspace, client, url, options.modelUrl, name),
      stop: () => children.stop(),
    };
  } catch (error) {
    await children.stop();
    throw error;
  }
}

async function startWorker(
  children: Children,
  workspace: Workspace,
  client: Client<App>,
  url: string,
  modelUrl: string,
  name: WorkerName,
): Promise<Child> {
  const worker = children.start(name, [cli, 'worker', app, '--url', url, '--only', workerParts[name].join(',')], {
    DEMO_MODEL_URL: modelUrl,
    DEMO_INDEX: workspace.index,
  });
  await until(`worker "${name}"`, worker, async () =>
    (await client.workers()).some(({ pid, connected }) => connected && pid === worker.pid),
  );
  return worker;
}

/** Plain `fetch`: the client would wait and try again by itself, and the demo wants to see the process end. */
async function answering(url: string, server: Child): Promise<void> {
  await until('server', server, async () => {
    const answer = await fetch(`${url}/health/live`).catch(() => null);
    return answer?.ok === true;
  });
}

async function until(what: string, child: Child, isReady: () => Promise<boolean>): Promise<void> {
  const latest = performance.now() + startMsMax;
  while (!(await isReady())) {
    if (child.hasEnded()) throw new Error(`The ${what} ended (${await child.ended}):\n${child.lastLines(15)}`);
    if (performance.now() > latest) {
      throw new Error(`The ${what} is not ready after ${startMsMax / 1_000} s:\n${child.lastLines(15)}`);
    }
    await pause(pollMs);
  }
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}
