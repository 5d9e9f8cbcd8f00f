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
      readonly items: readonly (StepNode | CallNode)[];
      readonly concurrency: number;
    }
  | { readonly op: 'sleep'; readonly name: string; readonly ms: number }
  | { readonly op: 'emit'; readonly name: string; readonly topic: string; readonly n: number }
  | { readonly op: 'progress'; readonly name: string }
  | WaitNode
  | { readonly op: 'race'; readonly name: string; readonly branches: readonly RaceNode[] };

/** What a branch of a race does. */
export type RaceNode = StepNode | CallNode | SleepNode | WaitNode;

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

/** A whole body. */
export interface Program {
  readonly nodes: readonly ProgramNode[];
  readonly end: 'succeed' | 'fail' | 'refuse';
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
  readonly failures: boolean;
  readonly poison: boolean;
}

/** The capabilities that programs call. */
export const programCapabilities = ['work', 'gpu'] as const;

/** The signals that programs wait for. */
export const programSignals = ['go', 'more'] as const;

/** A new program. */
export function makeProgram(prng: Prng, taste: ProgramTaste): Program {
  const nodes = Array.from({ length: prng.int(1, 5) }, (_, i) => makeNode(prng, taste, `n${i}`));
  const end = prng.chance(0.85) ? 'succeed' : prng.pick(['fail', 'refuse'] as const);
  return { nodes, end, strict: prng.chance(0.5) };
}

function makeNode(prng: Prng, taste: ProgramTaste, name: string): ProgramNode {
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
  ] as const);
  if (kind === 'call' && taste.calls) return makeCall(prng, taste, name);
  if (kind === 'map' && taste.maps) {
    const items = Array.from({ length: prng.int(2, 5) }, (_, i) => makeEffect(prng, taste, `${name}:${i}/do`));
    return { op: 'map', name, items, concurrency: prng.int(1, 4) };
  }
  if (kind === 'sleep' && taste.sleeps) return { op: 'sleep', name, ms: prng.int(1, 6_000) };
  if (kind === 'emit' && taste.emits)
    return { op: 'emit', name, topic: prng.pick(['noted', 'seen']), n: prng.int(0, 9) };
  if (kind === 'progress') return { op: 'progress', name };
  if (kind === 'race' && taste.races) {
    const branches = Array.from({ length: prng.int(2, 3) }, (_, i) =>
      prng.chance(0.3)
        ? { op: 'sleep' as const, name: `${name}/b${i}/do`, ms: prng.int(1, 1_000) }
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

function makeEffect(prng: Prng, taste: ProgramTaste, name: string): StepNode | CallNode {
  return taste.calls && prng.chance(0.5) ? makeCall(prng, taste, name) : makeStep(prng, taste, name);
}

function makeStep(prng: Prng, taste: ProgramTaste, name: string): StepNode {
  return { op: 'step', name, external: prng.chance(0.3), ...effect(prng, taste) };
}

function makeCall(prng: Prng, taste: ProgramTaste, name: string): CallNode {
  return { op: 'call', name, capability: prng.pick(programCapabilities), ...effect(prng, taste) };
}

function effect(prng: Prng, taste: ProgramTaste): Omit<EffectNode, 'name'> {
  const attempts = prng.int(1, 4);
  return {
    ms: prng.chance(0.8) ? prng.int(1, 200) : prng.int(200, 3_000),
    attempts,
    fails: taste.failures && prng.chance(0.25) ? prng.int(1, attempts + 1) : 0,
    kills: taste.poison && prng.chance(0.06) ? prng.pick([1, 99]) : 0,
  };
}

/** Every effect of a program, wherever it stands. */
export function effectsOfProgram(program: Program): (StepNode | CallNode)[] {
  return program.nodes.flatMap((node) => {
    if (node.op === 'step' || node.op === 'call') return [node];
    if (node.op === 'map') return [...node.items];
    if (node.op === 'race') return node.branches.filter((branch) => branch.op === 'step' || branch.op === 'call');
    return [];
  });
}
