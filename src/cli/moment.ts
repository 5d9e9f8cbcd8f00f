/** A moment of the past on the command line: a number, an instant, or how long ago. */
import { durationMs } from '../core/duration.js';
import { SpineError } from '../core/errors.js';
import type { Flags } from './command.js';

/** What `--at` says; undefined = now. `now` is epoch ms. @throws COMMAND_INVALID */
export function momentFlag(flags: Flags, now: number): number | Date | undefined {
  const text = flags.text('at');
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : instantFlag(flags, 'at', now);
}

/** An instant, or how long ago. @throws COMMAND_INVALID */
export function instantFlag(flags: Flags, name: string, now: number): Date | undefined {
  const text = flags.text(name);
  if (text === undefined) return undefined;
  const agoMs = durationMs(text);
  const at = agoMs === null ? new Date(text) : new Date(now - agoMs);
  if (Number.isNaN(at.getTime()))
    throw new SpineError('COMMAND_INVALID', {
      reason: `--${name} ${text} is neither an instant like 2026-01-31T12:00:00Z nor a time ago like 10m.`,
    });
  return at;
}
