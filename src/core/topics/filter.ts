/**
 * Filters of subscriptions, in the dialects `exact`, `prefix`, `suffix`, `all`, `any` and `not` of the CloudEvents
 * Subscriptions API (1.0-wip, section 3.2.4), over the attributes of an event and, as `data.document.id`, over fields of
 * its data. Pure.
 *
 * Invariant: an attribute that an event does not have matches nothing, so that `not` of it matches.
 */
import { limits } from '../limits.js';
import { shown } from '../shown.js';
import { fieldAt } from './field-path.js';
import type { Filter } from './subscription.js';

/** An event as filters see it. */
export interface FilterSubject {
  /** Attributes by name: `id`, `type`, `source`, `subject`, `partitionkey`, extensions. */
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  /** The data as plain JSON; asked for only where the filter is about it. */
  readonly data: () => unknown;
}

/** Whether the event passes. `null` lets all pass. */
export function passes(filter: Filter | null, subject: FilterSubject): boolean {
  if (filter === null) return true;
  if ('exact' in filter) return holds(filter.exact, subject, (text, wanted) => text === wanted);
  if ('prefix' in filter) return holds(filter.prefix, subject, (text, wanted) => text.startsWith(wanted));
  if ('suffix' in filter) return holds(filter.suffix, subject, (text, wanted) => text.endsWith(wanted));
  if ('all' in filter) return filter.all.every((one) => passes(one, subject));
  if ('any' in filter) return filter.any.some((one) => passes(one, subject));
  return !passes(filter.not, subject);
}

/** Whether it can be told by attributes alone, without the data of the event. */
export function asksForData(filter: Filter | null): boolean {
  if (filter === null) return false;
  if ('all' in filter) return filter.all.some(asksForData);
  if ('any' in filter) return filter.any.some(asksForData);
  if ('not' in filter) return asksForData(filter.not);
  return Object.keys(matchOf(filter)).some((name) => name.startsWith(dataPrefix));
}

/** What is wrong with what may be a filter, each fault with the place that it is at; empty = it is one. */
export function filterFaults(given: unknown): string[] {
  const faults: string[] = [];
  const look: Look = { faults, left: limits.filterNodesMax };
  lookAt(given, 'filter', 1, look);
  return faults;
}

const dataPrefix = 'data.';

type Match = Readonly<Record<string, string>>;

function matchOf(filter: Exclude<Filter, { all: unknown } | { any: unknown } | { not: unknown }>): Match {
  return 'exact' in filter ? filter.exact : 'prefix' in filter ? filter.prefix : filter.suffix;
}

function holds(match: Match, subject: FilterSubject, is: (text: string, wanted: string) => boolean): boolean {
  return Object.entries(match).every(([name, wanted]) => {
    const text = textOf(name, subject);
    return text !== null && is(text, wanted);
  });
}

/** Numbers and booleans count as their text; what is neither, nor a text, is not there. */
function textOf(name: string, { attributes, data }: FilterSubject): string | null {
  const value = name.startsWith(dataPrefix)
    ? fieldAt(data(), name.slice(dataPrefix.length))
    : Object.hasOwn(attributes, name)
      ? attributes[name]
      : undefined;
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : null;
}

interface Look {
  readonly faults: string[];
  left: number;
}

const dialects = ['exact', 'prefix', 'suffix', 'all', 'any', 'not'] as const;

function lookAt(given: unknown, at: string, depth: number, look: Look): void {
  const { faults } = look;
  look.left -= 1;
  if (look.left === -1) faults.push(`${at}: a filter may have ${limits.filterNodesMax} parts`);
  if (look.left < 0) return;
  if (depth > limits.filterDepthMax) {
    faults.push(`${at}: a filter may be nested ${limits.filterDepthMax} deep`);
    return;
  }
  const names = isRecord(given) ? Object.keys(given) : [];
  const [name] = names;
  const dialect = dialects.find((one) => one === name);
  if (!isRecord(given) || names.length !== 1 || dialect === undefined) {
    faults.push(`${at} must be an object with one of ${dialects.join(', ')}, and nothing else`);
    return;
  }
  const of = given[dialect];
  const place = `${at}.${dialect}`;
  if (dialect === 'not') return lookAt(of, place, depth + 1, look);
  if (dialect !== 'all' && dialect !== 'any') return lookAtMatch(of, place, look);
  if (!Array.isArray(of) || of.length === 0) faults.push(`${place} must be a list of filters that is not empty`);
  else of.forEach((one: unknown, i) => lookAt(one, `${place}[${i}]`, depth + 1, look));
}

function lookAtMatch(given: unknown, at: string, look: Look): void {
  const entries = isRecord(given) ? Object.entries(given) : [];
  if (entries.length === 0) look.faults.push(`${at} must name attributes with their texts, such as { "type": "..." }`);
  for (const [name, text] of entries) {
    look.left -= 1;
    if (!isAttribute(name))
      look.faults.push(
        `${at}: ${shown(name)} is neither an attribute (a-z, 0-9) nor a field of the data, such as "data.document.id"`,
      );
    if (typeof text !== 'string' || text === '' || text.length > limits.keyLengthMax)
      look.faults.push(`${at}.${name} must be a text of 1 to ${limits.keyLengthMax} characters`);
  }
  if (look.left < 0) look.faults.push(`${at}: a filter may have ${limits.filterNodesMax} parts`);
}

function isAttribute(name: string): boolean {
  if (name.length > limits.nameLengthMax) return false;
  if (name.startsWith(dataPrefix)) return name.length > dataPrefix.length && !name.split('.').includes('');
  return /^[a-z0-9]+$/.test(name);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
