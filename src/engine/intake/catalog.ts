/**
 * What the engine knows of apps: the registered manifests, merged by name, with their schemas compiled. Manifests are
 * data that workers send; nothing here runs user code.
 *
 * A name belongs to the app that registered it last; a later manifest of the same app replaces the earlier one.
 */
import { SpineError } from '../../core/errors.js';
import type { LimitSpec } from '../../core/admission/limit.js';
import {
  ownTopics,
  type CapabilityManifest,
  type JsonSchema,
  type Manifest,
  type ModelManifest,
  type TopicManifest,
  type WorkflowManifest,
} from '../../core/manifest.js';
import type { Subscription } from '../../core/topics/subscription.js';
import { deliverCapability, webhookWorkflow } from '../../core/webhooks/delivery-order.js';
import type { WebhookSource } from '../../core/webhooks/source.js';
import { Checks, type Check } from './checks.js';
import type { ToolPolicy } from '../../core/tools/policy.js';
import { readToolPolicy } from '../../core/tools/read-policy.js';
import { manifestFaults } from './manifest-faults.js';
import { newerTopic } from '../../core/schema/newer-topic.js';
import { requireCompatible, TopicSchemas } from '../topics/schemas.js';

export interface TopicEntry {
  readonly manifest: TopicManifest;
  /** Names of the workflows that its events start. */
  readonly triggers: readonly string[];
  /** Names of the agents that its events are messages to. */
  readonly agents: readonly string[];
  readonly schemas: TopicSchemas;
}

export interface WorkflowEntry {
  readonly manifest: WorkflowManifest;
  /** Null = every input will do, so that nobody has to look at it. */
  readonly check: Check | null;
  /** The signals that its runs take; null = any. */
  readonly signals: ReadonlyMap<string, Check> | null;
  /** What models may have done by tools; null = its app says nothing of it. */
  readonly tools: ToolPolicy | null;
}

export interface AgentEntry extends WorkflowEntry {
  /** Checks of the data, by type of message. */
  readonly messages: ReadonlyMap<string, Check>;
}

export class Catalog {
  readonly #apps = new Map<string, { readonly hash: string; readonly manifest: Manifest }>();
  #topics = new Map<string, TopicEntry>([...ownTopics.map((manifest) => [manifest.name, ownEntry(manifest)] as const)]);
  #workflows = new Map<string, WorkflowEntry>();
  #agents = new Map<string, AgentEntry>();
  #capabilities = new Map<string, CapabilityManifest>();
  #limits: ReadonlyMap<string, LimitSpec> = new Map();
  #models = new Map<string, ModelManifest>();
  #subscriptions: ReadonlyMap<string, Subscription> = new Map();
  #webhooks: ReadonlyMap<string, WebhookSource> = new Map();
  #checks = new Checks();

  /** Hash of the manifest an app has now; null = unknown app. */
  hashOf(app: string): string | null {
    return this.#apps.get(app)?.hash ?? null;
  }

  /** Takes over a manifest. Throws DEFINITION_INVALID and changes nothing where it cannot be used. */
  set(manifest: Manifest, hash: string): void {
    const faults = manifestFaults(manifest);
    if (faults.length > 0) throw new SpineError('DEFINITION_INVALID', { name: appOf(manifest), faults });
    const before = this.#apps.get(manifest.app);
    this.#apps.delete(manifest.app);
    this.#apps.set(manifest.app, { hash, manifest });
    try {
      this.#rebuild();
    } catch (error) {
      this.#apps.delete(manifest.app);
      if (before !== undefined) this.#apps.set(manifest.app, before);
      this.#rebuild();
      const reason = error instanceof Error ? error.message : String(error);
      throw new SpineError('DEFINITION_INVALID', { name: manifest.app, faults: [reason] }, { cause: error });
    }
  }

