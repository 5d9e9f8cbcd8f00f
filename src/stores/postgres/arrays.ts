/**
 * Columns of a batch as PostgreSQL arrays in the binary wire format, which is what `unnest` is fed with: a batch of any
 * size is one parameter a column, without escaping and without a text of numbers that the server must parse again.
 * The format is that of `array_recv` (src/backend/utils/adt/arrayfuncs.c): dimensions, whether there are nulls, the
 * element type, the bounds, then length and bytes of each element.
 */

const oids = { bool: 16, bytea: 17, int8: 20, int2: 21, int4: 23, text: 25, float8: 701 } as const;

const headerBytes = 20;

/** Grows by doubling; one array is one buffer. */
class ArrayWriter {
  #buffer: Buffer;
  #length = headerBytes;
  #hasNulls = 0;

  constructor(bytes: number) {
    this.#buffer = Buffer.allocUnsafe(headerBytes + bytes);
  }

  nothing(): void {
    this.#reserve(4);
    this.#length = this.#buffer.writeInt32BE(-1, this.#length);
    this.#hasNulls = 1;
  }

  text(value: string): void {
    // Three bytes a UTF-16 unit is the most that UTF-8 can take.
    this.#reserve(4 + value.length * 3);
    const written = this.#buffer.write(value, this.#length + 4);
    this.#buffer.writeInt32BE(written, this.#length);
    this.#length += 4 + written;
  }

  bytes(value: Uint8Array): void {
    this.#reserve(4 + value.length);
    this.#length = this.#buffer.writeInt32BE(value.length, this.#length);
    this.#buffer.set(value, this.#length);
    this.#length += value.length;
  }

  int2(value: number): void {
    this.#reserve(6);
    this.#length = this.#buffer.writeInt32BE(2, this.#length);
    this.#length = this.#buffer.writeInt16BE(value, this.#length);
  }

  int4(value: number): void {
    this.#reserve(8);
    this.#length = this.#buffer.writeInt32BE(4, this.#length);
    this.#length = this.#buffer.writeInt32BE(value, this.#length);
  }

  int8(value: number): void {
    this.#reserve(12);
    this.#length = this.#buffer.writeInt32BE(8, this.#length);
    // Safe integers only; two halves are quicker than a bigint each.
    this.#length = this.#buffer.writeInt32BE(Math.floor(value / 2 ** 32), this.#length);
    this.#length = this.#buffer.writeUInt32BE(value >>> 0, this.#length);
  }

  float8(value: number): void {
    this.#reserve(12);
    this.#length = this.#buffer.writeInt32BE(8, this.#length);
    this.#length = this.#buffer.writeDoubleBE(value, this.#length);
  }

  bool(value: boolean): void {
    this.#reserve(5);
    this.#length = this.#buffer.writeInt32BE(1, this.#length);
    this.#length = this.#buffer.writeInt8(value ? 1 : 0, this.#length);
  }

  finish(oid: number, items: number): Buffer {
    let at = this.#buffer.writeInt32BE(items === 0 ? 0 : 1, 0);
    at = this.#buffer.writeInt32BE(this.#hasNulls, at);
    at = this.#buffer.writeInt32BE(oid, at);
    if (items === 0) return this.#buffer.subarray(0, at);
    at = this.#buffer.writeInt32BE(items, at);
    this.#buffer.writeInt32BE(1, at);
    return this.#buffer.subarray(0, this.#length);
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2));
    grown.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = grown;
  }
}

function arrayOf<T>(
  oid: number,
  itemBytes: number,
  write: (out: ArrayWriter, value: T) => void,
): (values: readonly (T | null)[]) => Buffer {
  return (values) => {
    const out = new ArrayWriter(values.length * itemBytes);
    for (const value of values) {
      if (value === null) out.nothing();
      else write(out, value);
    }
    return out.finish(oid, values.length);
  };
}

/** `text[]`. The texts are well-formed and free of NUL, or the server refuses the statement. */
export const texts = arrayOf<string>(oids.text, 40, (out, value) => out.text(value));
/** `bytea[]` of bytes. */
export const byteas = arrayOf<Uint8Array>(oids.bytea, 64, (out, value) => out.bytes(value));
/** `bytea[]` of the UTF-8 forms of texts. */
export const utf8Byteas = arrayOf<string>(oids.bytea, 400, (out, value) => out.text(value));
/** `smallint[]`. */
export const int2s = arrayOf<number>(oids.int2, 6, (out, value) => out.int2(value));
/** `integer[]`. */
export const int4s = arrayOf<number>(oids.int4, 8, (out, value) => out.int4(value));
/** `bigint[]` of safe integers. */
export const int8s = arrayOf<number>(oids.int8, 12, (out, value) => out.int8(value));
/** `double precision[]`. */
export const float8s = arrayOf<number>(oids.float8, 12, (out, value) => out.float8(value));
/** `boolean[]`. */
export const bools = arrayOf<boolean>(oids.bool, 5, (out, value) => out.bool(value));
