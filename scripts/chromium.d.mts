/** A Chromium that runs here, or why there is none. */
export type FoundChromium =
  | { readonly program: string; readonly env: Readonly<Record<string, string>>; readonly source: string }
  | { readonly program: null; readonly reason: string };

export function findChromium(): FoundChromium;
