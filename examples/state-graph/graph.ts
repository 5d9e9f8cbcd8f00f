/**
 * Graphs of nodes over a shared state as durable runs: an interpreter in the manner of LangGraph. Nodes of one superstep run
 * side by side, each in a scope of its own; what they return is put into the state channel by channel, in the order of the
 * nodes; edges are pure functions of the state. The state is not stored: a replay computes it again from what is recorded.
 */
import { type Ctx, Terminal } from 'eventspine';

/** Where a graph begins and ends, as the name of no node. */
export const start = ':start';
export const end = ':end';

/** A part of the state: what it is at first, and how something new is put into it. Pure. */
export interface Channel<Value> {
  readonly initial: Value;
  /** Default: the new value takes the place of the old one. */
  readonly reduce?: (old: Value, added: Value) => Value;
}

/** What a node does. Its `ctx` is its own, so it may take steps, call, wait and ask people. Gives what it has to add. */
export type Node<State> = (ctx: Ctx, state: State) => Promise<Partial<State>>;

/** Where to go after a node: a name, several side by side, or a function that decides. Pure. */
export type Edge<State, Name extends string> =
  | Name
  | typeof end
  | readonly (Name | typeof end)[]
  | ((state: State) => Name | typeof end | readonly (Name | typeof end)[]);

/** A graph is data and functions; it holds no state. */
export interface Graph<State extends object, Name extends string> {
  readonly channels: { readonly [Key in keyof State]: Channel<State[Key]> };
  readonly nodes: Readonly<Record<Name, Node<State>>>;
  readonly edges: Readonly<Record<Name | typeof start, Edge<State, Name>>>;
}

/** Options of `runGraph`. */
export interface GraphOptions {
  /** More supersteps than this are taken for a loop without end. Default 25. */
  readonly superstepsMax?: number;
}

/** Lets the compiler infer the names of the nodes. */
export function graph<State extends object>() {
  return <Name extends string>(definition: Graph<State, Name>): Graph<State, Name> => definition;
}

/** Runs a graph over an input until no node is left. GRAPH_TOO_LONG ends the run. */
export async function runGraph<State extends object, Name extends string>(
  ctx: Ctx,
  { channels, nodes, edges }: Graph<State, Name>,
  input: Partial<State>,
  { superstepsMax = 25 }: GraphOptions = {},
): Promise<State> {
  let state = put(channels, initialOf(channels), input);
  let front = following(edges[start], state);
  for (let superstep = 1; front.length > 0; superstep++) {
    if (superstep > superstepsMax) throw new Terminal('GRAPH_TOO_LONG', { superstepsMax, front });
    ctx.progress({ superstep, nodes: front });
    const seen = state;
    const added = await ctx.map(['superstep', superstep], front, { key: (node) => node }, (node, ctx) =>
      nodes[node](ctx, seen),
    );
    for (const part of added) state = put(channels, state, part);
    const after = state;
    front = [...new Set(front.flatMap((node) => following(edges[node], after)))];
  }
  return state;
}

function following<State, Name extends string>(edge: Edge<State, Name>, state: State): Name[] {
  const next = typeof edge === 'function' ? edge(state) : edge;
  const names = typeof next === 'string' ? [next] : next;
  return names.filter((name): name is Name => name !== end);
}

function initialOf<State extends object>(channels: Graph<State, string>['channels']): State {
  const state: Partial<State> = {};
  for (const key in channels) state[key] = channels[key].initial;
  // One value for each channel, which is what the state is.
  return state as State;
}

function put<State extends object>(
  channels: Graph<State, string>['channels'],
  state: State,
  added: Partial<State>,
): State {
  const next = { ...state };
  for (const key in added) {
    const value = added[key];
    if (value === undefined) continue;
    const { reduce } = channels[key];
    next[key] = reduce === undefined ? value : reduce(next[key], value);
  }
  return next;
}
