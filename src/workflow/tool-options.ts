/**
 * What an app says of tools, as users write it: the policy of `core/tools`, with schemas of any library.
 */
import type { JsonSchema } from '../core/manifest.js';
import { readToolPolicy, type ToolPolicyOptions, type ToolRuleOptions } from '../core/tools/read-policy.js';
import type { ToolPolicy } from '../core/tools/policy.js';
import type { AnySchema } from './infer/answer-schema.js';
import { schemaForModel } from './infer/answer-schema.js';
import type { OptionFaults } from './options.js';

/** A rule over tools. Schemas are of a library that speaks Standard Schema, or JSON Schema. */
export interface ToolRuleSaid extends Omit<ToolRuleOptions, 'when' | 'schema'> {
  /** The rule is for calls whose arguments fit this. Default: all. */
  readonly when?: AnySchema;
  /** What arguments must fit, or the call is refused. */
  readonly schema?: AnySchema;
}

/** What an app says of tools. */
export interface ToolsOptions extends Omit<ToolPolicyOptions, 'rules'> {
  /** Read from the first to the last: the first that fits a call decides. */
  readonly rules?: readonly ToolRuleSaid[];
}

/** The policy that was given; faults go to `faults`. */
export function readTools(given: ToolsOptions, faults: Pick<OptionFaults, 'add'>): ToolPolicy {
  const add = (fault: string): void => faults.add(fault);
  if (typeof given !== 'object' || given === null || !Array.isArray(given.rules ?? []))
    return readToolPolicy(given, add);
  const rules = (given.rules ?? []).map((rule, i) => withJsonSchemas(rule, i, add));
  return readToolPolicy({ ...given, rules }, add);
}

function withJsonSchemas(rule: ToolRuleSaid, i: number, add: (fault: string) => void): unknown {
  if (typeof rule !== 'object' || rule === null) return rule;
  const said: Record<string, unknown> = { ...rule };
  for (const option of ['when', 'schema'] as const) {
    const schema = rule[option];
    if (schema !== undefined) said[option] = jsonSchema(schema, `tools.rules[${i}].${option}`, add);
  }
  return said;
}

function jsonSchema(schema: AnySchema, what: string, add: (fault: string) => void): JsonSchema {
  const isSchema = (typeof schema === 'object' || typeof schema === 'function') && schema !== null;
  const said = isSchema ? schemaForModel(schema) : null;
  if (said === null) add(`${what} cannot be said as JSON Schema; give it as one`);
  return said ?? {};
}
