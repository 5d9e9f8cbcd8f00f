/**
 * Plans what comes next in a run of a graph: `wantedRoots` says which values have to be there, `planGraph` what is to be asked
 * for with them. Both are functions of the progress and the values alone, so that whoever plans, however often, plans the same.
 */
import { failure, type Failure } from '../failure.js';
import { isSpineError } from '../errors.js';
import { limits } from '../limits.js';
import { pathOf } from '../paths.js';
import {
  fallbackPath,
  inputRoot,
  itemRoots,
  neededBy,
  pathsOfCondition,
  pathsOfNode,
  pathsOfSelection,
  rootOf,
  type GraphMap,
  type GraphNode,
  type Selection,
  type SkipReason,
} from './graph.js';
import { isNodeEnded, settleMap, type GraphProgress, type NodeProgress } from './progress.js';
import { holds, selected, valueAt, valueWithin, type RootValue } from './select.js';

/** A value, or where it lies as it is: what is handed on whole need not be looked into. */
export type Given =
  | { readonly tag: 'value'; readonly value: unknown }
  | { readonly tag: 'root'; readonly root: string }
  /** The input of the call at `path`. */
  | { readonly tag: 'inputOf'; readonly path: string };

export interface PlannedCall {
  readonly path: string;
  readonly node: GraphNode;
  readonly capability: string;
  readonly given: Given;
}

export interface GraphPlan {
  readonly calls: readonly PlannedCall[];
  readonly skips: readonly { readonly path: string; readonly reason: SkipReason }[];
  readonly fails: readonly { readonly path: string; readonly failure: Failure }[];
  readonly end:
    | { readonly tag: 'succeeded'; readonly output: Given }
    | { readonly tag: 'failed'; readonly failure: Failure; readonly path: string }
    | null;
  /** There is more to be planned, for which values are wanted or which was too much for one plan. */
  readonly more: boolean;
}

/** Roots whose values must be there before what comes next can be planned. */
export function wantedRoots(progress: GraphProgress): Set<string> {
  const wanted = new Set<string>();
  const want = (name: string): void => {
    if (hasValue(progress, name)) wanted.add(name);
  };
  for (const at of progress.nodes.values()) {
    if (at.status === 'waiting' && joinOf(progress, at, statusOf) === 'met') rootsToBegin(progress, at).forEach(want);
    else if (at.status === 'started' && at.node.map !== undefined && isToGoOn(at, at.node.map))
      rootsToBegin(progress, at).forEach(want);
  }
  if (hasEnded(progress)) rootsOfOutput(progress).forEach(want);
  return wanted;
}

/** What is to be asked for. Looks up the lists of maps in `values`, and notes them in `progress`. */
export function planGraph(progress: GraphProgress, values: ReadonlyMap<string, unknown>): GraphPlan {
  const draft: Draft = { progress, values, calls: [], skips: [], fails: [], statuses: new Map(), more: false };
  for (const at of progress.nodes.values()) planNode(draft, at);
  const { calls, skips, fails } = draft;
  const failed = [...progress.nodes.values()].find((at) => statusIn(draft, at) === 'failed' && !isTolerated(at));
  if (failed !== undefined) {
    const { path, failure: cause } = fails.find(({ path }) => path === failed.node.name) ?? {
      path: failed.failedPath,
      failure: failed.failure ?? unknownCause,
    };
    return { calls: [], skips, fails, end: { tag: 'failed', failure: cause, path }, more: false };
  }
  const isIdle = calls.length === 0 && skips.length === 0 && fails.length === 0;
  if (!isIdle || !hasEnded(progress)) return { calls, skips, fails, end: null, more: draft.more };
  const output = outputOf(draft);
  return { calls, skips, fails, end: output === null ? null : { tag: 'succeeded', output }, more: output === null };
}

type Status = NodeProgress['status'];

interface Draft {
  readonly progress: GraphProgress;
  readonly values: ReadonlyMap<string, unknown>;
  readonly calls: PlannedCall[];
  readonly skips: { path: string; reason: SkipReason }[];
  readonly fails: { path: string; failure: Failure }[];
  /** What this plan makes of nodes. */
  readonly statuses: Map<string, Status>;
  more: boolean;
}

const unknownCause = failure({ class: 'unknown', code: 'UNKNOWN', message: 'It failed.', retryable: false });

function statusOf(at: NodeProgress): Status {
  return at.status;
}

function statusIn({ statuses }: Draft, at: NodeProgress): Status {
  return statuses.get(at.node.name) ?? at.status;
}

