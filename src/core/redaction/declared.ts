/**
 * What the apps in force say of the values of their runs and topics: the shapes of what has a schema, and the tags of what
 * has none. Where an app tags any field, its values of unknown shape (results of steps, outputs, messages of failures) may
 * hold what came out of that field, so they count as tagged with all its tags, unless the workflow says that they may be
 * shown. What no app in force declares counts as tagged with all tags there are.
 */
import { ownTopics, type JsonSchema, type Manifest, type ShownValues, type WorkflowManifest } from '../manifest.js';
import { Shape } from './shape.js';
import { tagsWithin } from './tags.js';

/** What can be said of all values of one kind that a run has; steps and what else has a path is named one by one. */
export type ShownKind = Exclude<keyof ShownValues, 'steps'>;

/** Shapes of what belongs to a workflow or an agent. */
export interface WorkflowShapes {
  /** Tags of its values of unknown shape; empty = nothing of it is hidden from anybody. */
  readonly tags: ReadonlySet<string>;
  /** Of values that nothing is said of. */
  readonly unknown: Shape;
  readonly input: Shape;
  readonly output: Shape;
  /** Of what a body says when it refuses. */
  readonly refusal: Shape;
  signal(name: string): Shape;
  /** Of a message to the agent. */
  message(type: string): Shape;
  /** Whether values of a kind may be shown to everybody. */
  shows(kind: ShownKind): boolean;
  /** Whether what has this path may be shown to everybody. */
  showsAt(path: string): boolean;
}

export class Declarations {
  readonly #manifests: readonly Manifest[];
  /** All tags in force; empty = nobody has tagged anything. */
  readonly tags: ReadonlySet<string>;
  readonly #tagsOfApp: ReadonlyMap<Manifest, ReadonlySet<string>>;
  readonly #workflows = new Map<string, WorkflowShapes>();
  readonly #topics = new Map<string, Shape>();
  readonly #capabilities = new Map<string, { readonly input: Shape; readonly output: Shape }>();
  readonly #unknown: Shape;
  readonly #unknownWorkflow: WorkflowShapes;

  constructor(manifests: readonly Manifest[]) {
    this.#manifests = manifests;
    this.#tagsOfApp = new Map(manifests.map((manifest) => [manifest, tagsWithin(schemasOf(manifest))]));
    this.tags = new Set([...this.#tagsOfApp.values()].flatMap((tags) => [...tags]));
    this.#unknown = new Shape([], this.tags);
    this.#unknownWorkflow = this.#shapesOf([]);
  }

  /** True where these are the manifests that it was made of. */
  isOf(manifests: readonly Manifest[]): boolean {
    return manifests.length === this.#manifests.length && manifests.every((one, i) => one === this.#manifests[i]);
  }

  workflow(name: string): WorkflowShapes {
    // What engines run themselves works on values of whoever it is run for.
    if (isOwnName(name)) return this.#unknownWorkflow;
    return (
      remembered(this.#workflows, name, () => {
        const found = this.#manifests.flatMap((manifest) =>
          manifest.workflows.filter((one) => one.name === name).map((workflow) => ({ manifest, workflow })),
        );
        return found.length === 0 ? null : this.#shapesOf(found);
      }) ?? this.#unknownWorkflow
    );
  }

