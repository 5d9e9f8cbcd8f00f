/**
 * Schemas of answers and of the input of tools: of a library that speaks Standard Schema, or plain JSON Schema. What a
 * model has written is read and checked here, in live code exactly as in a replay.
 */
import { SpineError } from '../../core/errors.js';
import { failure, type Failure } from '../../core/failure.js';
import { jsonSchemaFaults } from '../../core/schema/json-schema-faults.js';
import type { JsonSchema } from '../../core/manifest.js';
import type { StandardIssue, StandardSchema } from '../../core/standard-schema.js';
import { jsonSchemaOf } from '../json-schema-of.js';
import type { RecordedAnswer } from './model-answer.js';

/** A schema of either kind. */
export type AnySchema = StandardSchema | JsonSchema;

/** A value that fits, or what is wrong with it. */
export type Checked =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly faults: readonly string[] };

/** Looks at an answer before it is recorded; null = it will do. */
export type AnswerCheck = (answer: RecordedAnswer) => Promise<AnswerFault | null>;

/** What is wrong with an answer. */
export interface AnswerFault {
  readonly faults: readonly string[];
  /** Nothing will be done about it: the attempt has failed. */
  readonly isFinal: boolean;
}

/** The schema for a model; null = the library cannot say it. */
export function schemaForModel(schema: AnySchema): JsonSchema | null {
  return isStandard(schema) ? jsonSchemaOf(schema, 'input') : schema;
}

/** Checks a value; what fits comes out as the schema gives it back. */
export async function checkedBySchema(schema: AnySchema, value: unknown): Promise<Checked> {
  if (!isStandard(schema)) {
    const faults = jsonSchemaFaults(schema, value);
    return faults.length === 0 ? { ok: true, value } : { ok: false, faults };
  }
  const result = await schema['~standard'].validate(value);
  if (result.issues === undefined) return { ok: true, value: result.value };
  return { ok: false, faults: result.issues.slice(0, faultsMax).map(faultText) };
}

/** Reads JSON out of an answer, also where the model has put words or a fence around it, and checks it. */
export async function readAnswer(schema: AnySchema, text: string): Promise<Checked> {
  const found = jsonIn(text);
  return found === null ? { ok: false, faults: ['the answer is not JSON'] } : checkedBySchema(schema, found.value);
}

/** The JSON in a text, also where there are words or a fence around it; null = there is none. */
export function jsonIn(text: string): { readonly value: unknown } | null {
  const fenced = firstFence(text);
  const first = text.search(/[[{]/);
  const last = Math.max(text.lastIndexOf('}'), text.lastIndexOf(']'));
  const inner = first >= 0 && last > first ? text.slice(first, last + 1) : undefined;
  for (const part of [text, fenced, inner]) {
    if (part === undefined) continue;
    try {
      return { value: JSON.parse(part) as unknown };
    } catch {
      // The next reading may do.
    }
  }
  return null;
}

/** What stands in the first fence that is not of another language. By lines: an expression with loops over line breaks takes their cube. */
function firstFence(text: string): string | undefined {
  const lines = text.split('\n');
  const open = lines.findIndex((line) => /```(?:json)?$/.test(line.trimEnd().slice(-fenceLengthMax)));
  if (open === -1) return undefined;
  const length = lines.slice(open + 1).findIndex((line) => line.trimStart().startsWith('```'));
  return length === -1 ? undefined : lines.slice(open + 1, open + 1 + length).join('\n');
}

const fenceLengthMax = '```json'.length;

const faultsMax = 10;

function isStandard(schema: AnySchema): schema is StandardSchema {
  return '~standard' in schema;
}

function faultText(issue: StandardIssue): string {
  const path = (issue.path ?? []).map((part) => String(typeof part === 'object' ? part.key : part)).join('.');
  return path === '' ? issue.message : `${path}: ${issue.message}`;
}

/** The failure of an inference whose answer does not fit. */
export function doesNotFit(model: string, faults: readonly string[]): Failure {
  const { code, message } = new SpineError('OUTPUT_INVALID', { name: model, faults });
  return failure({ class: 'invalid_output', code, message, retryable: false });
}
