import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hasCode } from '../core/errors.js';
import { limits } from '../core/limits.js';
import { parseJson } from './json-body.js';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function codeOf(text: string): string {
  try {
    parseJson(bytes(text));
  } catch (error) {
    if (hasCode(error, 'BODY_NOT_JSON') || hasCode(error, 'VALUE_UNSTORABLE')) return error.code;
    throw error;
  }
  return 'parsed';
}

describe('parseJson', () => {
  it('gives what the parser of the language gives', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value);
        expect(parseJson(bytes(text))).toEqual(JSON.parse(text));
      }),
    );
  });

  it('never fails in another way than it says, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (noise) => {
        expect(['parsed', 'BODY_NOT_JSON', 'VALUE_UNSTORABLE']).toContain(codeOf(new TextDecoder().decode(noise)));
      }),
    );
  });

  it('does not count what is inside of texts', () => {
    const text = JSON.stringify({ a: '[{,\\"'.repeat(200_000) });
    expect(parseJson(bytes(text))).toEqual(JSON.parse(text));
    expect(codeOf('"\\\\"')).toBe('parsed');
    expect(codeOf('"\\')).toBe('BODY_NOT_JSON');
  });

  it('lets the last of two members with one name count', () => {
    expect(parseJson(bytes('{"a":1,"a":2}'))).toEqual({ a: 2 });
  });

  it('refuses depth and number before it parses', () => {
    expect(codeOf('['.repeat(2_000_000))).toBe('VALUE_UNSTORABLE');
    // Few enough to be parsed, and broken: the depth is what is seen first.
    expect(codeOf('{"a":'.repeat(90))).toBe('VALUE_UNSTORABLE');
    expect(codeOf(`[${'1,'.repeat(limits.bodyNodesMax + 1)}1]`)).toBe('VALUE_UNSTORABLE');
    expect(parseJson(bytes(`[${'1,'.repeat(limits.bodyNodesMax + 1)}1]`), 1_000_000)).toHaveLength(
      limits.bodyNodesMax + 2,
    );
  });
});
