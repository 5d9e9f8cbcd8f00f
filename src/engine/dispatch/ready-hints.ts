/**
 * How much ready work each queue seems to have. Only a hint: commits raise it at once, claims lower it, and a look into
 * the store every second corrects it, so that a claim is made when there is something to claim and seldom otherwise.
 */
export class ReadyHints {
  readonly #counts = new Map<string, number>();

  get(queue: string): number {
    return this.#counts.get(queue) ?? 0;
  }

  add(queue: string, count: number): void {
    this.#counts.set(queue, Math.max(0, this.get(queue) + count));
  }

  /** Nothing was left when somebody looked. */
  drained(queue: string): void {
    this.#counts.set(queue, 0);
  }

  /** What the store counted. Never lowers: commits may be on their way. */
  raiseTo(queue: string, count: number): void {
    if (count > this.get(queue)) this.#counts.set(queue, count);
  }
}
