/**
 * The folder that one run of the demo works in: database, index and logs. It is emptied at the start, so that there is
 * something to see each time, and never while another demo uses it.
 */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Paths of a workspace. */
export interface Workspace {
  readonly folder: string;
  readonly database: string;
  readonly index: string;
  readonly logs: string;
}

/** Empties and makes the workspace. Rejects when another demo is running in it. */
export async function openWorkspace(folder: string): Promise<Workspace> {
  const marker = join(folder, 'demo.pid');
  const owner = Number(await readFile(marker, 'utf8').catch(() => ''));
  if (owner > 0 && isAlive(owner)) {
    throw new Error(`Another demo (process ${owner}) uses ${folder}. Stop it first.`);
  }
  await rm(folder, { recursive: true, force: true });
  const logs = join(folder, 'logs');
  await mkdir(logs, { recursive: true });
  await writeFile(marker, String(process.pid));
  return { folder, database: join(folder, 'demo.db'), index: join(folder, 'index'), logs };
}

/** Lets the next demo use the workspace; what is in it stays to be looked at. */
export async function leaveWorkspace(workspace: Workspace): Promise<void> {
  await rm(join(workspace.folder, 'demo.pid'), { force: true });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it is alive and not ours.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
