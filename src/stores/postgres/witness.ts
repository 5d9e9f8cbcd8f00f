/**
 * What this node knows to be in the database, asked of every new connection: a standby that is promoted may have fallen
 * behind, and then what was acknowledged is gone. No node can bring it back; but one that goes on with what it remembers
 * would put events after others than it knows, so it ends and begins anew with what there is.
 *
 * Invariant: once something was missing, no connection is given out again.
 */
import { SpineError } from '../../core/errors.js';
import type { Statement, Row } from './pipeline.js';
import { int } from './rows.js';

/** The row of a commit is there for longer (`bareCommitKeptMs`). */
const commitKeptMs = 30 * 60_000;

export class Witness {
  /** Resolves with the reason when the database has lost something. */
  readonly lost: Promise<Error>;
  readonly #schema: string;
  #tell: (error: Error) => void = () => undefined;
  #error: SpineError | null = null;
  #commit = 0;
  #commitAtMs = 0;
  #head = 0;

  constructor(schema: string) {
    this.#schema = schema;
    this.lost = new Promise((resolve) => (this.#tell = resolve));
  }

  /** Our newest commit is there. Commits come one after the other, so that those before it are there too. */
  committed(commit: number): void {
    this.#commit = commit;
    this.#commitAtMs = performance.now();
  }

  /** The feed reaches up to this position at least. */
  reached(position: number): void {
    this.#head = Math.max(this.#head, position);
  }

  /** For a connection that was never used: what is there of what should be. */
  question(): readonly Statement[] {
    if (this.#commit === 0 && this.#head === 0) return [];
    const s = this.#schema;
    return [
      {
        // The database compares: until its answer is here, this node knows of more.
        text: `SELECT pg_is_in_recovery()::int, head >= $2::bigint
              AND ($1::bigint = 0 OR EXISTS (SELECT 1 FROM ${s}.feed_commit WHERE id = $1::bigint))
          FROM ${s}.feed WHERE id = 1`,
        values: [this.#isCommitDue() ? this.#commit : 0, this.#head],
      },
    ];
  }

  /** Throws STORE_FAILED, now and for ever, where something is missing. `rows` answers `question`. */
  judge(rows: readonly Row[] | undefined): void {
    this.assertWhole();
    const row = rows?.[0];
    if (row === undefined) return;
    // It may have received more than it shows; as long as it is a standby it cannot be used anyway.
    if (int(row[0]) === 1) throw new Error('The database is a standby');
    if (row[1] === 't') return;
    this.#error = new SpineError('STORE_FAILED', { reason: 'the database has lost what it had acknowledged' });
    this.#tell(this.#error);
    throw this.#error;
  }

  #isCommitDue(): boolean {
    return performance.now() - this.#commitAtMs < commitKeptMs;
  }

  assertWhole(): void {
    if (this.#error !== null) throw this.#error;
  }
}
