/**
 * How far a run of a graph is: a fold of its events that is kept beside them, because to look through ten thousand items of a
 * map after each of them would take the square of the time. It holds no values, only where they are.
 */
import type { Failure } from '../failure.js';
import type { RunEvent } from '../run/events.js';
import { leavesOf, nodeOfPath, standsInFor, type Graph, type GraphNode } from './graph.js';

/** A call of a node, or of an item of its map. */
export interface CallProgress {
  status: 'called' | 'completed' | 'failed' | 'forgotten';
  /** `seq` of the event with the input. */
  inputSeq: number;
  /** `seq` of the event with the result. */
  resultSeq: number;
  failure: Failure | null;
}

export interface NodeProgress {
  readonly node: GraphNode;
  /** Nodes that come after it. */
  readonly dependents: readonly GraphNode[];
  status: 'waiting' | 'started' | 'succeeded' | 'failed' | 'skipped';
  /** Why it failed, and the path of what failed. */
  failure: Failure | null;
  failedPath: string;
  /** Its calls by path, in the order in which they were asked for: that of the list. */
  readonly calls: Map<string, CallProgress>;
  /** Calls that stand in for those that failed, by the path of those. */
  readonly fallbacks: Map<string, CallProgress>;
  /** Paths of calls that failed and that nothing stands in for yet. */
  readonly toStandIn: Set<string>;
  /** Calls that have not been forgotten, and those of them that came to an end. */
  begun: number;
  ended: number;
  /** The list of a map, once somebody has looked. Not part of the fold. */
  list: { readonly items: readonly unknown[]; readonly paths: readonly string[]; next: number } | null;
}

export interface GraphProgress {
  readonly graph: Graph;
  /** By name; each after those that it comes after. */
  readonly nodes: ReadonlyMap<string, NodeProgress>;
  /** Nodes whose results are the result of the run, where it has no `output`. */
  readonly leaves: readonly string[];
  /** Counts the times that the run was sent to work. */
  drive: number;
}

/** A run of the graph that has just begun. The graph must be free of circles. */
export function graphProgress(graph: Graph): GraphProgress {
  const nodes = new Map<string, NodeProgress>();
  const { ordered, leaves } = shapeOf(graph);
  for (const { node, dependents } of ordered) {
    nodes.set(node.name, {
      node,
      dependents,
      status: 'waiting',
      failure: null,
      failedPath: node.name,
      calls: new Map(),
      fallbacks: new Map(),
      toStandIn: new Set(),
      begun: 0,
      ended: 0,
      list: null,
    });
  }
  return { graph, nodes, leaves, drive: 1 };
}

/** What follows from a graph alone. */
interface Shape {
  readonly ordered: readonly { readonly node: GraphNode; readonly dependents: readonly GraphNode[] }[];
  readonly leaves: readonly string[];
}

const shapes = new WeakMap<Graph, Shape>();

function shapeOf(graph: Graph): Shape {
  const known = shapes.get(graph);
  if (known !== undefined) return known;
  const ordered = inOrder(graph).map((node) => ({
    node,
    dependents: graph.nodes.filter(({ after }) => after.includes(node.name)),
  }));
  const shape = { ordered, leaves: leavesOf(graph).map(({ name }) => name) };
  shapes.set(graph, shape);
  return shape;
}

/** Nodes so that each comes after those that it needs (Kahn, "Topological sorting of large networks", CACM 1962). */
function inOrder({ nodes }: Graph): GraphNode[] {
  const ordered: GraphNode[] = [];
  const placed = new Set<string>();
  let left = [...nodes];
  while (left.length > 0) {
    const free = left.filter(({ after }) => after.every((name) => placed.has(name)));
    if (free.length === 0) throw new Error('Invariant broken: a graph with a circle was let in');
    for (const node of free) placed.add(node.name);
    ordered.push(...free);
    left = left.filter((node) => !placed.has(node.name));
  }
  return ordered;
}

/** Moves `progress` over one event, in place. Events that are not of the graph change nothing. */
export function applyGraphEvent(progress: GraphProgress, event: RunEvent): void {
  switch (event.type) {
    case 'call.scheduled': {
      const call: CallProgress = { status: 'called', inputSeq: event.seq, resultSeq: 0, failure: null };
      const found = nodeAt(progress, event.data.path);
      if (found === null) return;
      const { at, base, isFallback } = found;
      if (isFallback) {
        at.fallbacks.set(base, call);
        at.toStandIn.delete(base);
      } else {
        at.calls.set(base, call);
        at.begun += 1;
        if (at.status === 'waiting') at.status = 'started';
      }
      return;
    }
    case 'call.completed':
      end(progress, event.data.path, { status: 'completed', resultSeq: event.seq });
      return;
    case 'call.failed':
      end(progress, event.data.path, { status: 'failed', failure: event.data.failure });
      return;
    case 'node.skipped': {
      const at = progress.nodes.get(event.data.path);
      if (at !== undefined) at.status = 'skipped';
      return;
    }
    case 'node.failed': {
      const at = progress.nodes.get(event.data.path);
      if (at !== undefined) fail(at, event.data.path, event.data.failure);
      return;
    }
    case 'run.redriven': {
      progress.drive += 1;
      for (const name of event.data.paths) {
        const at = progress.nodes.get(name);
        if (at !== undefined) forget(at);
      }
      return;
    }
    default:
      return;
  }
}

