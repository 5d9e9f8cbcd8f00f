/**
 * `await-ctx`: a promise of `ctx` that nobody waits for. The run may end before it, and what it does when it fails is
 * told to nobody.
 */
import { functionAround, isFunction, isSame, parentOf, part, parts, propertyOf, wrapped, type AstNode } from './ast.js';
import { rule, type Look, type RuleModule, type Suggestion } from './rule.js';
import { waitingMethods, workflowCode, type CtxCall } from './workflow-code.js';

/** The rule. */
export const awaitCtx: RuleModule = rule(
  'Require that promises of ctx are awaited or used.',
  {
    dropped:
      'Nothing waits for ctx.{{method}}(...). Await it, or give its promise to Promise.all or to a variable that is.',
    unused: 'The promise of ctx.{{method}}(...) is kept in "{{name}}", and nothing waits for it.',
    tested: 'This looks at the promise of ctx.{{method}}(...) and not at its result. Await it.',
    forEach: 'forEach does not wait for the promise of ctx.{{method}}(...). Use ctx.map, or a for loop.',
    await: 'Await it.',
  },
  check,
);

function check(look: Look): void {
  const { calls } = workflowCode(look.sourceCode);
  for (const call of calls) {
    if (!waitingMethods.has(call.method)) continue;
    const found = faultOf(look, call);
    if (found === null) continue;
    const data = { method: call.method, ...(found.name === undefined ? {} : { name: found.name }) };
    look.report({ node: call.node, messageId: found.messageId, data, suggest: mend(call.node, found.messageId) });
  }
}

interface Fault {
  readonly messageId: 'dropped' | 'unused' | 'tested' | 'forEach';
  readonly name?: string;
}

function faultOf({ sourceCode }: Look, { node: call, unit }: CtxCall): Fault | null {
  const inner = functionAround(call);
  if (inner !== null && inner !== unit.fn && inner['async'] === true && isForEach(inner))
    return { messageId: 'forEach' };
  const node = valueOf(call);
  const around = parentOf(node);
  switch (around?.type) {
    case 'ExpressionStatement':
      return { messageId: 'dropped' };
    case 'UnaryExpression':
      if (around['operator'] === 'void') return { messageId: 'dropped' };
      return around['operator'] === '!' ? { messageId: 'tested' } : null;
    case 'SequenceExpression':
      return { messageId: 'dropped' };
    case 'IfStatement':
    case 'WhileStatement':
    case 'DoWhileStatement':
    case 'ConditionalExpression':
    case 'LogicalExpression':
      return { messageId: 'tested' };
    case 'ArrowFunctionExpression':
      return isForEach(around) ? { messageId: 'forEach' } : null;
    case 'VariableDeclarator': {
      const [variable] = sourceCode.getDeclaredVariables(around);
      if (variable === undefined || part(around, 'id')?.type !== 'Identifier') return null;
      const isUsed = variable.references.some((use) => use.isRead());
      return isUsed || isExported(around) ? null : { messageId: 'unused', name: variable.name };
    }
    default:
      return null;
  }
}

/** The outermost expression whose value is the promise of this call, or one that follows from it by `then`. */
function valueOf(call: AstNode): AstNode {
  const node = wrapped(call);
  const around = parentOf(node);
  if (around === null) return node;
  switch (around.type) {
    case 'MemberExpression': {
      const next = parentOf(around);
      const follows = /^(?:then|catch|finally)$/.test(propertyOf(around) ?? '') && isSame(part(around, 'object'), node);
      return follows && next?.type === 'CallExpression' ? valueOf(next) : node;
    }
    case 'ConditionalExpression':
      return isSame(part(around, 'test'), node) ? node : valueOf(around);
    case 'LogicalExpression':
      return isSame(part(around, 'right'), node) || around['operator'] === '??' ? valueOf(around) : node;
    case 'SequenceExpression':
      return isSame(parts(around, 'expressions').at(-1) ?? null, node) ? valueOf(around) : node;
    default:
      return node;
  }
}

function isForEach(fn: AstNode): boolean {
  const call = parentOf(fn);
  const callee = call?.type === 'CallExpression' ? part(call, 'callee') : null;
  return callee?.type === 'MemberExpression' && propertyOf(callee) === 'forEach';
}

function isExported(declarator: AstNode): boolean {
  const declaration = parentOf(declarator);
  return declaration !== null && parentOf(declaration)?.type === 'ExportNamedDeclaration';
}

function mend(call: AstNode, messageId: Fault['messageId']): Suggestion[] {
  const around = functionAround(call);
  const statement = parentOf(wrapped(call));
  if (!isFunction(around) || around['async'] !== true) return [];
  if (messageId !== 'dropped' || statement?.type !== 'ExpressionStatement') return [];
  return [{ messageId: 'await', fix: (fixer) => fixer.insertTextBefore(wrapped(call), 'await ') }];
}
