/**
 * The manifest of an app: its definitions as data, in one order whatever the order of declaration, so that equal
 * definitions have equal text and hash.
 */
import { canonicalJson } from '../core/canonical-json.js';
import {
  indexedFields,
  type CapabilityManifest,
  type Manifest,
  type ScheduleManifest,
  type SignalManifest,
  type TopicManifest,
  type TopicVersion,
  type WorkflowManifest,
} from '../core/manifest.js';
import type { Hash } from '../core/ports.js';
import { mergedRemedies, type RemedyPolicy } from '../core/remedies.js';
import type { ToolPolicy } from '../core/tools/policy.js';
import type { Agent } from './agent.js';
import type { Capability } from './capability.js';
import { jsonSchemaOf } from './json-schema-of.js';
import type { Limit } from './limit.js';
import { modelManifest, type Model } from './model.js';
import { promptManifest, type AnyPrompt } from './prompt.js';
import type { Schedule } from './schedule.js';
import type { Signal } from './signal.js';
import type { Subscription } from './subscription.js';
import type { Topic } from './topic.js';
import type { SchemaVersion } from './topic-versions.js';
import type { Webhook } from './webhook.js';
import type { AnyWorkflow } from './workflow.js';

/** What a manifest is made of. */
export interface Definitions {
  readonly name: string;
  readonly topics: readonly Topic[];
  readonly workflows: readonly AnyWorkflow[];
  readonly agents: readonly Agent[];
  readonly capabilities: readonly Capability[];
  /** Names of the capabilities that the app has a handler for. */
  readonly implemented: ReadonlySet<string>;
  readonly limits: readonly Limit[];
  readonly schedules: readonly Schedule[];
  readonly subscriptions: readonly Subscription[];
  readonly webhooks: readonly Webhook[];
  readonly models: readonly Model[];
  readonly prompts: readonly AnyPrompt[];
  readonly remedies: RemedyPolicy;
  readonly tools: ToolPolicy | null;
}

/** Describes definitions as data. */
export function manifestOf(definitions: Definitions): Manifest {
  const { name, topics, workflows, agents, capabilities, implemented } = definitions;
  const { limits, schedules, subscriptions, webhooks, models, remedies, prompts, tools } = definitions;
  return {
    format: 1,
    app: name,
    topics: byName(topics).map(topicManifest),
    workflows: byName([...workflows.map(workflowManifest), ...agents.map(agentManifest)]),
    capabilities: byName(capabilities).map((one) => capabilityManifest(one, implemented.has(one.name), remedies)),
    // Left out where there are none, so that an app without any has the hash that it always had.
    ...(limits.length === 0 ? {} : { limits: byName(limits).map(({ spec }) => spec) }),
    ...(models.length === 0 ? {} : { models: byName(models).map(modelManifest) }),
    ...(prompts.length === 0 ? {} : { prompts: byName(prompts).map(promptManifest) }),
    ...(schedules.length === 0 ? {} : { schedules: byName(schedules).map(scheduleManifest) }),
    ...(subscriptions.length === 0 ? {} : { subscriptions: byName(subscriptions).map(({ spec }) => spec) }),
    ...(webhooks.length === 0 ? {} : { webhooks: byName(webhooks).map(({ spec }) => spec) }),
    ...(tools === null ? {} : { tools }),
  };
}

/** sha-256 of the canonical JSON of a manifest, 64 hex digits. */
export function manifestHash(manifest: Manifest, hash: Hash): string {
  return hash.sha256(canonicalJson(manifest));
}

/** What is as it always was is not named, so that a topic without anything special has the text that it always had. */
function topicManifest(topic: Topic): TopicManifest {
  const {
    name,
    schema,
    key,
    index,
    partitions,
    versions,
    compatibility,
    unknown,
    retention,
    compaction,
    writer,
    sources,
  } = topic;
  const usual = indexedFields({ key });
  const isUsual = index.length === usual.length && index.every((field, i) => field === usual[i]);
  return {
    name,
    schema: jsonSchemaOf(schema, 'input'),
    key,
    partitions,
    ...(isUsual ? {} : { index }),
    ...(versions.length === 0 ? {} : { versions: versions.map(topicVersion) }),
    ...(compatibility === null ? {} : { compatibility }),
    ...(unknown === 'allow' ? {} : { unknown }),
    ...(retention === undefined ? {} : { retention }),
    ...(compaction === undefined ? {} : { compaction }),
    ...(writer === undefined ? {} : { writer }),
    ...(sources === undefined ? {} : { sources }),
  };
}

function topicVersion({ version, schema, up }: SchemaVersion): TopicVersion {
  return { version, schema: jsonSchemaOf(schema, 'input'), up: up !== null };
}

function workflowManifest(workflow: AnyWorkflow): WorkflowManifest {
  const { name, version, previous, input, on, completes, signals, priority, timeoutMs, retainMs, deadlineMs, retry } =
    workflow;
  const { graph, shows } = workflow;
  return {
    name,
    version,
    previous: previous.map((earlier) => earlier.version),
    input: jsonSchemaOf(input, 'input'),
    on: on?.name ?? null,
    completes: completes?.name ?? null,
    ...(signals.length === 0 ? {} : { signals: byName(signals).map(signalManifest) }),
    priority,
    timeoutMs,
    retainMs,
    deadlineMs,
    retry,
    ...(graph === undefined ? {} : { graph }),
    ...(shows === undefined || Object.keys(shows).length === 0 ? {} : { shows }),
  };
}

/** The workflow that runs its keys, with what it takes. */
function agentManifest({ workflow, messages }: Agent): WorkflowManifest {
  const taken = byName(messages).map((one) => ({
    name: one.name,
    schema: jsonSchemaOf(one.schema, 'input'),
    topic: one.kind === 'topic',
  }));
  return { ...workflowManifest(workflow), agent: { messages: taken } };
}

function signalManifest({ name, schema }: Signal): SignalManifest {
  return { name, schema: jsonSchemaOf(schema, 'input') };
}

function capabilityManifest(capability: Capability, implemented: boolean, declared: RemedyPolicy): CapabilityManifest {
  const { name, input, output, effect, deadlineMs, retry, limits } = capability;
  const remedies = mergedRemedies(declared, capability.remedies);
  return {
    name,
    input: jsonSchemaOf(input, 'input'),
    output: jsonSchemaOf(output, 'output'),
    effect,
    deadlineMs,
    retry,
    implemented,
    ...(limits.length === 0 ? {} : { limits: byName(limits).map((one) => one.name) }),
    ...(Object.keys(remedies).length === 0 ? {} : { remedies }),
  };
}

function scheduleManifest({ name, tenant, spec }: Schedule): ScheduleManifest {
  return { name, tenant, spec };
}

function byName<T extends { readonly name: string }>(list: readonly T[]): T[] {
  return [...list].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}
