/**
 * Generated workflows: a program is data that travels as the input of a run and is interpreted by the body, so that one
 * definition can behave in endless ways. What a program asks for and how often its effects fail is decided by the seed
 * when it is made, never while it runs, so that a replay meets the same effects.
 */
import type { Prng } from './prng.js';

/** One thing a body does. `name` is unique within the program and is the path, as `core/paths` makes it. */
export type ProgramNode =
  | StepNode
  | CallNode
  | {
      readonly op: 'map';
      readonly name: string;
      readonly items: readonly ItemNode[];
      readonly concurrency: number;
      /** Failed items do not fail the map. */
      readonly settle: boolean;
    }
  | { readonly op: 'sleep'; readonly name: string; readonly ms: number }
  | { readonly op: 'emit'; readonly name: string; readonly topic: string; readonly n: number }
  | { readonly op: 'progress'; readonly name: string }
  | WaitNode
  | InferNode
  | AiNode
  | ChildNode
  | SagaNode
  | { readonly op: 'race'; readonly name: string; readonly branches: readonly RaceNode[] };

/** What is done for an item of a map. */
export type ItemNode = StepNode | CallNode | ChildNode;

/** What a branch of a race does. */
export type RaceNode = ItemNode | SleepNode | WaitNode;

/**
 * A run of its own. `await`: its result is waited for; `detach`: it is left to itself; `leave`: it is not waited for and
 * ends with its parent; `stop`: it is told to end, and its end is waited for.
 */
export interface ChildNode {
  readonly op: 'child';
  readonly name: string;
  readonly program: Program;
  readonly mode: 'await' | 'detach' | 'leave' | 'stop';
}

/** Effects that are undone in reverse when one of them fails, or the body does (`fails`) after all of them. */
export interface SagaNode {
  readonly op: 'saga';
  readonly name: string;
  readonly items: readonly SagaItem[];
  readonly fails: boolean;
}

/** `early`: how to undo it is said before it is done, as it must be for calls. */
export interface SagaItem {
  readonly act: StepNode | CallNode;
  readonly early: boolean;
  readonly undo: StepNode;
}

/** Waits for a signal, or for an event of `noted` with this `n`; gives up after `ms`, so that every program ends. */
export interface WaitNode {
  readonly op: 'wait';
  readonly name: string;
  readonly signal: string | null;
  readonly n: number;
  readonly ms: number;
}

/** A pause inside a race. */
export interface SleepNode {
  readonly op: 'sleep';
  readonly name: string;
  readonly ms: number;
}

/** An effect, inline or through a capability. */
interface EffectNode {
  readonly name: string;
  /** How long one attempt takes. */
  readonly ms: number;
  /** The first `fails` attempts fail. */
  readonly fails: number;
  /** The first `kills` attempts take their worker down with them. */
  readonly kills: number;
  readonly attempts: number;
  /** How many chunks each attempt writes to the stream of the effect, from its begin to its end. */
  readonly chunks: number;
}

/** Runs inline. */
export interface StepNode extends EffectNode {
  readonly op: 'step';
  readonly external: boolean;
}

/** Runs in another pool. */
export interface CallNode extends EffectNode {
  readonly op: 'call';
  readonly capability: string;
}

/** Asks a model. */
export interface InferNode extends Omit<EffectNode, 'chunks'> {
  readonly op: 'infer';
  /** What is done where nobody knows what came of a call. */
  readonly policy: 'retry' | 'retry-with-same-key' | 'dead-letter';
  /** The answer comes in parts. */
  readonly streamed: boolean;
  /** It is too long for the versions that runs are given, and what is done about that. Absent = it is not. */
  readonly mend?: 'reroute' | 'compact';
  /** One of a few questions that all runs ask alike, whose answers are kept for a time. Absent = a question of its own. */
  readonly shared?: { readonly question: number; readonly ttlMs: number };
}

/** What is asked by a shared question: the same for all runs and tenants. */
export function sharedQuestion({ question }: NonNullable<InferNode['shared']>): InferNode {
  const name = `question ${question}`;
  return { op: 'infer', name, policy: 'retry', streamed: false, ms: 20, fails: 0, kills: 0, attempts: 4 };
}

/**
 * A program that asks a model at a pace of its own, in rounds, and does with tools what the model wants. Its asks and tools have
 * names of their own; that of a tool is its path.
 */
export interface AiNode {
  readonly op: 'ai';
  readonly name: string;
  readonly rounds: readonly AiRound[];
  readonly policy: InferNode['policy'];
  /** Its prompts tell in which pieces the answers before have come, so that another life of it may ask for something else. */
  readonly fickle: boolean;
}

/** What is asked side by side, and the tools that the first answer calls. Two that are alike ask the very same. */
export interface AiRound {
  readonly asks: readonly InferNode[];
  readonly tools: readonly AiTool[];
}

/** A call of a tool; those that are external are called `send`, others `look`. */
export interface AiTool {
  readonly id: string;
  readonly step: StepNode;
}

