/**
 * A PostgreSQL server of a test's own, to be killed, frozen, cut off, filled up and promoted. Its files are in a folder of
 * the test, which may be a file system of its own; it may live in a network namespace and under a clock that is wrong.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { postgresPrograms, type PostgresPrograms } from '../../../scripts/postgres.mjs';
import { freePort } from '../../support/free-port.js';

export interface DatabaseOptions {
  /** Holds the log, and the data unless `data` says otherwise. */
  readonly folder: string;
  /** Folder of the data. Default: `data` in `folder`. */
  readonly data?: string;
  /** Another folder that is to belong to the user of the server: the one that `data` is made in. */
  readonly owns?: string;
  readonly settings?: Readonly<Record<string, string>>;
  /** Added to the environment of the server. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Address to listen on. Default 127.0.0.1. */
  readonly host?: string;
  /** Network namespace to live in. */
  readonly namespace?: string;
}

/** What is missing for a server of one's own; null = nothing. */
export function databaseMissing(): string | null {
  const programs = findPrograms();
  return programs.bin === null ? programs.reason : null;
}

const host = '127.0.0.1';

export class Database {
  readonly port: number;
  readonly url: string;
  readonly source: string;
  readonly data: string;
  settings: Readonly<Record<string, string>>;
  readonly #programs: PostgresPrograms;
  readonly #options: DatabaseOptions;
  #process: ChildProcess | null = null;
  #ended: Promise<unknown> = Promise.resolve();

  private constructor(options: DatabaseOptions, programs: PostgresPrograms, port: number) {
    this.#options = options;
    this.#programs = programs;
    this.port = port;
    this.url = `postgres://postgres@${options.host ?? host}:${port}/postgres`;
    this.source = programs.source;
    this.data = options.data ?? join(options.folder, 'data');
    this.settings = options.settings ?? {};
  }

  /** Makes the files and starts nothing. */
  static async make(options: DatabaseOptions): Promise<Database> {
    const programs = programsIn(options.folder);
    if (options.owns !== undefined) own(options.owns, programs);
    const database = new Database(options, programs, await freePort());
    const made = spawnSync(
      join(programs.bin, 'initdb'),
      [
        '-D',
        database.data,
        '-U',
        'postgres',
        '-A',
        'trust',
        '--no-sync',
        '--locale=C',
        '-E',
        'UTF8',
        '--wal-segsize=4',
      ],
      { ...programs.as, cwd: options.folder, env: programs.env, encoding: 'utf8' },
    );
    if (made.status !== 0) throw new Error(`initdb: ${made.stderr}`);
    // Others than the loopback are let in where the network is made for the test.
    if (options.host !== undefined)
      appendFileSync(join(database.data, 'pg_hba.conf'), `host all all ${options.host}/24 trust\n`);
    return database;
  }

  /** A standby made of a cold copy of this server's files, which follows it once both are started. */
  async standby(folder: string): Promise<Database> {
    const programs = programsIn(folder);
    const made = new Database({ folder }, programs, await freePort());
    cpSync(this.data, made.data, { recursive: true, verbatimSymlinks: true });
    own(made.data, programs);
    chmodSync(made.data, 0o700);
    rmSync(join(made.data, 'postmaster.pid'), { force: true });
    appendFileSync(join(made.data, 'standby.signal'), '');
    // In the file, so that it can be changed while the server runs.
    appendFileSync(
      join(made.data, 'postgresql.auto.conf'),
      `primary_conninfo = 'host=${host} port=${this.port} user=postgres application_name=standby'\n`,
    );
    made.settings = { ...this.settings, synchronous_standby_names: '', wal_retrieve_retry_interval: '200ms' };
    return made;
  }

  get pid(): number {
    if (this.#process?.pid === undefined) throw new Error('the database does not run');
    return this.#process.pid;
  }

  get isRunning(): boolean {
    return this.#process !== null && this.#process.exitCode === null && this.#process.signalCode === null;
  }

  /** Resolves when it answers; starts it again and again until then, as whoever looks after it would. */
  async start(ms = 60_000): Promise<void> {
    const until = performance.now() + ms;
    for (;;) {
      const child = this.#spawn();
      let over = false;
      child.once('exit', () => (over = true));
      while (!over) {
        if (await answers(this.url)) return;
        if (performance.now() > until) throw new Error(`the database does not start: ${this.#logTail()}`);
        await new Promise((wake) => setTimeout(wake, 30));
      }
      if (performance.now() > until) throw new Error(`the database does not start: ${this.#logTail()}`);
      await new Promise((wake) => setTimeout(wake, 100));
    }
  }

  /** Ends it in good order (`fast`) or as after a crash (`immediate`). */
  async stop(how: 'fast' | 'immediate' = 'fast'): Promise<void> {
    this.#process?.kill(how === 'fast' ? 'SIGINT' : 'SIGQUIT');
    await this.#ended;
  }

  /** Kills the postmaster and nobody else; its children find out by themselves. */
  async killPostmaster(): Promise<void> {
    this.#process?.kill('SIGKILL');
    await this.#ended;
  }

  /** Kills every process of it at once. */
  async killAll(): Promise<void> {
    const all = this.processes();
    for (const pid of all) signal(pid, 'SIGKILL');
    await this.#ended;
    while (all.some((pid) => existsSync(`/proc/${pid}`) && stateOf(pid) !== 'Z'))
      await new Promise((wake) => setTimeout(wake, 5));
  }

  /** Stops every thread of every process and returns when all stand still. */
  async freeze(): Promise<void> {
    // First the one that makes others.
    for (let stopped = new Set<number>(); ; ) {
      const all = this.processes();
      for (const pid of all) signal(pid, 'SIGSTOP');
      if (all.every((pid) => stopped.has(pid) && stateOf(pid) === 'T')) return;
      stopped = new Set(all);
      await new Promise((wake) => setTimeout(wake, 1));
    }
  }

  thaw(): void {
    for (const pid of this.processes()) signal(pid, 'SIGCONT');
  }

  /** The postmaster and what descends from it. */
  processes(): number[] {
    const found = [this.pid];
    for (const name of readdirSync('/proc')) {
      if (!/^\d+$/.test(name)) continue;
      try {
        const parent = Number(/\) \S (\d+)/.exec(readFileSync(`/proc/${name}/stat`, 'utf8'))?.[1]);
        if (parent === this.pid) found.push(Number(name));
      } catch {
        // It has ended meanwhile.
      }
    }
    return found;
  }

