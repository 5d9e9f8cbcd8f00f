/**
 * The way of transitions to the store. What comes within one turn goes in one call, so that the price of a call
 * (promises, checks, a place in the group commit) is paid once for many runs and not once for each.
 *
 * Invariants: transitions reach the store in the order in which they were handed over, and each is answered one time,
 * after its commit. A call that fails fails for all that were in it: of none of them is it known that it is durable.
 */
import { predictionSpace } from '../../core/models/prediction.js';
import { ticketSpace } from '../../core/run/tickets.js';
import type { Outcome, Transition } from '../../store/contract.js';
import type { EngineContext } from '../context.js';

/** What became of a transition; `failed` = nobody knows, and STORE_* says why. */
export type CommitAnswer = Outcome | { readonly tag: 'failed'; readonly error: unknown };

/** A transition on its way. */
export interface Commit {
  readonly transition: Transition;
  readonly settle: (answer: CommitAnswer) => void;
}

/** Hears of transitions that were handed to the store, before they are committed. */
export type Opening = (transitions: readonly Transition[]) => void;

/**
 * Transitions in one call. A store commits a call whole: in calls of a few dozen it can write some while the callers of
 * others are answered and come again, and the price of a call is as good as shared out already.
 */
const callItemsMax = 32;

/** Bytes of blobs in one call; a single transition may have more. */
const callBlobBytesMax = 16 * 1024 * 1024;

/** See the top of the module. */
export class Committer {
  readonly #context: Pick<EngineContext, 'store' | 'fault'>;
  readonly #opening: Opening;
  readonly #published: Opening;
  #gathered: Commit[] = [];
  #blobBytes = 0;

  /** `published` hears of the transitions that have published something, moved tickets or kept answers, after their commit. */
  constructor(context: Pick<EngineContext, 'store' | 'fault'>, opening: Opening, published: Opening = () => undefined) {
    this.#context = context;
    this.#opening = opening;
    this.#published = published;
  }

  /** Hands a transition over. It is with the store when the micro-tasks of this turn that are due now have run. */
  commit(commit: Commit): void {
    const { blobs } = commit.transition;
    if (blobs !== undefined && blobs.length > 0) {
      let bytes = 0;
      for (const blob of blobs) bytes += blob.bytes.length;
      if (this.#gathered.length > 0 && this.#blobBytes + bytes > callBlobBytesMax) this.#send();
      this.#blobBytes += bytes;
    }
    if (this.#gathered.length >= callItemsMax) this.#send();
    if (this.#gathered.length === 0)
      Promise.resolve()
        .then(() => this.#send())
        .catch((error: unknown) => this.#context.fault('commit', error));
    this.#gathered.push(commit);
  }

  #send(): void {
    const commits = this.#gathered;
    if (commits.length === 0) return;
    this.#gathered = [];
    this.#blobBytes = 0;
    const transitions = commits.map(({ transition }) => transition);
    const applied = this.#context.store.apply(transitions);
    this.#opening(transitions);
    applied.then(
      (outcomes) => {
        for (let i = 0; i < commits.length; i++) this.#settle(commits[i], outcomes[i] ?? unanswered);
        const published = transitions.filter((t, i) => publishes(t) && outcomes[i]?.tag === 'applied');
        if (published.length > 0) this.#published(published);
      },
      (error: unknown) => {
        for (const commit of commits) this.#settle(commit, { tag: 'failed', error });
      },
    );
  }

  #settle(commit: Commit | undefined, answer: CommitAnswer): void {
    try {
      commit?.settle(answer);
    } catch (error) {
      // What goes wrong behind one answer must not keep the others from theirs.
      this.#context.fault('commit', error);
    }
  }
}

function publishes({ publishes: events, entries }: Transition): boolean {
  if (events !== undefined && events.length > 0) return true;
  return entries?.some(({ space }) => space === ticketSpace || space === predictionSpace) === true;
}

const unanswered: CommitAnswer = {
  tag: 'failed',
  error: new Error('Invariant broken: the store answered fewer outcomes than transitions'),
};
