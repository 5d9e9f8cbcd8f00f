/** Graphs for those who draw them: edges as data, and the text that Mermaid (https://mermaid.js.org) makes a drawing of. */
import type { Condition, Graph, GraphNode } from './graph.js';

/** One node comes after another. `needed`: it cannot do without it. */
export interface GraphEdge {
  readonly from: string;
  readonly to: string;
  readonly needed: boolean;
}

export function edgesOf({ nodes }: Graph): GraphEdge[] {
  return nodes.flatMap(({ name, after, join = 'all' }) =>
    after.map((from) => ({ from, to: name, needed: join === 'all' })),
  );
}

/** A flowchart: maps as stacks, conditional nodes as hexagons, what a node can do without as dotted lines. */
export function mermaidOf(graph: Graph): string {
  const ids = new Map(graph.nodes.map(({ name }, i) => [name, `n${i}`]));
  const id = (name: string): string => ids.get(name) ?? name;
  return [
    'flowchart TD',
    ...graph.nodes.map((node) => `  ${id(node.name)}${shapeOf(node)}`),
    ...edgesOf(graph).map(({ from, to, needed }) => `  ${id(from)} ${needed ? '-->' : '-.->'} ${id(to)}`),
  ].join('\n');
}

function shapeOf(node: GraphNode): string {
  const { name, capability, map, when, fallback, join } = node;
  const lines = [
    name,
    ...(capability.endsWith(`.${name}`) ? [] : [capability]),
    ...(map === undefined ? [] : [`for each of ${map.over}`]),
    ...(when === undefined ? [] : [`if ${textOf(when)}`]),
    ...(join === undefined || join === 'all' ? [] : [typeof join === 'object' ? `at least ${join.atLeast}` : join]),
    ...(fallback === undefined ? [] : [`else ${fallback}`]),
  ];
  const label = `"${lines.map(escaped).join('<br/>')}"`;
  if (when !== undefined) return `{{${label}}}`;
  return map === undefined ? `[${label}]` : `[[${label}]]`;
}

function textOf(condition: Condition): string {
  if ('not' in condition) return `not ${textOf(condition.not)}`;
  if ('all' in condition) return condition.all.map(textOf).join(' and ');
  if ('any' in condition) return `(${condition.any.map(textOf).join(' or ')})`;
  const { path, ...rest } = condition;
  const [[test, against] = ['', null]] = Object.entries(rest);
  return `${path} ${test} ${JSON.stringify(against)}`;
}

function escaped(text: string): string {
  return text.replaceAll('"', '#quot;').replaceAll('<', '#lt;').replaceAll('>', '#gt;');
}
