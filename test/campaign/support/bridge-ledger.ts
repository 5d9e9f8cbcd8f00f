/** Judges what has become of the load of the bridges: pure, so that it can be shown to find what is wrong. */

/** What the witness found: pairs of id and number, in the order of each partition. */
export interface Witness {
  readonly inside: readonly (readonly (readonly [string, number])[])[];
  readonly outside: Witness['inside'];
  /** Different runs. */
  readonly runs: number;
  /** Messages that the group in Kafka has not acknowledged. */
  readonly behind: number;
}

/** Customers of the load, as in `bridge-app.mjs`. */
const keys = 97;

/** What is wrong, in sentences. */
export function bridgeFaults(events: number, { inside, outside, runs, behind }: Witness): string[] {
  const faults: string[] = [];
  const ids = inside.flat().map(([id]) => id);
  const once = new Set(ids);
  if (ids.length !== once.size) faults.push(`${ids.length - once.size} events are in our topic twice`);
  if (once.size !== events) faults.push(`${events} events were sent, ${once.size} are in our topic`);
  if (runs !== events) faults.push(`${events} events were sent, ${runs} runs were started`);
  if (behind > 0) faults.push(`the group in Kafka is ${behind} messages behind`);
  const out = new Set(outside.flat().map(([id]) => id));
  const missing = [...once].filter((id) => !out.has(id));
  if (missing.length > 0) faults.push(`${missing.length} events are not outside, ${missing[0] ?? ''} for one`);
  const foreign = [...out].filter((id) => !once.has(id));
  if (foreign.length > 0) faults.push(`${foreign.length} events outside are none of ours, ${foreign[0] ?? ''} for one`);
  for (const [where, all] of Object.entries({ inside, outside }))
    for (const partition of all) faults.push(...disordered(where, partition));
  return faults;
}

/** Keys of which an event comes, for the first time, behind a later one. */
function disordered(where: string, partition: Witness['inside'][number]): string[] {
  const newest = new Map<number, number>();
  const seen = new Set<string>();
  const faults: string[] = [];
  for (const [id, number] of partition) {
    const key = number % keys;
    if (!seen.has(id) && number < (newest.get(key) ?? -1))
      faults.push(`${where}: ${id} is behind a later one of its key`);
    seen.add(id);
    newest.set(key, Math.max(number, newest.get(key) ?? -1));
  }
  return faults;
}
