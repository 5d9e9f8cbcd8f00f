/**
 * Retry policies as users write them: every part is optional, times are durations.
 */
import { parseDuration, type Duration } from '../core/duration.js';
import { SpineError } from '../core/errors.js';
import { limits } from '../core/limits.js';
import { defaultRetry, type RetryPolicy } from '../core/retry.js';
import { OptionFaults } from './options.js';

/** How often and when something is tried again. The pause before a try is random up to a ceiling that grows. */
export interface RetryOptions {
  /** Attempts in all, the first included; 1 = no retry. Default 4. More costs more of what fails; fewer gives up on blips. */
  readonly attempts?: number;
  /** Ceiling of the first pause. Default 500 ms. */
  readonly min?: Duration;
  /** Ceiling that no pause exceeds, except where a provider asks for it. Default 60 s. */
  readonly max?: Duration;
  /** Growth of the ceiling from one pause to the next. Default 2. */
  readonly factor?: number;
}

/** The policy that the options stand for, on top of `base`; faults go to `faults`. */
export function readRetry(
  options: RetryOptions | undefined,
  faults: OptionFaults,
  base: RetryPolicy = defaultRetry,
): RetryPolicy {
  if (options === undefined) return base;
  if (typeof options !== 'object' || options === null) {
    faults.add('retry must be an object such as { attempts: 3 }');
    return base;
  }
  const { attempts, min, max, factor } = options;
  faults.unknownNames(options, ['attempts', 'min', 'max', 'factor']);
  faults.integer('retry.attempts', attempts, { min: 1, max: limits.retryAttemptsMax });
  const minMs = faults.duration('retry.min', min, base.minMs);
  const maxMs = faults.duration('retry.max', max, Math.max(base.maxMs, minMs));
  if (minMs > maxMs) faults.add('retry.min is longer than retry.max');
  if (factor !== undefined && !(factor >= 1 && factor <= 100)) faults.add('retry.factor must be from 1 to 100');
  return { attempts: attempts ?? base.attempts, minMs, maxMs, factor: factor ?? base.factor };
}

/** Like `readRetry`, for a call at run time. Fails with OPTIONS_INVALID. */
export function retryPolicyOf(what: string, options: RetryOptions, base: RetryPolicy = defaultRetry): RetryPolicy {
  const faults = new OptionFaults(what);
  const policy = readRetry(options, faults, base);
  faults.throwIfAny();
  return policy;
}

/** A timeout in ms. Fails with OPTIONS_INVALID where it is not a duration of at least 1 ms. */
export function timeoutMsOf(what: string, timeout: Duration): number {
  const ms = parseDuration(timeout);
  if (ms < 1) throw new SpineError('OPTIONS_INVALID', { what, faults: ['timeout must be at least 1 ms'] });
  return ms;
}
