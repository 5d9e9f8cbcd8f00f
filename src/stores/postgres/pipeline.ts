/**
 * Several statements in one round trip: parse, bind and execute for each, and one Sync at the end (PostgreSQL protocol
 * 3.0, "Pipelining"). Without BEGIN the statements are one implicit transaction, which commits at the Sync. Statements
 * are unnamed where a pooler may stand between, since its next server connection would not know them.
 *
 * Invariant: rows are those of the statement at their index; after an error nothing behind it was carried out.
 */
import type { Submittable, WireConnection } from './driver.js';

/** A parameter: text, a number in text form, or bytes in the binary format of the type that it is cast to. */
export type Value = string | number | Buffer | null;

/** One statement with its parameters. */
export interface Statement {
  readonly text: string;
  readonly values: readonly Value[];
}

/** A row as it came: columns in text format. */
export type Row = readonly (string | null)[];

const noTypes: readonly number[] = [];

/** The statements that one connection has prepared: names by text. */
export class PreparedStatements {
  readonly #names = new Map<string, string>();
  #lastName = 0;
  #plansAtMs: number;
  #plansForMs = plansMsMin;

  /** `nowMs`: monotonic, as for `takeStale`. */
  constructor(nowMs: number) {
    this.#plansAtMs = nowMs;
  }

  /**
   * Whether the plans that the server keeps for these statements should be made anew; true once in a while, and less and
   * less often. A plan is made for tables as large as they are at that moment, and kept until they are analyzed: one for
   * a table that has just been made would walk through it when it has a million rows.
   */
  takeStale(nowMs: number): boolean {
    if (!this.isStale(nowMs)) return false;
    this.#plansAtMs = nowMs;
    this.#plansForMs = Math.min(plansMsMax, this.#plansForMs * 2);
    return true;
  }

  /** The same, and nothing is taken. */
  isStale(nowMs: number): boolean {
    return nowMs - this.#plansAtMs >= this.#plansForMs;
  }

  /** The name of a statement, and whether the server has yet to be told of it; null = it stays unnamed. */
  nameOf(text: string): { readonly name: string; readonly isNew: boolean } | null {
    const known = this.#names.get(text);
    if (known !== undefined) return { name: known, isNew: false };
    if (this.#names.size >= statementsMax) return null;
    const name = `es${++this.#lastName}`;
    this.#names.set(text, name);
    return { name, isNew: true };
  }

  /** The server may not have come to know this one. Its name is not used again. */
  forget(text: string): void {
    this.#names.delete(text);
  }
}

/** How long plans are kept: from a new connection to an old one. */
const plansMsMin = 250;
const plansMsMax = 60_000;

/** The store has fewer; lists with filters make the rest. */
const statementsMax = 200;

/** A round trip on its way. */
export class Pipeline implements Submittable {
  readonly done: Promise<Row[][]>;
  readonly #statements: readonly Statement[];
  /** Statements that are made known on the way, by their place. */
  readonly #told = new Map<number, string>();
  readonly #results: Row[][] = [];
  #rows: Row[] = [];
  #resolve: (results: Row[][]) => void = () => undefined;
  #reject: (error: Error) => void = () => undefined;

  readonly #prepared: PreparedStatements | null;
  #wire: WireConnection | null = null;

  /** `prepared`: what its connection knows already; null = all is unnamed. */
  constructor(statements: readonly Statement[], prepared: PreparedStatements | null) {
    this.#statements = statements;
    this.#prepared = prepared;
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** Where it was written to; null = not yet. */
  get wire(): WireConnection | null {
    return this.#wire;
  }

  /** Writes the round trip. What was written early, behind another that is not answered yet, is not written again. */
  submit(connection: WireConnection): void {
    if (this.#wire !== null) return;
    this.#wire = connection;
    connection.stream.cork?.();
    try {
      for (const [place, { text, values }] of this.#statements.entries()) {
        const known = this.#prepared?.nameOf(text) ?? null;
        const name = known?.name ?? '';
        if (known?.isNew === true) this.#told.set(place, text);
        if (known?.isNew !== false) connection.parse({ text, name, types: noTypes });
        connection.bind({
          statement: name,
          values: values.map((value) => (typeof value === 'number' ? String(value) : value)),
        });
        connection.execute({ rows: 0 });
      }
      connection.sync();
    } finally {
      connection.stream.uncork?.();
    }
  }

  handleDataRow(message: { readonly fields: readonly (string | null)[] }): void {
    this.#rows.push(message.fields);
  }

  handleCommandComplete(): void {
    this.#results.push(this.#rows);
    this.#rows = [];
  }

  handleReadyForQuery(): void {
    this.#resolve(this.#results);
  }

  handleError(error: Error): void {
    // What stands behind the statement that failed was passed over, and was not prepared either.
    for (const [place, text] of this.#told) if (place >= this.#results.length) this.#prepared?.forget(text);
    this.#reject(error);
  }

  handleRowDescription(): void {
    // Columns are known to who wrote the statement.
  }

  handleEmptyQuery(): void {
    this.handleCommandComplete();
  }

  handlePortalSuspended(): void {
    this.#reject(new Error('Invariant broken: no portal has a limit'));
  }

  handleCopyInResponse(): void {
    this.#reject(new Error('Invariant broken: nothing is copied'));
  }

  handleCopyData(): void {
    this.handleCopyInResponse();
  }
}
