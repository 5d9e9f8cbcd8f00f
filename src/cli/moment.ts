/** A moment of the past on the command line: a number, an instant, or how long ago. */
import { durationMs } from '../core/duration.js';
import { SpineError } from '../core/errors.js';
import type { Flags } from './command.js';

/** What `--at` says; undefined = now. `now` is epoch ms. @throws COMMAND_INVALID */
export function momentFlag(flags: Flags, now: number): number | Date | undefined {
  const text = flags.text('at');
  if (text === undefined) return undefined;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  const agoMs = durationMs(text);
  const at = agoMs === null ? new Date(text) : new Date(now - agoMs);
  if (Number.isNaN(at.getTime()))
    throw new SpineError('COMMAND_INVALID', {
      reason: `--at ${text} is neither a number nor an instant like 2026-01-31T12:00:00Z, nor a time ago like 10m.`,
    });
  return at;
}
