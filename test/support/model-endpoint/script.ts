/**
 * What the test endpoint does: conversations that it plays the model of, and faults that come before, in the middle of, or
 * instead of an answer. Plain JSON, so that a test can script an endpoint that is a process of its own.
 */

/** One turn of the model. */
export interface Turn {
  readonly text?: string;
  readonly reasoning?: string;
  readonly tools?: readonly { readonly name: string; readonly arguments: object | string }[];
  /** Refuses, in the way of structured outputs. */
  readonly refusal?: string;
  /** Default: as the parts say. */
  readonly finish?: string;
}

/** A conversation, found by a text in its request. Its turn is told by how many the model has had, so a repeated request is
 * answered alike. */
export interface Conversation {
  readonly match: string;
  readonly turns: readonly Turn[];
}

/** Something that goes wrong. */
export type Fault =
  /** An error instead of an inference, with what providers send beside it. */
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: unknown;
    }
  /** The connection is cut after so many chunks; `clean` = it is ended as if all were well. */
  | { readonly kind: 'cut'; readonly afterChunks: number; readonly clean?: boolean }
  /** The first token takes its time, and so do the others. */
  | { readonly kind: 'slow'; readonly firstMs: number; readonly chunkMs?: number }
  /** What cannot be parsed, in the place of the answer or of a chunk. */
  | { readonly kind: 'garbage' }
  /** An error inside of an answer whose status was of success. */
  | { readonly kind: 'error-chunk'; readonly body: unknown }
  /** The model says this instead. */
  | { readonly kind: 'says'; readonly turn: Turn }
  /** Never answers; `begun` = after an inference has begun, and been paid. */
  | { readonly kind: 'hang'; readonly begun: boolean };

/** A fault with the requests that it befalls. */
export interface PlannedFault {
  readonly fault: Fault;
  /** A text in the request. Default: any request. */
  readonly match?: string;
  /** Requests that it befalls. Default: one. */
  readonly times?: number;
}

/** All of it. */
export interface Script {
  readonly conversations?: readonly Conversation[];
  readonly faults?: readonly PlannedFault[];
  /** Pause between two chunks, in ms. Default: none. */
  readonly chunkMs?: number;
  /** Requests with a key that has been answered get that answer again, and pay nothing. Default: false. */
  readonly honoursKeys?: boolean;
}

/** The turn of a request, by its text and the turns that the model has had. */
export function turnOf(script: Script, text: string, had: number, lastUserText: string): Turn {
  const found = script.conversations?.find(({ match }) => text.includes(match));
  return found?.turns[Math.min(had, found.turns.length - 1)] ?? { text: `You said: ${lastUserText}` };
}

/** What is left to befall requests. */
export class FaultPlan {
  readonly #left: { readonly planned: PlannedFault; times: number }[];

  constructor(planned: readonly PlannedFault[]) {
    this.#left = planned.map((one) => ({ planned: one, times: one.times ?? 1 }));
  }

  /** The fault of this request; null = none. */
  take(text: string): Fault | null {
    const found = this.#left.find(({ planned, times }) => times > 0 && text.includes(planned.match ?? ''));
    if (found === undefined) return null;
    found.times -= 1;
    return found.planned.fault;
  }
}
