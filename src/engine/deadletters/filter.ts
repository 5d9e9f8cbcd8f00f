/**
 * Which dead letters a filter means. The store knows class and workflow; the rest is looked at here, in bounded bites.
 */
import type { DeadLetterRow, Store } from '../../store/contract.js';
import { encodeCursor, type ListKey } from '../../store/cursor.js';

/** See `DeadLetterFilter` of the protocol; `since` is epoch ms. */
export interface LetterFilter {
  readonly class?: string;
  readonly workflow?: string;
  readonly step?: string;
  readonly since?: number;
  readonly text?: string;
}

/** What a look through the letters found. */
export interface Found {
  readonly rows: readonly DeadLetterRow[];
  /** Where to go on; null = there are no others. */
  readonly next: ListKey | null;
}

/** Goes through the letters below `after`, newest first, until `limit` are found or `scanMax` were looked at. */
export async function findLetters(
  store: Store,
  tenant: string,
  filter: LetterFilter,
  bounds: { readonly cursor?: string; readonly limit: number; readonly scanMax: number },
): Promise<Found> {
  const rows: DeadLetterRow[] = [];
  let cursor = bounds.cursor;
  for (let left = bounds.scanMax; left > 0; ) {
    const page = await store.listDeadLetters({
      tenant,
      limit: Math.min(pageRows, left),
      ...(filter.class === undefined ? {} : { class: filter.class }),
      ...(filter.workflow === undefined ? {} : { workflow: filter.workflow }),
      ...(cursor === undefined ? {} : { cursor }),
    });
    for (const row of page.items) {
      if (filter.since !== undefined && row.at < filter.since) return { rows, next: null };
      if (!isMeant(filter, row)) continue;
      rows.push(row);
      if (rows.length < bounds.limit) continue;
      const isLast = page.next === null && row === page.items.at(-1);
      return { rows, next: isLast ? null : { at: row.at, id: row.id } };
    }
    const last = page.items.at(-1);
    if (page.next === null || last === undefined) return { rows, next: null };
    left -= page.items.length;
    cursor = page.next;
    if (left <= 0) return { rows, next: { at: last.at, id: last.id } };
  }
  return { rows, next: null };
}

/** The cursor of the list that goes on below a letter. */
export function below(key: ListKey): string {
  return encodeCursor('dead-letters', key);
}

/** Above every letter up to the instant: ids begin with a small letter. */
export function upTo(at: number): ListKey {
  return { at, id: '~' };
}

function isMeant({ step, text }: LetterFilter, row: DeadLetterRow): boolean {
  if (step !== undefined && (row.path === null || !isWithin(row.path, step))) return false;
  if (text === undefined) return true;
  const sought = text.toLowerCase();
  return row.message.toLowerCase().includes(sought) || row.code.toLowerCase().includes(sought);
}

/** `checks` means `checks/c1/check`, `check:3` and `check` alike: names of scopes and steps, whatever their keys. */
function isWithin(path: string, step: string): boolean {
  if (!path.startsWith(step)) return false;
  const after = path[step.length];
  return after === undefined || after === '/' || after === ':';
}

const pageRows = 200;
