/** Types of `pgbouncer.mjs`, which is plain Node so that nothing needs to be compiled before it runs. */

export interface Pgbouncer {
  readonly program: string;
  /** What it needs beside the environment of whoever starts it. */
  readonly env: Readonly<Record<string, string>>;
  /** Which one it is, in words. */
  readonly source: string;
}

export interface NoPgbouncer {
  readonly program: null;
  /** Why there is none. */
  readonly reason: string;
}

export function pgbouncerProgram(): Pgbouncer | NoPgbouncer;
