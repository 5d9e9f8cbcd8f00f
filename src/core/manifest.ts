/**
 * The manifest: the definitions of an app as data. Workers make it from code and send it; servers load no user code
 * and know an app only by this. Its hash is the sha-256 of its canonical JSON.
 */
import type { LimitSpec } from './admission/limit.js';
import type { Graph } from './graph/graph.js';
import type { AmbiguityPolicy } from './run/inference.js';
import type { Effect } from './run/events.js';
import type { RemedyPolicy } from './remedies.js';
import type { RetryPolicy } from './retry.js';
import type { ScheduleSpec } from './schedule/spec.js';
import type { TopicCompaction, TopicRetention } from './topics/retention.js';
import type { SourceRule } from './topics/source-rule.js';
import type { Subscription } from './topics/subscription.js';
import type { ToolPolicy } from './tools/policy.js';
import type { WebhookSource } from './webhooks/source.js';

export type JsonSchema = Readonly<Record<string, unknown>>;

export interface Manifest {
  readonly format: 1;
  readonly app: string;
  readonly topics: readonly TopicManifest[];
  readonly workflows: readonly WorkflowManifest[];
  readonly capabilities: readonly CapabilityManifest[];
  /** Limits that hold for what names them, or for all inferences. Absent = none. */
  readonly limits?: readonly LimitSpec[];
  /** Models that its bodies ask. Absent = none. */
  readonly models?: readonly ModelManifest[];
  /** Prompts that its bodies ask by. Absent = none. */
  readonly prompts?: readonly PromptManifest[];
  /** Absent = none. */
  readonly schedules?: readonly ScheduleManifest[];
  /** Absent = none. */
  readonly subscriptions?: readonly Subscription[];
  /** Sources of webhooks. Absent = none. */
  readonly webhooks?: readonly WebhookSource[];
  /** What models may have done by tools. Absent = the app says nothing of it. */
  readonly tools?: ToolPolicy;
  /** Of an entry of its own beside the apps: where one of them is called. Ignored in what workers send. */
  readonly endpoint?: EndpointEntry;
}

/** What is known of a prompt outside of the app: not its text. */
export interface PromptManifest {
  readonly name: string;
  /** In the order in which the app names them, with the share of new runs that ask by each. */
  readonly versions: readonly { readonly version: string; readonly weight: number }[];
}

export interface ScheduleManifest {
  readonly name: string;
  /** The tenant whose schedule it is. */
  readonly tenant: string;
  readonly spec: ScheduleSpec;
}

/** What operators have said last of the endpoint of an app. */
export interface EndpointEntry {
  readonly app: string;
  /** When they said it, epoch ms: no two entries are the same. */
  readonly setAt: number;
  /** null = the app is not called any more. */
  readonly target: EndpointTarget | null;
}

/** An HTTPS function that is sent tasks (docs/guides/serverless.md). */
export interface EndpointTarget {
  readonly url: string;
  /** Tasks sent at the same time. */
  readonly concurrency: number;
  /** Longest time of one request. */
  readonly timeoutMs: number;
  /** What it said that it serves. */
  readonly serves: Manifest;
}

export interface TopicManifest {
  readonly name: string;
  /** JSON Schema (2020-12) of the event data; null = anything. */
  readonly schema: JsonSchema | null;
  /** Path of the field in the data that is the partition key, e.g. `document.id`; null = the event's own `partitionkey`, else its id. */
  readonly key: string | null;
  readonly partitions: number;
  /** Paths of the fields by which runs may wait for its events; absent = those of `key`. */
  readonly index?: readonly string[];
  /** How long and how much of it is kept; absent = all of it. */
  readonly retention?: TopicRetention;
  /** Present = of each key only the newest event is kept. */
  readonly compaction?: TopicCompaction;
  /** `single` = events are taken from the holder of the newest epoch only. */
  readonly writer?: 'single';
  /** Present = it is remembered how far each source has come. */
  readonly sources?: SourceRule;
  /** Versions of the schema, oldest first; `schema` is that of the last. Absent = it has none. */
  readonly versions?: readonly TopicVersion[];
  /** How its schema may change. Absent = `backward` where there are versions, else `none`. */
  readonly compatibility?: Compatibility;
  /** What becomes of fields that the schema does not name. Absent = they stay. */
  readonly unknown?: 'strip' | 'refuse';
}

