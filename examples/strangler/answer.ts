/** The work behind the route: three calls of a model, one after the other. It knows nothing of routes and nothing of runs. */

/** What users ask. */
export interface Question {
  readonly text: string;
  /** How long the model will take for all of it, ms. */
  readonly ms: number;
}

/** What they are answered. */
export interface Answer {
  readonly text: string;
  readonly plan: string;
  readonly words: number;
}

/** One part of the work. */
export type Ask = (prompt: string, ms: number) => Promise<string>;

/** Asks the model at an address. */
export function askAt(url: string): Ask {
  return async (prompt, ms) => {
    const response = await fetch(url, { method: 'POST', body: JSON.stringify({ prompt, ms }) });
    return ((await response.json()) as { readonly text: string }).text;
  };
}

/** Share of the time that each part takes. */
export const shares = { plan: 0.25, draft: 0.5, check: 0.25 };

/** Puts the parts together. */
export function answerOf(plan: string, checked: string): Answer {
  return { text: checked, plan, words: checked.split(' ').length };
}
