/**
 * Several statements in one round trip: parse, bind and execute for each, and one Sync at the end (PostgreSQL protocol
 * 3.0, "Pipelining"). Without BEGIN the statements are one implicit transaction, which commits at the Sync. Statements
 * are unnamed, so a pooler in transaction mode does not mind.
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

/** A round trip on its way. */
export class Pipeline implements Submittable {
  readonly done: Promise<Row[][]>;
  readonly #statements: readonly Statement[];
  readonly #results: Row[][] = [];
  #rows: Row[] = [];
  #resolve: (results: Row[][]) => void = () => undefined;
  #reject: (error: Error) => void = () => undefined;

  constructor(statements: readonly Statement[]) {
    this.#statements = statements;
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  submit(connection: WireConnection): void {
    connection.stream.cork?.();
    try {
      for (const { text, values } of this.#statements) {
        connection.parse({ text, name: '', types: noTypes });
        connection.bind({ values: values.map((value) => (typeof value === 'number' ? String(value) : value)) });
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
