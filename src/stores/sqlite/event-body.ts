/**
 * An event as one value: what an event holds beside its keys is packed into the one blob that the table stores, on the
 * thread that asks, and unpacked by whoever reads. The writer moves it without a look inside: each value bound to or
 * read from a statement is a native call, and each piece of bytes an object.
 *
 * Layout, little endian: kind of payload (1 byte), lengths of salt, type and envelope (4 each), instant (8, a double);
 * then salt, type, envelope and, to the end, an inline payload. Texts are UTF-8, the envelope as the very bytes that
 * were hashed. The hash of a payload in a blob is a column of its own, since references are counted by it.
 */
import { payloadKind, type StoredPayload } from '../../store/index.js';
import type { ByteWriter } from './bytes.js';

/** What is packed, but for the hash of a blob. */
export interface EventText {
  readonly type: string;
  readonly at: number;
  readonly envelope: string;
  readonly payload: StoredPayload | null;
}

const saltLengthAt = 1;
const typeLengthAt = 5;
const envelopeLengthAt = 9;
const instantAt = 13;
const headLength = 21;

/** Appends the event; returns its length in bytes. */
export function packEvent(out: ByteWriter, { type, at, envelope, payload }: EventText): number {
  const start = out.skip(headLength);
  const saltLength = payload === null ? 0 : out.bytes(payload.salt);
  const typeLength = out.text(type);
  const envelopeLength = out.text(envelope);
  const isInline = payload !== null && 'text' in payload;
  if (isInline) out.text(payload.text);
  const head = out.view();
  head[start] = payload === null ? payloadKind.none : isInline ? payloadKind.inline : payloadKind.blob;
  head.writeUInt32LE(saltLength, start + saltLengthAt);
  head.writeUInt32LE(typeLength, start + typeLengthAt);
  head.writeUInt32LE(envelopeLength, start + envelopeLengthAt);
  head.writeDoubleLE(at, start + instantAt);
  return out.length - start;
}

/** Reads back what `packEvent` wrote; `blob` is the hash that lay beside it. */
export function unpackEvent(body: Uint8Array, blob: string | null): EventText {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const typeAt = headLength + bytes.readUInt32LE(saltLengthAt);
  const envelopeAt = typeAt + bytes.readUInt32LE(typeLengthAt);
  const payloadAt = envelopeAt + bytes.readUInt32LE(envelopeLengthAt);
  return {
    type: bytes.toString('utf8', typeAt, envelopeAt),
    at: bytes.readDoubleLE(instantAt),
    envelope: bytes.toString('utf8', envelopeAt, payloadAt),
    payload: payloadOf(bytes, typeAt, payloadAt, blob),
  };
}

function payloadOf(bytes: Buffer, saltEnd: number, payloadAt: number, blob: string | null): StoredPayload | null {
  const kind = bytes[0];
  if (kind === payloadKind.none) return null;
  // A copy: whoever keeps the salt must not keep the buffer of a whole batch with it.
  const salt = new Uint8Array(bytes.subarray(headLength, saltEnd));
  if (kind === payloadKind.blob) return { salt, blob: blob ?? '' };
  return { salt, text: bytes.toString('utf8', payloadAt) };
}
