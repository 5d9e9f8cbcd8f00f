import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ModelManifest } from '../manifest.js';
import type { Hash } from '../ports.js';
import { shareOf, versionOf } from './arms.js';
import { costMicrosOf } from './cost.js';

const hash: Hash = {
  sha256: (...parts) => {
    const made = createHash('sha256');
    for (const part of parts) made.update(part);
    return made.digest('hex');
  },
};

function modelOf(...weights: readonly number[]): Pick<ModelManifest, 'versions'> {
  return {
    versions: weights.map((weight, i) => ({
      version: `v${i}`,
      endpoint: 'e',
      weight,
      windowTokens: null,
      outputTokensMax: null,
      price: null,
    })),
  };
}

describe('the arm of a run', () => {
  it('is always the same for a run and a model, and another one elsewhere', () => {
    const key = { tenant: 't', run: 'run_1', model: 'writer' };
    expect(shareOf(key, hash)).toBe(shareOf({ ...key }, hash));
    expect(shareOf({ ...key, tenant: 'tr', run: 'un_1' }, hash)).not.toBe(shareOf(key, hash));
  });

  it('falls as often on a version as its weight says', () => {
    const model = modelOf(1, 0, 3);
    const counts: Record<string, number> = {};
    for (let i = 0; i < 4_000; i++) {
      const version = versionOf(model, shareOf({ tenant: 't', run: `run_${i}`, model: 'm' }, hash))?.version ?? '';
      counts[version] = (counts[version] ?? 0) + 1;
    }
    expect(counts['v1']).toBeUndefined();
    expect(counts['v2']).toBeGreaterThan(2_850);
    expect(counts['v2']).toBeLessThan(3_150);
  });

  it('is a version with a weight wherever the share lies, and the first where none has one', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(5), { minLength: 1, maxLength: 5 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (weights, share) => {
          const version = versionOf(modelOf(...weights), share);
          expect(weights.some((one) => one > 0) ? (version?.weight ?? 0) > 0 : version?.version === 'v0').toBe(true);
        },
      ),
    );
  });
});

describe('cost', () => {
  it('is what the price list says, cached tokens at their own price, rounded up', () => {
    const price = { inputMicros: 3_000_000, outputMicros: 15_000_000, cachedInputMicros: 300_000 };
    expect(costMicrosOf(price, { inputTokens: 1_000, cachedInputTokens: 0, outputTokens: 100 })).toBe(4_500);
    expect(costMicrosOf(price, { inputTokens: 1_000, cachedInputTokens: 1_000, outputTokens: 0 })).toBe(300);
    expect(costMicrosOf({ ...price, inputMicros: 1 }, { inputTokens: 1, cachedInputTokens: 0, outputTokens: 0 })).toBe(
      1,
    );
    expect(costMicrosOf(null, { inputTokens: 1_000, cachedInputTokens: 0, outputTokens: 100 })).toBe(0);
  });

  it('stays whole where product and price are beyond what floats hold', () => {
    const price = { inputMicros: 1_000_000_000_000, outputMicros: 0, cachedInputMicros: 0 };
    expect(costMicrosOf(price, { inputTokens: 1_000_003, cachedInputTokens: 0, outputTokens: 0 })).toBe(
      1_000_003_000_000,
    );
  });
});
