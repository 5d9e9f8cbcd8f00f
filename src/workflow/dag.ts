/**
 * Graphs as workflows: nodes that say what they come after and what they read, as data. Servers run them without a worker that
 * holds the run and without replay; only the work of the nodes is done by workers. Making one opens and runs nothing.
 */
import type { Duration } from '../core/duration.js';
import { graphFaults, isCondition, isSelection } from '../core/graph/graph-faults.js';
import {
  inputRoot,
  pathsOfNode,
  rootOf,
  type Graph,
  type GraphMap,
  type GraphNode,
  type Selection,
} from '../core/graph/graph.js';
import { limits } from '../core/limits.js';
import type { ShownValues } from '../core/manifest.js';
import { defaultRetry } from '../core/retry.js';
import type { StandardSchema } from '../core/standard-schema.js';
import { capability, type Capability, type Handler, type HandlerContext } from './capability.js';
import type {
  CheckedNodes,
  CheckedOutput,
  DagData,
  DagInput,
  DagMap,
  DagNode,
  DagNodes,
  DagResult,
  DagWork,
} from './dag-types.js';
import { OptionFaults } from './options.js';
import { readRemedies } from './remedy-options.js';
import { readRetry } from './retry-options.js';
import type { Topic } from './topic.js';
import { checkShows, type Workflow } from './workflow.js';

/** Options that every graph may have. */
export interface DagOptions<Out = unknown> {
  /** Shown with the runs. A run goes on with the graph that it began with, whatever its version. */
  readonly version?: string;
  /** Topic to which the result of a successful run is published. */
  readonly completes?: Topic<string, Out>;
  /** How long an ended run is kept. Default: for ever. */
  readonly retain?: Duration;
  /** Longest time from start to end; then the run fails with class `timeout`. Default: none. */
  readonly timeout?: Duration;
  /** Higher goes first, 0 to 9. Default 5. */
  readonly priority?: number;
  /** Which of its values everybody may see, where fields of the app are tagged; `steps` names nodes. Default: none. */
  readonly shows?: ShownValues;
}

/** A workflow that is a graph. */
export interface Dag<Name extends string = string, In = unknown, Out = unknown> extends Workflow<Name, In, Out> {
  /** The graph as data, to be drawn or compared. */
  readonly graph: Graph;
  /** The functions of its nodes, as handlers of capabilities that are named `<graph>.<node>`. */
  readonly handlers: readonly Handler[];
  /** What its nodes call. */
  readonly capabilities: readonly Capability[];
}

const optionNames = [
  'on',
  'input',
  'nodes',
  'output',
  'version',
  'completes',
  'retain',
  'timeout',
  'priority',
  'shows',
];
const nodeOptions = [
  'run',
  'after',
  'join',
  'input',
  'when',
  'map',
  'fallback',
  'retry',
  'remedies',
  'timeout',
  'priority',
] as const;

/** Defines a graph, which an input or each event of a topic starts. Fails with OPTIONS_INVALID, naming all faults. */
export function dag<
  const Name extends string,
  const Nodes extends DagNodes,
  T extends Topic | undefined = undefined,
  S extends StandardSchema | undefined = undefined,
  const O extends Selection | undefined = undefined,
