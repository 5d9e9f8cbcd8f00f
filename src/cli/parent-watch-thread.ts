/** The thread of `parent-watch.ts`. The parent is gone when this process has been handed to another one. */
import { parentPort, workerData } from 'node:worker_threads';
import type { ParentWatchData } from './parent-watch.js';

const { parent, lookMs, graceMs } = workerData as ParentWatchData;

const looking = setInterval(() => {
  if (isThere()) return;
  clearInterval(looking);
  parentPort?.postMessage('gone');
  setTimeout(endAll, graceMs);
}, lookMs);

function isThere(): boolean {
  if (process.ppid !== parent) return false;
  try {
    // Where orphans keep the number of their parent, this tells.
    process.kill(parent, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** With everything that this process has started, where it leads a group of its own. */
function endAll(): void {
  try {
    process.kill(-process.pid, 'SIGKILL');
  } catch {
    process.kill(process.pid, 'SIGKILL');
  }
}
