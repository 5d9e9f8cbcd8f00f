/**
 * Compares the entries of a run (open waits, requests for approval, children, the address and answers of an agent) with
 * what its log folds to. Reads only where entries of this run can lie, so that a topic with a million waits costs nothing.
 */
import { agentRowOf, answerRowsOf, entryPlacesOf, entryRowsOf, type EntryPlace } from '../../core/run/entry-rows.js';
import type { RunEvent } from '../../core/run/events.js';
import type { AgentAddress } from '../../core/run/mail.js';
import type { RunState } from '../../core/run/state.js';
import type { WaitEntry } from '../../core/run/waits.js';
import type { EntryRow, Store } from '../../store/contract.js';

const pageRows = 200;
/** Answers of one agent that are looked up, the newest; each is a read of its own. */
const answersMax = 50;

/** Null where the entries are what the log says. `state` is what `events` fold to. */
export async function entryFault(
  store: Pick<Store, 'readEntries'>,
  state: RunState,
  events: readonly RunEvent[],
): Promise<string | null> {
  const expected = new Set(entryRowsOf(state).map((row) => textOf({ ...row, run: state.run })));
  for (const place of entryPlacesOf(state, events)) {
    for (const row of await entriesAt(store, state.tenant, place)) {
      if (!expected.delete(textOf(row))) return `entry ${textOf(row)} is there, and the log does not say so`;
    }
  }
  const [missing] = expected;
  if (missing !== undefined) return `entry ${missing} is missing`;
  return await agentFault(store, state, events);
}

async function entriesAt(
  store: Pick<Store, 'readEntries'>,
  tenant: string,
  { space, key, prefix }: EntryPlace,
): Promise<EntryRow[]> {
  const found: EntryRow[] = [];
  let ref = prefix;
  for (;;) {
    const page = await store.readEntries({ tenant, space, key, after: { key, ref }, limit: pageRows });
    const ours = page.filter((row) => row.ref.startsWith(prefix));
    found.push(...ours);
    const last = page.at(-1);
    if (last === undefined || page.length < pageRows || ours.length < page.length) return found;
    ref = last.ref;
  }
}

/** Later generations of an agent take its address over, and a later answer to the same message that of an earlier. */
async function agentFault(
  store: Pick<Store, 'readEntries'>,
  state: RunState,
  events: readonly RunEvent[],
): Promise<string | null> {
  const own = agentRowOf(state);
  if (own === null) return null;
  const { tenant } = state;
  const { generation, ...address } = own;
  const [kept] = await store.readEntries({ tenant, space: own.space, key: own.key, limit: 1 });
  if (kept === undefined) return `entry ${textOf({ ...address, run: '' })} is missing`;
  const found = JSON.parse(kept.value) as AgentAddress;
  const isOurs = found.generation === generation && found.run === state.run;
  if (!isOurs && found.generation <= generation)
    return `agent ${own.key} is said to be at ${kept.value}, the log says ${own.value}`;
  for (const row of answerRowsOf(state, events).slice(-answersMax)) {
    const [answer] = await store.readEntries({ tenant, space: row.space, key: row.key, limit: 1 });
    if (answer === undefined) return `entry ${textOf({ ...row, run: state.run })} is missing`;
  }
  return null;
}

function textOf({ space, key, ref, value, run }: WaitEntry & { readonly run: string }): string {
  return JSON.stringify([space, key, ref, value, run]);
}