>(
  name: Name,
  options: DagOptions<DagResult<NoInfer<Nodes>, DagData<NoInfer<T>, NoInfer<S>>, NoInfer<O>>> & {
    /** Topic whose events start a run each; the data of the event is the input. */
    readonly on?: T;
    /** Schema of the input. Default: anything. */
    readonly input?: S;
    readonly nodes: Nodes & CheckedNodes<Nodes, DagData<T, S>>;
    /** What the run results in. Default: an object of the results of the nodes that nobody comes after. */
    readonly output?: O & CheckedOutput<NoInfer<Nodes>, DagData<NoInfer<T>, NoInfer<S>>, O>;
  },
): Dag<Name, DagInput<T, S>, DagResult<Nodes, DagData<T, S>, O>>;
export function dag(
  name: string,
  options: DagOptions & {
    readonly on?: Topic;
    readonly input?: StandardSchema;
    readonly nodes: DagNodes;
    readonly output?: Selection;
  },
): Dag {
  const faults = new OptionFaults(`dag "${name}"`);
  const { on, input, version, completes, retain, timeout, priority, output, shows } = options;
  faults.name(name);
  faults.unknownNames(options, optionNames);
  faults.schema('input', input);
  if (on !== undefined && on.kind !== 'topic') faults.add('on must be a topic');
  if (completes !== undefined && completes.kind !== 'topic') faults.add('completes must be a topic');
  if (on !== undefined && input !== undefined) faults.add('give input or on, not both: the topic has the schema');
  faults.integer('priority', priority, { min: 0, max: limits.priorityMax });
  if (version !== undefined && (typeof version !== 'string' || !/^[\w.-]{1,64}$/.test(version)))
    faults.add('version must be 1 to 64 letters, digits, ".", "-" or "_"');
  if (output !== undefined && !isSelection(output)) faults.add('output must be a path or an object of paths');
  checkShows(faults, shows);
  const reader = new NodeReader(name, faults);
  const given: unknown = options.nodes;
  const isRecord = typeof given === 'object' && given !== null && !Array.isArray(given);
  if (!isRecord) faults.add('nodes must be an object of nodes');
  const nodes = isRecord ? Object.entries(options.nodes).flatMap(([own, node]) => reader.read(own, node)) : [];
  const graph: Graph = { nodes, ...(output === undefined ? {} : { output }) };
  const retainMs = faults.duration('retain', retain, null);
  const timeoutMs = faults.duration('timeout', timeout, null, 1);
  if (isRecord && !reader.failed) for (const fault of graphFaults(graph)) faults.add(fault);
  faults.throwIfAny();
  return {
    kind: 'workflow',
    name,
    version: version ?? null,
    previous: [],
    signals: [],
    ...(shows === undefined ? {} : { shows }),
    input: input ?? on?.schema ?? null,
    on: on ?? null,
    completes: completes ?? null,
    retainMs,
    timeoutMs,
    deadlineMs: limits.activationDeadlineMs,
    retry: defaultRetry,
    priority: priority ?? limits.priorityDefault,
    body: () => {
      throw new Error('Invariant broken: a graph has no body');
    },
    graph,
    handlers: reader.handlers,
    capabilities: reader.capabilities,
  };
}

/** Reads nodes as the user wrote them, and gathers the capabilities that they call. */
class NodeReader {
  readonly handlers: Handler[] = [];
  readonly capabilities: Capability[] = [];
  /** A node is not even one: what it has to do with the others cannot be told. */
  failed = false;
  readonly #dag: string;
  readonly #faults: OptionFaults;

  constructor(dagName: string, faults: OptionFaults) {
    this.#dag = dagName;
    this.#faults = faults;
  }

  read(name: string, node: DagNode): GraphNode[] {
    const faults = new NodeFaults(`node "${name}"`, this.#faults);
    const given: unknown = node;
    if (typeof given !== 'object' || given === null) {
      faults.add('it must be an object such as { run: aCapability }');
      this.failed = true;
      return [];
    }
    faults.unknownNames(node, nodeOptions);
    const { after = [], join, input, when, fallback, priority } = node;
    if (!isTextList(after)) faults.add('after must be a list of names of nodes');
    if (!isJoin(join)) faults.add("join must be 'all', 'any', 'settled' or { atLeast: n }");
    if (input !== undefined && !isSelection(input)) faults.add('input must be a path or an object of paths');
    if (when !== undefined && !isCondition(when))
      faults.add('when must be a condition such as { path: "text.pages", gt: 3 }');
    const map = readMap(node.map, faults);
    faults.integer('priority', priority, { min: 0, max: limits.priorityMax });
    const timeoutMs = faults.duration('timeout', node.timeout, undefined, 1);
    const work = this.#capabilityOf(name, 'run', node, faults);
    const standIn = fallback === undefined ? null : this.#capabilityOf(`${name}.fallback`, 'fallback', node, faults);
    const retry = node.retry === undefined ? undefined : readRetry(node.retry, faults, work?.retry ?? defaultRetry);
    const remedies = readRemedies(node.remedies, faults);
    if (faults.count > 0 || work === null) {
      this.failed = true;
      return [];
    }
    const read = {
      ...(input === undefined ? {} : { input }),
      ...(when === undefined ? {} : { when }),
      ...(map === undefined ? {} : { map }),
    };
    return [
      {
        name,
        capability: work.name,
        after: [...new Set([...after, ...readFrom(read, join)])],
        ...(join === undefined || join === 'all' ? {} : { join }),
        ...read,
        ...(standIn === null ? {} : { fallback: standIn.name }),
        ...(retry === undefined ? {} : { retry }),
        ...(Object.keys(remedies).length === 0 ? {} : { remedies }),
        ...(timeoutMs === undefined ? {} : { deadlineMs: timeoutMs }),
        ...(priority === undefined ? {} : { priority }),
      },
    ];
  }

  #capabilityOf(name: string, option: 'run' | 'fallback', node: DagNode, faults: NodeFaults): Capability | null {
    const work: DagWork | undefined = node[option];
    if (typeof work === 'function') {
      const { retry, timeout } = node;
      const own = `${this.#dag}.${name}`;
      if (own.length > limits.nameLengthMax) {
        faults.add(`its function would be called "${own}", which is too long`);
        return null;
      }
      const handler = inline(own, work, {
        ...(retry === undefined || faults.count > 0 ? {} : { retry }),
        ...(timeout === undefined || faults.count > 0 ? {} : { timeout }),
      });
      this.handlers.push(handler);
      this.capabilities.push(handler.capability);
      return handler.capability;
    }
    if (work !== undefined && (work as Partial<Capability> | null)?.kind === 'capability') {
      this.capabilities.push(work);
      return work;
    }
    faults.add(`${option} must be a capability or a function`);
    return null;
  }
}

