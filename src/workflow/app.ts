/**
 * An app: workflows, handlers, topics and capabilities as one value. Importing a module that makes one opens nothing;
 * the manifest is made when it is first asked for. Workers look definitions up here, clients take only the type.
 */
import { canonicalJson } from '../core/canonical-json.js';
import type { Manifest } from '../core/manifest.js';
import type { RemedyPolicy } from '../core/remedies.js';
import type { ToolPolicy } from '../core/tools/policy.js';
import type { Agent } from './agent.js';
import type { Capability, Handler } from './capability.js';
import type { Limit } from './limit.js';
import { jsonSchemaOf } from './json-schema-of.js';
import { manifestOf } from './manifest-of.js';
import { OptionFaults } from './options.js';
import type { Model } from './model.js';
import type { AnyPrompt } from './prompt.js';
import { readRemedies } from './remedy-options.js';
import type { Schedule } from './schedule.js';
import { selectorFault } from './selector.js';
import type { Subscription } from './subscription.js';
import { readTools, type ToolsOptions } from './tool-options.js';
import type { Topic } from './topic.js';
import type { Webhook } from './webhook.js';
import type { AnyWorkflow, Workflow } from './workflow.js';

/** Options of `defineApp`. */
export interface AppOptions<
  Workflows extends readonly AnyWorkflow[],
  Handlers extends readonly Handler[],
  Topics extends readonly Topic[],
  Capabilities extends readonly Capability[],
  Agents extends readonly Agent[] = readonly Agent[],
> {
  /** Name under which servers keep the manifest; apps on one server need different ones. Default `app`. */
  readonly name?: string;
  readonly workflows?: Workflows;
  readonly agents?: Agents;
  readonly handlers?: Handlers;
  /** Topics beside those that the workflows name. */
  readonly topics?: Topics;
  /** Capabilities beside those of the handlers: called here, implemented elsewhere. */
  readonly capabilities?: Capabilities;
  /** Limits beside those that capabilities name: those that hold for every inference. */
  readonly limits?: readonly Limit[];
  /** Models that its bodies ask (`ctx.infer`). */
  readonly models?: readonly Model[];
  /** Prompts that its bodies ask by, so that their names and versions are in the manifest. */
  readonly prompts?: readonly AnyPrompt[];
  /** What starts workflows of the app again and again. A later manifest without one removes it. */
  readonly schedules?: readonly Schedule[];
  /** What its topics are read by: durable cursors, whose events start runs or are pulled. */
  readonly subscriptions?: readonly Subscription[];
  /** Webhooks of other systems that become events of its topics. */
  readonly webhooks?: readonly Webhook[];
  /**
   * What is done about failures, by class, where nothing closer says otherwise: a model, a capability, a node of a graph, a
   * step or an inference. Default: `auto` for all.
   */
  readonly remedies?: RemedyPolicy;
  /**
   * What models may have done by tools, and who is asked: docs/guides/tools.md. With it each call of a tool is judged, and one
   * with an effect outside needs a rule that allows it. Default: all is allowed that no operator forbids.
   */
  readonly tools?: ToolsOptions;
}

/** An app of any types. */
export interface AnyApp {
  readonly kind: 'app';
  readonly name: string;
  readonly workflows: readonly AnyWorkflow[];
  readonly agents: readonly Agent[];
  readonly handlers: readonly Handler[];
  /** Declared ones and those that workflows name. */
  readonly topics: readonly Topic[];
  /** Declared ones and those of the handlers. */
  readonly capabilities: readonly Capability[];
  /** Declared ones and those that capabilities name. */
  readonly limits: readonly Limit[];
  readonly schedules: readonly Schedule[];
  readonly subscriptions: readonly Subscription[];
  readonly webhooks: readonly Webhook[];
  readonly models: readonly Model[];
  readonly prompts: readonly AnyPrompt[];
  readonly remedies: RemedyPolicy;
  /** Null = nothing is said of tools. */
  readonly tools: ToolPolicy | null;
  /** The definitions as data; made on first use. */
  readonly manifest: Manifest;
}

