/**
 * Requests made smaller: what a model could not take is asked for again with less. What the hook gives is recorded as a step,
 * so that it may do what it likes, and a replay takes what it gave.
 */
import { SpineError } from '../../core/errors.js';
import type { Failure } from '../../core/failure.js';
import type { OptionFaults } from '../options.js';
import { estimatedInputTokens } from './model-prompt.js';
import type { ModelMessage } from './model-endpoint.js';

/** A request, as far as it can be made smaller. */
export interface CompactRequest {
  /** The conversation, in the form that models get it. The content of other than system messages may also be text. */
  readonly messages: readonly ModelMessage[];
  /** Tokens that are kept for the answer; many models count them with the prompt. */
  readonly maxOutputTokens?: number;
}

/** Why it has to be smaller. */
export interface CompactReason {
  /** The most that the model takes, and what it was given, where it has said so. */
  readonly limit: number | null;
  readonly used: number | null;
  readonly failure: Failure;
}

/** Makes a request smaller; null = it cannot. What is not smaller than before counts as null. */
export type Compact = (
  request: CompactRequest,
  reason: CompactReason,
) => CompactRequest | null | Promise<CompactRequest | null>;

/** The hook that was given; null = none. */
export function readCompact(given: Compact | undefined, faults: Pick<OptionFaults, 'add'>): Compact | null {
  if (given === undefined) return null;
  if (typeof given === 'function') return given;
  faults.add('compact must be a function');
  return null;
}

/** What the hook makes of a request, in a form that can be recorded. Fails with OPTIONS_INVALID where that is no request. */
export async function compacted(
  path: string,
  hook: Compact,
  request: CompactRequest,
  { failure }: { readonly failure: Failure },
): Promise<CompactRequest | null> {
  const { limit = null, used = null } = failure.triage ?? {};
  const made = await hook(request, { limit, used, failure });
  if (made === null || made === undefined) return null;
  if (!Array.isArray(made.messages) || made.messages.length === 0)
    throw new SpineError('OPTIONS_INVALID', { what: `compact of "${path}"`, faults: ['it gave no { messages }'] });
  const { maxOutputTokens = request.maxOutputTokens } = made;
  return {
    messages: made.messages.map(inParts),
    ...(maxOutputTokens === undefined ? {} : { maxOutputTokens }),
  };
}

function inParts(message: ModelMessage): ModelMessage {
  const { role, content } = message;
  return role === 'system' || typeof content !== 'string'
    ? message
    : { ...message, content: [{ type: 'text', text: content }] };
}

/** Whether one request takes less room than another. */
export function isSmaller(one: CompactRequest, other: CompactRequest): boolean {
  return sizeOf(one) < sizeOf(other);
}

function sizeOf({ messages, maxOutputTokens = 0 }: CompactRequest): number {
  return estimatedInputTokens(messages) + maxOutputTokens;
}
