/**
 * Which functions of a file are code of workflows, found without types: the bodies given to `workflow` and the handlers
 * of `agent`, functions whose parameter is annotated as `Ctx`, and whatever is handed to a method of their `ctx`.
 * Invariant: every `Ctx` variable found belongs to exactly one unit, and every unit but a root has one around it.
 */
import { bare, isFunction, isSame, parentOf, part, parts, propertyOf, wordOf, wrapped, type AstNode } from './ast.js';
import type { SourceCode, Variable } from './rule.js';

/**
 * A function that is code of a workflow. A `body` is replayed; a `branch` is a part of a body with a `ctx` of its own; a
 * `step` runs outside of the replay.
 */
export interface Unit {
  readonly kind: 'body' | 'branch' | 'step';
  readonly fn: AstNode;
  /** The parameter by which it knows its `ctx`; null where it takes none. */
  readonly ctx: Variable | null;
  /** Method that it was given to; null for a body. */
  readonly method: string | null;
  /** The recorded input of a step, where its function takes one. */
  readonly input: Variable | null;
  readonly around: Unit | null;
}

/** A call of a method of a `ctx`. */
export interface CtxCall {
  readonly node: AstNode;
  readonly method: string;
  readonly unit: Unit;
}

/** All that a file has. */
export interface WorkflowCode {
  readonly units: readonly Unit[];
  readonly calls: readonly CtxCall[];
  /** The innermost unit that a node is in. */
  readonly unitOf: (node: AstNode) => Unit | null;
}

/** Methods of `ctx` that give a promise; what is not awaited there is lost. A test compares them with the type. */
export const waitingMethods: ReadonlySet<string> = new Set([
  'any',
  'approve',
  'ask',
  'call',
  'child',
  'context',
  'continueAsNew',
  'emit',
  'ai',
  'infer',
  'map',
  'outcome',
  'race',
  'saga',
  'scope',
  'shield',
  'sleep',
  'sleepUntil',
  'start',
  'step',
  'tell',
  'waitFor',
]);

const known = new WeakMap<AstNode, WorkflowCode>();

/** Reads a file; the rules share what was read. */
export function workflowCode(source: SourceCode): WorkflowCode {
  let found = known.get(source.ast);
  if (found === undefined) known.set(source.ast, (found = read(source)));
  return found;
}

function read(source: SourceCode): WorkflowCode {
  const units = new Map<AstNode, Unit>();
  const calls: CtxCall[] = [];
  const todo: Unit[] = roots(source);
  // Bounded: every function of the file is taken once.
  for (let unit = todo.shift(); unit !== undefined; unit = todo.shift()) {
    if (units.has(unit.fn)) continue;
    units.set(unit.fn, unit);
    for (const call of callsOn(unit)) {
      calls.push(call);
      todo.push(...given(source, call));
    }
    todo.push(...undone(source, unit));
  }
  const unitOf = (node: AstNode): Unit | null => {
    for (let at: AstNode | null = node; at !== null; at = parentOf(at)) {
      const unit = units.get(at);
      if (unit !== undefined) return unit;
    }
    return null;
  };
  return { units: [...units.values()], calls, unitOf };
}

// ---------------------------------------------------------------- roots

function roots(source: SourceCode): Unit[] {
  const found: Unit[] = [];
  for (const declaration of parts(source.ast, 'body')) {
    if (declaration.type !== 'ImportDeclaration') continue;
    if (!/^eventspine(?:\/|$)/.test(wordOf(part(declaration, 'source')) ?? '')) continue;
    for (const specifier of parts(declaration, 'specifiers')) {
      const [variable] = declared(source, specifier);
      for (const { identifier } of variable?.references ?? []) found.push(...rootsAt(source, specifier, identifier));
    }
  }
  return found;
}

/** What a use of an imported name makes a root. */
function rootsAt(source: SourceCode, specifier: AstNode, use: AstNode): Unit[] {
  const around = parentOf(use);
  if (around === null) return [];
  if (specifier.type === 'ImportNamespaceSpecifier') {
    const member =
      around.type === 'MemberExpression' && isSame(part(around, 'object'), use) ? propertyOf(around) : null;
    if (member !== null) return definedBy(source, member, around);
    const right = around.type === 'TSQualifiedName' ? wordOf(part(around, 'right')) : null;
    return right === 'Ctx' ? annotated(source, around) : [];
  }
  const imported = wordOf(part(specifier, 'imported'));
  if (imported === null) return [];
  return imported === 'Ctx' ? annotated(source, use) : definedBy(source, imported, use);
}

/** The bodies in a call of `workflow(...)` or `agent(...)`. */
function definedBy(source: SourceCode, factory: string, callee: AstNode): Unit[] {
  const call = parentOf(callee);
  if (call?.type !== 'CallExpression' || !isSame(part(call, 'callee'), callee)) return [];
  const args = parts(call, 'arguments');
  if (factory === 'workflow') {
    const fn = functionOf(source, args.at(-1));
    return fn === null ? [] : [bodyOf(source, fn, 0)];
  }
  if (factory !== 'agent') return [];
  const options = args.find((argument) => argument.type === 'ObjectExpression');
  const on = options === undefined ? undefined : values(options).find(({ name }) => name === 'on')?.value;
  if (on?.type !== 'ObjectExpression') return [];
  return values(on).flatMap(({ value }) => {
    const fn = functionOf(source, value);
    const position = fn === null ? -1 : parts(fn, 'params').findIndex((param) => wordOf(param) === 'ctx');
    return fn === null || position < 0 ? [] : [bodyOf(source, fn, position)];
  });
}