/** A version of the schema of a topic. */
export interface TopicVersion {
  /** From 1 on. */
  readonly version: number;
  readonly schema: JsonSchema | null;
  /** Workers make data of this version of data of the one before. */
  readonly up: boolean;
}

/** `backward`: new code reads old events; `forward`: old code reads new events; `full`: both; `none`: nothing is asked. */
export const compatibilityModes = ['backward', 'forward', 'full', 'none'] as const;
export type CompatibilityMode = (typeof compatibilityModes)[number];

export interface Compatibility {
  readonly mode: CompatibilityMode;
  /** Against every earlier version, not the last one only. */
  readonly transitive: boolean;
}

/** The fields of a topic by which its events can be waited for. */
export function indexedFields(topic: Pick<TopicManifest, 'key' | 'index'>): readonly string[] {
  return topic.index ?? (topic.key === null ? [] : [topic.key]);
}

/** The topic to which the engine itself publishes requests for approvals; there without being declared. */
export const approvalTopic: TopicManifest = {
  name: 'eventspine.approval-requested',
  schema: null,
  key: 'run',
  partitions: 1,
};

/** The topic to which the engine itself publishes what becomes of models and their endpoints; there without being declared. */
export const modelsTopic: TopicManifest = {
  name: 'eventspine.models',
  schema: null,
  key: null,
  partitions: 1,
};

/** The topic to which the engine itself publishes what operators order over tools; there without being declared. */
export const toolsTopic: TopicManifest = {
  name: 'eventspine.tools',
  schema: null,
  key: null,
  partitions: 1,
};

/** The topic to which the engine itself publishes each change of a limit by an operator; there without being declared. */
export const limitsTopic: TopicManifest = {
  name: 'eventspine.limits',
  schema: null,
  key: null,
  partitions: 1,
};

/** The topic of what operators say that failures really were; there without being declared. */
export const correctionTopic: TopicManifest = {
  name: 'eventspine.corrections',
  schema: null,
  key: null,
  partitions: 1,
};

/** The topic of checkpoints of the fleet, in the tenant of the installation; there without being declared. */
export const fleetTopic: TopicManifest = {
  name: 'eventspine.fleet',
  schema: null,
  key: null,
  partitions: 1,
};

/** The topic to which the engine itself publishes what operators do to subscriptions; there without being declared. */
export const subscriptionsTopic: TopicManifest = {
  name: 'eventspine.subscriptions',
  schema: null,
  key: 'subscription',
  partitions: 1,
};

/** The topic of events that were given up on, and of what was done about them; there without being declared. */
export const deadEventsTopic: TopicManifest = {
  name: 'eventspine.dead-events',
  schema: null,
  key: null,
  partitions: 1,
};

/** The topic of ends of runs; written to only where somebody in the tenant reads it. There without being declared. */
export const runEventsTopic: TopicManifest = {
  name: 'eventspine.run-events',
  schema: null,
  key: 'run',
  partitions: 4,
  retention: { ageMs: 14 * 86_400_000, bytes: null, events: null, behind: 'hold' },
};

/** The topic of what is done to webhook endpoints, by people and by what they answer; there without being declared. */
export const webhooksTopic: TopicManifest = {
  name: 'eventspine.webhooks',
  schema: null,
  key: 'endpoint',
  partitions: 1,
};

/**
 * The topic of refusals and of what operators and admins do (`core/access/record.ts`), kept for 90 days; there without being
 * declared. Shown to admins and operators only.
 */
export const accessTopic: TopicManifest = {
  name: 'eventspine.access',
  schema: null,
  key: null,
  partitions: 1,
  retention: { ageMs: 90 * 86_400_000, bytes: null, events: null, behind: 'gap' },
};

/** Topics of the engine's own. */
export const ownTopics: readonly TopicManifest[] = [
  approvalTopic,
  limitsTopic,
  modelsTopic,
  toolsTopic,
  correctionTopic,
  fleetTopic,
  subscriptionsTopic,
  deadEventsTopic,
  runEventsTopic,
  webhooksTopic,
  accessTopic,
];

/** Whether only the engine itself publishes to a topic of this name. */
export function isOwnTopic(name: string): boolean {
  return ownTopics.some((own) => own.name === name);
}

