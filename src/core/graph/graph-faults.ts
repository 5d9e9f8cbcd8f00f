/**
 * What is wrong with a graph, in words: all of it at once. The same check at definition, where it is the user's own text, and
 * where a server is given a manifest, of which it believes nothing.
 */
import { isRemedyPolicy } from '../remedies.js';
import { limits } from '../limits.js';
import {
  inputRoot,
  itemRoots,
  pathsOfNode,
  pathsOfSelection,
  rootOf,
  type Condition,
  type Graph,
  type GraphNode,
  type Selection,
} from './graph.js';

const namePattern = /^[\p{L}\p{N}][\p{L}\p{N}_-]*$/u;

/** Faults of a graph whose shape is that of the type. */
export function graphFaults(graph: Graph): string[] {
  const { nodes, output } = graph;
  const faults: string[] = [];
  if (nodes.length === 0) faults.push('a graph needs at least one node');
  if (nodes.length > limits.graphNodesMax) faults.push(`${nodes.length} nodes, of ${limits.graphNodesMax} at most`);
  const names = nodes.map(({ name }) => name);
  const known = new Set(names);
  if (known.size < names.length) faults.push('two nodes have one name');
  for (const node of nodes) faults.push(...nodeFaults(node, known).map((fault) => `node "${node.name}": ${fault}`));
  for (const path of output === undefined ? [] : pathsOfSelection(output)) {
    const fault = pathFault(path, [inputRoot, ...names]);
    if (fault !== null) faults.push(`output: ${fault}`);
  }
  const cycle = cycleOf(nodes);
  if (cycle !== null) faults.push(`the nodes wait for each other in a circle: ${cycle.join(' -> ')}`);
  const { length } = JSON.stringify(graph);
  if (length > limits.graphTextLengthMax)
    faults.push(`its definition has ${length} characters, of ${limits.graphTextLengthMax} at most`);
  return faults;
}

function nodeFaults(node: GraphNode, known: ReadonlySet<string>): string[] {
  const { name, after, join, map } = node;
  const faults: string[] = [];
  if (!namePattern.test(name) || name.length > limits.graphNodeNameLengthMax)
    faults.push(`a name has 1 to ${limits.graphNodeNameLengthMax} letters, digits, "-" and "_"`);
  if (name === inputRoot || itemRoots.includes(name))
    faults.push(`"${name}" means something else in paths; call it otherwise`);
  for (const other of after)
    if (!known.has(other)) faults.push(`after names "${other}", which is no node; there are ${listed([...known])}`);
  if (new Set(after).size < after.length) faults.push('after names a node twice');
  if (typeof join === 'object' && join.atLeast > after.length)
    faults.push(`join wants ${join.atLeast} of ${after.length} nodes`);
  const roots = [inputRoot, ...known];
  for (const path of pathsOfNode(node)) {
    const fault = pathFault(path, roots);
    if (fault !== null) faults.push(fault);
    else if (rootOf(path) !== inputRoot && !after.includes(rootOf(path)))
      faults.push(`"${path}" is read, but "${rootOf(path)}" is not in after`);
  }
  if (map !== undefined && map.key?.split('.').includes('') === true) faults.push(`key "${map.key}" is not a path`);
  return faults;
}

function pathFault(path: string, roots: readonly string[]): string | null {
  if (path.split('.').includes('')) return `"${path}" is not a path such as "input.id"`;
  if (roots.includes(rootOf(path))) return null;
  if (itemRoots.includes(rootOf(path))) return `"${path}" is there in a map only, in its input`;
  return `"${path}" begins with "${rootOf(path)}", which is no node; there are ${listed(roots)}`;
}

function listed(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(', ');
}

