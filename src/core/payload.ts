/**
 * Payloads: values as they are stored and sent. A payload is encoded once, where it is born, and travels as text
 * (or as a reference to a blob) until somebody needs the value.
 */

/** The codec that made the text. Encryption is another codec; see docs/reference/codec.md. */
export type CodecName = 'json/1';

/** A value, encoded, small enough to travel in a message. */
export interface InlinePayload {
  readonly codec: CodecName;
  readonly text: string;
}

/** A value whose encoded bytes lie in the blob store under the hash of those bytes (sha-256, hex). */
export interface BlobPayload {
  readonly codec: CodecName;
  readonly blob: string;
  /** Size of the encoded bytes. */
  readonly size: number;
}

export type Payload = InlinePayload | BlobPayload;

export function isBlobPayload(payload: Payload): payload is BlobPayload {
  return 'blob' in payload;
}