/** An app with the types of what it was made of. */
export interface App<
  Workflows extends readonly AnyWorkflow[] = readonly AnyWorkflow[],
  Topics extends readonly Topic[] = readonly Topic[],
  Agents extends readonly Agent[] = readonly Agent[],
> extends AnyApp {
  readonly workflows: Workflows;
  readonly agents: Agents;
  /** Types only; never set. */
  readonly types?: { readonly topics: Topics };
}

/** Joins definitions to an app. Fails with OPTIONS_INVALID, naming all faults. */
export function defineApp<
  const Workflows extends readonly AnyWorkflow[] = readonly [],
  const Handlers extends readonly Handler[] = readonly [],
  const Topics extends readonly Topic[] = readonly [],
  const Capabilities extends readonly Capability[] = readonly [],
  const Agents extends readonly Agent[] = readonly [],
>(options: AppOptions<Workflows, Handlers, Topics, Capabilities, Agents>): App<Workflows, Topics, Agents> {
  const name = options.name ?? 'app';
  const faults = new OptionFaults(`app "${name}"`);
  faults.name(name);
  faults.unknownNames(options, [
    'name',
    'workflows',
    'agents',
    'handlers',
    'topics',
    'capabilities',
    'limits',
    'models',
    'prompts',
    'schedules',
    'subscriptions',
    'webhooks',
    'remedies',
    'tools',
  ]);
  const workflows = listOf(faults, 'workflows', 'workflow', options.workflows);
  const agents = listOf(faults, 'agents', 'agent', options.agents);
  const handlers = [
    ...listOf(faults, 'handlers', 'handler', options.handlers),
    ...workflows.flatMap((one) => one.handlers ?? []),
  ];
  const subscriptions = listOf(faults, 'subscriptions', 'subscription', options.subscriptions);
  const webhooks = listOf(faults, 'webhooks', 'webhook', options.webhooks);
  const topics = unique(faults, 'topic', [
    ...listOf(faults, 'topics', 'topic', options.topics),
    ...workflows.flatMap(({ on, completes }) => [on, completes].filter((one) => one !== null)),
    ...agents.flatMap(topicsOf),
    ...subscriptions.flatMap(({ topic, dead }) => (dead === null ? [topic] : [topic, dead])),
    ...webhooks.map(({ topic }) => topic),
  ]);
  const capabilities = unique(faults, 'capability', [
    ...listOf(faults, 'capabilities', 'capability', options.capabilities),
    ...handlers.map((handler) => handler.capability),
    ...workflows.flatMap((one) => one.capabilities ?? []),
  ]);
  const models = listOf(faults, 'models', 'model', options.models);
  const prompts = listOf(faults, 'prompts', 'prompt', options.prompts);
  refuseDuplicates(
    faults,
    'prompt',
    prompts.map((one) => one.name),
  );
  const limits = unique(faults, 'limit', [
    ...listOf(faults, 'limits', 'limit', options.limits),
    ...capabilities.flatMap((one) => one.limits),
    ...models.flatMap((one) => one.limits),
  ]);
  const schedules = listOf(faults, 'schedules', 'schedule', options.schedules);
  const remedies = readRemedies(options.remedies, faults);
  const tools = options.tools === undefined ? null : readTools(options.tools, faults);
  refuseDuplicates(
    faults,
    'model',
    models.map((one) => one.name),
  );
  refuseDuplicates(
    faults,
    'workflow',
    workflows.map((one) => one.name),
  );
  refuseDuplicates(
    faults,
    'agent',
    agents.map((one) => one.name),
  );
  for (const { name: one } of agents)
    if (workflows.some((other) => other.name === one)) faults.add(`agent "${one}" has the name of a workflow`);
  refuseDuplicates(
    faults,
    'handler of capability',
    handlers.map((one) => one.capability.name),
  );
  refuseDuplicates(
    faults,
    'schedule',
    schedules.map(({ name: one, tenant }) => (tenant === 'default' ? one : `${tenant}/${one}`)),
  );
  for (const { name: one, start } of schedules)
    if (!workflows.includes(start)) faults.add(`schedule "${one}" starts "${start.name}", which is not in workflows`);
  refuseDuplicates(
    faults,
    'subscription',
    subscriptions.map((one) => one.name),
  );
  for (const { name: one, start } of subscriptions)
    if (start !== null && !workflows.includes(start))
      faults.add(`subscription "${one}" starts "${start.name}", which is not in workflows`);
  refuseDuplicates(
    faults,
    'webhook',
    webhooks.map((one) => one.name),
  );
  for (const topic of topics) checkSelector(faults, topic);
  faults.throwIfAny();

  const implemented = new Set(handlers.map((handler) => handler.capability.name));
  let manifest: Manifest | null = null;
  return {
    kind: 'app',
    name,
    // The list is what was given, or the empty one that the type parameter defaults to.
    workflows: workflows as unknown as Workflows,
    agents: agents as unknown as Agents,
    handlers,
    topics,
    capabilities,
    limits,
    schedules,
    subscriptions,
    webhooks,
    models,
    prompts,
    remedies,
    tools,
    get manifest() {
      manifest ??= manifestOf({
        name,
        topics,
        workflows,
        agents,
        capabilities,
        implemented,
        limits,
        schedules,
        subscriptions,
        webhooks,
        models,
        prompts,
        remedies,
        tools,
      });
      return manifest;
    },
  };
}