  /** Copies its files elsewhere. It must not run. */
  keepFiles(folder: string): void {
    cpSync(this.data, folder, { recursive: true, verbatimSymlinks: true });
  }

  /** Files that were kept take the place of what it has. It must not run. */
  putBackFiles(folder: string): void {
    rmSync(this.data, { recursive: true });
    cpSync(folder, this.data, { recursive: true, verbatimSymlinks: true });
    own(this.data, this.#programs);
    chmodSync(this.data, 0o700);
  }

  /** After a power cut: what the dead server has left behind to say that it lives. */
  forgetPid(): void {
    rmSync(join(this.data, 'postmaster.pid'), { force: true });
  }

  async sql(text: string): Promise<readonly Record<string, unknown>[]> {
    const client = new pg.Client({ connectionString: this.url, connectionTimeoutMillis: 3_000, query_timeout: 10_000 });
    client.on('error', () => undefined);
    try {
      await client.connect();
      return (await client.query(text)).rows as Record<string, unknown>[];
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  /** Ends connections of servers under test. Returns how many. */
  async terminateBackends(share = 1): Promise<number> {
    const rows = await this.sql(
      `SELECT pg_terminate_backend(pid) AS done FROM pg_stat_activity
       WHERE application_name = 'eventspine' AND random() < ${share}`,
    );
    return rows.filter(({ done }) => done === true).length;
  }

  async end(): Promise<void> {
    if (this.isRunning) {
      this.thaw();
      await this.killAll();
    }
  }

  #spawn(): ChildProcess {
    const { environment = {}, namespace } = this.#options;
    const { as, bin, env } = this.#programs;
    const settings = {
      listen_addresses: this.#options.host ?? host,
      unix_socket_directories: '',
      fsync: 'on',
      max_connections: '120',
      shared_buffers: '64MB',
      max_wal_size: '512MB',
      log_min_messages: 'warning',
      ...this.settings,
    };
    const args = ['-D', this.data, '-p', String(this.port)];
    for (const [name, value] of Object.entries(settings)) args.push('-c', `${name}=${value}`);
    const program = join(bin, 'postgres');
    const log = openSync(join(this.#options.folder, 'log'), 'a');
    const options = { cwd: this.#options.folder, env: { ...env, ...environment } };
    const child =
      namespace === undefined
        ? spawn(program, args, { ...options, ...as, stdio: ['ignore', log, log] })
        : // Only root enters a namespace; what runs there does not run as root. Each of these becomes the next one.
          spawn('ip', ['netns', 'exec', namespace, ...becoming(as), program, ...args], {
            ...options,
            stdio: ['ignore', log, log],
          });
    child.on('error', () => undefined);
    this.#process = child;
    // A test that is ended half-way leaves no server behind.
    const atExit = (): void => void child.kill('SIGQUIT');
    process.once('exit', atExit);
    this.#ended = new Promise<void>((resolve) => {
      child.once('exit', () => {
        process.off('exit', atExit);
        resolve();
      });
    });
    return child;
  }

  #logTail(): string {
    return readFileSync(join(this.#options.folder, 'log'), 'utf8').split('\n').slice(-8).join('\n');
  }
}

/** One copy for all servers of this process; gone when it ends. */
let found: ReturnType<typeof postgresPrograms> | null = null;

function findPrograms(): ReturnType<typeof postgresPrograms> {
  if (found !== null) return found;
  const folder = mkdtempSync(join(tmpdir(), 'eventspine-programs-'));
  chmodSync(folder, 0o755);
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  found = postgresPrograms(folder);
  return found;
}

/** The programs, and the folder made and given to the user whom they run as. */
function programsIn(folder: string): PostgresPrograms {
  const programs = findPrograms();
  if (programs.bin === null) throw new Error(programs.reason);
  mkdirSync(folder, { recursive: true });
  own(folder, programs);
  return programs;
}

function own(folder: string, { as }: PostgresPrograms): void {
  if (as.uid === undefined || as.gid === undefined) return;
  spawnSync('chown', ['-R', `${as.uid}:${as.gid}`, folder]);
}

function becoming(as: PostgresPrograms['as']): string[] {
  if (as.uid === undefined) return [];
  return ['setpriv', `--reuid=${as.uid}`, `--regid=${String(as.gid)}`, '--clear-groups'];
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 1_000, query_timeout: 2_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('SELECT 1');
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended meanwhile.
  }
}

function stateOf(pid: number): string | null {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '')[0] ?? null;
  } catch {
    return 'T';
  }
}
