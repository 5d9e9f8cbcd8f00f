/**
 * Statements over rows. A column is an array that the server steps through in the select list; where all rows of a batch
 * are alike in the columns in which they mostly are, each of these is one value; and a single row is values only, so that
 * the server steps through nothing. What a statement does is the same in each of its forms.
 *
 * Invariant: a statement has three forms and no more, since a connection keeps each that it has used.
 */
import type { Statement, Value } from './pipeline.js';

/** The forms of one statement; the parameters of all of them have the same numbers. */
export interface RowsSql {
  /** Every column is an array. */
  readonly many: string;
  /** The columns that `isAlike` names by place are one value each. */
  readonly lean: string;
  /** Every column is one value. */
  readonly one: string;
  readonly isAlike: readonly boolean[];
}

/** What a row may hold in a column. */
type Cell = string | number | boolean | Uint8Array | null;

/** What the rows of a batch hold in one column, and how it is written. */
export interface Column {
  readonly cells: readonly Cell[];
  /** All of it, as an array. */
  readonly array: () => Value;
  /** What the first row holds. */
  readonly value: () => Value;
}

/**
 * The statement that `text` makes of rows with these columns (`name type, ...`), in all its forms. `alike`: the names of
 * columns in which the rows of a batch are mostly alike. `one`: what takes the place of `text` for a single row.
 */
export function rowsSql(
  columns: string,
  alike: string,
  text: (rows: string) => string,
  one: (rows: string) => string = text,
): RowsSql {
  const names = columnsOf(columns).map(({ name }) => name);
  const likely = new Set(alike.split(',').map((name) => name.trim()));
  for (const name of likely) if (!names.includes(name)) throw new Error(`Invariant broken: there is no column ${name}`);
  return {
    many: text(rowsOf(columns)),
    lean: text(rowsOf(columns, 1, likely)),
    one: one(rowsOf(columns, 1, new Set(names))),
    isAlike: names.map((name) => likely.has(name)),
  };
}

/**
 * Rows of the given columns and types: the parameters from the one of that number on, arrays but for those of the given
 * names.
 */
export function rowsOf(columns: string, from = 1, single: ReadonlySet<string> = new Set()): string {
  const steps = columnsOf(columns).map(({ name, type }, i) =>
    single.has(name) ? `$${from + i}::${type} AS ${name}` : `unnest($${from + i}::${type}[]) AS ${name}`,
  );
  return `SELECT ${steps.join(', ')}`;
}

/** Names and types of `name type, ...`. */
export function columnsOf(columns: string): { readonly name: string; readonly type: string }[] {
  return columns.split(',').map((column) => {
    const [name = '', type = ''] = column.trim().split(/\s+/);
    return { name, type };
  });
}

/** The column that `pick` takes from each row. `single`: how one cell is written where that is not as it is. */
export function column<R, T extends Cell>(
  write: (cells: readonly (T | null)[]) => Buffer,
  rows: readonly R[],
  pick: (row: R) => T | null,
  single: (cell: T) => Value = plainly,
): Column {
  const cells = rows.map(pick);
  return {
    cells,
    array: () => write(cells),
    value: () => {
      const [cell = null] = cells;
      return cell === null ? null : single(cell);
    },
  };
}

/** The columns as arrays. */
export function arraysOf(columns: readonly Column[]): Value[] {
  return columns.map((each) => each.array());
}

/** The statement over these rows, in the form that costs least. `rest`: the parameters behind the columns. */
export function rowsStatement(sql: RowsSql, columns: readonly Column[], ...rest: readonly Value[]): Statement {
  if (columns[0]?.cells.length === 1)
    return { text: sql.one, values: [...columns.map((each) => each.value()), ...rest] };
  if (columns.every(({ cells }, place) => sql.isAlike[place] !== true || areAlike(cells))) {
    const values = columns.map((each, place) => (sql.isAlike[place] === true ? each.value() : each.array()));
    return { text: sql.lean, values: [...values, ...rest] };
  }
  return { text: sql.many, values: [...arraysOf(columns), ...rest] };
}

function areAlike(cells: readonly Cell[]): boolean {
  const [first] = cells;
  for (const cell of cells) if (cell !== first) return false;
  return true;
}

function plainly(cell: Cell): Value {
  if (typeof cell === 'boolean') return String(cell);
  return cell instanceof Uint8Array ? Buffer.from(cell.buffer, cell.byteOffset, cell.byteLength) : cell;
}