function inline(
  name: string,
  work: (input: never, context: HandlerContext) => unknown,
  options: Pick<DagNode, 'retry' | 'timeout'>,
): Handler {
  // Its parameter is what the node is given, which is where its type comes from.
  return capability(name, options).implement((input, context) => work(input as never, context));
}

/** Nodes that are read from come before, where all before are needed; else the choice of those is the user's. */
function readFrom(node: Pick<GraphNode, 'input' | 'when' | 'map'>, join: DagNode['join']): string[] {
  if (join !== undefined && join !== 'all') return [];
  return pathsOfNode(node)
    .map(rootOf)
    .filter((root) => root !== inputRoot);
}

function readMap(given: DagNode['map'], faults: NodeFaults): GraphMap | undefined {
  if (given === undefined) return undefined;
  const map: DagMap = typeof given === 'string' ? { over: given } : given;
  const fault = 'map must be the path of a list, or an object such as { over: "text.pages" }';
  if (typeof map !== 'object' || map === null || typeof map.over !== 'string' || map.over === '') {
    faults.add(fault);
    return undefined;
  }
  const { over, key, concurrency, onError } = map;
  faults.unknownNames(map, ['over', 'key', 'concurrency', 'onError']);
  if (key !== undefined && (typeof key !== 'string' || key === '')) faults.add('map.key must be a path inside an item');
  faults.integer('map.concurrency', concurrency, { min: 1, max: limits.graphItemsMax });
  if (onError !== undefined && onError !== 'throw' && onError !== 'settle')
    faults.add("map.onError must be 'throw' or 'settle'");
  return {
    over,
    ...(key === undefined ? {} : { key }),
    concurrency: concurrency ?? limits.mapConcurrencyDefault,
    onError: onError ?? 'throw',
  };
}

function isTextList(value: unknown): boolean {
  return Array.isArray(value) && value.every((one) => typeof one === 'string');
}

function isJoin(value: DagNode['join']): boolean {
  if (value === undefined || value === 'all' || value === 'any' || value === 'settled') return true;
  const atLeast: unknown = typeof value === 'object' ? (value as Partial<typeof value> | null)?.atLeast : undefined;
  return Number.isInteger(atLeast) && Number(atLeast) >= 1;
}

/** Faults of one node, told with its name among those of the graph. */
class NodeFaults extends OptionFaults {
  readonly #node: string;
  readonly #all: OptionFaults;
  count = 0;

  constructor(node: string, all: OptionFaults) {
    super(node);
    this.#node = node;
    this.#all = all;
  }

  override add(fault: string): void {
    this.count += 1;
    this.#all.add(`${this.#node}: ${fault}`);
  }
}
