/**
 * What one server holds of large bodies at one time, coming and going: counted in bytes, because a few dozen of them are
 * more memory than all its small ones. Who comes when there is no room left is told to come again.
 *
 * Invariant: what was taken for a body is given back one time.
 */
import { limits } from '../../core/limits.js';

/** The share of one body. */
export interface BodyShare {
  /** The body is so large by now. False = there is no room for it; then nothing more is taken. */
  grow(size: number): boolean;
  /** Gives back what was taken. Idempotent. */
  release(): void;
}

/** See the top of the module. */
export class LargeBodies {
  readonly #bytesMax: number;
  #bytes = 0;

  /** `valueBytesMax`: bound of one value; there is always room for two. */
  constructor(valueBytesMax: number) {
    this.#bytesMax = Math.max(limits.largeBodiesBytesMax, 2 * valueBytesMax);
  }

  share(): BodyShare {
    let taken = 0;
    return {
      grow: (size) => {
        // Small ones are bounded by the number of connections.
        if (size <= limits.largeBodyBytesMin || size <= taken) return true;
        if (this.#bytes + size - taken > this.#bytesMax) return false;
        this.#bytes += size - taken;
        taken = size;
        return true;
      },
      release: () => {
        this.#bytes -= taken;
        taken = 0;
      },
    };
  }
}
