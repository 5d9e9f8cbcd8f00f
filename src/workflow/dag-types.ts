/**
 * What TypeScript can see of a graph: that paths lead somewhere, that nodes get what they take, and that none waits for itself.
 * What it cannot see (names and paths that are computed) is checked at definition.
 */
import type { Condition, Join, Selection } from '../core/graph/graph.js';
import type { Duration } from '../core/duration.js';
import type { InferInput, InferOutput, StandardSchema } from '../core/standard-schema.js';
import type { Capability, HandlerContext } from './capability.js';
import type { RemedyPolicy } from '../core/remedies.js';
import type { RetryOptions } from './retry-options.js';
import type { Topic } from './topic.js';

/** What does the work of a node: a capability, or a function, whose parameter is annotated with what it takes. */
export type DagWork = Capability | ((input: never, context: HandlerContext) => unknown);

/** How a node is called for each item of a list. */
export interface DagMap {
  /** Path of the list. */
  readonly over: string;
  /** Path inside an item of what tells it from the others, a text or a number. Default: its place in the list. */
  readonly key?: string;
  /** Items under way at one time. Default 16. More is quicker, and heavier on who does the work. */
  readonly concurrency?: number;
  /** `throw`: an item that fails for good fails the node. `settle`: the result is a list of outcomes. Default `throw`. */
  readonly onError?: 'throw' | 'settle';
}

/** A node of a graph. */
export interface DagNode {
  readonly run: DagWork;
  /** Nodes that come before it. Those that it reads from need not be named. */
  readonly after?: readonly string[];
  /** How many of those before it must have succeeded. Default `all`; `settled` waits for every end, whatever it is. */
  readonly join?: Join;
  /**
   * What it is given: a path, or an object of paths, into `input` and the results of nodes; in a map also into `item` and
   * `itemIndex`. Default: `{ input, <results of the nodes in after> }`, in a map the item.
   */
  readonly input?: Selection;
  /** The node, and what needs it, is skipped where this does not hold. */
  readonly when?: Condition;
  /** Path of a list, or more: the node is called once for each item. Its result is the list of results. */
  readonly map?: string | DagMap;
  /** Called with the same input when the node (the item) has failed for good; its result stands for the node's. */
  readonly fallback?: DagWork;
  /** Default: that of the capability. */
  readonly retry?: RetryOptions;
  /** Longest time of one attempt. Default: that of the capability. */
  readonly timeout?: Duration;
  /** What is done about its failures, by class. Default: what the capability says, then `auto`. */
  readonly remedies?: RemedyPolicy;
  /** Higher goes first, 0 to 9. Default: that of the run. */
  readonly priority?: number;
}

/** The nodes of a graph by name. */
export type DagNodes = Readonly<Record<string, DagNode>>;

/** What became of an item of a map that settles. */
export type DagOutcome<T> =
  | { readonly status: 'fulfilled'; readonly value: T }
  | {
      readonly status: 'rejected';
      readonly reason: { readonly class: string; readonly code: string; readonly message: string };
    };

/** Why a definition is refused, shown where it is wrong. */
export interface Fault<Message extends string, Detail = unknown> {
  readonly fault: Message;
  readonly detail: Detail;
}

// What nodes take and give.

type ResultOf<Work> =
  Work extends Capability<string, infer _In, infer Out>
    ? Out
    : Work extends (...parameters: never) => infer Result
      ? Awaited<Result>
      : never;

type TakenBy<Work> =
  Work extends Capability<string, infer In>
    ? In
    : Work extends (...parameters: infer Parameters) => unknown
      ? Parameters extends readonly [infer First, ...unknown[]]
        ? First
        : unknown
      : unknown;

type CallResult<N> =
  | ResultOf<N extends { readonly run: infer Work } ? Work : never>
  | (N extends { readonly fallback: infer Work } ? ResultOf<Work> : never);

type NodeResult<N> = N extends { readonly map: infer M }
  ? M extends { readonly onError: 'settle' }
    ? readonly DagOutcome<CallResult<N>>[]
    : readonly CallResult<N>[]
  : CallResult<N>;

type Roots<Nodes, Data> = { readonly input: Data } & { readonly [K in keyof Nodes]: NodeResult<Nodes[K]> };

/** What a node sees: where it does not need all before it, any of them may be missing. */
type RootsOf<Nodes, Data, N> = N extends { readonly join: infer J }
  ? J extends 'all'
    ? Roots<Nodes, Data>
    : { readonly input: Data } & { readonly [K in keyof Nodes]: NodeResult<Nodes[K]> | undefined }
  : Roots<Nodes, Data>;

// Paths.

declare const nowhere: unique symbol;
type Nowhere = typeof nowhere;

type Field<T, Name extends string> = T extends null | undefined
  ? undefined
  : T extends readonly (infer Element)[]
    ? Name extends `${number}`
      ? Element
      : Nowhere
    : Name extends keyof T
      ? T[Name]
      : Nowhere;

