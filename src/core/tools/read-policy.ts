/**
 * Policies and orders as people and workers write them, read with all faults at once. The same reader for code, manifests and
 * requests, so that none of them can say what another cannot.
 */
import { patternFault } from '../access/pattern.js';
import { durationMs, type Duration } from '../duration.js';
import { limits as bounds } from '../limits.js';
import type { JsonSchema } from '../manifest.js';
import { isAddress, type Address } from '../run/waits.js';
import { argumentPathFault } from './arguments.js';
import {
  defaultApproval,
  toolOrderWords,
  toolWords,
  type ArgumentLimit,
  type ToolApproval,
  type ToolOrder,
  type ToolOrderWord,
  type ToolPolicy,
  type ToolQuota,
  type ToolRule,
  type ToolTerms,
  type ToolWord,
} from './policy.js';

/** Who is asked: one address or several, and for how long (`expires`, a duration). */
export interface ToolApprovalOptions {
  readonly to: Address | readonly Address[];
  readonly expires?: Duration;
}

/** What rules of apps and orders of operators have in common, as people write it. */
export interface ToolTermsOptions {
  /** Patterns of names of tools: `*` is any text without a dot, `**` any. */
  readonly tools: string | readonly string[];
  /** Patterns of names of workflows and agents. Default: all. */
  readonly by?: string | readonly string[];
  /** Patterns of tenants. Default: all. */
  readonly tenants?: string | readonly string[];
  /** What is allowed of arguments, by their paths (`to.address`, `items[].cents`). */
  readonly limits?: Readonly<Record<string, ArgumentLimit>>;
  /** How much of it a run may have; of an agent, how much for one message. */
  readonly perRun?: ToolQuota;
  /** Who is asked. Default: as the policy says, then `role:operator`. */
  readonly approve?: ToolApprovalOptions;
  /** What becomes of it where untrusted text may have led to it. Default: for effects outside, what the policy says. */
  readonly tainted?: ToolWord;
}

/** A rule as people write it; schemas are JSON Schema here. */
export interface ToolRuleOptions extends ToolTermsOptions {
  /** By which its quota is counted, and which verdicts name. Default: its tools. */
  readonly name?: string;
  /** What becomes of the call, where it is within the limits. Default `allow`. */
  readonly verdict?: ToolWord;
  /** The rule is for calls whose arguments fit this. Default: all. */
  readonly when?: JsonSchema;
  /** What arguments must fit, or the call is refused. */
  readonly schema?: JsonSchema;
}

/** An order as operators write it. */
export interface ToolOrderOptions extends ToolTermsOptions {
  /** `limit` leaves the word to the rules of apps; `allow` takes their place, and is for admins. */
  readonly verdict: ToolOrderWord;
  /** Why; it is told to the models whose calls it refuses. */
  readonly reason?: string;
}

/** A policy as people write it. */
export interface ToolPolicyOptions {
  /** Read from the first to the last: the first that fits a call decides. */
  readonly rules?: readonly ToolRuleOptions[];
  /** What becomes of calls without an effect outside that no rule names; others are refused. Default `allow`. */
  readonly otherwise?: ToolWord;
  /** What becomes of calls with an effect outside that untrusted text may have led to. Default `approve`. */
  readonly tainted?: ToolWord;
  /** Who is asked where a rule does not say. Default: `role:operator`, for as long as the run lives. */
  readonly approve?: ToolApprovalOptions;
  /** Patterns of tools whose results are not from outside, so that they do not taint. Default: none. */
  readonly trusted?: string | readonly string[];
}

type Add = (fault: string) => void;
type Anything = Readonly<Record<string, unknown>>;

const policyOptions = ['rules', 'otherwise', 'tainted', 'approve', 'trusted'];
const termsOptions = ['name', 'tools', 'by', 'tenants', 'verdict', 'limits', 'perRun', 'approve', 'tainted'];

/** Reads a policy that may be anything; with faults, what it gives is of no use. */
export function readToolPolicy(given: unknown, add: Add): ToolPolicy {
  if (!isRecord(given)) {
    add('tools must be an object, such as { rules: [...] }');
    return { rules: [], otherwise: 'refuse', tainted: 'refuse', approve: defaultApproval, trusted: [] };
  }
  for (const name of Object.keys(given))
    if (!policyOptions.includes(name)) add(`"${shown(name)}" is not an option of tools`);
  const { rules = [], otherwise = 'allow', tainted = 'approve', approve, trusted = [] } = given;
  const list = Array.isArray(rules) ? (rules as readonly unknown[]) : [];
  if (!Array.isArray(rules)) add('tools.rules must be a list');
  if (list.length > bounds.toolRulesMax) add(`there are more than ${bounds.toolRulesMax} rules of tools`);
  const names = new Map<string, number>();
  return {
    rules: list.slice(0, bounds.toolRulesMax).map((rule, i) => readRule(rule, `tools.rules[${i}]`, names, add)),
    otherwise: wordOf('tools.otherwise', otherwise, toolWords, add),
    tainted: wordOf('tools.tainted', tainted, toolWords, add),
    approve: approve === undefined ? defaultApproval : approvalOf('tools.approve', approve, add),
    trusted: patternsOf('tools.trusted', trusted, add, 0),
  };
}

