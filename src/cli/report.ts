/**
 * How commands show what they found: the same value as JSON for programs and as text for people. Invariant: `--json`
 * prints what the API said, unchanged; lists that may be long are printed one item a line.
 */
import { isSpineError } from '../core/errors.js';
import type { Invocation } from './command.js';
import { type ExitCode, exitCodes } from './exit-codes.js';
import type { Io } from './io.js';
import { renderPairs, renderTable } from './table.js';

/** Prints one value. */
export function printValue({ flags, io }: Invocation, value: unknown, text: () => readonly string[]): void {
  if (flags.truth('json')) io.out(JSON.stringify(value));
  else for (const line of text()) io.out(line);
}

/** Prints a list: as JSON one item a line, otherwise as a table, or as a sentence when it is empty. */
export function printList<T>(
  { flags, io }: Invocation,
  items: readonly T[],
  table: { readonly header: readonly string[]; readonly row: (item: T) => readonly string[]; readonly empty: string },
): void {
  if (flags.truth('json')) {
    for (const item of items) io.out(JSON.stringify(item));
  } else if (items.length === 0) {
    io.err(table.empty);
  } else {
    for (const line of renderTable(table.header, items.map(table.row), io.terminal ? io.columns : 0)) io.out(line);
  }
}

/** A value on a few lines of text, indented, for people. */
export function prettyJson(value: unknown): string[] {
  return (JSON.stringify(value, null, 2) ?? 'null').split('\n');
}

/** Reports an error and says with which code to end. */
export function reportError(error: unknown, io: Pick<Io, 'err'>, json: boolean): ExitCode {
  if (!isSpineError(error)) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    io.err(json ? JSON.stringify({ error: { code: 'UNEXPECTED', message: text } }) : text);
    return exitCodes.failed.code;
  }
  if (json) io.err(JSON.stringify({ error }));
  else
    for (const line of renderPairs([
      [`${error.code}:`, error.message],
      ['', error.mend],
    ]))
      io.err(line);
  return codeOf(error.code, error.kind, error.status);
}

function codeOf(code: string, kind: string, status: number): ExitCode {
  if (code === 'COMMAND_INVALID' || code === 'OPTIONS_INVALID') return exitCodes.usage.code;
  if (kind === 'notFound') return exitCodes.notFound.code;
  // A run that has failed is an answer; a server that is down is none.
  if (kind === 'transient' && status >= 500) return exitCodes.unreachable.code;
  return exitCodes.failed.code;
}
