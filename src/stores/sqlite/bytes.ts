/** Bytes put one behind the other into one buffer, and taken out again in the same order. */

/** Collects bytes; grows by doubling. */
export class ByteWriter {
  #buffer: Buffer;
  #length = 0;

  /** `expected`: about how many bytes will come. */
  constructor(expected: number) {
    this.#buffer = Buffer.allocUnsafeSlow(Math.max(expected, sizeMin));
  }

  /** How many bytes there are. */
  get length(): number {
    return this.#length;
  }

  /** Appends the UTF-8 form of a text; returns its length in bytes. */
  text(text: string): number {
    // Three bytes a UTF-16 unit is the most that UTF-8 can take; counted out only where so much is not there.
    if (this.#length + text.length * 3 > this.#buffer.length) this.#reserve(Buffer.byteLength(text));
    const written = this.#buffer.write(text, this.#length);
    this.#length += written;
    return written;
  }

  /** Appends the bytes; returns how many. */
  bytes(bytes: Uint8Array): number {
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
    return bytes.length;
  }

  /** Leaves room for so many bytes, to be written through `view`; returns where it begins. */
  skip(length: number): number {
    this.#reserve(length);
    const start = this.#length;
    this.#length += length;
    return start;
  }

  /** The buffer as it is now; another one after the next call that appends. */
  view(): Buffer {
    return this.#buffer;
  }

  /** All that was appended, over a buffer that is the receiver's to keep or transfer. */
  take(): Uint8Array<ArrayBuffer> {
    // `allocUnsafeSlow` never hands out a slice of the shared pool.
    return new Uint8Array(this.#buffer.buffer as ArrayBuffer, 0, this.#length);
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2));
    grown.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = grown;
  }
}

const sizeMin = 256;

/** Hands out the bytes in the order in which they were written. */
export class ByteReader {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  #at = 0;

  constructor(bytes: Uint8Array<ArrayBuffer>) {
    this.#bytes = bytes;
  }

  take(length: number): Uint8Array {
    const start = this.#at;
    this.#at += length;
    return this.#bytes.subarray(start, this.#at);
  }
}
