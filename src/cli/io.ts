/**
 * What a command sees of the terminal, as a port: tests run commands without a process. Invariant: results go to `out`
 * and nothing else does, so that the output can be piped; what is said to a person on the way goes to `err`.
 */

/** The terminal of a command. */
export interface Io {
  /** Writes a line of the result. */
  out(line: string): void;
  /** Writes a line for the person at the terminal. */
  err(line: string): void;
  /** True where `out` is a terminal: tables may be fitted and lines rewritten. */
  readonly terminal: boolean;
  /** Width of the terminal; only meaningful where there is one. */
  readonly columns: number;
  readonly folder: string;
  readonly environment: Environment;
  /** Everything on the standard input, as text. */
  readInput(): Promise<string>;
  /** The standard input piece by piece, for what may be longer than the memory. */
  inputPieces(): AsyncIterable<string>;
  /** Resolves when whoever reads `out` has kept up; what is written without asking is kept in memory. */
  outHasRoom(): Promise<void>;
  /** Aborted by Ctrl-C or SIGTERM; long commands then come to an orderly end. */
  readonly signal: AbortSignal;
}

/** What the command line takes from the environment; see `environment.ts`. */
export interface Environment {
  /** Address of the server. */
  readonly url: string;
  readonly token: string | undefined;
  /** SQLite file or URL of a PostgreSQL database. */
  readonly store: string | undefined;
  /** A database, perhaps one that the app has for itself. */
  readonly databaseUrl: string | undefined;
  /** The database of the store, without a pooler between. */
  readonly directUrl: string | undefined;
  /** Secrets of push mode, with commas between. */
  readonly pushSecret: string | undefined;
}
