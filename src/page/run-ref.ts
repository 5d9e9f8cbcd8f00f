/** How a page names a run: plain JSON, to be put into an address, a property, or the storage of the browser. */
import type { ReadTokenView } from '../client/index.js';

/** A run, with the read token where there is one. Without a token the page's session must allow it to ask for one. */
export interface RunRef {
  readonly run: string;
  readonly token?: string;
  /** When the token ends, ISO 8601. For information: what counts is what the server says. */
  readonly expiresAt?: string;
}

/** A run by its id, or with all that is known of it. */
export type RunLike = RunRef | string;

/** As a reference, whatever was given. */
export function refOf(run: RunLike): RunRef {
  return typeof run === 'string' ? { run } : run;
}

/** The reference of a run that was started, with its token. */
export function refWith(run: string, token: ReadTokenView): RunRef {
  return { run, token: token.token, expiresAt: token.expiresAt };
}

/** What was read back from somewhere, if it is a reference. */
export function refIn(value: unknown): RunRef | null {
  if (typeof value !== 'object' || value === null) return null;
  const { run, token, expiresAt } = value as Readonly<Record<string, unknown>>;
  if (typeof run !== 'string') return null;
  return {
    run,
    ...(typeof token === 'string' ? { token } : {}),
    ...(typeof expiresAt === 'string' ? { expiresAt } : {}),
  };
}
