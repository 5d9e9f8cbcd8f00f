/** Names of states and kinds as the small integers that tables of SQL stores hold. Part of their schemas: never renumbered. */
import type { RunStatus } from '../core/run/state.js';
import type { TallyRow, TaskRow, TaskState } from './contract.js';

export const runStatuses: readonly RunStatus[] = [
  'active',
  'waiting',
  'succeeded',
  'failed',
  'cancelled',
  'refused',
  'continued',
];
export const taskStates: readonly TaskState[] = ['ready', 'delayed', 'held', 'leased'];
export const taskKinds: readonly TaskRow['kind'][] = ['activation', 'call'];
export const tallyKinds: readonly TallyRow['kind'][] = ['run', 'task'];

export const statusCode = codesOf(runStatuses);
export const stateCode = codesOf(taskStates);
export const kindCode = codesOf(taskKinds);
export const tallyKind = codesOf(tallyKinds);

/** How an event holds its payload. */
export const payloadKind = { none: 0, inline: 1, blob: 2 } as const;

function codesOf<T extends string>(names: readonly T[]): Readonly<Record<T, number>> {
  return Object.fromEntries(names.map((name, code) => [name, code])) as Record<T, number>;
}

/** The name of a code that was read from a table. */
export function nameOf<T extends string>(names: readonly T[], code: number): T {
  const name = names[code];
  if (name === undefined) throw new Error(`Invariant broken: unknown code ${code}`);
  return name;
}
