/** Types of tally.mjs, for its tests. */

export interface Tally {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly assertionResults: readonly {
      readonly status: string;
      readonly title: string;
      readonly ancestorTitles: readonly string[];
    }[];
  }[];
}

export interface Counted {
  readonly tally: Tally;
  readonly leftOut: readonly { readonly name: string; readonly reason: string }[];
  readonly remarks: readonly string[];
}

export function tallyOf(project: string, report: Report | null, code: number, root: string): Counted;
