/** Just enough of Markdown to compare reference pages with code: sections by heading, names in tables. */

/** Text below each heading up to the next heading of any level, by the heading's text without backticks. */
export function sections(markdown: string): Map<string, string> {
  const found = new Map<string, string>();
  let title = '';
  let fenced = false;
  for (const line of markdown.split('\n')) {
    if (line.startsWith('```')) fenced = !fenced;
    const heading = fenced ? null : /^#+\s+(.*)$/.exec(line);
    if (heading !== null) title = (heading[1] ?? '').replaceAll('`', '');
    else found.set(title, `${found.get(title) ?? ''}${line}\n`);
  }
  return found;
}

/** Names in backticks in the first column of the tables of a text; a cell may hold several. */
export function tableNames(text: string): string[] {
  return tableRows(text).flatMap(([first]) => [...(first ?? '').matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? ''));
}

/** Cells of all table rows below their headers. */
export function tableRows(text: string): string[][] {
  const rows: string[][] = [];
  let inside = false;
  for (const line of text.split('\n')) {
    if (!line.startsWith('|')) inside = false;
    else if (/^\|[\s:|-]+\|$/.test(line)) inside = true;
    else if (inside)
      rows.push(
        line
          .slice(1, -1)
          .split('|')
          .map((cell) => cell.trim()),
      );
  }
  return rows;
}
