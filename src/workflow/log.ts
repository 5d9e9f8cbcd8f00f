/**
 * Log lines of workflow bodies, steps and handlers: structured, with the run they belong to, handed to the host.
 * A line written while a body replays is not handed over: it was already written when the code first ran.
 */

/** How much a line matters. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** One line, with its origin. */
export interface LogRecord {
  readonly level: LogLevel;
  readonly message: string;
  /** Extra fields given by the caller; handed on as they are, not encoded. */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly tenant: string;
  readonly run: string;
  /** Scope or step in which the line was written; null = the body itself. */
  readonly path: string | null;
}

/** Writes log lines. `fields` are structured data beside the text. */
export interface Log {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** A `Log` that hands each line to `write`. */
export function makeLog(
  write: (level: LogLevel, message: string, fields: Readonly<Record<string, unknown>>) => void,
): Log {
  return {
    debug: (message, fields = {}) => write('debug', message, fields),
    info: (message, fields = {}) => write('info', message, fields),
    warn: (message, fields = {}) => write('warn', message, fields),
    error: (message, fields = {}) => write('error', message, fields),
  };
}
