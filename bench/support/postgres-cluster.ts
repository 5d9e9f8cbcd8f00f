/** Servers and workers over one PostgreSQL, each in a process of its own, for as long as a benchmark needs them. */
import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export interface Cluster {
  /** Where the servers listen. */
  readonly urls: readonly string[];
  close(): Promise<void>;
}

/** Starts `servers` servers on the schema of the database, and `workers` workers that know them all. */
export async function startCluster(options: {
  readonly database: string;
  readonly schema: string;
  readonly servers: number;
  readonly workers: number;
}): Promise<Cluster> {
  const children: ChildProcess[] = [];
  const start = async (script: string, ...args: readonly string[]): Promise<string> => {
    const child = fork(fileURLToPath(new URL(`./${script}`, import.meta.url)), args, { execArgv: ['--import', 'tsx'] });
    children.push(child);
    return new Promise((resolve, reject) => {
      child.once('message', (message) => resolve(String(message)));
      child.once('exit', (code) => reject(new Error(`${script} ended with ${code}`)));
    });
  };
  const close = async (): Promise<void> => {
    // Workers first, so that nobody looks for a server that is gone.
    for (const child of children.toReversed()) {
      if (child.exitCode !== null) continue;
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await gone;
    }
  };
  try {
    const urls: string[] = [];
    for (let i = 0; i < options.servers; i++)
      urls.push(await start('postgres-server.ts', options.database, options.schema));
    for (let i = 0; i < options.workers; i++)
      await start('postgres-worker.ts', ...urls.slice(i % urls.length), ...urls.slice(0, i % urls.length));
    return { urls, close };
  } catch (error) {
    await close();
    throw error;
  }
}
