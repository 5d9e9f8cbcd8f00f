/**
 * Whether anybody looks at the page, and whether it has a network: what tells a page to let go of its connections and
 * when to try again at once. A port, because servers that render pages have no document, and tests want their own.
 */

export interface Attention {
  /** True while the page is in the background. */
  isHidden(): boolean;
  /**
   * Calls `fn` when the page is shown or hidden, comes back from the browser's cache, or gets its network back. Returns
   * what ends it.
   */
  onChange(fn: () => void): () => void;
}

/** That of the document around us; where there is none, a page that is always looked at. */
export const documentAttention: Attention = {
  isHidden: () => globalThis.document !== undefined && document.visibilityState === 'hidden',
  onChange(fn) {
    if (globalThis.document === undefined) return () => undefined;
    document.addEventListener('visibilitychange', fn);
    globalThis.addEventListener('online', fn);
    globalThis.addEventListener('pageshow', fn);
    return () => {
      document.removeEventListener('visibilitychange', fn);
      globalThis.removeEventListener('online', fn);
      globalThis.removeEventListener('pageshow', fn);
    };
  },
};
