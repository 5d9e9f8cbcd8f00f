/** Errors that an endpoint sends inside of an answer whose status was of success. */
import { ModelCallError } from '../model-call-error.js';
import type { SaidError } from './transport.js';

/** The error for what was said. */
export function saidError({ message, code, whole }: SaidError, url: string): ModelCallError {
  const status = Number(code);
  const isStatus = Number.isInteger(status) && status >= 400 && status <= 599;
  return new ModelCallError({
    message,
    code: code ?? 'MODEL_CALL_FAILED',
    url,
    data: whole,
    // Nothing but its words tells whether another attempt helps; those who know words decide (see triage).
    isRetryable: true,
    ...(isStatus ? { statusCode: status } : {}),
  });
}
