/**
 * The proof that finished steps are not paid for twice. It sets two records against each other that know nothing of one
 * another: the counter of the model endpoint, and the events of the runs.
 */
import type { CountedCall } from '../model/endpoint.ts';
import type { RunView } from './api-types.ts';

/** The model calls that were on record at one moment, and how often the endpoint had received each. */
export type PaidCalls = ReadonlyMap<string, number>;

/** What became of the calls of a `PaidCalls`, and of all others. */
export interface Proof {
  /** Model calls whose results were recorded when the worker was killed. */
  readonly recordedBefore: number;
  /** How many of those the endpoint received again afterwards. */
  readonly repeatedAfterRecord: readonly string[];
  /** Calls received in all, different ones, and those received more than once before they had a recorded result. */
  readonly received: number;
  readonly different: number;
  readonly inFlight: readonly string[];
}

/** The key under which a path of a run reaches the endpoint. Tenant, run and path; never the attempt. */
export function keyOf(run: string, path: string): string {
  return `default/${run}/${path}`;
}

/** The steps that are on record as done and were model calls, with the endpoint's counts. */
export function paidCalls(
  runs: readonly Pick<RunView, 'id' | 'steps'>[],
  counted: ReadonlyMap<string, CountedCall>,
): PaidCalls {
  const paid = new Map<string, number>();
  for (const run of runs) {
    for (const { path, status } of run.steps) {
      const call = status === 'completed' ? counted.get(keyOf(run.id, path)) : undefined;
      if (call !== undefined) paid.set(keyOf(run.id, path), call.received);
    }
  }
  return paid;
}

/** Compares the counter at the end with what had been paid at the kill. */
export function prove(paid: PaidCalls, counted: ReadonlyMap<string, CountedCall>): Proof {
  const received = [...counted.values()].reduce((sum, call) => sum + call.received, 0);
  const repeated = [...paid].filter(([key, count]) => counted.get(key)?.received !== count).map(([key]) => key);
  return {
    recordedBefore: paid.size,
    repeatedAfterRecord: repeated,
    received,
    different: counted.size,
    inFlight: [...counted].filter(([key, call]) => call.received > 1 && !repeated.includes(key)).map(([key]) => key),
  };
}
