/**
 * The definitions that simulated workers register: two workflows, two topics, two capabilities; and the builds in which
 * they come, for worlds in which a new version is rolled out.
 */
import type { LimitSpec } from '../../core/admission/limit.js';
import type { Manifest, WorkflowManifest } from '../../core/manifest.js';
import type { RetryPolicy } from '../../core/retry.js';
import type { Subscription } from '../../core/topics/subscription.js';
import { simGraph } from './graph-program.js';
import { programCapabilities, programModel } from './program.js';

/** Retries of activations and the default of calls. */
export const simRetry: RetryPolicy = { attempts: 3, minMs: 50, maxMs: 1_000, factor: 2 };

/** Longer than any fault lasts: a lease that meets its deadline shows that something was stuck. */
export const simDeadlineMs = 60_000;

/** The capability that is limited, in the worlds in which one is. */
export const limitedCapability = 'gpu';

/** Tight enough that most of what asks has to wait. */
export const simLimits: readonly LimitSpec[] = [
  {
    name: 'gpu-pace',
    rule: { kind: 'rate', of: 'requests', amount: 5, perMs: 1_000, burst: 3 },
    by: ['tenant'],
    scope: 'named',
  },
  { name: 'gpu-slots', rule: { kind: 'concurrency', max: 2, adaptive: null }, by: [], scope: 'named' },
];

/** Holds for all inferences, in worlds whose bodies know how to wait for leave: those of real workers. */
export const simModelLimit: LimitSpec = {
  name: 'model-slots',
  rule: { kind: 'concurrency', max: 2, adaptive: null },
  by: [],
  scope: 'inferences',
};

/** The workflow that handles events of subscriptions, in the worlds that have them, and the topic of its dead letters. */
export const subscribedWorkflow = 'deliver';
export const buriedTopic = 'buried';

/** One of each order. Few keys and narrow windows, so that most events have to wait. */
export const simSubscriptions: readonly Subscription[] = [
  subscribed('by-key', 'noted', { order: 'key', windowMax: 3, from: 'oldest' }),
  subscribed('one-by-one', 'seen', { order: 'partition', windowMax: 1, from: 'newest' }),
  subscribed('some', 'seen', {
    order: 'none',
    windowMax: 2,
    from: 'oldest',
    filter: { any: [{ not: { prefix: { id: 'e1' } } }, { exact: { 'data.n': '3' } }] },
  }),
];

function subscribed(name: string, topic: string, options: Partial<Subscription>): Subscription {
  const rest = { filter: null, from: 'oldest', order: 'key', windowMax: 4, lagMax: null } as const;
  return { name, topic, dead: buriedTopic, workflow: subscribedWorkflow, ...rest, ...options };
}

/** The agent of the worlds that have one. */
export const simAgent = 'tally';

/** Versions of the workflow `program` that a build has, that of new runs first. Null = runs are pinned to none. */
export const builds = {
  /** There are no versions in this world. */
  plain: [null],
  old: ['1'],
  /** The new version without the old body. */
  new: ['2'],
  both: ['2', '1'],
} as const satisfies Record<string, readonly [string | null, ...string[]]>;

/** Name of a build. */
export type BuildName = keyof typeof builds;

/** Versions of a workflow that a build has. */
export function versionsOfBuild(build: BuildName, workflow: string): readonly (string | null)[] {
  return workflow === 'program' ? builds[build] : [null];
}

function workflow(
  name: string,
  [version, ...previous]: readonly [string | null, ...string[]],
  on: string | null,
  completes: string | null,
): WorkflowManifest {
  return {
    name,
    version,
    previous,
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

/** The app of the simulated installation, in one of its builds. */
export function simManifest(build: BuildName, limited = false, hasSubscriptions = false): Manifest {
  return {
    format: 1,
    app: 'simulated',
    topics: [
      { name: 'seen', schema: null, key: null, partitions: 3 },
      { name: 'noted', schema: null, key: 'n', partitions: 2 },
      { name: 'done', schema: null, key: null, partitions: 1 },
      ...(hasSubscriptions ? [{ name: buriedTopic, schema: null, key: null, partitions: 1 }] : []),
    ],
    workflows: [
      workflow('program', builds[build], null, 'done'),
      workflow('watch', [null], 'seen', null),
      { ...workflow('graph', [null], null, null), graph: simGraph },
      ...(hasSubscriptions ? [workflow(subscribedWorkflow, [null], null, null)] : []),
    ],
    models: [
      {
        name: programModel,
        policy: ['retry'],
        versions: ['v1', 'v2'].map((version) => ({
          version,
          endpoint: `oracle/${version}`,
          weight: 1,
          windowTokens: null,
          outputTokensMax: null,
          price: { inputMicros: 1_000_000, outputMicros: 1_000_000, cachedInputMicros: 1_000_000 },
        })),
      },
    ],
    capabilities: programCapabilities.map((name) => ({
      name,
      input: null,
      output: null,
      effect: 'idempotent',
      deadlineMs: simDeadlineMs,
      retry: simRetry,
      implemented: true,
      ...(limited && name === limitedCapability ? { limits: simLimits.map((limit) => limit.name) } : {}),
    })),
    ...(limited ? { limits: simLimits } : {}),
    ...(hasSubscriptions ? { subscriptions: simSubscriptions } : {}),
  };
}
