/**
 * Finds a member that a JSON text has twice. Of two, readers differ in which they take; so one of them may be what was checked
 * and the other what is believed.
 */

/** The name of a member that one object has twice, however it is escaped; null = there is none. `text` must be valid JSON. */
export function duplicateMember(text: string): string | null {
  /** Names of each object that is open; null for a list. */
  const open: (Set<string> | null)[] = [];
  let mayBeName = false;
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === '{' || character === '[') {
      open.push(character === '{' ? new Set() : null);
      mayBeName = character === '{';
    } else if (character === '}' || character === ']') {
      open.pop();
    } else if (character === ',') {
      mayBeName = true;
    } else if (character === '"') {
      const end = endOfText(text, at);
      const names = open.at(-1) ?? null;
      if (mayBeName && names !== null) {
        const name = JSON.parse(text.slice(at, end + 1)) as string;
        if (names.has(name)) return name;
        names.add(name);
      }
      mayBeName = false;
      at = end;
    }
  }
  return null;
}

/** Where the text that begins at a quote ends. */
function endOfText(text: string, from: number): number {
  let at = from + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at;
}