function nodeAt(
  progress: GraphProgress,
  path: string,
): { readonly at: NodeProgress; readonly base: string; readonly isFallback: boolean } | null {
  const stoodFor = standsInFor(path);
  const base = stoodFor ?? path;
  const at = progress.nodes.get(nodeOfPath(base));
  return at === undefined ? null : { at, base, isFallback: stoodFor !== null };
}

function end(
  progress: GraphProgress,
  path: string,
  outcome: Pick<CallProgress, 'status'> & Partial<CallProgress>,
): void {
  const found = nodeAt(progress, path);
  if (found === null) return;
  const { at, base, isFallback } = found;
  const call = (isFallback ? at.fallbacks : at.calls).get(base);
  if (call === undefined || call.status !== 'called') return;
  Object.assign(call, outcome);
  settle(at, base, path, call);
}

/** What the end of a call means for its node. */
function settle(at: NodeProgress, base: string, path: string, call: CallProgress): void {
  if (call.status === 'failed' && path === base && at.node.fallback !== undefined) {
    at.toStandIn.add(base);
    return;
  }
  at.ended += 1;
  if (call.status === 'failed' && at.node.map?.onError !== 'settle' && call.failure !== null)
    fail(at, path, call.failure);
  else if (at.node.map === undefined && at.status === 'started') at.status = 'succeeded';
  else settleMap(at);
}

/** A map has succeeded when all of its list has come to an end, and none of it has failed the whole. */
export function settleMap(at: NodeProgress): void {
  if (at.list === null || at.ended < at.list.paths.length) return;
  if (at.status === 'started' || at.status === 'waiting') at.status = 'succeeded';
}

function fail(at: NodeProgress, path: string, failure: Failure): void {
  if (at.status === 'failed') return;
  at.status = 'failed';
  at.failure = failure;
  at.failedPath = path;
}

/** What a call came to, as far as a redrive asks. */
type CallEnd = 'completed' | 'failed' | 'other';

/** Whether a call is asked for anew when its node is: what there is a result of is kept, and what was to be settled is. */
export function forgets(node: GraphNode, call: CallEnd, fallback: CallEnd | null): boolean {
  if (call === 'completed' || fallback === 'completed') return false;
  const isFinal = call === 'failed' && (node.fallback === undefined || fallback === 'failed');
  return !(isFinal && node.map?.onError === 'settle');
}

function forget(at: NodeProgress): void {
  at.status = 'waiting';
  at.failure = null;
  at.failedPath = at.node.name;
  at.toStandIn.clear();
  at.begun = 0;
  at.ended = 0;
  if (at.list !== null) at.list.next = 0;
  for (const [path, call] of at.calls) {
    const fallback = at.fallbacks.get(path);
    if (
      call.status !== 'forgotten' &&
      !forgets(at.node, endOf(call), fallback === undefined ? null : endOf(fallback))
    ) {
      at.begun += 1;
      at.ended += 1;
      continue;
    }
    // It keeps its place: that of its item in the list.
    call.status = 'forgotten';
    at.fallbacks.delete(path);
  }
  if (at.begun > 0) at.status = at.node.map === undefined ? 'succeeded' : 'started';
  settleMap(at);
}

function endOf({ status }: CallProgress): CallEnd {
  return status === 'completed' || status === 'failed' ? status : 'other';
}

/** The call whose result stands for that of the call at `path`; null = it failed. */
export function resultOf(at: NodeProgress, path: string): CallProgress | null {
  const call = at.calls.get(path);
  if (call?.status === 'completed') return call;
  const fallback = at.fallbacks.get(path);
  return fallback?.status === 'completed' ? fallback : null;
}

/** Why the call at `path`, and what stood in for it, has failed. */
export function failureAt(at: NodeProgress, path: string): Failure | null {
  return at.fallbacks.get(path)?.failure ?? at.calls.get(path)?.failure ?? null;
}

/** True for a node that has come to its end. */
export function isNodeEnded({ status }: Pick<NodeProgress, 'status'>): boolean {
  return status === 'succeeded' || status === 'failed' || status === 'skipped';
}
