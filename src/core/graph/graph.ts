/**
 * Graphs as data: what a DAG workflow is to servers, which run it without any of the user's code. Part of the manifest, and
 * kept with each run, so that a run goes on with the graph that it began with. What is absent has its default: the text is
 * kept inline with every run, so it is kept short.
 */
import type { RemedyPolicy } from '../remedies.js';
import type { RetryPolicy } from '../retry.js';

/** A whole graph. Nodes are in the order in which they were defined. */
export interface Graph {
  readonly nodes: readonly GraphNode[];
  /** What the run results in. Default: an object of the results of the nodes that nobody comes after. */
  readonly output?: Selection;
}

export interface GraphNode {
  /** Also the path of its call; without characters that mean something in paths. */
  readonly name: string;
  /** The capability that does the work. */
  readonly capability: string;
  /** Nodes that must have come to their end before, as `join` says: those that were named, and those that are read from. */
  readonly after: readonly string[];
  /** Default `all`. */
  readonly join?: Join;
  /** What the capability is given. Default: `{ input, <results of the nodes in after> }`, in a map the item. */
  readonly input?: Selection;
  /** The node is skipped where this does not hold. Default: it always holds. */
  readonly when?: Condition;
  readonly map?: GraphMap;
  /** Capability that is called with the same input when the node has failed for good; its result stands for the node's. */
  readonly fallback?: string;
  /** Overrides of what the capability says. */
  readonly retry?: RetryPolicy;
  readonly deadlineMs?: number;
  readonly priority?: number;
  readonly remedies?: RemedyPolicy;
}

/** `all`: every one has succeeded; `any`: one has; `settled`: every one has come to an end, whatever it was. */
export type Join = 'all' | 'any' | 'settled' | { readonly atLeast: number };

export interface GraphMap {
  /** Path of the list. */
  readonly over: string;
  /** Path inside an item of what tells it from the others. Default: its index. */
  readonly key?: string;
  /** Items under way at one time. */
  readonly concurrency: number;
  /** `settle`: the result is a list of outcomes as of `Promise.allSettled`. */
  readonly onError: 'throw' | 'settle';
}

/**
 * Where a value comes from: a path into the input (`input.id`), into the result of a node (`text.body.0`), in a map also into
 * the item (`item.url`, `itemIndex`), or an object of such.
 */
export type Selection = string | { readonly [name: string]: Selection };

/** Why a node was not begun. `condition`: its own does not hold. `upstream`: what it comes after was skipped. */
export type SkipReason = 'condition' | 'upstream';

type Scalar = string | number | boolean | null;

/** A question about what is there by then. A path that leads nowhere gives undefined, which only `exists: false` is true of. */
export type Condition =
  | { readonly path: string; readonly equals: Scalar }
  | { readonly path: string; readonly in: readonly Scalar[] }
  | { readonly path: string; readonly exists: boolean }
  | { readonly path: string; readonly gt: number }
  | { readonly path: string; readonly gte: number }
  | { readonly path: string; readonly lt: number }
  | { readonly path: string; readonly lte: number }
  | { readonly not: Condition }
  | { readonly all: readonly Condition[] }
  | { readonly any: readonly Condition[] };

/** Roots of paths that are no nodes. */
export const inputRoot = 'input';
export const itemRoots: readonly string[] = ['item', 'itemIndex'];

/** The first name of a path. */
export function rootOf(path: string): string {
  const dot = path.indexOf('.');
  return dot < 0 ? path : path.slice(0, dot);
}

/** Paths that a selection is made of. */
export function pathsOfSelection(selection: Selection): string[] {
  return typeof selection === 'string' ? [selection] : Object.values(selection).flatMap(pathsOfSelection);
}

/** Paths that a condition asks about. */
export function pathsOfCondition(condition: Condition): string[] {
  if ('path' in condition) return [condition.path];
  if ('not' in condition) return pathsOfCondition(condition.not);
  return ('all' in condition ? condition.all : condition.any).flatMap(pathsOfCondition);
}

/** All paths of a node, those into its items left out. */
export function pathsOfNode({ input, when, map }: Pick<GraphNode, 'input' | 'when' | 'map'>): string[] {
  const chosen = input === undefined ? [] : pathsOfSelection(input);
  return [
    ...(map === undefined ? chosen : [map.over, ...chosen.filter((path) => !itemRoots.includes(rootOf(path)))]),
    ...(when === undefined ? [] : pathsOfCondition(when)),
  ];
}

/** Nodes that come after nobody else's end: their results are what a graph without `output` results in. */
export function leavesOf({ nodes }: Graph): GraphNode[] {
  const needed = new Set(nodes.flatMap(({ after }) => after));
  return nodes.filter(({ name }) => !needed.has(name));
}

/** How many of the nodes before it must have succeeded. */
export function neededBy({ join = 'all', after }: GraphNode): number {
  if (join === 'all') return after.length;
  if (join === 'any') return Math.min(1, after.length);
  return join === 'settled' ? 0 : join.atLeast;
}

/** The node that a path in a run of a graph belongs to. */
export function nodeOfPath(path: string): string {
  return /^[^:/]*/.exec(path)?.[0] ?? path;
}

const fallbackEnd = '/fallback';

/** The path of the call that stands in for the one at `path`. */
export function fallbackPath(path: string): string {
  return path + fallbackEnd;
}

/** The call that the one at `path` stands in for; null = it stands for itself. */
export function standsInFor(path: string): string | null {
  return path.endsWith(fallbackEnd) ? path.slice(0, -fallbackEnd.length) : null;
}
