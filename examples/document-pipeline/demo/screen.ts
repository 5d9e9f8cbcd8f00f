/**
 * The terminal: lines that stay, and on a terminal a block of rows below them that is redrawn. Where the output is a
 * file or a pipe there are no rows and no colours, only lines.
 */
import type { WriteStream } from 'node:tty';

/** Colours by meaning; plain text where there are none. */
export interface Paint {
  readonly strong: (text: string) => string;
  readonly faint: (text: string) => string;
  readonly good: (text: string) => string;
  readonly bad: (text: string) => string;
  readonly accent: (text: string) => string;
}

/** Somewhere to write to. */
export interface Screen {
  readonly paint: Paint;
  readonly isTerminal: boolean;
  /** Writes text that stays. */
  line(text?: string): void;
  /** Sets the row of `id`; `null` takes it away. Nothing where the output is no terminal. */
  row(id: string, text: string | null): void;
  /** Takes all rows away. */
  clearRows(): void;
}

const redrawMs = 60;

/** A screen on an output stream. `NO_COLOR` is respected. */
export function screenOn(output: WriteStream, environment: Readonly<Record<string, string | undefined>>): Screen {
  const isTerminal = output.isTTY;
  const paint = paintOf(isTerminal && (environment['NO_COLOR'] ?? '') === '' && environment['TERM'] !== 'dumb');
  return isTerminal ? terminalScreen(output, paint) : plainScreen(output, paint);
}

function plainScreen(output: NodeJS.WritableStream, paint: Paint): Screen {
  return {
    paint,
    isTerminal: false,
    line: (text = '') => void output.write(`${text}\n`),
    row: () => undefined,
    clearRows: () => undefined,
  };
}

function terminalScreen(output: WriteStream, paint: Paint): Screen {
  const rows = new Map<string, string>();
  let drawn = 0;
  let timer: NodeJS.Timeout | undefined;

  const erase = (): void => {
    if (drawn > 0) output.write(`\u001b[${drawn}A\u001b[0J`);
    drawn = 0;
  };
  const draw = (): void => {
    timer = undefined;
    erase();
    // Rows that do not fit would scroll, and what has scrolled cannot be redrawn.
    const shown = [...rows.values()].slice(0, Math.max(1, output.rows - 2));
    for (const row of shown) output.write(`${cut(row, output.columns - 1)}\n`);
    drawn = shown.length;
  };
  const schedule = (): void => {
    timer ??= setTimeout(draw, redrawMs).unref();
  };

  return {
    paint,
    isTerminal: true,
    line(text = '') {
      erase();
      output.write(`${text}\n`);
      if (rows.size > 0) draw();
    },
    row(id, text) {
      if (text === null) rows.delete(id);
      else rows.set(id, text);
      schedule();
    },
    clearRows() {
      clearTimeout(timer);
      timer = undefined;
      rows.clear();
      erase();
    },
  };
}

function paintOf(coloured: boolean): Paint {
  const with_ = (code: number) => (text: string) => (coloured ? `\u001b[${code}m${text}\u001b[0m` : text);
  return { strong: with_(1), faint: with_(2), good: with_(32), bad: with_(31), accent: with_(36) };
}

/** Cuts a row to the width of the terminal; colours take no width. */
export function cut(text: string, width: number): string {
  let used = 0;
  let out = '';
  for (const [part] of text.matchAll(/\u001b\[\d+m|[^\u001b]/gu)) {
    const isColour = part.startsWith('\u001b');
    if (!isColour && used >= width) continue;
    if (!isColour) used += 1;
    out += part;
  }
  return out;
}

/** A bar of `width` characters. */
export function bar(done: number, total: number, width: number): string {
  const full = total === 0 ? 0 : Math.round((Math.min(done, total) / total) * width);
  return '█'.repeat(full) + '░'.repeat(width - full);
}

/** Wraps text to lines of at most `width` characters, the later ones indented. */
export function wrap(text: string, width: number, indent: string): string {
  const lines: string[] = [];
  let open = '';
  for (const word of text.split(/\s+/).filter((part) => part !== '')) {
    if (open !== '' && open.length + 1 + word.length > width) {
      lines.push(open);
      open = word;
    } else open = open === '' ? word : `${open} ${word}`;
  }
  return [...lines, open].join(`\n${indent}`);
}
