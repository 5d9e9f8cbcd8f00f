/**
 * Lines of a text that comes in pieces. Invariant: never holds more than one piece and one line of the given length; a
 * longer line is told of and passed over, however long it is.
 */

/** A line. */
export interface Line {
  /** Counted from 1. */
  readonly number: number;
  /** Without its end; null = longer than allowed. */
  readonly text: string | null;
}

/** The lines of a text, those of one piece at a time. The end of a line is LF or CR LF; the last one needs none. */
export async function* boundedLines(pieces: AsyncIterable<string>, lengthMax: number): AsyncGenerator<Line[]> {
  let number = 0;
  /** The line that the last piece left open; null = it is too long already. */
  let open: string | null = '';
  const closed = (text: string | null): Line => {
    number += 1;
    return { number, text: text === null || text.length > lengthMax ? null : text.replace(/\r$/, '') };
  };
  for await (const piece of pieces) {
    const parts = piece.split('\n');
    const lines: Line[] = [];
    for (const [i, part] of parts.entries()) {
      const text: string | null = open === null ? null : open + part;
      if (i < parts.length - 1) {
        lines.push(closed(text));
        open = '';
      } else {
        open = text !== null && text.length > lengthMax ? null : text;
      }
    }
    if (lines.length > 0) yield lines;
  }
  if (open !== '') yield [closed(open)];
}
