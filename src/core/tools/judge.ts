/**
 * The verdict on a call of a tool that a model has asked for. Pure: the same call, policy and orders give the same verdict on
 * every server.
 *
 * Invariant: what an order refuses is refused, whatever rules, orders and people say beside it; and nothing with an effect
 * outside is allowed by an app with a policy that no rule of it names.
 */
import { matcherOf } from '../access/pattern.js';
import type { JsonSchema } from '../manifest.js';
import type { Effect } from '../run/events.js';
import { amountAt, limitFault } from './arguments.js';
import {
  defaultApproval,
  type ToolApproval,
  type ToolOrder,
  type ToolPolicy,
  type ToolQuota,
  type ToolRule,
  type ToolTerms,
  type ToolWord,
} from './policy.js';

/** A call of a tool, as far as a verdict depends on it. */
export interface ToolCase {
  readonly tenant: string;
  /** Workflow or agent whose model asks. */
  readonly by: string;
  readonly tool: string;
  readonly effect: Effect;
  /** The arguments as plain JSON; undefined = they are too large to be looked at. */
  readonly args: unknown;
  /** Where untrusted text has come from that the model may have gone by; empty = there was none. */
  readonly taint: readonly string[];
  /** A person has agreed to this call with these arguments. */
  readonly isApproved: boolean;
  /** What the run has had of what a rule or order allows. */
  used(name: string): ToolUse;
}

/** What was allowed so far: calls, and amounts by the path of the argument. */
export interface ToolUse {
  readonly calls: number;
  readonly sums: Readonly<Record<string, number>>;
}

/** What counts in the quotas of rules and orders, by their names. */
export type Counted = Readonly<Record<string, Readonly<Record<string, number>>>>;

export type ToolVerdict =
  | { readonly tag: 'allowed'; readonly rule: string; readonly counted: Counted }
  | { readonly tag: 'refused'; readonly rule: string; readonly why: string }
  | { readonly tag: 'ask'; readonly rule: string; readonly why: string; readonly approve: ToolApproval };

/** Faults of a plain JSON value against a schema; empty = it fits. */
export type FitsSchema = (schema: JsonSchema, value: unknown) => readonly string[];

/** `policy` null = the app has none, and what no order speaks of is allowed. */
export function judged(
  call: ToolCase,
  policy: ToolPolicy | null,
  orders: readonly ToolOrder[],
  fits: FitsSchema,
): ToolVerdict {
  const concerned = orders.filter((order) => concerns(order, call));
  for (const order of concerned) {
    const fault =
      order.verdict === 'refuse' ? (order.reason ?? 'an operator has shut it off') : termsFault(order, call);
    if (fault !== null) return { tag: 'refused', rule: orderName(order), why: fault };
  }
  const loosened = concerned.find(({ verdict }) => verdict === 'allow');
  const rule = loosened === undefined ? ruleFor(call, policy, fits) : null;
  const named = loosened !== undefined ? orderName(loosened) : (rule?.name ?? '');
  const word = loosened !== undefined || policy === null ? 'allow' : (rule?.verdict ?? unnamed(call, policy));
  if (word === 'refuse') return { tag: 'refused', rule: named, why: refusedWhy(call, rule) };
  const fault = rule === null ? null : (schemaFault(rule, call, fits) ?? termsFault(rule, call));
  if (fault !== null) return { tag: 'refused', rule: named, why: fault };
  const tainted =
    call.taint.length === 0 ? 'allow' : taintWord(call, policy, [...concerned, ...(rule === null ? [] : [rule])]);
  const from = call.taint.join(', ');
  if (tainted === 'refuse') return { tag: 'refused', rule: named, why: `it may follow from untrusted text (${from})` };
  const asks: readonly ToolTerms[] = [
    ...concerned.filter(({ verdict }) => verdict === 'approve'),
    ...(rule !== null && word === 'approve' ? [rule] : []),
  ];
  if (call.isApproved || (asks.length === 0 && word === 'allow' && tainted === 'allow'))
    return { tag: 'allowed', rule: named, counted: countedOf(call, rule === null ? concerned : [...concerned, rule]) };
  const [ask] = asks;
  return {
    tag: 'ask',
    rule: ask !== undefined && ask !== rule ? orderName(ask) : named,
    why: tainted === 'approve' ? `it may follow from untrusted text (${from})` : 'a person has to agree',
    approve: ask?.approve ?? rule?.approve ?? policy?.approve ?? defaultApproval,
  };
}