export interface WorkflowManifest {
  readonly name: string;
  /** null = runs move on to new code; a string pins runs to workers that have this version. */
  readonly version: string | null;
  /** Versions that this build can still run (`previous`); null = runs from before there were versions. */
  readonly previous: readonly (string | null)[];
  readonly input: JsonSchema | null;
  /** Topic whose events start a run each. */
  readonly on: string | null;
  readonly completes: string | null;
  /** Signals that its runs take, and no others; absent = any. */
  readonly signals?: readonly SignalManifest[];
  readonly priority: number;
  readonly timeoutMs: number | null;
  readonly retainMs: number | null;
  /** Longest time of one activation under one lease. */
  readonly deadlineMs: number;
  /** Attempts of an activation that ends without progress. */
  readonly retry: RetryPolicy;
  /** What its runs go by; absent = they have a body. */
  readonly graph?: Graph;
  /** It is the body of an agent of its name: its runs stand for keys and begin with a message. Absent = a workflow. */
  readonly agent?: AgentManifest;
  /** Which of its values of unknown shape everybody may see, although its app has tagged fields. Absent = none. */
  readonly shows?: ShownValues;
}

/** Values that are shown whole to whoever may see the run, where fields of the app are tagged (docs/guides/redaction.md). */
export interface ShownValues {
  /** The output; of an agent its state and its answers. */
  readonly output?: true;
  /** Reports of progress. */
  readonly progress?: true;
  readonly streams?: true;
  /** Messages of failures, and reasons. */
  readonly failures?: true;
  /** Results of steps and calls, what approvals show, answers of models: by path without keys, `page/mail`. */
  readonly steps?: readonly string[];
}

export interface AgentManifest {
  readonly messages: readonly MessageManifest[];
}

export interface MessageManifest {
  readonly name: string;
  readonly schema: JsonSchema | null;
  /** Events of the topic of this name are messages to the agent of their key. */
  readonly topic: boolean;
}

export interface SignalManifest {
  readonly name: string;
  readonly schema: JsonSchema | null;
}

/** The versions whose runs this build can go on with, that of new runs first. */
export function versionsServed({ version, previous }: WorkflowManifest): readonly (string | null)[] {
  return [version, ...previous];
}

/** The version of a run or a workflow in words. */
export function versionText(version: string | null): string {
  return version === null ? 'without version' : `version ${version}`;
}

export interface CapabilityManifest {
  readonly name: string;
  readonly input: JsonSchema | null;
  readonly output: JsonSchema | null;
  readonly effect: Effect;
  readonly deadlineMs: number;
  readonly retry: RetryPolicy;
  /** True where this app has a handler, false where it only calls it. */
  readonly implemented: boolean;
  /** Limits that each attempt of a call has to be admitted under. Absent = none. */
  readonly limits?: readonly string[];
  /** What is done about its failures, where that is declared. */
  readonly remedies?: RemedyPolicy;
}

/** A model by its logical name. What calls it stays in the workers. */
export interface ModelManifest {
  readonly name: string;
  /** In the order in which the app names them; never empty. */
  readonly versions: readonly ModelVersionManifest[];
  /** What to do about an ambiguous call: the first that can be done. */
  readonly policy: readonly AmbiguityPolicy[];
  /** Limits that each attempt has to be admitted under, beside those of all inferences. Absent = none. */
  readonly limits?: readonly string[];
  /** The version that is asked beside the others, to see how it would do. Absent = none. */
  readonly shadow?: ShadowRule;
}

/** Which version is asked beside the others, and how much of it there may be. */
export interface ShadowRule {
  readonly version: string;
  /** Of the inferences that other versions answer, above 0 and up to 1. */
  readonly share: number;
  /** Calls under way at one time, on all workers together. */
  readonly concurrency: number;
  /** What its calls of one day (UTC) may cost, micro-units; null = there is no bound. */
  readonly perDayMicros: number | null;
}

export interface ModelVersionManifest {
  readonly version: string;
  /** Where it is served: what shares limits, breakers and accounts has one name. */
  readonly endpoint: string;
  /** Share of the runs that ask this version, against the weights of the others; 0 = none. */
  readonly weight: number;
  /** Tokens of prompt and answer together, and of the answer; null = not known. */
  readonly windowTokens: number | null;
  readonly outputTokensMax: number | null;
  /** null = nobody has said what it costs, and it counts as nothing. */
  readonly price: ModelPrice | null;
}

/** Micro-units of the currency for a million tokens. */
export interface ModelPrice {
  readonly inputMicros: number;
  readonly outputMicros: number;
  /** Of tokens of the prompt that come out of a cache of the provider. */
  readonly cachedInputMicros: number;
}
