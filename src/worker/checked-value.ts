/**
 * Values against the full Standard Schema of the user, which servers cannot run (they check the JSON Schema only).
 */
import { SpineError } from '../core/errors.js';
import type { StandardIssue, StandardSchema } from '../core/standard-schema.js';

/** Faults named in one error; the first say enough. */
const faultsMax = 20;

/**
 * The value as the schema gives it back, transformations and defaults included; a null schema takes everything. Fails
 * with `code`: INPUT_INVALID or OUTPUT_INVALID, naming each fault.
 */
export async function checkedValue(
  schema: StandardSchema | null,
  value: unknown,
  name: string,
  code: 'INPUT_INVALID' | 'OUTPUT_INVALID',
): Promise<unknown> {
  if (schema === null) return value;
  const result = await schema['~standard'].validate(value);
  if (result.issues === undefined) return result.value;
  throw new SpineError(code, { name, faults: result.issues.slice(0, faultsMax).map(faultText) });
}

function faultText(issue: StandardIssue): string {
  const path = (issue.path ?? []).map((part) => String(typeof part === 'object' ? part.key : part)).join('.');
  return path === '' ? issue.message : `${path}: ${issue.message}`;
}
