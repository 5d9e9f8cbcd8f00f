/**
 * How many workers a backlog wants. Pure: the server's metrics, the endpoint that autoscalers read and the supervisor of
 * one machine all ask here, so that they never give different answers. Invariant: the answer lies within the bounds.
 */
import { capabilityQueue, workflowQueue } from './run/state.js';
import { versionsServed, type Manifest } from './manifest.js';

/** What bounds the number of workers. */
export interface ScaleBounds {
  /** Tasks, ready and under way, that one worker is to have; 1 or more. */
  readonly targetPerWorker: number;
  /** Never fewer workers than this. */
  readonly min: number;
  /** Never more workers than this; not below `min`. */
  readonly max: number;
  /** With `min` 0, no worker is wanted until the backlog is above this. */
  readonly activation: number;
}

/** The number of workers for `backlog` tasks, ready and under way. */
export function desiredWorkers(backlog: number, bounds: ScaleBounds): number {
  const wanted = backlog > bounds.activation ? Math.ceil(backlog / bounds.targetPerWorker) : 0;
  return Math.min(bounds.max, Math.max(bounds.min, wanted));
}

/** Which part of an app a worker offers. */
export interface OfferedNames {
  readonly workflows: readonly string[];
  readonly capabilities: readonly string[];
}

/** The queues that a worker of an app serves: all that the app implements, or the part of it that is named. */
export function queuesServed(manifest: Manifest, only?: OfferedNames): string[] {
  const workflows = manifest.workflows
    .filter(({ name }) => only === undefined || only.workflows.includes(name))
    .flatMap((workflow) => versionsServed(workflow).map((version) => workflowQueue(workflow.name, version)));
  const capabilities = manifest.capabilities
    .filter(({ name, implemented }) => implemented && (only === undefined || only.capabilities.includes(name)))
    .map(({ name }) => capabilityQueue(name));
  // Calls first: they are parts of runs that are under way.
  return [...new Set([...capabilities, ...workflows])];
}
