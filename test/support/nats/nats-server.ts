/** A NATS server of a test's own, with JetStream, in a folder that goes with it. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NatsFound } from '../../../scripts/nats.mjs';
import { freePort } from '../free-port.js';

export class NatsServer {
  readonly port: number;
  readonly #process: ChildProcess;
  readonly #folder: string;

  private constructor(port: number, child: ChildProcess, folder: string) {
    this.port = port;
    this.#process = child;
    this.#folder = folder;
  }

  static async start({ program, env }: NatsFound): Promise<NatsServer> {
    const folder = mkdtempSync(join(tmpdir(), 'eventspine-nats-'));
    const port = await freePort();
    const child = spawn(program, ['-a', '127.0.0.1', '-p', String(port), '-js', '-sd', folder], {
      env: { ...process.env, ...env },
      stdio: 'ignore',
    });
    const server = new NatsServer(port, child, folder);
    for (let tries = 0; tries < 200; tries++) {
      if (await isThere(port)) return server;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    await server.stop();
    throw new Error('The NATS server did not begin to listen.');
  }

  async stop(): Promise<void> {
    const gone = new Promise<void>((resolve) => this.#process.once('exit', () => resolve()));
    if (this.#process.exitCode === null && this.#process.kill('SIGKILL')) await gone;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function isThere(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('error', () => resolve(false));
    socket.once('data', () => {
      socket.destroy();
      resolve(true);
    });
  });
}
