/**
 * A bell for one loop: whoever has something for it rings, and the loop sleeps until then or until a time has passed. A ring
 * while nobody waits is kept, so that none is missed between a look and the sleep after it.
 */
export class Bell {
  #rung = false;
  #wake: (() => void) | null = null;

  ring(): void {
    if (this.#wake === null) this.#rung = true;
    else this.#wake();
  }

  /** Resolves at a ring, or after `ms` where it is given. One waits at a time. */
  async wait(ms: number | null = null): Promise<void> {
    if (this.#rung) {
      this.#rung = false;
      return;
    }
    await new Promise<void>((resolve) => {
      const timer = ms === null ? null : setTimeout(() => this.#wake?.(), ms);
      this.#wake = () => {
        if (timer !== null) clearTimeout(timer);
        this.#wake = null;
        resolve();
      };
    });
  }
}