function readRule(given: unknown, what: string, names: Map<string, number>, add: Add): ToolRule {
  const terms = readTerms(given, what, [...termsOptions, 'when', 'schema'], add);
  const { name = terms.tools.join(','), verdict = 'allow', when, schema } = isRecord(given) ? given : {};
  for (const [option, value] of Object.entries({ when, schema }))
    if (value !== undefined && !isRecord(value)) add(`${what}.${option} must be a schema`);
  const named = typeof name === 'string' ? name : '';
  if (!isName(named)) add(`${what}.name must be a text of 1 to ${bounds.nameLengthMax} characters, without "order:"`);
  const before = names.get(named) ?? 0;
  names.set(named, before + 1);
  if (before > 0 && isRecord(given) && given['name'] !== undefined)
    add(`${what}: there are two rules "${shown(named)}"`);
  return {
    ...terms,
    name: before === 0 ? named : `${named}#${before + 1}`,
    verdict: wordOf(`${what}.verdict`, verdict, toolWords, add),
    ...(when === undefined ? {} : { when: when as JsonSchema }),
    ...(schema === undefined ? {} : { schema: schema as JsonSchema }),
  };
}

/** An order, as far as it is in what an operator has written. */
export type OrderedTerms = ToolTerms & Pick<ToolOrder, 'verdict'>;

/** Reads what an operator orders. `verdict` has no default: who gives an order says what becomes of it. */
export function readToolOrder(name: string, given: unknown, add: Add): OrderedTerms {
  if (!isName(name)) add(`the name must be a text of 1 to ${bounds.nameLengthMax} characters, without "order:"`);
  const said = isRecord(given) ? given['verdict'] : undefined;
  const terms = readTerms(given, 'the order', termsOptions, add);
  const word = wordOf('verdict', said, toolOrderWords, add);
  if (word === 'limit' && terms.limits === undefined && terms.perRun === undefined && terms.tainted === undefined)
    add('verdict is "limit", and there is no limits, perRun or tainted');
  return { ...terms, name, verdict: word };
}

function readTerms(given: unknown, what: string, known: readonly string[], add: Add): ToolTerms {
  if (!isRecord(given)) {
    add(`${what} must be an object`);
    return { name: '', tools: [] };
  }
  for (const name of Object.keys(given)) if (!known.includes(name)) add(`${what}: "${shown(name)}" is not an option`);
  const { tools, by, tenants, limits, perRun, approve, tainted } = given;
  return {
    name: '',
    tools: patternsOf(`${what}.tools`, tools, add, 1),
    ...(by === undefined ? {} : { by: patternsOf(`${what}.by`, by, add, 1) }),
    ...(tenants === undefined ? {} : { tenants: patternsOf(`${what}.tenants`, tenants, add, 1) }),
    ...(limits === undefined ? {} : { limits: limitsOf(`${what}.limits`, limits, add) }),
    ...(perRun === undefined ? {} : { perRun: quotaOf(`${what}.perRun`, perRun, add) }),
    ...(approve === undefined ? {} : { approve: approvalOf(`${what}.approve`, approve, add) }),
    ...(tainted === undefined ? {} : { tainted: wordOf(`${what}.tainted`, tainted, toolWords, add) }),
  };
}

function limitsOf(what: string, given: unknown, add: Add): Readonly<Record<string, ArgumentLimit>> {
  const entries = entriesOf(what, given, add);
  for (const [path, limit] of entries) {
    const at = `${what}.${shown(path)}`;
    const fault = argumentPathFault(path);
    if (fault !== null) add(`${what}: ${fault}`);
    if (!isRecord(limit)) {
      add(`${at} must be an object, such as { max: 100 }`);
      continue;
    }
    for (const [name, value] of Object.entries(limit)) {
      const check = limitChecks[name];
      if (check === undefined) add(`${at}: "${shown(name)}" is not an option`);
      else if (!check(value)) add(`${at}.${name} is not valid`);
    }
    if (isRecord(limit) && Object.keys(limit).every((name) => name === 'optional' || name === 'plain'))
      add(`${at} limits nothing`);
  }
  return Object.fromEntries(entries) as Readonly<Record<string, ArgumentLimit>>;
}

