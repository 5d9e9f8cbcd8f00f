/**
 * `no-chance-in-body`: clock, chance, timers and network in code that is replayed. What they give is not recorded, so the
 * next activation gets something else and may take another way.
 */
import { isSame, parentOf, part, parts, propertyOf, type AstNode } from './ast.js';
import { rule, type Look, type RuleModule } from './rule.js';
import { workflowCode } from './workflow-code.js';

const clock = 'ctx.now(), or read the clock inside of a step';
const chance = 'ctx.random() or ctx.uuid(), or draw inside of a step';
const timers = 'ctx.sleep()';

/** Globals and what to use instead; of objects, by member. */
const instead: Readonly<Record<string, string | Readonly<Record<string, string>>>> = {
  Date: { now: clock },
  performance: { now: clock },
  Math: { random: chance },
  crypto: { randomUUID: chance, getRandomValues: chance },
  process: { hrtime: clock },
  setTimeout: timers,
  setInterval: timers,
  setImmediate: timers,
  fetch: 'a step or a capability',
};

/** The rule. */
export const noChanceInBody: RuleModule = rule(
  'Forbid clock, chance, timers and network in bodies, outside of steps.',
  { found: '{{what}} gives something else in a replay. Use {{use}}.' },
  check,
);

function check(look: Look): void {
  const { units, unitOf } = workflowCode(look.sourceCode);
  for (const unit of units) {
    if (unit.kind === 'step') continue;
    for (const { identifier, resolved } of look.sourceCode.scopeManager.acquire(unit.fn)?.through ?? []) {
      if (resolved !== null && resolved.defs.length > 0) continue;
      if (unitOf(identifier) !== unit) continue;
      const found = faultAt(identifier);
      if (found !== null) look.report({ node: identifier, messageId: 'found', data: found });
    }
  }
}

function faultAt(identifier: AstNode): { what: string; use: string } | null {
  const name = String(identifier['name']);
  const use = Object.hasOwn(instead, name) ? instead[name] : undefined;
  const around = parentOf(identifier);
  if (use === undefined || around === null) return null;
  if (typeof use === 'string') {
    return isSame(part(around, 'callee'), identifier) ? { what: `${name}()`, use } : null;
  }
  if (name === 'Date' && /^(?:New|Call)Expression$/.test(around.type) && isSame(part(around, 'callee'), identifier)) {
    const isNow = around.type === 'CallExpression' || parts(around, 'arguments').length === 0;
    return isNow ? { what: around.type === 'NewExpression' ? 'new Date()' : 'Date()', use: clock } : null;
  }
  const member = around.type === 'MemberExpression' ? propertyOf(around) : null;
  const found = member === null || !Object.hasOwn(use, member) ? undefined : use[member];
  return found === undefined ? null : { what: `${name}.${member ?? ''}()`, use: found };
}
