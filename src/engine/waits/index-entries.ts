/**
 * The index of a topic: one entry for each indexed field of each event, by which waits find what came before them. Entries
 * are in the order of the feed, which is the order of commits: no clock that is set back changes what came after what.
 */
import { indexedFields, type TopicManifest } from '../../core/manifest.js';
import { indexKey, indexSpace, indexText, orderedText } from '../../core/run/waits.js';
import { fieldAt } from '../../core/topics/field-path.js';
import type { EntryRow, EntryWrite, EventRow } from '../../store/contract.js';

/** What an entry says of its event: enough to tell whether a wait is for it. */
export interface IndexValue {
  readonly partition: number;
  readonly offset: number;
  readonly id: string;
  readonly fields: Readonly<Record<string, string>>;
}

/** The values of the indexed fields of an event's data; those that cannot be waited for are left out. */
export function fieldsOf(
  topic: Pick<TopicManifest, 'key' | 'index'>,
  value: unknown,
): Readonly<Record<string, string>> {
  const fields: Record<string, string> = {};
  for (const field of indexedFields(topic)) {
    const text = indexText(fieldAt(value, field));
    if (text !== null) fields[field] = text;
  }
  return fields;
}

/** The entries of an event, which has its position in the feed. Putting them again changes nothing. */
export function indexWrites(
  topic: string,
  row: Pick<EventRow, 'position' | 'seq' | 'at'>,
  value: IndexValue,
): EntryWrite[] {
  const text = JSON.stringify(value);
  return Object.entries(value.fields).map(([field, of]) => ({
    op: 'put',
    space: indexSpace(topic),
    key: indexKey(field, of),
    ref: orderedText(row.position),
    value: text,
    run: '',
    at: row.at,
  }));
}

/** Takes the entries of an event away again: the event is gone. */
export function indexDrops(
  topic: string,
  row: Pick<EventRow, 'position'>,
  fields: Readonly<Record<string, string>>,
): EntryWrite[] {
  return Object.entries(fields).map(([field, of]) => ({
    op: 'drop',
    space: indexSpace(topic),
    key: indexKey(field, of),
    ref: orderedText(row.position),
  }));
}

export function indexValueOf(entry: EntryRow): IndexValue {
  return JSON.parse(entry.value) as IndexValue;
}

/** Whether an event with these fields has what a wait asks for. */
export function matches(match: Readonly<Record<string, string>>, fields: Readonly<Record<string, string>>): boolean {
  return Object.entries(match).every(([field, text]) => fields[field] === text);
}