/** Topics that the agent takes messages from, or tells of what it has given up on. */
function topicsOf({ messages, onError }: Agent): Topic[] {
  const topics = messages.filter((one) => one.kind === 'topic');
  return typeof onError === 'object' && !('key' in onError) ? [...topics, onError.escalate] : topics;
}

/** Agents run by workflows of their names. */
function currentOf({ workflows, agents }: AnyApp, name: string): AnyWorkflow | undefined {
  return workflows.find((one) => one.name === name) ?? agents.find((one) => one.name === name)?.workflow;
}

/**
 * The workflow that runs of this name and version need; null = not pinned. Undefined where the app does not have it: a
 * run that is not pinned never moves to code that declares a version, since that says that it is not compatible.
 */
export function findWorkflow(app: AnyApp, name: string, version: string | null): AnyWorkflow | undefined {
  const current = currentOf(app, name);
  if (current === undefined || version === current.version) return current;
  return current.previous.find((earlier) => earlier.version === version);
}

/** Versions of a workflow that the app can run, the current first; undefined = it does not have the workflow. */
export function versionsOf(app: AnyApp, name: string): readonly (string | null)[] | undefined {
  const current = currentOf(app, name);
  return current === undefined ? undefined : [current.version, ...current.previous.map((earlier) => earlier.version)];
}

/** The handler of a capability; undefined where the app only calls it or does not know it. */
export function findHandler(app: AnyApp, capability: string): Handler | undefined {
  return app.handlers.find((handler) => handler.capability.name === capability);
}

/** The model of this name; null = the app has none. */
export function findModel(app: Pick<AnyApp, 'models'>, name: string): Model | null {
  return app.models.find((one) => one.name === name) ?? null;
}

/** The topic of this name; null = the app has none. */
export function findTopic(app: Pick<AnyApp, 'topics'>, name: string): Topic | null {
  return app.topics.find((one) => one.name === name) ?? null;
}

/** True for an app of any copy of this package, and for nothing else that a module may export. */
export function isApp(value: unknown): value is AnyApp {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'app' && 'workflows' in value;
}

function listOf<T extends { readonly kind: string }>(
  faults: OptionFaults,
  option: string,
  kind: T['kind'],
  list: readonly T[] | undefined,
): readonly T[] {
  if (list === undefined) return [];
  if (!Array.isArray(list)) {
    faults.add(`${option} must be a list`);
    return [];
  }
  return (list as readonly T[]).filter((one, i) => {
    // Out of plain JavaScript anything may be in the list.
    const found: unknown = (one as Partial<T> | null | undefined)?.kind;
    if (found === kind) return true;
    const mend = found === 'capability' && kind === 'handler' ? '; put it into capabilities, or implement() it' : '';
    faults.add(`${option}[${i}] is not a ${kind}${mend}`);
    return false;
  });
}