/** Tokens that the versions take which runs are given, and that of the one that nobody is given. */
export const programWindows = { small: 100, large: 10_000 } as const;

/** The model of all programs. */
export const programModel = 'oracle';

/** A whole body. */
export interface Program {
  readonly nodes: readonly ProgramNode[];
  readonly end: 'succeed' | 'fail' | 'refuse' | 'continue';
  /** What it goes on as, where it ends so. */
  readonly next?: Program;
  /** A failed step ends the run; otherwise the body goes on. */
  readonly strict: boolean;
}

/** Which kinds of nodes a seed uses, and how rough it is. */
export interface ProgramTaste {
  readonly maps: boolean;
  readonly calls: boolean;
  readonly sleeps: boolean;
  readonly emits: boolean;
  readonly races: boolean;
  readonly waits: boolean;
  readonly children: boolean;
  readonly chains: boolean;
  readonly sagas: boolean;
  readonly streams: boolean;
  readonly failures: boolean;
  readonly poison: boolean;
  readonly inferences: boolean;
  /** Some of them share their answers. */
  readonly caches: boolean;
  /** Only real workers run them. */
  readonly ai: boolean;
  /** Some of them are asked otherwise where they have failed. */
  readonly remedies: boolean;
}

/** The capabilities that programs call. */
export const programCapabilities = ['work', 'gpu'] as const;

/** The signals that programs wait for. */
export const programSignals = ['go', 'more'] as const;

/** A new program. `depth` counts the programs around it. */
export function makeProgram(prng: Prng, taste: ProgramTaste, depth = 0): Program {
  const mine = depth < depthMax ? taste : { ...taste, children: false, chains: false };
  const nodes = Array.from({ length: prng.int(1, depth === 0 ? 5 : 2) }, (_, i) =>
    makeNode(prng, mine, `n${i}`, depth),
  );
  const strict = prng.chance(0.5);
  if (mine.chains && prng.chance(0.2))
    return { nodes, end: 'continue', next: makeProgram(prng, taste, depth + 1), strict };
  const end = prng.chance(0.85) ? 'succeed' : prng.pick(['fail', 'refuse'] as const);
  return { nodes, end, strict };
}

/** Programs within programs; what is in the innermost starts no runs. */
const depthMax = 2;

function makeNode(prng: Prng, taste: ProgramTaste, name: string, depth: number): ProgramNode {
  const kind = prng.pick([
    'step',
    'step',
    'call',
    'call',
    'map',
    'sleep',
    'emit',
    'progress',
    'race',
    'wait',
    'wait',
    'child',
    'child',
    'saga',
  ] as const);
  // Only where there are some, so that the other worlds stay as they are.
  if (taste.ai && prng.chance(0.3)) return makeAi(prng, taste, name);
  if (taste.inferences && prng.chance(taste.caches ? 0.6 : 0.3)) return makeInference(prng, taste, name);
  if (kind === 'call' && taste.calls) return makeCall(prng, taste, name);
  if (kind === 'map' && taste.maps) {
    const isOfChildren = depth === 0 && taste.children && prng.chance(0.2);
    const items = Array.from({ length: isOfChildren ? 2 : prng.int(2, 5) }, (_, i) =>
      isOfChildren
        ? makeChild(prng, taste, `${name}:${i}/do`, depthMax, 'await')
        : makeEffect(prng, taste, `${name}:${i}/do`),
    );
    return { op: 'map', name, items, concurrency: prng.int(1, 4), settle: prng.chance(0.3) };
  }
  if (kind === 'child' && taste.children)
    return makeChild(prng, taste, name, depth + 1, prng.pick(['await', 'await', 'detach', 'leave', 'stop']));
  if (kind === 'saga' && taste.sagas) return makeSaga(prng, taste, name);
  if (kind === 'sleep' && taste.sleeps) return { op: 'sleep', name, ms: prng.int(1, 6_000) };
  if (kind === 'emit' && taste.emits)
    return { op: 'emit', name, topic: prng.pick(['noted', 'seen']), n: prng.int(0, 9) };
  if (kind === 'progress') return { op: 'progress', name };
  if (kind === 'race' && taste.races) {
    const branches = Array.from({ length: prng.int(2, 3) }, (_, i) =>
      prng.chance(0.3)
        ? { op: 'sleep' as const, name: `${name}/b${i}/do`, ms: prng.int(1, 1_000) }
        : taste.children && prng.chance(0.2)
          ? makeChild(prng, taste, `${name}/b${i}/do`, depthMax, 'await')
          : taste.waits && prng.chance(0.5)
            ? makeWait(prng, `${name}/b${i}/do`)
            : makeEffect(prng, taste, `${name}/b${i}/do`),
    );
    return { op: 'race', name, branches };
  }
  if (kind === 'wait' && taste.waits) return makeWait(prng, name);
  return makeStep(prng, taste, name);
}

function makeWait(prng: Prng, name: string): WaitNode {
  const signal = prng.chance(0.5) ? prng.pick(programSignals) : null;
  return { op: 'wait', name, signal, n: prng.int(0, 1), ms: prng.int(500, 9_000) };
}

