/** Child processes of tests: started, watched line by line, and always ended. */
import { spawn, type ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../../..', import.meta.url));
export const nightly = process.env['EVENTSPINE_NIGHTLY'] === '1';
/** `npm run security`: longer attacks, on a machine that has no other work. */
export const security = process.env['EVENTSPINE_SECURITY'] === '1';

/** A running child with its output at hand. */
export class Child {
  readonly process: ChildProcess;
  readonly lines: string[] = [];
  readonly errors: string[] = [];
  readonly exited: Promise<number | null>;
  #waiting: {
    readonly wanted: (line: string) => boolean;
    readonly resolve: (line: string) => void;
    readonly reject: (error: Error) => void;
  }[] = [];

  constructor(
    command: string,
    args: readonly string[],
    environment: Readonly<Record<string, string | undefined>> = {},
    folder = process.cwd(),
  ) {
    this.process = spawn(command, args, {
      cwd: folder,
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    alive.add(this);
    const { stdout, stderr } = this.process;
    if (stdout !== null) createInterface({ input: stdout }).on('line', (line) => this.#take(line));
    if (stderr !== null) createInterface({ input: stderr }).on('line', (line) => this.errors.push(line));
    this.exited = new Promise((resolve) => {
      this.process.once('close', (code) => {
        alive.delete(this);
        for (const { reject } of this.#waiting)
          reject(new Error(`the child ended with ${String(code)}:\n${this.errors.slice(-20).join('\n')}`));
        this.#waiting = [];
        resolve(code);
      });
    });
  }

  get pid(): number {
    if (this.process.pid === undefined) throw new Error('the child did not start');
    return this.process.pid;
  }

  /** The first line, past or to come, that `wanted` accepts. Rejects when the child ends or `ms` pass before. */
  line(wanted: (line: string) => boolean, ms = 20_000): Promise<string> {
    const found = this.lines.find(wanted);
    if (found !== undefined) return Promise.resolve(found);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`no such line within ${ms} ms:\n${this.errors.slice(-20).join('\n')}`)),
        ms,
      );
      this.#waiting.push({
        wanted,
        resolve: (line) => {
          clearTimeout(timer);
          resolve(line);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      });
    });
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.process.kill(signal);
    await this.exited;
  }

  /** Stops every thread of the child and returns when all stand still. */
  async freeze(): Promise<void> {
    this.process.kill('SIGSTOP');
    const tasks = `/proc/${this.pid}/task`;
    for (;;) {
      const states = readdirSync(tasks).map(
        (task) => readFileSync(`${tasks}/${task}/stat`, 'utf8').replace(/^.*\) /, '')[0],
      );
      if (states.every((state) => state === 'T' || state === 't')) return;
      await new Promise((wake) => setTimeout(wake, 1));
    }
  }

  thaw(): void {
    this.process.kill('SIGCONT');
  }

  #take(line: string): void {
    this.lines.push(line);
    for (const waiting of this.#waiting.filter(({ wanted }) => wanted(line))) {
      this.#waiting = this.#waiting.filter((other) => other !== waiting);
      waiting.resolve(line);
    }
  }
}

const alive = new Set<Child>();

/** Ends whatever a test has left running. */
export async function endAll(): Promise<void> {
  await Promise.all([...alive].map((child) => child.kill('SIGKILL')));
}

/** A child that runs one of the scripts beside this file with the Node of the test. */
export function script(
  name: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Child {
  return new Child(process.execPath, [fileURLToPath(new URL(name, import.meta.url)), ...args], environment);
}

/** The command line of the package, as built. */
export function eventspine(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  folder?: string,
): Child {
  // A database that the tests were given is not the store of every command.
  return new Child(process.execPath, [program, ...args], { DATABASE_URL: '', ...environment }, folder);
}

/** The built main module of `eventspine`. */
export const program = fileURLToPath(new URL('../../../dist/cli/main.js', import.meta.url));
