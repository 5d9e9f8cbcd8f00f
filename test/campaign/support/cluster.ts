/**
 * Servers and workers in processes of their own over one database: started, killed, frozen, restarted, each singly.
 * Invariant: what is killed is started again, on the same address, so that a cluster is whole whenever nobody harms it.
 */
import { mkdtempSync, readFileSync, existsSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../support/free-port.js';
import { Child } from '../../process/support/processes.js';
import { awakeningMs, type Execution, type Standstill } from './evidence.js';

export interface ClusterOptions {
  /** URL of the database, as the servers go to it. */
  readonly database: string;
  /** As one server goes to it, where they do not go the same way. */
  readonly databaseOf?: (server: number) => string;
  readonly servers?: number;
  readonly workers?: number;
  /** The app of the workers, as a file of this folder. Default: `app.mjs`. */
  readonly app?: string;
  /** Where each process lives: its network namespace and address, its environment. Asked again for each life. */
  readonly place?: (kind: 'server' | 'worker', index: number) => Place;
}

export interface Place {
  readonly namespace?: string;
  readonly host?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

export type Kind = 'server' | 'worker';

/** One process that is started again whenever it ends by our hand. */
class Member {
  child: Child;
  /** How often it has ended by itself because its store had lost something. */
  failures = 0;
  /** What it said when it had ended by itself for no reason that it may have. */
  readonly deaths: string[] = [];
  readonly #start: () => Child;

  constructor(start: () => Child) {
    this.#start = start;
    this.child = this.#watched();
  }

  again(): void {
    this.child = this.#watched();
  }

  /** Whoever looks after a process starts it again when it has ended; only that of a store that has failed is in order. */
  #watched(): Child {
    const child = this.#start();
    void child.exited.then((code) => {
      // By a signal, or in good order: that was us.
      if (code === null || code === 0 || this.child !== child) return;
      if (code === storeFailed) this.failures += 1;
      else this.deaths.push(`ended with ${code}: ${child.errors.slice(-deathLinesMax).join('\n')}`);
      this.again();
    });
    return child;
  }
}

const lastWordsMax = 12;
const deathLinesMax = 80;

/** Exit code of a server under test. */
const storeFailed = 3;

export class Cluster {
  readonly folder = mkdtempSync(join(tmpdir(), 'eventspine-campaign-'));
  readonly urls: readonly string[];
  readonly standstills: Standstill[] = [];
  readonly #servers: Member[];
  readonly #workers: Member[];

  private constructor(options: ClusterOptions, addresses: readonly { readonly host: string; readonly port: number }[]) {
    const { place = nowhereSpecial, database, databaseOf = () => database, app } = options;
    this.urls = addresses.map(({ host, port }) => `http://${host}:${port}`);
    this.#servers = addresses.map(
      ({ host, port }, i) =>
        new Member(() => launch('server.mjs', [databaseOf(i), host, String(port)], place('server', i))),
    );
    this.#workers = Array.from({ length: options.workers ?? 2 }, (_, i) => {
      // Each has another order of preference, or all would be at one server.
      const urls = this.urls.map((_url, k) => this.urls[(i + k) % this.urls.length] ?? '');
      return new Member(() => {
        const at = place('worker', i);
        const environment = {
          ...at.environment,
          EXECUTIONS: this.#executionsFile,
          ...(app === undefined ? {} : { APP: `./${app}` }),
        };
        return launch('worker.mjs', urls, { ...at, environment });
      });
    });
  }

  static async begin(options: ClusterOptions): Promise<Cluster> {
    const addresses: { host: string; port: number }[] = [];
    for (let i = 0; i < (options.servers ?? 2); i++)
      addresses.push({ host: options.place?.('server', i).host ?? '127.0.0.1', port: await freePort() });
    const made = new Cluster(options, addresses);
    await made.whole();
    return made;
  }

  /** Resolves when every server listens and every worker has met one of them. */
  async whole(ms = 60_000): Promise<void> {
    await Promise.all([
      ...this.#servers.map(({ child }) => child.line((line) => line.startsWith('ready'), ms)),
      ...this.#workers.map(({ child }) => child.line((line) => line === 'connected', ms)),
    ]);
  }

  count(kind: Kind): number {
    return this.#members(kind).length;
  }

  pid(kind: Kind, index: number): number {
    return this.#member(kind, index).child.pid;
  }

  /** How often servers have ended because their store had lost something. */
  get storeFailures(): number {
    return this.#servers.reduce((sum, { failures }) => sum + failures, 0);
  }

  /** What those said that have ended by themselves for no reason that they may have. */
  get deaths(): readonly string[] {
    return [...this.#servers, ...this.#workers].flatMap(({ deaths }) => deaths);
  }

  /** What it has said of itself in its present life. */
  log(kind: Kind, index: number): readonly string[] {
    return this.#member(kind, index).child.errors;
  }

  /** The end of what each of them has said in its present life, for whoever wonders why nothing goes on. */
  lastWords(): string {
    const words = (kind: Kind): string[] =>
      this.#members(kind).flatMap(({ child }, i) => [
        `${kind} ${i} (${child.pid}):`,
        ...child.errors.slice(-lastWordsMax),
      ]);
    return [...this.deaths, ...words('server'), ...words('worker')].join('\n  ');
  }

  async kill(kind: Kind, index: number): Promise<void> {
    const member = this.#member(kind, index);
    await member.child.kill('SIGKILL');
    member.again();
  }

  /** Kills it and leaves it dead for so long. */
  async killFor(kind: Kind, index: number, ms: number): Promise<void> {
    const member = this.#member(kind, index);
    await member.child.kill('SIGKILL');
    await pause(ms);
    member.again();
  }

  /** Ends it as an operator does and starts it again. Resolves with its exit code when the next life is at work. */
  async restart(kind: Kind, index: number): Promise<number | null> {
    const member = this.#member(kind, index);
    member.child.process.kill('SIGTERM');
    const late = setTimeout(() => member.child.process.kill('SIGKILL'), 40_000);
    const code = await member.child.exited;
    clearTimeout(late);
    member.again();
    await member.child.line((line) => line.startsWith(kind === 'server' ? 'ready' : 'connected'), 60_000);
    return code;
  }

  /** Lets it stand still for so long. */
  async freeze(kind: Kind, index: number, ms: number): Promise<void> {
    const { child } = this.#member(kind, index);
    const from = Date.now();
    await child.freeze();
    await pause(ms);
    this.#stoodStill(kind, child.pid, from, awakeningMs);
    child.thaw();
  }

  /**
   * Nothing has reached it since `from`, until now. What was sent meanwhile is sent again by TCP, at the latest after as long
   * again.
   */
  notReached(kind: Kind, index: number, from: number): void {
    this.#stoodStill(kind, this.pid(kind, index), from, Date.now() - from + awakeningMs);
  }

  executions(): Execution[] {
    return this.notes().map((note) => note as Execution);
  }

  /** What workers have written down outside of the system, in the words of their app. */
  notes(): unknown[] {
    if (!existsSync(this.#executionsFile)) return [];
    // A killed writer may leave half a line; appends are atomic otherwise.
    return readFileSync(this.#executionsFile, 'utf8')
      .split('\n')
      .filter((line) => line.endsWith('}'))
      .map((line) => JSON.parse(line) as unknown);
  }

  async end(): Promise<void> {
    await Promise.all([...this.#servers, ...this.#workers].map(({ child }) => child.kill('SIGKILL')));
    rmSync(this.folder, { recursive: true, force: true });
  }

  #stoodStill(kind: Kind, pid: number, from: number, awakeAfterMs: number): void {
    const until = Date.now();
    this.standstills.push({ kind, pid, from, until, awakeAt: until + awakeAfterMs });
  }

  get #executionsFile(): string {
    return join(this.folder, 'executions.jsonl');
  }

  #members(kind: Kind): readonly Member[] {
    return kind === 'server' ? this.#servers : this.#workers;
  }

  #member(kind: Kind, index: number): Member {
    const member = this.#members(kind)[index];
    if (member === undefined) throw new RangeError(`there is no ${kind} ${index}`);
    return member;
  }
}

const nowhereSpecial = (): Place => ({});

function launch(name: string, args: readonly string[], { namespace, environment }: Place): Child {
  const command = [process.execPath, fileURLToPath(new URL(name, import.meta.url)), ...args];
  const inside = namespace === undefined ? command : ['ip', 'netns', 'exec', namespace, ...command];
  const [program = '', ...rest] = inside;
  return new Child(program, rest, environment);
}

function pause(ms: number): Promise<void> {
  return new Promise((wake) => setTimeout(wake, ms));
}
