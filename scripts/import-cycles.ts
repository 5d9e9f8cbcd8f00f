/**
 * Cycles between files. A cycle makes the order of module initialisation depend on who is imported first, and two
 * files that need each other are one concept in two places.
 * Algorithm: R. Tarjan, "Depth-first search and linear graph algorithms" (1972), for strongly connected components,
 * then one shortest cycle of each as the example to show.
 */
import type { ImportGraph } from './import-graph.js';

/** One cycle per knot of files, first file repeated at the end; empty where there is none. Type-only imports do not count. */
export function findCycles(graph: ImportGraph): string[][] {
  const edges = (file: string): string[] =>
    (graph.get(file) ?? []).filter((edge) => !edge.typeOnly).map((edge) => edge.to);
  return components([...graph.keys()], edges)
    .filter((component) => component.length > 1 || edges(component[0] ?? '').includes(component[0] ?? ''))
    .map((component) => shortestCycle(component, edges));
}

function components(files: readonly string[], edges: (file: string) => string[]): string[][] {
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const onStack = new Set<string>();
  const found: string[][] = [];

  // Recursion is as deep as the longest chain of imports, which is far below what the stack bears.
  const visit = (file: string): number => {
    const order = index.size;
    index.set(file, order);
    let lowest = order;
    stack.push(file);
    onStack.add(file);
    for (const next of edges(file)) {
      if (!index.has(next)) lowest = Math.min(lowest, visit(next));
      else if (onStack.has(next)) lowest = Math.min(lowest, index.get(next) ?? lowest);
    }
    low.set(file, lowest);
    if (lowest === order) {
      const component = stack.splice(stack.indexOf(file));
      for (const member of component) onStack.delete(member);
      found.push(component);
    }
    return lowest;
  };

  for (const file of files) if (!index.has(file)) visit(file);
  return found;
}

/** Breadth first from the first file of the component back to itself. */
function shortestCycle(component: readonly string[], edges: (file: string) => string[]): string[] {
  const members = new Set(component);
  const start = [...component].sort()[0] ?? '';
  const paths: string[][] = [[start]];
  const seen = new Set<string>();
  for (let path = paths.shift(); path !== undefined; path = paths.shift()) {
    for (const next of edges(path[path.length - 1] ?? '')) {
      if (next === start) return [...path, start];
      if (!members.has(next) || seen.has(next)) continue;
      seen.add(next);
      paths.push([...path, next]);
    }
  }
  return [...component];
}
