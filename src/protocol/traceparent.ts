/** The trace context that requests and messages bring (W3C Trace Context, level 1). */

const traceparentPattern = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?$/;

/** A well-formed W3C `traceparent`; null for anything else, which the specification says to ignore. */
export function readTraceparent(raw: string | undefined): string | null {
  return raw !== undefined && raw.length <= 256 && traceparentPattern.test(raw) ? raw : null;
}
