/**
 * What a run of the engine's own workflow `eventspine.webhook` is to deliver. It stands in the first event of the run, so that
 * every attempt, however late, sends the same message; the data is the input of the run.
 *
 * Invariant: nothing here depends on what an endpoint is like now, but for where it is and what it signs with.
 */
import type { CapabilityManifest, Manifest, WorkflowManifest } from '../manifest.js';

/** Where a message goes: to an endpoint of the tenant by its name, or to the address that a start was given. */
export type DeliveryTarget = { readonly endpoint: string } | { readonly url: string };

export interface DeliveryOrder {
  readonly to: DeliveryTarget;
  /** Header `webhook-id`: the same over all attempts, redrives and replays of one event. */
  readonly id: string;
  /** Of the event, with which receivers tell messages apart. */
  readonly type: string;
  /** When the event was recorded, epoch ms. */
  readonly at: number;
  /** Where the event comes from; absent where the message is of the end of a run. */
  readonly event?: {
    readonly id: string;
    readonly topic: string;
    readonly source?: string;
    readonly subject?: string;
  };
  /** The run whose end is told; the input is then its output, or null. */
  readonly ended?: EndedRun;
}

/** The end of a run, as it is told outside: nothing of what it was given, and no words of its failure. */
export interface EndedRun {
  readonly run: string;
  readonly workflow: string;
  readonly state: 'succeeded' | 'failed' | 'cancelled' | 'refused';
  readonly startedAt: string;
  readonly endedAt: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly failure?: { readonly class: string; readonly code: string };
  readonly deadLetter?: string;
}

/** The label by which deliveries of an endpoint are found. */
export const webhookLabel = 'eventspine.webhook';
/** Its value where a message goes to the address that a start was given. */
export const notifyLabel = 'notify';

const dayMs = 24 * 60 * 60_000;
const webhookName = 'eventspine.webhook';

/** Does one attempt; servers serve it themselves (`server/webhooks`), which also say when the next one is. */
export const deliverCapability: CapabilityManifest = {
  name: 'eventspine.deliver',
  input: null,
  output: null,
  // A message that is sent twice has one id.
  effect: 'idempotent',
  deadlineMs: 90_000,
  // How often and when is the endpoint's to say, in the failure of each attempt.
  retry: { attempts: 1_000, minMs: 1, maxMs: 1, factor: 1 },
  implemented: true,
};

/** One delivery. */
export const webhookWorkflow: WorkflowManifest = {
  name: webhookName,
  version: null,
  previous: [],
  input: null,
  on: null,
  completes: null,
  priority: 0,
  timeoutMs: null,
  // The delivery log.
  retainMs: 14 * dayMs,
  deadlineMs: 60_000,
  retry: { attempts: 10, minMs: 500, maxMs: 60_000, factor: 2 },
  graph: {
    nodes: [{ name: 'deliver', capability: deliverCapability.name, after: [], input: 'input' }],
    output: 'deliver',
  },
};

/** What servers register when they begin to deliver. */
export const webhookManifest: Manifest = {
  format: 1,
  app: webhookName,
  topics: [],
  workflows: [webhookWorkflow],
  capabilities: [deliverCapability],
};
