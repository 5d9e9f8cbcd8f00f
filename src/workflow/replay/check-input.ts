/**
 * The input of a run against the full schema of its workflow, which servers cannot run.
 */
import { SpineError } from '../../core/errors.js';
import type { StandardIssue } from '../../core/standard-schema.js';
import type { AnyWorkflow } from '../workflow.js';

/** Faults named in one error; the first say enough. */
const faultsMax = 20;

/** The input as the schema gives it back, defaults and transformations included. Fails with INPUT_INVALID. */
export async function checkInput(workflow: AnyWorkflow, input: unknown): Promise<unknown> {
  if (workflow.input === null) return input;
  const result = await workflow.input['~standard'].validate(input);
  if (result.issues === undefined) return result.value;
  throw new SpineError('INPUT_INVALID', {
    name: workflow.name,
    faults: result.issues.slice(0, faultsMax).map(faultText),
  });
}

function faultText(issue: StandardIssue): string {
  const path = (issue.path ?? []).map((part) => String(typeof part === 'object' ? part.key : part)).join('.');
  return path === '' ? issue.message : `${path}: ${issue.message}`;
}
