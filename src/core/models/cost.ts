/**
 * What tokens cost, in integer micro-units. Rounded up, so that a budget is never overdrawn by what rounding hides.
 */
import type { ModelPrice } from '../manifest.js';
import type { TokenEstimate, TokenUsage } from '../run/inference.js';

const perTokens = 1_000_000n;

/** Cost of what was used; without a price nothing. */
export function costMicrosOf(price: ModelPrice | null, usage: TokenUsage): number {
  if (price === null) return 0;
  const cached = Math.min(usage.cachedInputTokens, usage.inputTokens);
  return rounded(
    product(usage.inputTokens - cached, price.inputMicros) +
      product(cached, price.cachedInputMicros) +
      product(usage.outputTokens, price.outputMicros),
  );
}

/** What is set aside for an inference: no cache helps, and the answer is as long as it may be. */
export function estimatedCostMicros(price: ModelPrice | null, { inputTokens, outputTokens }: TokenEstimate): number {
  return costMicrosOf(price, { inputTokens, outputTokens, cachedInputTokens: 0 });
}

/** Beyond 2^53 before it is divided, where prices are high and prompts long. */
function product(tokens: number, micros: number): bigint {
  return BigInt(Math.max(0, Math.trunc(tokens))) * BigInt(Math.max(0, Math.trunc(micros)));
}

function rounded(sum: bigint): number {
  return Number((sum + perTokens - 1n) / perTokens);
}
