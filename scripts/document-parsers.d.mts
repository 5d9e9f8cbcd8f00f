/** Types of `document-parsers.mjs`, which is plain Node so that nothing needs to be compiled before it runs. */

export interface DocumentParsers {
  /** URLs of the modules. */
  readonly asyncApi: string;
  readonly openApi: string;
  readonly source: string;
}

export interface NoDocumentParsers {
  readonly asyncApi: null;
  /** Why there are none. */
  readonly reason: string;
}

export function documentParsers(): DocumentParsers | NoDocumentParsers;