type ValueAt<T, Path extends string> = unknown extends T
  ? unknown
  : Path extends `${infer Head}.${infer Rest}`
    ? ValueAt<Exclude<Field<T, Head>, Nowhere> | Lost<Field<T, Head>>, Rest>
    : Field<T, Path>;

/** Where a name is in some of the alternatives only, the others give undefined. Where it is in none, the path ends. */
type Lost<F> = Nowhere extends F ? ([Exclude<F, Nowhere>] extends [never] ? Nowhere : undefined) : never;

type RootOf<Path extends string> = Path extends `${infer Root}.${string}` ? Root : Path;

type Resolved<R, Path extends string> = string extends Path
  ? unknown
  : RootOf<Path> extends keyof R
    ? Path extends `${string}.${infer Rest}`
      ? ValueAt<R[RootOf<Path> & keyof R], Rest>
      : R[RootOf<Path> & keyof R]
    : Nowhere;

/** The fault of a path; never = there is none. */
type PathFault<R, Path extends string> = string extends Path
  ? never
  : RootOf<Path> extends keyof R
    ? [Resolved<R, Path>] extends [Nowhere]
      ? Fault<`"${Path}" leads nowhere`, R[RootOf<Path> & keyof R]>
      : never
    : Fault<`"${RootOf<Path>}" is neither input nor a node`, keyof R>;

type CheckedPath<R, Path extends string> = [PathFault<R, Path>] extends [never] ? Path : PathFault<R, Path>;

type CheckedSelection<R, S> = S extends string
  ? CheckedPath<R, S>
  : { readonly [K in keyof S]: CheckedSelection<R, S[K]> };

/** The value of a selection. */
type Selected<R, S> = S extends string
  ? Exclude<Resolved<R, S>, Nowhere> | (Nowhere extends Resolved<R, S> ? undefined : never)
  : { readonly [K in keyof S]: Selected<R, S[K]> };

/** The same, where what nothing is known of is let pass. */
type Lenient<R, S> = S extends string
  ? unknown extends Selected<R, S>
    ? never
    : Selected<R, S>
  : { readonly [K in keyof S]: Lenient<R, S[K]> };

type LenientRoots<R> = { readonly [K in keyof R]: unknown extends R[K] ? never : R[K] };

type CheckedCondition<R, C> = C extends { readonly path: infer Path extends string }
  ? { readonly path: CheckedPath<R, Path> }
  : C extends { readonly not: infer Inner }
    ? { readonly not: CheckedCondition<R, Inner> }
    : C extends { readonly all: infer List }
      ? { readonly all: { readonly [I in keyof List]: CheckedCondition<R, List[I]> } }
      : C extends { readonly any: infer List }
        ? { readonly any: { readonly [I in keyof List]: CheckedCondition<R, List[I]> } }
        : unknown;

// Who comes after whom.

type RootsIn<S> = S extends string ? RootOf<S> : S extends object ? RootsIn<S[keyof S]> : never;

type RootsInCondition<C> = C extends { readonly path: infer Path extends string }
  ? RootOf<Path>
  : C extends { readonly not: infer Inner }
    ? RootsInCondition<Inner>
    : C extends { readonly all: readonly (infer Inner)[] }
      ? RootsInCondition<Inner>
      : C extends { readonly any: readonly (infer Inner)[] }
        ? RootsInCondition<Inner>
        : never;

type OverOf<M> = M extends string ? M : M extends { readonly over: infer Over extends string } ? Over : never;

/** Names of the nodes that node `N` comes after. */
type Before<Nodes, N> = Extract<
  | (N extends { readonly after: readonly (infer Name)[] } ? Name : never)
  | (N extends { readonly input: infer S } ? RootsIn<S> : never)
  | (N extends { readonly when: infer C } ? RootsInCondition<C> : never)
  | (N extends { readonly map: infer M } ? RootOf<OverOf<M>> : never),
  keyof Nodes
>;

/** All nodes before those in `Todo`, however far; a closure, so that it ends whatever the graph is like. */
type AllBefore<Nodes, Todo extends keyof Nodes, Seen extends keyof Nodes = never> = [Exclude<Todo, Seen>] extends [
  never,
]
  ? Seen
  : AllBefore<Nodes, { [K in Exclude<Todo, Seen>]: Before<Nodes, Nodes[K]> }[Exclude<Todo, Seen>], Seen | Todo>;

// The whole.

type ItemOf<R, M> =
  Resolved<R, OverOf<M>> extends infer List
    ? unknown extends List
      ? unknown
      : List extends readonly (infer Item)[]
        ? Item
        : never
    : never;

type MapRoots<R, N> = N extends { readonly map: infer M }
  ? R & { readonly item: ItemOf<R, M>; readonly itemIndex: number }
  : R;

type DefaultInput<Nodes, R, N> = N extends { readonly map: infer M }
  ? unknown extends ItemOf<R, M>
    ? never
    : ItemOf<R, M>
  : LenientRoots<Pick<R, ('input' | Before<Nodes, N>) & keyof R>>;