const limitChecks: Readonly<Record<string, (value: unknown) => boolean>> = {
  min: Number.isFinite,
  max: Number.isFinite,
  oneOf: (value) => isList(value, (one) => ['string', 'number', 'boolean'].includes(typeof one) || one === null),
  hosts: (value) => isList(value, (one) => typeof one === 'string' && patternFault(one) === null),
  under: (value) => isList(value, (one) => typeof one === 'string' && one !== '' && !one.includes('\0')),
  lengthMax: (value) => Number.isSafeInteger(value) && Number(value) >= 0,
  plain: (value) => value === true,
  optional: (value) => value === true,
};

function quotaOf(what: string, given: unknown, add: Add): ToolQuota {
  if (!isRecord(given)) {
    add(`${what} must be an object, such as { calls: 3 }`);
    return {};
  }
  for (const name of Object.keys(given))
    if (name !== 'calls' && name !== 'sum') add(`${what}: "${shown(name)}" is not an option`);
  const { calls, sum } = given;
  if (calls !== undefined && !(Number.isSafeInteger(calls) && Number(calls) >= 0))
    add(`${what}.calls must be an integer of at least 0`);
  const sums = sum === undefined ? [] : entriesOf(`${what}.sum`, sum, add);
  for (const [path, most] of sums) {
    const fault = argumentPathFault(path);
    if (fault !== null) add(`${what}.sum: ${fault}`);
    if (!(Number.isFinite(most) && Number(most) >= 0)) add(`${what}.sum.${shown(path)} must be a number of at least 0`);
  }
  return {
    ...(calls === undefined ? {} : { calls: Number(calls) }),
    ...(sum === undefined ? {} : { sum: Object.fromEntries(sums) as Readonly<Record<string, number>> }),
  };
}

function approvalOf(what: string, given: unknown, add: Add): ToolApproval {
  if (!isRecord(given)) {
    add(`${what} must be an object, such as { to: "role:manager" }`);
    return defaultApproval;
  }
  // As people write it, or as a manifest has it.
  const { to, expires, expiresMs = null } = given;
  const list: readonly unknown[] = Array.isArray(to) ? to : [to];
  if (list.length === 0 || list.length > bounds.approvalAddressesMax || !list.every(isAddress))
    add(`${what}.to must be 1 to ${bounds.approvalAddressesMax} addresses such as "role:manager" or "user:ann"`);
  for (const name of Object.keys(given))
    if (!['to', 'expires', 'expiresMs'].includes(name)) add(`${what}: "${shown(name)}" is not an option`);
  const time = expires ?? expiresMs;
  const ms = time === null ? null : durationMs(time);
  if (time !== null && (ms === null || ms < 1)) add(`${what}.expires is not a duration, such as "2d"`);
  return { to: list.filter(isAddress), expiresMs: ms };
}

function patternsOf(what: string, given: unknown, add: Add, least: number): readonly string[] {
  const list: readonly unknown[] = Array.isArray(given) ? given : [given];
  if (list.length < least || list.length > bounds.toolPatternsMax)
    add(`${what} must be ${least} to ${bounds.toolPatternsMax} patterns of names`);
  return list.slice(0, bounds.toolPatternsMax).flatMap((pattern) => {
    const fault = typeof pattern === 'string' ? patternFault(pattern) : 'it is not a text';
    if (fault === null) return [pattern as string];
    add(`${what}: ${fault}`);
    return [];
  });
}

function wordOf<Word extends string>(what: string, given: unknown, words: readonly Word[], add: Add): Word | 'refuse' {
  const word = words.find((one) => one === given);
  if (word === undefined) add(`${what} must be one of ${words.join(', ')}`);
  return word ?? 'refuse';
}

function entriesOf(what: string, given: unknown, add: Add): [string, unknown][] {
  const entries = isRecord(given) ? Object.entries(given) : [];
  if (!isRecord(given) || entries.length === 0 || entries.length > bounds.toolLimitsMax)
    add(`${what} must be an object of 1 to ${bounds.toolLimitsMax} arguments`);
  return entries.slice(0, bounds.toolLimitsMax);
}

function isList(value: unknown, check: (one: unknown) => boolean): boolean {
  return Array.isArray(value) && value.length > 0 && value.length <= bounds.toolValuesMax && value.every(check);
}

function isRecord(value: unknown): value is Anything {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What operators order is told apart by its beginning. */
function isName(name: string): boolean {
  return name !== '' && name.length <= bounds.nameLengthMax && !name.startsWith('order:') && !unstorable.test(name);
}

const unstorable = /[\p{Cc}\p{Surrogate}]/u;

function shown(text: string): string {
  return text.slice(0, 40);
}
