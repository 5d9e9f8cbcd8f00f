/**
 * The Standard Schema interface (https://standardschema.dev, 1.1), copied as types so that users may bring any
 * validator that speaks it (zod, valibot, arktype ...) and we depend on none.
 */

/** A schema of any library that speaks Standard Schema, e.g. of zod, valibot or arktype. */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
    /** StandardJSONSchemaV1: present where the library can describe itself as JSON Schema (zod >= 4.2). */
    readonly jsonSchema?: {
      readonly input: (options: { readonly target: string }) => Record<string, unknown>;
      readonly output: (options: { readonly target: string }) => Record<string, unknown>;
    };
  };
}

export type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] };

export interface StandardIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

export type InferInput<S> = S extends StandardSchema<infer I, unknown> ? I : never;
export type InferOutput<S> =
  S extends StandardSchema<never, infer O> ? O : S extends StandardSchema<infer _I, infer O> ? O : never;
