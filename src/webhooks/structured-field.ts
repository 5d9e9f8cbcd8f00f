/**
 * Dictionaries of structured fields (RFC 9651), as far as signatures of messages need them: members that are byte sequences or
 * lists of strings, with parameters. Strict, linear in the length of the field, and bounded.
 */

/** A value of a parameter: a whole number, a string, a token, bytes, or true. */
export type BareItem =
  | { readonly tag: 'integer'; readonly value: number }
  | { readonly tag: 'string' | 'token'; readonly value: string }
  | { readonly tag: 'bytes'; readonly value: Buffer }
  | { readonly tag: 'boolean'; readonly value: boolean };

export type Parameters = ReadonlyMap<string, BareItem>;

export interface Item {
  readonly item: BareItem;
  readonly parameters: Parameters;
}

export interface InnerList {
  readonly items: readonly Item[];
  readonly parameters: Parameters;
}

const fieldLengthMax = 8 * 1024;
const membersMax = 16;
const itemsMax = 32;

/** The members by their names; null = the field is not a dictionary, is too large, or holds what is not read here. */
export function parseDictionary(field: string): ReadonlyMap<string, Item | InnerList> | null {
  if (field.length > fieldLengthMax) return null;
  return new Reader(field.replace(/^ +/, '')).dictionary();
}

/** A list and its parameters as RFC 9651 writes them, which is what a signature covers. */
export function textOfList({ items, parameters }: InnerList): string {
  return `(${items.map((item) => textOf(item.item) + textOfParameters(item.parameters)).join(' ')})${textOfParameters(parameters)}`;
}

function textOfParameters(parameters: Parameters): string {
  return [...parameters]
    .map(([name, item]) => (item.tag === 'boolean' && item.value ? `;${name}` : `;${name}=${textOf(item)}`))
    .join('');
}

function textOf(item: BareItem): string {
  switch (item.tag) {
    case 'integer':
      return String(item.value);
    case 'string':
      return `"${item.value.replace(/["\\]/g, '\\$&')}"`;
    case 'token':
      return item.value;
    case 'bytes':
      return `:${item.value.toString('base64')}:`;
    case 'boolean':
      return item.value ? '?1' : '?0';
  }
}

/** Reads from left to right, each character once. A method answers null where the text is not what it reads. */
class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  dictionary(): ReadonlyMap<string, Item | InnerList> | null {
    const members = new Map<string, Item | InnerList>();
    for (;;) {
      const name = this.#match(/[a-z*][a-z0-9_.*-]*/y);
      if (name === null || members.size >= membersMax) return null;
      const member = this.#take('=') ? this.#member() : null;
      // A name twice is allowed there, and the last one counts. Here it is a sign that somebody is being led astray.
      if (member === null || members.has(name)) return null;
      members.set(name, member);
      this.#match(/[ \t]*/y);
      if (this.#at === this.#text.length) return members;
      if (!this.#take(',')) return null;
      this.#match(/[ \t]*/y);
    }
  }

  #member(): Item | InnerList | null {
    return this.#take('(') ? this.#list() : this.#item();
  }

  #list(): InnerList | null {
    const items: Item[] = [];
    for (;;) {
      const spaces = this.#match(/ */y) ?? '';
      if (this.#take(')')) break;
      const item = items.length > 0 && spaces === '' ? null : this.#item();
      if (item === null || items.length >= itemsMax) return null;
      items.push(item);
    }
    const parameters = this.#parameters();
    return parameters === null ? null : { items, parameters };
  }

  #item(): Item | null {
    const item = this.#bareItem();
    const parameters = item === null ? null : this.#parameters();
    return item === null || parameters === null ? null : { item, parameters };
  }

  #parameters(): Parameters | null {
    const parameters = new Map<string, BareItem>();
    while (this.#take(';')) {
      this.#match(/ */y);
      const name = this.#match(/[a-z*][a-z0-9_.*-]*/y);
      const value: BareItem | null = this.#take('=') ? this.#bareItem() : { tag: 'boolean', value: true };
      if (name === null || value === null || parameters.has(name) || parameters.size >= membersMax) return null;
      parameters.set(name, value);
    }
    return parameters;
  }

  #bareItem(): BareItem | null {
    const integer = this.#match(/-?\d{1,15}(?![\d.])/y);
    if (integer !== null) return { tag: 'integer', value: Number(integer) };
    const string = this.#match(/"(?:[ !#-[\]-~]|\\["\\])*"/y);
    if (string !== null) return { tag: 'string', value: string.slice(1, -1).replace(/\\(["\\])/g, '$1') };
    const bytes = this.#match(/:[A-Za-z0-9+/]*={0,2}:/y);
    if (bytes !== null) return { tag: 'bytes', value: Buffer.from(bytes.slice(1, -1), 'base64') };
    const boolean = this.#match(/\?[01]/y);
    if (boolean !== null) return { tag: 'boolean', value: boolean === '?1' };
    const token = this.#match(/[A-Za-z*][\w!#$%&'*+.^`|~:/-]*/y);
    return token === null ? null : { tag: 'token', value: token };
  }

  #take(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }

  #match(pattern: RegExp): string | null {
    pattern.lastIndex = this.#at;
    const [found] = pattern.exec(this.#text) ?? [];
    if (found === undefined) return null;
    this.#at += found.length;
    return found;
  }
}