function planNode(draft: Draft, at: NodeProgress): void {
  const { node } = at;
  if (at.status === 'started') {
    for (const path of at.toStandIn) {
      if (node.fallback === undefined) continue;
      const given: Given = { tag: 'inputOf', path };
      addCall(draft, { path: fallbackPath(path), node, capability: node.fallback, given });
    }
    if (node.map !== undefined) goOn(draft, at, node.map);
    return;
  }
  if (at.status !== 'waiting') return;
  const join = joinOf(draft.progress, at, (other) => statusIn(draft, other));
  if (join === 'met') begin(draft, at);
  else if (join === 'skip') skip(draft, node, 'upstream');
  else if (join === 'fail') fail(draft, node, unreachable(node));
}

function skip(draft: Draft, { name }: GraphNode, reason: SkipReason): void {
  draft.skips.push({ path: name, reason });
  draft.statuses.set(name, 'skipped');
}

function fail(draft: Draft, { name }: GraphNode, cause: Failure): void {
  draft.fails.push({ path: name, failure: cause });
  draft.statuses.set(name, 'failed');
}

function addCall(draft: Draft, call: PlannedCall): boolean {
  if (draft.calls.length >= limits.graphCallsMax) {
    draft.more = true;
    return false;
  }
  draft.calls.push(call);
  return true;
}

type JoinState = 'wait' | 'met' | 'skip' | 'fail';

function joinOf({ nodes }: GraphProgress, { node }: NodeProgress, status: (at: NodeProgress) => Status): JoinState {
  let succeeded = 0;
  let failed = 0;
  let skipped = 0;
  for (const name of node.after) {
    const at = nodes.get(name);
    const found = at === undefined ? 'waiting' : status(at);
    if (found === 'succeeded') succeeded += 1;
    else if (found === 'failed') failed += 1;
    else if (found === 'skipped') skipped += 1;
  }
  if (node.join === 'settled') return succeeded + failed + skipped === node.after.length ? 'met' : 'wait';
  const needed = neededBy(node);
  if (succeeded >= needed) return 'met';
  if (node.after.length - failed - skipped >= needed) return 'wait';
  if (failed === 0) return 'skip';
  // Where all are needed it is the failure itself that ends the run.
  return node.join === undefined || node.join === 'all' ? 'wait' : 'fail';
}

function unreachable({ name, join = 'all', after }: GraphNode): Failure {
  const wanted = typeof join === 'object' ? `${join.atLeast}` : 'one';
  return failure({
    class: 'dependency',
    code: 'GRAPH_JOIN_UNREACHABLE',
    message: `Node ${name} needs ${wanted} of ${after.join(', ')} to succeed, which can no longer be.`,
    retryable: false,
  });
}

/** A failed node does not fail the run where all that comes after it can do without it. */
function isTolerated({ dependents }: NodeProgress): boolean {
  return dependents.length > 0 && dependents.every(({ join = 'all' }) => join !== 'all');
}

function begin(draft: Draft, at: NodeProgress): void {
  const { node } = at;
  const { progress, values } = draft;
  if (!rootsToBegin(progress, at).every((root) => !hasValue(progress, root) || values.has(root)))
    return void (draft.more = true);
  if (node.when !== undefined && !holds(node.when, rootValue(values))) return skip(draft, node, 'condition');
  if (node.map === undefined) {
    addCall(draft, { path: node.name, node, capability: node.capability, given: inputOf(draft, node) });
    return;
  }
  goOn(draft, at, node.map);
}

/** Begins as many items of a map as there is room for. */
function goOn(draft: Draft, at: NodeProgress, map: GraphMap): void {
  const { node } = at;
  const { progress, values } = draft;
  if (!isToGoOn(at, map)) return;
  if (!rootsToBegin(progress, at).every((root) => !hasValue(progress, root) || values.has(root)))
    return void (draft.more = true);
  const root = rootValue(values);
  if (at.list === null) {
    const list = listOf(node, map, valueAt(map.over, root));
    if ('fault' in list) return fail(draft, node, list.fault);
    at.list = { ...list, next: 0 };
    settleMap(at);
    // Nothing to wait for: what comes after it may begin.
    if (isNodeEnded(at)) return void (draft.more = true);
  }
  const { list } = at;
  let room = map.concurrency - (at.begun - at.ended);
  let first: number | null = null;
  let i = list.next;
  for (; room > 0 && i < list.paths.length; i++) {
    const path = list.paths[i] ?? '';
    const call = at.calls.get(path);
    if (call !== undefined && call.status !== 'forgotten') continue;
    const item = list.items[i];
    const index = i;
    const value =
      node.input === undefined
        ? item
        : selected(node.input, (name) => (name === 'item' ? item : name === 'itemIndex' ? index : root(name)));
    if (!addCall(draft, { path, node, capability: node.capability, given: { tag: 'value', value } })) break;
    first ??= i;
    room -= 1;
  }
  // What is planned is not there before it is committed: the next plan looks at it again.
  list.next = first ?? i;
}

