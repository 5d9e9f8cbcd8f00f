/** What the nemesis and the checks need of any kind of simulated worker. */
import type { WorkerHost } from './worker-host.js';

/** A worker of the simulated installation. */
export interface SimWorker {
  readonly host: WorkerHost;
  /** The session it believes to have; null = none. */
  readonly session: string | null;
}