/** One of each name. The same name with other content is a fault: one of the two would silently win. */
function unique<T extends Topic | Capability | Limit>(faults: OptionFaults, what: string, list: readonly T[]): T[] {
  const found = new Map<string, T>();
  for (const one of list) {
    const other = found.get(one.name);
    if (other === undefined) found.set(one.name, one);
    else if (!isSame(one, other)) faults.add(`${what} "${one.name}" is defined twice with different content`);
  }
  return [...found.values()];
}

function isSame(one: Topic | Capability | Limit, other: Topic | Capability | Limit): boolean {
  return one === other || plainText(one) === plainText(other);
}

/** What makes two definitions equal; schemas count by what they say of themselves. */
function plainText(one: Topic | Capability | Limit): string {
  if (one.kind === 'limit') return canonicalJson(one.spec);
  if (one.kind === 'topic') {
    const versions = one.versions.map(({ version, schema, up }) => [
      version,
      jsonSchemaOf(schema, 'input'),
      up !== null,
    ]);
    return canonicalJson({ ...one, schema: jsonSchemaOf(one.schema, 'input'), versions });
  }
  const { name, effect, timeoutMs, deadlineMs, retry, remedies, limits } = one;
  const schemas = [jsonSchemaOf(one.input, 'input'), jsonSchemaOf(one.output, 'output')];
  return canonicalJson({
    name,
    effect,
    timeoutMs,
    deadlineMs,
    retry,
    remedies,
    schemas,
    limits: limits.map((limit) => limit.name),
  });
}

function refuseDuplicates(faults: OptionFaults, what: string, names: readonly string[]): void {
  const twice = new Set(names.filter((name, i) => names.indexOf(name) !== i));
  for (const name of twice) faults.add(`${what} "${name}" is there twice`);
}

function checkSelector(faults: OptionFaults, topic: Topic): void {
  const schema = jsonSchemaOf(topic.schema, 'input');
  const fault = topic.key === null ? null : selectorFault(topic.key, schema);
  if (fault !== null) faults.add(`key of topic "${topic.name}": ${fault}`);
  for (const field of topic.index) {
    const indexFault = field === topic.key ? null : selectorFault(field, schema);
    if (indexFault !== null) faults.add(`index of topic "${topic.name}": ${indexFault}`);
  }
}

// Types that clients take out of an app, by type-only import.

type WorkflowsOf<A> = A extends { readonly workflows: infer Workflows }
  ? Workflows extends readonly AnyWorkflow[]
    ? Workflows[number]
    : never
  : never;

/** Names of the workflows of an app. */
export type WorkflowNameOf<A> = WorkflowsOf<A>['name'];

type WorkflowOf<A, Name extends string> = Extract<WorkflowsOf<A>, { readonly name: Name }>;

/** What a client gives to start a workflow of an app. */
export type InputOf<A, Name extends WorkflowNameOf<A>> =
  WorkflowOf<A, Name> extends Workflow<string, infer In> ? In : never;

/** What a run of a workflow of an app results in. */
export type OutputOf<A, Name extends WorkflowNameOf<A>> =
  WorkflowOf<A, Name> extends Workflow<string, unknown, infer Out> ? Out : never;

type AgentsOf<A> = A extends { readonly agents: infer Agents }
  ? Agents extends readonly Agent[]
    ? Agents[number]
    : never
  : never;

/** Names of the agents of an app. */
export type AgentNameOf<A> = AgentsOf<A>['name'];

/** An agent of an app, by its name. */
export type AgentOf<A, Name extends string> = Extract<AgentsOf<A>, { readonly name: Name }>;

type DeclaredTopics<A> = A extends { readonly types?: { readonly topics: infer Topics } }
  ? Topics extends readonly Topic[]
    ? Topics[number]
    : never
  : never;

/** Names of the topics that an app declares. */
export type TopicNameOf<A> = DeclaredTopics<A>['name'];

/** What a client gives to publish to a topic that an app declares. */
export type TopicDataOf<A, Name extends TopicNameOf<A>> =
  Extract<DeclaredTopics<A>, { readonly name: Name }> extends Topic<string, infer In> ? In : never;
