/** The columns of a session, as writer and reads both take them out of the file. */
import type { SessionRow } from '../../store/index.js';

export const sessionColumns = 'session, owner, worker, app, opened_at, counter, received, info';

export type SessionColumns = readonly [
  session: string,
  owner: number,
  worker: string,
  app: string,
  openedAt: number,
  counter: number,
  received: number,
  info: string,
];

export function sessionRow([
  session,
  owner,
  worker,
  app,
  openedAt,
  counter,
  received,
  info,
]: SessionColumns): SessionRow {
  return { session, owner, worker, app, openedAt, counter, received, info };
}
