/** Numbers, texts and lists as the flexible versions of Kafka's protocol write them: lengths are one more than they say, as varints. */

export class WireReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  int8(): number {
    return this.#take(1).readInt8();
  }

  int16(): number {
    return this.#take(2).readInt16BE();
  }

  int32(): number {
    return this.#take(4).readInt32BE();
  }

  int64(): bigint {
    return this.#take(8).readBigInt64BE();
  }

  bool(): boolean {
    return this.int8() !== 0;
  }

  uuid(): string {
    return this.#take(16).toString('hex');
  }

  uvarint(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.#take(1).readUInt8();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  }

  /** Zigzag, as records write their lengths and offsets. */
  varint(): number {
    const value = this.uvarint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  bytes(count: number): Buffer {
    return this.#take(count);
  }

  /** Text of the header of a request, whose length is two bytes. */
  shortText(): string | null {
    const length = this.int16();
    return length < 0 ? null : this.#take(length).toString('utf8');
  }

  textOrNull(): string | null {
    return this.blobOrNull()?.toString('utf8') ?? null;
  }

  text(): string {
    return this.textOrNull() ?? '';
  }

  blobOrNull(): Buffer | null {
    const length = this.uvarint();
    return length === 0 ? null : this.#take(length - 1);
  }

  list<T>(each: (reader: this) => T): T[] {
    return this.listOrNull(each) ?? [];
  }

  listOrNull<T>(each: (reader: this) => T): T[] | null {
    const length = this.uvarint();
    return length === 0 ? null : Array.from({ length: length - 1 }, () => each(this));
  }

  /** Skips tagged fields, which nothing here has a use for. */
  tags(): void {
    const count = this.uvarint();
    for (let i = 0; i < count; i++) {
      this.uvarint();
      this.#take(this.uvarint());
    }
  }

  #take(count: number): Buffer {
    if (count > this.left) throw new Error('The frame ends too early.');
    const part = this.#bytes.subarray(this.#at, this.#at + count);
    this.#at += count;
    return part;
  }
}

export class WireWriter {
  readonly #parts: Buffer[] = [];

  int8(value: number): this {
    const part = Buffer.alloc(1);
    part.writeInt8(value);
    return this.raw(part);
  }

  int16(value: number): this {
    const part = Buffer.alloc(2);
    part.writeInt16BE(value);
    return this.raw(part);
  }

  int32(value: number): this {
    const part = Buffer.alloc(4);
    part.writeInt32BE(value);
    return this.raw(part);
  }

  int64(value: bigint): this {
    const part = Buffer.alloc(8);
    part.writeBigInt64BE(value);
    return this.raw(part);
  }

  bool(value: boolean): this {
    return this.int8(value ? 1 : 0);
  }

  uuid(value: string): this {
    return this.raw(Buffer.from(value, 'hex'));
  }

  uvarint(value: number): this {
    const part: number[] = [];
    let rest = value;
    while (rest >= 0x80) {
      part.push((rest % 0x80) + 0x80);
      rest = Math.floor(rest / 0x80);
    }
    part.push(rest);
    return this.raw(Buffer.from(part));
  }

  text(value: string | null): this {
    return this.blob(value === null ? null : Buffer.from(value, 'utf8'));
  }

  blob(value: Buffer | null): this {
    if (value === null) return this.uvarint(0);
    return this.uvarint(value.length + 1).raw(value);
  }

  list<T>(items: readonly T[] | null, each: (writer: this, item: T) => void): this {
    if (items === null) return this.uvarint(0);
    this.uvarint(items.length + 1);
    for (const item of items) each(this, item);
    return this;
  }

  /** No tagged fields. */
  tags(): this {
    return this.uvarint(0);
  }

  raw(part: Buffer): this {
    this.#parts.push(part);
    return this;
  }

  done(): Buffer {
    return Buffer.concat(this.#parts);
  }
}
