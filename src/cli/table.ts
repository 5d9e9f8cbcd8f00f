/**
 * Tables of plain text. Columns are as wide as their widest cell; on a terminal the widest text gives way, so that a
 * row stays one line. Control characters of what others wrote never reach the terminal.
 */

/** Renders rows under a header. `columns` is the width to keep to; 0 = no bound. */
export function renderTable(header: readonly string[], rows: readonly (readonly string[])[], columns = 0): string[] {
  const cells = [header, ...rows.map((row) => row.map(plainText))];
  const widths = header.map((_, i) => Math.max(...cells.map((row) => row[i]?.length ?? 0)));
  const gaps = 2 * (widths.length - 1);
  while (columns > 0 && sum(widths) + gaps > columns) {
    const widest = widths.indexOf(Math.max(...widths));
    if ((widths[widest] ?? 0) <= columnMin) break;
    const surplus = sum(widths) + gaps - columns;
    widths[widest] = Math.max(columnMin, (widths[widest] ?? 0) - surplus);
  }
  return cells.map((row) =>
    row
      .map((cell, i) => fitted(cell, widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/** Pairs of a name and a text, one a line, the texts aligned. */
export function renderPairs(pairs: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(0, ...pairs.map(([name]) => name.length));
  return pairs.map(([name, text]) => `${name.padEnd(width)}  ${plainText(text)}`.trimEnd());
}

/** Text without control characters: what a run says of itself must not steer the terminal of whoever reads it. */
export function plainText(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ');
}

const columnMin = 8;

function fitted(cell: string, width: number): string {
  return cell.length > width ? `${cell.slice(0, width - 1)}…` : cell.padEnd(width);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}
