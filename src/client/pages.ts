/**
 * Lists that come in pages. A list can be awaited for one page, or iterated over for every item, fetching pages as the
 * loop gets there. Invariant: nothing is asked for before somebody awaits or iterates.
 */
import type { PageView } from '../protocol/http.js';

/** A list of the API: `for await` gives each item of every page; `page` gives one. */
export interface PageList<T> extends AsyncIterable<T> {
  /** One page: the first, or the one after `cursor` (`next` of the page before). */
  page(cursor?: string): Promise<PageView<T>>;
}

/** Makes a list out of the function that fetches one page of it. */
export function pageList<T>(fetchPage: (cursor: string | undefined) => Promise<PageView<T>>): PageList<T> {
  return {
    page: fetchPage,
    async *[Symbol.asyncIterator]() {
      let cursor: string | undefined;
      do {
        const page = await fetchPage(cursor);
        yield* page.items;
        // A server that repeats a cursor would make this loop for ever.
        if (page.next === cursor) return;
        cursor = page.next ?? undefined;
      } while (cursor !== undefined);
    },
  };
}
