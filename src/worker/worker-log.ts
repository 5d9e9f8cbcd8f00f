/**
 * What a worker says of itself and for the code that it runs: structured lines, handed to whoever started it.
 */
import type { LogLevel } from '../workflow/log.js';

/** One line. `fields` are data beside the text; they carry no payload of the user unless user code put it there. */
export interface WorkerLogRecord {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Writes a line; must not throw. */
export type WorkerLog = (level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>) => void;

/** A `WorkerLog` over the option of a worker; what its sink throws is swallowed, since a log must not end work. */
export function workerLog(sink: ((record: WorkerLogRecord) => void) | undefined): WorkerLog {
  if (sink === undefined) return () => undefined;
  return (level, message, fields = {}) => {
    try {
      sink({ level, message, fields });
    } catch {
      // Nowhere is left to report it.
    }
  };
}
