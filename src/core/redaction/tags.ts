/**
 * Tags say what kind of thing a field holds (`pii`, `health`, `card`), and clearances who is shown it. Both are plain
 * words of the installation; here is how they are written in schemas and what stands in the place of a value.
 */
import type { JsonSchema } from '../manifest.js';
import { isRecord } from '../schema/schema-text.js';

/** The annotation of a JSON Schema that holds the tags of a place: a list of words. */
export const tagsKeyword = 'x-eventspine-tags';

/** A clearance for whatever there is. */
export const everyTag = '*';

/** What somebody is shown in clear: these tags, or everything. */
export type Clearance = ReadonlySet<string> | 'everything';

/** What stands in the place of a value that somebody is not shown: the tags that would show it. */
export interface Redacted {
  readonly redacted: readonly string[];
}

const tagPattern = /^[a-z][a-z0-9._-]{0,63}$/;

/** True for a word of 1 to 64 lower-case letters, digits, ".", "-" and "_" that begins with a letter. */
export function isTag(value: unknown): value is string {
  return typeof value === 'string' && tagPattern.test(value);
}

/** The tags of a place; of an annotation that is not well formed whatever of it is a text, so that it hides and never shows. */
export function tagsOf(schema: JsonSchema): readonly string[] {
  const said = schema[tagsKeyword];
  if (said === undefined) return [];
  const texts = (Array.isArray(said) ? (said as readonly unknown[]) : [said]).filter((one) => typeof one === 'string');
  return texts.length > 0 ? texts : ['malformed'];
}

/** All tags that a schema has anywhere. */
export function tagsWithin(schema: unknown): ReadonlySet<string> {
  const found = new Set<string>();
  eachPlace(schema, (place) => {
    for (const tag of tagsOf(place)) found.add(tag);
  });
  return found;
}

/** What is wrong with the tags of a schema, in words; empty = nothing. */
export function tagFaults(schema: unknown): string[] {
  const faults: string[] = [];
  eachPlace(schema, (place) => {
    const said = place[tagsKeyword];
    if (said === undefined) return;
    const isList = Array.isArray(said) && said.length > 0 && said.every(isTag);
    if (!isList) faults.push(`${tagsKeyword} is not a list of tags such as ["pii"]`);
  });
  return faults;
}

/** Tags that a clearance does not show, sorted; empty = it shows all of them. */
export function hiddenOf(tags: Iterable<string>, cleared: Clearance): readonly string[] {
  if (cleared === 'everything') return [];
  const hidden: string[] = [];
  for (const tag of tags) if (!cleared.has(tag)) hidden.push(tag);
  return hidden.sort();
}

/** What is shown instead of a value. */
export function redacted(tags: readonly string[]): Redacted {
  return { redacted: tags };
}

/** The same where only a text can stand. */
export function redactedText(tags: readonly string[]): string {
  return `[redacted: ${tags.join(', ')}]`;
}

/** Every object inside of a schema: too many rather than too few, since a name of a field may be that of a keyword. */
function eachPlace(schema: unknown, see: (place: JsonSchema) => void): void {
  const open: unknown[] = [schema];
  while (open.length > 0) {
    const next = open.pop();
    if (Array.isArray(next)) open.push(...(next as readonly unknown[]));
    else if (isRecord(next)) {
      see(next);
      open.push(...Object.values(next));
    }
  }
}