/** The function, one of whose parameters has the type that is named here. */
function annotated(source: SourceCode, typeName: AstNode): Unit[] {
  const reference = parentOf(typeName);
  const annotation = reference?.type === 'TSTypeReference' ? parentOf(reference) : null;
  const param = annotation?.type === 'TSTypeAnnotation' ? parentOf(annotation) : null;
  const fn = param === null ? null : parentOf(param);
  if (param === null || !isFunction(fn)) return [];
  const position = parts(fn, 'params').indexOf(param);
  return position < 0 ? [] : [bodyOf(source, fn, position)];
}

function bodyOf(source: SourceCode, fn: AstNode, position: number): Unit {
  return { kind: 'body', fn, ctx: paramOf(source, fn, position), method: null, input: null, around: null };
}

// ---------------------------------------------------------------- what a ctx is used for

function callsOn(unit: Unit): CtxCall[] {
  const found: CtxCall[] = [];
  for (const { identifier } of unit.ctx?.references ?? []) {
    const member = parentOf(wrapped(identifier));
    if (member?.type !== 'MemberExpression' || bare(part(member, 'object') ?? member) !== identifier) continue;
    const method = propertyOf(member);
    const callee = wrapped(member);
    const node = parentOf(callee);
    if (method === null || node?.type !== 'CallExpression' || !isSame(part(node, 'callee'), callee)) continue;
    found.push({ node, method, unit });
  }
  return found;
}

/** The functions that a call of a method of `ctx` is given. */
function given(source: SourceCode, { node, method, unit: around }: CtxCall): Unit[] {
  const args = parts(node, 'arguments');
  const branch = (argument: AstNode | undefined, position: number): Unit[] => {
    const fn = functionOf(source, argument);
    if (fn === null) return [];
    return [{ kind: 'branch', fn, ctx: paramOf(source, fn, position), method, input: null, around }];
  };
  switch (method) {
    case 'step':
    case 'context': {
      const position = args.findIndex((argument, i) => i > 0 && functionOf(source, argument) !== null);
      const fn = functionOf(source, args[position]);
      if (fn === null) return [];
      const input = method === 'step' && position === 2 ? paramOf(source, fn, 0) : null;
      return [{ kind: 'step', fn, ctx: null, method, input, around }];
    }
    case 'map':
      return branch(args.at(-1), 1);
    case 'scope':
    case 'saga':
    case 'shield':
      return branch(args.at(-1), 0);
    case 'race':
    case 'any': {
      const branches = args.at(-1);
      if (branches?.type !== 'ObjectExpression') return [];
      return values(branches).flatMap(({ value }) => branch(value, 0));
    }
    default:
      return [];
  }
}

/** The functions that a saga's `undo` is given. */
function undone(source: SourceCode, unit: Unit): Unit[] {
  if (unit.method !== 'saga') return [];
  return (paramOf(source, unit.fn, 1)?.references ?? []).flatMap(({ identifier }) => {
    const call = parentOf(identifier);
    if (call?.type !== 'CallExpression' || !isSame(part(call, 'callee'), identifier)) return [];
    const fn = functionOf(source, parts(call, 'arguments').at(-1));
    if (fn === null) return [];
    const ctx = paramOf(source, fn, 0);
    return [{ kind: 'branch' as const, fn, ctx, method: 'undo', input: null, around: unit }];
  });
}

// ---------------------------------------------------------------- names

/** The function that an expression is, or that a name stands for which is declared once in this file. */
function functionOf(source: SourceCode, expression: AstNode | undefined): AstNode | null {
  if (expression === undefined) return null;
  const node = bare(expression);
  if (isFunction(node)) return node;
  if (node.type !== 'Identifier') return null;
  const [definition, ...others] = resolved(source, node)?.defs ?? [];
  if (definition === undefined || others.length > 0) return null;
  if (definition.type === 'FunctionName') return isFunction(definition.node) ? definition.node : null;
  const value = definition.type === 'Variable' ? part(definition.node, 'init') : null;
  return isFunction(value) ? value : null;
}

/** The variable that a name stands for where it is used. */
function resolved(source: SourceCode, identifier: AstNode): Variable | null {
  for (let at: AstNode | null = identifier; at !== null; at = parentOf(at)) {
    // The name of a function expression, and the top of a module, have scopes around those of their nodes.
    for (const scope of [source.scopeManager.acquire(at, true), source.scopeManager.acquire(at)]) {
      const use = scope?.references.find((reference) => reference.identifier === identifier);
      if (use !== undefined) return use.resolved;
    }
  }
  return null;
}

function paramOf(source: SourceCode, fn: AstNode, position: number): Variable | null {
  const param = parts(fn, 'params')[position];
  const name = param === undefined ? null : wordOf(param.type === 'AssignmentPattern' ? part(param, 'left') : param);
  return name === null ? null : (declared(source, fn).find((variable) => variable.name === name) ?? null);
}

function declared(source: SourceCode, node: AstNode): readonly Variable[] {
  return source.getDeclaredVariables(node);
}

/** The properties of an object literal whose names are known, and their values. */
function values(object: AstNode): { name: string; value: AstNode }[] {
  return parts(object, 'properties').flatMap((property) => {
    const name = wordOf(part(property, 'key'));
    const value = part(property, 'value');
    return property.type !== 'Property' || name === null || value === null ? [] : [{ name, value }];
  });
}
