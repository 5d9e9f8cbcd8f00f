/** JSON Schemas as functions: what the server checks of values before it records them. */
import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import type { JsonSchema } from '../../core/manifest.js';

/** Faults of a plain JSON value against a schema; empty = it fits. */
export type Check = (value: unknown) => readonly string[];

/** Compiles schemas once each; equal schemas of several definitions share a validator. */
export class Checks {
  // `strict: false`: schemas come from many libraries, whose annotations are not ours to refuse.
  readonly #ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false });
  readonly #compiled = new Map<string, Check>();

  compile(schema: JsonSchema | null): Check {
    if (schema === null) return accept;
    const key = JSON.stringify(schema);
    const found = this.#compiled.get(key);
    if (found !== undefined) return found;
    const validate: ValidateFunction = this.#ajv.compile({ ...schema });
    // Two apps may give one id to different schemas; neither means the other's.
    if (typeof schema['$id'] === 'string') this.#ajv.removeSchema(schema['$id']);
    const check: Check = (value) =>
      validate(value) ? none : (validate.errors ?? []).slice(0, faultsMax).map(faultText);
    this.#compiled.set(key, check);
    return check;
  }
}

const none: readonly string[] = [];
const accept: Check = () => none;
const faultsMax = 20;

function faultText(error: ErrorObject): string {
  return `${error.instancePath === '' ? 'the value' : error.instancePath} ${error.message ?? 'is not valid'}`;
}
