/** Shapes of what the tools return; the text that a model gets is their JSON. */

/** Result of `calculate`; `value` has at most four significant decimals. */
export interface Calculated {
  readonly expression: string;
  readonly value: number;
  readonly unit: string;
}

/** Result of `date_diff`. */
export interface DatesCompared {
  readonly from: string;
  readonly to: string;
  readonly days: number;
  readonly weeks: number;
  readonly years: number;
}

/** Result of `lookup_term`; without a definition the documents have none. */
export interface TermLookedUp {
  readonly term: string;
  readonly definition: string | null;
  readonly document: string | null;
}

/** A tool that could not do what it was asked for: the model is told, the run goes on. */
export interface ToolFailed {
  readonly error: string;
}

export type ToolResult = Calculated | DatesCompared | TermLookedUp | ToolFailed;
