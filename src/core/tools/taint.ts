/**
 * Taint: the mark of what has come from outside, and what a run knows of it. A mark is part of the text, so that it goes
 * wherever the text goes: into prompts, states, messages, other runs and databases.
 *
 * Invariant: a run that has read something tainted stays so, and what is made of several things has the taints of all.
 */
import { limits } from '../limits.js';

const opening = '<untrusted:';

/**
 * Marks text as coming from outside: a mail, a page, what a user has typed. A model that is asked with it is tainted, and so
 * is its run from then on. Anything but text is marked as its JSON.
 *
 * @param source Where it is from, for people: letters, digits, `.`, `-` and `_`; other characters become `-`.
 */
export function untrusted(value: unknown, source = 'outside'): string {
  const label = labelOf(source);
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
  // What looks like the end of the mark is not to end it: whoever writes the text would write it there.
  const inner = text.replaceAll(/<(?=\/?untrusted:)/giu, '‹');
  return `${opening}${label}>\n${inner}\n</untrusted:${label}>`;
}

function labelOf(source: string): string {
  return source.replaceAll(/[^\p{L}\p{N}._-]/gu, '-').slice(0, labelLengthMax) || 'outside';
}

const labelLengthMax = 40;

/** Where the marked text in a text is from, such as that of an encoded value. */
export function taintIn(text: string): string[] {
  const found = new Set<string>();
  for (let at = text.indexOf(opening); at >= 0 && found.size < limits.toolTaintsMax; ) {
    const from = at + opening.length;
    const end = text.indexOf('>', from);
    found.add(labelOf(end < 0 ? '' : text.slice(from, Math.min(end, from + labelLengthMax))));
    at = text.indexOf(opening, from);
  }
  return [...found];
}

/** Both together, in the order in which they came; the first `limits.toolTaintsMax`. */
export function mergedTaint(before: readonly string[], more: readonly string[] | undefined): readonly string[] {
  if (more === undefined || more.every((label) => before.includes(label))) return before;
  return [...new Set([...before, ...more])].slice(0, limits.toolTaintsMax);
}

/** The taint of what a tool has given. */
export function toolTaint(tool: string): string {
  return `tool:${tool}`.slice(0, limits.toolTaintLengthMax);
}