function makeChild(prng: Prng, taste: ProgramTaste, name: string, depth: number, mode: ChildNode['mode']): ChildNode {
  return { op: 'child', name, program: makeProgram(prng, taste, depth), mode };
}

function makeSaga(prng: Prng, taste: ProgramTaste, name: string): SagaNode {
  const items = Array.from({ length: prng.int(1, 3) }, (_, i): SagaItem => {
    const act = makeEffect(prng, taste, `${name}/do/s${i}`);
    const undo = makeStep(prng, taste, `${name}/undo/u${i}/do`);
    return { act, undo, early: act.op === 'call' || prng.chance(0.3) };
  });
  return { op: 'saga', name, items, fails: prng.chance(0.4) };
}

function makeEffect(prng: Prng, taste: ProgramTaste, name: string): StepNode | CallNode {
  return taste.calls && prng.chance(0.5) ? makeCall(prng, taste, name) : makeStep(prng, taste, name);
}

function makeStep(prng: Prng, taste: ProgramTaste, name: string): StepNode {
  return { op: 'step', name, external: prng.chance(0.3), ...effect(prng, taste) };
}

function makeCall(prng: Prng, taste: ProgramTaste, name: string): CallNode {
  return { op: 'call', name, capability: prng.pick(programCapabilities), ...effect(prng, taste) };
}

function makeInference(prng: Prng, taste: ProgramTaste, name: string): InferNode {
  const policy = prng.pick(['retry', 'retry-with-same-key', 'dead-letter'] as const);
  const { chunks: _, ...rest } = effect(prng, taste);
  const node: InferNode = { op: 'infer', name, policy, streamed: taste.streams && prng.chance(0.5), ...rest };
  // Only where there are some, so that the other worlds stay as they are.
  if (taste.caches && !prng.chance(0.3)) {
    const shared = { question: prng.int(0, 1), ttlMs: prng.pick([100, 5_000, 60_000]) };
    const { ms, fails, kills, attempts } = sharedQuestion(shared);
    return { ...node, ms, fails, kills, attempts, shared };
  }
  if (!taste.remedies || !prng.chance(0.5)) return node;
  return { ...node, mend: prng.pick(['reroute', 'compact'] as const) };
}

function makeAi(prng: Prng, taste: ProgramTaste, name: string): AiNode {
  const policy = prng.pick(['retry', 'retry-with-same-key', 'dead-letter'] as const);
  const rounds = Array.from({ length: prng.int(1, 3) }, (_, round): AiRound => {
    const asks = Array.from({ length: prng.pick([1, 1, 2, 3]) }, (__, i) => ({
      ...makeInference(prng, { ...taste, remedies: false, caches: false }, `${name}/ask:${round}:${i}`),
      policy,
      streamed: prng.chance(0.5),
    }));
    const [first] = asks;
    const tools = Array.from({ length: prng.int(0, 3) }, (__, i): AiTool => {
      const id = `c${round}-${i}`;
      const external = prng.chance(0.4);
      const path = `${name}/tool:${toolOf(external)}:${id}`;
      // The model is told of a failure, so a tool has one attempt.
      return { id, step: { op: 'step', name: path, ...effect(prng, taste), external, attempts: 1, chunks: 0 } };
    });
    return { asks: first !== undefined && prng.chance(0.2) ? [...asks, first] : asks, tools };
  });
  return { op: 'ai', name, rounds, policy, fickle: prng.chance(0.3) };
}

/** The name under which a model knows a tool. */
export function toolOf(external: boolean): 'send' | 'look' {
  return external ? 'send' : 'look';
}

function effect(prng: Prng, taste: ProgramTaste): Omit<EffectNode, 'name'> {
  const attempts = prng.int(1, 4);
  return {
    ms: prng.chance(0.8) ? prng.int(1, 200) : prng.int(200, 3_000),
    attempts,
    fails: taste.failures && prng.chance(0.25) ? prng.int(1, attempts + 1) : 0,
    kills: taste.poison && prng.chance(0.06) ? prng.pick([1, 99]) : 0,
    chunks: taste.streams && prng.chance(0.3) ? prng.int(1, 9) : 0,
  };
}

/** Every effect of a program, wherever it stands. */
export function effectsOfProgram(program: Program): (StepNode | CallNode)[] {
  return program.nodes.flatMap((node) => {
    if (node.op === 'step' || node.op === 'call') return [node];
    if (node.op === 'map') return node.items.filter(isEffect);
    if (node.op === 'race') return node.branches.filter(isEffect);
    if (node.op === 'saga') return node.items.flatMap(({ act, undo }) => [act, undo]);
    if (node.op === 'ai') return node.rounds.flatMap(({ tools }) => tools.map(({ step }) => step));
    return [];
  });
}

function isEffect(node: RaceNode): node is StepNode | CallNode {
  return node.op === 'step' || node.op === 'call';
}