  /** Of the data of a topic's events. */
  topic(name: string): Shape {
    return (
      remembered(this.#topics, name, () => {
        const found = this.#manifests.flatMap((manifest) =>
          manifest.topics.filter((one) => one.name === name).map((topic) => ({ manifest, topic })),
        );
        if (found.length === 0) return null;
        const schemas = found.flatMap(({ topic }) => [
          topic.schema,
          ...(topic.versions ?? []).map((one) => one.schema),
        ]);
        return new Shape(schemas, this.#tagsOf(found));
      }) ?? this.#unknown
    );
  }

  /** Tags of the field that events of a topic are kept in order by. */
  tagsOfKey(name: string): ReadonlySet<string> {
    const keys = this.#manifests.flatMap(({ topics }) =>
      topics.filter((one) => one.name === name).map((one) => one.key),
    );
    if (keys.length === 0) return isOwnTopic(name) ? new Set() : this.tags;
    return new Set(keys.flatMap((key) => (key === null ? [] : [...this.topic(name).tagsAt(key)])));
  }

  capability(name: string): { readonly input: Shape; readonly output: Shape } {
    if (isOwnName(name)) return { input: this.#unknown, output: this.#unknown };
    return (
      remembered(this.#capabilities, name, () => {
        const found = this.#manifests.flatMap((manifest) =>
          manifest.capabilities.filter((one) => one.name === name).map((capability) => ({ manifest, capability })),
        );
        if (found.length === 0) return null;
        const tags = this.#tagsOf(found);
        const shape = (schema: (one: (typeof found)[number]['capability']) => JsonSchema | null): Shape =>
          new Shape(
            found.map(({ capability }) => schema(capability)),
            tags,
          );
        return { input: shape((one) => one.input), output: shape((one) => one.output) };
      }) ?? { input: this.#unknown, output: this.#unknown }
    );
  }

  #tagsOf(found: readonly { readonly manifest: Manifest }[]): ReadonlySet<string> {
    return new Set(found.flatMap(({ manifest }) => [...(this.#tagsOfApp.get(manifest) ?? [])]));
  }

  /** Of none: nobody in force declares it. */
  #shapesOf(found: readonly { readonly manifest: Manifest; readonly workflow: WorkflowManifest }[]): WorkflowShapes {
    const tags = found.length === 0 ? this.tags : this.#tagsOf(found);
    const workflows = found.map(({ workflow }) => workflow);
    const shapeOf = (schemas: readonly (JsonSchema | null)[]): Shape => new Shape(schemas, tags);
    const shapeOfNamed = (named: readonly { readonly schema: JsonSchema | null }[]): Shape | null =>
      named.length === 0 ? null : shapeOf(named.map(({ schema }) => schema));
    const shows = (kind: ShownKind): boolean =>
      workflows.length > 0 && workflows.every(({ shows: shown }) => shown?.[kind] === true);
    const completes = workflows.map((workflow) => workflow.completes);
    const signals = new Map<string, Shape>();
    const messages = new Map<string, Shape>();
    const unknown = new Shape([], tags);
    return {
      tags,
      unknown,
      input: shapeOf(workflows.map(({ input }) => input)),
      output: shows('output')
        ? new Shape([])
        : completes.length > 0 && completes.every((topic) => topic !== null)
          ? shapeOf(completes.flatMap((topic) => this.#schemasOfTopic(topic)))
          : unknown,
      refusal: shows('output') ? new Shape([]) : unknown,
      signal: (name) =>
        remembered(signals, name, () =>
          shapeOfNamed(workflows.flatMap((one) => one.signals?.filter((signal) => signal.name === name) ?? [])),
        ) ?? unknown,
      message: (type) =>
        remembered(messages, type, () =>
          shapeOfNamed(
            workflows.flatMap((one) => one.agent?.messages.filter((message) => message.name === type) ?? []),
          ),
        ) ?? unknown,
      shows,
      showsAt: (path) =>
        workflows.length > 0 && workflows.every(({ shows: shown }) => shown?.steps?.includes(nameOf(path)) === true),
    };
  }

  #schemasOfTopic(name: string): (JsonSchema | null)[] {
    return this.#manifests.flatMap(({ topics }) =>
      topics
        .filter((one) => one.name === name)
        .flatMap((topic) => [topic.schema, ...(topic.versions ?? []).map((version) => version.schema)]),
    );
  }
}

/** True for what engines define themselves. */
function isOwnName(name: string): boolean {
  return name.startsWith('eventspine.');
}

/** True for topics that engines publish to themselves. */
export function isOwnTopic(name: string): boolean {
  return isOwnName(name) || ownTopics.some((topic) => topic.name === name);
}

/** Everything of a manifest that says what values are. */
function schemasOf({ topics, workflows, capabilities }: Manifest): readonly unknown[] {
  return [
    ...topics.flatMap(({ schema, versions = [] }) => [schema, ...versions.map((version) => version.schema)]),
    ...workflows.flatMap(({ input, signals = [], agent }) => [
      input,
      ...signals.map(({ schema }) => schema),
      ...(agent?.messages ?? []).map(({ schema }) => schema),
    ]),
    ...capabilities.flatMap(({ input, output }) => [input, output]),
  ];
}

/** The path of a step without its keys, and without those of what it lies in: `page/mail` of `page:3/mail:7`. */
function nameOf(path: string): string {
  return path
    .split('/')
    .map((segment) => segment.split(':', 1)[0] ?? '')
    .join('/');
}

/** Names come from outside too; only those that are declared are kept. */
function remembered<T>(known: Map<string, T>, name: string, make: () => T | null): T | null {
  const found = known.get(name);
  if (found !== undefined) return found;
  const made = make();
  if (made !== null) known.set(name, made);
  return made;
}