type Works<N> =
  | (N extends { readonly run: infer Work } ? Work : never)
  | (N extends { readonly fallback: infer Work } ? Work : never);

/** The work that cannot take what it would be given. */
type Unfit<Given, Work> = Work extends unknown ? ([Given] extends [TakenBy<Work>] ? never : Work) : never;

type CheckedInput<R, N, S> = [Unfit<Lenient<MapRoots<R, N>, S>, Works<N>>] extends [never]
  ? CheckedSelection<MapRoots<R, N>, S>
  : CheckedSelection<MapRoots<R, N>, S> &
      (S extends CheckedSelection<MapRoots<R, N>, S>
        ? Fault<
            'what is selected is not what the node takes',
            { readonly selected: Selected<MapRoots<R, N>, S>; readonly takes: TakenBy<Works<N>> }
          >
        : unknown);

type CheckedDefault<Nodes, R, N> = [Unfit<DefaultInput<Nodes, R, N>, Works<N>>] extends [never]
  ? unknown
  : {
      readonly run: Fault<
        'without input, the node is given something else than it takes',
        { readonly given: DefaultInput<Nodes, R, N>; readonly takes: TakenBy<Works<N>> }
      >;
    };

type CheckedMap<R, M> = M extends string
  ? CheckedList<R, M>
  : M extends { readonly over: infer Over extends string }
    ? { readonly over: CheckedList<R, Over> }
    : unknown;

type CheckedList<R, Path extends string> = [PathFault<R, Path>] extends [never]
  ? unknown extends Resolved<R, Path>
    ? Path
    : Resolved<R, Path> extends readonly unknown[]
      ? Path
      : Fault<`"${Path}" is no list`, Resolved<R, Path>>
  : PathFault<R, Path>;

type CheckedNode<Nodes, R, K extends keyof Nodes, N> = (K extends AllBefore<Nodes, Before<Nodes, N>>
  ? { readonly run: Fault<`node "${K & string}" waits for itself`, Before<Nodes, N>> }
  : N extends { readonly input: infer S }
    ? { readonly input: CheckedInput<R, N, S> }
    : CheckedDefault<Nodes, R, N>) & {
  readonly after?: readonly Exclude<keyof Nodes & string, K>[];
} & (N extends { readonly when: infer C } ? { readonly when: CheckedCondition<R, C> } : unknown) &
  (N extends { readonly map: infer M } ? { readonly map: CheckedMap<R, M> } : unknown);

/** The nodes, with a fault where one is wrong. */
export type CheckedNodes<Nodes, Data> = {
  readonly [K in keyof Nodes]: CheckedNode<Nodes, RootsOf<Nodes, Data, Nodes[K]>, K, Nodes[K]>;
};

/** The output, with a fault where it leads nowhere. */
export type CheckedOutput<Nodes, Data, O> = O extends undefined ? unknown : CheckedSelection<Roots<Nodes, Data>, O>;

/** Nodes that may be skipped: they, or one before them, have a condition. */
type MayBeSkipped<Nodes, K extends keyof Nodes> = {
  [B in K | AllBefore<Nodes, Before<Nodes, Nodes[K]>>]: Nodes[B] extends { readonly when: Condition } ? B : never;
}[K | AllBefore<Nodes, Before<Nodes, Nodes[K]>>];

/** Nodes before one that does without some of them: those may have failed. */
type Tolerated<Nodes> = {
  [K in keyof Nodes]: Nodes[K] extends { readonly join: infer J }
    ? J extends 'all'
      ? never
      : Before<Nodes, Nodes[K]>
    : never;
}[keyof Nodes];

type OutputRoots<Nodes, Data> = { readonly input: Data } & {
  readonly [K in keyof Nodes]:
    | NodeResult<Nodes[K]>
    | ([MayBeSkipped<Nodes, K>] extends [never] ? (K extends Tolerated<Nodes> ? undefined : never) : undefined);
};

type Leaves<Nodes> = Exclude<keyof Nodes, { [K in keyof Nodes]: Before<Nodes, Nodes[K]> }[keyof Nodes]>;

/** What a run of the graph results in. */
export type DagResult<Nodes, Data, O> = O extends string
  ? Selected<OutputRoots<Nodes, Data>, O>
  : O extends object
    ? Selected<OutputRoots<Nodes, Data>, O>
    : { readonly [K in Leaves<Nodes>]: OutputRoots<Nodes, Data>[K & keyof OutputRoots<Nodes, Data>] };

/** What a client gives. */
export type DagInput<T, S> =
  T extends Topic<string, infer In, infer _Data> ? In : S extends StandardSchema ? InferInput<S> : unknown;

/** What the nodes read as `input`. */
export type DagData<T, S> =
  T extends Topic<string, infer _In, infer Data> ? Data : S extends StandardSchema ? InferOutput<S> : unknown;
