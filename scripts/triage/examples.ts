/**
 * Labelled failures, one JSON object a line: what triage is trained and measured with. The development set lies outside of
 * the repository; messages that were written by hand lie beside this file; operators' corrections have the same form.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { failureClasses, type FailureClass } from '../../src/core/failure.js';
import type { FailureInput } from '../../src/core/triage/reading.js';
import { treatments } from '../../src/core/triage/remedies.js';

/** A failure, and what a careful person says of it. */
export interface Example {
  readonly text: string;
  readonly httpStatus: number | null;
  readonly provider: string | null;
  readonly label: FailureClass;
  readonly retryable: boolean;
  readonly remedy: string;
  /** Other labels that a careful person could give. */
  readonly alternatives: readonly FailureClass[];
  readonly extract: Readonly<Record<string, number>>;
  /**
   * Repository, customer or deployment that it comes from (`source` up to `#` or `:`; without one, its file): examples of
   * one group are never on both sides of a split.
   */
  readonly group: string;
}

/** Where the development set is looked for, from the root of the repository. */
export const developmentSet = '../shared/data/llm-errors/dev.jsonl';

/** Messages written by hand, in the manner of providers that the development set does not have; trained on. */
export const writtenSet = 'scripts/triage/written.jsonl';

/** The same, written last: for measuring only. Nothing is trained on it and no rule was changed for it. */
export const unseenSet = 'scripts/triage/unseen.jsonl';

/** Reads files of examples. Fails with a sentence that says what is missing or wrong, and where. */
export function readExamples(files: readonly string[]): Example[] {
  return files.flatMap((file) => {
    if (!existsSync(file)) {
      throw new Error(`There are no labelled failures at ${file}. Say where they are with --data <file>.`);
    }
    const lines = readFileSync(file, 'utf8').split('\n');
    return lines.flatMap((line, i) => (line.trim() === '' ? [] : [exampleOf(line, `${file}:${i + 1}`)]));
  });
}

function exampleOf(line: string, at: string): Example {
  const row = rowOf(line, at);
  const label = classOf(row['label'], at);
  const source = typeof row['source'] === 'string' ? row['source'] : at.replace(/:\d+$/, '');
  return {
    text: typeof row['text'] === 'string' ? row['text'] : '',
    httpStatus: typeof row['http_status'] === 'number' ? row['http_status'] : null,
    provider: typeof row['provider'] === 'string' ? row['provider'] : null,
    label,
    retryable: typeof row['retryable'] === 'boolean' ? row['retryable'] : treatments[label].retryable,
    remedy: typeof row['remedy'] === 'string' ? row['remedy'] : treatments[label].remedy,
    alternatives: Array.isArray(row['also_acceptable']) ? row['also_acceptable'].map((one) => classOf(one, at)) : [],
    extract: (row['extract'] ?? {}) as Readonly<Record<string, number>>,
    group: (source.split(/[#:]/)[0] ?? source).toLowerCase(),
  };
}

function rowOf(line: string, at: string): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(line) as Readonly<Record<string, unknown>>;
  } catch (cause) {
    throw new Error(`${at}: this line is no JSON.`, { cause });
  }
}

function classOf(value: unknown, at: string): FailureClass {
  const found = failureClasses.find((known) => known === value);
  if (found === undefined) throw new Error(`${at}: ${String(value)} is no failure class.`);
  return found;
}

/** An example as triage gets it. */
export function inputOf(example: Example): FailureInput {
  return { text: example.text, httpStatus: example.httpStatus, provider: example.provider };
}

/**
 * Whether a group was set aside before the first rule was written: nobody has read its messages while writing rules. The
 * salt and the share are part of the experiment and never change.
 */
export function isHeldOut(group: string): boolean {
  const digest = createHash('sha256').update(`eventspine-triage-holdout-1:${group}`).digest('hex');
  return Number.parseInt(digest.slice(0, 8), 16) % 5 === 0;
}

/** Splits by group into folds of about one size, the largest groups first. Deterministic. */
export function foldsOf(examples: readonly Example[], count: number): Example[][] {
  const groups = new Map<string, Example[]>();
  for (const example of examples) groups.set(example.group, [...(groups.get(example.group) ?? []), example]);
  const folds: Example[][] = Array.from({ length: count }, () => []);
  const largestFirst = [...groups].sort(([a, x], [b, y]) => y.length - x.length || (a < b ? -1 : 1));
  for (const [, members] of largestFirst) {
    const smallest = folds.reduce((least, fold) => (fold.length < least.length ? fold : least));
    smallest.push(...members);
  }
  return folds;
}
