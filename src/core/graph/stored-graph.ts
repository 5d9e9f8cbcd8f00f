/**
 * Graphs as they are kept with runs. Thousands of runs go by one and the same graph: its text is read once, and what follows
 * from it is worked out once.
 */
import { jsonOf, payloadOfJson } from '../codec.js';
import { limits } from '../limits.js';
import { isBlobPayload, type InlinePayload, type Payload } from '../payload.js';
import type { Graph } from './graph.js';

const texts = new WeakMap<Graph, InlinePayload>();
/** By text; the one that was used last is the last. */
const graphs = new Map<string, Graph>();

/** The payload of `graph.started`. */
export function payloadOfGraph(graph: Graph): InlinePayload {
  const known = texts.get(graph);
  if (known !== undefined) return known;
  const payload = payloadOfJson(graph);
  texts.set(graph, payload);
  return payload;
}

/** The graph in the payload of `graph.started`. Equal texts give one object, which must not be changed. */
export function readGraph(payload: Payload | undefined): Graph {
  // The bound of its text keeps it inline.
  if (payload === undefined || isBlobPayload(payload)) throw new Error('Invariant broken: a run without its graph');
  const { text } = payload;
  const graph = graphs.get(text) ?? (jsonOf(payload) as Graph);
  graphs.delete(text);
  graphs.set(text, graph);
  const [oldest] = graphs.keys();
  if (graphs.size > limits.graphDefinitionsMax && oldest !== undefined) graphs.delete(oldest);
  return graph;
}