/** Nodes that come after each other in a circle, the first one again at the end; null = there is no circle. */
export function cycleOf(nodes: readonly Pick<GraphNode, 'name' | 'after'>[]): string[] | null {
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const done = new Set<string>();
  const trail: string[] = [];
  const visit = (name: string): string[] | null => {
    if (done.has(name)) return null;
    const from = trail.indexOf(name);
    // The trail goes from a node to those it waits for; work goes the other way.
    if (from >= 0) return [...trail.slice(from), name].reverse();
    trail.push(name);
    for (const other of byName.get(name)?.after ?? []) {
      const found = visit(other);
      if (found !== null) return found;
    }
    trail.pop();
    done.add(name);
    return null;
  };
  for (const { name } of nodes) {
    const found = visit(name);
    if (found !== null) return found;
  }
  return null;
}

/** True for what has the shape of a graph, whoever sent it. */
export function isGraph(value: unknown): value is Graph {
  if (!isRecord(value) || !Array.isArray(value['nodes'])) return false;
  const { nodes, output } = value as { readonly nodes: readonly unknown[]; readonly output?: unknown };
  return nodes.every(isNode) && (output === undefined || isSelection(output));
}

function isNode(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const { name, capability, after, join, input, when, map, fallback, deadlineMs, priority, retry, remedies } = value;
  return (
    isText(name) &&
    isText(capability) &&
    Array.isArray(after) &&
    after.every(isText) &&
    (join === undefined ||
      join === 'all' ||
      join === 'any' ||
      join === 'settled' ||
      (isRecord(join) && isWhole(join['atLeast'], 1))) &&
    (input === undefined || isSelection(input)) &&
    (when === undefined || isCondition(when)) &&
    (map === undefined || isMap(map)) &&
    (fallback === undefined || isText(fallback)) &&
    (deadlineMs === undefined || isWhole(deadlineMs, 1)) &&
    (priority === undefined || (isWhole(priority, 0) && Number(priority) <= limits.priorityMax)) &&
    (retry === undefined || isRetry(retry)) &&
    (remedies === undefined || isRemedyPolicy(remedies))
  );
}

function isMap(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const { over, key, concurrency, onError } = value;
  return (
    isText(over) &&
    (key === undefined || isText(key)) &&
    isWhole(concurrency, 1) &&
    (onError === 'throw' || onError === 'settle')
  );
}

function isRetry(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const { attempts, minMs, maxMs, factor } = value;
  return (
    isWhole(attempts, 1) &&
    Number(attempts) <= limits.retryAttemptsMax &&
    [minMs, maxMs, factor].every((one) => typeof one === 'number' && one >= 0)
  );
}

/** True for what has the shape of a selection. */
export function isSelection(value: unknown, depth = 0): value is Selection {
  if (typeof value === 'string') return value !== '';
  return (
    isRecord(value) && depth < limits.graphDepthMax && Object.values(value).every((v) => isSelection(v, depth + 1))
  );
}

/** True for what has the shape of a condition: one question, and nothing beside it. */
export function isCondition(value: unknown, depth = 0): value is Condition {
  if (!isRecord(value) || depth >= limits.graphDepthMax) return false;
  const { path, ...rest } = value;
  const [[test, against] = ['', undefined], ...others] = Object.entries(rest);
  if (others.length > 0) return false;
  if (path === undefined) {
    if (test === 'not') return isCondition(against, depth + 1);
    return (
      (test === 'all' || test === 'any') && Array.isArray(against) && against.every((c) => isCondition(c, depth + 1))
    );
  }
  if (!isText(path)) return false;
  if (test === 'equals') return isScalar(against);
  if (test === 'in') return Array.isArray(against) && against.every(isScalar);
  if (test === 'exists') return typeof against === 'boolean';
  return ['gt', 'gte', 'lt', 'lte'].includes(test) && typeof against === 'number';
}

function isScalar(value: unknown): boolean {
  return value === null || ['string', 'number', 'boolean'].includes(typeof value);
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= limits.pathLengthMax;
}

function isWhole(value: unknown, min: number): boolean {
  return Number.isInteger(value) && Number(value) >= min;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