/** True where nobody has looked at the list, or there is something left of it and room for it. */
function isToGoOn({ list, begun, ended }: NodeProgress, { concurrency }: GraphMap): boolean {
  return list === null || (list.next < list.paths.length && begun - ended < concurrency);
}

function listOf(
  { name }: GraphNode,
  map: GraphMap,
  value: unknown,
): { readonly items: readonly unknown[]; readonly paths: readonly string[] } | { readonly fault: Failure } {
  const fault = (message: string): { readonly fault: Failure } => ({
    fault: failure({ class: 'invalid_request', code: 'GRAPH_LIST_INVALID', message, retryable: false }),
  });
  if (!Array.isArray(value)) return fault(`Node ${name} maps over ${map.over}, which is no list.`);
  if (value.length > limits.graphItemsMax)
    return fault(`Node ${name} maps over ${value.length} items, of ${limits.graphItemsMax} at most.`);
  const items: readonly unknown[] = value;
  const paths = new Set<string>();
  for (const [i, item] of items.entries()) {
    const key = map.key === undefined ? i : valueWithin(item, map.key.split('.'));
    if (typeof key !== 'string' && typeof key !== 'number')
      return fault(`Item ${i} of node ${name} has no text or number at ${String(map.key)}.`);
    try {
      paths.add(pathOf('', [name, key]));
    } catch (error) {
      if (!isSpineError(error)) throw error;
      return fault(`Item ${i} of node ${name}: ${error.message}`);
    }
    if (paths.size <= i) return fault(`Two items of node ${name} have the key ${key}.`);
  }
  return { items, paths: [...paths] };
}

function rootValue(values: ReadonlyMap<string, unknown>): RootValue {
  return (name) => values.get(name);
}

/** Nodes that have not succeeded have no value: paths into them lead nowhere. */
function hasValue({ nodes }: GraphProgress, root: string): boolean {
  return root === inputRoot || nodes.get(root)?.status === 'succeeded';
}

function rootsToBegin(progress: GraphProgress, at: NodeProgress): string[] {
  const { node, list } = at;
  const whole = wholeRoot(progress, node);
  if (whole !== null) return node.when === undefined ? [] : pathsOfCondition(node.when).map(rootOf);
  if (node.map === undefined && node.input === undefined)
    return [inputRoot, ...node.after, ...pathsOfNode(node).map(rootOf)];
  if (list === null) return pathsOfNode(node).map(rootOf);
  const paths = node.input === undefined ? [] : pathsOfSelection(node.input);
  return paths.map(rootOf).filter((root) => !itemRoots.includes(root));
}

function inputOf({ progress, values }: Draft, node: GraphNode): Given {
  const whole = wholeRoot(progress, node);
  if (whole !== null) return { tag: 'root', root: whole };
  const root = rootValue(values);
  const value = node.input === undefined ? objectOf([inputRoot, ...node.after], values) : selected(node.input, root);
  return { tag: 'value', value };
}

function objectOf(roots: readonly string[], values: ReadonlyMap<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(roots.filter((name) => values.has(name)).map((name) => [name, values.get(name)]));
}

/** The root that a node is given as it is. */
function wholeRoot(progress: GraphProgress, { input, map }: GraphNode): string | null {
  return map === undefined ? wholeOf(progress, input) : null;
}

/** The root that the selection is nothing but; null = it is more, less, or put together from several results. */
function wholeOf(progress: GraphProgress, selection: Selection | undefined): string | null {
  if (typeof selection !== 'string' || selection !== rootOf(selection)) return null;
  if (selection === inputRoot) return inputRoot;
  const at = progress.nodes.get(selection);
  return at !== undefined && at.node.map === undefined && at.status === 'succeeded' ? selection : null;
}

function hasEnded({ nodes }: GraphProgress): boolean {
  for (const at of nodes.values()) if (!isNodeEnded(at)) return false;
  return true;
}

function rootsOfOutput(progress: GraphProgress): readonly string[] {
  const { output } = progress.graph;
  if (output === undefined) return progress.leaves;
  return wholeOf(progress, output) === null ? pathsOfSelection(output).map(rootOf) : [];
}

/** Null = not all of it is there. */
function outputOf({ progress, values }: Draft): Given | null {
  const { output } = progress.graph;
  const whole = wholeOf(progress, output);
  if (whole !== null) return { tag: 'root', root: whole };
  if (!rootsOfOutput(progress).every((root) => !hasValue(progress, root) || values.has(root))) return null;
  const value = output === undefined ? objectOf(progress.leaves, values) : selected(output, rootValue(values));
  return { tag: 'value', value };
}
