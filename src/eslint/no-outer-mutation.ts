/**
 * `no-outer-mutation`: variables that are changed from where a replay does not follow, or in an order that is not written
 * down. A step that has run is not run again, so what it changed around itself stays unchanged in the next activation;
 * branches of a map or race settle in any order, or are given up in the middle.
 */
import {
  bare,
  isFunction,
  isSame,
  isWithin,
  parentOf,
  part,
  parts,
  propertyOf,
  wordOf,
  wrapped,
  type AstNode,
} from './ast.js';
import { rule, type Reference, type Look, type RuleModule, type Variable } from './rule.js';
import { workflowCode, type Unit, type WorkflowCode } from './workflow-code.js';

/** Branches that go side by side. In a scope, a saga or a shield the order is that of the text. */
const sideBySide: ReadonlySet<string> = new Set(['map', 'race', 'any']);

/** The rule. */
export const noOuterMutation: RuleModule = rule(
  'Forbid steps and branches that change variables around them, and bodies that change variables of the module.',
  {
    step: 'This step changes "{{name}}" of the code around it. A replay takes the recorded result and does not run the step again, so the change is lost. Let the step return what it has found.',
    input:
      'This step changes its recorded input "{{name}}". A replay sees it unchanged. Let the step return what it has found.',
    branch:
      'Branches of ctx.{{method}} change "{{name}}" around them, in any order. Let each branch return its part, and put the parts together afterwards.',
    module:
      'This body changes "{{name}}" of the module. Every replay does it again, for every run of the process. Keep state in the body or in results.',
  },
  check,
);

function check(look: Look): void {
  const code = workflowCode(look.sourceCode);
  for (const unit of code.units) {
    const through = look.sourceCode.scopeManager.acquire(unit.fn)?.through ?? [];
    if (unit.kind === 'body') checkBody(look, code, unit, through);
    else if (unit.kind === 'step') checkStep(look, code, unit, through);
    else if (sideBySide.has(unit.method ?? '')) checkBranch(look, code, unit, through);
  }
}

function checkBody(look: Look, code: WorkflowCode, unit: Unit, through: readonly Reference[]): void {
  for (const use of through) {
    const { identifier, resolved } = use;
    if (resolved === null || !isOfModule(resolved) || !changes(use, resolved)) continue;
    // A step may keep a connection or a cache of its own in the module.
    const here = code.unitOf(identifier);
    if (here?.kind === 'step' || rootOf(here) !== unit) continue;
    look.report({ node: identifier, messageId: 'module', data: { name: resolved.name } });
  }
}

function checkStep(look: Look, code: WorkflowCode, unit: Unit, through: readonly Reference[]): void {
  for (const use of through) {
    const { identifier, resolved } = use;
    if (resolved === null || isOfModule(resolved) || !changes(use, resolved) || code.unitOf(identifier) !== unit)
      continue;
    look.report({ node: identifier, messageId: 'step', data: { name: resolved.name } });
  }
  for (const use of unit.input?.references ?? []) {
    if (use.isWrite() || !changesInside(use.identifier, null)) continue;
    look.report({ node: use.identifier, messageId: 'input', data: { name: unit.input?.name ?? '' } });
  }
}

function checkBranch(look: Look, code: WorkflowCode, unit: Unit, through: readonly Reference[]): void {
  for (const use of through) {
    const { identifier, resolved } = use;
    if (resolved === null || isOfModule(resolved) || !changes(use, resolved) || isCount(identifier)) continue;
    // What is in a step, or in a branch further in, is told of there.
    if (innermost(code.unitOf(identifier)) !== unit) continue;
    const data = { name: resolved.name, method: unit.method ?? '' };
    look.report({ node: identifier, messageId: 'branch', data });
  }
}

/**
 * Counting comes to the same in any order, as long as nothing is awaited between reading and writing: `done += 1` is fine,
 * `sum += await ...` loses what others have added meanwhile.
 */
