/**
 * Patterns over names, as permissions hold them: `*` stands for any characters but a dot, `**` for any characters,
 * everything else for itself. No regular expressions: the work of one match is bounded by the length of the pattern times
 * that of the name, whatever is written in either.
 *
 * Invariant: a pattern matches whole names only, and upper and lower case differ.
 */
import { limits } from '../limits.js';

/** Says whether a name is one of those that a pattern means. */
export type NameMatcher = (name: string) => boolean;

/** A character, or one of the two wildcards. */
type Token = string | { readonly dots: boolean };

/** What keeps a text from being a pattern; null = nothing. */
export function patternFault(pattern: string): string | null {
  if (pattern === '' || pattern.length > limits.nameLengthMax)
    return `the pattern has not 1 to ${limits.nameLengthMax} characters`;
  if (pattern.includes('***')) return 'the pattern has three stars in a row; "*" and "**" are all there are';
  // What is in no name would never match, and is a typing error or an attack.
  return unnamable.test(pattern) ? 'the pattern has control characters, spaces or broken characters in it' : null;
}

const unnamable = /[\p{Cc}\p{Z}\p{Surrogate}]/u;

/** A matcher of a pattern without faults. */
export function matcherOf(pattern: string): NameMatcher {
  if (!pattern.includes('*')) return (name) => name === pattern;
  if (pattern === everyName) return () => true;
  const start = pattern.slice(0, -everyName.length);
  if (pattern.endsWith(everyName) && !start.includes('*')) return (name) => name.startsWith(start);
  const tokens = tokensOf(pattern);
  return (name) => matches(tokens, name);
}

/** The pattern of all names. */
export const everyName = '**';

function tokensOf(pattern: string): readonly Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < pattern.length; at++) {
    const isStar = pattern[at] === '*';
    const isDouble = isStar && pattern[at + 1] === '*';
    tokens.push(isStar ? { dots: isDouble } : (pattern[at] ?? ''));
    if (isDouble) at += 1;
  }
  return tokens;
}

/**
 * Goes through the name once with all places of the pattern that may come next: a wildcard is passed over for nothing, or
 * takes a character and stays.
 */
function matches(tokens: readonly Token[], name: string): boolean {
  let places = passed(tokens, [0]);
  for (const character of name.split('')) {
    const next: number[] = [];
    for (const place of places) {
      const token = tokens[place];
      if (token === undefined) continue;
      if (typeof token !== 'string') {
        if (token.dots || character !== '.') next.push(place);
      } else if (token === character) next.push(place + 1);
    }
    if (next.length === 0) return false;
    places = passed(tokens, next);
  }
  return places.includes(tokens.length);
}

/** The places with those behind the wildcards at them, each once. */
function passed(tokens: readonly Token[], places: readonly number[]): readonly number[] {
  const found = new Set<number>();
  for (let place of places) {
    found.add(place);
    while (typeof tokens[place] === 'object') found.add(++place);
  }
  return [...found];
}
