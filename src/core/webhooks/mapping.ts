/**
 * How a webhook becomes an event, as data: templates of text in which `{headers.x-event}` and `{body.order.id}` stand for parts
 * of the request. Read once into places, so that nothing of it is parsed while requests wait.
 *
 * Invariant: own members only, no expression, no pattern: what a template costs is its length.
 */
import { limits } from '../limits.js';
import { shown } from '../shown.js';

/** Which parts of a webhook become which parts of the event. What is left out is as the scheme of the sender has it. */
export interface WebhookMap {
  /** Id of the delivery, by which repeats are known. */
  readonly id?: string;
  /** Type of the event. Default: the name of the topic. */
  readonly type?: string;
  /** Partition key. Default: that of the topic, else the id. */
  readonly key?: string;
  /** Subject of the event. Default: none. */
  readonly subject?: string;
  /** Data of the event: one place, such as `{body.data}`. Default: the whole body. */
  readonly data?: string;
}

export const webhookMapNames = ['id', 'type', 'key', 'subject', 'data'] as const;

/** What templates are filled from. */
export interface WebhookParts {
  /** A header by its lower-case name; null = it is not there. */
  readonly header: (name: string) => string | null;
  readonly body: unknown;
}

/** A place in a request: a header, or members of the body one in the other; none = all of it. */
type Place = { readonly header: string } | { readonly path: readonly string[] };

/** A template, read. */
export type Template = readonly (string | Place)[];

const textLengthMax = 500;
const pathLengthMax = 8;
const memberLengthMax = 100;

/** What is wrong with a map that comes from outside. */
export function mapFaults(value: unknown, at = 'map'): string[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [`${at} is not an object`];
  return Object.entries(value as Readonly<Record<string, unknown>>).flatMap(([name, text]) => {
    if (!(webhookMapNames as readonly string[]).includes(name))
      return [`${at}.${name.slice(0, 40)} is not a field; there are ${webhookMapNames.join(', ')}`];
    const template = typeof text === 'string' ? readTemplate(text) : null;
    if (template === null) return [`${at}.${name} ${shown(text)} is not text with places such as {body.id}`];
    const isPlace = template.length === 1 && typeof template[0] !== 'string';
    return name === 'data' && !isPlace ? [`${at}.data is not one place such as {body.data}`] : [];
  });
}

/** Null = it is no template: a brace without its other one, or a place that is none. */
export function readTemplate(text: string): Template | null {
  if (text === '' || text.length > textLengthMax) return null;
  const parts: (string | Place)[] = [];
  let at = 0;
  while (at < text.length) {
    const open = text.indexOf('{', at);
    const plain = text.slice(at, open === -1 ? text.length : open);
    if (plain.includes('}')) return null;
    if (plain !== '') parts.push(plain);
    if (open === -1) break;
    const close = text.indexOf('}', open);
    const place = close === -1 ? null : placeOf(text.slice(open + 1, close));
    if (place === null) return null;
    parts.push(place);
    at = close + 1;
  }
  return parts;
}

function placeOf(text: string): Place | null {
  const [root, ...path] = text.split('.');
  if (root === 'headers') {
    // Names of headers may have dots.
    const header = text.slice('headers.'.length);
    return /^[a-z0-9!#$%&'*+.^_`|~-]{1,100}$/.test(header) ? { header } : null;
  }
  if (root !== 'body' || path.length > pathLengthMax) return null;
  return path.every((name) => name !== '' && name.length <= memberLengthMax) ? { path } : null;
}

/** The text of a template; undefined where a place has no text, number or truth value. */
export function filled(template: Template, parts: WebhookParts): string | undefined {
  let text = '';
  for (const part of template) {
    const value = typeof part === 'string' ? part : valueAt(part, parts);
    if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') return undefined;
    text += String(value);
    if (text.length > limits.bodyBytesMax) return undefined;
  }
  return text;
}

/** The value of a template that is one place; undefined where there is nothing. */
export function valueOf([place]: Template, parts: WebhookParts): unknown {
  return place === undefined || typeof place === 'string' ? undefined : valueAt(place, parts);
}

function valueAt(place: Place, { header, body }: WebhookParts): unknown {
  if ('header' in place) return header(place.header) ?? undefined;
  let value = body;
  for (const name of place.path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[name];
  }
  return value;
}