function isCount(identifier: AstNode): boolean {
  const node = wrapped(identifier);
  const around = parentOf(node);
  if (around?.type === 'UpdateExpression') return true;
  if (around?.type !== 'AssignmentExpression' || !isSame(part(around, 'left'), node)) return false;
  return /^[+-]=$/.test(String(around['operator'])) && !awaits(part(around, 'right'));
}

function awaits(node: AstNode | null): boolean {
  if (node === null || isFunction(node)) return false;
  if (node.type === 'AwaitExpression') return true;
  return Object.entries(node).some(([name, value]) => {
    if (name === 'parent') return false;
    return Array.isArray(value) ? parts(node, name).some(awaits) : awaits(part(node, name));
  });
}

/** The nearest unit that this rule looks at. */
function innermost(unit: Unit | null): Unit | null {
  let at = unit;
  while (at !== null && at.kind === 'branch' && !sideBySide.has(at.method ?? '')) at = at.around;
  return at;
}

function rootOf(unit: Unit | null): Unit | null {
  let at = unit;
  while (at !== null && at.around !== null) at = at.around;
  return at;
}

function isOfModule({ scope, defs }: Variable): boolean {
  return (scope.type === 'module' || scope.type === 'global') && defs.every(({ type }) => type !== 'ImportBinding');
}

function changes(use: Reference, variable: Variable): boolean {
  return use.isWrite() ? use.init !== true : changesInside(use.identifier, variable);
}

/** Methods that change a list; and those that change a set or map, where the variable is known to be one. */
const ofLists = new Set(['push', 'pop', 'shift', 'unshift', 'splice', 'sort', 'reverse', 'fill', 'copyWithin']);
const ofCollections = new Set(['set', 'add', 'delete', 'clear', 'append']);
const collections = new Set(['Map', 'Set', 'WeakMap', 'WeakSet', 'URLSearchParams', 'FormData', 'Headers']);

/** Whether the object that a name stands for is changed here. */
function changesInside(identifier: AstNode, variable: Variable | null): boolean {
  let node = wrapped(identifier);
  let member: AstNode | null = null;
  for (let around = parentOf(node); around?.type === 'MemberExpression'; around = parentOf(node)) {
    if (!isSame(part(around, 'object'), node)) return false;
    member = around;
    node = wrapped(around);
  }
  const around = parentOf(node);
  if (around === null) return false;
  if (member === null) return isTargetOfAssign(around, node);
  switch (around.type) {
    case 'AssignmentExpression':
    case 'AssignmentPattern':
    case 'ForOfStatement':
    case 'ForInStatement':
      return isSame(part(around, 'left'), node);
    case 'UpdateExpression':
    case 'RestElement':
      return true;
    case 'UnaryExpression':
      return around['operator'] === 'delete';
    case 'ArrayPattern':
      return true;
    case 'Property':
      return parentOf(around)?.type === 'ObjectPattern' && isSame(part(around, 'value'), node);
    case 'CallExpression': {
      if (!isSame(part(around, 'callee'), node)) return isTargetOfAssign(around, node);
      const method = propertyOf(member) ?? '';
      if (ofLists.has(method)) return true;
      return ofCollections.has(method) && isCollection(variable, part(member, 'object'), identifier);
    }
    default:
      return false;
  }
}

function isCollection(variable: Variable | null, object: AstNode | null, identifier: AstNode): boolean {
  if (object === null || bare(object) !== identifier) return false;
  const [definition] = variable?.defs ?? [];
  const value = definition?.node.type === 'VariableDeclarator' ? part(definition.node, 'init') : null;
  if (value === null || bare(value).type !== 'NewExpression') return false;
  return collections.has(wordOf(part(bare(value), 'callee')) ?? '');
}

/** `Object.assign(target, ...)`. */
function isTargetOfAssign(call: AstNode, node: AstNode): boolean {
  if (call.type !== 'CallExpression' || !isSame(parts(call, 'arguments')[0] ?? null, node)) return false;
  const callee = part(call, 'callee');
  if (callee?.type !== 'MemberExpression' || !isWithin(callee, call)) return false;
  return wordOf(part(callee, 'object')) === 'Object' && /^(?:assign|defineProperty)$/.test(propertyOf(callee) ?? '');
}
