/**
 * Reading syntax trees without depending on a linter or its types: nodes are records with a `type`, and these functions
 * look at their parts. Invariant: whatever tree comes, of JavaScript or TypeScript, a part that is not there is null.
 */

/** A node of a syntax tree in the shape of ESTree. */
export interface AstNode {
  readonly type: string;
  readonly [part: string]: unknown;
}

/** A part that is a node. */
export function part(node: AstNode, name: string): AstNode | null {
  const found = node[name];
  return isNode(found) ? found : null;
}

/** A part that is a list of nodes; holes are left out. */
export function parts(node: AstNode, name: string): readonly AstNode[] {
  const found = node[name];
  return Array.isArray(found) ? found.filter(isNode) : [];
}

/** The node around it. */
export function parentOf(node: AstNode): AstNode | null {
  return part(node, 'parent');
}

/** Whether two are the same place of the same text. */
export function isSame(one: AstNode | null, other: AstNode | null): boolean {
  return one !== null && one === other;
}

/** Whether a node is within another, or is it. */
export function isWithin(node: AstNode, outer: AstNode): boolean {
  for (let at: AstNode | null = node; at !== null; at = parentOf(at)) if (at === outer) return true;
  return false;
}

/** The name of an identifier, or the text of a string literal. */
export function wordOf(node: AstNode | null): string | null {
  if (node === null) return null;
  if (node.type === 'Identifier') return typeof node['name'] === 'string' ? node['name'] : null;
  return node.type === 'Literal' && typeof node['value'] === 'string' ? node['value'] : null;
}

/** The property that `a.b` or `a['b']` names. */
export function propertyOf(member: AstNode): string | null {
  const property = part(member, 'property');
  return member['computed'] === true && property?.type === 'Identifier' ? null : wordOf(property);
}

/** A function with a body of its own. */
export interface FunctionNode extends AstNode {
  readonly type: 'ArrowFunctionExpression' | 'FunctionExpression' | 'FunctionDeclaration';
}

/** Whether it is a function. */
export function isFunction(node: AstNode | null): node is FunctionNode {
  return node !== null && /^(?:ArrowFunctionExpression|FunctionExpression|FunctionDeclaration)$/.test(node.type);
}

/** The innermost function around a node. */
export function functionAround(node: AstNode): AstNode | null {
  let at = parentOf(node);
  while (at !== null && !isFunction(at)) at = parentOf(at);
  return at;
}

/** Takes away what only the type checker sees: `x as T`, `x!`, `x satisfies T`, and the frame of an optional chain. */
export function bare(node: AstNode): AstNode {
  const inner = wrappers.has(node.type) ? part(node, 'expression') : null;
  return inner === null ? node : bare(inner);
}

/** The outermost node that is the same value as this one. */
export function wrapped(node: AstNode): AstNode {
  const around = parentOf(node);
  return around !== null && wrappers.has(around.type) ? wrapped(around) : node;
}

const wrappers = new Set([
  'TSAsExpression',
  'TSNonNullExpression',
  'TSSatisfiesExpression',
  'TSTypeAssertion',
  'ChainExpression',
  'ParenthesizedExpression',
]);

function isNode(value: unknown): value is AstNode {
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string';
}
