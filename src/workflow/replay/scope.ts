/**
 * Scopes: the parts of a body that are given up together. A scope knows its waits and its inner scopes; giving it up
 * rejects the waits, aborts the signals and goes on to the inner scopes, except the shielded ones.
 */
import type { Cancelled } from '../cancelled.js';

/** What waits in a scope, as the scope sees it. */
export interface ScopedWait {
  readonly path: string;
  /** Rejects the wait and calls its work off. */
  giveUp(error: Cancelled): void;
  /** The same, but where an effect is under way the body still hears what became of it. */
  giveUpUnlessUnderWay(error: Cancelled): void;
  /** Calls the work off and leaves the promise unsettled. */
  stop(): void;
}

/**
 * `shielded`: goes on when the scope around it is given up. `settling`: see `Scope.settling`; inner scopes are it, too.
 * `apart`: see `Scope.apart`.
 */
export type ScopeKind = 'plain' | 'shielded' | 'settling' | 'apart';

/** See the top of the module. */
export class Scope {
  /** Prefix of the paths inside; '' = the run itself. */
  readonly path: string;
  readonly shielded: boolean;
  /** The body inside must know what has happened: steps under way come to their end when the scope is given up. */
  readonly settling: boolean;
  /** What runs inside is no body: it has a pace of its own, and depends on no order in which it is told things. */
  readonly apart: boolean;
  /**
   * `seq` since which it is recorded that a saga has failed and this, its body, is undone: what has not come to anything by
   * then never will. Infinity = none.
   */
  undoneAt: number;
  /** Waits that have not come to an end. */
  readonly waits = new Set<ScopedWait>();
  readonly #parent: Scope | null;
  readonly #children = new Set<Scope>();
  #givenUp: Cancelled | null;
  #stopped: boolean;
  #controller: AbortController | null = null;

  constructor(path: string, parent: Scope | null, kind: ScopeKind = 'plain') {
    this.path = path;
    this.shielded = kind === 'shielded';
    this.apart = kind === 'apart' || parent?.apart === true;
    this.settling = kind === 'settling' || (kind === 'plain' && parent?.settling === true);
    this.undoneAt = this.shielded ? Number.POSITIVE_INFINITY : (parent?.undoneAt ?? Number.POSITIVE_INFINITY);
    this.#parent = parent;
    this.#givenUp = this.shielded ? null : (parent?.givenUp ?? null);
    this.#stopped = parent?.stopped ?? false;
    if (parent !== null) parent.#children.add(this);
  }

  /** Why the scope was given up; null = it was not. */
  get givenUp(): Cancelled | null {
    return this.#givenUp;
  }

  /** The body has ended; nothing in it matters any more. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** Made on first use: most scopes never need one. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#givenUp !== null || this.#stopped) this.#controller.abort(this.#givenUp ?? undefined);
    return this.#controller.signal;
  }

  /** Rejects what waits in it and refuses new waits. Idempotent. */
  giveUp(error: Cancelled): void {
    if (this.#givenUp !== null) return;
    this.#givenUp = error;
    this.#controller?.abort(error);
    for (const wait of [...this.waits]) {
      if (this.settling) wait.giveUpUnlessUnderWay(error);
      else wait.giveUp(error);
    }
    for (const child of [...this.#children]) if (!child.shielded) child.giveUp(error);
  }

  /**
   * Aborts all signals, of shielded scopes too, and settles nothing: the body has ended, and a rejection that nobody
   * awaits any more would bring down the process.
   */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#controller?.abort();
    for (const wait of [...this.waits]) wait.stop();
    for (const child of [...this.#children]) child.stop();
  }

  /** The body of the scope has come to rest. */
  close(): void {
    if (this.waits.size > 0 || this.#children.size > 0 || this.#parent === null) return;
    this.#parent.#children.delete(this);
  }

  /** This scope and all inside it, outermost first. */
  *tree(): Generator<Scope> {
    yield this;
    for (const child of this.#children) yield* child.tree();
  }
}
