/** Cuts a stream of Kafka's protocol into frames: four bytes of length, then so many. */

const lengthBytes = 4;

export class Frames {
  #rest: Buffer = Buffer.alloc(0);
  readonly #onFrame: (frame: Buffer) => void;

  /** `onFrame` gets each frame without its length. */
  constructor(onFrame: (frame: Buffer) => void) {
    this.#onFrame = onFrame;
  }

  add(chunk: Buffer): void {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (this.#rest.length >= lengthBytes) {
      const end = lengthBytes + this.#rest.readInt32BE();
      if (this.#rest.length < end) return;
      const frame = this.#rest.subarray(lengthBytes, end);
      this.#rest = this.#rest.subarray(end);
      this.#onFrame(frame);
    }
  }
}
