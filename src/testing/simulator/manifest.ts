/** The definitions that simulated workers register: two workflows, two topics, two capabilities. */
import type { Manifest, WorkflowManifest } from '../../core/manifest.js';
import type { RetryPolicy } from '../../core/retry.js';
import { programCapabilities } from './program.js';

/** Retries of activations and the default of calls. */
export const simRetry: RetryPolicy = { attempts: 3, minMs: 50, maxMs: 1_000, factor: 2 };

/** Longer than any fault lasts: a lease that meets its deadline shows that something was stuck. */
export const simDeadlineMs = 60_000;

/** The agent of the worlds that have one. */
export const simAgent = 'tally';

function workflow(name: string, on: string | null, completes: string | null): WorkflowManifest {
  return {
    name,
    version: null,
    previous: [],
    input: null,
    on,
    completes,
    priority: 5,
    timeoutMs: null,
    retainMs: null,
    deadlineMs: simDeadlineMs,
    retry: simRetry,
  };
}

/** The app of the simulated installation. */
export const simManifest: Manifest = {
  format: 1,
  app: 'simulated',
  topics: [
    { name: 'seen', schema: null, key: null, partitions: 3 },
    { name: 'noted', schema: null, key: 'n', partitions: 2 },
    { name: 'done', schema: null, key: null, partitions: 1 },
  ],
  workflows: [workflow('program', null, 'done'), workflow('watch', 'seen', null)],
  capabilities: programCapabilities.map((name) => ({
    name,
    input: null,
    output: null,
    effect: 'idempotent',
    deadlineMs: simDeadlineMs,
    retry: simRetry,
    implemented: true,
  })),
};
