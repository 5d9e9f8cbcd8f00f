/**
 * `own-ctx`: a `ctx` that is used where it must not be. A branch has a `ctx` of its own, under which its names are; a step
 * has none, because a replay does not run it.
 */
import { parentOf, parts, propertyOf, wordOf, wrapped, type AstNode } from './ast.js';
import { rule, type Look, type RuleModule, type Suggestion } from './rule.js';
import { workflowCode, type Unit } from './workflow-code.js';

/** What reading changes nothing, and is the same for every `ctx` of a run. */
const harmless: ReadonlySet<string> = new Set(['run', 'log', 'now', 'random', 'uuid', 'historyLength']);
/** What makes sense also in a step. */
const fitForSteps: ReadonlySet<string> = new Set(['run', 'log', 'signal', 'progress']);

/** The rule. */
export const ownCtx: RuleModule = rule(
  'Require that branches use their own ctx, and steps none.',
  {
    outer: 'This is the ctx of the code around ctx.{{method}}. Use "{{own}}", which this branch is given.',
    missing:
      'This is the ctx of the code around ctx.{{method}}. Take the {{position}} parameter of this branch as its ctx, and use that.',
    step: 'A step cannot use ctx. Let it return what it has found, and go on in the body.',
    use: 'Use "{{own}}".',
  },
  check,
);

function check(look: Look): void {
  const { units, unitOf } = workflowCode(look.sourceCode);
  for (const unit of units) {
    for (const { identifier } of unit.ctx?.references ?? []) {
      const here = unitOf(identifier);
      if (here === null || here === unit || isTypeOnly(identifier)) continue;
      const used = memberOf(identifier);
      if (here.kind === 'step') {
        if (used === null || !fitForSteps.has(used)) look.report({ node: identifier, messageId: 'step' });
      } else if (here.kind === 'branch' && (used === null || !harmless.has(used))) {
        report(look, identifier, here);
      }
    }
  }
}

function report(look: Look, identifier: AstNode, { fn, method, ctx }: Unit): void {
  const positions = method === 'map' ? (['second', 1] as const) : (['first', 0] as const);
  const own = ctx?.name ?? wordOf(parts(fn, 'params')[positions[1]] ?? null);
  if (own === null) {
    const data = { method: method ?? '', position: positions[0] };
    look.report({ node: identifier, messageId: 'missing', data });
    return;
  }
  const data = { method: method ?? '', own };
  const suggest: Suggestion[] = [
    { messageId: 'use', data: { own }, fix: (fixer) => fixer.replaceText(identifier, own) },
  ];
  look.report({ node: identifier, messageId: 'outer', data, suggest });
}

/** The member of `ctx` that is used; null where `ctx` goes on as a whole. */
function memberOf(identifier: AstNode): string | null {
  const member = parentOf(wrapped(identifier));
  return member?.type === 'MemberExpression' ? propertyOf(member) : null;
}

/** `typeof ctx` in a type runs nothing. */
function isTypeOnly(identifier: AstNode): boolean {
  return parentOf(identifier)?.type === 'TSTypeQuery';
}
