/** Types of `schema-libraries.mjs`, which is plain Node so that nothing needs to be compiled before it runs. */

export interface SchemaLibraries {
  /** URLs of the modules. */
  readonly valibot: string;
  readonly valibotJson: string;
  readonly arktype: string;
  readonly typebox: string;
}

export interface NoSchemaLibraries {
  readonly valibot: null;
  /** Why there are none. */
  readonly reason: string;
}

export function schemaLibraries(): SchemaLibraries | NoSchemaLibraries;