  /** Throws what `set` would throw, and changes nothing. */
  check(manifest: Manifest): void {
    const trial = new Catalog();
    for (const [app, { hash, manifest: other }] of this.#apps)
      if (app !== manifest?.app) trial.#apps.set(app, { hash, manifest: other });
    trial.set(manifest, '');
  }

  /**
   * Throws DEFINITION_INVALID where a topic changes in a way that it is declared not to, against what is in force and
   * `others`. Not asked of manifests that were registered once.
   */
  checkTopics(manifest: Manifest, others: readonly Manifest[] = []): void {
    const registered = [...this.manifests(), ...others].flatMap(({ topics }) => topics);
    requireCompatible(manifest, (name) => registered.filter((topic) => topic.name === name));
  }

  /** The manifest that an app has now. */
  manifest(app: string): Manifest | null {
    return this.#apps.get(app)?.manifest ?? null;
  }

  manifests(): Manifest[] {
    return [...this.#apps.values()].map((entry) => entry.manifest);
  }

  topic(name: string): TopicEntry | null {
    return this.#topics.get(name) ?? null;
  }

  /** Whether there is a topic that says how much of it is kept. */
  get trimsTopics(): boolean {
    return [...this.#topics.values()].some(
      ({ manifest: { retention, compaction } }) => retention !== undefined || compaction !== undefined,
    );
  }

  workflow(name: string): WorkflowEntry | null {
    return this.#workflows.get(name) ?? (name === webhookWorkflow.name ? ownWorkflow : null);
  }

  /** Whether there is a workflow that is a graph. */
  get hasGraphs(): boolean {
    for (const { manifest } of this.#workflows.values()) if (manifest.graph !== undefined) return true;
    return false;
  }

  /** Agents are no workflows: their runs begin with a message. */
  agent(name: string): AgentEntry | null {
    return this.#agents.get(name) ?? null;
  }

  agentNames(): string[] {
    return [...this.#agents.keys()];
  }

  capability(name: string): CapabilityManifest | null {
    // Deliveries may begin before the server that does them has registered.
    return this.#capabilities.get(name) ?? (name === deliverCapability.name ? deliverCapability : null);
  }

  /** Limits as apps declare them; another map after every change. */
  get limits(): ReadonlyMap<string, LimitSpec> {
    return this.#limits;
  }

  model(name: string): ModelManifest | null {
    return this.#models.get(name) ?? null;
  }

  /** Models that apps declare, by name. */
  get models(): ReadonlyMap<string, ModelManifest> {
    return this.#models;
  }

  /** Faults of a plain JSON value against a schema of a manifest that is in force. */
  fits(schema: JsonSchema, value: unknown): readonly string[] {
    return this.#checks.compile(schema)(value);
  }

  /** Subscriptions that apps declare, by name; another map after every change. */
  get subscriptions(): ReadonlyMap<string, Subscription> {
    return this.#subscriptions;
  }

  /** Sources of webhooks that apps declare, by name. */
  get webhooks(): ReadonlyMap<string, WebhookSource> {
    return this.#webhooks;
  }

  /** Whether there is a workflow that says which signals it takes. */
  get declaresSignals(): boolean {
    return [...this.#workflows.values()].some(({ signals }) => signals !== null);
  }

  topicNames(): string[] {
    // What no app declares is nobody's slip of the pen.
    return [...this.#topics.keys()].filter(
      (name) => !ownTopics.some((own) => own.name === name) || this.#declares(name),
    );
  }

  workflowNames(): string[] {
    return [...this.#workflows.keys()];
  }

  #declares(topic: string): boolean {
    return [...this.#apps.values()].some(({ manifest }) => manifest.topics.some(({ name }) => name === topic));
  }

  #rebuild(): void {
    const topics = new Map<string, TopicManifest>(ownTopics.map((own) => [own.name, own]));
    const workflows = new Map<string, WorkflowEntry>();
    const agents = new Map<string, AgentEntry>();
    const capabilities = new Map<string, CapabilityManifest>();
    const limits = new Map<string, LimitSpec>();
    const models = new Map<string, ModelManifest>();
    const subscriptions = new Map<string, Subscription>();
    const webhooks = new Map<string, WebhookSource>();
    const checks = new Checks();
    for (const { manifest } of this.#apps.values()) {
      for (const model of manifest.models ?? []) models.set(model.name, model);
      for (const topic of manifest.topics) topics.set(topic.name, newerTopic(topics.get(topic.name), topic));
      for (const limit of manifest.limits ?? []) limits.set(limit.name, limit);
      for (const one of manifest.subscriptions ?? []) subscriptions.set(one.name, one);
      for (const one of manifest.webhooks ?? []) webhooks.set(one.name, one);
      const tools = manifest.tools === undefined ? null : toolPolicyOf(manifest.tools, checks);
      for (const workflow of manifest.workflows) {
        const entry: WorkflowEntry = {
          manifest: workflow,
          check: workflow.input === null ? null : checks.compile(workflow.input),
          signals:
            workflow.signals === undefined
              ? null
              : new Map(workflow.signals.map(({ name, schema }) => [name, checks.compile(schema)])),
          tools,
        };
        // A name belongs to whatever it was registered for last.
        workflows.delete(workflow.name);
        agents.delete(workflow.name);
        if (workflow.agent === undefined) workflows.set(workflow.name, entry);
        else {
          const messages = workflow.agent.messages.map(({ name, schema }) => [name, checks.compile(schema)] as const);
          agents.set(workflow.name, { ...entry, messages: new Map(messages) });
        }
      }
      for (const capability of manifest.capabilities) {
        // The app that implements a capability knows its retries best; one that only calls it does not overrule.
        if (capability.implemented || !capabilities.has(capability.name)) capabilities.set(capability.name, capability);
      }
    }
    const entries = new Map<string, TopicEntry>();
    for (const [name, manifest] of topics) {
      const triggers = [...workflows.values()].filter((w) => w.manifest.on === name).map((w) => w.manifest.name);
      const listening = [...agents.values()].filter(({ manifest: { agent } }) =>
        agent?.messages.some((message) => message.topic && message.name === name),
      );
      entries.set(name, {
        manifest,
        triggers,
        agents: listening.map((agent) => agent.manifest.name),
        schemas: new TopicSchemas(manifest, (schema) => checks.compile(schema)),
      });
    }
    this.#checks = checks;
    this.#topics = entries;
    this.#workflows = workflows;
    this.#agents = agents;
    this.#capabilities = capabilities;
    this.#limits = limits;
    this.#models = models;
    this.#subscriptions = subscriptions;
    this.#webhooks = webhooks;
  }
}

/** Its runs may be born before the server that delivers has registered it. */
const ownWorkflow: WorkflowEntry = { manifest: webhookWorkflow, check: null, signals: null, tools: null };

/** In its normal form, whoever wrote it; its faults were looked for before. Throws where a schema cannot be compiled. */
function toolPolicyOf(given: ToolPolicy, checks: Checks): ToolPolicy {
  const policy = readToolPolicy(given, () => undefined);
  for (const { when = null, schema = null } of policy.rules) {
    checks.compile(when);
    checks.compile(schema);
  }
  return policy;
}

function ownEntry(manifest: TopicManifest): TopicEntry {
  return { manifest, triggers: [], agents: [], schemas: new TopicSchemas(manifest, () => () => []) };
}

/** The name of what may not even be a manifest, for the message. */
function appOf(manifest: Manifest | null): string {
  return typeof manifest?.app === 'string' ? manifest.app.slice(0, 40) : 'an app';
}