/** Orders and rules have names of their own; a verdict tells them apart. */
function orderName({ name }: Pick<ToolTerms, 'name'>): string {
  return `order:${name}`;
}

function concerns({ tools, by, tenants }: ToolTerms, call: ToolCase): boolean {
  return isNamed(tools, call.tool) && isNamed(by, call.by) && isNamed(tenants, call.tenant);
}

/** True where one of the patterns is for the name; no patterns are for all names. */
export function isNamed(patterns: readonly string[] | undefined, name: string): boolean {
  return patterns === undefined || patterns.some((pattern) => matcherOf(pattern)(name));
}

function ruleFor(call: ToolCase, policy: ToolPolicy | null, fits: FitsSchema): ToolRule | null {
  for (const rule of policy?.rules ?? []) {
    if (!concerns(rule, call)) continue;
    // Of arguments that nobody can look at nothing is known: the strictest reading is that the rule is for them if it refuses.
    if (rule.when !== undefined && call.args === undefined && rule.verdict !== 'refuse') continue;
    if (rule.when === undefined || call.args === undefined || fits(rule.when, call.args).length === 0) return rule;
  }
  return null;
}

/** What becomes of a call that no rule names. */
function unnamed({ effect }: ToolCase, { otherwise }: ToolPolicy): ToolWord {
  return effect === 'external' ? 'refuse' : otherwise;
}

function refusedWhy({ effect }: ToolCase, rule: ToolRule | null): string {
  if (rule !== null) return 'it is not allowed';
  return effect === 'external' ? 'it has an effect outside, and no rule allows it' : 'no rule allows it';
}

const tooLarge = 'its arguments are too large to be looked at';

function schemaFault({ schema }: ToolRule, { args }: ToolCase, fits: FitsSchema): string | null {
  if (schema === undefined) return null;
  if (args === undefined) return tooLarge;
  const [fault] = fits(schema, args);
  return fault ?? null;
}

function termsFault(terms: ToolTerms, call: ToolCase): string | null {
  const { limits, perRun } = terms;
  if (limits !== undefined) {
    if (call.args === undefined) return tooLarge;
    const fault = limitFault(call.args, limits);
    if (fault !== null) return fault;
  }
  return perRun === undefined ? null : quotaFault(terms, perRun, call);
}

function quotaFault(terms: ToolTerms, { calls, sum = {} }: ToolQuota, call: ToolCase): string | null {
  const used = call.used(countName(terms));
  if (calls !== undefined && used.calls >= calls) return `all ${calls} calls that there may be were made`;
  for (const [path, most] of Object.entries(sum)) {
    const amount = call.args === undefined ? null : amountAt(call.args, path);
    if (amount === null) return `${path} is not an amount`;
    if ((used.sums[path] ?? 0) + amount > most) return `${path} comes to more than ${most} with what was before`;
  }
  return null;
}

/** Those of an operator begin with a character that no rule begins with. */
function countName(terms: ToolTerms): string {
  return 'orderedBy' in terms ? orderName(terms) : terms.name;
}

function countedOf(call: ToolCase, all: readonly ToolTerms[]): Counted {
  const counting = all.filter(({ perRun }) => perRun !== undefined);
  return Object.fromEntries(
    counting.map((terms) => {
      const paths = Object.keys(terms.perRun?.sum ?? {});
      return [countName(terms), Object.fromEntries(paths.map((path) => [path, amountAt(call.args, path) ?? 0]))];
    }),
  );
}

const strictness: Readonly<Record<ToolWord, number>> = { allow: 0, approve: 1, refuse: 2 };

/** What holds for a call that untrusted text may have led to: what the rule says, or else the policy; orders make it no looser. */
function taintWord({ effect }: ToolCase, policy: ToolPolicy | null, all: readonly ToolTerms[]): ToolWord {
  const usual = effect === 'external' ? (policy?.tainted ?? 'allow') : 'allow';
  const declared = all.find((terms) => !('orderedBy' in terms))?.tainted ?? usual;
  const ordered = all.flatMap((terms) => ('orderedBy' in terms && terms.tainted !== undefined ? [terms.tainted] : []));
  return ordered.reduce((word, other) => (strictness[other] > strictness[word] ? other : word), declared);
}
