import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PayloadSeal } from '../../core/envelope.js';
import { EnvelopeText, type EnvelopeDraft } from './envelope-text.js';

/** Any text at all: quotes, controls, lone surrogates. */
const text = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc.string({ unit: fc.constantFrom('"', '\\', '\u2028', '\ud800', 'a') }),
);
const textOrNull = fc.option(text);
const integer = fc.maxSafeInteger();

const draft = fc.record<EnvelopeDraft>(
  {
    tenant: text,
    stream: text,
    seq: integer,
    id: text,
    type: text,
    at: integer,
    actor: text,
    cause: textOrNull,
    correlation: textOrNull,
    traceparent: textOrNull,
    schema: textOrNull,
    data: fc.oneof(fc.jsonValue(), fc.constant(undefined)),
    attributes: fc.dictionary(text, fc.oneof(text, fc.double(), fc.boolean())),
  },
  {
    requiredKeys: [
      'tenant',
      'stream',
      'seq',
      'id',
      'type',
      'at',
      'actor',
      'cause',
      'correlation',
      'traceparent',
      'schema',
      'data',
    ],
  },
);
const seal = fc.record<PayloadSeal>({
  codec: fc.constant('json/1'),
  size: fc.nat(),
  commitment: fc.stringMatching(/^[0-9a-f]{64}$/),
  keyId: textOrNull,
});

function reference(
  given: EnvelopeDraft,
  hlc: string,
  region: string,
  epoch: number,
  payload: PayloadSeal | null,
): string {
  return JSON.stringify({ v: 1, ...given, hlc, region, epoch, payload });
}

describe('EnvelopeText', () => {
  it('writes the very bytes of JSON.stringify, whatever was written before', () => {
    fc.assert(
      fc.property(
        text,
        fc.nat(),
        fc.array(fc.tuple(draft, fc.option(seal)), { maxLength: 4 }),
        (region, epoch, all) => {
          const writer = new EnvelopeText(region, epoch);
          for (const [given, payload] of all)
            expect(writer.of(given, '0189abcdef010000', payload)).toBe(
              reference(given, '0189abcdef010000', region, epoch, payload),
            );
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it('writes a run that is its own correlation, as most are', () => {
    const given: EnvelopeDraft = {
      tenant: 'default',
      stream: 'run_"1"',
      seq: 1,
      id: 'run_"1"/1',
      type: 'run.started',
      at: 1_700_000_000_000,
      actor: 'client:embedded',
      cause: null,
      correlation: 'run_"1"',
      traceparent: null,
      schema: null,
      data: { workflow: 'a' },
    };
    expect(new EnvelopeText('local', 3).of(given, '0', null)).toBe(reference(given, '0', 'local', 3, null));
  });
});
