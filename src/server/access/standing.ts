/**
 * What stays open longer than the word of its caller: streams of events and sockets of workers. Each is ended within two
 * seconds of when a key was revoked or given another text, or a session or token has run out; a request that comes later is
 * refused by itself. Whom `authorize` lets in without an end has to be asked for again (`ask-again.ts`).
 *
 * Invariant: what is watched costs one timer, and one look at each key in two seconds however many streams it has.
 */
import type { Clock, Ports } from '../../core/ports.js';
import { limits } from '../../core/limits.js';
import type { Principal, ServerLogEntry } from '../options.js';

export interface StandingOptions {
  readonly ports: Pick<Ports, 'timers'> & { readonly clock: Pick<Clock, 'now'> };
  /** Whether the key of a principal is good; true for whoever came without one. */
  readonly holds: (principal: Principal) => boolean | Promise<boolean>;
  /** Whether that may ever change. */
  readonly mayEnd: (principal: Principal) => boolean;
  readonly log: (entry: ServerLogEntry) => void;
}

/** What is told when somebody may not ask any more. */
export const standingOver = 'the credentials are good no longer';

export class Standing {
  readonly #options: StandingOptions;
  /** What is open, by who came. */
  readonly #watched = new Map<Principal, Set<() => void>>();
  #cancel: (() => void) | null = null;

  constructor(options: StandingOptions) {
    this.#options = options;
  }

  /** Whether it is known when the principal may not ask any more. */
  watches(principal: Principal): boolean {
    return principal.until !== undefined || this.#options.mayEnd(principal);
  }

  /** Calls `end` once when the principal may not ask any more, unless what is returned was called before. */
  watch(principal: Principal, end: () => void): () => void {
    const { ports } = this.#options;
    if (!this.watches(principal)) return () => undefined;
    const open = this.#watched.get(principal) ?? new Set();
    // The same function may be given twice, and is then two things that are open.
    const one = (): void => end();
    this.#watched.set(principal, open.add(one));
    this.#cancel ??= ports.timers.after(limits.apiKeyBelievedMs, () => this.#look());
    return () => {
      open.delete(one);
      if (open.size === 0 && this.#watched.get(principal) === open) this.#watched.delete(principal);
    };
  }

  /** Watches nothing any more. */
  close(): void {
    this.#cancel?.();
    this.#cancel = null;
    this.#watched.clear();
  }

  #look(): void {
    this.#cancel = null;
    this.tick()
      .catch((error: unknown) => {
        const message = 'It could not be looked up whether those who read may do so any longer.';
        this.#options.log({ level: 'warn', message, reference: 'standing', error });
      })
      .finally(() => {
        if (this.#watched.size > 0)
          this.#cancel ??= this.#options.ports.timers.after(limits.apiKeyBelievedMs, () => this.#look());
      });
  }

  /** Ends what is to be ended now. A store that does not answer ends nothing: it may be back before it matters. */
  async tick(): Promise<void> {
    const { ports, holds } = this.#options;
    const looked = await Promise.allSettled(
      [...this.#watched.keys()].map(async (principal) => {
        const isTime = principal.until !== undefined && ports.clock.now() >= principal.until;
        if (isTime || !(await holds(principal))) this.#end(principal);
      }),
    );
    const failed = looked.find((one) => one.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  #end(principal: Principal): void {
    const open = this.#watched.get(principal) ?? [];
    this.#watched.delete(principal);
    for (const end of open) end();
  }
}
