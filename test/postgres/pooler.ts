/** A PgBouncer of a test's own in front of a server, which can be killed and started again on its port. */
import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import type { NoPgbouncer, Pgbouncer } from '../../scripts/pgbouncer.mjs';
import { freePort } from '../support/free-port.js';

export class Pooler {
  readonly url: string;
  readonly #found: Pgbouncer;
  readonly #folder: string;
  #process: ChildProcess | null = null;

  private constructor(found: Pgbouncer, folder: string, url: string) {
    this.#found = found;
    this.#folder = folder;
    this.url = url;
  }

  /** `size` = how many connections it keeps to the server. */
  static async start(
    found: Pgbouncer | NoPgbouncer,
    serverUrl: string,
    mode: 'transaction' | 'session' | 'statement' = 'transaction',
    size = 3,
  ): Promise<Pooler> {
    if (found.program === null) throw new Error(found.reason);
    const server = new URL(serverUrl);
    const url = new URL(server);
    const port = await freePort();
    url.port = String(port);
    url.hostname = '127.0.0.1';
    const folder = mkdtempSync(join(tmpdir(), 'eventspine-pooler-'));
    // It gives up being root before it reads them.
    chmodSync(folder, 0o755);
    writeFileSync(
      join(folder, 'pooler.ini'),
      `[databases]
* = host=${server.hostname} port=${server.port} user=${server.username}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = ${mode}
default_pool_size = ${size}
max_client_conn = 100
server_login_retry = 0.1
ignore_startup_parameters = extra_float_digits
`,
    );
    const pooler = new Pooler(found, folder, url.href);
    await pooler.again();
    return pooler;
  }

  async kill(): Promise<void> {
    const child = this.#process;
    if (child === null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
    this.#process = null;
  }

  /** Starts it; resolves when it answers. */
  async again(): Promise<void> {
    const settings = join(this.#folder, 'pooler.ini');
    this.#process = spawn(this.#found.program, process.getuid?.() === 0 ? ['-u', 'nobody', settings] : [settings], {
      stdio: 'ignore',
      env: { ...process.env, ...this.#found.env },
    });
    await answers(this.url);
  }

  async end(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

async function answers(url: string): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    const client = new pg.Client({ connectionString: url });
    client.on('error', () => undefined);
    try {
      await client.connect();
      await client.query('SELECT 1');
      return;
    } catch (error) {
      if (attempt === 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    } finally {
      await client.end().catch(() => undefined);
    }
  }
}
